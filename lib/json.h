/* json.h - writing JSON (RFC 8259) into memory that grows. */

#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All 0 at first.  TEXT is ended by a 0 that LEN does not count.  Once memory
 * was missing, FAILED is set and nothing more is added.
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

/* Add a string in quotes.  Bytes that are not UTF-8 become the characters of
 * their numbers (as in Latin-1), so that any string has some JSON.
 */
void json_string (struct json *j, const char *s, size_t n);

/* Add a number; what JSON has no number for becomes null. */
void json_number (struct json *j, double d);

void json_free (struct json *j);

#endif /* JSON_H */
