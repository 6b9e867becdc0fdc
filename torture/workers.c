/* workers.c - processes that check states.
 *
 * A message to a worker is the number of a point and a choice.  Its answer is either what
 * stands for the files of the state, which wants a word (one byte: is it known?), or the
 * result.
 */

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include "control/client.h"
#include "torture/place.h"
#include "torture/server.h"
#include "torture/tools.h"
#include "torture/workers.h"

#define MOST_MESSAGE 65536      /* bytes to a worker */

struct answer {
  bool asks;                    /* are these files known? */
  uint64_t files[2];
  struct result result;
};

/* Files that were seen, with so many promises. */
struct seen {
  uint64_t files[2];
  size_t marks;
  bool done;                    /* there is a result, */
  enum outcome outcome;         /* and this is it */
  char *reason;                 /* NULL: "" */
};

struct worker {
  pid_t pid;
  int fd;
  bool busy;
  size_t tag, marks;            /* of what it checks */
  const struct seen *known;     /* what has the same files, and a result; or NULL */
  struct seen *seen;            /* what waits for this result, or NULL */
};

static const struct checking *checking;
static struct worker *worker;
static struct pollfd *polled;   /* room for one each */
static unsigned workers;
static void *all_seen;          /* a tree, as search.h has it */

/*--------------------------------------------------------------------*/
/* In a worker. */

static int to_parent;

static bool
ask_parent (const uint64_t files[2])
{
  struct answer a = { .asks = true };
  char known;

  memcpy (a.files, files, sizeof a.files);
  if (send (to_parent, &a, sizeof a, 0) != sizeof a || recv (to_parent, &known, 1, 0) != 1) {
    check_signals ();
    exit (DONE_WRONG);          /* with what is mounted */
  }
  return known;
}

static _Noreturn void
work (unsigned number, int fd)
{
  struct checking c = *checking;
  char *message = room (NULL, MOST_MESSAGE);
  ssize_t n;

  become_worker ();
  c.place = place_share (number, c.options->mount);
  client_connect (server_control ());
  to_parent = fd;
  while ((n = recv (fd, message, MOST_MESSAGE - 1, 0)) > 0) {
    struct answer a = { .asks = false };
    char *choice;
    size_t point;

    message[n] = '\0';
    point = strtoul (message, &choice, 10);
    a.result = state_check (&c, &c.history->point[point], choice + 1, ask_parent);
    if (send (fd, &a, sizeof a, 0) != sizeof a)
      break;
  }
  exit (DONE_GOOD);
}

/*--------------------------------------------------------------------*/
/* What was seen. */

static int
compare_seen (const void *a, const void *b)
{
  const struct seen *x = a, *y = b;
  const int differ = memcmp (x->files, y->files, sizeof x->files);

  return differ ? differ : x->marks < y->marks ? -1 : x->marks > y->marks;
}

/* Answer whether files are known.  If they are new, the result is to be remembered. */
static void
tell_worker (struct worker *w, const uint64_t files[2])
{
  struct seen *s = room (NULL, sizeof *s), **found;
  char known;

  *s = (struct seen) { { files[0], files[1] }, w->marks, false, GOOD, NULL };
  found = tsearch (s, &all_seen, compare_seen);
  if (!found)
    wrong ("out of memory");
  if (*found == s)
    w->seen = s;
  else
    free (s);
  known = (*found)->done;
  w->known = known ? *found : NULL;
  if (send (w->fd, &known, 1, 0) != 1)
    wrong ("a worker has died");
}

static void
remember (struct worker *w, const struct result *r)
{
  if (!w->seen)
    return;
  w->seen->done = true;
  w->seen->outcome = r->outcome;
  w->seen->reason = *r->reason ? copy_of (r->reason) : NULL;
}

/*--------------------------------------------------------------------*/

/* They take what they have mounted with them.  Who is idle sees that nobody asks any more. */
static void
end_all (void)
{
  for (unsigned i = 0; i < workers; i++) {
    kill (worker[i].pid, SIGTERM);
    close (worker[i].fd);
  }
  for (unsigned i = 0; i < workers; i++)
    waitpid (worker[i].pid, NULL, 0);
  workers = 0;
}

void
workers_start (const struct checking *c, unsigned n)
{
  checking = c;
  worker = room (NULL, n * sizeof *worker);
  polled = room (NULL, n * sizeof *polled);
  atexit (end_all);
  fflush (NULL);
  for (unsigned i = 0; i < n; i++) {
    int fds[2];
    pid_t pid;

    if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1
        || (pid = fork ()) == -1)
      wrong ("can't start a worker: %s", strerror (errno));
    if (pid == 0) {
      close (fds[0]);
      for (; workers > 0; workers--)
        close (worker[workers - 1].fd);
      work (i + 1, fds[1]);
    }
    close (fds[1]);
    keep (pid);
    worker[i] = (struct worker) { .pid = pid, .fd = fds[0] };
    workers = i + 1;
  }
}

bool
workers_idle (void)
{
  for (unsigned i = 0; i < workers; i++)
    if (!worker[i].busy)
      return true;
  return false;
}

void
workers_give (size_t tag, const struct state *s)
{
  const size_t number = (size_t) (s->point - checking->history->point);
  char *const message = text ("%zu %s", number, s->choice);
  struct worker *w = worker;

  while (w->busy)
    w++;
  if (strlen (message) >= MOST_MESSAGE)
    wrong ("%s: the name is too long", s->choice);
  if (send (w->fd, message, strlen (message), 0) == -1)
    wrong ("a worker has died");
  w->busy = true;
  w->tag = tag;
  w->marks = s->point->marks;
  w->known = NULL;
  w->seen = NULL;
  free (message);
}

/* Wait until a worker that is busy says something; NULL: none is. */
static struct worker *
wait_for_one (void)
{
  struct pollfd *const p = polled;
  nfds_t n = 0;

  for (unsigned i = 0; i < workers; i++)
    if (worker[i].busy)
      p[n++] = (struct pollfd) { .fd = worker[i].fd, .events = POLLIN };
  while (n > 0) {
    const int ready = poll (p, n, -1);

    check_signals ();
    for (nfds_t k = 0; ready > 0 && k < n; k++)
      for (unsigned i = 0; p[k].revents && i < workers; i++)
        if (worker[i].fd == p[k].fd)
          return &worker[i];
  }
  return NULL;
}

/* The result of a worker: its own, or that of the same files. */
static void
finish (struct worker *w, const struct result *theirs, struct result *r)
{
  const struct seen *s = w->known;

  *r = *theirs;
  w->busy = false;
  if (s) {
    r->outcome = s->outcome;
    snprintf (r->reason, sizeof r->reason, "%s", s->reason ? s->reason : "");
  } else
    remember (w, theirs);
}

bool
workers_take (size_t *tag, struct result *r, bool *known)
{
  struct worker *w;

  while ((w = wait_for_one ()) != NULL) {
    struct answer a;

    if (recv (w->fd, &a, sizeof a, 0) != sizeof a)
      exit (DONE_WRONG);        /* it has said why */
    if (a.asks)
      tell_worker (w, a.files);
    else {
      *tag = w->tag;
      *known = w->known != NULL;
      finish (w, &a.result, r);
      return true;
    }
  }
  return false;
}

struct result
workers_check (const struct state *s)
{
  struct result r;
  size_t tag;
  bool known;

  workers_give (0, s);
  if (!workers_take (&tag, &r, &known))
    wrong ("a worker has died");
  return r;
}
