/* host.c - the Lua host.
 *
 * One Lua state serves all connections, behind one lock.  Each hook at work
 * is a coroutine, driven by the thread of its request:
 *
 *      thread                         coroutine
 *      lock
 *      resume ----------------------> on.write (req)
 *                                       ...
 *        <------------- yield (WAIT) -- sleep "50ms"
 *      unlock, sleep, lock
 *      resume ---------------------->   ...
 *        <-------------- yield (RUN) -- req:run ()
 *      the next hook, or
 *      unlock, perform, lock
 *      resume ---------------------->   ...
 *        <------------------- return -- end
 *      unlock
 *      perform, if not done yet
 *
 * So the lock is not held while a request sleeps or touches the disk, and
 * scripts need no locks: between two yields nobody else runs.
 *
 * An error outside of a protected call, even one for lack of memory, would
 * abort the server.  Lua code runs only under lua_resume (drive) and
 * lua_pcall (protected), and what is called outside of those allocates
 * nothing: the coroutine's first function (start) makes what the hook needs.
 *
 * A coroutine that ended well is used again; one that failed or was abandoned
 * is closed, which runs its pending __close, and dropped.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lib/chance.h"
#include "report/log.h"
#include "lua/host.h"
#include "lib/text.h"

struct host host;

/* How many scripts may define the same hook. */
#define MAX_LEVELS 16

/* Coroutines kept for use again. */
#define MAX_IDLE 64

/* Places of errors that are told apart. */
#define MAX_PLACES 100

/* A hook is looked at after so many VM instructions. */
#define TICK 1000

/* The hooks, first declared outermost: references into Lua's registry. */
static struct {
  _Atomic unsigned count;
  int ref[MAX_LEVELS];
  uint64_t n;                   /* requests seen */
} hooks[OP_COUNT];

static struct { lua_State *co; int ref; } idle[MAX_IDLE];
static unsigned nr_idle;

static int start_ref, req_ref, conns_ref, places_ref;

/* Lua's memory in use. */
static uint64_t memory;

/* When the code that runs was first looked at, and may be looked at next. */
static uint64_t started, next_look;

/* The call that has failed, while its __close and __tostring run. */
static const struct call *failed;

/*--------------------------------------------------------------------*/
/* The lock. */

/* How often to look at it before going to sleep: for some microseconds. */
#define LOOKS 300

/* It is mostly held for a fraction of a microsecond, so whoever finds it taken
 * does better to look again than to go to sleep.
 */
static void
lock_host (void)
{
  for (unsigned i = 0; i < LOOKS; i++) {
    if (pthread_mutex_trylock (&host.lock) == 0)
      return;
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause ();
#elif defined __aarch64__
    __asm__ volatile ("yield");
#endif
  }
  pthread_mutex_lock (&host.lock);
}

/*--------------------------------------------------------------------*/
/* Limits: time and memory. */

void
host_excuse (uint64_t since)
{
  if (started)
    started += sys_now () - since;
}

/* Has the client of a call gone, or is the server about to end? */
static bool
must_stop (const struct call *c)
{
  if (c->chunk)
    return c->chunk->wait (c->chunk->context, 0) != 0;
  return request_is_over ();
}

static const char gone[] =
  "stopped, because the client has gone or nbdkit ends";

/* Is there someone for whom to stop?  When on.close runs, the client has gone. */
static bool
may_stop (const struct call *c)
{
  return host.serving && c && c->op != OP_CLOSE;
}

void
host_look (lua_State *L)
{
  if (may_stop (host.call) && must_stop (host.call))
    luaL_error (L, "%s", gone);
}

static void tick (lua_State *L, lua_Debug *ar);

/* Stop the code that runs.  Where it can yield it does, for good: an error
 * that a count hook raises would leave the coroutine without count hooks, so
 * that its __close could not be stopped.  A coroutine of the hook's own yields
 * to the hook, which is looked at at once.  Elsewhere each single instruction
 * fails, so that a loop around pcall ends too.
 */
static void
stop_code (lua_State *L, const char *why)
{
  struct call *c = host.call;

  if (c && lua_isyieldable (L)) {
    c->why = why;
    if (L == c->co)
      c->command = STOP;
    else
      lua_sethook (c->co, tick, LUA_MASKCOUNT, 1);
    lua_yield (L, 0);
    return;
  }
  if (c && L == c->co)
    c->deaf = true;
  else {
    lua_pushthread (L);
    keep_coroutine (L);
    lua_pop (L, 1);
  }
  lua_sethook (L, tick, LUA_MASKCOUNT, 1);
  luaL_error (L, "%s", why);
}

/* Called by Lua after each TICK instructions. */
static void
tick (lua_State *L, lua_Debug *ar)
{
  const struct call *c = host.call ? host.call : failed;
  static char why[100];
  uint64_t now;

  (void) ar;
  if (!host.serving)
    return;                     /* loading may take its time */
  if (host.call && L == host.call->co)
    host.call->deaf = false;    /* the error was caught */
  now = sys_now ();
  if (!started) {
    started = now;
    next_look = now + SECOND / 50;
  }
  else if (now - started > host.config.timeout) {
    snprintf (why, sizeof why, "stopped, because it ran for %g seconds "
              "without yielding (hook-timeout)",
              (double) host.config.timeout / SECOND);
    stop_code (L, why);
  }
  else if (now > next_look) {
    next_look = now + SECOND / 50;
    if (may_stop (c) && must_stop (c)) {
      started = now - host.config.timeout - 1;  /* no more time */
      stop_code (L, gone);
    }
  }
}

/* Lua's allocator, with the limit of lua-memory. */
static void *
allocate (void *unused, void *p, size_t old, size_t new)
{
  void *q;

  (void) unused;
  if (!p)
    old = 0;
  if (new > old && memory + (new - old) > host.config.memory)
    return NULL;
  if (new == 0) {
    free (p);
    memory -= old;
    return NULL;
  }
  q = realloc (p, new);
  if (q)
    memory += new - old;
  return q;
}

static bool
is_power_of_ten (lua_Integer n)
{
  while (n % 10 == 0)
    n /= 10;
  return n == 1;
}

/* Warnings, such as errors in __gc, arrive in pieces. */
static void
warn (void *unused, const char *piece, int more)
{
  static char line[512];
  size_t used = strlen (line);

  (void) unused;
  snprintf (line + used, sizeof line - used, "%s", piece);
  if (!more) {
    static uint64_t n;

    /* As errors of hooks: ever more rarely. */
    if (line[0] != '@' && (++n < 10 || is_power_of_ten ((lua_Integer) n)))
      nbdkit_error ("Lua warning: %s", line);
    line[0] = '\0';
  }
}

/*--------------------------------------------------------------------*/
/* Protected calls. */

/* Push where the innermost Lua function of CO stands, such as "a.lua:7". */
static const char *
push_place (lua_State *L, lua_State *co)
{
  lua_Debug ar;

  for (int level = 0; lua_getstack (co, level, &ar); level++) {
    lua_getinfo (co, "Sl", &ar);
    if (ar.currentline > 0)
      return lua_pushfstring (L, "%s:%d", ar.short_src, ar.currentline);
  }
  return lua_pushliteral (L, "?");
}

/* Leave the message with a traceback below it for -v. */
static int
message_handler (lua_State *L)
{
  const char *message;

  if (lua_type (L, 1) != LUA_TSTRING) {
    push_place (L, L);
    lua_pushliteral (L, ": ");
    luaL_tolstring (L, 1, NULL);
    lua_concat (L, 3);
    lua_replace (L, 1);
  }
  lua_settop (L, 1);
  message = lua_tostring (L, 1);
  luaL_traceback (L, L, message, 1);
  nbdkit_debug ("%s", lua_tostring (L, -1));
  lua_pop (L, 1);
  return 1;
}

/* Call FN with ARG.  0, or -1 with the message, if there is one, on top of
 * the stack.
 */
static int
protected (lua_CFunction fn, const void *arg)
{
  if (lua_gethookcount (host.L) != TICK)
    lua_sethook (host.L, tick, LUA_MASKCOUNT, TICK);
  lua_settop (host.L, 0);
  lua_pushcfunction (host.L, message_handler);
  lua_pushcfunction (host.L, fn);
  lua_pushlightuserdata (host.L, (void *) arg);
  started = 0;
  return lua_pcall (host.L, 1, 0, 1) == LUA_OK ? 0 : -1;
}

/* The message of a failed call. */
static const char *
message (void)
{
  const char *s = lua_type (host.L, -1) == LUA_TSTRING
    ? lua_tostring (host.L, -1) : NULL;

  return s ? s : "the script failed with an error that is no text";
}

struct call *
check_call (lua_State *L, const char *what, bool waits)
{
  if (!host.call)
    luaL_error (L, "%s is for hooks: it can't be used while the script loads",
                what);
  if (waits && L != host.call->co)
    luaL_error (L, "%s can't be used in a coroutine that the hook has made",
                what);
  if (waits && !lua_isyieldable (L))
    luaL_error (L, "%s can't be used inside a function that C code calls, "
                "as for table.sort, string.gsub or a metamethod", what);
  return host.call;
}

/*--------------------------------------------------------------------*/
/* Functions of scripts. */

static bool
may_be_unsupported (const struct call *c)
{
  return c->op == OP_ZERO && c->req->flags & NBDKIT_FLAG_FAST_ZERO;
}

static bool
is_nbd_error (const struct nbd_error *e)
{
  for (const struct nbd_error *known = nbd_errors; known->name; known++)
    if (e == known)
      return true;
  return false;
}

static const struct nbd_error *
check_error (lua_State *L, const char *name)
{
  const char *names[20] = { NULL };

  for (size_t i = 0; nbd_errors[i].name; i++)
    names[i] = nbd_errors[i].name;
  return &nbd_errors[check_name (L, "NBD", name, names)];
}

int
check_errno (lua_State *L, const char *name)
{
  return check_error (L, name)->code;
}

/* The table entry is the error value: a pointer, for which no memory is
 * needed, and which tostring shows as the name.
 */
static int
lua_fail (lua_State *L)
{
  const struct nbd_error *e = check_error (L, luaL_checkstring (L, 1));
  struct call *c = check_call (L, "fail", false);

  if (e->code == ENOTSUP && !may_be_unsupported (c))
    return luaL_error (L, "fail: only a fast zero may fail with ENOTSUP");
  lua_pushlightuserdata (L, (void *) e);
  return lua_error (L);
}

static int
error_tostring (lua_State *L)
{
  const struct nbd_error *e = lua_touserdata (L, 1);

  if (is_nbd_error (e))
    lua_pushstring (L, e->name);
  else
    lua_pushfstring (L, "userdata: %p", (const void *) e);
  return 1;
}

static int
wait_for (lua_State *L, const char *what, uint64_t ns)
{
  struct call *c = check_call (L, what, true);

  c->command = WAIT;
  c->ns = ns;
  return lua_yield (L, 0);
}

static int
lua_sleep (lua_State *L)
{
  return wait_for (L, "sleep", check_time (L, 1));
}

static int
lua_hang (lua_State *L)
{
  return wait_for (L, "hang", UINT64_MAX);
}

/* chance (p): true with that probability.  What is its own of the request's luck:
 * the place of the hook among the hooks, or the rule's name, and the place of this
 * call among theirs.
 */
static int
lua_chance (lua_State *L)
{
  struct call *c = check_call (L, "chance", false);
  uint64_t place = chance_mix (c->rule_hash) ^ (c->level << 8 | (unsigned) c->op);
  const double p = check_probability (L, 1);
  uint64_t luck;

  luck = c->req
    ? chance_luck (&c->req->luck, c->op, c->req->offset, c->req->count)
    : chance_luck (&c->luck, c->op, c->offset, c->count);
  place = chance_mix (place) + ++c->chances;
  lua_pushboolean (L, chance_fraction (chance_mix (luck ^ place)) < p);
  return 1;
}

/*--------------------------------------------------------------------*/
/* on: where scripts declare hooks. */

/* The operation named by argument 2. */
static enum op
check_op (lua_State *L)
{
  return (enum op) check_name (L, "on", luaL_checkstring (L, 2), op_names);
}

/* on.NAME: the hook declared last, or nil. */
static int
on_index (lua_State *L)
{
  enum op op = check_op (L);
  unsigned count = hooks[op].count;

  if (count == 0)
    lua_pushnil (L);
  else
    lua_rawgeti (L, LUA_REGISTRYINDEX, hooks[op].ref[count - 1]);
  return 1;
}

/* on.NAME = function: one more hook, inside of those that are there.
 * on.NAME = nil: no hooks.
 */
static int
on_newindex (lua_State *L)
{
  enum op op = check_op (L);
  unsigned count = hooks[op].count;

  if (op == OP_FILL && host.serving)
    return luaL_error (L, "on.fill can be set only while scripts load");
  if (!lua_isnil (L, 3) && lua_type (L, 3) != LUA_TFUNCTION)
    return luaL_error (L, "on.%s: expected a function, got %s", op_names[op],
                       luaL_typename (L, 3));
  if (op == OP_FILL && disk_set_fill (lua_isnil (L, 3) ? NULL : host_fill))
    return luaL_error (L, "on.fill: out of memory");
  if (lua_isnil (L, 3)) {
    hooks[op].count = 0;
    while (count > 0)
      luaL_unref (L, LUA_REGISTRYINDEX, hooks[op].ref[--count]);
    return 0;
  }

  if (count == MAX_LEVELS)
    return luaL_error (L, "on.%s: more than %d hooks", op_names[op],
                       MAX_LEVELS);
  lua_settop (L, 3);
  hooks[op].ref[count] = luaL_ref (L, LUA_REGISTRYINDEX);
  hooks[op].count = count + 1;
  return 0;
}

/* param.KEY: what the command line says, or nil.  Upvalue 1 collects the
 * names that were asked for.
 */
static int
param_index (lua_State *L)
{
  const char *key = luaL_checkstring (L, 2);
  struct param *p = host.config.params;
  const char *value = NULL;

  lua_pushboolean (L, 1);
  lua_setfield (L, lua_upvalueindex (1), key);
  /* The last of the same name counts, as for other parameters. */
  for (size_t i = 0; i < host.config.nr_params; i++) {
    if (strcmp (p[i].key, key) == 0) {
      p[i].used = true;
      value = p[i].value;
    }
  }
  lua_pushstring (L, value);    /* NULL becomes nil */
  return 1;
}

static int
param_newindex (lua_State *L)
{
  return luaL_error (L, "param.%s can't be set: parameters come from the "
                     "command line", luaL_tolstring (L, 2, NULL));
}

/*--------------------------------------------------------------------*/
/* The first function of a coroutine. */

/* Push the table that stands for a connection. */
static void
push_conn (lua_State *L, const struct connection *conn)
{
  lua_rawgeti (L, LUA_REGISTRYINDEX, conns_ref);
  if (lua_rawgeti (L, -1, (lua_Integer) conn->id) == LUA_TNIL) {
    lua_pop (L, 1);
    lua_createtable (L, 0, 3);
    lua_pushinteger (L, (lua_Integer) conn->id);
    lua_setfield (L, -2, "id");
    lua_pushstring (L, disk_name (conn->disk));
    lua_setfield (L, -2, "export");
    lua_pushboolean (L, conn->readonly);
    lua_setfield (L, -2, "readonly");
    lua_pushvalue (L, -1);
    lua_rawseti (L, -3, (lua_Integer) conn->id);
  }
  lua_remove (L, -2);
}

/* Take what on.fill returned.  True: it gave the content. */
static bool
take_content (lua_State *L, const struct call *c)
{
  size_t len;
  const char *s;

  if (lua_isnil (L, -1))
    return false;
  if (lua_type (L, -1) != LUA_TSTRING)
    luaL_error (L, "on.fill returned no string, but a %s",
                luaL_typename (L, -1));
  s = lua_tolstring (L, -1, &len);
  if (len != c->count)
    luaL_error (L, "on.fill returned %I bytes, not %I", (lua_Integer) len,
                (lua_Integer) c->count);
  memcpy (c->buf, s, len);
  return true;
}

/* The hook has returned.  Its req stays on the stack, because it holds the
 * data that the request may want to store.
 */
static int
start_done (lua_State *L, int status, lua_KContext context)
{
  struct call *c = host.call;

  (void) status;
  (void) context;
  if (c->chunk)
    control_results (L, c->chunk);
  else if (c->rule)
    c->result = rule_result (L, c->function);
  else if (c->op == OP_FILL)
    c->done = take_content (L, c);
  return lua_gettop (L);
}

static int
always_false (lua_State *L)
{
  (void) L;
  return 0;
}

/* Push the hook, or the function of a rule, which may have gone. */
static void
push_function (lua_State *L, const struct call *c)
{
  if (!c->rule) {
    lua_rawgeti (L, LUA_REGISTRYINDEX, hooks[c->op].ref[c->level]);
    return;
  }
  lua_getfield (L, LUA_REGISTRYINDEX, "rules");
  if (lua_rawgeti (L, -1, (lua_Integer) c->rule) == LUA_TTABLE)
    lua_getfield (L, -1, c->function);
  else
    lua_pushcfunction (L, always_false);
  lua_replace (L, -3);
  lua_settop (L, -2);
}

static int
start (lua_State *L)
{
  struct call *c = host.call;
  int nargs = 1;

  if (c->chunk) {
    nargs = control_push (L, c->chunk);
    lua_callk (L, nargs, LUA_MULTRET, 0, start_done);
    return start_done (L, LUA_OK, 0);
  }
  if (c->req) {
    c->handle = lua_newuserdatauv (L, sizeof (void *), 1);
    *c->handle = c;
    lua_rawgeti (L, LUA_REGISTRYINDEX, req_ref);
    lua_setmetatable (L, -2);
  }
  push_function (L, c);
  if (c->req)
    lua_pushvalue (L, -2);
  else if (c->conn)
    push_conn (L, c->conn);
  else {
    lua_pushinteger (L, (lua_Integer) c->offset);
    lua_pushinteger (L, (lua_Integer) c->count);
    nargs = 2;
  }
  lua_callk (L, nargs, c->op == OP_FILL || c->rule ? 1 : 0, 0, start_done);
  return start_done (L, LUA_OK, 0);
}

/*--------------------------------------------------------------------*/
/* Coroutines. */

static int
new_coroutine (lua_State *L)
{
  struct call *c = lua_touserdata (L, 1);

  c->co = lua_newthread (L);
  keep_coroutine (L);
  c->co_ref = luaL_ref (L, LUA_REGISTRYINDEX);
  return 0;
}

static int
take_coroutine (struct call *c)
{
  if (nr_idle > 0) {
    c->co = idle[--nr_idle].co;
    c->co_ref = idle[nr_idle].ref;
    return 0;
  }
  return protected (new_coroutine, c);
}

/* Run what a failed or abandoned hook has to close. */
static void
close_coroutine (const struct call *c)
{
  started = 0;
  failed = c;
  lua_sethook (c->co, tick, LUA_MASKCOUNT, TICK);
#if LUA_VERSION_RELEASE_NUM >= 50406
  lua_closethread (c->co, host.L);
#else
  lua_resetthread (c->co);
#endif
}

/* The hook is over: req in its hands is worth nothing from now on. */
static void
release_coroutine (struct call *c, bool ended)
{
  if (c->handle)
    *c->handle = NULL;
  if (ended && nr_idle < MAX_IDLE) {
    lua_settop (c->co, 0);
    if (lua_gethookcount (c->co) != TICK)
      lua_sethook (c->co, tick, LUA_MASKCOUNT, TICK);
    idle[nr_idle].co = c->co;
    idle[nr_idle++].ref = c->co_ref;
    return;
  }
  if (!c->deaf)
    close_coroutine (c);
  failed = NULL;
  luaL_unref (host.L, LUA_REGISTRYINDEX, c->co_ref);
}

/*--------------------------------------------------------------------*/
/* Errors of hooks. */

static int
to_text (lua_State *L)
{
  luaL_tolstring (L, 1, NULL);
  return 1;
}

/* Push what has failed, such as "on.write". */
static const char *
push_title (lua_State *L, const struct call *c)
{
  return c->rule ? lua_pushfstring (L, "fault rule %s: %s", c->rule_name,
                                    c->function)
                 : lua_pushfstring (L, "on.%s", op_names[c->op]);
}

/* Log the error on top of a failed coroutine's stack: with a traceback when
 * its place is new, and then ever more rarely.
 */
static int
tell_error (lua_State *L)
{
  static unsigned nr_places;
  const struct call *c = lua_touserdata (L, 1);
  const char *title = push_title (L, c);
  const char *place = push_place (L, c->co), *text;
  lua_Integer n;

  if (c->why)
    text = lua_pushstring (L, c->why);
  else {
    lua_pushcfunction (L, to_text);
    lua_pushvalue (c->co, -1);
    lua_xmove (c->co, L, 1);
    if (lua_pcall (L, 1, 1, 0) != LUA_OK && lua_type (L, -1) != LUA_TSTRING)
      lua_pushliteral (L, "an error, and another one in its __tostring");
    text = lua_tostring (L, -1);
  }
  /* Where there is no Lua function, and in chunks, which are all line 1 of
   * "control", the place tells too little.
   */
  if (*place == '?' || strncmp (place, "control:", 8) == 0)
    place = lua_pushfstring (L, "%s: %s", title, text);

  lua_rawgeti (L, LUA_REGISTRYINDEX, places_ref);
  if (lua_getfield (L, -1, place) == LUA_TNIL && ++nr_places > MAX_PLACES) {
    lua_pop (L, 1);
    place = "elsewhere";        /* names of chunks may be made up */
    lua_getfield (L, -1, place);
  }
  n = lua_tointeger (L, -1) + 1;
  lua_pushinteger (L, n);
  lua_setfield (L, -3, place);
  if (n == 1) {
    luaL_traceback (L, c->co, text, 0);
    nbdkit_error ("%.300s: %.9000s", title, lua_tostring (L, -1));
  }
  else if (is_power_of_ten (n))
    nbdkit_error ("%.300s: %.1000s (%lld times so far)", title, text,
                  (long long) n);
  return 0;
}

/* The same for a chunk: who sent it wants to know.  Errors that are no strings
 * do not say where they were raised.
 */
static int
answer_error (lua_State *L)
{
  const struct call *c = lua_touserdata (L, 1);
  const char *place = push_place (L, c->co), *text;
  size_t len;

  if (c->why)
    lua_pushstring (L, c->why);
  else {
    lua_pushvalue (c->co, -1);
    lua_xmove (c->co, L, 1);
    luaL_tolstring (L, -1, NULL);
  }
  if ((c->why || lua_type (c->co, -1) != LUA_TSTRING) && *place != '?')
    lua_pushfstring (L, "%s: %s", place, lua_tostring (L, -1));
  text = lua_tolstring (L, -1, &len);
  control_error (c->chunk, text, len);
  return 0;
}

/* The error that the hook asked for with fail, or NULL: another one. */
static const struct nbd_error *
named_error (const struct call *c)
{
  const struct nbd_error *e = c->why ? NULL : lua_touserdata (c->co, -1);

  /* nbdkit aborts when anything but a fast zero fails with ENOTSUP. */
  return e && lua_islightuserdata (c->co, -1)
    && is_nbd_error (e)
    && (e->code != ENOTSUP || may_be_unsupported (c)) ? e : NULL;
}

/* For the fault log, where a rule with a function call has its line already. */
static void
log_failed (const struct call *c, int err)
{
  const struct request open = { .op = OP_OPEN, .conn = c->conn };
  const struct request *req = c->op == OP_OPEN ? &open : c->req;

  if (!req || !log_wanted ())
    return;
  if (!c->rule)
    log_error ("hook", op_names[c->op], req, err);
  else if (strcmp (c->function, "call") != 0)
    log_error ("rule", c->rule_name, req, err);
}

/* A coroutine has failed: which errno code is it? */
static int
hook_error (struct call *c)
{
  const struct nbd_error *e;

  failed = c;
  if (c->chunk) {
    if (protected (answer_error, c) == -1)
      control_error (c->chunk, message (), strlen (message ()));
    return EIO;
  }

  e = named_error (c);
  log_failed (c, e ? e->code : EIO);
  if (e)
    return e->code;
  if (c->req)
    c->req->logged = true;
  if (protected (tell_error, c) == -1)
    nbdkit_error ("on.%s: an error, and another one while it was logged: %s",
                  op_names[c->op], message ());
  return EIO;
}

/*--------------------------------------------------------------------*/
/* Running hooks. */

/* What is left to do when all hooks have let a request pass. */
#define PERFORM (-1)

static int run_level (struct call *outer, unsigned level);
static int perform (struct request *req);

/* Let time pass for a hook or a chunk, without the lock. */
static int
wait_unlocked (const struct call *c, uint64_t ns)
{
  const struct chunk *chunk = c->chunk;

  return chunk ? chunk->wait (chunk->context, ns)
    : request_wait (c->req ? c->req->conn : c->conn, ns);
}

/* Wait for a rule, and look every 20 ms whether it and the client are still
 * there.
 */
static int
wait_fired (const struct call *c)
{
  const uint64_t step = SECOND / 50, end = sys_now () + c->ns;
  uint64_t now;
  int err = 0;

  while (!err && (now = sys_now ()) < end
         && !fault_info (c->fault).removed
         && !fault_wait (c->fault, c->times,
                         end - now < step ? end - now : step))
    err = wait_unlocked (c, 1);
  return fault_info (c->fault).fired >= c->times ? 0 : err;
}

/* Do what the hook wants done.  0: it may go on. */
static int
obey (struct call *c)
{
  enum command command = c->command;
  int err;

  c->command = NOTHING;
  switch (command) {
  case RUN:
    if (c->has_run && must_stop (c))
      return ESHUTDOWN;         /* it may be a loop */
    c->has_run = true;
    c->err = run_level (c, c->level + 1);
    if (c->err == PERFORM)
      c->err = perform (c->req);
    c->done = true;
    return 0;
  case STOP:
    return hook_error (c);
  case WAIT:
  case WAIT_FIRED:
    pthread_mutex_unlock (&host.lock);
    err = command == WAIT ? wait_unlocked (c, c->ns) : wait_fired (c);
    lock_host ();
    return err;
  default:
    c->why = "a hook can't use coroutine.yield outside of coroutines of its "
      "own";
    return hook_error (c);
  }
}

/* Run one hook to its end.  0, or the errno code with which it failed. */
static int
drive (struct call *c)
{
  int status, n, err = 0;

  lua_rawgeti (c->co, LUA_REGISTRYINDEX, start_ref);
  do {
    started = 0;
    host.call = c;
    status = lua_resume (c->co, host.L, 0, &n);
    host.call = NULL;
    if (status == LUA_YIELD) {
      lua_pop (c->co, n);
      err = obey (c);
    }
    else if (status != LUA_OK)
      err = hook_error (c);
  } while (status == LUA_YIELD && !err);
  if (err)
    release_coroutine (c, false);
  return err;
}

/* The last step, while a hook waits for it. */
static int
perform (struct request *req)
{
  int err;

  pthread_mutex_unlock (&host.lock);
  err = faults_pass (req);
  lock_host ();
  return err;
}

/* Run the hooks from LEVEL on.  The lock is held.  0, an errno code, or
 * PERFORM, which is left to the caller, who can do it without the lock.
 */
static int
run_level (struct call *outer, unsigned level)
{
  struct call c = *outer;
  void *buf = c.req ? c.req->buf : NULL;
  int err;

  if (level >= hooks[c.op].count)
    return c.req ? PERFORM : 0;
  c.level = level;
  c.done = false;
  c.command = NOTHING;
  c.why = NULL;
  c.has_run = c.deaf = false;
  c.chances = 0;
  c.handle = NULL;
  if (take_coroutine (&c) == -1) {
    nbdkit_error ("on.%s: %s", op_names[c.op], message ());
    return EIO;
  }

  err = drive (&c);
  if (!err) {
    err = c.done ? c.err : run_level (&c, level + 1);
    /* New data belongs to the hook's req, so it must be stored before. */
    if (err == PERFORM && c.req->buf != buf)
      err = perform (c.req);
    release_coroutine (&c, true);
  }
  if (c.req)
    c.req->buf = buf;
  outer->done = c.done;
  return err;
}

/* Run all hooks from outside. */
static int
run_locked (struct call *c)
{
  int err;

  lock_host ();
  if (c->req)
    c->req->n = ++hooks[c->op].n;
  err = run_level (c, 0);
  pthread_mutex_unlock (&host.lock);
  return err == PERFORM ? faults_pass (c->req) : err;
}

bool
hooks_wants (enum op op)
{
  return atomic_load_explicit (&hooks[op].count, memory_order_relaxed) > 0;
}

int
hooks_request (struct request *req)
{
  struct call c = { .op = req->op, .req = req };

  return run_locked (&c);
}

/* Run what is no hook. */
static int
run_single (struct call *c)
{
  int err = EIO;

  lock_host ();
  if (c->req && c->req->n == 0)
    c->req->n = ++hooks[c->op].n;       /* no hook has seen it */
  if (take_coroutine (c) == 0)
    err = drive (c);
  else if (c->chunk)
    control_error (c->chunk, message (), strlen (message ()));
  else if (c->rule)
    nbdkit_error ("fault rule %.300s: %s: %s", c->rule_name, c->function,
                  message ());
  if (!err)
    release_coroutine (c, true);
  pthread_mutex_unlock (&host.lock);
  return err;
}

char *
hooks_chunk (const char *text, size_t len,
             int (*wait) (void *context, uint64_t ns), void *context)
{
  struct chunk chunk = { .text = text, .len = len, .wait = wait,
                         .context = context };
  struct call c = { .op = OP_COUNT, .chunk = &chunk };

  /* What failed while it was given up may have failed for that reason. */
  if ((run_single (&c) != 0 && wait (context, 0) != 0)
      || chunk.answer.failed)
    json_free (&chunk.answer);
  return chunk.answer.text;
}

int
host_rule (const struct fault *f, const char *function, struct request *req,
           uint64_t *result)
{
  const struct fault_info info = fault_info (f);
  struct call c = { .op = req->op, .req = req, .rule = info.number,
                    .rule_hash = info.hash, .rule_name = info.name, .function = function };
  int err;

  if (req->op == OP_OPEN) {
    c.req = NULL;
    c.conn = req->conn;
  }
  err = run_single (&c);
  *result = c.result;
  return err;
}

static int
forget_conn (lua_State *L)
{
  const struct connection *conn = lua_touserdata (L, 1);

  lua_rawgeti (L, LUA_REGISTRYINDEX, conns_ref);
  lua_pushnil (L);
  lua_rawseti (L, -2, (lua_Integer) conn->id);
  return 0;
}

int
hooks_connection (enum op op, const struct connection *conn)
{
  struct call c = { .op = op, .conn = conn };

  return run_locked (&c);
}

void
hooks_forget (const struct connection *conn)
{
  lock_host ();
  protected (forget_conn, conn);
  pthread_mutex_unlock (&host.lock);
}

/* Call the functions on.fill straight away, inside of other Lua code. */
static int
fill_inside (lua_State *L, void *buf, uint64_t count, uint64_t offset)
{
  struct call c = { .op = OP_FILL, .buf = buf, .count = count };

  for (unsigned i = 0; i < hooks[OP_FILL].count && !c.done; i++) {
    lua_rawgeti (L, LUA_REGISTRYINDEX, hooks[OP_FILL].ref[i]);
    lua_pushinteger (L, (lua_Integer) offset);
    lua_pushinteger (L, (lua_Integer) count);
    lua_call (L, 2, 1);
    c.done = take_content (L, &c);
    lua_pop (L, 1);
  }
  if (!c.done)
    memset (buf, 0, count);
  return 0;
}

int
host_fill (void *context, void *buf, uint64_t count, uint64_t offset)
{
  struct call c = { .op = OP_FILL, .buf = buf, .count = count,
                    .offset = offset };
  int err;

  if (context)
    return fill_inside (context, buf, count, offset);
  err = run_locked (&c);
  if (!err && !c.done)
    memset (buf, 0, count);
  return err;
}

/*--------------------------------------------------------------------*/
/* Start and end. */

static void
open_on (lua_State *L)
{
  lua_newtable (L);
  new_class (L, NULL, on_index, on_newindex, 0);
  lua_setmetatable (L, -2);
  lua_setglobal (L, "on");
}

static void
open_param (lua_State *L)
{
  lua_newtable (L);
  lua_newtable (L);
  lua_pushvalue (L, -1);
  lua_setfield (L, LUA_REGISTRYINDEX, "asked");
  new_class (L, NULL, param_index, param_newindex, 1);
  lua_setmetatable (L, -2);
  lua_setglobal (L, "param");
}

static int
open_host (lua_State *L)
{
  open_libraries (L);
  open_disk (L);
  lua_setglobal (L, "disk");
  open_fault (L);
  lua_setglobal (L, "fault");
  open_on (L);
  open_param (L);
  open_args (L);
  lua_register (L, "chance", lua_chance);
  lua_register (L, "fail", lua_fail);
  lua_register (L, "sleep", lua_sleep);
  lua_register (L, "hang", lua_hang);

  /* The metatable of all light userdata: fail's errors show their names. */
  lua_pushlightuserdata (L, NULL);
  lua_createtable (L, 0, 1);
  lua_pushcfunction (L, error_tostring);
  lua_setfield (L, -2, "__tostring");
  lua_setmetatable (L, -2);

  open_req (L);
  req_ref = luaL_ref (L, LUA_REGISTRYINDEX);
  lua_newtable (L);
  conns_ref = luaL_ref (L, LUA_REGISTRYINDEX);
  lua_newtable (L);
  places_ref = luaL_ref (L, LUA_REGISTRYINDEX);
  lua_pushcfunction (L, start);
  start_ref = luaL_ref (L, LUA_REGISTRYINDEX);
  return 0;
}

int
hooks_start (const struct hooks_config *config)
{
  host.config = *config;
  host.L = lua_newstate (allocate, NULL);
  if (!host.L) {
    nbdkit_error ("lua-memory: too little even to start Lua");
    return -1;
  }
  pthread_mutex_init (&host.lock, NULL);
  lua_setwarnf (host.L, warn, NULL);
  lua_sethook (host.L, tick, LUA_MASKCOUNT, TICK);
  if (protected (open_host, NULL) == -1) {
    nbdkit_error ("hooks: %s", message ());
    return -1;
  }
  return 0;
}

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

static int
run_script (lua_State *L)
{
  const struct script *s = lua_touserdata (L, 1);
  int r;

  if (!s->code)
    add_path (L, s->name);
  r = s->code ? luaL_loadbufferx (L, s->code, strlen (s->code), s->name, "t")
              : luaL_loadfilex (L, s->name, "t");
  if (r == LUA_ERRFILE)
    return luaL_error (L, "hooks: %s", lua_tostring (L, -1));
  if (r != LUA_OK && !s->code && r == LUA_ERRSYNTAX
      && !strchr (lua_tostring (L, -1), ':'))
    return luaL_error (L, "%s: %s", s->name, lua_tostring (L, -1));
  if (r != LUA_OK)
    return lua_error (L);
  note_mentions (L);
  lua_call (L, 0, 0);
  return 0;
}

int
hooks_run (const char *name, const char *code)
{
  struct script s = { name, code };
  /* With nbdkit -s, standard output is the client until the server is up, and
   * what os.execute starts would write there.
   */
  int out = fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), r;

  dup2 (STDERR_FILENO, STDOUT_FILENO);
  r = protected (run_script, &s);
  if (out == -1)
    close (STDOUT_FILENO);      /* as it was */
  else {
    dup2 (out, STDOUT_FILENO);
    close (out);
  }
  if (r == -1 && strchr (message (), ':'))
    nbdkit_error ("%s", message ());
  else if (r == -1)             /* no memory, or no stack, to say where */
    nbdkit_error ("%s: %s%s", name + (*name == '='), message (),
                  strstr (message (), "memory")
                  ? "; lua-memory= allows for more" : "");
  return r;
}

/* Raise an error if there is a parameter that no script has looked up. */
static int
check_params (lua_State *L)
{
  const char *names[64] = { NULL };
  size_t n = 0;

  lua_getfield (L, LUA_REGISTRYINDEX, "asked");
  lua_pushnil (L);
  while (n < 40 && lua_next (L, -2)) {
    lua_pop (L, 1);
    names[n++] = lua_tostring (L, -1);
  }
  for (const char *const *p = host.config.names; *p && n < 63; p++)
    names[n++] = *p;
  for (size_t i = 0; i < host.config.nr_params; i++) {
    const struct param *p = &host.config.params[i];
    const char *nearest = p->used ? NULL : text_nearest (p->key, names);

    if (!p->used && nearest)
      return luaL_error (L, "%s=%s: no script looks this parameter up; did "
                         "you mean %s?", p->key, p->value, nearest);
    if (!p->used)
      return luaL_error (L, "%s=%s: the plugin does not know this parameter, "
                         "and no script looks it up while it loads", p->key,
                         p->value);
  }
  return 0;
}

int
hooks_ready (void)
{
  if (protected (check_params, NULL) == -1) {
    nbdkit_error ("%s", message ());
    return -1;
  }
  host.serving = true;
  return 0;
}

/* Say how often each place failed, if more than once. */
static int
log_places (lua_State *L)
{
  lua_rawgeti (L, LUA_REGISTRYINDEX, places_ref);
  lua_pushnil (L);
  while (lua_next (L, -2)) {
    if (lua_tointeger (L, -1) > 1)
      nbdkit_error ("%s: it failed %lld times", lua_tostring (L, -2),
                    (long long) lua_tointeger (L, -1));
    lua_pop (L, 1);
  }
  return 0;
}

void
hooks_stop (void)
{
  if (!host.L)
    return;
  if (host.serving)
    protected (log_places, NULL);
  started = 0;
  lua_close (host.L);
  host.L = NULL;
  pthread_mutex_destroy (&host.lock);
}
