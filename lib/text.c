/* text.c - reading and suggesting the words that users write. */

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/min.h"
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

/*--------------------------------------------------------------------*/
/* Decimal numbers.  strtod would follow the locale, which scripts can set, and
 * takes hexadecimal numbers, infinities and signs.
 */

#define TIME_LIMIT UINT64_C (9200000000000000000)      /* ns */

/* DIGITS * 10^EXPONENT. */
struct decimal {
  uint64_t digits;
  int exponent;
};

/* More than any exponent that matters, and far from INT_MAX. */
#define EXPONENT_MAX 9999

static bool
is_digit (char c)
{
  return c >= '0' && c <= '9';
}

/* Read an exponent, such as e-3, if there is one, and go past it. */
static int
read_exponent (const char **text)
{
  const char *s = *text;
  bool negative;
  int n = 0;

  if (*s != 'e' && *s != 'E')
    return 0;
  negative = *++s == '-';
  s += *s == '-' || *s == '+';
  if (!is_digit (*s))
    return 0;                   /* no exponent */
  for (; is_digit (*s); s++)
    if (n < EXPONENT_MAX)
      n = n * 10 + (*s - '0');
  *text = s;
  return negative ? -n : n;
}

/* Read a number without a sign, such as 2, 0.5 or 1e-3, and go past it.  Digits
 * for which 64 bits are too few count as 0.  False: there is none.
 */
static bool
read_decimal (const char **text, struct decimal *d)
{
  const char *s = *text;
  bool point = false, any = false;

  *d = (struct decimal) { .digits = 0 };
  for (; is_digit (*s) || (*s == '.' && !point); s++) {
    if (*s == '.') {
      point = true;
      continue;
    }
    any = true;
    if (d->digits < UINT64_MAX / 10) {
      d->digits = d->digits * 10 + (uint64_t) (*s - '0');
      d->exponent -= point;
    }
    else if (!point && d->exponent < EXPONENT_MAX)
      d->exponent++;
  }
  d->exponent += read_exponent (&s);
  *text = s;
  return any;
}

/* The number, rounded once if it has at most 15 digits and an exponent from -22
 * to 22, so that "0.1" and "10%" are the same as 0.1 in C and in Lua.
 */
static double
decimal_value (struct decimal d)
{
  const int n = d.exponent < 0 ? -d.exponent : d.exponent;
  double power = 1;

  if (d.digits == 0)
    return 0;                   /* even times 10^9999 */
  for (int i = 0; i < n; i++)
    power *= 10;
  return d.exponent < 0 ? (double) d.digits / power : (double) d.digits * power;
}

/* The number as a whole one, rounded.  False: it is LIMIT or more. */
static bool
decimal_round (struct decimal d, uint64_t limit, uint64_t *n)
{
  bool up = false;

  for (; d.exponent < 0 && (d.digits > 0 || up); d.exponent++) {
    up = d.digits % 10 >= 5;
    d.digits /= 10;
  }
  for (; d.exponent > 0 && d.digits > 0; d.exponent--) {
    if (d.digits > limit / 10)
      return false;
    d.digits *= 10;
  }
  if (d.digits + up >= limit)
    return false;
  *n = d.digits + up;
  return true;
}

bool
text_time (const char *s, uint64_t *ns)
{
  /* The two before the last are the micro sign, U+00B5, and the Greek letter,
   * U+03BC, with an s.
   */
  static const struct { const char *name; unsigned times; int exponent; }
    units[] = {
      { "", 1, 9 }, { "s", 1, 9 }, { "m", 6, 10 }, { "ms", 1, 6 }, { "us", 1, 3 },
      { "\xC2\xB5s", 1, 3 }, { "\xCE\xBCs", 1, 3 }, { "ns", 1, 0 },
    };
  struct decimal d;
  size_t i = 0;

  if (!read_decimal (&s, &d))
    return false;
  while (strcmp (s, units[i].name) != 0)
    if (++i == sizeof units / sizeof units[0])
      return false;
  for (; d.digits > UINT64_MAX / units[i].times; d.exponent++)
    d.digits /= 10;
  d.digits *= units[i].times;
  d.exponent += units[i].exponent;
  return decimal_round (d, TIME_LIMIT, ns);
}

bool
text_probability (const char *s, double *p)
{
  struct decimal d, per = { 1, 0 };
  double n;

  if (!read_decimal (&s, &d))
    return false;
  if (*s == '%') {
    d.exponent -= 2;
    s++;
  }
  else if (*s == ':' || *s == '/') {
    s++;
    if (!read_decimal (&s, &per))
      return false;
  }
  n = decimal_value (d) / decimal_value (per);
  if (*s || !(n >= 0 && n <= 1))
    return false;               /* 1:0 and 0:0 are inf and nan */
  *p = n;
  return true;
}

/*--------------------------------------------------------------------*/
/* Truth values. */

static int
fold (char c)
{
  return c >= 'A' && c <= 'Z' ? c | ('a' - 'A') : c;
}

/* The same, whatever the case? */
static bool
is_word (const char *s, const char *word)
{
  while (*s && fold (*s) == fold (*word)) {
    s++;
    word++;
  }
  return *s == *word;
}

bool
text_digits (const char **s, uint64_t *n)
{
  const char *p = *s;

  *n = 0;
  if (*p == '0' && p[1] >= '0' && p[1] <= '9')
    return false;
  for (; *p >= '0' && *p <= '9'; p++) {
    const uint64_t digit = (uint64_t) (*p - '0');

    if (*n > (UINT64_MAX - digit) / 10)
      return false;
    *n = *n * 10 + digit;
  }
  if (p == *s)
    return false;
  *s = p;
  return true;
}

bool
text_bool (const char *s, bool *b)
{
  static const char *const words[] = {  /* by turns true and false */
    "true", "false", "t", "f", "yes", "no", "y", "n", "on", "off", "1", "0",
  };

  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (is_word (s, words[i])) {
      *b = i % 2 == 0;
      return true;
    }
  }
  return false;
}

/*--------------------------------------------------------------------*/
/* Suggestions. */

#define WORD_MAX 31

/* How many letters must be added, left out, replaced, or swapped with their
 * neighbour to turn A into B, whatever their case (optimal string alignment,
 * row by row over the letters of A).
 */
static uint64_t
distance (const char *a, const char *b)
{
  const size_t len = strlen (b);
  uint64_t rows[3][WORD_MAX + 1];

  for (size_t j = 0; j <= len; j++)
    rows[0][j] = j;
  for (size_t i = 1; a[i - 1]; i++) {
    uint64_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
    const uint64_t *two_above = rows[(i + 1) % 3];
    const int c = fold (a[i - 1]);

    row[0] = i;
    for (size_t j = 1; j <= len; j++) {
      row[j] = min_u64 (above[j - 1] + (c != fold (b[j - 1])),
                        min_u64 (above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && c == fold (b[j - 2])
          && fold (a[i - 2]) == fold (b[j - 1]))
        row[j] = min_u64 (row[j], two_above[j - 2] + 1);
    }
  }
  return rows[strlen (a) % 3][len];
}

const char *
text_nearest (const char *word, const char *const *names)
{
  const char *nearest = NULL;
  uint64_t least = (strlen (word) + 1) / 3 + 1;

  if (strlen (word) > WORD_MAX)
    return NULL;
  for (; *names; names++) {
    uint64_t d = strlen (*names) <= WORD_MAX ? distance (word, *names) : least;

    if (d < least) {
      least = d;
      nearest = *names;
    }
  }
  return nearest;
}
