/* owner.h - to which file a part of the disk belongs. */

#ifndef TORTURE_OWNER_H
#define TORTURE_OWNER_H

#include <stdint.h>

#include "torture/state.h"

/* Whose is this byte of the disk, when the file system has recovered from a cut at this point
 * that loses nothing?  A path, or "the journal", from malloc; NULL: nobody's, or that can't be
 * found out.
 */
char *owner_of (const struct checking *c, const struct point *p, uint64_t offset);

#endif /* TORTURE_OWNER_H */
