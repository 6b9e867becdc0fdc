/* screen.c - a terminal that is put back as it was.
 *
 * Signals are blocked except while the program waits, so that their handlers only
 * note them, and what they ask for is done in good order.  Where the program has
 * crashed, a handler gives the terminal back at once, with functions that a handler
 * may call.
 */

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <sys/ioctl.h>

#include "control/screen.h"

/* Another screen, without a cursor; and back. */
static const char enter[] = "\033[?1049h\033[?25l";
static const char leave[] = "\033[0m\033[?25h\033[?1049l";

static struct termios as_it_was;
static bool taken;
static sigset_t all_but_ours;   /* the signals that are blocked while we wait */
static volatile sig_atomic_t ends, stops, changed;

static void
put (const char *s, size_t n)
{
  while (n > 0) {
    const ssize_t done = write (STDOUT_FILENO, s, n);

    if (done <= 0)
      return;
    s += done;
    n -= (size_t) done;
  }
}

/* Also called by a handler. */
static void
give_back (void)
{
  if (!taken)
    return;
  taken = false;
  put (leave, sizeof leave - 1);
  tcsetattr (STDIN_FILENO, TCSADRAIN, &as_it_was);
}

static void
take (void)
{
  struct termios t;

  if (tcgetattr (STDIN_FILENO, &as_it_was) == -1)
    return;
  t = as_it_was;
  t.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
  t.c_cc[VMIN] = 0;
  t.c_cc[VTIME] = 0;
  taken = true;
  tcsetattr (STDIN_FILENO, TCSADRAIN, &t);
  put (enter, sizeof enter - 1);
}

/*--------------------------------------------------------------------*/
/* Signals. */

static void
on_signal (int sig)
{
  if (sig == SIGTSTP)
    stops = 1;
  else if (sig == SIGWINCH || sig == SIGCONT)
    changed = sig;
  else
    ends = sig;
}

/* The handler is gone already: when this returns, the signal comes again. */
static void
on_crash (int sig)
{
  give_back ();
  raise (sig);
}

static const int ours[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT,
                            SIGWINCH };
static const int crashes[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

static void
watch_signals (void)
{
  struct sigaction a = { .sa_handler = on_signal };
  sigset_t block;

  sigemptyset (&block);
  sigemptyset (&a.sa_mask);
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
    sigaction (ours[i], &a, NULL);
    sigaddset (&block, ours[i]);
  }
  sigprocmask (SIG_BLOCK, &block, &all_but_ours);
  for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
    sigdelset (&all_but_ours, ours[i]);
  a.sa_handler = on_crash;
  a.sa_flags = (int) (SA_RESETHAND | SA_NODEFER);
  for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++)
    sigaction (crashes[i], &a, NULL);
}

/* Let a signal do what it does to a program that has no handler for it. */
static void
obey (int sig)
{
  struct sigaction a = { .sa_handler = SIG_DFL }, old;
  sigset_t one;

  sigemptyset (&one);
  sigaddset (&one, sig);
  sigaction (sig, &a, &old);
  raise (sig);
  sigprocmask (SIG_UNBLOCK, &one, NULL);
  sigprocmask (SIG_BLOCK, &one, NULL);
  sigaction (sig, &old, NULL);
}

/* Do what signals have asked for. */
static void
heed_signals (void)
{
  if (ends) {
    give_back ();
    obey (ends);
  }
  if (stops) {
    stops = 0;
    give_back ();
    obey (SIGTSTP);             /* it goes on here */
    take ();
    changed = SIGWINCH;
  }
  if (changed == SIGCONT) {     /* it was stopped with SIGSTOP */
    give_back ();
    take ();
  }
}

/*--------------------------------------------------------------------*/

bool
screen_there (void)
{
  const char *term = getenv ("TERM");

  return isatty (STDOUT_FILENO) && isatty (STDIN_FILENO) && term && *term
    && strcmp (term, "dumb") != 0;
}

void
screen_enter (void)
{
  watch_signals ();
  atexit (screen_leave);
  take ();
}

void
screen_leave (void)
{
  give_back ();
}

void
screen_size (int *rows, int *columns)
{
  struct winsize w;
  const bool known = ioctl (STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_row > 0
    && w.ws_col > 0;

  *rows = known ? w.ws_row : 24;
  *columns = known ? w.ws_col : 80;
}

int
screen_wait (int fd, double seconds)
{
  struct pollfd p[2] = { { .fd = fd, .events = POLLIN },
                         { .fd = taken ? STDIN_FILENO : -1, .events = POLLIN } };
  struct timespec t = { 0, 0 };
  int seen = 0;

  if (seconds > 0) {
    t.tv_sec = (time_t) seconds;
    t.tv_nsec = (long) ((seconds - (double) t.tv_sec) * 1e9);
  }
  if (ppoll (p, 2, &t, taken ? &all_but_ours : NULL) > 0)
    seen = (p[0].revents ? SCREEN_ANSWER : 0) | (p[1].revents ? SCREEN_KEY : 0);
  if (p[1].revents & (POLLHUP | POLLERR | POLLNVAL))
    ends = SIGHUP;              /* the terminal has gone */
  heed_signals ();
  if (changed)
    seen |= SCREEN_CHANGED;
  changed = 0;
  return seen;
}

char
screen_key (void)
{
  char c;

  return read (STDIN_FILENO, &c, 1) == 1 ? c : 0;
}
