/* spec.h - reading fault {...}, and showing it. */

#ifndef LUA_SPEC_H
#define LUA_SPEC_H

#include <lua.h>

#include "fault/rule.h"

/* Fill in S, which is all 0, its text and place included, from the table at stack index 2, and check that the
 * rule can match a request and does something to all that it matches; raises an
 * error that names the key otherwise.  S points into values that are left on the
 * stack.  With the host's lock held.
 */
void take_spec (lua_State *L, struct fault_spec *s);

/*--------------------------------------------------------------------*/
/* describe.c */

/* How many bytes of a rule are shown. */
#define RULE_TEXT_MAX 200

/* A rule in one line, as its user wrote it.  All 0 at first. */
struct rule_text {
  char s[RULE_TEXT_MAX + 1];    /* no 0 at its end; full: there is more */
  size_t len;
};

/* Add a key, with the value on top of the stack, which stays there. */
void describe_key (lua_State *L, struct rule_text *t, const char *key);

/* Push the text, which ends with an ellipsis where something is left out. */
const char *describe_push (lua_State *L, const struct rule_text *t);

/* Push the place from which Lua code calls a C function, such as "faults.lua:4": its
 * innermost function, except those of modules that it calls.
 */
const char *describe_place (lua_State *L);

/* Write the place where the function on top of the stack is defined. */
void describe_function (lua_State *L, char *place, size_t size);

#endif /* LUA_SPEC_H */
