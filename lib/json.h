/* json.h - writing JSON (RFC 8259) into memory that grows.
 *
 * The caller adds the brackets of arrays and objects, and sees to it that they
 * match.  Commas are added where they are due.  The caller locks.
 */

#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All 0 at first.  TEXT is from malloc and ends with a 0 that LEN does not
 * count; it is NULL as long as nothing was added.  FAILED is set when memory
 * runs out, and from then on nothing more is added.
 */
struct json {
  char *text;
  size_t len, size;
  bool failed;
};

/* Add characters as they are: N bytes, or as printf (at most 255; more set
 * FAILED).
 */
void json_add (struct json *j, const char *s, size_t n);
void json_addf (struct json *j, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/* Add the comma that is due before another value of an array: none at the start
 * of the text or of a line, and none after an opening bracket, a colon or a
 * comma.
 */
void json_comma (struct json *j);

/* Add the key of a member (N bytes) with the comma before it, if one is due, and
 * the colon after it.  Its value is added next.
 */
void json_key (struct json *j, const char *key, size_t n);

/* Add a whole member, with the comma before it.  The value is JSON, written as by
 * json_addf; or a string, or a number, written as by the functions below.  KEY
 * and S end with a 0.
 */
void json_member (struct json *j, const char *key, const char *format, ...)
  __attribute__ ((format (printf, 3, 4)));
void json_member_string (struct json *j, const char *key, const char *s);
void json_member_number (struct json *j, const char *key, double d);

/* Add a string of N bytes in quotes.  UTF-8 stays as it is.  A byte that is not
 * part of a UTF-8 character becomes the character with its number (as in
 * Latin-1), so that any string has some JSON.
 */
void json_string (struct json *j, const char *s, size_t n);

/* The same without the quotes, for one that is added in pieces.  No UTF-8 character
 * may be cut.
 */
void json_piece (struct json *j, const char *s, size_t n);

/* The length of the UTF-8 character at S, where N bytes are left, at least one.
 * 0: there is none (RFC 3629 has no longer forms than needed, no surrogates, and
 * nothing above U+10FFFF).
 */
size_t json_utf8_length (const unsigned char *s, size_t n);

/* Add a number, with as few digits as identify it.  Infinities and what is not
 * a number have no JSON and become null.
 */
void json_number (struct json *j, double d);

/* Free the text.  The struct is then as it was at first. */
void json_free (struct json *j);

#endif /* JSON_H */
