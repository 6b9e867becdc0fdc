/* json.c - writing JSON. */

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "lib/json.h"

/* Make room for N bytes more, and the 0 behind them. */
static bool
reserve (struct json *j, size_t n)
{
  if (!j->failed && !array_grow (&j->text, j->len + n, &j->size, 1))
    j->failed = true;
  return !j->failed;
}

void
json_add (struct json *j, const char *s, size_t n)
{
  if (!reserve (j, n))
    return;
  if (n > 0)                    /* or S may be NULL */
    memcpy (j->text + j->len, s, n);
  j->len += n;
  j->text[j->len] = '\0';
}

__attribute__ ((format (printf, 2, 0))) static void
add_formatted (struct json *j, const char *format, va_list args)
{
  char s[256];
  const int n = vsnprintf (s, sizeof s, format, args);

  if (n >= 0 && (size_t) n < sizeof s)
    json_add (j, s, (size_t) n);
  else
    j->failed = true;
}

void
json_addf (struct json *j, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  add_formatted (j, format, args);
  va_end (args);
}

/*--------------------------------------------------------------------*/
/* Members. */

/* The text itself says whether a comma is due: what stands inside of strings
 * always has their closing quote behind it.
 */
void
json_comma (struct json *j)
{
  if (j->len > 0 && !strchr ("{[:,\n", j->text[j->len - 1]))
    json_add (j, ",", 1);
}

void
json_key (struct json *j, const char *key, size_t n)
{
  json_comma (j);
  json_string (j, key, n);
  json_add (j, ":", 1);
}

void
json_member (struct json *j, const char *key, const char *format, ...)
{
  va_list args;

  json_key (j, key, strlen (key));
  va_start (args, format);
  add_formatted (j, format, args);
  va_end (args);
}

void
json_member_string (struct json *j, const char *key, const char *s)
{
  json_key (j, key, strlen (key));
  json_string (j, s, strlen (s));
}

void
json_member_number (struct json *j, const char *key, double d)
{
  json_key (j, key, strlen (key));
  json_number (j, d);
}

/*--------------------------------------------------------------------*/
/* Strings. */

size_t
json_utf8_length (const unsigned char *s, size_t n)
{
  static const struct { unsigned char least, most, second_least, second_most;
                        size_t length; } forms[] = {
    { 0xC2, 0xDF, 0x80, 0xBF, 2 }, { 0xE0, 0xE0, 0xA0, 0xBF, 3 },
    { 0xE1, 0xEC, 0x80, 0xBF, 3 }, { 0xED, 0xED, 0x80, 0x9F, 3 },
    { 0xEE, 0xEF, 0x80, 0xBF, 3 }, { 0xF0, 0xF0, 0x90, 0xBF, 4 },
    { 0xF1, 0xF3, 0x80, 0xBF, 4 }, { 0xF4, 0xF4, 0x80, 0x8F, 4 },
  };

  if (*s < 0x80)
    return 1;
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    if (*s < forms[i].least || *s > forms[i].most)
      continue;
    if (n < forms[i].length || s[1] < forms[i].second_least
        || s[1] > forms[i].second_most)
      return 0;
    for (size_t k = 2; k < forms[i].length; k++)
      if ((s[k] & 0xC0) != 0x80)
        return 0;
    return forms[i].length;
  }
  return 0;
}

/* Does this byte stand for itself in a string? */
static bool
is_plain (char c)
{
  return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

#define EACH(byte) (UINT64_C (0x0101010101010101) * (byte))

/* A high bit is set if a byte of WORD is 0 (and then perhaps in others). */
static uint64_t
zeros (uint64_t word)
{
  return (word - EACH (1)) & ~word & EACH (0x80);
}

/* The same question of eight bytes at once. */
static bool
are_plain (const char *s)
{
  uint64_t word;

  memcpy (&word, s, sizeof word);
  return ((word | (word - EACH (' ')) | zeros (word ^ EACH (0x7f))
           | zeros (word ^ EACH ('"')) | zeros (word ^ EACH ('\\')))
          & EACH (0x80)) == 0;
}

/* How many of N bytes can be copied as they are: plain ones, and UTF-8. */
static size_t
run_length (const char *s, size_t n)
{
  size_t run = 0, length;

  for (; run < n; run += length) {
    if (n - run >= 8 && are_plain (s + run))
      length = 8;
    else if (is_plain (s[run]))
      length = 1;
    else {
      length = json_utf8_length ((const unsigned char *) s + run, n - run);
      if (length < 2)
        break;
    }
  }
  return run;
}

/* Add one byte that can't be copied. */
static void
add_escape (struct json *j, char c)
{
  static const char digits[] = "0123456789abcdef";
  const unsigned n = (unsigned char) c;
  const char number[] = { '\\', 'u', '0', '0', digits[n >> 4], digits[n & 15] };

  if (c == '"' || c == '\\')
    json_add (j, (char[]) { '\\', c }, 2);
  else if (c == '\n')
    json_add (j, "\\n", 2);
  else
    json_add (j, number, sizeof number);
}

void
json_piece (struct json *j, const char *s, size_t n)
{
  size_t run;

  while (n > 0) {
    run = run_length (s, n);
    json_add (j, s, run);
    if (run < n)
      add_escape (j, s[run++]);
    s += run;
    n -= run;
  }
}

void
json_string (struct json *j, const char *s, size_t n)
{
  json_add (j, "\"", 1);
  json_piece (j, s, n);
  json_add (j, "\"", 1);
}

/*--------------------------------------------------------------------*/

void
json_number (struct json *j, double d)
{
  char s[40];

  if (!isfinite (d)) {
    json_add (j, "null", 4);
    return;
  }
  /* With as few digits as tell it from all other numbers. */
  for (int digits = 6; digits <= 17; digits++) {
    snprintf (s, sizeof s, "%.*g", digits, d);
    if (strtod (s, NULL) == d)
      break;
  }
  json_add (j, s, strlen (s));
}

void
json_free (struct json *j)
{
  free (j->text);
  *j = (struct json) { .text = NULL };
}
