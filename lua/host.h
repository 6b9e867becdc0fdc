/* host.h - what the parts of the Lua host share.  Everything here is
 * called with the host's lock held, or before requests are served.
 */

#ifndef LUA_HOST_H
#define LUA_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "fault/rules.h"
#include "lua/hooks.h"
#include "disk/disk.h"
#include "lib/json.h"
#include "lib/sys.h"

/* What a hook has asked for when it yields. */
enum command { NOTHING, RUN, WAIT, WAIT_FIRED, STOP };

/* A chunk of the control socket, at work. */
struct chunk {
  const char *text;
  size_t len;
  int (*wait) (void *context, uint64_t ns);     /* as hooks_chunk has it */
  void *context;
  struct json answer;
};

/* One hook at work: a coroutine.  Lives on the stack of the thread that
 * drives it.
 */
struct call {
  enum op op;
  unsigned level;               /* which of the hooks for this operation */
  lua_State *co;
  int co_ref;                   /* keeps co, in the registry */
  enum command command;
  uint64_t ns;                  /* how long to WAIT; UINT64_MAX: for ever */
  struct fault *fault;          /* to WAIT_FIRED for, so many times */
  uint64_t times;
  const char *why;              /* the message of STOP */
  bool deaf;                    /* stopped by an error of its count hook, so
                                 * that count hooks are off: its __close could
                                 * not be stopped, and is left out */
  unsigned chances;             /* calls of chance so far */
  uint64_t luck;                /* as in struct request, where there is none */
  bool has_run;                 /* req:run was used before */
  bool done;                    /* performed, or skipped */
  int err;                      /* and how that went */

  struct request *req;          /* NULL for open, close and fill */
  struct call **handle;         /* in the script's req: it points to us */
  const struct connection *conn;
  void *buf;                    /* for fill */
  uint64_t count, offset;
  uint64_t rule_hash;           /* of its name */
  uint64_t rule;                /* this rule's function, not a hook */
  const char *rule_name, *function;
  uint64_t result;              /* what it returned: rule_result */
  struct chunk *chunk;          /* neither a hook nor a rule's function */
};

struct host {
  struct hooks_config config;
  lua_State *L;
  pthread_mutex_t lock;
  struct call *call;            /* whose Lua code runs now, or NULL */
  bool serving;                 /* the scripts have run */
};

extern struct host host;

/* The value at INDEX as bytes: a whole number that is not negative, or a string
 * such as "4K".  False: it is neither.  (This and what follows up to make_strict
 * is in lua/args.c.)
 */
bool to_bytes (lua_State *L, int index, uint64_t *n);

/* The argument as such bytes, at most MAX.  OTHERWISE is what it is when left out,
 * unless that is UINT64_MAX.
 */
uint64_t check_bytes (lua_State *L, int arg, uint64_t max, uint64_t otherwise);

/* The value at INDEX as nanoseconds (a number of seconds from 0 to 9e9, or a string
 * as text_time reads it), or as a probability (a number from 0 to 1, or a string
 * as text_probability reads it).  False: it is none.
 */
bool to_time (lua_State *L, int index, uint64_t *ns);
bool to_probability (lua_State *L, int index, double *p);

/* The argument as such.  Raises an error that says what was expected, and got. */
uint64_t check_time (lua_State *L, int arg);
double check_probability (lua_State *L, int arg);

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

/* Give the table on top of the stack a metatable by which looking up or
 * setting anything that is not in it is such an error.  NAMES must be static.
 * Calling the table calls CALL, unless that is NULL.
 */
void make_strict (lua_State *L, const char *what, const char *const *names,
                  lua_CFunction call);

/* The code of an errno name that NBD can carry; raises an error for others. */
int check_errno (lua_State *L, const char *name);

/* Run a function of a fault rule on a request, as a hook, and take what it
 * returned.  0 or an errno code.  Without the lock held.
 */
int host_rule (const struct fault *f, const char *function,
               struct request *req, uint64_t *result);

/* lua/fault.c: the value on top of the stack, which such a function returned,
 * as a number: is it true, or, of delay, how many nanoseconds.
 */
uint64_t rule_result (lua_State *L, const char *function);

/* The current call, if function WHAT may be used here: by a hook, and with
 * WAITS only where it can yield.  Otherwise raises an error.
 */
struct call *check_call (lua_State *L, const char *what, bool waits);

/* What a C function needed since a time of sys_now does not count as the hook's. */
void host_excuse (uint64_t since);

/* Raise an error if the client has gone or the server ends: to be called now
 * and then by a C function that needs long.
 */
void host_look (lua_State *L);

/* Make the content of untouched pages: a disk_fill_fn.  The context is the
 * lua_State that wants it, or NULL outside of Lua: then without the lock held.
 */
int host_fill (void *context, void *buf, uint64_t count, uint64_t offset);

/* lua/chunk.c: push the function that a chunk is and its arguments, and
 * return how many those are, or raise an error; add the results, which are all
 * that is on the stack, to its answer; make an error its answer.
 */
int control_push (lua_State *L, const struct chunk *c);
void control_results (lua_State *L, struct chunk *c);
void control_error (struct chunk *c, const char *message, size_t len);

/* lua/disk.c: arguments of the methods of disk.  The last one raises an error if
 * ERR is not 0.
 */
void check_self (lua_State *L, const char *method);
uint64_t check_offset (lua_State *L, int arg);
uint64_t check_count (lua_State *L, int arg, uint64_t offset);
void disk_error (lua_State *L, int err, const char *method);

/* lua/medium.c: methods of disk. */
int disk_method_bad (lua_State *L);
int disk_method_heal (lua_State *L);
int disk_method_limit (lua_State *L);
int disk_method_readonly (lua_State *L);
int disk_method_throttle (lua_State *L);
int disk_method_stats (lua_State *L);

/* lua/safe.c: the standard library, made safe; note whether the function on top of
 * the stack mentions what hooks_may_wait or hooks_may_ask_stats want to know; keep
 * scripts from resuming or closing the coroutine on top of the stack.
 */
void open_libraries (lua_State *L);
void note_mentions (lua_State *L);
void keep_coroutine (lua_State *L);

/* lua/args.c: the globals bytes, seconds and probability. */
void open_args (lua_State *L);

/* Bindings: each leaves its object, or what it says, on the stack. */
void open_disk (lua_State *L);          /* lua/disk.c */
void open_fault (lua_State *L);         /* lua/fault.c */
void open_req (lua_State *L);           /* lua/req.c: req's metatable */

#endif /* LUA_HOST_H */
