/* control.c - the run-time control socket.
 *
 * One thread takes new clients, and each client has a thread, so that a client
 * that is slow, or does not read, holds up nobody but itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "control.h"

#define CLIENTS_MAX 64

/* A client that does not read its answer for so long is sent away. */
#define SEND_SECONDS 10

struct client {
  struct client *next;
  int fd;
  pthread_t thread;
  bool done;                    /* guarded by lock */
};

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static bool owner;              /* of the socket file */
static int listener = -1;
static int stop_pipe[2] = { -1, -1 };   /* readable: stop */
static control_answer_fn answer;
static pthread_t acceptor;
static bool accepting;
static struct client *clients;  /* only the acceptor changes the list */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/*--------------------------------------------------------------------*/
/* The socket file. */

/* In the parent, after a fork: the child is the server from now on. */
static void
forked (void)
{
  owner = false;
}

/* When the program ends, or unloads the plugin, in whatever way. */
__attribute__ ((destructor)) static void
remove_file (void)
{
  if (owner)
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
  fd = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd == -1)
    return errno;
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    err = EADDRINUSE;
  else if (errno != ECONNREFUSED)
    err = errno;
  else if (unlink (address.sun_path) == -1)
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
  strcpy (address.sun_path, path);
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
  if (!err) {
    owner = true;
    pthread_atfork (NULL, forked, NULL);
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
  struct timespec now;
  uint64_t end, t;

  clock_gettime (CLOCK_MONOTONIC, &now);
  t = (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
  end = ns < UINT64_MAX - t ? t + ns : UINT64_MAX;
  for (;;) {
    uint64_t ms = (end - t + 999999) / 1000000;
    int n = poll (fds, 2, ms < 1000000 ? (int) ms : 1000000);

    if (n == -1 && errno != EINTR)
      return -1;
    if (n > 0)
      return fds[1].revents == 0 && fds[0].revents & events ? 1 : -1;
    clock_gettime (CLOCK_MONOTONIC, &now);
    t = (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec;
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

/* Send a line and its newline.  False: the client does not take it. */
static bool
send_line (int fd, const char *line)
{
  const struct { const char *s; size_t n; } parts[] = {
    { line, strlen (line) }, { "\n", 1 }
  };

  for (size_t i = 0; i < 2; i++) {
    const char *s = parts[i].s;
    size_t left = parts[i].n;

    while (left > 0) {
      ssize_t n = send (fd, s, left, MSG_NOSIGNAL);

      if (n <= 0)
        return false;
      s += n;
      left -= (size_t) n;
    }
  }
  return true;
}

static bool
serve_line (struct client *c, const char *line, size_t len)
{
  char *text = answer (line, len, wait_for, c);
  bool sent = send_line (c->fd, text ? text
                                     : "{\"error\":\"out of memory\"}");

  free (text);
  return sent;
}

/* Answer all whole lines of BUF, and take them out; the first one only with an
 * error if SKIP says that its beginning was too long to keep.  False: the
 * client has gone.
 */
static bool
serve_lines (struct client *c, char *buf, size_t *len, bool *skip)
{
  size_t start = 0;
  char *end;

  while ((end = memchr (buf + start, '\n', *len - start)) != NULL) {
    size_t n = (size_t) (end - buf) - start;
    bool sent = *skip
      ? send_line (c->fd, "{\"error\":\"the line is longer than 1 MiB\"}")
      : serve_line (c, buf + start, n);

    if (!sent)
      return false;
    *skip = false;
    start += n + 1;
  }
  *len -= start;
  memmove (buf, buf + start, *len);
  return true;
}

/* Make room for at least one more byte.  False: no memory. */
static bool
make_room (char **buf, size_t len, size_t *size)
{
  size_t more = *size ? *size * 2 : 4096;
  char *p;

  if (len < *size)
    return true;
  p = realloc (*buf, more);
  if (!p)
    return false;
  *buf = p;
  *size = more;
  return true;
}

static void *
client_thread (void *context)
{
  struct client *c = context;
  size_t len = 0, size = 0;
  char *buf = NULL;
  bool skip = false;
  ssize_t n;

  while (make_room (&buf, len, &size)
         && watch (c->fd, POLLIN, UINT64_MAX) == 1) {
    n = recv (c->fd, buf + len, size - len, 0);
    if (n <= 0)
      break;
    len += (size_t) n;
    if (!serve_lines (c, buf, &len, &skip))
      break;
    if (len > CONTROL_LINE_MAX) {
      skip = true;
      len = 0;
    }
  }
  free (buf);
  shutdown (c->fd, SHUT_RDWR);
  pthread_mutex_lock (&lock);
  c->done = true;
  pthread_mutex_unlock (&lock);
  return NULL;
}

/* End with the clients that are done, or with ALL.  How many are left. */
static unsigned
reap (bool all)
{
  struct client **link = &clients, *c;
  unsigned left = 0;
  bool done;

  while ((c = *link) != NULL) {
    pthread_mutex_lock (&lock);
    done = c->done;
    pthread_mutex_unlock (&lock);
    if (!done && !all) {
      left++;
      link = &c->next;
      continue;
    }
    if (all)
      shutdown (c->fd, SHUT_RDWR);
    pthread_join (c->thread, NULL);
    close (c->fd);
    *link = c->next;
    free (c);
  }
  return left;
}

/* Start a thread that no signal disturbs. */
static int
start_thread (pthread_t *thread, void *(*run) (void *), void *context)
{
  sigset_t all, old;
  int err;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &old);
  err = pthread_create (thread, NULL, run, context);
  pthread_sigmask (SIG_SETMASK, &old, NULL);
  return err;
}

static void
take_client (int fd)
{
  const struct timeval limit = { .tv_sec = SEND_SECONDS };
  struct client *c;

  fcntl (fd, F_SETFD, FD_CLOEXEC);
  fcntl (fd, F_SETFL, fcntl (fd, F_GETFL) & ~O_NONBLOCK);
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  c = reap (false) < CLIENTS_MAX ? calloc (1, sizeof *c) : NULL;
  if (!c) {
    send_line (fd, "{\"error\":\"too many control clients\"}");
    close (fd);
    return;
  }
  c->fd = fd;
  if (start_thread (&c->thread, client_thread, c) != 0) {
    close (fd);
    free (c);
    return;
  }
  c->next = clients;
  clients = c;
}

static void *
accept_thread (void *unused)
{
  const struct timespec pause = { 0, 100000000 };
  int fd, r;

  (void) unused;
  while ((r = watch (listener, POLLIN, UINT64_MAX)) == 1) {
    fd = accept (listener, NULL, NULL);
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
  if (pipe (stop_pipe) == -1)
    return errno;
  fcntl (stop_pipe[0], F_SETFD, FD_CLOEXEC);
  fcntl (stop_pipe[1], F_SETFD, FD_CLOEXEC);
  err = start_thread (&acceptor, accept_thread, NULL);
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
