/* shrink.h - the least that must be lost for a failure. */

#ifndef TORTURE_SHRINK_H
#define TORTURE_SHRINK_H

#include "torture/causes.h"

/* Look for a state that fails in the same words and loses less than the best one so far;
 * set that one, the class, and what else is left out.  The workers must be idle.
 */
void shrink (const struct checking *c, struct cause *k);

#endif /* TORTURE_SHRINK_H */
