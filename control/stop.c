/* stop.c - memctl --stop: end the server, and say which rules fired.
 *
 * The connection stays open.  nbdkit waits for its clients before it ends, and the
 * server's last act is a line for each rule.  Then it ends, and the connection with
 * it.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/client.h"
#include "control/commands.h"
#include "control/control.h"

/* How often to ask how many clients are still connected, in seconds. */
#define ASK 5

static char *text;              /* what has arrived and is no whole line yet */
static size_t len;
static bool told;               /* the server has told about all rules */
static bool heading;            /* there was a rule */
static char *complaints;        /* of rules that never fired: for the end */
static size_t complaints_len;
static FILE *complain;          /* to add one */
static unsigned long clients;   /* how many of the disk are connected */
static bool asked;              /* more than once */

static double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/*--------------------------------------------------------------------*/
/* What the server says. */

/* The name of a rule, from malloc, fit for a line of a table. */
static char *
name_of (const char *s)
{
  char *name = NULL;
  size_t size = 0;
  FILE *out = open_memstream (&name, &size);

  if (!out)
    return NULL;
  client_print (s, out);
  fclose (out);
  for (char *p = name; p && *p; p++)
    if ((unsigned char) *p < ' ')
      *p = '?';
  return name;
}

static unsigned long long
number (const char *line, const char *key)
{
  const char *s = client_member (line, key);

  return s ? strtoull (s, NULL, 10) : 0;
}

static void
show_rule (const char *line, const char *rule)
{
  const unsigned long long hits = number (line, "hits");
  const unsigned long long fired = number (line, "fired");
  const char *optional = client_member (line, "optional");
  const bool wrong = fired == 0 && !(optional && *optional == 't');
  char *name = name_of (rule);

  if (!heading)
    printf ("%-28s%9s%10s\n", "rule", "hits", "fired");
  heading = true;
  printf ("%-28s%9llu%10llu%s\n", name ? name : "?", hits, fired,
          wrong ? "   never fired" : "");
  if (wrong)
    fprintf (complain, "memctl: fault rule %s never fired (it matched %llu requests)\n",
             name ? name : "?", hits);
  free (name);
}

static void
say_clients (const char *before, const char *after)
{
  fprintf (stderr, "memctl: %s%lu client%s of the disk %s connected%s\n", before,
           clients, clients == 1 ? "" : "s", clients == 1 ? "is" : "are", after);
}

/* Say how many clients there are, unless that is no news. */
static void
take_clients (unsigned long n)
{
  static unsigned long said;

  clients = n;
  if (asked && n != said) {
    say_clients ("waiting: ", "");
    said = n;
  }
}

static void
take_line (const char *line)
{
  const char *rule = client_member (line, "rule");

  if (client_error (line) != OK)
    exit (NO_SERVER);
  if (rule)
    show_rule (line, rule);
  else if (client_member (line, "stopped"))
    told = true;
  else
    take_clients ((unsigned long) number (line, "connections"));
}

/* Take what has arrived.  False: the connection has ended. */
static bool
take_some (void)
{
  char buf[4096], *more, *end;
  const ssize_t n = read (client_fd (), buf, sizeof buf);

  if (n <= 0)
    return n == -1 && errno == EINTR;
  more = realloc (text, len + (size_t) n + 1);
  if (!more)
    client_no_server ("out of memory");
  text = more;
  memcpy (text + len, buf, (size_t) n);
  len += (size_t) n;
  text[len] = '\0';
  client_check (text, len);
  while ((end = strchr (text, '\n')) != NULL) {
    *end = '\0';
    take_line (text);
    len -= (size_t) (end + 1 - text);
    memmove (text, end + 1, len + 1);
  }
  return true;
}

/* Take what arrives until the time END.  False: the connection has ended. */
static bool
take_until (double end)
{
  struct pollfd fds = { .fd = client_fd (), .events = POLLIN };
  double left;

  while ((left = end - now ()) > 0)
    if (poll (&fds, 1, left > 1000 ? 1000000 : (int) (left * 1000) + 1) == 1
        && !take_some ())
      return false;
  return true;
}

/*--------------------------------------------------------------------*/

/* Ask, once more perhaps, and wait for a while, until END at the latest.  False: the
 * connection has ended.
 */
static bool
ask (double end)
{
  const double next = now () + ASK;

  client_send (CONTROL_STOP, strlen (CONTROL_STOP));
  return take_until (next < end ? next : end);
}

/* The time is over. */
static int
give_up (double seconds)
{
  char before[60];

  snprintf (before, sizeof before, "gave up after %g s: ", seconds);
  say_clients (before, "; the server ends when none is");
  return NO_SERVER;
}

int
command_stop (double seconds)
{
  const double end = now () + seconds;

  complain = open_memstream (&complaints, &complaints_len);
  if (!complain)
    client_no_server ("out of memory");
  while (ask (end)) {
    if (now () >= end)
      return give_up (seconds);
    asked = true;
  }
  if (!told)
    client_no_server ("the server has ended without saying which rules fired");
  if (fflush (stdout) != 0) {
    perror ("memctl: standard output");
    return FAILED;
  }
  fclose (complain);
  fputs (complaints, stderr);
  return *complaints ? FAILED : OK;
}
