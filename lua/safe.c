/* safe.c - Lua's standard library, except what could end, block or crash the
 * server.
 *
 * Count hooks are what ends a script that runs on (tick in host.c).  There are
 * two places where Lua has none, and so no code of a script may run there: in a
 * finalizer, and in a coroutine whose count hook has raised an error.
 */

#include <stdio.h>
#include <string.h>

#include "lua/host.h"
#include "lua/spec.h"

static int guards_ref;          /* tables that have a finalizer: weak keys */

/* Some script mentions a function that waits, or disk:stats. */
static bool mentions_wait, mentions_stats;

/* print: to standard error, because standard output may be the client. */
static int
lua_print (lua_State *L)
{
  int n = lua_gettop (L);
  const char *s;
  size_t len;

  for (int i = 1; i <= n; i++) {
    s = luaL_tolstring (L, i, &len);
    if (i > 1)
      fputc ('\t', stderr);
    fwrite (s, 1, len, stderr);
    lua_pop (L, 1);
  }
  fputc ('\n', stderr);
  return 0;
}

static int
lua_os_exit (lua_State *L)
{
  return luaL_error (L, "os.exit: a script can't end the server");
}

/*--------------------------------------------------------------------*/
/* Words that scripts mention. */

/* Could this be the name of a parameter, as nbdkit allows it? */
static bool
is_key (const char *s, size_t len)
{
  static const char others[] = "0123456789.-_";         /* not at the start */

  for (size_t i = 0; i < len; i++) {
    const char c = (char) (s[i] | ('a' - 'A'));

    if ((c < 'a' || c > 'z') && (i == 0 || !memchr (others, s[i], sizeof others - 1)))
      return false;
  }
  return len > 0;
}

void
note_word (lua_State *L, const char *word, size_t len)
{
  lua_getfield (L, LUA_REGISTRYINDEX, WORDS);
  lua_pushlstring (L, word, len);
  lua_pushboolean (L, 1);
  lua_rawset (L, -3);
  lua_pop (L, 1);
}

/* lua_dump's writer.  Leans on how Lua 5.4 dumps a string constant (dumpString in
 * ldump.c): its length is one piece, and all of its bytes another.  lua.h does not
 * promise that.  A Lua that dumps them otherwise finds no mentions, so that hooks
 * that sleep hold up other requests of their connection, disk:stats counts
 * nothing, and a parameter that only a hook looks up is refused.  Other pieces that
 * look like one of these words do no harm.
 *
 * A name of a field of fault {} is no mention of a parameter: nearly always it is the field.
 */
static int
find_mentions (lua_State *L, const void *p, size_t size, void *unused)
{
  (void) unused;
  if ((size == 5 && (memcmp (p, "sleep", 5) == 0
                     || memcmp (p, "delay", 5) == 0))
      || (size == 4 && memcmp (p, "hang", 4) == 0))
    mentions_wait = true;
  if (size == 5 && memcmp (p, "stats", 5) == 0)
    mentions_stats = true;
  if (!host.serving && is_key (p, size) && !spec_has_key (p, size))
    note_word (L, p, size);
  return 0;
}

/* Note what the function on top of the stack mentions. */
void
note_mentions (lua_State *L)
{
  if (lua_type (L, -1) == LUA_TFUNCTION && !lua_iscfunction (L, -1))
    lua_dump (L, find_mentions, NULL, 1);
}

bool
hooks_may_wait (void)
{
  return mentions_wait;
}

bool
hooks_may_ask_stats (void)
{
  return mentions_stats;
}

/*--------------------------------------------------------------------*/
/* Loading: text only. */

/* load, loadfile and so on, for text only, because wrong bytecode crashes Lua.
 * Upvalue 1 is the real function, upvalue 2 the place of its mode.
 */
static int
load_text (lua_State *L)
{
  int mode = (int) lua_tointeger (L, lua_upvalueindex (2));
  int n = lua_gettop (L);

  if (mode == 2)
    luaL_checkstring (L, 1);    /* loadfile: never standard input */
  if (n < mode)
    lua_settop (L, n = mode);
  lua_pushliteral (L, "t");
  lua_replace (L, mode);
  lua_pushvalue (L, lua_upvalueindex (1));
  lua_insert (L, 1);
  lua_call (L, n, LUA_MULTRET);
  if (lua_gettop (L) == 1)
    note_mentions (L);
  return lua_gettop (L);
}

static int
dofile_done (lua_State *L, int status, lua_KContext context)
{
  (void) status;
  (void) context;
  return lua_gettop (L) - 1;
}

static int
lua_dofile (lua_State *L)
{
  const char *name = luaL_checkstring (L, 1);

  lua_settop (L, 1);
  if (luaL_loadfilex (L, name, "t") != LUA_OK)
    return lua_error (L);
  note_mentions (L);
  lua_callk (L, 0, LUA_MULTRET, 0, dofile_done);
  return dofile_done (L, LUA_OK, 0);
}

/* Note the source of the function on top of the stack. */
static void
note_module (lua_State *L)
{
  lua_Debug ar;

  lua_getfield (L, LUA_REGISTRYINDEX, MODULES);
  lua_pushvalue (L, -2);
  lua_getinfo (L, ">S", &ar);
  lua_pushboolean (L, 1);
  lua_setfield (L, -2, ar.source);
  lua_pop (L, 1);
}

/* package.searchers[2]: modules in Lua, as text. */
static int
search_module (lua_State *L)
{
  const char *name = luaL_checkstring (L, 1);

  lua_getfield (L, lua_upvalueindex (1), "searchpath");
  lua_pushstring (L, name);
  lua_getfield (L, lua_upvalueindex (1), "path");
  lua_call (L, 2, 2);
  if (lua_isnil (L, -2))
    return 1;                   /* why it was not found */
  lua_pop (L, 1);
  if (luaL_loadfilex (L, lua_tostring (L, -1), "t") != LUA_OK)
    return luaL_error (L, "%s", lua_tostring (L, -1));
  note_mentions (L);
  note_module (L);
  lua_insert (L, -2);
  return 2;
}

/*--------------------------------------------------------------------*/
/* Finalizers. */

/* A finalizer runs without count hooks, so one that loops could not be stopped.
 * So a script's table never has one: a guard has, a userdata that is there as
 * long as the table is.  It calls the table's __gc in a coroutine of its own,
 * which has count hooks.
 */
static int
guard_gc (lua_State *L)
{
  lua_State *co;
  int n;

  /* The table may live on, and get another guard. */
  if (lua_getiuservalue (L, 1, 1) == LUA_TNIL)
    return 0;
  lua_rawgeti (L, LUA_REGISTRYINDEX, guards_ref);
  lua_pushvalue (L, 2);
  lua_pushnil (L);
  lua_rawset (L, 3);

  if (!lua_getmetatable (L, 2))
    return 0;
  co = lua_newthread (L);
  lua_pushliteral (L, "__gc");
  if (lua_rawget (L, 4) == LUA_TNIL)
    return 0;
  lua_pushvalue (L, 2);
  lua_xmove (L, co, 2);
  switch (lua_resume (co, L, 1, &n)) {
  case LUA_OK:
    return 0;
  case LUA_YIELD:
    return luaL_error (L, "a finalizer can't yield, or ran for too long");
  default:
    lua_xmove (co, L, 1);
    return lua_error (L);
  }
}

/* Give the table at index 1 a guard, if it has none. */
static void
add_guard (lua_State *L)
{
  int top = lua_gettop (L);

  lua_rawgeti (L, LUA_REGISTRYINDEX, guards_ref);
  lua_pushvalue (L, 1);
  if (lua_rawget (L, -2) == LUA_TNIL) {
    lua_newuserdatauv (L, 0, 1);
    luaL_setmetatable (L, "guard");
    lua_pushvalue (L, 1);
    lua_pushvalue (L, -2);
    lua_rawset (L, top + 1);
    lua_pushvalue (L, 1);
    lua_setiuservalue (L, -2, 1);
  }
  lua_settop (L, top);
}

/* Give value 1 the metatable 2, or nil.  Lua does not see __gc in it. */
static int
set_metatable (lua_State *L)
{
  lua_settop (L, 2);
  lua_pushliteral (L, "__gc");
  lua_pushnil (L);
  if (lua_istable (L, 1) && lua_istable (L, 2)) {
    lua_pushvalue (L, 3);
    lua_rawget (L, 2);
    lua_replace (L, 4);
  }
  if (!lua_isnil (L, 4)) {
    add_guard (L);
    lua_pushvalue (L, 3);
    lua_pushnil (L);
    lua_rawset (L, 2);
  }
  lua_pushvalue (L, 2);
  lua_setmetatable (L, 1);
  if (!lua_isnil (L, 4))
    lua_rawset (L, 2);
  lua_settop (L, 1);
  return 1;
}

static int
lua_set_metatable (lua_State *L)
{
  luaL_checktype (L, 1, LUA_TTABLE);
  luaL_argexpected (L, lua_isnil (L, 2) || lua_istable (L, 2), 2,
                    "nil or table");
  if (luaL_getmetafield (L, 1, "__metatable") != LUA_TNIL)
    return luaL_error (L, "cannot change a protected metatable");
  return set_metatable (L);
}

/*--------------------------------------------------------------------*/
/* Coroutines. */

/* coroutine.resume and coroutine.close, but not for those that are kept. */
static int
others_only (lua_State *L)
{
  if (lua_isthread (L, 1)) {
    if (host_is_kept (L, lua_tothread (L, 1)))
      return luaL_error (L, "this coroutine can't be resumed or closed: it is a "
                         "hook's, or was stopped");
  }
  lua_pushvalue (L, lua_upvalueindex (1));
  lua_insert (L, 1);
  lua_call (L, lua_gettop (L) - 1, LUA_MULTRET);
  return lua_gettop (L);
}

/* A coroutine has failed, or could not be resumed.  Close one that has failed,
 * unless it was stopped in a way that leaves it without count hooks, so that its
 * __close could not be stopped; and raise its error here.
 */
static int
wrap_error (lua_State *L, lua_State *co)
{
  const int status = lua_status (co);

  if (status != LUA_OK && status != LUA_YIELD && !host_is_kept (L, co)) {
#if LUA_VERSION_RELEASE_NUM >= 50406
    lua_closethread (co, L);
#else
    lua_resetthread (co);
#endif
  }
  luaL_checkstack (L, 2, NULL);
  lua_xmove (co, L, 1);
  if (lua_type (L, -1) == LUA_TSTRING) {
    luaL_where (L, 1);
    lua_insert (L, -2);
    lua_concat (L, 2);
  }
  return lua_error (L);
}

/* The function that coroutine.wrap returns.  Upvalue 1 is the coroutine. */
static int
wrap_call (lua_State *L)
{
  lua_State *co = lua_tothread (L, lua_upvalueindex (1));
  int n = lua_gettop (L), status;

  if (host_is_kept (L, co))
    return luaL_error (L, "cannot resume dead coroutine");
  if (!lua_checkstack (co, n))
    return luaL_error (L, "too many arguments to resume");
  lua_xmove (L, co, n);
  status = lua_resume (co, L, n, &n);
  if (status != LUA_OK && status != LUA_YIELD)
    return wrap_error (L, co);
  if (!lua_checkstack (L, n + 1)) {
    lua_pop (co, n);
    return luaL_error (L, "too many results to resume");
  }
  lua_xmove (co, L, n);
  return n;
}

static int
lua_wrap (lua_State *L)
{
  lua_State *co;

  luaL_checktype (L, 1, LUA_TFUNCTION);
  co = lua_newthread (L);
  lua_pushvalue (L, 1);
  lua_xmove (L, co, 1);
  lua_pushcclosure (L, wrap_call, 1);
  return 1;
}

/*--------------------------------------------------------------------*/
/* debug. */

/* debug.setmetatable and debug.getmetatable, but not for userdata: their
 * methods, written in C, trust what they are called with.
 */
static int
debug_setmetatable (lua_State *L)
{
  luaL_argcheck (L, !lua_isuserdata (L, 1), 1, "can't be a userdata");
  luaL_argexpected (L, lua_isnil (L, 2) || lua_istable (L, 2), 2,
                    "nil or table");
  return set_metatable (L);
}

static int
debug_getmetatable (lua_State *L)
{
  luaL_checkany (L, 1);
  luaL_argcheck (L, !lua_isuserdata (L, 1), 1, "can't be a userdata");
  if (!lua_getmetatable (L, 1))
    lua_pushnil (L);
  return 1;
}

/* debug.getinfo, but it gives no C function: those of the server's own trust
 * what they are called with.  Upvalue 1 is the real function.
 */
static int
debug_getinfo (lua_State *L)
{
  const int level = lua_isthread (L, 1) && lua_tothread (L, 1) == L ? 2 : 1;

  /* It would make the table of lines where nothing protects the coroutine. */
  if (lua_isthread (L, 1) && level == 1
      && strchr (luaL_optstring (L, 3, ""), 'L'))
    return luaL_error (L, "debug.getinfo: no option L with another coroutine; give "
                       "the function alone");
  /* This function is one level more. */
  if (lua_isinteger (L, level)) {
    lua_pushinteger (L, lua_tointeger (L, level) + 1);
    lua_replace (L, level);
  }
  lua_pushvalue (L, lua_upvalueindex (1));
  lua_insert (L, 1);
  lua_call (L, lua_gettop (L) - 1, 1);
  if (lua_istable (L, -1)) {
    if (lua_getfield (L, -1, "func") != LUA_TNIL && lua_iscfunction (L, -1)) {
      lua_pushnil (L);
      lua_setfield (L, -3, "func");
    }
    lua_pop (L, 1);
  }
  return 1;
}

/* Take away what reaches into functions and userdata of the server's own. */
static void
tame_debug (lua_State *L)
{
  static const char *const unsafe[] = {
    "getregistry", "getlocal", "setlocal", "getupvalue", "setupvalue",
    "setuservalue",
    "sethook",                  /* the time limit is such a hook */
    "debug",                    /* reads standard input */
  };

  lua_getglobal (L, "debug");
  for (size_t i = 0; i < sizeof unsafe / sizeof unsafe[0]; i++) {
    lua_pushnil (L);
    lua_setfield (L, -2, unsafe[i]);
  }
  lua_pushcfunction (L, debug_setmetatable);
  lua_setfield (L, -2, "setmetatable");
  lua_pushcfunction (L, debug_getmetatable);
  lua_setfield (L, -2, "getmetatable");

  lua_getfield (L, -1, "getinfo");
  lua_pushcclosure (L, debug_getinfo, 1);
  lua_setfield (L, -2, "getinfo");

  luaL_newmetatable (L, "guard");
  lua_pushcfunction (L, guard_gc);
  lua_setfield (L, -2, "__gc");
}

/*--------------------------------------------------------------------*/
/* Globals that are objects: on = { read = f } would declare no hook, and nobody would
 * notice.
 */

static const struct { const char *name, *instead; } objects[] = {
  { "on", "write function on.read(req) or on.read = ..." },
  { "fault", "call it, as in fault { op = \"read\", error = \"EIO\" }" },
  { "disk", "choose another name, or local disk = ..." },
  { "param", "choose another name, or local param = ..." },
};

#define NR_OBJECTS (sizeof objects / sizeof objects[0])

void
note_objects (lua_State *L)
{
  for (size_t i = 0; i < NR_OBJECTS; i++) {
    lua_getglobal (L, objects[i].name);
    lua_rawsetp (L, LUA_REGISTRYINDEX, &objects[i]);
  }
}

/* Is it as it was?  If not, put it back. */
static bool
keep_object (lua_State *L, size_t i)
{
  const int top = lua_gettop (L);
  bool same;

  luaL_checkstack (L, 4, NULL);
  lua_rawgeti (L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushstring (L, objects[i].name);
  lua_rawget (L, -2);
  lua_rawgetp (L, LUA_REGISTRYINDEX, &objects[i]);
  same = lua_rawequal (L, -1, -2);
  if (!same) {
    lua_pushstring (L, objects[i].name);
    lua_insert (L, -2);
    lua_rawset (L, top + 1);
  }
  lua_settop (L, top);
  return same;
}

void
restore_objects (lua_State *L)
{
  for (size_t i = 0; i < NR_OBJECTS; i++)
    keep_object (L, i);
}

void
check_objects (lua_State *L, const char *where)
{
  for (size_t i = 0; i < NR_OBJECTS; i++)
    if (!keep_object (L, i)) {
      restore_objects (L);
      luaL_error (L, "%s%s can't be replaced: %s", where, objects[i].name,
                  objects[i].instead);
    }
}

/*--------------------------------------------------------------------*/

/* lua_resume and lua_closethread make these messages where nothing protects the
 * coroutine, so that a lack of memory would end the server.  Strings that are there
 * need none.
 */
static void
keep_messages (lua_State *L)
{
  static const char *const messages[] = {
    "cannot resume dead coroutine", "cannot resume non-suspended coroutine",
    "C stack overflow", "error in error handling",
  };

  for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
    lua_pushstring (L, messages[i]);
    luaL_ref (L, LUA_REGISTRYINDEX);
  }
}

/* The time limit needs to know which coroutines run. */
static void
tame_coroutine (lua_State *L)
{
  keep_messages (L);
  lua_getglobal (L, "coroutine");
  lua_getfield (L, -1, "resume");
  lua_pushcclosure (L, others_only, 1);
  lua_setfield (L, -2, "resume");
  lua_getfield (L, -1, "close");
  lua_pushcclosure (L, others_only, 1);
  lua_setfield (L, -2, "close");
  lua_pushcfunction (L, lua_wrap);
  lua_setfield (L, -2, "wrap");
}

/* Text only, wherever code is loaded from. */
static void
tame_loading (lua_State *L)
{
  lua_register (L, "dofile", lua_dofile);
  lua_getglobal (L, "load");
  lua_pushinteger (L, 3);
  lua_pushcclosure (L, load_text, 2);
  lua_setglobal (L, "load");
  lua_getglobal (L, "loadfile");
  lua_pushinteger (L, 2);
  lua_pushcclosure (L, load_text, 2);
  lua_setglobal (L, "loadfile");

  lua_getglobal (L, "package");
  lua_getfield (L, -1, "searchers");
  lua_pushvalue (L, -2);
  lua_pushcclosure (L, search_module, 1);
  lua_rawseti (L, -2, 2);
}

void
open_libraries (lua_State *L)
{
  luaL_openlibs (L);
  lua_newtable (L);
  lua_setfield (L, LUA_REGISTRYINDEX, WORDS);
  lua_newtable (L);
  lua_setfield (L, LUA_REGISTRYINDEX, MODULES);
  guards_ref = host_ref_weak (L);
  lua_register (L, "print", lua_print);
  tame_loading (L);

  /* Lua itself would draw another seed each time. */
  lua_getglobal (L, "math");
  lua_getfield (L, -1, "randomseed");
  lua_pushinteger (L, (lua_Integer) host.config.seed);
  lua_call (L, 1, 0);

  lua_getglobal (L, "os");
  lua_pushcfunction (L, lua_os_exit);
  lua_setfield (L, -2, "exit");

  tame_debug (L);
  lua_register (L, "setmetatable", lua_set_metatable);
  tame_coroutine (L);

  /* With nbdkit -s, standard input and output are the client. */
  if (luaL_dostring (L, "io.stdout = io.stderr io.output(io.stderr) "
                     "io.input('/dev/null') io.stdin = io.input() "
                     "getmetatable(io.stdin).__metatable = false"))
    lua_error (L);
  lua_settop (L, 0);
}
