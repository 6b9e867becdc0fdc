/* spec.h - reading fault {...}. */

#ifndef LUA_SPEC_H
#define LUA_SPEC_H

#include <lua.h>

#include "fault/rule.h"

/* Fill in S, which is all 0, from the table at stack index 2, and check that the
 * rule can match a request and does something to all that it matches; raises an
 * error that names the key otherwise.  S points into values that are left on the
 * stack.  With the host's lock held.
 */
void take_spec (lua_State *L, struct fault_spec *s);

#endif /* LUA_SPEC_H */
