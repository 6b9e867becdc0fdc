/* hook.c - which hooks there are, and the way of a request through them.
 *
 * The hooks for an operation are levels, the one declared first outermost.  Each
 * is a call (call.c).  When one wants the request performed (req:run), or returns
 * without having decided, the next level has its turn; after the last one the
 * request goes on to the faults.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lib/chance.h"
#include "lua/host.h"
#include "lua/spec.h"
#include "report/log.h"

/* How many scripts may define the same hook. */
#define MAX_LEVELS 16

/* The hooks, first declared outermost: references into Lua's registry. */
static struct {
  _Atomic unsigned count;
  int ref[MAX_LEVELS];
  struct tally asked[MAX_LEVELS];       /* requests for which each called chance */
  bool called[MAX_LEVELS];      /* at least once */
  uint64_t n;                   /* requests seen */
} hooks[OP_COUNT];

static int conns_ref;           /* what stands for each connection: a table */

/* A request's way through its hooks. */
struct pass {
  struct request *req;
  uint64_t used;                /* of their hook-timeout, before they begin */
  bool filled;                  /* an on.fill has given the content */
};

/* One hook at work. */
struct hook {
  struct call call;
  struct pass *pass;
  unsigned level;
};

/* All hooks have let the request pass: it is still to be performed. */
#define PERFORM (-1)

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

/* What on.fill is set to becomes what makes the initial content. */
static void
set_fill (lua_State *L)
{
  const int err = disk_set_fill (disk_live (), lua_isnil (L, 3) ? NULL : hook_fill);

  if (err == ENOTSUP)
    luaL_error (L, "on.fill: leave it out: with replay= the file says what the disk holds");
  if (err)
    luaL_error (L, "on.fill: out of memory");
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
  if (op == OP_FILL)
    set_fill (L);
  if (lua_isnil (L, 3)) {
    hooks[op].count = 0;
    while (count > 0) {
      tally_clear (&hooks[op].asked[--count]);
      luaL_unref (L, LUA_REGISTRYINDEX, hooks[op].ref[count]);
    }
    return 0;
  }

  if (count == MAX_LEVELS)
    return luaL_error (L, "on.%s: more than %d hooks", op_names[op],
                       MAX_LEVELS);
  lua_settop (L, 3);
  hooks[op].ref[count] = luaL_ref (L, LUA_REGISTRYINDEX);
  hooks[op].called[count] = false;
  hooks[op].count = count + 1;
  return 0;
}

/* A table that represents on in an answer of the control socket: where the hooks of
 * each name are defined, outermost first.
 */
static int
on_tojson (lua_State *L)
{
  lua_Debug ar;

  push_object (L);
  for (enum op op = 0; op < OP_COUNT; op++) {
    const unsigned count = hooks[op].count;

    if (count == 0)
      continue;
    lua_newtable (L);
    for (unsigned i = 0; i < count; i++) {
      lua_rawgeti (L, LUA_REGISTRYINDEX, hooks[op].ref[i]);
      lua_getinfo (L, ">S", &ar);
      lua_pushfstring (L, "%s:%d", ar.short_src, ar.linedefined);
      lua_rawseti (L, -2, i + 1);
    }
    lua_setfield (L, -2, op_names[op]);
  }
  return 1;
}

/*--------------------------------------------------------------------*/
/* Hooks that do nothing. */

/* Write the place where a hook is defined. */
static void
write_place (enum op op, unsigned level, char *place, size_t size)
{
  lua_rawgeti (host.L, LUA_REGISTRYINDEX, hooks[op].ref[level]);
  describe_function (host.L, place, size);
  lua_pop (host.L, 1);
}

/* The hooks that are defined in one place, as where a loop sets several. */
struct place {
  char where[300];
  char names[150];              /* on.read, on.write */
  unsigned nr_names;
  bool called;                  /* at least one of them */
};

static void
add_hook (struct place *p, enum op op, unsigned level)
{
  const size_t len = strlen (p->names);
  char where[sizeof p->where];

  write_place (op, level, where, sizeof where);
  if (strcmp (where, p->where) != 0)
    return;
  p->called = p->called || hooks[op].called[level];
  p->nr_names++;
  snprintf (p->names + len, sizeof p->names - len, "%son.%s", len ? ", " : "",
            op_names[op]);
}

/* on.fill is no test, and on.stop has its own time. */
static bool
must_be_called (enum op op)
{
  return op != OP_FILL && op != OP_STOP;
}

/* Tell of the place of a hook, unless a hook before it has the same one. */
static void
tell_place (enum op first, unsigned first_level)
{
  struct place p = { .nr_names = 0 };

  write_place (first, first_level, p.where, sizeof p.where);
  for (enum op op = 0; op < OP_COUNT; op++)
    for (unsigned level = 0;
         level < hooks[op].count && must_be_called (op); level++) {
      if (op == first && level == first_level && p.nr_names > 0)
        return;
      add_hook (&p, op, level);
    }
  if (!p.called)
    nbdkit_error ("hook%s %s (%s) %s never called", p.nr_names > 1 ? "s" : "",
                  p.names, p.where, p.nr_names > 1 ? "were" : "was");
}

/* As a rule that never fired: a hook that was never called has tested nothing. */
static void
tell_uncalled (void)
{
  for (enum op op = 0; op < OP_COUNT; op++)
    for (unsigned level = 0;
         level < hooks[op].count && must_be_called (op); level++)
      if (!hooks[op].called[level])
        tell_place (op, level);
}

void
hook_hint (lua_State *L)
{
  lua_Debug ar;

  lua_rawgeti (L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  for (enum op op = 0; op < OP_COUNT; op++) {
    lua_pushstring (L, op_names[op]);
    if (lua_rawget (L, -2) == LUA_TFUNCTION && !lua_iscfunction (L, -1)
        && hooks[op].count == 0) {
      lua_pushvalue (L, -1);
      lua_getinfo (L, ">S", &ar);
      fprintf (stderr, "%s:%d: note: the function %s is no hook: requests call "
               "on.%s\n", ar.short_src, ar.linedefined, op_names[op],
               op_names[op]);
    }
    lua_pop (L, 1);
  }
  lua_pop (L, 1);
}

void
hook_stop (void)
{
  if (host.serving)
    tell_uncalled ();
  for (size_t op = 0; op < OP_COUNT; op++)
    for (size_t i = 0; i < MAX_LEVELS; i++)
      tally_clear (&hooks[op].asked[i]);
}

void
open_hook (lua_State *L)
{
  lua_newtable (L);
  conns_ref = luaL_ref (L, LUA_REGISTRYINDEX);

  lua_newtable (L);
  new_class (L, NULL, on_index, on_newindex, 0);
  lua_pushcfunction (L, on_tojson);
  lua_setfield (L, -2, "__tojson");
  lua_setmetatable (L, -2);
  lua_setglobal (L, "on");
}

bool
hooks_wants (enum op op)
{
  return atomic_load_explicit (&hooks[op].count, memory_order_relaxed) > 0;
}

void
hook_number (struct request *req)
{
  if (req->n == 0)
    req->n = ++hooks[req->op].n;
}

/*--------------------------------------------------------------------*/
/* Arguments and results of hooks. */

void
push_conn (lua_State *L, const struct connection *conn)
{
  lua_rawgeti (L, LUA_REGISTRYINDEX, conns_ref);
  if (lua_rawgeti (L, -1, (lua_Integer) conn->id) == LUA_TNIL) {
    lua_pop (L, 1);
    lua_createtable (L, 0, 3);
    lua_pushinteger (L, (lua_Integer) conn->id);
    lua_setfield (L, -2, "id");
    lua_pushstring (L, conn->export_name);
    lua_setfield (L, -2, "export");
    lua_pushboolean (L, conn->readonly);
    lua_setfield (L, -2, "readonly");
    lua_pushvalue (L, -1);
    lua_rawseti (L, -3, (lua_Integer) conn->id);
  }
  lua_remove (L, -2);
}

static void
push_function (lua_State *L, const struct call *c)
{
  const struct hook *h = (const struct hook *) c;

  lua_rawgeti (L, LUA_REGISTRYINDEX, hooks[c->req->op].ref[h->level]);
}

/* The req stays below, because it holds the data that the request may want to
 * store.
 */
static int
push_request_hook (lua_State *L, struct call *c)
{
  push_req (L, c);
  push_function (L, c);
  lua_pushvalue (L, -2);
  return 1;
}

static int
push_connection_hook (lua_State *L, struct call *c)
{
  push_function (L, c);
  push_conn (L, c->req->conn);
  return 1;
}

/* The hooks on.stop get no argument. */
static int
push_stop_hook (lua_State *L, struct call *c)
{
  push_function (L, c);
  return 0;
}

static int
push_fill_hook (lua_State *L, struct call *c)
{
  push_function (L, c);
  lua_pushinteger (L, (lua_Integer) c->req->offset);
  lua_pushinteger (L, c->req->count);
  return 2;
}

/* Raise the message on top of the stack, after the place where the function at
 * LEVEL of the stack is.
 */
static void
wrong_content (lua_State *L, int level)
{
  luaL_where (L, level);
  lua_insert (L, -2);
  lua_concat (L, 2);
  lua_error (L);
}

/* Take what on.fill returned for a request: nil (false), or the content.  Errors
 * name the place of the function at LEVEL of the stack.
 */
static bool
take_content (lua_State *L, const struct request *req, int level)
{
  size_t len;
  const char *s;

  if (lua_isnil (L, -1))
    return false;
  if (lua_type (L, -1) != LUA_TSTRING) {
    lua_pushfstring (L, "on.fill returned no string, but a %s",
                     luaL_typename (L, -1));
    wrong_content (L, level);
  }
  s = lua_tolstring (L, -1, &len);
  if (len != req->count) {
    lua_pushfstring (L, "on.fill returned %I bytes, not %I", (lua_Integer) len,
                     (lua_Integer) req->count);
    wrong_content (L, level);
  }
  memcpy (req->buf, s, len);
  return true;
}

static void
fill_done (lua_State *L, struct call *c)
{
  c->done = take_content (L, c->req, 1);
}

/*--------------------------------------------------------------------*/
/* The kinds of hooks. */

static void
hook_title (const struct call *c, char *title, size_t size)
{
  snprintf (title, size, "on.%s", op_names[c->req->op]);
}

static int
hook_failed (struct call *c)
{
  const int err = error_code (c);

  if (c->req->op != OP_CLOSE && c->req->conn && log_wanted ())
    log_error ("hook", op_names[c->req->op], c->req, err);
  return err;
}

/* The log gets a line for a hook that has changed what happens to its request, or
 * was cut short.
 */
static void
log_hook (const struct call *c)
{
  struct json did = { .text = NULL };

  if (!(c->changed || c->skipped || c->cut) || !c->req->conn || !log_wanted ()
      || c->req->op == OP_CLOSE)
    return;
  if (c->changed)
    json_member (&did, "data", "true");
  if (c->skipped)
    json_member (&did, "skip", "true");
  if (c->cut)
    json_member_string (&did, "ended", call_why_cut (c));
  log_request ("hook", op_names[c->req->op], c->req, &did);
}

/* When on.close runs, the client has gone: that is no reason to stop.  Nor is it one
 * for on.stop that the server ends.
 */
static bool
never_gone (const struct call *c)
{
  (void) c;
  return false;
}

/* Nor is it a reason to sleep no more. */
static int
close_wait (const struct call *c, uint64_t ns)
{
  (void) c;
  return request_wait_server (ns);
}

/* No time passes in on.stop (check_call refuses to sleep), because nobody is left who
 * could do something meanwhile.
 */
static int
stop_wait (const struct call *c, uint64_t ns)
{
  (void) c;
  (void) ns;
  return 0;
}

static int run_rest (struct call *c);

static const struct call_kind request_hook = {
  .push = push_request_hook, .run = run_rest, .title = hook_title,
  .failed = hook_failed, .wait = call_wait, .gone = call_gone,
};

static const struct call_kind opening_hook = {
  .push = push_connection_hook, .title = hook_title, .failed = hook_failed,
  .wait = call_wait, .gone = call_gone,
};

static const struct call_kind closing_hook = {
  .push = push_connection_hook, .title = hook_title, .failed = hook_failed,
  .wait = close_wait, .gone = never_gone,
};

static const struct call_kind fill_hook = {
  .push = push_fill_hook, .results = 1, .done = fill_done,
  .title = hook_title, .failed = hook_failed, .wait = call_wait,
  .gone = call_gone,
};

/* There is no request to fail, so what fail says is told, too. */
static int
stop_failed (struct call *c)
{
  const int err = error_code (c);

  if (c->req->asked)
    nbdkit_error ("on.stop: failed with %s", errno_name (err));
  c->req->asked = false;
  return err;
}

static const struct call_kind stop_hook = {
  .push = push_stop_hook, .title = hook_title, .failed = stop_failed,
  .wait = stop_wait, .gone = never_gone,
};

static const struct call_kind *
kind_of (enum op op)
{
  switch (op) {
  case OP_OPEN:
    return &opening_hook;
  case OP_CLOSE:
    return &closing_hook;
  case OP_FILL:
    return &fill_hook;
  case OP_STOP:
    return &stop_hook;
  default:
    return &request_hook;
  }
}

/*--------------------------------------------------------------------*/
/* Running hooks. */

/* Send a request on, while a hook waits for it. */
static int
send_on (struct request *req)
{
  int err;

  host_unlock ();
  req->asked = req->logged = false;     /* it may have failed before */
  req->record = NULL;
  err = faults_pass (req);
  host_lock ();
  return err;
}

/* Run the hooks from LEVEL on.  The lock is held.  0, an errno code, or PERFORM,
 * which is left to the caller, who can do it without the lock.
 */
static int
run_level (struct pass *p, unsigned level)
{
  struct request *req = p->req;
  struct hook h = {
    .call = { .kind = kind_of (req->op), .req = req, .used = p->used,
              .asked = level < MAX_LEVELS ? &hooks[req->op].asked[level] : NULL,
              .place = chance_mix (0) ^ (level << 8 | (unsigned) req->op) },
    .pass = p, .level = level,
  };
  void *const buf = req->buf;
  int err;

  if (level >= hooks[req->op].count)
    return h.call.kind->run ? PERFORM : 0;
  hooks[req->op].called[level] = true;
  err = call_run (&h.call);
  if (!err || h.call.cut)
    log_hook (&h.call);
  if (!err) {
    err = h.call.done ? h.call.err : run_level (p, level + 1);
    /* New data belongs to the hook's req, so it must be stored before. */
    if (err == PERFORM && req->buf != buf)
      err = send_on (req);
    call_release (&h.call);
  }
  req->buf = buf;
  p->filled = p->filled || h.call.done;
  return err;
}

/* req:run: the levels further in, and the request itself. */
static int
run_rest (struct call *c)
{
  const struct hook *h = (const struct hook *) c;
  int err = run_level (h->pass, h->level + 1);

  return err == PERFORM ? send_on (c->req) : err;
}

/* Run all hooks from outside. */
static int
run_hooks (struct pass *p)
{
  int err;

  host_lock ();
  p->req->n = ++hooks[p->req->op].n;
  err = run_level (p, 0);
  host_unlock ();
  return err;
}

int
hooks_request (struct request *req)
{
  struct pass p = { .req = req };
  int err = run_hooks (&p);

  return err == PERFORM ? faults_pass (req) : err;
}

int
hooks_open (struct request *req)
{
  return run_hooks (&(struct pass) { .req = req });
}

/* When the server ends, many connections do.  Hooks that run without end must not
 * take a hook-timeout each: the time that such ones take while this one waits for
 * its turn is taken from its own.
 */
void
hooks_close (const struct connection *conn)
{
  static _Atomic uint64_t taken;        /* processor time by those stopped */
  const uint64_t before = taken;
  struct request req = { .op = OP_CLOSE, .conn = conn };
  struct pass p = { .req = &req };
  uint64_t start, cpu;

  host_lock ();
  start = sys_cpu ();
  p.used = taken - before;
  run_level (&p, 0);
  cpu = sys_cpu () - start;
  if (cpu + p.used > host.config.timeout)
    taken += cpu;
  host_unlock ();
}

/* The last declared first, each on its own: one that fails does not keep the others
 * from running.
 */
void
hook_run_stop (void)
{
  static struct request req = { .op = OP_STOP };

  for (unsigned level = hooks[OP_STOP].count; level-- > 0; ) {
    struct hook h = {
      .call = { .kind = &stop_hook, .req = &req, .asked = &hooks[OP_STOP].asked[level],
                .place = chance_mix (0) ^ (level << 8 | OP_STOP) },
      .level = level,
    };

    if (level >= hooks[OP_STOP].count)
      continue;                 /* one that ran before has taken it away */
    hooks[OP_STOP].called[level] = true;
    call_run_alone (&h.call);
  }
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

void
hooks_forget (const struct connection *conn)
{
  host_lock ();
  host_protected (forget_conn, conn);
  host_unlock ();
}

/* Call the functions on.fill straight away, inside of other Lua code, until one
 * gives the content.  The argument is a struct pass.  Errors name the place of the
 * Lua code that called the C function that needs the content.
 */
static int
fill_inside (lua_State *L)
{
  struct pass *p = lua_touserdata (L, 1);

  for (unsigned i = 0; i < hooks[OP_FILL].count && !p->filled; i++) {
    lua_rawgeti (L, LUA_REGISTRYINDEX, hooks[OP_FILL].ref[i]);
    lua_pushinteger (L, (lua_Integer) p->req->offset);
    lua_pushinteger (L, p->req->count);
    lua_call (L, 2, 1);
    p->filled = take_content (L, p->req, 2);
    lua_pop (L, 1);
  }
  return 0;
}

int
hook_fill (void *context, void *buf, uint64_t count, uint64_t offset)
{
  lua_State *L = context;
  struct request req = { .op = OP_FILL, .buf = buf, .count = (uint32_t) count,
                         .offset = offset };
  struct pass p = { .req = &req };
  int err;

  if (L) {
    lua_pushcfunction (L, fill_inside);
    lua_pushlightuserdata (L, &p);
    err = lua_pcall (L, 1, 0, 0) == LUA_OK ? 0 : HOOK_RAISED;
  }
  else
    err = run_hooks (&p);
  if (!err && !p.filled)
    memset (buf, 0, count);
  return err;
}
