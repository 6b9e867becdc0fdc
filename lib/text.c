/* text.c - reading and suggesting the words that users write. */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"

bool
text_size (const char *s, uint64_t *size)
{
  static const char suffixes[] = "bkmgtpe";
  uint64_t n = 0, unit = 1;
  const char *suffix;

  if (*s < '0' || *s > '9')
    return false;
  for (; *s >= '0' && *s <= '9'; s++) {
    if (n > (uint64_t) INT64_MAX / 10)
      return false;
    n = n * 10 + (uint64_t) (*s - '0');
  }

  if (*s == 's' || *s == 'S')
    unit = 512;
  else if (*s) {
    suffix = strchr (suffixes, *s | ('a' - 'A'));
    if (!suffix)
      return false;
    unit = UINT64_C (1) << (10 * (suffix - suffixes));
  }
  if (*s && s[1])
    return false;

  if (n > (uint64_t) INT64_MAX / unit)
    return false;
  *size = n * unit;
  return true;
}

bool
text_time (const char *s, uint64_t *ns)
{
  static const struct { const char *name; double ns; } units[] = {
    { "", 1e9 }, { "s", 1e9 }, { "ms", 1e6 }, { "us", 1e3 }, { "m", 60e9 },
  };
  double n = 0, digit = 1;
  bool point = false, any = false;

  for (; (*s >= '0' && *s <= '9') || (*s == '.' && !point); s++) {
    if (*s == '.') {
      point = true;
      continue;
    }
    any = true;
    if (point)
      n += (digit /= 10) * (*s - '0');
    else
      n = n * 10 + (*s - '0');
  }

  for (size_t i = 0; any && i < sizeof units / sizeof units[0]; i++) {
    if (strcmp (s, units[i].name) == 0 && n * units[i].ns < 9.2e18) {
      *ns = (uint64_t) (n * units[i].ns + 0.5);
      return true;
    }
  }
  return false;
}

bool
text_probability (const char *s, double *p)
{
  char *end;
  double n;

  if (*s < '.' || *s > '9')
    return false;
  n = strtod (s, &end);
  if (*end == '%') {
    n /= 100;
    end++;
  }
  else if (*end == ':' && end[1] >= '0' && end[1] <= '9')
    n /= strtod (end + 1, &end);
  if (*end != '\0' || !(n >= 0 && n <= 1))
    return false;
  *p = n;
  return true;
}

#define WORD_MAX 31

static int
fold (char c)
{
  return c >= 'A' && c <= 'Z' ? c | ('a' - 'A') : c;
}

static size_t
least_of (size_t a, size_t b)
{
  return a < b ? a : b;
}

/* How many letters must be added, left out, exchanged for another one, or swapped
 * with their neighbour to make A of B, whatever their case (optimal string
 * alignment), row by row over the letters of A.
 */
static size_t
distance (const char *a, const char *b)
{
  size_t len = strlen (b), rows[3][WORD_MAX + 1];

  for (size_t j = 0; j <= len; j++)
    rows[0][j] = j;
  for (size_t i = 1; a[i - 1]; i++) {
    size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
    const size_t *two_above = rows[(i + 1) % 3];
    const int c = fold (a[i - 1]);

    row[0] = i;
    for (size_t j = 1; j <= len; j++) {
      row[j] = least_of (above[j - 1] + (c != fold (b[j - 1])),
                         least_of (above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && c == fold (b[j - 2])
          && fold (a[i - 2]) == fold (b[j - 1]))
        row[j] = least_of (row[j], two_above[j - 2] + 1);
    }
  }
  return rows[strlen (a) % 3][len];
}

const char *
text_nearest (const char *word, const char *const *names)
{
  const char *nearest = NULL;
  size_t least = (strlen (word) + 1) / 3 + 1;

  if (strlen (word) > WORD_MAX)
    return NULL;
  for (; *names; names++) {
    size_t d = strlen (*names) <= WORD_MAX ? distance (word, *names) : least;

    if (d < least) {
      least = d;
      nearest = *names;
    }
  }
  return nearest;
}
