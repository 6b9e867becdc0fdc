/* chunk.c - chunks from the control socket: {"result": ...} or
 * {"error": ...} is what they are answered with.
 */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/min.h"
#include "lua/host.h"

/* The longest answer, in bytes. */
#define ANSWER_MAX ((size_t) 16 << 20)

/* How deep tables may be nested. */
#define DEPTH_MAX 50

/* A text of more bytes is encoded without the lock, in pieces of so many. */
#define PIECE ((size_t) 64 << 10)

/* The longest text of an error, in bytes. */
#define ERROR_MAX ((size_t) 1 << 20)

/* A chunk at work. */
struct chunk {
  struct call call;
  struct request none;          /* it is about no request */
  const char *text;
  size_t len;
  int (*wait) (void *context, uint64_t ns);     /* as hooks_chunk has it */
  void *context;
  struct json answer;
  unsigned steps;               /* of encoding */
  uint64_t look;                /* when to let others in next */
};

/*--------------------------------------------------------------------*/
/* Encoding.
 *
 * A large result takes seconds, so others have the lock now and then.  They may
 * change the tables of the result: no table is traversed with lua_next across a
 * pause, and what has gone when its turn comes is left out.
 */

/* A part of the encoding is done.  Raises an error if it must stop. */
static void
step (lua_State *L, struct chunk *c)
{
  if (++c->steps % 256 != 0 || sys_now () < c->look)
    return;
  host_pause (L);
  c->look = sys_now () + SYS_STEP;
}

static void
check_length (lua_State *L, const struct chunk *c, size_t more)
{
  if (c->answer.len > ANSWER_MAX || more > ANSWER_MAX - c->answer.len)
    luaL_error (L, "the result is longer than 16 MiB");
}

/* The length of the next piece of a text, which cuts no UTF-8 character. */
static size_t
piece_length (const char *s, size_t len)
{
  if (len <= PIECE)
    return len;
  for (size_t back = 1; back < 4; back++) {
    const size_t start = PIECE - back;

    if (json_utf8_length ((const unsigned char *) s + start, len - start) > back)
      return start;
  }
  return PIECE;
}

/* Add a long string, until the answer is too long.  Escapes may make it six times
 * as long.  False: nobody waits for it any more.
 */
static bool
add_long (struct chunk *c, const char *s, size_t len)
{
  size_t n;

  json_add (&c->answer, "\"", 1);
  for (; len > 0 && c->answer.len <= ANSWER_MAX; s += n, len -= n) {
    if (c->wait (c->context, 0) != 0)
      return false;
    n = piece_length (s, len);
    json_piece (&c->answer, s, n);
  }
  json_add (&c->answer, "\"", 1);
  return true;
}

/* Add a string that is on the stack all the time, so that a long one needs no
 * lock.
 */
static void
encode_string (lua_State *L, struct chunk *c, const char *s, size_t len)
{
  struct call *call;
  bool waits;

  check_length (L, c, len);
  if (len <= PIECE) {
    json_string (&c->answer, s, len);
    return;
  }
  call = host_leave ();
  waits = add_long (c, s, len);
  host_return (call);
  if (!waits)
    luaL_error (L, "nobody waits for the result");
  check_length (L, c, 0);
}

static void encode (lua_State *L, struct chunk *c, int depth);

/* Add the array of N values on top of the stack. */
static void
encode_array (lua_State *L, struct chunk *c, lua_Integer n, int depth)
{
  json_add (&c->answer, "[", 1);
  for (lua_Integer i = 1; i <= n; i++) {
    json_comma (&c->answer);
    lua_rawgeti (L, -1, i);
    encode (L, c, depth);
  }
  json_add (&c->answer, "]", 1);
}

/* Is key 1 before key 2?  Numbers are in their own order, so are strings; others in
 * that of their text.
 */
static int
key_less (lua_State *L)
{
  const int a = lua_type (L, 1), b = lua_type (L, 2);

  step (L, (struct chunk *) host.call);
  if (a == b && a != LUA_TNUMBER && a != LUA_TSTRING) {
    luaL_tolstring (L, 1, NULL);
    luaL_tolstring (L, 2, NULL);
  }
  lua_pushboolean (L, a == b ? lua_compare (L, -2, -1, LUA_OPLT) : a < b);
  return 1;
}

/* Push Lua's table.sort, also where a script has replaced it: key_less is not for
 * scripts.
 */
static void
push_sort (lua_State *L)
{
  if (lua_getfield (L, LUA_REGISTRYINDEX, "sort") != LUA_TNIL)
    return;
  lua_pushcfunction (L, luaopen_table);
  lua_call (L, 0, 1);
  lua_getfield (L, -1, "sort");
  lua_pushvalue (L, -1);
  lua_setfield (L, LUA_REGISTRYINDEX, "sort");
  lua_replace (L, -3);
  lua_pop (L, 1);
}

/* Push a list of the table's N keys, in order. */
static void
push_keys (lua_State *L, int table, lua_Integer n)
{
  lua_createtable (L, (int) n, 0);
  lua_pushnil (L);
  for (lua_Integer i = 1; lua_next (L, table); i++) {
    lua_pop (L, 1);
    lua_pushvalue (L, -1);
    lua_rawseti (L, -3, i);
  }
  push_sort (L);
  lua_pushvalue (L, -2);
  lua_pushcfunction (L, key_less);
  lua_call (L, 2, 0);
}

/* Add the key and the value on top of the stack, and pop them. */
static void
encode_member (lua_State *L, struct chunk *c, int depth)
{
  size_t len;
  const char *key = luaL_tolstring (L, -2, &len);

  json_comma (&c->answer);
  encode_string (L, c, key, len);
  json_add (&c->answer, ":", 1);
  lua_pop (L, 1);
  encode (L, c, depth);
  lua_pop (L, 1);
}

/* Add the table of N keys on top of the stack as an object. */
static void
encode_object (lua_State *L, struct chunk *c, lua_Integer n, int depth)
{
  const int table = lua_gettop (L);

  push_keys (L, table, n);
  json_add (&c->answer, "{", 1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti (L, table + 1, i);
    lua_pushvalue (L, -1);
    if (lua_rawget (L, table) != LUA_TNIL)
      encode_member (L, c, depth);
    else
      lua_pop (L, 2);           /* it has gone meanwhile */
  }
  json_add (&c->answer, "}", 1);
  lua_settop (L, table);
}

/* Is the table on top of the stack an object even if it is empty? */
static bool
is_object (lua_State *L)
{
  const bool is = luaL_getmetafield (L, -1, "__object") != LUA_TNIL;

  if (is)
    lua_pop (L, 1);
  return is;
}

/* An array if its keys are 1 to n, otherwise an object.  Even an array has no more
 * than ANSWER_MAX / 2 of them in an answer, so that they can be counted at once.
 */
static void
encode_table (lua_State *L, struct chunk *c, int depth)
{
  const lua_Integer n = (lua_Integer) lua_rawlen (L, -1);
  lua_Integer keys = 0;
  bool array = true;

  if (depth > DEPTH_MAX)
    luaL_error (L, "the result is nested deeper than %d tables", DEPTH_MAX);
  lua_pushnil (L);
  while (lua_next (L, -2)) {
    lua_pop (L, 1);
    check_length (L, c, (size_t) ++keys * 2);
    array = array && lua_isinteger (L, -1) && lua_tointeger (L, -1) >= 1
      && lua_tointeger (L, -1) <= n;
  }
  if (array && keys == n && !is_object (L))
    encode_array (L, c, n, depth);
  else
    encode_object (L, c, keys, depth);
}

static void
encode_text (lua_State *L, struct chunk *c)
{
  size_t len;
  const char *s = luaL_tolstring (L, -1, &len);

  encode_string (L, c, s, len);
  lua_pop (L, 1);
}

/* Add the value on top of the stack, and pop it.  The metafield __tojson, a
 * function, says what stands for a value.
 */
static void
encode (lua_State *L, struct chunk *c, int depth)
{
  struct json *j = &c->answer;

  step (L, c);
  check_length (L, c, 0);
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
    encode_table (L, c, depth + 1);
    break;
  default:
    encode_text (L, c);
  }
  lua_pop (L, 1);
}

/*--------------------------------------------------------------------*/
/* Running. */

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

  host_check (L);               /* the lock may have come late */
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

/* Raise an error if the chunk, whose result is nil, is no more than a name: there is no
 * global of that name, which is a slip more often than a question.
 */
static void
check_global (lua_State *L, const struct chunk *c)
{
  size_t n = 0, len = c->len;

  while (len > 0 && isspace ((unsigned char) c->text[len - 1]))
    len--;
  while (n < len && (isalnum ((unsigned char) c->text[n]) || c->text[n] == '_'))
    n++;
  if (n < len || n == 0 || (n == 3 && memcmp (c->text, "nil", 3) == 0))
    return;
  lua_pushlstring (L, c->text, n);
  luaL_error (L, "there is no global '%s'", lua_tostring (L, -1));
}

/* The results, which are all that is on the stack, are the answer. */
static void
chunk_done (lua_State *L, struct call *call)
{
  struct chunk *c = (struct chunk *) call;
  struct json *j = &c->answer;
  const int n = lua_gettop (L);

  check_objects (L, "");
  if (n == 1 && is_extents (L, 1))
    luaL_error (L, "the result is an iterator for a for loop: for offset, count, kind "
                "in disk:extents() do ... end");
  /* A test that only names a function arms nothing. */
  if (n == 1 && lua_isfunction (L, 1))
    luaL_error (L, "the result is a function: is its call, with parentheses, "
                "missing?");
  if (n == 1 && lua_isnil (L, 1))
    check_global (L, c);
  c->look = sys_now () + SYS_STEP;
  json_add (j, "{", 1);
  if (n > 0)
    json_addf (j, "\"result\":%s", n > 1 ? "[" : "");
  for (int i = 1; i <= n; i++) {
    json_comma (j);
    lua_pushvalue (L, i);
    encode (L, c, 0);
  }
  check_length (L, c, 0);
  json_addf (j, "%s}", n > 1 ? "]" : "");
}

/*--------------------------------------------------------------------*/
/* Errors are answers, too: whoever sent the chunk wants to know. */

static void
answer_error (struct json *answer, const char *message, size_t len)
{
  answer->len = 0;
  json_addf (answer, "{\"error\":");
  json_string (answer, message, min_u64 (len, ERROR_MAX));
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

  restore_objects (L);
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
  .gone = chunk_gone, .takes_turns = true,
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
