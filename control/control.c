/* control.c - the run-time control socket.
 *
 * One thread takes new clients, and each client has a thread, so that a client
 * that is slow, or does not read, holds up nobody but itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control/control.h"
#include "lib/sys.h"

#define CLIENTS_MAX 64

/* A client that reads nothing of its answer for so long is sent away. */
#define SEND_TIME (10 * SECOND)

struct client {
  struct client *next;
  pthread_t thread;
  int fd;
  char *buf;                    /* what has come and is not answered */
  size_t len, size;
  bool skip;                    /* a line so long that its start was dropped */
  _Atomic bool done;            /* the thread ends */
};

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static bool owner;              /* this process removes the socket file */
static struct stat made;        /* which is this one */
static int listener = -1;
static int stop_pipe[2] = { -1, -1 };   /* readable: stop */
static control_answer_fn answer;
static pthread_t acceptor;
static bool accepting;
static struct client *clients;  /* only the acceptor changes the list */

/*--------------------------------------------------------------------*/
/* The socket file. */

/* After a fork, in the parent.  Before control_start the child becomes the
 * server; the parent must not keep the socket open either, or clients would
 * wait in its queue when the server has died.
 */
static void
forked_parent (void)
{
  if (accepting || listener == -1)
    return;
  owner = false;
  close (listener);
  listener = -1;
}

/* In the child: later it is just some program that a script has started. */
static void
forked_child (void)
{
  if (accepting)
    owner = false;
}

/* When the program ends, or unloads the plugin, in whatever way.  Somebody may
 * have removed the file, and another server made its own there.
 */
__attribute__ ((destructor)) static void
remove_file (void)
{
  struct stat st;

  if (owner && lstat (address.sun_path, &st) == 0
      && st.st_dev == made.st_dev && st.st_ino == made.st_ino)
    unlink (address.sun_path);
  owner = false;
}

/* A socket that refuses clients was left by a server that is gone. */
static int
remove_stale (void)
{
  struct stat st;
  int fd, err = 0;

  if (lstat (address.sun_path, &st) == -1)
    return errno == ENOENT ? 0 : errno;
  if (!S_ISSOCK (st.st_mode))
    return EEXIST;
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd == -1)
    return errno;
  /* EAGAIN: so many clients wait for the server that there is no room. */
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0
      || errno == EAGAIN)
    err = EADDRINUSE;
  else if (errno != ECONNREFUSED || unlink (address.sun_path) == -1)
    err = errno;
  close (fd);
  return err;
}

int
control_listen (const char *path)
{
  mode_t mask;
  int err;

  if (strlen (path) >= sizeof address.sun_path)
    return ENAMETOOLONG;
  memcpy (address.sun_path, path, strlen (path) + 1);
  err = remove_stale ();
  if (err)
    return err;

  listener = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener == -1)
    return errno;
  mask = umask (0177);
  err = bind (listener, (struct sockaddr *) &address, sizeof address) == -1
    ? errno : 0;
  umask (mask);
  if (!err && lstat (address.sun_path, &made) == -1)
    err = errno;
  if (!err) {
    owner = true;
    pthread_atfork (NULL, forked_parent, forked_child);
    if (listen (listener, 16) == -1)
      err = errno;
  }
  if (err) {
    remove_file ();
    close (listener);
    listener = -1;
  }
  return err;
}

/*--------------------------------------------------------------------*/
/* Clients. */

/* Wait until FD has EVENTS, for at most NS nanoseconds.  1, 0: time is up, -1:
 * the client has gone or everything stops.
 */
static int
watch (int fd, short events, uint64_t ns)
{
  struct pollfd fds[] = {
    { .fd = fd, .events = events }, { .fd = stop_pipe[0], .events = POLLIN },
  };
  uint64_t t = sys_now (), end = ns < UINT64_MAX - t ? t + ns : UINT64_MAX;

  for (;;) {
    uint64_t ms = (end - t + 999999) / 1000000;
    int n = poll (fds, 2, ms < 1000000 ? (int) ms : 1000000);

    if (n == -1 && errno != EINTR)
      return -1;
    if (n > 0)
      return fds[1].revents == 0 && fds[0].revents & events ? 1 : -1;
    t = sys_now ();
    if (t >= end)
      return 0;
  }
}

/* A control_wait_fn.  A client that has only closed its sending side still
 * waits for the answer.
 */
static int
wait_for (void *context, uint64_t ns)
{
  const struct client *c = context;

  return watch (c->fd, 0, ns) == 0 ? 0 : ESHUTDOWN;
}

/* Send all bytes.  False: the client does not take them. */
static bool
send_all (int fd, const char *s, size_t left)
{
  ssize_t n;

  while (left > 0) {
    n = send (fd, s, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == -1 && errno != EAGAIN && errno != EINTR)
      return false;
    if (n == -1 && watch (fd, POLLOUT, SEND_TIME) != 1)
      return false;
    if (n > 0) {
      s += n;
      left -= (size_t) n;
    }
  }
  return true;
}

static bool
send_line (int fd, const char *line)
{
  return send_all (fd, line, strlen (line)) && send_all (fd, "\n", 1);
}

/* Answer a line.  False: the client has gone, or must go. */
static bool
serve_line (struct client *c, const char *line, size_t len)
{
  bool sent, too_long = c->skip || len > CONTROL_LINE_MAX;
  char *text;

  c->skip = false;
  if (too_long)
    return send_line (c->fd, "{\"error\":\"the line is longer than 1 MiB\"}");
  text = answer (line, len, wait_for, c);
  if (!text && wait_for (c, 0) != 0)
    return false;               /* it was given up */
  sent = send_line (c->fd, text ? text : "{\"error\":\"out of memory\"}");
  free (text);
  return sent;
}

/* Answer all whole lines and take them out of the buffer, of which the first
 * FROM bytes are known to hold no newline.  False: the client has gone.
 */
static bool
serve_lines (struct client *c, size_t from)
{
  size_t start = 0;
  char *end;

  while ((end = memchr (c->buf + from, '\n', c->len - from)) != NULL) {
    size_t n = (size_t) (end - c->buf);

    if (!serve_line (c, c->buf + start, n - start))
      return false;
    from = start = n + 1;
  }
  c->len -= start;
  memmove (c->buf, c->buf + start, c->len);
  if (c->len > CONTROL_LINE_MAX) {
    c->skip = true;
    c->len = 0;
  }
  return true;
}

/* Make room for at least one more byte.  False: no memory. */
static bool
make_room (struct client *c)
{
  size_t more = c->size ? c->size * 2 : 4096;
  char *p;

  if (c->len < c->size)
    return true;
  p = realloc (c->buf, more);
  if (!p)
    return false;
  c->buf = p;
  c->size = more;
  return true;
}

static void *
client_thread (void *context)
{
  struct client *c = context;
  size_t from;
  ssize_t n;

  while (make_room (c) && watch (c->fd, POLLIN, UINT64_MAX) == 1) {
    n = recv (c->fd, c->buf + c->len, c->size - c->len, 0);
    if (n <= 0)
      break;
    from = c->len;
    c->len += (size_t) n;
    if (!serve_lines (c, from))
      break;
  }
  free (c->buf);
  close (c->fd);
  c->done = true;
  return NULL;
}

/* Forget the clients that are done; wait for ALL to be so.  How many are left.
 */
static unsigned
reap (bool all)
{
  struct client **link = &clients, *c;
  unsigned left = 0;

  while ((c = *link) != NULL) {
    if (!c->done && !all) {
      left++;
      link = &c->next;
      continue;
    }
    pthread_join (c->thread, NULL);
    *link = c->next;
    free (c);
  }
  return left;
}

/* NULL, or why there can be no more clients. */
static const char *
add_client (int fd)
{
  struct client *c;

  if (reap (false) >= CLIENTS_MAX)
    return "{\"error\":\"too many control clients\"}";
  c = calloc (1, sizeof *c);
  if (c) {
    c->fd = fd;
    if (sys_thread (&c->thread, client_thread, c) == 0) {
      c->next = clients;
      clients = c;
      return NULL;
    }
  }
  free (c);
  return "{\"error\":\"out of memory\"}";
}

static void
take_client (int fd)
{
  const char *refusal = add_client (fd);

  if (!refusal)
    return;
  send_line (fd, refusal);
  close (fd);
}

static void *
accept_thread (void *unused)
{
  const struct timespec pause = { 0, 100000000 };
  int fd;

  (void) unused;
  while (watch (listener, POLLIN, UINT64_MAX) == 1) {
    fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd != -1)
      take_client (fd);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
      nanosleep (&pause, NULL);
  }
  return NULL;
}

/*--------------------------------------------------------------------*/

int
control_start (control_answer_fn fn)
{
  int err;

  answer = fn;
  if (pipe2 (stop_pipe, O_CLOEXEC) == -1)
    return errno;
  err = sys_thread (&acceptor, accept_thread, NULL);
  accepting = err == 0;
  return err;
}

void
control_stop (void)
{
  if (accepting) {
    close (stop_pipe[1]);
    pthread_join (acceptor, NULL);
    reap (true);
    close (stop_pipe[0]);
    accepting = false;
  }
  if (listener != -1)
    close (listener);
  listener = -1;
  remove_file ();
}
