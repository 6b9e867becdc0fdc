/* text.h - reading and suggesting the words that users write.
 *
 * There is one parser of each kind of value, for the command line and for
 * scripts.  They do not depend on the locale.  Strings end with a 0.  Any thread
 * may call these functions.
 */

#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Read a size in bytes: decimal digits and at most one suffix of nbdkit's,
 * b k M G T P E (powers of 1024) or s (512-byte sectors), in either case.
 * False, and *SIZE unchanged: not of that form, or more than 2^63-1.
 */
bool text_size (const char *s, uint64_t *size);

/* Read a time: a decimal number without a sign, such as 2, 0.5 or 1e-3, and at
 * most one of the units ns, us, μs (with U+03BC or U+00B5), ms, s (the default)
 * and m (a minute).  It is rounded to nanoseconds.  False, and *NS unchanged: not
 * of that form, or 9.2e18 nanoseconds (about 292 years) or more.
 */
bool text_time (const char *s, uint64_t *ns);

/* Read a probability: 0.1, 1e-1, 10%, 1:10 or 1/10, which are all the same.
 * False, and *P unchanged: not of that form, or not from 0 to 1.
 */
bool text_probability (const char *s, double *p);

/* Read a whole number of decimal digits alone, without zeroes before it, and go on to
 * what follows it.  False: there is none at *S, or it is more than 2^64-1.
 */
bool text_digits (const char **s, uint64_t *n);

/* Read a truth value, as nbdkit does: true, t, yes, y, on or 1, or false, f, no,
 * n, off or 0, in any case.  False, and *B unchanged: it is none of these.
 */
bool text_bool (const char *s, bool *b);

/* The one of NAMES (which ends with NULL) that is most like WORD, whatever the
 * case, or NULL if none is like it.  For "did you mean".
 */
const char *text_nearest (const char *word, const char *const *names);

#endif /* TEXT_H */
