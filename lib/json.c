/* json.c - writing JSON. */

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"

/* Make room for N bytes more, and the 0 behind them. */
static bool
reserve (struct json *j, size_t n)
{
  size_t size = j->size ? j->size : 256;
  char *text;

  if (j->failed || n < j->size - j->len)
    return !j->failed;
  while (size - j->len <= n)
    size *= 2;
  text = realloc (j->text, size);
  if (!text) {
    j->failed = true;
    return false;
  }
  j->text = text;
  j->size = size;
  return true;
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

void
json_addf (struct json *j, const char *format, ...)
{
  char s[256];
  va_list args;
  int n;

  va_start (args, format);
  n = vsnprintf (s, sizeof s, format, args);
  va_end (args);
  if (n >= 0 && (size_t) n < sizeof s)
    json_add (j, s, (size_t) n);
  else
    j->failed = true;
}

/* How long the UTF-8 character at S is, of N bytes; 0: it is none (RFC 3629:
 * no longer form than needed, no surrogates, nothing above U+10FFFF).
 */
static size_t
utf8_length (const unsigned char *s, size_t n)
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

void
json_string (struct json *j, const char *s, size_t n)
{
  size_t length;

  json_add (j, "\"", 1);
  for (; n > 0; s += length, n -= length) {
    length = utf8_length ((const unsigned char *) s, n);
    if (*s == '"' || *s == '\\') {
      json_add (j, "\\", 1);
      json_add (j, s, 1);
    }
    else if (*s == '\n')
      json_add (j, "\\n", 2);
    else if (length > 1 || (length == 1 && *s >= ' ' && *s != 0x7f))
      json_add (j, s, length);
    else {
      json_addf (j, "\\u%04x", (unsigned char) *s);
      length = 1;
    }
  }
  json_add (j, "\"", 1);
}

void
json_number (struct json *j, double d)
{
  char s[40];

  if (!isfinite (d)) {
    json_add (j, "null", 4);
    return;
  }
  /* As short as it can be. */
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
