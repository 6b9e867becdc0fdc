/* spec.h - reading fault {...}, and showing it. */

#ifndef LUA_SPEC_H
#define LUA_SPEC_H

#include <lua.h>

#include "fault/rule.h"

/* Fill in S, which is all 0, its text and place included, from the table at stack
 * index 2, and check that the rule can match a request and does something to all that it matches; raises an
 * error that names the key otherwise.  S points into values that are left on the
 * stack.  With the host's lock held.
 */
void take_spec (lua_State *L, struct fault_spec *s);

/* Are these LEN bytes a key of fault {...}? */
bool spec_has_key (const char *name, size_t len);

/* Which parts of a request are kept. */
struct parts {
  bool half;                    /* its first half; then there are no ranges */
  struct fault_range *ranges;   /* in a userdata */
  size_t n;                     /* at least 1 */
};

/* Read what keep takes, except a function, from the top of the stack: how many bytes of
 * the start, "half", or a list of { offset, count } (an empty one keeps nothing, as 0
 * does).  The userdata with the ranges is left below the value.  False: it is none of
 * these, but not what PARTS_EXPECTED says.
 */
bool to_parts (lua_State *L, struct parts *p);
#define PARTS_EXPECTED \
  "bytes, such as 512 or \"4K\", \"half\", a list of {offset, count}"

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
