/* host.h - what the parts of the Lua host share.  Everything here is called
 * with the host's lock held, or before requests are served, except where a
 * comment says otherwise.
 *
 *   script   on top: registers all others, runs scripts, knows their parameters
 *   hook     on: which hooks there are, and a request's way through them
 *   fault    fault: rules, and the functions that they have (spec reads them)
 *   chunk    Lua from the control socket
 *   req, disk, medium     the objects that scripts get
 *   bulk     functions that make or change many bytes
 *   error    what a failure of Lua code means, and who is told
 *   call     one run of Lua code, as a coroutine
 *   host     the state, its lock, its limits
 *   args, safe            values checked, and the standard library made safe
 */

#ifndef LUA_HOST_H
#define LUA_HOST_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "disk/disk.h"
#include "fault/rules.h"
#include "lib/chance.h"
#include "lib/json.h"
#include "lib/sys.h"
#include "lua/hooks.h"

struct host {
  struct hooks_config config;
  lua_State *L;
  pthread_mutex_t lock;
  struct call *call;            /* whose Lua code runs now, or NULL */
  const struct call *failed;    /* whose __close and __tostring run, or NULL */
  bool serving;                 /* the scripts have run */
};

extern struct host host;

/*--------------------------------------------------------------------*/
/* host.c */

/* Start the Lua state and call OPEN in it, protected.  -1: it failed, and
 * nbdkit_error said why.
 */
int host_start (const struct hooks_config *config, lua_CFunction open);
void host_stop (void);

/* Take the lock, and give it back.  host_lock_for takes it for a call, where that may
 * be a chunk's: requests that wait then have their turn first.
 */
void host_lock (void);
void host_lock_for (const struct call *c);
void host_unlock (void);

/* Call FN with ARG as a light userdata.  0, or -1 with the message, if there is
 * one, on top of the stack of host.L, where host_message finds it.
 */
int host_protected (lua_CFunction fn, const void *arg);
const char *host_message (void);

/* A number at which something that happens again and again is told once more. */
bool host_is_milestone (lua_Integer n);

/* Push where the innermost Lua function of CO stands, such as "a.lua:7", or "?". */
const char *host_push_place (lua_State *L, lua_State *co);

/* Code begins to run, or goes on after a yield: its time starts.  It runs in CO,
 * whose limits are as at first.
 */
void host_begin (lua_State *co);

/* The time since SINCE (of sys_now), which a C function needed, does not count as
 * the script's.
 */
void host_excuse (uint64_t since);

/* Raise an error if the client has gone or the server ends.  A C function that
 * needs long calls it every SYS_STEP.
 */
void host_check (lua_State *L);

/* Work of a call that needs no Lua does without the lock between host_leave and
 * host_return, which gets what host_leave gave.  Other Lua code runs meanwhile, and
 * may change any table.  What is on the stack of the call stays alive.
 */
struct call *host_leave (void);
void host_return (struct call *c);

/* The same without work: let others have the lock, if a call runs.  Then as
 * host_check.
 */
void host_pause (lua_State *L);

/* Keep scripts from resuming or closing the coroutine on top of the stack, because
 * it is a hook's or was stopped.  Are they kept from it?
 */
void host_keep (lua_State *L);
bool host_is_kept (lua_State *L, lua_State *co);

/* A reference, in the registry, to a new table with weak keys. */
int host_ref_weak (lua_State *L);

void open_host (lua_State *L);

/*--------------------------------------------------------------------*/
/* call.c: one run of Lua code. */

/* What the code has asked for when it yields. */
enum command { NOTHING, RUN, WAIT, WAIT_FIRED, STOP };

struct call_kind;

/* Lives on the stack of the thread that drives it, as the first member of what its
 * kind needs besides.
 */
struct call {
  const struct call_kind *kind;
  struct request *req;          /* what it is about (also open, close and fill; a
                                 * chunk has one of op OP_COUNT) */
  lua_State *co;                /* its coroutine; NULL: there is none yet */
  int co_ref;                   /* keeps co, in the registry */
  enum command command;
  uint64_t ns;                  /* how long to WAIT; UINT64_MAX: for ever */
  struct fault *fault;          /* to WAIT_FIRED for, TIMES times */
  uint64_t times;
  const char *why;              /* the message of STOP */
  bool unstoppable;             /* stopped by an error of its count hook, so that
                                 * count hooks are off: its __close could not be
                                 * stopped, and is left out */
  uint64_t used;                /* of its hook-timeout, before it began */
  struct tally *asked;          /* requests for which this code called chance;
                                 * NULL: there is no other (a chunk) */
  unsigned part;                /* which of those who share that it is */
  uint64_t luck;                /* of the request, for this code; 0: not drawn */
  unsigned chances;             /* calls of chance so far */
  uint64_t place;               /* its own part of any luck */

  struct call **handle;         /* in the script's req: it points to us */
  bool has_run;                 /* req:run was used before */
  bool changed;                 /* the code has set req.data */
  bool skipped;                 /* or used req:skip */
  bool cut;                     /* a wait was cut short */
  uint64_t cuts;                /* power cuts that its code knows of (disk_cuts) */
  bool done;                    /* performed, or skipped */
  int err;                      /* and how that went */
};

/* What calls of a kind have of their own.  Each table stands in the file of its
 * kind: hook.c, fault.c, chunk.c.
 */
struct call_kind {
  /* Push the function and its arguments, and return how many those are.  What
   * is below stays on the stack until the end, such as the req to which the call
   * points.  May raise errors.
   */
  int (*push) (lua_State *L, struct call *c);
  /* How many results are wanted, and what to do with them, which are on top of
   * the stack; NULL: nothing.  May raise errors.
   */
  int results;
  void (*done) (lua_State *L, struct call *c);
  /* Send the request on, for req:run.  NULL: the function may not do that, nor
   * change the request.
   */
  int (*run) (struct call *c);
  /* What error messages call the function, such as "on.write". */
  void (*title) (const struct call *c, char *title, size_t size);
  /* The coroutine failed or must stop.  The errno code that this comes to. */
  int (*failed) (struct call *c);
  /* Let time pass, without the lock.  0 or ESHUTDOWN. */
  int (*wait) (const struct call *c, uint64_t ns);
  /* Has the client gone, or does the server end, so that it must stop? */
  bool (*gone) (const struct call *c);
  /* Do requests that wait have the lock before it?  (A chunk.) */
  bool takes_turns;
};

/* Run a call to its end.  0, or the errno code with which it failed.  Where it
 * did not fail, its coroutine keeps what it has on its stack until call_release.
 */
int call_run (struct call *c);

/* The call is over: its req is worth nothing from now on. */
void call_release (struct call *c);

/* Run a call from outside, without the lock held, and release it. */
int call_run_alone (struct call *c);

/* The current call, if function WHAT may be used here: only while a call runs,
 * and with WAITS only where it can yield.  Otherwise raises an error.
 */
struct call *check_call (lua_State *L, const char *what, bool waits);

/* For C functions that need long: can the code yield here?  If so, let others run
 * for a millisecond, as sleep does, and then call GO_ON, which finds the stack as it
 * was.  To be returned by the function.
 */
bool call_can_pause (lua_State *L);
int call_pause (lua_State *L, lua_KFunction go_on);

/* For kinds that serve a request.  A wait ends early when the power is cut. */
int call_wait (const struct call *c, uint64_t ns);
bool call_gone (const struct call *c);

/* The code that runs has cut the power itself: it may go on, and wait. */
void call_has_cut (void);

/* Why a wait of a call was cut short, for the log. */
const char *call_why_cut (const struct call *c);

/* The luck of a call's next random choice: a random number that depends on the seed,
 * the request, the hook or rule, and how many choices it made before.
 */
uint64_t call_luck (struct call *c);

/* The functions sleep, hang and chance. */
void open_call (lua_State *L);

/*--------------------------------------------------------------------*/
/* error.c */

/* The call has failed: the errno code that fail asked for (then REQ->asked is
 * set); otherwise EIO, and nbdkit_error says why, with a traceback when its place
 * is new, and ever more rarely then (and REQ->logged is set).
 */
int error_code (struct call *c);

/* Push the message of a failed call, and say in *PLACED whether it says itself
 * where it was raised.
 */
const char *error_push_text (lua_State *L, const struct call *c, bool *placed);

/* The code of an errno name that NBD can carry; raises an error for others. */
int check_errno (lua_State *L, const char *name);

/* The function fail; how often each place failed, for the end. */
void open_error (lua_State *L);
void error_stop (void);

/*--------------------------------------------------------------------*/
/* hook.c */

/* Number a request among those of its operation, if it has no number yet. */
void hook_number (struct request *req);

/* Make the content of untouched pages: a disk_fill_fn.  The context is the
 * lua_State that wants it, or NULL outside of Lua: then without the lock held.
 * Where on.fill raises an error inside of Lua, it returns HOOK_RAISED, with the
 * error value on top of the stack: to be raised again (lua_error) when the
 * functions that asked for the content have returned.
 */
#define HOOK_RAISED ECANCELED
int hook_fill (void *context, void *buf, uint64_t count, uint64_t offset);

/* Push the table that stands for a connection. */
void push_conn (lua_State *L, const struct connection *conn);

/* When all scripts have run: write a note to standard error for each global function
 * that has the name of a hook where there is no such hook.
 */
void hook_hint (lua_State *L);

/* Run the hooks on.stop.  Without the lock held. */
void hook_run_stop (void);

/* The table on, for scripts; tell which hooks were never called, and forget what
 * hooks have counted.
 */
void open_hook (lua_State *L);
void hook_stop (void);

/*--------------------------------------------------------------------*/
/* fault.c, spec.c */

void open_fault (lua_State *L);         /* leaves the function on the stack */

/*--------------------------------------------------------------------*/
/* req.c */

/* Push the object that stands for the request of a call. */
void push_req (lua_State *L, struct call *c);

void open_req (lua_State *L);

/*--------------------------------------------------------------------*/
/* args.c: values that scripts give. */

/* The value at INDEX as bytes: a whole number that is not negative, or a string
 * such as "4K".  False: it is neither.
 */
bool to_bytes (lua_State *L, int index, uint64_t *n);

/* The argument as such bytes, at most MAX.  OTHERWISE is what it is when left out,
 * unless that is UINT64_MAX.
 */
uint64_t check_bytes (lua_State *L, int arg, uint64_t max, uint64_t otherwise);

/* Raise the error that the argument reaches past the end of the disk. */
int past_end (lua_State *L, int arg);

/* The value at INDEX as nanoseconds (a number of seconds from 0 to 9e9, or a string
 * as text_time reads it), or as a probability (a number from 0 to 1, or a string
 * as text_probability reads it).  False: it is none.
 */
bool to_time (lua_State *L, int index, uint64_t *ns);
bool to_probability (lua_State *L, int index, double *p);

/* Is the value a string with a time that does not say in what unit, such as "50"?  In
 * a rule, where numbers are seconds, that is a mistake more often than not.
 */
bool lacks_unit (lua_State *L, int index);

/* The argument as such.  Raises an error that says what was expected, and got. */
uint64_t check_time (lua_State *L, int arg);
double check_probability (lua_State *L, int arg);

/* Set a field of the table on top of the stack. */
void set_integer (lua_State *L, const char *name, uint64_t n);
void set_string (lua_State *L, const char *name, const char *s);

/* Raise "WHAT has no NAME", with the nearest of NAMES (ended by NULL). */
int unknown_name (lua_State *L, const char *what, const char *name,
                  const char *const *names);

/* The place of NAME among NAMES; such an error if it is none of them. */
size_t check_name (lua_State *L, const char *what, const char *name,
                   const char *const *names);

/* The same for each key of table ARG. */
void check_keys (lua_State *L, int arg, const char *what,
                 const char *const *names);

/* Push a new metatable, whose __index and __newindex are INDEX and NEWINDEX, and
 * which scripts can neither get nor replace.  Pops UPVALUES values from the top of
 * the stack first, which both functions have as upvalues.  NAME: its key in the
 * registry, for luaL_setmetatable and luaL_checkudata, and what errors call its
 * objects; NULL: none.  The caller adds what else the class has, such as __gc.
 */
void new_class (lua_State *L, const char *name, lua_CFunction index,
                lua_CFunction newindex, int upvalues);

/* Push a new table that is an object in answers of the control socket, also where it
 * is empty.
 */
void push_object (lua_State *L);

/* Give the table on top of the stack a metatable by which looking up or
 * setting anything that is not in it is such an error.  NAMES must be static.
 * Calling the table calls CALL, unless that is NULL.
 */
void make_strict (lua_State *L, const char *what, const char *const *names,
                  lua_CFunction call);

/* The globals bytes, seconds, probability, boolean and object. */
void open_args (lua_State *L);

/*--------------------------------------------------------------------*/
/* bulk.c: the functions pattern and flip. */

void open_bulk (lua_State *L);

/*--------------------------------------------------------------------*/
/* disk.c, with method.h */

void open_disk (lua_State *L);          /* leaves the object on the stack */

/* Is the value at INDEX the iterator that disk:extents gives? */
bool is_extents (lua_State *L, int index);

/*--------------------------------------------------------------------*/
/* safe.c: the standard library, made safe. */

void open_libraries (lua_State *L);

/* Note what the function on top of the stack mentions: for hooks_may_wait and
 * hooks_may_ask_stats, and while scripts load, each word that could be the name of
 * a parameter.
 */
void note_mentions (lua_State *L);

/* Note what the globals on, fault, disk and param are when all is open.  Then raise an
 * error that begins with WHERE if a script or a chunk has replaced one, which is put
 * back; or only put them back.
 */
void note_objects (lua_State *L);
void check_objects (lua_State *L, const char *where);
void restore_objects (lua_State *L);

/* Such words are the keys of a table in the registry.  Note one more. */
#define WORDS "words"
void note_word (lua_State *L, const char *word, size_t len);

/* The sources of modules that were found by require are the keys of another one. */
#define MODULES "modules"

#endif /* LUA_HOST_H */
