/* top.c - memctl --top: what happens in the server, again and again.
 *
 *     ask --> (other keys, other signals) --> answer --> show --> wait --> ask
 *
 * A server whose Lua is busy may be slow to answer; keys are heeded meanwhile.
 */

#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/client.h"
#include "control/commands.h"
#include "control/screen.h"
#include "control/view.h"

static struct {
  const char *path;             /* of the socket */
  struct sample old, new;
  bool have, have_old;          /* new is a sample, and so is old */
  bool on_screen;
  bool pause, since_start, clear, quit;
  bool asked;                   /* an answer is on its way */
  double due;                   /* when to ask next */
  char *answer;                 /* what came of it so far */
  size_t len, room;
} top;

static double
seconds_now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static _Noreturn void
server_gone (void)
{
  screen_leave ();
  client_no_server ("the server has ended, or closed the connection");
}

/*--------------------------------------------------------------------*/
/* Asking. */

static void
ask (double every)
{
  static const char clear[] = "fault.clear() ";
  char chunk[4096];
  const int n = snprintf (chunk, sizeof chunk, "%s%s", top.clear ? clear : "",
                          sample_chunk);

  client_send (chunk, (size_t) n);
  top.clear = false;
  top.asked = true;
  top.due = seconds_now () + every;
}

/* Read what there is.  True: the answer is complete. */
static bool
take_answer (void)
{
  ssize_t n;

  if (top.room - top.len < 4096) {
    char *more = realloc (top.answer, top.room + 65536);

    if (!more)
      server_gone ();
    top.answer = more;
    top.room += 65536;
  }
  n = read (client_fd (), top.answer + top.len, top.room - top.len - 1);
  if (n <= 0)
    server_gone ();
  top.len += (size_t) n;
  top.answer[top.len] = '\0';
  if (top.len >= 8 && memcmp (top.answer, "NBDMAGIC", 8) == 0)
    screen_leave ();
  client_check (top.answer, top.len);
  return top.answer[top.len - 1] == '\n';
}

/* The answer becomes the new sample.  Otherwise it says what is wrong. */
static void
take_sample (void)
{
  struct sample s;

  top.asked = false;
  top.len = 0;
  if (!sample_read (&s, top.answer)) {
    screen_leave ();
    if (client_error (top.answer) == OK)
      fputs ("memctl: the server's answer makes no sense; is it of another "
             "version?\n", stderr);
    exit (FAILED);
  }
  if (top.have) {
    sample_free (&top.old);
    top.old = top.new;
    top.have_old = true;
  }
  top.new = s;
  if (top.have_old)
    view_note (&top.old, &top.new);
  top.have = true;
}

/*--------------------------------------------------------------------*/
/* Showing. */

/* Without an older sample, figures are since the start. */
static void
draw (void)
{
  static const struct sample start;
  const bool since_start = top.since_start || !top.have_old;
  int rows, columns;
  char *text;

  screen_size (&rows, &columns);
  text = view_screen (since_start ? &start : &top.old, &top.new, top.path,
                      top.pause ? "paused" : since_start ? "since start" : "",
                      rows, columns);
  if (text) {
    fputs (text, stdout);
    fflush (stdout);
  }
  free (text);
}

/* A reader that has gone ends the program as it would any other. */
static int
print_lines (void)
{
  view_lines (&top.old, &top.new);
  if (fflush (stdout) == 0)
    return OK;
  if (errno == EPIPE) {
    signal (SIGPIPE, SIG_DFL);
    raise (SIGPIPE);
  }
  perror ("memctl: standard output");
  return FAILED;
}

static void
take_keys (void)
{
  char c;

  while ((c = screen_key ()) != 0)
    switch (c) {
    case 'q':
      top.quit = true;
      break;
    case 'p':
      top.pause = !top.pause;
      break;
    case 'r':
      top.since_start = !top.since_start;
      break;
    case 'C':
      top.clear = true;         /* and show that at once */
      top.due = 0;
      break;
    case ' ':
      top.due = 0;
      break;
    default:
      break;
    }
}

/*--------------------------------------------------------------------*/

/* Until the next answer, or until the user wants to see something else.  True: there
 * is a new sample.
 */
static bool
turn (double every)
{
  const double now = seconds_now ();
  const bool idle = top.pause && top.due > 0;
  int seen;

  if (!top.asked && !idle && now >= top.due)
    ask (every);
  seen = screen_wait (client_fd (), top.asked || idle ? 60 : top.due - now);
  if (seen & SCREEN_KEY)
    take_keys ();
  if (seen & SCREEN_ANSWER && take_answer ()) {
    take_sample ();
    return true;
  }
  if (top.on_screen && top.have && seen & (SCREEN_KEY | SCREEN_CHANGED))
    draw ();
  return false;
}

int
command_top (const char *path, unsigned long count, double every)
{
  int status = OK;

  top.path = path;
  top.on_screen = screen_there ();
  setlocale (LC_CTYPE, "");
  if (top.on_screen)
    screen_enter ();
  else
    view_head ();
  for (unsigned long n = 0; !top.quit && status == OK && (!count || n < count);) {
    if (!turn (every))
      continue;
    if (top.on_screen)
      draw ();
    else if (top.have_old)
      status = print_lines ();
    n += top.on_screen || top.have_old;
  }
  screen_leave ();
  return status;
}
