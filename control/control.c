/* control.c - the run-time control socket.
 *
 * One thread accepts new clients, and each client has a thread, so that a client
 * that is slow, or does not read, only holds up itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control/control.h"
#include "lib/array.h"
#include "lib/min.h"
#include "lib/sys.h"

#define CLIENTS_MAX 64
#define MS (SECOND / 1000)

/* How long a client may read nothing of its answer before it must go. */
#define SEND_TIME (10 * SECOND)

/* How long clients that have asked for the end may take to read how it was. */
#define LAST_TIME SECOND

/* How long to wait for memory, or a file descriptor, for a new client. */
#define ACCEPT_PAUSE (SECOND / 10)

struct client {
  struct client *next;
  pthread_t thread;
  int fd;
  char *buf;                    /* what was received and is not answered yet */
  size_t len, size;
  bool skip;                    /* the start of a line was dropped: too long */
  bool kept;                    /* it has asked for the end: FD stays open */
  _Atomic bool done;            /* the thread is about to end */
};

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static char directory[sizeof address.sun_path];  /* the private one, or "" */
static bool owner;              /* this process must remove the socket file */
static struct stat made;        /* the file that it has made */
static int listener = -1;
static int stop_pipe[2] = { -1, -1 };   /* its writing side is closed: stop */
static control_answer_fn answer;
static control_stop_fn ask_to_stop;
static pthread_t acceptor;
static bool accepting;          /* the acceptor runs */
static struct client *clients;  /* only for the acceptor, while it runs */

/*--------------------------------------------------------------------*/
/* The socket file. */

/* After a fork, in the parent.  Before control_start, the child becomes the server.
 * The parent must not keep the socket open, or clients would wait in its queue
 * after the server has died.
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

/* The same in the child.  After control_start it is only a program that a script has
 * started.
 */
static void
forked_child (void)
{
  if (accepting)
    owner = false;
}

/* Also run when the program ends, or unloads the plugin, in whatever way.  Another
 * server may have put its own file there, which stays.
 */
__attribute__ ((destructor)) static void
remove_file (void)
{
  struct stat st;

  if (owner && lstat (address.sun_path, &st) == 0
      && st.st_dev == made.st_dev && st.st_ino == made.st_ino)
    unlink (address.sun_path);
  if (owner && *directory)
    rmdir (directory);
  owner = false;
}

/* Remove the file that a server left behind when it died: a socket that refuses
 * clients.
 */
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
  /* EAGAIN: there is a server, and its queue of clients is full. */
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0
      || errno == EAGAIN)
    err = EADDRINUSE;
  else if (errno != ECONNREFUSED || unlink (address.sun_path) == -1)
    err = errno;
  close (fd);
  return err;
}

/* Bind the listener to the socket file, which is made with mode 0600. */
static int
make_file (void)
{
  const mode_t mask = umask (0177);
  const int r = bind (listener, (struct sockaddr *) &address, sizeof address);

  umask (mask);                 /* leaves errno alone */
  if (r == -1 || lstat (address.sun_path, &made) == -1)
    return errno;
  owner = true;
  return 0;
}

int
control_listen (const char *path)
{
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
  err = make_file ();
  /* Many may come at once, and one that does not block is refused when the queue
   * is full.
   */
  if (!err && listen (listener, SOMAXCONN) == -1)
    err = errno;
  if (err) {
    remove_file ();
    close (listener);
    listener = -1;
    return err;
  }
  pthread_atfork (NULL, forked_parent, forked_child);
  return 0;
}

int
control_listen_private (const char *parent)
{
  char path[sizeof directory + 10];
  int err;

  if ((size_t) snprintf (directory, sizeof directory, "%s/memctl-XXXXXX",
                         parent) >= sizeof directory)
    err = ENAMETOOLONG;
  else if (!mkdtemp (directory))
    err = errno;
  else {
    snprintf (path, sizeof path, "%s/control", directory);
    err = control_listen (path);
    if (err)
      rmdir (directory);
  }
  if (err)
    *directory = '\0';
  return err;
}

const char *
control_name (void)
{
  return address.sun_path;
}

/*--------------------------------------------------------------------*/
/* Clients. */

/* Wait until FD has EVENTS, for at most NS nanoseconds.  1: it has; 0: the time is
 * over; -1: the client has gone, or control_stop waits.
 */
static int
watch (int fd, short events, uint64_t ns)
{
  struct pollfd fds[] = {
    { .fd = fd, .events = events }, { .fd = stop_pipe[0], .events = POLLIN },
  };
  uint64_t t = sys_now ();
  const uint64_t end = t + min_u64 (ns, UINT64_MAX - t);

  for (;;) {
    const uint64_t ms = (end - t) / MS + ((end - t) % MS != 0);
    const int n = poll (fds, 2, (int) min_u64 (ms, INT_MAX));

    if (n == -1 && errno != EINTR)
      return -1;
    if (n > 0)
      return !fds[1].revents && fds[0].revents & events ? 1 : -1;
    t = sys_now ();
    if (t >= end)
      return 0;
  }
}

/* A control_wait_fn.  A client that has only closed its sending side still
 * waits for the answer, so POLLIN is not among the events.
 */
static int
wait_for (void *context, uint64_t ns)
{
  const struct client *c = context;

  return watch (c->fd, 0, ns) == 0 ? 0 : ESHUTDOWN;
}

/* Send LEFT bytes, each part of them within NS nanoseconds.  False: the client does
 * not take them, or control_stop waits, which is checked each time, because a client
 * that takes them as they come would get all that it has asked for.
 */
static bool
send_all (int fd, const char *s, size_t left, uint64_t ns)
{
  ssize_t n;

  while (left > 0) {
    if (watch (fd, POLLOUT, ns) != 1)
      return false;
    n = send (fd, s, left, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n == -1 && errno != EAGAIN && errno != EINTR)
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
  return send_all (fd, line, strlen (line), SEND_TIME)
    && send_all (fd, "\n", 1, SEND_TIME);
}

static bool
is_stop (const char *line, size_t len)
{
  return len == strlen (CONTROL_STOP) && memcmp (line, CONTROL_STOP, len) == 0;
}

/* Somebody wants the server to end.  False: the client has gone, or must go.  The end
 * may come before the answer, which control_stop must not cut short.
 */
static bool
serve_stop (struct client *c)
{
  char text[40];
  int n;

  c->kept = true;
  n = snprintf (text, sizeof text, "{\"connections\":%u}\n", ask_to_stop ());
  return send (c->fd, text, (size_t) n, MSG_NOSIGNAL | MSG_DONTWAIT) == n;
}

/* Answer a line.  False: the client has gone, or must go. */
static bool
serve_line (struct client *c, const char *line, size_t len)
{
  const bool too_long = c->skip || len > CONTROL_LINE_MAX;
  char *text;
  bool sent;

  c->skip = false;
  if (too_long)
    return send_line (c->fd, "{\"error\":\"the line is longer than 1 MiB\"}");
  if (is_stop (line, len))
    return serve_stop (c);
  text = answer (line, len, wait_for, c);
  if (!text && wait_for (c, 0) != 0)
    return false;               /* it was given up */
  sent = send_line (c->fd, text ? text : "{\"error\":\"out of memory\"}");
  free (text);
  return sent;
}

/* Answer all whole lines, and remove them from the buffer, whose first FROM bytes
 * are known to hold no newline.  False: the client has gone, or must go.
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

/* Take what the client has sent.  False: it has gone, or must go. */
static bool
receive (struct client *c)
{
  const size_t from = c->len;
  ssize_t n;

  if (!array_grow (&c->buf, c->len, &c->size, 1))
    return false;
  n = recv (c->fd, c->buf + c->len, c->size - c->len, 0);
  if (n <= 0)
    return false;
  c->len += (size_t) n;
  return serve_lines (c, from);
}

static void *
client_thread (void *context)
{
  struct client *c = context;
  bool there = true;

  while (there && watch (c->fd, POLLIN, UINT64_MAX) == 1)
    there = receive (c);
  c->kept = c->kept && there;   /* what it got may end within a line */
  free (c->buf);
  if (!c->kept)
    close (c->fd);
  c->done = true;
  return NULL;
}

/* Forget the clients that are done; if ALL, wait until each is.  Those that are kept
 * stay in the list.  Returns how many are left.
 */
static unsigned
reap (bool all)
{
  struct client **link = &clients, *c;
  unsigned left = 0;

  while ((c = *link) != NULL) {
    if ((!c->done || c->kept) && !all) {
      left++;
      link = &c->next;
      continue;
    }
    pthread_join (c->thread, NULL);
    if (c->kept) {
      link = &c->next;
      continue;
    }
    *link = c->next;
    free (c);
  }
  return left;
}

/* Start to serve a client.  NULL, or the answer that refuses it; then FD is still
 * the caller's.
 */
static const char *
add_client (int fd)
{
  struct client *c;

  if (reap (false) >= CLIENTS_MAX)
    return "{\"error\":\"too many control clients\"}";
  c = calloc (1, sizeof *c);
  if (c) {
    c->next = clients;
    c->fd = fd;
  }
  if (!c || sys_thread (&c->thread, client_thread, c) != 0) {
    free (c);
    return "{\"error\":\"out of memory\"}";
  }
  clients = c;
  return NULL;
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
  int fd;

  (void) unused;
  while (watch (listener, POLLIN, UINT64_MAX) == 1) {
    fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd != -1)
      take_client (fd);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
      watch (-1, 0, ACCEPT_PAUSE);
  }
  return NULL;
}

/*--------------------------------------------------------------------*/
/* Start and end. */

int
control_start (control_answer_fn fn, control_stop_fn stop)
{
  int err;

  answer = fn;
  ask_to_stop = stop;
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
    close (stop_pipe[1]);       /* which the threads notice */
    pthread_join (acceptor, NULL);
    reap (true);
    close (stop_pipe[0]);
    stop_pipe[0] = -1;
    accepting = false;
  }
  if (listener != -1)
    close (listener);
  listener = -1;
  remove_file ();
}

void
control_last_words (const char *lines, size_t len)
{
  const uint64_t end = sys_now () + LAST_TIME;
  struct client *c;

  while ((c = clients) != NULL) {
    const uint64_t now = sys_now ();

    send_all (c->fd, lines, len, now < end ? end - now : 0);
    clients = c->next;
    free (c);                   /* FD is left to the end of the program */
  }
}
