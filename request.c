/* request.c - what travels, and all that nbdkit does for it on its way. */

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lib/min.h"
#include "lib/sys.h"
#include "request.h"

/*--------------------------------------------------------------------*/
/* Names. */

const char *const op_names[OP_COUNT + 1] = {
  [OP_READ] = "read", [OP_WRITE] = "write", [OP_FLUSH] = "flush",
  [OP_TRIM] = "trim", [OP_ZERO] = "zero", [OP_EXTENTS] = "extents",
  [OP_CACHE] = "cache", [OP_OPEN] = "open", [OP_CLOSE] = "close",
  [OP_FILL] = "fill", [OP_STOP] = "stop",
};

const struct nbd_error nbd_errors[] = {
  { "EPERM", EPERM }, { "EIO", EIO }, { "ENOMEM", ENOMEM },
  { "EINVAL", EINVAL }, { "ENOSPC", ENOSPC }, { "ESHUTDOWN", ESHUTDOWN },
  { "EROFS", EROFS }, { "EDQUOT", EDQUOT }, { "EFBIG", EFBIG },
  { "ENOTSUP", ENOTSUP }, { NULL, 0 },
};

const char *
errno_name (int err)
{
  for (const struct nbd_error *e = nbd_errors; e->name; e++)
    if (e->code == err)
      return e->name;
  return "EIO";
}

int
request_sent_error (int err)
{
  return err == EROFS ? EPERM : err == EDQUOT || err == EFBIG ? ENOSPC : err;
}

/*--------------------------------------------------------------------*/
/* The threads of a connection: how they leave, and how they wait.
 *
 * Leaving.  nbdkit (1.32) aborts when a thread answers a client that has gone,
 * just after another thread closed the connection for that reason.  So one thread
 * goes first, after a pause in which nbdkit may see for itself that the client has
 * gone; the others wait for their turn until that thread has ended, which is when
 * nbdkit will not answer any more.
 *
 * Waiting until something happens.  Only nbdkit_nanosleep notices that a client
 * leaves, but it notices nothing else, so a thread in it must look around every
 * SYS_STEP.  One thread of each connection does that, the watcher; the others wait
 * for a condition, and one of them takes over when the watcher is done.
 */
struct threads {
  struct threads *next;         /* of all connections */
  pthread_t opener;             /* the thread that opened the connection */
  pid_t tid;                    /* the same thread, as the kernel numbers it */
  pthread_mutex_t turn;         /* to leave */
  bool left;                    /* one has left; guarded by turn */

  pthread_mutex_t lock;         /* guards what follows */
  pthread_cond_t changed;
  bool watched;                 /* there is a watcher */
  bool over;                    /* the client has gone, or the server ends */
};

static struct threads *all;
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;

static pthread_key_t leave_key; /* the turn that this thread has */

static void
give_turn (void *turn)
{
  pthread_mutex_unlock (turn);
}

/* Newer nbdkit has it. */
static int (*disconnect) (int force);

static void
find_disconnect (void)
{
  void *p = dlsym (RTLD_DEFAULT, "nbdkit_disconnect");

  memcpy (&disconnect, &p, sizeof disconnect);
}

void
request_start (void)
{
  pthread_key_create (&leave_key, give_turn);
  find_disconnect ();
}

void
request_stop (void)
{
  pthread_key_delete (leave_key);
}

bool
request_connect (struct connection *c)
{
  struct threads *t = calloc (1, sizeof *t);

  if (!t)
    return false;
  t->opener = pthread_self ();
  t->tid = gettid ();
  pthread_mutex_init (&t->turn, NULL);
  pthread_mutex_init (&t->lock, NULL);
  sys_cond_init (&t->changed);
  pthread_mutex_lock (&all_lock);
  t->next = all;
  all = t;
  pthread_mutex_unlock (&all_lock);
  c->threads = t;
  return true;
}

void
request_disconnect (struct connection *c)
{
  struct threads *t = c->threads, **link = &all;

  pthread_mutex_lock (&all_lock);
  while (*link != t)
    link = &(*link)->next;
  *link = t->next;
  pthread_mutex_unlock (&all_lock);
  pthread_cond_destroy (&t->changed);
  pthread_mutex_destroy (&t->lock);
  pthread_mutex_destroy (&t->turn);
  free (t);
}

/* When nbdkit ends, it does not close connections that end, but their threads end. */
unsigned
request_clients (void)
{
  unsigned n = 0;

  pthread_mutex_lock (&all_lock);
  for (const struct threads *t = all; t; t = t->next)
    n += tgkill (getpid (), t->tid, 0) == 0;
  pthread_mutex_unlock (&all_lock);
  return n;
}

/* The client has gone: wait for this thread's turn to leave. */
static void
leave (struct threads *t)
{
  const struct timespec pause = { 0, 10000000 };
  struct timespec until;

  /* The thread of the connection itself has no others beside it. */
  if (pthread_equal (pthread_self (), t->opener)
      || pthread_getspecific (leave_key))
    return;
  clock_gettime (CLOCK_REALTIME, &until);
  until.tv_nsec += 500000000;
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  if (pthread_mutex_timedlock (&t->turn, &until) != 0)
    return;
  if (!t->left)
    nanosleep (&pause, NULL);
  t->left = true;
  if (pthread_setspecific (leave_key, &t->turn) != 0)
    give_turn (&t->turn);
}

/*--------------------------------------------------------------------*/
/* Waiting. */

/* Let NS nanoseconds pass.  0 or ESHUTDOWN. */
static int
pass_time (uint64_t ns)
{
  const uint64_t most = 1000000 * SECOND;       /* nbdkit's are short */
  int r;

  do {
    const uint64_t part = min_u64 (ns, most);

    r = nbdkit_nanosleep ((unsigned) (part / SECOND),
                          (unsigned) (part % SECOND));
    if (ns != UINT64_MAX)
      ns -= part;
  }
  while (r == 0 && ns > 0);
  return r == 0 ? 0 : ESHUTDOWN;
}

int
request_wait (const struct connection *conn, uint64_t ns)
{
  const int err = pass_time (ns);

  if (err && conn)
    leave (conn->threads);
  return err;
}

/* Be the watcher for so long.  The lock is held, but not meanwhile. */
static void
watch_locked (struct threads *t, uint64_t ns)
{
  int err;

  t->watched = true;
  pthread_mutex_unlock (&t->lock);
  err = pass_time (ns);
  pthread_mutex_lock (&t->lock);
  t->watched = false;
  if (!err)
    return;
  t->over = true;
  pthread_cond_broadcast (&t->changed);
}

int
request_wait_until (const struct connection *conn, uint64_t end,
                    bool (*over) (const void *context), const void *context)
{
  struct threads *t = conn->threads;
  uint64_t now;
  bool gone;

  pthread_mutex_lock (&t->lock);
  while (!t->over && (now = sys_now ()) < end && !over (context))
    if (t->watched)
      sys_cond_wait (&t->changed, &t->lock, end);
    else
      watch_locked (t, min_u64 (end - now, SYS_STEP));
  /* There may have to be another watcher. */
  if (!t->watched)
    pthread_cond_signal (&t->changed);
  gone = t->over;
  pthread_mutex_unlock (&t->lock);
  if (gone)
    leave (t);
  return gone ? ESHUTDOWN : 0;
}

void
request_wake (void)
{
  pthread_mutex_lock (&all_lock);
  for (struct threads *t = all; t; t = t->next) {
    pthread_mutex_lock (&t->lock);
    pthread_cond_broadcast (&t->changed);
    pthread_mutex_unlock (&t->lock);
  }
  pthread_mutex_unlock (&all_lock);
}

struct nap { uint64_t ns; int err; };

static void *
nap_thread (void *context)
{
  struct nap *nap = context;

  nap->err = pass_time (nap->ns);
  return NULL;
}

/* nbdkit_nanosleep cares for the connection of its thread, so another one naps.  As
 * long as there can be no other, this one sleeps, and can't tell whether the
 * server ends.
 */
int
request_wait_server (uint64_t ns)
{
  const struct timespec step = { 0, SYS_STEP };
  const uint64_t start = sys_now ();
  struct nap nap = { .ns = ns };
  pthread_t thread;

  while (sys_thread (&thread, nap_thread, &nap) != 0) {
    const uint64_t passed = sys_now () - start;

    if (passed >= ns)
      return 0;
    nanosleep (&step, NULL);
    nap.ns = ns == UINT64_MAX ? ns : ns - min_u64 (ns, sys_now () - start);
  }
  pthread_join (thread, NULL);
  return nap.err;
}

bool
request_is_over (void)
{
  return nbdkit_nanosleep (0, 1) == -1;
}

/* (Each wait that finds it out is an error in nbdkit's log.) */
bool
request_server_ends (void)
{
  static _Atomic bool ends;

  if (!ends && request_wait_server (0) != 0)
    ends = true;
  return ends;
}

/*--------------------------------------------------------------------*/
/* What only newer versions of nbdkit have. */

/* The function that came last before 1.42, which has no new one. */
bool
request_client_sees_errors (void)
{
  return dlsym (RTLD_DEFAULT, "nbdkit_peer_tls_dn") != NULL;
}

bool
request_can_cut (void)
{
  return disconnect != NULL;
}

void
request_cut (void)
{
  if (disconnect)
    disconnect (1);
}

/*--------------------------------------------------------------------*/
/* Extents. */

int
request_add_extent (struct request *req, uint64_t offset, uint64_t count,
                    bool data)
{
  if (nbdkit_add_extent (req->extents, offset, count,
                         data ? 0 : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO))
    return errno ? errno : EIO;
  return 0;
}

bool
request_wants_one (const struct request *req)
{
  return (req->flags & NBDKIT_FLAG_REQ_ONE) != 0 || !request_can_cut ();
}
