/* request.h - what travels: requests, on connections, and their operations.
 *
 * Each stage of the way of a request calls the next one by name, straight down:
 *
 *   plugin.c  lua/hook  fault/rules  fault/act  disk/medium  disk/disk  store
 *
 * This file has the words that they share, and all that nbdkit does for a
 * request on its way: waiting, extents, cutting its connection.
 */

#ifndef REQUEST_H
#define REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The operations, in the order of the table in request.c. */
enum op {
  OP_READ, OP_WRITE, OP_FLUSH, OP_TRIM, OP_ZERO, OP_EXTENTS, OP_CACHE,
  OP_OPEN, OP_CLOSE, OP_FILL, OP_STOP, OP_COUNT
};

/* Sets of operations have the bit 1 << op for each. */
#define OP(op) (1u << OP_##op)
#define CHANGES (OP (WRITE) | OP (ZERO) | OP (TRIM))    /* of the disk */

/* Their names in scripts; NULL at the end. */
extern const char *const op_names[OP_COUNT + 1];

/* The errors that NBD can carry; others would turn into EINVAL.  The table ends
 * with a name of NULL.  ENOTSUP is for a fast zero only.
 */
struct nbd_error { const char *name; int code; };
extern const struct nbd_error nbd_errors[];

/* The name of such an errno code; "EIO" for any other. */
const char *errno_name (int err);

/* The errno code that arrives where this one is sent: NBD has only some. */
int request_sent_error (int err);

struct disk;
struct record;
struct store;
struct visit;
struct nbdkit_extents;

/* A connection.  The disk is kept for as long as it lasts. */
struct connection {
  uint64_t id;                  /* from 1, in the order of opening */
  bool readonly;
  struct disk *disk;
  struct store *store;          /* to which changes may go directly, or NULL */
  struct store *readable;       /* and reads */
  const _Atomic uint64_t *cuts; /* disk_cuts (disk) */
  bool state;                   /* to a crash state, which no hook sees */
  const char *export_name;      /* of the disk; "": the live one */
  struct threads *threads;      /* for request.c */
};

/* A request on its way.  BUF is the client's data (write) or the place for it
 * (read), COUNT bytes long.  Whoever performs the request leaves it unchanged
 * except for what BUF points to and the fields below CONN.
 */
struct request {
  enum op op;
  uint32_t flags;               /* NBDKIT_FLAG_* */
  uint32_t count;               /* bytes */
  uint64_t offset;              /* bytes */
  void *buf;
  struct nbdkit_extents *extents;
  const struct connection *conn;
  uint64_t n;                   /* number among those of its kind; 0: not drawn */
  uint64_t number;              /* among all, if there is a log; 0: there is none */
  bool answered;                /* extents have been added */
  bool logged;                  /* nbdkit's log says why it failed */
  bool told;                    /* the fault log has a line about it */
  bool asked;                   /* or it was asked for, by a rule or fail */
  const char *why;              /* the medium's reason to fail it, or NULL */

  /* On a disk with a volatile cache (disk.h): from its entry to its completion; what
   * this pass through the faults has changed; and, in a part of a request, the whole.
   */
  struct visit *visit;
  struct record *record;
  const struct request *whole;
};

/* When the plugin is loaded, and when no request is left. */
void request_start (void);
void request_stop (void);

/* Complete a connection, which the calling thread is opening.  False: no memory. */
bool request_connect (struct connection *c);

/* Give back what request_connect made. */
void request_disconnect (struct connection *c);

/* How many clients are connected, whose connections are complete.  From any thread;
 * takes a microsecond for each.
 */
unsigned request_clients (void);

/* Let NS nanoseconds pass for a request of CONN (UINT64_MAX: for ever; NULL: not
 * known, as in on.fill).  0, or ESHUTDOWN: the client has gone, or the server ends,
 * which even a wait of 0 finds out.  Only on a thread that serves a request of that connection, without a lock
 * held.
 */
int request_wait (const struct connection *conn, uint64_t ns);

/* The same until END (a time of sys_now; UINT64_MAX: for ever), or until OVER is
 * true of CONTEXT, which is checked at each request_wake, and now and then.  OVER
 * takes no lock that others hold while they call request_wake.
 */
int request_wait_until (const struct connection *conn, uint64_t end,
                        bool (*over) (const void *context), const void *context);

/* Something has changed for which some request may wait.  From any thread. */
void request_wake (void);

/* Let NS nanoseconds pass, whether or not the client of the connection that this
 * thread serves has gone.  0, or ESHUTDOWN: the server ends.  As long as no thread
 * can be made, the end is not noticed.
 */
int request_wait_server (uint64_t ns);

/* Has the client of the request that this thread serves gone, or does the server
 * end?  Takes a microsecond.
 */
bool request_is_over (void);

/* Does the server end?  That tells why a wait was cut short: otherwise the client
 * has gone.  Takes some 50 us as long as it does not.
 */
bool request_server_ends (void);

/* Does this nbdkit send the text of the last nbdkit_error to a client that it
 * refuses?  (1.42 and newer do.  1.40 can't be told from it.  Up to 1.48 none sends
 * the text of an error with the answer of a request.)
 */
bool request_client_sees_errors (void);

/* Can this nbdkit cut a connection (1.34 and newer can)?  It is also the first
 * that several threads of a connection can be trusted with: an older one may abort
 * when a client leaves while they are about to answer it.
 */
bool request_can_cut (void);

/* Cut the connection of the request that this thread serves, which must then fail.
 * Does nothing where request_can_cut says no.
 */
void request_cut (void);

/* Add to the answer of a block status request that COUNT bytes from OFFSET on
 * hold data, or are a hole.  Extents come in ascending order, without gaps.
 * 0 or an errno code.
 */
int request_add_extent (struct request *req, uint64_t offset, uint64_t count,
                        bool data);

/* Must one extent be all of the answer?  The client may ask for no more.  And nbdkit
 * before 1.34 goes on to send the second one to a client that has left after the
 * first, and aborts.
 */
bool request_wants_one (const struct request *req);

#endif /* REQUEST_H */
