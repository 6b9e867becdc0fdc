/* record.c - record what a workload does. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sys/wait.h>

#include "lib/sys.h"
#include "torture/place.h"
#include "torture/record.h"
#include "torture/server.h"
#include "torture/tools.h"

#define MARK_MOST 256           /* bytes of a mark */

static void
set_mark (const char *what)
{
  char *const s = lua_string (what);
  char *const chunk = text ("disk:mark(%s)", s);

  free (server_ask (chunk));
  free (chunk);
  free (s);
}

/* A command that prepares the disk, with what it is told.  Ends the program if it fails. */
static void
prepare (const char *what, const char *command, const char *disk, const struct options *o)
{
  struct ended e = run_command (command, (const char *const[]) {
    "disk", disk, "sector", o->sector, NULL
  }, 0);
  char *const why = ended_error (&e);

  if (!ended_well (&e))
    wrong ("%s failed: %s%s", what, why,
           strcmp (what, "mkfs") == 0 && e.code != 127 ? " (for each kind, --size 512M is enough)"
           : "");
  free (why);
  ended_free (&e);
}

/* What was prepared is not lost. */
static void
flush_disk (const char *disk)
{
  const int fd = open (disk, O_RDWR | O_CLOEXEC);

  if (fd == -1 || fsync (fd) == -1)
    wrong ("%s: %s", disk, strerror (errno));
  close (fd);
}

/*--------------------------------------------------------------------*/
/* The workload. */

/* Open a terminal, so that the workload writes each line when it is complete, but one that
 * changes nothing.  Returns our end; *THEIRS is the workload's.
 */
static int
open_terminal (int *theirs)
{
  const int ours = posix_openpt (O_RDWR | O_NOCTTY | O_CLOEXEC);
  struct termios t;

  if (ours == -1 || grantpt (ours) == -1 || unlockpt (ours) == -1
      || (*theirs = open (ptsname (ours), O_RDWR | O_NOCTTY | O_CLOEXEC)) == -1
      || tcgetattr (*theirs, &t) == -1)
    wrong ("no terminal for the workload: %s", strerror (errno));
  cfmakeraw (&t);
  tcsetattr (*theirs, TCSANOW, &t);
  return ours;
}

static pid_t
start_workload (const struct options *o, const char *const *env, int out, bool quiet)
{
  const pid_t pid = fork ();

  if (pid == -1)
    wrong ("%s", strerror (errno));
  if (pid == 0) {
    setpgid (0, 0);
    dup2 (open ("/dev/null", O_RDONLY), 0);
    dup2 (out, 1);
    if (quiet)
      dup2 (open ("/dev/null", O_WRONLY), 2);
    become ((const char *const[]) { "sh", "-c", o->workload, NULL }, env);
  }
  return pid;
}

static bool
is_promise (const char *line)
{
  return (strncmp (line, "ack ", 4) == 0 && line[4])
    || (strncmp (line, "begin ", 6) == 0 && line[6]);
}

/* What it says. */
struct said {
  char line[MARK_MOST + 1], last[MARK_MOST + 1];
  size_t len;
};

static void
take_line (struct said *s)
{
  s->line[s->len] = '\0';
  s->len = 0;
  memcpy (s->last, s->line, sizeof s->last);
  if (is_promise (s->line))
    set_mark (s->line);
}

static void
take_output (void *said, const char *buf, size_t n)
{
  struct said *const s = said;

  for (size_t i = 0; i < n; i++)
    if (buf[i] == '\n')
      take_line (s);
    else if (buf[i] != '\r' && s->len < MARK_MOST)
      s->line[s->len++] = buf[i];
}

static void
work (const struct options *o, const char *const *env, double seconds, bool quiet,
      struct recorded *r)
{
  struct said said = { .len = 0 };
  struct following f = { .take = take_output, .context = &said, .seconds = seconds };
  const uint64_t since = sys_now ();
  int theirs;
  pid_t pid;

  f.fd = open_terminal (&theirs);
  pid = start_workload (o, env, theirs, quiet);
  close (theirs);
  r->status = follow (pid, &f);
  r->hung = f.hung;
  r->seconds = (double) (sys_now () - since) / 1e9;
  close (f.fd);
  snprintf (r->why, sizeof r->why, "%s", said.last);
}

struct recorded
record (const struct options *o, const char *place, double seconds, bool quiet)
{
  char *const dir = text ("%s/mounted", place), *const uri = server_uri ("");
  const char *const disk = place_disk (uri);
  const char *const env[] = {
    "disk", disk, "uri", uri, "control", server_control (), o->mount ? "dir" : NULL, dir,
    NULL
  };
  struct recorded r = { .mounted = true };
  char why[600];

  if (o->setup)
    prepare ("--setup", o->setup, disk, o);
  else if (o->mount)
    prepare ("mkfs", place_mkfs (o->mount), disk, o);
  flush_disk (disk);
  set_mark (BEGIN_MARK);
  if (o->mount)
    r.mounted = place_mount (o->mount, disk, dir, true, r.why, sizeof r.why);
  set_mark (WORK_MARK);
  if (r.mounted)
    work (o, env, seconds, quiet, &r);
  set_mark (END_MARK);
  if (o->mount && r.mounted && !place_unmount (dir, why, sizeof why))
    wrong ("can't unmount the disk after the workload: %s: has it left a program behind?",
           why);
  place_no_disk ();
  free (dir);
  free (uri);
  return r;
}

double
record_healthy (const struct options *o, const char *place)
{
  const struct recorded r = record (o, place, 0, false);

  if (!r.mounted)
    wrong ("can't mount the disk: %s", r.why);
  if (!WIFEXITED (r.status) || WEXITSTATUS (r.status) != 0)
    wrong ("the workload fails on a healthy disk (%s %d)%s%s",
           WIFSIGNALED (r.status) ? "signal" : "exit status",
           WIFSIGNALED (r.status) ? WTERMSIG (r.status) : WEXITSTATUS (r.status),
           *r.why ? ": " : "", r.why);
  return r.seconds;
}
