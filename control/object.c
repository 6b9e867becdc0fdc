/* object.c - reading an object of JSON. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "control/object.h"

/* What is still to be read. */
struct rest {
  const char *s, *end;
};

static void
skip_blanks (struct rest *r)
{
  while (r->s < r->end && *r->s && strchr (" \t\r\n", *r->s))
    r->s++;
}

/* Go past this character and the blanks before it.  False: it is not there. */
static bool
take (struct rest *r, char c)
{
  skip_blanks (r);
  if (r->s == r->end || *r->s != c)
    return false;
  r->s++;
  return true;
}

/* Go past a string, whose first quote is next. */
static bool
skip_string (struct rest *r)
{
  for (r->s++; r->s < r->end && *r->s != '"'; r->s++) {
    if ((unsigned char) *r->s < ' ')
      return false;
    if (*r->s == '\\' && ++r->s == r->end)
      return false;
  }
  if (r->s == r->end)
    return false;
  r->s++;
  return true;
}

/* Go past a list or an object, whose bracket is next. */
static bool
skip_brackets (struct rest *r)
{
  unsigned depth = 0;

  while (r->s < r->end) {
    if (*r->s == '"') {
      if (!skip_string (r))
        return false;
      continue;
    }
    if (*r->s == '{' || *r->s == '[')
      depth++;
    else if ((*r->s == '}' || *r->s == ']') && --depth == 0) {
      r->s++;
      return true;
    }
    r->s++;
  }
  return false;
}

/* Go past true, false or null. */
static bool
skip_word (struct rest *r)
{
  static const char *const words[] = { "true", "false", "null" };

  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    const size_t len = strlen (words[i]);

    if ((size_t) (r->end - r->s) >= len && memcmp (r->s, words[i], len) == 0) {
      r->s += len;
      return true;
    }
  }
  return false;
}

static bool
skip_number (struct rest *r)
{
  const char *const start = r->s;

  while (r->s < r->end && *r->s && strchr ("+-.0123456789eE", *r->s))
    r->s++;
  return r->s > start;
}

static bool
skip_value (struct rest *r)
{
  skip_blanks (r);
  if (r->s == r->end)
    return false;
  switch (*r->s) {
  case '"':
    return skip_string (r);
  case '{':
  case '[':
    return skip_brackets (r);
  case 't':
  case 'f':
  case 'n':
    return skip_word (r);
  default:
    return (*r->s == '-' || (*r->s >= '0' && *r->s <= '9')) && skip_number (r);
  }
}

/* Read a key, a colon and a value. */
static bool
read_member (struct rest *r, struct member *m)
{
  skip_blanks (r);
  if (r->s == r->end || *r->s != '"')
    return false;
  m->key = r->s + 1;
  if (!skip_string (r))
    return false;
  m->key_len = (size_t) (r->s - 1 - m->key);
  if (!take (r, ':'))
    return false;
  skip_blanks (r);
  m->value = r->s;
  if (!skip_value (r))
    return false;
  m->len = (size_t) (r->s - m->value);
  return true;
}

bool
object_read (struct object *o, const char *s, size_t n)
{
  struct rest r = { .s = s, .end = s + n };
  struct member m;

  o->n = 0;
  if (!take (&r, '{'))
    return false;
  if (!take (&r, '}')) {
    do {
      if (!read_member (&r, &m))
        return false;
      if (o->n < MEMBERS)
        o->members[o->n++] = m;
    }
    while (take (&r, ','));
    if (!take (&r, '}'))
      return false;
  }
  skip_blanks (&r);
  return r.s == r.end;
}

/*--------------------------------------------------------------------*/
/* Members. */

bool
member_is (const struct member *m, const char *key)
{
  return m->key_len == strlen (key) && memcmp (m->key, key, m->key_len) == 0;
}

const struct member *
object_find (const struct object *o, const char *key)
{
  for (int i = 0; i < o->n; i++)
    if (member_is (&o->members[i], key))
      return &o->members[i];
  return NULL;
}

bool
object_number (const struct object *o, const char *key, double *x)
{
  const struct member *m = object_find (o, key);
  char buf[64], *end;
  double d;

  if (!m || m->len >= sizeof buf || !(*m->value == '-' || (*m->value >= '0' && *m->value <= '9')))
    return false;
  memcpy (buf, m->value, m->len);
  buf[m->len] = '\0';
  d = strtod (buf, &end);
  if (*end || !isfinite (d))
    return false;
  *x = d;
  return true;
}

bool
object_count (const struct object *o, const char *key, uint64_t *x)
{
  const struct member *m = object_find (o, key);
  uint64_t n = 0;

  if (!m)
    return false;
  for (size_t i = 0; i < m->len; i++) {
    const unsigned digit = (unsigned) (m->value[i] - '0');

    if (digit > 9 || n > (UINT64_MAX - digit) / 10)
      return false;
    n = n * 10 + digit;
  }
  *x = n;
  return true;
}

bool
object_true (const struct object *o, const char *key)
{
  const struct member *m = object_find (o, key);

  return m && *m->value == 't';
}

bool
object_inside (const struct object *o, const char *key, struct object *inside)
{
  const struct member *m = object_find (o, key);

  return m && *m->value == '{' && object_read (inside, m->value, m->len);
}

/*--------------------------------------------------------------------*/
/* Strings. */

/* The number that four hexadecimal digits at S are; -1: they are none. */
static long
four_digits (const char *s, const char *end)
{
  static const char digits[] = "0123456789abcdef";
  long n = 0;

  if (end - s < 4)
    return -1;
  for (int i = 0; i < 4; i++) {
    const char *d = s[i] ? strchr (digits, s[i] >= 'A' && s[i] <= 'F' ? s[i] + 32 : s[i]) : NULL;

    if (!d)
      return -1;
    n = n * 16 + (d - digits);
  }
  return n;
}

/* Write a character as UTF-8.  Returns its length. */
static size_t
put_utf8 (char *buf, uint32_t c)
{
  size_t length = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const unsigned char first[] = { 0, 0, 0xC0, 0xE0, 0xF0 };

  for (size_t i = length - 1; i > 0; i--) {
    buf[i] = (char) (0x80 | (c & 0x3F));
    c >>= 6;
  }
  buf[0] = (char) (first[length] | c);
  return length;
}

/* Decode what follows a \u, one or both of a pair. */
static uint32_t
take_number (struct rest *r)
{
  const long c = four_digits (r->s, r->end);
  long low;

  if (c < 0)
    return 0xFFFD;
  r->s += 4;
  if (c < 0xD800 || c > 0xDFFF)
    return c ? (uint32_t) c : 0xFFFD;
  if (c > 0xDBFF || r->end - r->s < 6 || r->s[0] != '\\' || r->s[1] != 'u')
    return 0xFFFD;
  low = four_digits (r->s + 2, r->end);
  if (low < 0xDC00 || low > 0xDFFF)
    return 0xFFFD;
  r->s += 6;
  return 0x10000 + (uint32_t) (((c - 0xD800) << 10) + (low - 0xDC00));
}

/* Decode what is next, to at most 4 bytes.  Returns how many. */
static size_t
take_character (struct rest *r, char *buf)
{
  static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
  const char *name;

  if (*r->s != '\\' || ++r->s == r->end) {
    /* A character of UTF-8 is taken byte by byte, and ends where the next begins. */
    size_t n = 0;

    do
      buf[n++] = *r->s++;
    while (n < 4 && r->s < r->end && ((unsigned char) *r->s & 0xC0) == 0x80);
    return n;
  }
  if (*r->s == 'u') {
    r->s++;
    return put_utf8 (buf, take_number (r));
  }
  name = strchr (names, *r->s);
  *buf = name && *name ? values[name - names] : *r->s;
  r->s++;
  return 1;
}

size_t
object_character (const char **s, const char *end, char buf[4])
{
  struct rest r = { .s = *s, .end = end };
  const size_t n = take_character (&r, buf);

  *s = r.s;
  return n;
}

size_t
member_string (const struct member *m, char *buf, size_t size)
{
  struct rest r;
  size_t len = 0, n;
  char one[4];

  *buf = '\0';
  if (!m || *m->value != '"')
    return 0;
  r = (struct rest) { .s = m->value + 1, .end = m->value + m->len - 1 };
  while (r.s < r.end) {
    n = take_character (&r, one);
    if (len + n >= size)
      break;
    memcpy (buf + len, one, n);
    len += n;
  }
  buf[len] = '\0';
  return len;
}
