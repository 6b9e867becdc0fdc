/* script.c - scripts, their parameters, and all that they find there.
 *
 * This is the top of the Lua host: it registers what the other files have, and
 * none of them knows it.
 */

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lib/text.h"
#include "lua/host.h"
#include "lua/spec.h"
#include "report/stats.h"

/*--------------------------------------------------------------------*/
/* param: what the command line says. */

/* The key that is argument 2.  While scripts load, it is noted that one wants it. */
static const char *
check_key (lua_State *L)
{
  size_t len;
  const char *key = luaL_checklstring (L, 2, &len);

  if (!host.serving)
    note_word (L, key, len);
  return key;
}

/* Raise an error that names a value that is one of several. */
static int
given_twice (lua_State *L, const struct param *p)
{
  lua_pushfstring (L, "%s=%s: the parameter is given more than once, and no "
                   "script takes all of its values", p->key, p->value);
  return lua_error (L);
}

/* param.KEY: the value, or nil. */
static int
param_index (lua_State *L)
{
  const char *key = check_key (L);
  const struct param *p = host.config.params, *found = NULL;

  for (size_t i = 0; i < host.config.nr_params; i++) {
    if (strcmp (p[i].key, key) == 0) {
      if (found)
        return given_twice (L, &p[i]);
      found = &p[i];
    }
  }
  lua_pushstring (L, found ? found->value : NULL);      /* NULL becomes nil */
  return 1;
}

/* param (KEY): a list of all its values.  Upvalue 1 collects the keys. */
static int
param_call (lua_State *L)
{
  const char *key = check_key (L);
  const struct param *p = host.config.params;
  lua_Integer n = 0;

  lua_newtable (L);
  for (size_t i = 0; i < host.config.nr_params; i++) {
    if (strcmp (p[i].key, key) == 0) {
      lua_pushstring (L, p[i].value);
      lua_rawseti (L, -2, ++n);
    }
  }
  if (!host.serving) {
    lua_pushboolean (L, 1);
    lua_setfield (L, lua_upvalueindex (1), key);
  }
  return 1;
}

static int
param_newindex (lua_State *L)
{
  return luaL_error (L, "param.%s can't be set: parameters come from the "
                     "command line", luaL_tolstring (L, 2, NULL));
}

/* A table that represents param in an answer of the control socket: the values by
 * their keys, a list where a key has several.
 */
static int
param_tojson (lua_State *L)
{
  const struct param *p = host.config.params;

  lua_newtable (L);
  for (size_t i = 0; i < host.config.nr_params; i++) {
    const int had = lua_getfield (L, -1, p[i].key);

    if (had == LUA_TSTRING) {
      lua_createtable (L, 2, 0);
      lua_insert (L, -2);
      lua_rawseti (L, -2, 1);
    }
    lua_pushstring (L, p[i].value);
    if (had != LUA_TNIL) {
      lua_rawseti (L, -2, (lua_Integer) lua_rawlen (L, -2) + 1);
      lua_pushvalue (L, -1);
    }
    lua_setfield (L, -3, p[i].key);
    lua_settop (L, 2);
  }
  return 1;
}

static void
open_param (lua_State *L)
{
  note_word (L, "seed", 4);     /* a parameter of the plugin's, too */
  lua_newtable (L);
  new_class (L, NULL, param_index, param_newindex, 0);
  lua_newtable (L);
  lua_pushvalue (L, -1);
  lua_setfield (L, LUA_REGISTRYINDEX, "listed");
  lua_pushcclosure (L, param_call, 1);
  lua_setfield (L, -2, "__call");
  lua_pushcfunction (L, param_tojson);
  lua_setfield (L, -2, "__tojson");
  lua_setmetatable (L, -2);
  lua_setglobal (L, "param");
}

/* Is KEY in the table of this name in the registry? */
static bool
is_noted (lua_State *L, const char *name, const char *key)
{
  bool is;

  lua_getfield (L, LUA_REGISTRYINDEX, name);
  is = lua_getfield (L, -1, key) != LUA_TNIL;
  lua_pop (L, 2);
  return is;
}

/* Which of two names is nearer to KEY, if one is near; A may be NULL.  Of two that are
 * as near the first in the alphabet, because words come in no order.
 */
static const char *
nearer (const char *key, const char *a, const char *b)
{
  const char *const b_first[] = { b, a, NULL }, *const a_first[] = { a, b, NULL };
  const char *nearest = text_nearest (key, b_first);

  if (!a || nearest == text_nearest (key, a_first))
    return nearest;
  return strcmp (a, b) < 0 ? a : b;
}

/* Which of the words that scripts mention, and of the plugin's own parameters, is
 * nearest to KEY, or NULL.
 */
static const char *
nearest_word (lua_State *L, const char *key)
{
  const char *nearest = text_nearest (key, host.config.names);

  lua_getfield (L, LUA_REGISTRYINDEX, WORDS);
  lua_pushnil (L);
  while (lua_next (L, -2)) {
    nearest = nearer (key, nearest, lua_tostring (L, -2));
    lua_pop (L, 1);
  }
  lua_pop (L, 1);
  return nearest;
}

/* Raise an error if there is a parameter that no script knows, or one that is given
 * twice although none wants all of its values.
 */
static int
check_params (lua_State *L)
{
  const struct param *p = host.config.params;
  const char *nearest;

  for (size_t i = 0; i < host.config.nr_params; i++) {
    if (is_noted (L, WORDS, p[i].key)) {
      for (size_t j = 0; j < i; j++)
        if (strcmp (p[i].key, p[j].key) == 0
            && !is_noted (L, "listed", p[i].key))
          return given_twice (L, &p[i]);
      continue;
    }
    nearest = nearest_word (L, p[i].key);
    if (!nearest && spec_has_key (p[i].key, strlen (p[i].key)))
      return luaL_error (L, "%s=%s: no script looks this parameter up while it is "
                         "loaded", p[i].key, p[i].value);
    return luaL_error (L, nearest ? "%s=%s: no script looks this parameter up; "
                       "did you mean %s?" : "%s=%s: the plugin does not know "
                       "this parameter, and no script mentions it", p[i].key,
                       p[i].value, nearest);
  }
  hook_hint (L);
  return 0;
}

/*--------------------------------------------------------------------*/
/* Start and end. */

static char *directory;         /* the working directory then, or NULL */

/* now (): seconds since the start, to the microsecond. */
static int
lua_now (lua_State *L)
{
  const uint64_t us = stats_clock () / 1000;

  lua_pushnumber (L, (lua_Number) us / 1e6);
  return 1;
}

static int
open_all (lua_State *L)
{
  open_host (L);
  open_libraries (L);
  open_call (L);
  open_error (L);
  open_hook (L);
  open_req (L);
  open_disk (L);
  lua_setglobal (L, "disk");
  open_fault (L);
  lua_setglobal (L, "fault");
  open_param (L);
  open_args (L);
  open_bulk (L);
  lua_register (L, "now", lua_now);
  note_objects (L);
  return 0;
}

int
hooks_start (const struct hooks_config *config)
{
  directory = getcwd (NULL, 0);
  return host_start (config, open_all);
}

int
hooks_ready (void)
{
  if (host_protected (check_params, NULL) == -1) {
    nbdkit_error ("%s", host_message ());
    return -1;
  }
  host.serving = true;
  return 0;
}

/* Relative names in a script are those of the start, but nbdkit has gone to /. */
static void
go_back (void)
{
  if (!directory || chdir (directory) == -1)
    nbdkit_error ("on.stop: relative names of files are those of /: %s: %s",
                  directory ? directory : "the directory of the start",
                  strerror (errno));
}

void
hooks_at_stop (void)
{
  const int here = hooks_wants (OP_STOP)
    ? open (".", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;

  if (!hooks_wants (OP_STOP))
    return;
  go_back ();
  hook_run_stop ();
  if (here != -1) {
    if (fchdir (here) == -1)
      nbdkit_debug ("on.stop: %s", strerror (errno));
    close (here);
  }
}

void
hooks_stop (void)
{
  free (directory);
  directory = NULL;
  if (!host.L)
    return;
  if (host.serving)
    error_stop ();
  hook_stop ();
  host_stop ();
}

/*--------------------------------------------------------------------*/
/* Scripts. */

struct script { const char *name, *code; };

/* require finds modules beside the script, also when nbdkit has changed to
 * the directory / later.
 */
static void
add_path (lua_State *L, const char *name)
{
  char *path = realpath (name, NULL);
  char *slash = path ? strrchr (path, '/') : NULL;

  if (!slash) {
    free (path);
    return;
  }
  lua_getglobal (L, "package");
  lua_pushlstring (L, path, (size_t) (slash - path));
  free (path);
  lua_getfield (L, -2, "path");
  lua_pushfstring (L, "%s/?.lua;%s/?/init.lua;%s", lua_tostring (L, -2),
                   lua_tostring (L, -2), lua_tostring (L, -1));
  lua_setfield (L, -4, "path");
  lua_settop (L, 1);
}

#define IN_QUOTES "put all of lua= in quotes, as in lua='fault { op = \"read\", " \
                  "error = \"EIO\" }'"

static bool
is_file (const char *name)
{
  const size_t len = strlen (name);
  struct stat st;

  return (len > 4 && strcmp (name + len - 4, ".lua") == 0)
    || (stat (name, &st) == 0 && S_ISREG (st.st_mode));
}

/* Raise an error if CODE is what a shell without quotes leaves of fault{op="read",
 * error="EIO"}: faultop=read is good Lua, and does nothing.
 */
static void
check_quotes (lua_State *L, const char *code)
{
  if (strncmp (code, "fault", 5) == 0
      && spec_has_key (code + 5, strcspn (code + 5, "="))
      && strcspn (code, " \t\n") == strlen (code))
    luaL_error (L, "lua=%s: the shell took the braces away; " IN_QUOTES, code);
}

/* Raise the error on top of the stack, with which CODE did not compile; with a hint
 * where it looks as if lua= was meant otherwise.
 */
static int
wrong_code (lua_State *L, const char *code)
{
  const char *message = lua_tostring (L, -1);

  if (strcspn (code, " \t\n") < strlen (code))
    return lua_error (L);
  if (is_file (code))
    return luaL_error (L, "lua=%s: that is the name of a file; a script in a file is "
                       "hooks=%s", code, code);
  if (strstr (message, "<eof>"))
    return luaL_error (L, "%s; " IN_QUOTES, message);
  return lua_error (L);
}

static int
run_script (lua_State *L)
{
  const struct script *s = lua_touserdata (L, 1);
  int r;

  if (!s->code)
    add_path (L, s->name);
  else
    check_quotes (L, s->code);
  r = s->code ? luaL_loadbufferx (L, s->code, strlen (s->code), s->name, "t")
              : luaL_loadfilex (L, s->name, "t");
  if (r == LUA_ERRFILE)
    return luaL_error (L, "hooks: %s", lua_tostring (L, -1));
  if (r != LUA_OK && !s->code && r == LUA_ERRSYNTAX
      && !strchr (lua_tostring (L, -1), ':'))
    return luaL_error (L, "%s: %s", s->name, lua_tostring (L, -1));
  if (r != LUA_OK && s->code)
    return wrong_code (L, s->code);
  if (r != LUA_OK)
    return lua_error (L);
  note_mentions (L);
  lua_call (L, 0, 0);
  check_objects (L, lua_pushfstring (L, "%s: ", s->name + (*s->name == '=')));
  return 0;
}

/* With nbdkit -s, standard output is the client until the server is up, and
 * what os.execute starts would write there.
 */
static int
run_without_output (const struct script *s)
{
  const int out = fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  int r;

  dup2 (STDERR_FILENO, STDOUT_FILENO);
  r = host_protected (run_script, s);
  if (out == -1)
    close (STDOUT_FILENO);      /* as it was */
  else {
    dup2 (out, STDOUT_FILENO);
    close (out);
  }
  return r;
}

/* Room for two names of parameters, and what is said about them. */
#define HINT_MAX 200

/* Write a hint to the buffer that is the argument, if there is a parameter that no
 * script has mentioned yet, but something like it: that may be why a script failed.
 */
static int
find_misspelt (lua_State *L)
{
  char *hint = lua_touserdata (L, 1);
  const struct param *p = host.config.params;

  for (size_t i = 0; i < host.config.nr_params; i++) {
    const char *nearest = is_noted (L, WORDS, p[i].key)
      ? NULL : nearest_word (L, p[i].key);

    if (nearest) {
      snprintf (hint, HINT_MAX, " (%.80s: did you mean %.80s?)", p[i].key, nearest);
      break;
    }
  }
  return 0;
}

/* Say that the script failed, with host_message. */
static void
say_failed (void)
{
  char hint[HINT_MAX] = "";
  char *message = strdup (host_message ());

  if (host.config.nr_params > 0)
    host_protected (find_misspelt, hint);
  nbdkit_error ("%s%s", message ? message : "out of memory", hint);
  free (message);
}

int
hooks_run (const char *name, const char *code)
{
  const struct script s = { name, code };
  const int r = run_without_output (&s);

  if (r == -1 && strchr (host_message (), ':'))
    say_failed ();
  else if (r == -1)             /* no memory, or no stack, to say where */
    nbdkit_error ("%s: %s%s", name + (*name == '='), host_message (),
                  strstr (host_message (), "memory")
                  ? "; lua-memory= allows for more" : "");
  return r;
}
