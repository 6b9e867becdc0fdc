/* log.c - the fault log.
 *
 *     requests --> filling ==swap==> draining --> file
 *
 * Requests add their lines to one buffer while the thread writes the other, and
 * then the two are swapped.  A line that does not fit is dropped and counted, and
 * so are all lines after it until the next swap, so that the line {"dropped": N}
 * stands where they are missing.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lib/sys.h"
#include "report/log.h"
#include "report/stats.h"

#define BUFFER_MAX ((size_t) 8 << 20)

/* How long a request may wait for room (ns), and how long log_stop may wait for a
 * file that takes nothing (ms).
 */
#define WAIT_MAX (SECOND / 100)
#define END_MAX 1000

static int fd = -1;
static bool regular;            /* it is a regular file */
static bool to_empty;           /* when the thread starts */
static pthread_t writer;
static bool running;
static _Atomic bool wanted;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;       /* for writer */
static pthread_cond_t swapped;
static struct json filling;
static uint64_t dropped;        /* lines, since filling was full */
static bool wait_failed;        /* a request has waited for room in vain */
static uint64_t last_number;
static bool stopping;

/* Only the thread uses these, and log_stop when the thread has ended. */
static struct json draining;
static struct json torn;        /* the rest of a line that is half written */
static uint64_t unreported;     /* lost lines that no {"dropped": N} counts yet */
static _Atomic uint64_t lost;   /* all lost lines */
static int write_error;         /* the first */
static unsigned waited;         /* ms at the end in which the file took nothing */

/*--------------------------------------------------------------------*/
/* The thread. */

static uint64_t
count_lines (const char *s, size_t n)
{
  uint64_t lines = 0;

  for (size_t i = 0; i < n; i++)
    lines += s[i] == '\n';
  return lines;
}

/* Wait until the file takes something, or for 100 ms.  False: log_stop waits for
 * us, and the file has taken nothing for too long.
 */
static bool
wait_for_file (void)
{
  struct pollfd p = { .fd = fd, .events = POLLOUT };
  bool end;

  poll (&p, 1, 100);
  pthread_mutex_lock (&lock);
  end = stopping;
  pthread_mutex_unlock (&lock);
  waited = end ? waited + 100 : 0;
  return waited <= END_MAX;
}

/* Write N bytes.  Returns how many the file took. */
static size_t
write_all (const char *s, size_t n)
{
  size_t done = 0;
  ssize_t r;

  while (done < n) {
    r = write (fd, s + done, n - done);
    if (r > 0) {
      done += (size_t) r;
      waited = 0;
    }
    else if (r == -1 && errno != EINTR
             && ((errno != EAGAIN && errno != EWOULDBLOCK)
                 || !wait_for_file ())) {
      if (!write_error)
        write_error = errno;
      break;
    }
  }
  return done;
}

/* The last PART bytes of the file are a part of a line: cut them off.  False: they
 * stay, because the file is a pipe or the like, or somebody else has added to it
 * since.
 */
static bool
cut_back (size_t part)
{
  const off_t end = lseek (fd, 0, SEEK_CUR);
  struct stat st;

  return regular && fstat (fd, &st) == 0 && st.st_size == end
    && end >= (off_t) part && ftruncate (fd, end - (off_t) part) == 0;
}

/* The same, but of a regular file all lines are whole: of one that it took only a
 * part of it has none.
 */
static size_t
write_whole (const char *s, size_t n)
{
  const size_t done = write_all (s, n);
  size_t part = 0;

  if (done < n)
    while (part < done && s[done - part - 1] != '\n')
      part++;
  return part > 0 && cut_back (part) ? done - part : done;
}

/* Write lines.  If the file has only a part of a line, the rest is kept, because
 * it may take more later.  Returns how many lines are lost.
 */
static uint64_t
write_lines (const char *s, size_t n)
{
  size_t done = write_whole (s, n);

  if (done > 0 && done < n && s[done - 1] != '\n') {
    size_t rest = (size_t) ((const char *) memchr (s + done, '\n', n - done)
                            - (s + done)) + 1;

    json_add (&torn, s + done, rest);
    done += rest;
  }
  return count_lines (s + done, n - done);
}

/* Finish a torn line, and report how many lines were lost after it.  False: the
 * file still takes nothing.
 */
static bool
finish_line (void)
{
  char line[48];
  size_t done, len;

  if (torn.len > 0) {
    done = write_whole (torn.text, torn.len);
    torn.len -= done;
    memmove (torn.text, torn.text + done, torn.len);
  }
  if (torn.len == 0 && unreported > 0) {
    len = (size_t) snprintf (line, sizeof line, "{\"dropped\":%llu}\n",
                             (unsigned long long) unreported);
    if (write_lines (line, len) == 0)
      unreported = 0;
  }
  return torn.len == 0 && unreported == 0;
}

/* Write the draining buffer, after which DROPPED_THEN lines were dropped, and
 * empty it.
 */
static void
drain (uint64_t dropped_then)
{
  const uint64_t n = finish_line ()
    ? write_lines (draining.text, draining.len)
    : count_lines (draining.text, draining.len);

  unreported += n + dropped_then;
  lost += n + dropped_then;
  draining.len = 0;
  finish_line ();
}

/* Take the filled buffer, and leave an empty one.  Returns how many lines were
 * dropped after it.  The lock is held.
 */
static uint64_t
swap_locked (void)
{
  const struct json full = filling;
  const uint64_t n = dropped;

  filling = draining;
  draining = full;
  dropped = 0;
  wait_failed = false;
  /* There was no memory for one line, but there may be for the next. */
  filling.failed = draining.failed = false;
  return n;
}

static void *
writer_thread (void *unused)
{
  uint64_t dropped_then;
  bool end;

  (void) unused;
  do {
    pthread_mutex_lock (&lock);
    while (filling.len == 0 && dropped == 0 && !stopping)
      pthread_cond_wait (&changed, &lock);
    end = stopping;
    dropped_then = swap_locked ();
    pthread_cond_broadcast (&swapped);
    pthread_mutex_unlock (&lock);
    drain (dropped_then);
  }
  while (!end);
  return NULL;
}

/*--------------------------------------------------------------------*/
/* Start and end. */

/* Does a regular file hold something that is no log, such as a script?  (One that
 * can't be read may be a log.)
 */
static bool
has_other_content (const char *path)
{
  const int in = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  char c = '{';
  const bool has = in != -1 && read (in, &c, 1) == 1 && c != '{';

  if (in != -1)
    close (in);
  return has;
}

/* Lock a regular file, to be emptied when nothing can stop the start any more.
 * (Where the file system has no locks, it works without.)
 */
static int
take_file (const char *path)
{
  if (flock (fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK)
    return EADDRINUSE;
  to_empty = true;
  return has_other_content (path) ? EEXIST : 0;
}

/* Is it a name of what some process has open, such as /dev/stdout? */
static bool
names_stream (const char *path)
{
  return strncmp (path, "/dev/std", 8) == 0 || strncmp (path, "/dev/fd/", 8) == 0
    || strncmp (path, "/proc/", 6) == 0;
}

/* Go on where standard output or standard error is in its file, and let it go on
 * behind our lines: others write there, too.
 */
static int
share_stream (const char *path)
{
  static const char *const names[][2] = {
    { "/dev/stdout", "/dev/stderr" }, { "/dev/fd/1", "/dev/fd/2" },
    { "/proc/self/fd/1", "/proc/self/fd/2" },
  };

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    for (int n = 0; n < 2; n++)
      if (strcmp (path, names[i][n]) == 0)
        return dup2 (n + 1, fd) == -1 || fcntl (fd, F_SETFD, FD_CLOEXEC) == -1
          ? errno : 0;
  return 0;
}

int
log_open (const char *path)
{
  struct stat st;

  /* O_NONBLOCK: a pipe that nobody reads must not hold up the start, or the end.
   * O_APPEND: a program that empties the file meanwhile must find no hole in it,
   * and one that writes to it as well must lose nothing.
   */
  fd = open (path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd == -1 || fstat (fd, &st) == -1)
    return errno;
  regular = S_ISREG (st.st_mode);
  if (!regular)
    return 0;
  return names_stream (path) ? share_stream (path) : take_file (path);
}

int
log_start (void)
{
  int err;

  if (to_empty && ftruncate (fd, 0) == -1)
    return errno;
  sys_cond_init (&swapped);
  err = sys_thread (&writer, writer_thread, NULL);
  running = err == 0;
  wanted = running;
  return err;
}

uint64_t
log_stop (int *err)
{
  wanted = false;
  if (running) {
    pthread_mutex_lock (&lock);
    stopping = true;
    pthread_cond_signal (&changed);
    pthread_mutex_unlock (&lock);
    pthread_join (writer, NULL);
    running = false;
  }
  if (fd != -1 && close (fd) == -1 && !write_error)
    write_error = errno;
  fd = -1;
  json_free (&filling);
  json_free (&draining);
  json_free (&torn);
  *err = write_error;
  return lost;
}

bool
log_wanted (void)
{
  return atomic_load_explicit (&wanted, memory_order_relaxed);
}

/*--------------------------------------------------------------------*/
/* Lines. */

/* Is there room for N bytes?  Waits for it a little, unless a request has waited
 * in vain since the last swap.  The lock is held.
 */
static bool
has_room (size_t n)
{
  if (filling.len + n > BUFFER_MAX && dropped == 0 && !wait_failed) {
    const uint64_t end = sys_now () + WAIT_MAX;

    while (filling.len + n > BUFFER_MAX && !wait_failed)
      wait_failed = !sys_cond_wait (&swapped, &lock, end);
  }
  return filling.len + n <= BUFFER_MAX && dropped == 0;
}

/* Begin a line with both times and its number.  The lock is held. */
static void
begin_line (void)
{
  const uint64_t us = stats_clock () / 1000;
  char utc[SYS_UTC];

  sys_utc (utc);
  json_add (&filling, "{", 1);
  json_member_string (&filling, "time", utc);
  json_member (&filling, "t", "%llu.%06llu", (unsigned long long) us / 1000000,
               (unsigned long long) us % 1000000);
  json_member (&filling, "seq", "%llu", (unsigned long long) last_number);
}

void
log_add (struct json *members)
{
  size_t before;
  bool room;

  pthread_mutex_lock (&lock);
  room = !members->failed && has_room (members->len + 100);
  last_number++;                /* after the wait: others add lines meanwhile */
  if (room) {
    before = filling.len;
    begin_line ();
    json_comma (&filling);
    json_add (&filling, members->text, members->len);
    json_add (&filling, "}\n", 2);
    if (filling.failed) {
      filling.len = before;
      dropped++;
    }
  }
  else
    dropped++;
  pthread_cond_signal (&changed);
  pthread_mutex_unlock (&lock);
  json_free (members);
}

void
log_request (const char *who, const char *name, struct request *req,
             struct json *did)
{
  struct json j = { .text = NULL };

  req->told = true;
  json_member_string (&j, who, name);
  json_member (&j, "req", "%llu", (unsigned long long) req->number);
  json_member_string (&j, "op", op_names[req->op]);
  json_member (&j, "offset", "%llu", (unsigned long long) req->offset);
  json_member (&j, "count", "%lu", (unsigned long) req->count);
  json_member (&j, "conn", "%llu", (unsigned long long) req->conn->id);
  if (req->flags & NBDKIT_FLAG_FUA)
    json_member (&j, "fua", "true");
  if (*req->conn->export_name)
    json_member_string (&j, "export", req->conn->export_name);
  json_member (&j, "did", "{");
  json_add (&j, did->text, did->len);
  json_add (&j, "}", 1);
  j.failed = j.failed || did->failed;
  json_free (did);
  log_add (&j);
}

const char *
log_why_cut (void)
{
  return request_server_ends () ? "server ends" : "client left";
}

void
log_cut (const char *who, const char *name, struct request *req, const char *why)
{
  struct json did = { .text = NULL };

  json_member_string (&did, "ended", why);
  log_request (who, name, req, &did);
}

void
log_error (const char *who, const char *name, struct request *req, int err)
{
  struct json did = { .text = NULL };

  json_member_string (&did, "error", errno_name (err));
  log_request (who, name, req, &did);
}

void
log_result (const struct request *req, int err, uint64_t ns)
{
  struct json j = { .text = NULL };

  json_member (&j, "req", "%llu", (unsigned long long) req->number);
  json_member_string (&j, "result", err ? errno_name (request_sent_error (err))
                                        : "ok");
  json_member_number (&j, "latency", (double) ns / 1e9);
  log_add (&j);
}

void
log_figures (uint64_t *lines, uint64_t *missing)
{
  pthread_mutex_lock (&lock);
  *lines = last_number;
  *missing = lost + dropped;
  pthread_mutex_unlock (&lock);
}
