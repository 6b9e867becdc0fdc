/* object.h - reading an object of JSON, such as a line of the fault log.
 *
 * Nothing is copied, and the text may be anything: what is no object is refused.
 */

#ifndef OBJECT_H
#define OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A member: its key as it is written, without quotes, and its value, as it is written.
 * The first character of VALUE says what it is: a digit or -, ", {, [, t, f or n.
 */
struct member {
  const char *key, *value;
  size_t key_len, len;
};

/* As many members are kept; more are checked and left out. */
#define MEMBERS 24

struct object {
  struct member members[MEMBERS];
  int n;
};

/* Read the object that the N bytes at S are, with blanks around it.  False: it is none.
 * The object lives as long as S.  (Of what stands deeper, only the brackets and strings are
 * checked; object_read can read an object in it.)
 */
bool object_read (struct object *o, const char *s, size_t n);

/* The member with this key, or NULL. */
const struct member *object_find (const struct object *o, const char *key);

/* Is the key of this member KEY? */
bool member_is (const struct member *m, const char *key);

/* Read what the member KEY has, if it has that: a number, or one from 0 on without
 * fraction.  False, and *X unchanged: there is no such member.
 */
bool object_number (const struct object *o, const char *key, double *x);
bool object_count (const struct object *o, const char *key, uint64_t *x);

/* Is the member KEY true? */
bool object_true (const struct object *o, const char *key);

/* Read the object that the member KEY is.  False: there is none. */
bool object_inside (const struct object *o, const char *key, struct object *inside);

/* Decode the next character of a string, which ends at END, to UTF-8 into BUF, and go past it.
 * \u0000 and half of a pair become U+FFFD.  Returns its length, 1 to 4.
 */
size_t object_character (const char **s, const char *end, char buf[4]);

/* Decode a string to UTF-8 into BUF of SIZE bytes, with a 0 behind it; what has no room is
 * left out, from the first character on that does not fit.  \u0000 and half of a pair
 * become U+FFFD.  Returns the length, or 0 and an empty string if M is NULL or no string.
 */
size_t member_string (const struct member *m, char *buf, size_t size);

#endif /* OBJECT_H */
