/* chunk.c - chunks from the control socket: {"result": ...} or
 * {"error": ...} is what they are answered with.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lua/host.h"

/* The longest answer, in bytes. */
#define ANSWER_MAX ((size_t) 16 << 20)

/* How deep tables may be nested. */
#define DEPTH_MAX 50

/* A chunk at work. */
struct chunk {
  struct call call;
  struct request none;          /* it is about no request */
  const char *text;
  size_t len;
  int (*wait) (void *context, uint64_t ns);     /* as hooks_chunk has it */
  void *context;
  struct json answer;
};

static void encode (lua_State *L, struct json *j, int depth);

/* Add the array of N values on top of the stack. */
static void
encode_array (lua_State *L, struct json *j, lua_Integer n, int depth)
{
  json_add (j, "[", 1);
  for (lua_Integer i = 1; i <= n; i++) {
    json_comma (j);
    lua_rawgeti (L, -1, i);
    encode (L, j, depth);
  }
  json_add (j, "]", 1);
}

/* Push a list of the table's keys as strings, in order, and a table that says
 * which key each string stands for.
 */
static void
push_keys (lua_State *L, int table)
{
  lua_Integer n = 0;

  lua_newtable (L);
  lua_newtable (L);
  lua_pushnil (L);
  while (lua_next (L, table)) {
    lua_pop (L, 1);
    luaL_tolstring (L, -1, NULL);
    lua_pushvalue (L, -1);
    lua_pushvalue (L, -3);
    lua_rawset (L, -5);
    lua_rawseti (L, -4, ++n);
  }
  luaL_requiref (L, LUA_TABLIBNAME, luaopen_table, 0);
  lua_getfield (L, -1, "sort");
  lua_pushvalue (L, -4);
  lua_call (L, 1, 0);
  lua_pop (L, 1);
}

static void
encode_object (lua_State *L, struct json *j, int depth)
{
  int table = lua_gettop (L);
  const char *key;
  size_t len;

  push_keys (L, table);
  json_add (j, "{", 1);
  for (lua_Integer i = 1; lua_rawgeti (L, table + 1, i) != LUA_TNIL; i++) {
    key = lua_tolstring (L, -1, &len);
    json_key (j, key, len);
    lua_rawget (L, table + 2);
    lua_rawget (L, table);
    encode (L, j, depth);
  }
  json_add (j, "}", 1);
  lua_settop (L, table);
}

/* An array if its keys are 1 to n, otherwise an object. */
static void
encode_table (lua_State *L, struct json *j, int depth)
{
  lua_Integer n = (lua_Integer) lua_rawlen (L, -1), keys = 0;
  bool array = true;

  if (depth > DEPTH_MAX)
    luaL_error (L, "the result is nested deeper than %d tables", DEPTH_MAX);
  lua_pushnil (L);
  while (lua_next (L, -2)) {
    lua_pop (L, 1);
    keys++;
    array = array && lua_isinteger (L, -1) && lua_tointeger (L, -1) >= 1
      && lua_tointeger (L, -1) <= n;
  }
  if (array && keys == n)
    encode_array (L, j, n, depth);
  else
    encode_object (L, j, depth);
}

static void
check_length (lua_State *L, const struct json *j, size_t more)
{
  if (j->len > ANSWER_MAX || more > ANSWER_MAX - j->len)
    luaL_error (L, "the result is longer than 16 MiB");
}

static void
encode_text (lua_State *L, struct json *j)
{
  size_t len;
  const char *s = luaL_tolstring (L, -1, &len);

  check_length (L, j, len);
  json_string (j, s, len);
  lua_pop (L, 1);
}

/* Add the value on top of the stack, and pop it.  The metafield __tojson, a
 * function, says what stands for a value.
 */
static void
encode (lua_State *L, struct json *j, int depth)
{
  check_length (L, j, 0);
  luaL_checkstack (L, 10, NULL);
  if (luaL_getmetafield (L, -1, "__tojson") != LUA_TNIL) {
    lua_insert (L, -2);
    lua_call (L, 1, 1);
  }

  switch (lua_type (L, -1)) {
  case LUA_TNIL:
    json_add (j, "null", 4);
    break;
  case LUA_TBOOLEAN:
    json_addf (j, "%s", lua_toboolean (L, -1) ? "true" : "false");
    break;
  case LUA_TNUMBER:
    if (lua_isinteger (L, -1))
      json_addf (j, "%lld", (long long) lua_tointeger (L, -1));
    else
      json_number (j, lua_tonumber (L, -1));
    break;
  case LUA_TTABLE:
    encode_table (L, j, depth + 1);
    break;
  default:
    encode_text (L, j);
  }
  lua_pop (L, 1);
}

/* The results of an expression, as they are. */
static int
give (lua_State *L)
{
  return lua_gettop (L);
}

/* Load a chunk between BEFORE and AFTER.  False, with the message on top of
 * the stack: it is wrong.
 */
static bool
load_between (lua_State *L, const char *before, const struct chunk *c,
              const char *after)
{
  luaL_Buffer b;
  size_t len = c->len;
  const char *s;
  int r;

  /* A newline before what comes after would give errors its line. */
  while (len > 0 && isspace ((unsigned char) c->text[len - 1]))
    len--;
  luaL_buffinit (L, &b);
  luaL_addstring (&b, before);
  luaL_addlstring (&b, c->text, len);
  luaL_addstring (&b, after);
  luaL_pushresult (&b);
  s = lua_tolstring (L, -1, &len);
  r = luaL_loadbufferx (L, s, len, "=control", "t");
  lua_remove (L, -2);
  return r == LUA_OK;
}

/* An expression gives its value, as at a prompt.  Where possible it becomes the
 * arguments of the chunk's own argument, because after "return" a call would be
 * a tail call, whose errors could not say where they were raised, nor in which
 * function.  (A comment at its end takes the parenthesis with it.)
 */
static int
chunk_push (lua_State *L, struct call *call)
{
  const struct chunk *c = (const struct chunk *) call;

  if (load_between (L, "return ", c, "")) {
    if (load_between (L, "return (...)(", c, ")"))
      lua_remove (L, -2);
    else
      lua_pop (L, 1);
  }
  else {
    lua_pop (L, 1);
    if (!load_between (L, "", c, ""))
      lua_error (L);
  }
  lua_pushcfunction (L, give);
  return 1;
}

/* The results, which are all that is on the stack, are the answer. */
static void
chunk_done (lua_State *L, struct call *call)
{
  struct json *j = &((struct chunk *) call)->answer;
  int n = lua_gettop (L);

  /* A test that only names a function arms nothing. */
  if (n == 1 && lua_isfunction (L, 1))
    luaL_error (L, "the result is a function: is its call, with parentheses, "
                "missing?");
  json_add (j, "{", 1);
  if (n > 0)
    json_addf (j, "\"result\":%s", n > 1 ? "[" : "");
  for (int i = 1; i <= n; i++) {
    json_comma (j);
    lua_pushvalue (L, i);
    encode (L, j, 0);
  }
  check_length (L, j, 0);
  json_addf (j, "%s}", n > 1 ? "]" : "");
}

/*--------------------------------------------------------------------*/
/* Errors are answers, too: whoever sent the chunk wants to know. */

static void
answer_error (struct json *answer, const char *message, size_t len)
{
  answer->len = 0;
  json_addf (answer, "{\"error\":");
  json_string (answer, message, len);
  json_add (answer, "}", 1);
}

/* Errors that are no strings do not say where they were raised. */
static int
answer_failed (lua_State *L)
{
  struct chunk *c = lua_touserdata (L, 1);
  const char *place = host_push_place (L, c->call.co), *text;
  bool placed;
  size_t len;

  error_push_text (L, &c->call, &placed);
  if (!placed && *place != '?')
    lua_pushfstring (L, "%s: %s", place, lua_tostring (L, -1));
  text = lua_tolstring (L, -1, &len);
  answer_error (&c->answer, text, len);
  return 0;
}

static int
chunk_failed (struct call *call)
{
  struct chunk *c = (struct chunk *) call;
  const char *message = call->why;

  if (call->co) {
    host.failed = call;
    if (host_protected (answer_failed, c) == 0)
      return EIO;
    message = host_message ();
  }
  answer_error (&c->answer, message, strlen (message));
  return EIO;
}

static void
chunk_title (const struct call *call, char *title, size_t size)
{
  (void) call;
  snprintf (title, size, "control");
}

static int
chunk_wait (const struct call *call, uint64_t ns)
{
  const struct chunk *c = (const struct chunk *) call;

  return c->wait (c->context, ns);
}

static bool
chunk_gone (const struct call *call)
{
  return chunk_wait (call, 0) != 0;
}

static const struct call_kind chunk_kind = {
  .push = chunk_push, .results = LUA_MULTRET, .done = chunk_done,
  .title = chunk_title, .failed = chunk_failed, .wait = chunk_wait,
  .gone = chunk_gone,
};

char *
hooks_chunk (const char *text, size_t len,
             int (*wait) (void *context, uint64_t ns), void *context)
{
  struct chunk c = {
    .call = { .kind = &chunk_kind, .req = &c.none }, .none = { .op = OP_COUNT },
    .text = text, .len = len, .wait = wait, .context = context,
  };

  c.call.place = chance_mix (0) ^ OP_COUNT;
  /* A chunk that failed while it was given up may have failed because of that. */
  if ((call_run_alone (&c.call) != 0 && wait (context, 0) != 0)
      || c.answer.failed)
    json_free (&c.answer);
  return c.answer.text;
}
