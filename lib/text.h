/* text.h - reading and suggesting the words that users write. */

#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Read a size in bytes: decimal digits and at most one suffix of nbdkit's,
 * b k M G T P E (powers of 1024) or s (512-byte sectors), in either case.
 * False, and *SIZE unchanged: not of that form, or more than 2^63-1.
 */
bool text_size (const char *s, uint64_t *size);

/* Read a time: a decimal number, such as 2 or 0.5, and at most one of the units
 * us, ms, s (the default), m.  False, and *NS unchanged: not of that form, or
 * more than about 292 years of nanoseconds.
 */
bool text_time (const char *s, uint64_t *ns);

/* Read a probability: 0.01, 1% or 1:100, which are the same.  False, and *P
 * unchanged: not of that form, or not from 0 to 1.
 */
bool text_probability (const char *s, double *p);

/* The one of NAMES (ended by NULL) that is most like WORD, or NULL where
 * none is like it.  For "did you mean".
 */
const char *text_nearest (const char *word, const char *const *names);

#endif /* TEXT_H */
