/* oracle.h - is what a check has found what was promised?  (--oracle set)
 *
 * An item is a line, such as X or k=v, whose key is k; the key of X is X.
 */

#ifndef TORTURE_ORACLE_H
#define TORTURE_ORACLE_H

#include "torture/history.h"

/* Compare the lines that a check has printed for a state of this point.  Everything that was
 * acknowledged must be there, with the value that was acknowledged last for its key, or one
 * begun or acknowledged since that was begun; and nothing that was neither begun nor
 * acknowledged anywhere in the run, because a late "begin" must not accuse.  NULL: so it is.
 * Otherwise what is wrong, from malloc: "lost: X", "old: k=v" or "foreign: X".
 */
char *oracle_judge (const struct history *h, const struct point *p, const char *found);

#endif /* TORTURE_ORACLE_H */
