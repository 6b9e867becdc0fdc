/* args.c - the arguments of scripts, read and checked: names, and values such as
 * bytes, times and probabilities; and the globals that read these.
 */

#include <stdlib.h>
#include <string.h>

#include "lib/sys.h"
#include "lib/text.h"
#include "lua/host.h"

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
new_class (lua_State *L, const char *name, lua_CFunction index,
           lua_CFunction newindex, int upvalues)
{
  const luaL_Reg functions[] = {
    { "__index", index }, { "__newindex", newindex }, { NULL, NULL },
  };

  if (name)
    luaL_newmetatable (L, name);
  else
    lua_createtable (L, 0, 4);
  lua_pushboolean (L, 0);
  lua_setfield (L, -2, "__metatable");
  lua_insert (L, -1 - upvalues);
  luaL_setfuncs (L, functions, upvalues);
}

void
push_object (lua_State *L)
{
  lua_newtable (L);
  lua_createtable (L, 0, 1);
  lua_pushboolean (L, 1);
  lua_setfield (L, -2, "__object");
  lua_setmetatable (L, -2);
}

void
make_strict (lua_State *L, const char *what, const char *const *names,
             lua_CFunction call)
{
  lua_pushstring (L, what);
  lua_pushlightuserdata (L, (void *) names);
  new_class (L, NULL, strict_index, strict_index, 2);
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

/* Raise the error that argument ARG is not WHAT. */
static int
not_expected (lua_State *L, int arg, const char *what)
{
  const char *quote = lua_type (L, arg) == LUA_TSTRING ? "\"" : "";
  const char *got = lua_isnone (L, arg) ? "no value"
                                        : luaL_tolstring (L, arg, NULL);

  return luaL_argerror (L, arg,
                        lua_pushfstring (L, "expected %s, got %s%s%s", what,
                                         quote, got, quote));
}

int
past_end (lua_State *L, int arg)
{
  lua_pushfstring (L, "reaches past the end of the disk, which has %I bytes",
                   (lua_Integer) disk_size (disk_live ()));
  return luaL_argerror (L, arg, lua_tostring (L, -1));
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
    not_expected (L, arg, "bytes, such as 512 or \"4K\"");
  }
  return n <= max ? n : (uint64_t) past_end (L, arg);
}

bool
to_time (lua_State *L, int index, uint64_t *ns)
{
  const lua_Number seconds = lua_tonumber (L, index);

  if (lua_type (L, index) == LUA_TSTRING)
    return text_time (lua_tostring (L, index), ns);
  if (lua_type (L, index) != LUA_TNUMBER || !(seconds >= 0 && seconds < 9e9))
    return false;
  *ns = (uint64_t) (seconds * (double) SECOND + 0.5);
  return true;
}

bool
lacks_unit (lua_State *L, int index)
{
  const char *s = lua_type (L, index) == LUA_TSTRING ? lua_tostring (L, index) : "";
  const size_t len = strlen (s);
  uint64_t ns;

  return len > 0 && strchr ("0123456789.", s[len - 1]) && text_time (s, &ns);
}

bool
to_probability (lua_State *L, int index, double *p)
{
  const lua_Number n = lua_tonumber (L, index);

  if (lua_type (L, index) == LUA_TSTRING)
    return text_probability (lua_tostring (L, index), p);
  if (lua_type (L, index) != LUA_TNUMBER || !(n >= 0 && n <= 1))
    return false;
  *p = n;
  return true;
}

uint64_t
check_time (lua_State *L, int arg)
{
  uint64_t ns = 0;

  if (!to_time (L, arg, &ns))
    not_expected (L, arg, "a time, such as 2 or \"50ms\"");
  return ns;
}

double
check_probability (lua_State *L, int arg)
{
  double p = 0;

  if (!to_probability (L, arg, &p))
    not_expected (L, arg, "a probability, such as 0.01, \"1%\" or \"1:100\"");
  return p;
}

/*--------------------------------------------------------------------*/
/* Globals that read what the user of a script has written, such as the value of a
 * parameter.
 */

/* bytes ("4K"): as a whole number. */
static int
lua_bytes (lua_State *L)
{
  lua_pushinteger (L, (lua_Integer) check_bytes (L, 1, INT64_MAX, UINT64_MAX));
  return 1;
}

/* seconds ("50ms"): as a float. */
static int
lua_seconds (lua_State *L)
{
  lua_pushnumber (L, (lua_Number) check_time (L, 1) / (lua_Number) SECOND);
  return 1;
}

/* probability ("1%"): as a float from 0 to 1. */
static int
lua_probability (lua_State *L)
{
  lua_pushnumber (L, check_probability (L, 1));
  return 1;
}

/* boolean ("yes"): true or false, of a word or of itself. */
static int
lua_boolean (lua_State *L)
{
  bool b = lua_toboolean (L, 1);

  if (!lua_isboolean (L, 1)
      && (lua_type (L, 1) != LUA_TSTRING
          || !text_bool (lua_tostring (L, 1), &b)))
    not_expected (L, 1, "true or false");
  lua_pushboolean (L, b);
  return 1;
}

static int
compare_names (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* __index of an object: upvalue 1 is its name. */
static int
object_index (lua_State *L)
{
  const char *wanted = luaL_tolstring (L, 2, NULL), **names;
  size_t n = 0;

  lua_pushnil (L);
  while (lua_next (L, 1)) {
    lua_pop (L, 1);
    n++;
  }
  names = lua_newuserdatauv (L, (n + 1) * sizeof *names, 0);
  n = 0;
  lua_pushnil (L);
  while (lua_next (L, 1)) {
    lua_pop (L, 1);
    if (lua_type (L, -1) == LUA_TSTRING)
      names[n++] = lua_tostring (L, -1);
  }
  names[n] = NULL;
  qsort (names, n, sizeof *names, compare_names);
  return unknown_name (L, lua_tostring (L, lua_upvalueindex (1)), wanted, names);
}

/* object (name, table): the table, in which to look up what is not there is an error
 * that suggests the nearest, as for disk and rules.
 */
static int
lua_object (lua_State *L)
{
  luaL_checkstring (L, 1);
  luaL_checktype (L, 2, LUA_TTABLE);
  lua_settop (L, 2);
  lua_createtable (L, 0, 1);
  lua_pushvalue (L, 1);
  lua_pushcclosure (L, object_index, 1);
  lua_setfield (L, -2, "__index");
  lua_setmetatable (L, 2);
  return 1;
}

void
open_args (lua_State *L)
{
  lua_register (L, "object", lua_object);
  lua_register (L, "bytes", lua_bytes);
  lua_register (L, "seconds", lua_seconds);
  lua_register (L, "probability", lua_probability);
  lua_register (L, "boolean", lua_boolean);
}

void
set_integer (lua_State *L, const char *name, uint64_t n)
{
  lua_pushinteger (L, (lua_Integer) n);
  lua_setfield (L, -2, name);
}

void
set_string (lua_State *L, const char *name, const char *s)
{
  lua_pushstring (L, s);
  lua_setfield (L, -2, name);
}
