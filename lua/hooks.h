/* hooks.h - the Lua host: scripts fill the disk, and their hooks decide what
 * happens to a request.
 *
 * There is one host, with one Lua state.  The functions are called in this
 * order: hooks_start, hooks_run for each script, hooks_ready, then the others
 * from any thread, and hooks_stop when no request is left.
 */

#ifndef HOOKS_H
#define HOOKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

/* A parameter that the plugin does not know: the scripts may.  Several may have
 * the same key.
 */
struct param {
  char *key, *value;
};

struct hooks_config {
  const char *const *names;     /* of the plugin's own parameters; ends by NULL */
  struct param *params;         /* must outlive the host */
  size_t nr_params;
  uint64_t seed;
  uint64_t timeout;             /* nanoseconds */
  uint64_t memory;              /* bytes */
};

/* Start the Lua state.  -1: it failed, and nbdkit_error said why. */
int hooks_start (const struct hooks_config *config);

/* Run a script: the file NAME, or CODE if that is not NULL (NAME then is what
 * errors call it).  -1: it failed, and nbdkit_error said where.
 */
int hooks_run (const char *name, const char *code);

/* All scripts have run.  -1: there is a parameter that none of them knows, or one
 * that is given twice although none wants all of its values, and nbdkit_error
 * named it.
 */
int hooks_ready (void);

/* Run the hooks on.stop, when no request is left; only if the start is over.  Relative
 * names of files are those of hooks_start.
 */
void hooks_at_stop (void);

void hooks_stop (void);

/* Is there a hook for this operation?  Takes no lock. */
bool hooks_wants (enum op op);

/* Does any script mention sleep, hang or delay, so that a request may wait? */
bool hooks_may_wait (void);

/* Does any script mention stats, so that it may ask for them? */
bool hooks_may_ask_stats (void);

/* Run the hooks of a request, and send it on to the faults unless they fail or
 * skip it.  Returns 0 or an errno code that NBD can carry.  Where a hook failed by
 * mistake, nbdkit_error was called and REQ->logged set.
 */
int hooks_request (struct request *req);

/* Run a chunk from the control socket: a control_answer_fn (control.h).  WAIT
 * lets nanoseconds pass on behalf of its client: 0, or ESHUTDOWN if that has
 * gone or the chunk must be given up.
 */
char *hooks_chunk (const char *text, size_t len,
                   int (*wait) (void *context, uint64_t ns), void *context);

/* Run the hooks on.open for a request of that operation.  0, or an errno code: the
 * connection is refused.
 */
int hooks_open (struct request *req);

/* Run the hooks on.close. */
void hooks_close (const struct connection *conn);

/* Forget what scripts know of a connection that ends, or was refused. */
void hooks_forget (const struct connection *conn);

#endif /* HOOKS_H */
