/* call.c - one run of Lua code: a hook, a function of a rule, a chunk.
 *
 * Each is a coroutine, driven by the thread of its request (or of the client of
 * the control socket):
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
 * What differs between hooks, functions of rules and chunks is in their tables,
 * struct call_kind.
 *
 * The coroutine's first function (start) makes what the code needs, because
 * outside of it nothing may be allocated (host.c).  A coroutine that ended well is
 * used again; one that failed or was abandoned is closed, which runs its pending
 * __close, and dropped.
 */

#include <errno.h>

#include "lua/host.h"
#include "report/log.h"
#include "report/stats.h"

/* Coroutines kept for use again. */
#define MAX_IDLE 64

static struct { lua_State *co; int ref; } idle[MAX_IDLE];
static unsigned nr_idle;

static int start_ref;           /* the function start, in the registry */

/*--------------------------------------------------------------------*/
/* Coroutines. */

/* The code has returned.  The values below its results stay on the stack, such as
 * the req that holds the data that the request may want to store.
 */
static int
start_done (lua_State *L, int status, lua_KContext context)
{
  struct call *c = host.call;

  (void) status;
  (void) context;
  if (c->kind->done)
    c->kind->done (L, c);
  return lua_gettop (L);
}

static int
start (lua_State *L)
{
  struct call *c = host.call;
  const int nargs = c->kind->push (L, c);

  lua_callk (L, nargs, c->kind->results, 0, start_done);
  return start_done (L, LUA_OK, 0);
}

static int
new_coroutine (lua_State *L)
{
  struct call *c = lua_touserdata (L, 1);
  lua_State *co = lua_newthread (L);

  host_keep (L);
  c->co_ref = luaL_ref (L, LUA_REGISTRYINDEX);
  c->co = co;
  return 0;
}

/* False, with a message: no memory. */
static bool
take_coroutine (struct call *c)
{
  if (nr_idle == 0)
    return host_protected (new_coroutine, c) == 0;
  c->co = idle[--nr_idle].co;
  c->co_ref = idle[nr_idle].ref;
  return true;
}

void
call_release (struct call *c)
{
  if (c->handle)
    *c->handle = NULL;
  lua_settop (c->co, 0);
  if (nr_idle < MAX_IDLE) {
    idle[nr_idle].co = c->co;
    idle[nr_idle++].ref = c->co_ref;
  }
  else
    luaL_unref (host.L, LUA_REGISTRYINDEX, c->co_ref);
}

/* The same for one that failed or was abandoned: run what it has to close. */
static void
drop (struct call *c)
{
  if (c->handle)
    *c->handle = NULL;
  if (!c->unstoppable) {
    host.failed = c;
    host_begin (c->co);
#if LUA_VERSION_RELEASE_NUM >= 50406
    lua_closethread (c->co, host.L);
#else
    lua_resetthread (c->co);
#endif
  }
  host.failed = NULL;
  luaL_unref (host.L, LUA_REGISTRYINDEX, c->co_ref);
}

/*--------------------------------------------------------------------*/
/* Driving. */

/* The code knows of the power cuts so far. */
static void
learn_cuts (struct call *c)
{
  if (c->req->visit)
    c->cuts = *c->req->conn->cuts;
}

void
call_has_cut (void)
{
  if (host.call)
    learn_cuts (host.call);
}

/* Was the power cut, which the code does not know, so that its request has failed? */
static bool
was_cut (const void *call)
{
  const struct call *c = call;

  return c->req->visit && c->cuts != *c->req->conn->cuts;
}

const char *
call_why_cut (const struct call *c)
{
  return disk_was_cut (c->req) ? "power cut" : log_why_cut ();
}

/* To wait until something happens does not notice by itself that the client has gone,
 * so it is not for short waits.
 */
int
call_wait (const struct call *c, uint64_t ns)
{
  const uint64_t now = sys_now ();

  if (!c->req->visit || ns < SYS_STEP)
    return request_wait (c->req->conn, ns);
  return request_wait_until (c->req->conn, ns < UINT64_MAX - now ? now + ns : UINT64_MAX,
                             was_cut, c);
}

bool
call_gone (const struct call *c)
{
  (void) c;
  return request_is_over ();
}

/* Is there a reason to wait no longer for this rule, though it has not fired? */
static bool
is_vain (const struct fault *f)
{
  const struct fault_info info = fault_info (f);

  return info.removed || info.over;
}

/* Wait for a rule, and check every SYS_STEP whether it may still fire, and whether the
 * client is still there.
 */
static int
wait_fired (const struct call *c)
{
  const uint64_t end = sys_now () + c->ns;
  uint64_t now;
  int err = 0;

  while (!err && (now = sys_now ()) < end
         && !is_vain (c->fault) && !was_cut (c)
         && !fault_wait (c->fault, c->times,
                         end - now < SYS_STEP ? end - now : SYS_STEP))
    err = c->kind->wait (c, 1);
  return fault_info (c->fault).fired >= c->times ? 0 : err;
}

/* Send the request on. */
static int
run (struct call *c)
{
  const bool knows = c->err == ESHUTDOWN && disk_was_cut (c->req);

  if (c->has_run && (knows || c->kind->gone (c))) {
    c->cut = true;
    return ESHUTDOWN;           /* it may be a loop */
  }
  c->has_run = true;
  c->skipped = false;
  if (c->req->op == OP_READ)
    c->changed = false;         /* the data is the disk's again */
  c->err = c->kind->run (c);
  learn_cuts (c);
  c->done = true;
  return 0;
}

/* Let time pass. */
static int
pause_call (struct call *c, enum command command)
{
  int err;

  host_unlock ();
  stats_wait (true);
  err = command == WAIT ? c->kind->wait (c, c->ns) : wait_fired (c);
  if (!err && was_cut (c))
    err = ESHUTDOWN;
  stats_wait (false);
  host_lock_for (c);
  c->cut = err != 0;
  return err;
}

/* Do what the code wants done.  0: it may go on. */
static int
obey (struct call *c)
{
  const enum command command = c->command;

  c->command = NOTHING;
  switch (command) {
  case RUN:
    return run (c);
  case WAIT:
  case WAIT_FIRED:
    return pause_call (c, command);
  case NOTHING:
    c->why = "a hook can't use coroutine.yield outside of coroutines of its "
      "own";
    break;
  case STOP:
    break;
  }
  return c->kind->failed (c);
}

/* Let the coroutine run until it returns or yields N values.  Its time counts,
 * unless it is a chunk's.
 */
static int
resume (struct call *c, int *n)
{
  const bool counts = stats_counting && c->req->op != OP_COUNT;
  const uint64_t start = counts ? sys_now () : 0;
  int status;

  host.call = c;
  status = lua_resume (c->co, host.L, 0, n);
  host.call = NULL;
  if (counts) {
    stats_hooks.ns += sys_now () - start;
    stats_hooks.calls += status != LUA_YIELD;
  }
  return status;
}

int
call_run (struct call *c)
{
  int status, n, err = 0;

  if (!take_coroutine (c)) {
    c->why = host_message ();
    return c->kind->failed (c);
  }
  c->cuts = c->req->visit ? c->req->visit->cuts : 0;
  lua_rawgeti (c->co, LUA_REGISTRYINDEX, start_ref);
  do {
    host_begin (c->co);
    status = resume (c, &n);
    if (status == LUA_YIELD) {
      lua_pop (c->co, n);
      err = obey (c);
    }
    else if (status != LUA_OK)
      err = c->kind->failed (c);
  }
  while (status == LUA_YIELD && !err);
  if (err)
    drop (c);
  return err;
}

int
call_run_alone (struct call *c)
{
  int err;

  host_lock_for (c);
  err = call_run (c);
  if (!err)
    call_release (c);
  host_unlock ();
  return err;
}

/*--------------------------------------------------------------------*/
/* Functions of scripts. */

struct call *
check_call (lua_State *L, const char *what, bool waits)
{
  if (!host.call)
    luaL_error (L, "%s is for hooks: it can't be used while the script loads",
                what);
  if (waits && host.call->req->op == OP_STOP)
    luaL_error (L, "%s can't be used in on.stop: nothing happens any more", what);
  if (waits && L != host.call->co)
    luaL_error (L, "%s can't be used in a coroutine that the hook has made",
                what);
  if (waits && !lua_isyieldable (L))
    luaL_error (L, "%s can't be used inside a function that C code calls, "
                "as for table.sort, string.gsub or a metamethod", what);
  return host.call;
}

bool
call_can_pause (lua_State *L)
{
  return host.call && L == host.call->co && lua_isyieldable (L);
}

int
call_pause (lua_State *L, lua_KFunction go_on)
{
  host.call->command = WAIT;
  host.call->ns = SYS_STEP / 20;
  return lua_yieldk (L, 0, 0, go_on);
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

/* Draw the luck of a call's request.  How often the same one came before is
 * counted by each hook and each function of a rule for itself, when it calls
 * chance.  Chunks are about no request: they count each other.
 */
static uint64_t
draw_luck (const struct call *c)
{
  static uint64_t chunks;
  const struct request *req = c->req;
  const uint64_t came = !c->asked ? chunks++
    : tally_count (c->asked, c->part << 8 | req->op, req->offset, req->count);

  return chance_luck (req->op, req->offset, req->count, came);
}

/* Its own part of the request's luck is made of the place of the hook among the
 * hooks, or the rule's name, and of the number of the choice.
 */
uint64_t
call_luck (struct call *c)
{
  uint64_t place;

  if (!c->luck)
    c->luck = draw_luck (c);
  place = chance_mix (c->place) + ++c->chances;
  return chance_mix (c->luck ^ place);
}

/* chance (p): true with that probability. */
static int
lua_chance (lua_State *L)
{
  struct call *c = check_call (L, "chance", false);
  const double p = check_probability (L, 1);

  lua_pushboolean (L, chance_fraction (call_luck (c)) < p);
  return 1;
}

void
open_call (lua_State *L)
{
  lua_register (L, "sleep", lua_sleep);
  lua_register (L, "hang", lua_hang);
  lua_register (L, "chance", lua_chance);
  lua_pushcfunction (L, start);
  start_ref = luaL_ref (L, LUA_REGISTRYINDEX);
}
