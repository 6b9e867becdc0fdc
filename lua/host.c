/* host.c - the Lua state, its lock and its limits.
 *
 * One Lua state serves all connections, behind one lock, which is never held while
 * a request sleeps, hangs or touches the disk.  So scripts need no locks: between
 * two yields nobody else runs (call.c).
 *
 * An error outside of a protected call, even one for lack of memory, would abort
 * the server.  Lua code runs only under lua_resume (call.c) and lua_pcall
 * (host_protected), and what is called outside of those allocates nothing.
 *
 * Lua calls a count hook, tick, after each TICK instructions.  It stops code that
 * runs for too long, or for which nobody waits any more.
 */

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lua/host.h"

struct host host;

/* VM instructions after which running code is checked. */
#define TICK 1000

/* Lua's memory in use. */
static uint64_t memory;

/* The code that runs: when it was first checked (0: not yet), by the clock and in
 * processor time of its thread; when to check again whether somebody waits for
 * it; and why it must stop, once that is known.
 */
static struct {
  uint64_t started, cpu, next_look;
  const char *stop;
} running;

/*--------------------------------------------------------------------*/
/* The lock.
 *
 * A mutex is not fair: one thread that gives it back and takes it again, chunk
 * after chunk, would keep all others from it.  So chunks and requests take turns.
 * All requests that wait when a chunk gives back the lock have it before the next
 * chunk.  Those that come later do not hold up that chunk, because there may
 * always be some.
 */

/* Requests asleep until they have the lock: those that the next chunk must let go
 * first are in waiting[!phase], later ones in waiting[phase].  A chunk that gives
 * back the lock begins another phase.  Guarded by the lock, except that requests
 * read the phase and count themselves without it: one may be counted in the phase
 * before, and hold up a chunk that it came too late for.
 */
static _Atomic unsigned waiting[2], phase;
static bool chunk_has_it;
static pthread_cond_t passed = PTHREAD_COND_INITIALIZER;

/* How often to try it before going to sleep: for some microseconds. */
#define SPINS 300

/* Sleep until the lock is there. */
static void
wait_for_lock (void)
{
  const unsigned mine = phase;

  waiting[mine]++;
  pthread_mutex_lock (&host.lock);
  if (--waiting[mine] == 0)
    pthread_cond_broadcast (&passed);
}

/* It is mostly held for a fraction of a microsecond, so it is better to try again
 * than to go to sleep.
 */
void
host_lock (void)
{
  for (unsigned i = 0; i < SPINS; i++) {
    if (pthread_mutex_trylock (&host.lock) == 0)
      return;
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause ();
#elif defined __aarch64__
    __asm__ volatile ("yield");
#endif
  }
  wait_for_lock ();
}

void
host_lock_for (const struct call *c)
{
  if (!c->kind->takes_turns) {
    host_lock ();
    return;
  }
  pthread_mutex_lock (&host.lock);
  while (waiting[!phase] > 0)
    pthread_cond_wait (&passed, &host.lock);
  chunk_has_it = true;
}

void
host_unlock (void)
{
  if (chunk_has_it) {
    chunk_has_it = false;
    phase = !phase;
  }
  pthread_mutex_unlock (&host.lock);
}

/*--------------------------------------------------------------------*/
/* Limits: time and memory. */

/* By the clock, code may run this many times longer than hook-timeout, and at
 * least so long, because a machine may be busy or stand still.
 */
#define CLOCK_TIMES 10
#define CLOCK_LEAST (10 * SECOND)

/* hook-timeout's messages, made once. */
static char out_of_time[100], out_of_clock[100];

static const char gone[] =
  "stopped, because the client has gone or nbdkit ends";

void
host_excuse (uint64_t since)
{
  const uint64_t ns = sys_now () - since;

  if (!running.started)
    return;
  running.started += ns;
  running.cpu += ns;            /* it can't have been more */
}

static uint64_t
clock_limit (uint64_t timeout)
{
  return timeout > CLOCK_LEAST / CLOCK_TIMES ? timeout * CLOCK_TIMES
    : CLOCK_LEAST;
}

/* Has the code had its time?  NULL, or the message.  The processor time is asked
 * for only where it may be over, because that takes a system call.
 */
static const char *
time_over (uint64_t now)
{
  const struct call *c = host.call ? host.call : host.failed;
  const int64_t timeout = (int64_t) (host.config.timeout - (c ? c->used : 0));
  const int64_t elapsed = (int64_t) (now - running.started);

  if (elapsed <= timeout)
    return NULL;
  if ((int64_t) (sys_cpu () - running.cpu) > timeout)
    return out_of_time;
  return elapsed > (int64_t) clock_limit (host.config.timeout) ? out_of_clock
    : NULL;
}

/* Is there somebody for whom the code of a call must stop? */
static bool
must_stop (const struct call *c)
{
  return host.serving && c && c->kind->gone (c);
}

void
host_check (lua_State *L)
{
  if (must_stop (host.call))
    luaL_error (L, "%s", gone);
}

struct call *
host_leave (void)
{
  struct call *c = host.call;

  host.call = NULL;
  host_unlock ();
  return c;
}

void
host_return (struct call *c)
{
  host_lock_for (c);
  host.call = c;
  host_begin (c->co);
}

void
host_pause (lua_State *L)
{
  struct call *c = host.call;
  int err;

  if (!c)
    return;
  host_leave ();
  err = c->kind->wait (c, 1);   /* whoever wants the lock is awake by then */
  host_return (c);
  if (err)
    luaL_error (L, "%s", gone);
}

static void tick (lua_State *L, lua_Debug *ar);

/* Stop the code that runs.  Where it can yield it does, for good: an error
 * that a count hook raises would leave the coroutine without count hooks, so
 * that its __close could not be stopped.  A coroutine of the call's own yields
 * to the call, which is checked at once.  Elsewhere each single instruction
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
    c->unstoppable = true;
  else {
    lua_pushthread (L);
    host_keep (L);
    lua_pop (L, 1);
  }
  lua_sethook (L, tick, LUA_MASKCOUNT, 1);
  luaL_error (L, "%s", why);
}

/* Called by Lua after each TICK instructions. */
static void
tick (lua_State *L, lua_Debug *ar)
{
  uint64_t now;

  (void) ar;
  if (!host.serving)
    return;                     /* loading may take its time */
  if (host.call && L == host.call->co)
    host.call->unstoppable = false;     /* the error was caught */
  now = sys_now ();
  if (!running.started) {
    running.started = now;
    running.cpu = sys_cpu ();
    running.next_look = now + SYS_STEP;
    return;
  }
  if (!running.stop)
    running.stop = time_over (now);
  if (!running.stop && now > running.next_look) {
    running.next_look = now + SYS_STEP;
    if (must_stop (host.call ? host.call : host.failed))
      running.stop = gone;
  }
  if (running.stop)
    stop_code (L, running.stop);
}

void
host_begin (lua_State *co)
{
  running.started = 0;
  running.stop = NULL;
  if (lua_gethookcount (co) != TICK)
    lua_sethook (co, tick, LUA_MASKCOUNT, TICK);
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

bool
host_is_milestone (lua_Integer n)
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
  static lua_Integer n;
  size_t used = strlen (line);

  (void) unused;
  snprintf (line + used, sizeof line - used, "%s", piece);
  if (more)
    return;
  /* As errors of hooks: ever more rarely. */
  if (line[0] != '@' && (++n < 10 || host_is_milestone (n)))
    nbdkit_error ("Lua warning: %s", line);
  line[0] = '\0';
}

/*--------------------------------------------------------------------*/
/* Coroutines that scripts must not resume or close: hooks, and those that were
 * stopped in a way that leaves them without count hooks.
 */

static int kept_ref;            /* a table with weak keys, in the registry */

void
host_keep (lua_State *L)
{
  lua_rawgeti (L, LUA_REGISTRYINDEX, kept_ref);
  lua_pushvalue (L, -2);
  lua_pushboolean (L, 1);
  lua_rawset (L, -3);
  lua_pop (L, 1);
}

bool
host_is_kept (lua_State *L, lua_State *co)
{
  bool kept;

  luaL_checkstack (L, 3, NULL);
  /* An error belongs to L: nothing protects CO. */
  if (!lua_checkstack (co, 1))
    luaL_error (L, "stack overflow");
  lua_rawgeti (L, LUA_REGISTRYINDEX, kept_ref);
  lua_pushthread (co);
  if (co != L)
    lua_xmove (co, L, 1);
  kept = lua_rawget (L, -2) != LUA_TNIL;
  lua_pop (L, 2);
  return kept;
}

int
host_ref_weak (lua_State *L)
{
  lua_newtable (L);
  lua_createtable (L, 0, 1);
  lua_pushliteral (L, "k");
  lua_setfield (L, -2, "__mode");
  lua_setmetatable (L, -2);
  return luaL_ref (L, LUA_REGISTRYINDEX);
}

void
open_host (lua_State *L)
{
  kept_ref = host_ref_weak (L);
}

/*--------------------------------------------------------------------*/
/* Protected calls. */

const char *
host_push_place (lua_State *L, lua_State *co)
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
    host_push_place (L, L);
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

int
host_protected (lua_CFunction fn, const void *arg)
{
  host_begin (host.L);
  lua_settop (host.L, 0);
  lua_pushcfunction (host.L, message_handler);
  lua_pushcfunction (host.L, fn);
  lua_pushlightuserdata (host.L, (void *) arg);
  return lua_pcall (host.L, 1, 0, 1) == LUA_OK ? 0 : -1;
}

const char *
host_message (void)
{
  const char *s = lua_type (host.L, -1) == LUA_TSTRING
    ? lua_tostring (host.L, -1) : NULL;

  return s ? s : "the script failed with an error that is no text";
}

/*--------------------------------------------------------------------*/
/* Start and end. */

int
host_start (const struct hooks_config *config, lua_CFunction open)
{
  host.config = *config;
  snprintf (out_of_time, sizeof out_of_time, "stopped, because it ran for %g "
            "seconds without yielding (hook-timeout)",
            (double) config->timeout / SECOND);
  snprintf (out_of_clock, sizeof out_of_clock, "stopped, because it took %g "
            "seconds without yielding (see hook-timeout)",
            (double) clock_limit (config->timeout) / SECOND);
  host.L = lua_newstate (allocate, NULL);
  if (!host.L) {
    nbdkit_error ("lua-memory: too little even to start Lua");
    return -1;
  }
  pthread_mutex_init (&host.lock, NULL);
  lua_setwarnf (host.L, warn, NULL);
  if (host_protected (open, NULL) == -1) {
    nbdkit_error ("hooks: %s", host_message ());
    return -1;
  }
  return 0;
}

void
host_stop (void)
{
  running.started = 0;
  lua_close (host.L);
  host.L = NULL;
  pthread_mutex_destroy (&host.lock);
}
