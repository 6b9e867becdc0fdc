/* point.h - moments of the past, by name: the POINT in crash/POINT/CHOICE.
 *
 *      N, before-N                     just after, or before, request N completed
 *      flush-M, before-flush-M         the same of the M-th flush that succeeded
 *      before-change-K                 just before the K-th change that is no request: the
 *                                      medium was changed, or a failed flush lost what it
 *                                      covered
 *      mark-TEXT, mark-TEXT#n          just after the first (n-th) mark of this text
 *      cut-K                           just before the K-th cut
 *      0, end                          just before request 1 was applied; after all
 *
 * NOW is the present, in events: what is later is left out.  The lock of the cache is held.
 */

#ifndef DISK_POINT_H
#define DISK_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/history.h"

/* Find the moment of a point.  WORDS says what it is, such as "just before flush 14
 * returned".  0; EINVAL, with a sentence in WHY of SIZE bytes; ENOMEM.
 */
int point_find (const struct history *h, const char *point, uint64_t now, uint64_t *when,
                char *words, size_t words_size, char *why, size_t size);

/* Name the first point from the time *FROM on, and set that to the time after it, so that
 * no state of any moment is missed by who goes through all of these points: only when
 * something becomes durable, or is lost, do states go away.  So they are just before each
 * flush or FUA returns, each change and each cut; each mark, because it says more of what
 * must be there; and the end.  Of those at the same moment, there is one.  False: there is
 * none.
 */
#define POINT_NAME 800          /* bytes that a name has at most */
bool point_next (const struct history *h, uint64_t now, uint64_t *from, char *name,
                 size_t size);

#endif /* DISK_POINT_H */
