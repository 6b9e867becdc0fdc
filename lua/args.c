/* args.c - what scripts say, read and checked: names, and values of all
 * functions and tables.
 */

#include <string.h>

#include "lua/host.h"
#include "lib/sys.h"
#include "lib/text.h"

/*--------------------------------------------------------------------*/
/* Names. */

int
unknown_name (lua_State *L, const char *what, const char *name,
              const char *const *names)
{
  const char *nearest = text_nearest (name, names);

  luaL_Buffer b;

  if (nearest)
    return luaL_error (L, "%s has no '%s'; did you mean '%s'?", what, name,
                       nearest);
  luaL_buffinit (L, &b);
  for (; *names; names++) {
    luaL_addstring (&b, *names);
    if (names[1])
      luaL_addstring (&b, ", ");
  }
  luaL_pushresult (&b);
  return luaL_error (L, "%s has no '%s', but %s", what, name,
                     lua_tostring (L, -1));
}

size_t
check_name (lua_State *L, const char *what, const char *name,
            const char *const *names)
{
  size_t i = 0;

  for (; names[i]; i++)
    if (strcmp (name, names[i]) == 0)
      return i;
  unknown_name (L, what, name, names);
  return i;
}

void
check_keys (lua_State *L, int arg, const char *what, const char *const *names)
{
  lua_pushnil (L);
  while (lua_next (L, arg)) {
    lua_pop (L, 1);
    check_name (L, what, luaL_tolstring (L, -1, NULL), names);
    lua_pop (L, 1);
  }
}

static int
strict_index (lua_State *L)
{
  return unknown_name (L, lua_tostring (L, lua_upvalueindex (1)),
                       luaL_tolstring (L, 2, NULL),
                       lua_touserdata (L, lua_upvalueindex (2)));
}

void
make_strict (lua_State *L, const char *what, const char *const *names,
             lua_CFunction call)
{
  lua_createtable (L, 0, 3);
  lua_pushstring (L, what);
  lua_pushlightuserdata (L, (void *) names);
  lua_pushcclosure (L, strict_index, 2);
  lua_pushvalue (L, -1);
  lua_setfield (L, -3, "__index");
  lua_setfield (L, -2, "__newindex");
  lua_pushboolean (L, 0);
  lua_setfield (L, -2, "__metatable");
  if (call) {
    lua_pushcfunction (L, call);
    lua_setfield (L, -2, "__call");
  }
  lua_setmetatable (L, -2);
}

/*--------------------------------------------------------------------*/
/* Values. */

bool
to_bytes (lua_State *L, int index, uint64_t *n)
{
  int is_whole;
  lua_Integer i;

  if (lua_type (L, index) == LUA_TSTRING)
    return text_size (lua_tostring (L, index), n);
  i = lua_tointegerx (L, index, &is_whole);
  if (!is_whole || i < 0)
    return false;
  *n = (uint64_t) i;
  return true;
}

uint64_t
check_bytes (lua_State *L, int arg, uint64_t max, uint64_t otherwise)
{
  uint64_t n = 0;

  if (otherwise != UINT64_MAX && lua_isnoneornil (L, arg))
    return otherwise;
  if (!to_bytes (L, arg, &n)) {
    if (lua_type (L, arg) != LUA_TSTRING)
      luaL_argcheck (L, luaL_checkinteger (L, arg) >= 0, arg, "is negative");
    luaL_argerror (L, arg, lua_pushfstring (L, "expected bytes, such as 512 or "
                                            "\"4K\", got \"%s\"",
                                            lua_tostring (L, arg)));
  }
  luaL_argcheck (L, n <= max, arg, "reaches past the end of the disk");
  return n;
}

bool
to_time (lua_State *L, int index, uint64_t *ns)
{
  lua_Number seconds = lua_tonumber (L, index);

  if (lua_type (L, index) == LUA_TSTRING)
    return text_time (lua_tostring (L, index), ns);
  if (lua_type (L, index) != LUA_TNUMBER || !(seconds >= 0 && seconds < 9e9))
    return false;
  *ns = (uint64_t) (seconds * (double) SECOND);
  return true;
}

bool
to_probability (lua_State *L, int index, double *p)
{
  return lua_isstring (L, index)
    && text_probability (lua_tostring (L, index), p);
}

uint64_t
check_time (lua_State *L, int arg)
{
  uint64_t ns = 0;

  if (to_time (L, arg, &ns))
    return ns;
  if (lua_type (L, arg) == LUA_TSTRING)
    luaL_argerror (L, arg, lua_pushfstring (L, "expected a time, such as 2 or "
                                            "\"50ms\", got \"%s\"",
                                            lua_tostring (L, arg)));
  luaL_checknumber (L, arg);
  luaL_argerror (L, arg, "expected seconds, 0 to 9e9");
  return 0;
}
