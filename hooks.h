/* hooks.h - the Lua host: scripts fill the disk, and their hooks decide what
 * happens to a request.
 */

#ifndef HOOKS_H
#define HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "store.h"

enum op { OP_READ, OP_WRITE, OP_COUNT };

/* A request on its way.  BUF is the client's data (write) or the place for
 * it (read), COUNT bytes long and owned by the caller.
 */
struct request {
  enum op op;
  bool fua;
  uint32_t count;
  uint64_t offset;
  void *buf;
  struct store *disk;
};

struct hooks;

/* Start a Lua state whose scripts see DISK, which must outlive it.  NULL: no
 * memory.  End it with hooks_free.
 */
struct hooks *hooks_create (struct store *disk);
void hooks_free (struct hooks *h);

/* Run a script: the file NAME, or CODE if that is not NULL (NAME then is what
 * errors call it).  -1: it failed, and nbdkit_error said where.
 */
int hooks_run (struct hooks *h, const char *name, const char *code);

/* Is there a hook for this operation?  No lock. */
bool hooks_wants (const struct hooks *h, enum op op);

/* Run the hook of a request, then PERFORM unless the hook failed it.
 * Returns 0 or an errno code.  Any thread.
 */
int hooks_request (struct hooks *h, struct request *req,
                   int (*perform) (struct request *req));

#endif /* HOOKS_H */
