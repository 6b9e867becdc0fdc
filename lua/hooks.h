/* hooks.h - the Lua host: scripts fill the disk, and their hooks decide what
 * happens to a request.
 *
 * There is one host, with one Lua state.  The functions are called in this
 * order: hooks_start, hooks_run for each script, hooks_ready, then the others
 * from any thread, and hooks_stop when no request is left.
 */

#ifndef HOOKS_H
#define HOOKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/disk.h"

/* The operations, in the order of the table in host.c. */
enum op {
  OP_READ, OP_WRITE, OP_FLUSH, OP_TRIM, OP_ZERO, OP_EXTENTS, OP_CACHE,
  OP_OPEN, OP_CLOSE, OP_FILL, OP_COUNT
};

/* Sets of operations have the bit 1 << op for each. */
#define OP(op) (1u << OP_##op)
#define CHANGES (OP (WRITE) | OP (ZERO) | OP (TRIM))    /* of the disk */

/* Their names in scripts; NULL at the end. */
extern const char *const op_names[OP_COUNT + 1];

/* The name of an errno code that NBD can carry. */
const char *errno_name (int err);

struct nbdkit_extents;

/* How the threads of a connection take turns to leave a client that has gone;
 * the host's business.
 */
struct leaving {
  pthread_t opener;             /* the thread that opened the connection */
  pthread_mutex_t turn;
  bool left;                    /* one has gone first */
};

/* A connection.  The disk is kept for as long as it lasts. */
struct connection {
  uint64_t id;                  /* from 1, in the order of opening */
  bool readonly;
  struct disk *disk;
  struct store *store;          /* disk_store (disk) */
  struct leaving *leaving;
};

/* A request on its way.  BUF is the client's data (write) or the place for it
 * (read), COUNT bytes long.  Who performs the request leaves it unchanged but
 * for what BUF points to and EXTENTS.
 */
struct request {
  enum op op;
  uint32_t flags;               /* NBDKIT_FLAG_* */
  uint32_t count;               /* bytes */
  uint64_t offset;
  void *buf;
  struct nbdkit_extents *extents;
  const struct connection *conn;
  uint64_t n;                   /* set by hooks_request */
  uint64_t luck;                /* 0: not drawn (chance_luck) */
  bool answered;                /* extents have been added */
  bool logged;                  /* nbdkit's log says why it failed */
  const char *why;              /* the medium's reason to fail it, or NULL */
};

/* A parameter that the plugin does not know: the scripts may. */
struct param {
  char *key, *value;
  bool used;                    /* a script has looked it up */
};

struct hooks_config {
  const char *const *names;     /* of the plugin's own parameters; ends by NULL */
  struct param *params;         /* must outlive the host */
  size_t nr_params;
  uint64_t seed;
  uint64_t timeout;             /* nanoseconds */
  uint64_t memory;              /* bytes */
  /* What comes after the hooks, and after the faults: 0 or an errno code. */
  int (*next) (struct request *req);
  int (*perform) (struct request *req);
};

/* Start the Lua state.  -1: it failed, and nbdkit_error said why. */
int hooks_start (const struct hooks_config *config);

/* Run a script: the file NAME, or CODE if that is not NULL (NAME then is what
 * errors call it).  -1: it failed, and nbdkit_error said where.
 */
int hooks_run (const char *name, const char *code);

/* All scripts have run.  -1: there is a parameter that none of them looked
 * up, and nbdkit_error named it.
 */
int hooks_ready (void);

void hooks_stop (void);

/* Is there a hook for this operation?  Takes no lock. */
bool hooks_wants (enum op op);

/* Does any script mention sleep, hang or delay, so that a request may wait? */
bool hooks_may_wait (void);

/* Does any script mention stats, so that it may ask for them? */
bool hooks_may_ask_stats (void);

/* Run the hooks of a request, and perform it unless they fail or skip it.
 * Returns 0 or an errno code that NBD can carry.  Where a hook failed by mistake,
 * nbdkit_error was called and REQ->logged set.
 */
int hooks_request (struct request *req);

/* Run a chunk from the control socket: a control_answer_fn (control.h).  WAIT
 * lets nanoseconds pass on behalf of its client: 0, or ESHUTDOWN if that has
 * gone or the chunk must be given up.
 */
char *hooks_chunk (const char *text, size_t len,
                   int (*wait) (void *context, uint64_t ns), void *context);

/* Let a request wait so many nanoseconds (UINT64_MAX: for ever), or until
 * *RELEASES is not SEEN any more, if RELEASES is not NULL; that is looked at
 * every 20 ms.  0, or ESHUTDOWN if the client or the server went.  On a thread
 * that serves a request of CONN (or NULL: it is not known), without the lock
 * held.
 */
int hooks_wait (const struct connection *conn, uint64_t ns,
                const _Atomic unsigned *releases, unsigned seen);

/* Run the hooks on.open or on.close. */
int hooks_connection (enum op op, const struct connection *conn);

/* Forget what scripts know of a connection that ends, or was refused. */
void hooks_forget (const struct connection *conn);

#endif /* HOOKS_H */
