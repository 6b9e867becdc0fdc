/* tools.c - errors, texts, files, programs. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/wait.h>

#include "lib/array.h"
#include "lib/chance.h"
#include "lib/sys.h"
#include "torture/tools.h"

#define MOST_OUTPUT (1 << 20)   /* bytes; who writes more has gone mad */

static volatile sig_atomic_t asked;     /* to end */
static pid_t running;           /* a group that ends with this program, or 0 */
static bool is_worker;
static pid_t *kept;             /* what was started to stay */
static size_t kept_n, kept_room;

static char own[PATH_MAX];
static const char *own_called;

void
find_own_path (const char *called)
{
  const ssize_t n = readlink ("/proc/self/exe", own, sizeof own - 1);
  char *path;

  if (n <= 0 || own[0] != '/')
    wrong ("/proc/self/exe: %s", n == -1 ? strerror (errno) : "is no path");
  own_called = called;
  path = text ("%s:%.*s", getenv ("PATH") ? getenv ("PATH") : "/usr/bin:/bin:/usr/sbin:/sbin",
               (int) (strrchr (own, '/') - own), own);
  setenv ("PATH", path, 1);
  free (path);
}

const char *
own_name (void)
{
  return own_called;
}

const char *
own_path (void)
{
  return own;
}

static void
note_signal (int signal)
{
  asked = signal;
}

/* On those that ask this program to end. */
static void
on_signals (void (*handler) (int))
{
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
  const struct sigaction action = { .sa_handler = handler };

  for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
    sigaction (signals[i], &action, NULL);
}

static _Noreturn void
give_up (void)
{
  on_signals (SIG_IGN);         /* what cleans up runs programs, and waits for them */
  asked = 0;
  if (running > 0)
    kill (-running, SIGKILL);
  kill_strays ();
  exit (DONE_WRONG);
}

/* What waits is interrupted. */
void
take_signals (void)
{
  const struct sigaction ignore = { .sa_handler = SIG_IGN };

  on_signals (note_signal);
  sigaction (SIGPIPE, &ignore, NULL);
#ifdef __linux__
  prctl (PR_SET_CHILD_SUBREAPER, 1);    /* for kill_strays */
#endif
}

void
become_worker (void)
{
  is_worker = true;
  kept_n = 0;
#ifdef __linux__
  prctl (PR_SET_PDEATHSIG, SIGKILL);
  prctl (PR_SET_CHILD_SUBREAPER, 1);
#endif
}

void
check_signals (void)
{
  if (asked && is_worker)
    give_up ();
  if (asked)
    wrong ("stopped by signal %d", (int) asked);
}

_Noreturn void
wrong (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  fputs ("disktorture: ", stderr);
  vfprintf (stderr, format, args);
  fputc ('\n', stderr);
  va_end (args);
  give_up ();
}

void *
room (void *old, size_t size)
{
  void *p = realloc (old, size ? size : 1);

  if (!p)
    wrong ("out of memory");
  return p;
}

char *
copy_of (const char *s)
{
  const size_t size = strlen (s) + 1;

  return memcpy (room (NULL, size), s, size);
}

char *
text (const char *format, ...)
{
  va_list args;
  char *s;
  int n;

  va_start (args, format);
  n = vasprintf (&s, format, args);
  va_end (args);
  if (n == -1)
    wrong ("out of memory");
  return s;
}

char *
shell_word (const char *word)
{
  char *const all = room (NULL, 4 * strlen (word) + 3), *to = all;
  const bool plain = *word && !word[strcspn (word, " \t\n'\"\\$`&|;<>()*?[]#~!{}")];

  if (!plain)
    *to++ = '\'';
  for (; *word; word++)
    if (*word == '\'')
      to += sprintf (to, "'\\''");
    else
      *to++ = *word;
  if (!plain)
    *to++ = '\'';
  *to = '\0';
  return all;
}

void
shuffle (void *items, size_t n, size_t size, uint64_t seed)
{
  char *const item = items, *const one = room (NULL, size);

  for (size_t i = n; i > 1; i--) {
    char *const last = item + (i - 1) * size;
    char *const other = item + chance_mix (chance_mix (seed) + i) % i * size;

    memcpy (one, last, size);
    memmove (last, other, size);
    memcpy (other, one, size);
  }
  free (one);
}

FILE *
open_file (const char *name, const char *mode, const char *called)
{
  FILE *const f = fopen (name, mode);

  if (!f)
    wrong ("%s: %s", called, strerror (errno));
  return f;
}

void
close_file (FILE *f, const char *called)
{
  const bool failed = ferror (f);

  if (fclose (f) != 0 || failed)
    wrong ("%s: %s", called, strerror (errno));
}

void
write_file (const char *name, const char *bytes, size_t n)
{
  FILE *const f = open_file (name, "we", name);

  if (n > 0)
    fwrite (bytes, n, 1, f);
  close_file (f, name);
}

/*--------------------------------------------------------------------*/
/* Programs. */

_Noreturn void
become (const char *const *argv, const char *const *env)
{
#ifdef __linux__
  prctl (PR_SET_PDEATHSIG, SIGKILL);
#endif
  for (; env && *env; env += 2)
    setenv (env[0], env[1], 1);
  execvp (argv[0], (char *const *) argv);
  dprintf (2, "%s: %s\n", argv[0], strerror (errno));
  _exit (127);
}

/* The same in a group of its own, which reads nothing, and writes to OUT. */
static _Noreturn void
become_quiet (const char *const *argv, const char *const *env, int out)
{
  setpgid (0, 0);               /* what the terminal sends is for us */
  dup2 (open ("/dev/null", O_RDONLY), 0);
  dup2 (out, 1);
  dup2 (out, 2);
  become (argv, env);
}

pid_t
start (const char *const *argv, const char *log)
{
  const int out = open (log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const pid_t pid = out == -1 ? -1 : fork ();

  if (pid == -1)
    wrong ("%s: %s", argv[0], strerror (errno));
  if (pid == 0)
    become_quiet (argv, NULL, out);
  close (out);
  keep (pid);
  return pid;
}

void
keep (pid_t pid)
{
  if (!array_grow (&kept, kept_n, &kept_room, sizeof *kept))
    wrong ("out of memory");
  kept[kept_n++] = pid;
}

int
stopped (pid_t pid)
{
  int status = -1;
  size_t n = 0;

  while (waitpid (pid, &status, 0) == -1 && errno == EINTR)
    check_signals ();
  for (size_t i = 0; i < kept_n; i++)
    if (kept[i] != pid)
      kept[n++] = kept[i];
  kept_n = n;
  return status;
}

static bool
is_kept (pid_t pid)
{
  size_t i = 0;

  while (i < kept_n && kept[i] != pid)
    i++;
  return i < kept_n;
}

/* Children of this process, and their children, when they have died. */
void
kill_strays (void)
{
#ifdef __linux__
  char *const name = text ("/proc/self/task/%d/children", (int) getpid ());
  bool some = true;

  while (some) {
    FILE *f = fopen (name, "re");
    int pid;

    some = false;
    while (f && fscanf (f, "%d", &pid) == 1)
      if (!is_kept (pid)) {
        kill (pid, SIGKILL);
        waitpid (pid, NULL, 0);
        some = true;
      }
    if (f)
      fclose (f);
  }
  free (name);
#endif
}

char *
last_line (const char *log)
{
  FILE *f = fopen (log, "re");
  char line[500], last[500] = "";

  while (f && fgets (line, sizeof line, f))
    if (line[0] != '\n')
      memcpy (last, line, sizeof last);
  if (f)
    fclose (f);
  last[strcspn (last, "\n")] = '\0';
  return copy_of (last);
}

void
kill_told (const char *dir)
{
  const size_t most = 1 << 20;
  char *const buf = room (NULL, most);
  DIR *const all = opendir ("/proc");
  const struct dirent *entry;

  while (all && (entry = readdir (all)) != NULL) {
    const int pid = atoi (entry->d_name);
    char *const name = text ("/proc/%d/environ", pid);
    FILE *const f = pid > 0 ? fopen (name, "re") : NULL;
    const size_t n = f ? fread (buf, 1, most, f) : 0;

    if (memmem (buf, n, dir, strlen (dir)))
      kill (pid, SIGKILL);
    if (f)
      fclose (f);
    free (name);
  }
  if (all)
    closedir (all);
  free (buf);
}

/* Read what comes within so many milliseconds: 1; 0: nothing did; -1: nothing will. */
static int
read_some (struct following *f, int ms)
{
  struct pollfd p = { .fd = f->fd, .events = POLLIN };
  char buf[4096];
  ssize_t n;

  if (poll (&p, 1, ms) <= 0)
    return 0;
  n = read (f->fd, buf, sizeof buf);
  if (n > 0) {
    f->bytes += (size_t) n;
    f->take (f->context, buf, (size_t) n);
  }
  return n > 0 ? 1 : n == -1 && errno == EINTR ? 0 : -1;
}

/* It has ended, or must: kill what is left of it. */
static void
end_group (pid_t pid, int *status, bool hung)
{
  kill (-pid, SIGKILL);
  if (hung)
    waitpid (pid, status, 0);
  running = 0;
  kill_strays ();
}

int
follow (pid_t pid, struct following *f)
{
  const uint64_t end = f->seconds > 0 ? sys_now () + (uint64_t) (f->seconds * 1e9) : 0;
  int more = 0, status = 0;

  running = pid;
  while (!f->hung && waitpid (pid, &status, WNOHANG) == 0) {
    if (more != -1)
      more = read_some (f, 20);
    else
      usleep (500);             /* it has closed its output, and works on */
    check_signals ();
    f->flooded = f->most && f->bytes > f->most;
    f->hung = f->flooded || (end && sys_now () > end);
  }
  end_group (pid, &status, f->hung);
  while ((!f->most || f->bytes <= f->most) && read_some (f, 0) > 0)
    ;
  return status;
}

/* What a command has written. */
struct output {
  char *all;
  size_t n, room;
  char line[500], first[500], last[500];
  size_t len;
};

static void
take_output (void *output, const char *buf, size_t n)
{
  struct output *const o = output;

  if (o->n + n >= o->room)
    o->all = room (o->all, o->room = 2 * (o->n + n) + 256);
  for (size_t i = 0; i < n; i++)
    o->all[o->n++] = buf[i] ? buf[i] : '?';
  for (size_t i = 0; i < n; i++) {
    if (buf[i] == '\n' && o->len > 0) {
      o->line[o->len] = '\0';
      memcpy (*o->first ? o->last : o->first, o->line, o->len + 1);
      o->len = 0;
    } else if (buf[i] != '\n' && o->len < sizeof o->line - 1)
      o->line[o->len++] = (unsigned char) buf[i] < ' ' ? '?' : buf[i];
  }
}

struct ended
run (const char *const *argv, const char *const *env, double seconds)
{
  struct output o = { .n = 0 };
  struct following f = {
    .seconds = seconds, .most = MOST_OUTPUT, .take = take_output, .context = &o
  };
  int fds[2], status;
  pid_t pid;

  if (pipe2 (fds, O_CLOEXEC) == -1 || (pid = fork ()) == -1)
    wrong ("%s: %s", argv[0], strerror (errno));
  if (pid == 0)
    become_quiet (argv, env, fds[1]);
  setpgid (pid, pid);
  close (fds[1]);
  f.fd = fds[0];
  status = follow (pid, &f);
  close (f.fd);
  take_output (&o, "\n", 1);
  o.all[o.n] = '\0';
  return (struct ended) {
    .hung = f.hung, .flooded = f.flooded,
    .signal = !f.hung && WIFSIGNALED (status) ? WTERMSIG (status) : 0,
    .code = !f.hung && WIFEXITED (status) ? WEXITSTATUS (status) : 0,
    .first = copy_of (o.first), .last = copy_of (*o.last ? o.last : o.first), .all = o.all
  };
}

struct ended
run_command (const char *command, const char *const *env, double seconds)
{
  return run ((const char *const[]) { "sh", "-c", command, NULL }, env, seconds);
}

bool
ended_well (const struct ended *e)
{
  return !e->hung && !e->signal && e->code == 0;
}

char *
ended_error (const struct ended *e)
{
  static const char *const words[] = {
    "rror", "ailed", "annot", "an't", "too small", "must be", "nvalid"
  };

  for (const char *line = e->all; *line; line += strcspn (line, "\n"), line += *line == '\n') {
    char *const one = text ("%.*s", (int) strcspn (line, "\n"), line);

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
      if (strstr (one, words[i]))
        return one;
    free (one);
  }
  return copy_of (e->last);
}

void
ended_free (struct ended *e)
{
  free (e->first);
  free (e->last);
  free (e->all);
}

bool
help (const char *const *argv, char *why, size_t size)
{
  struct ended e = run (argv, NULL, 0);
  const bool good = ended_well (&e);

  if (!good)
    snprintf (why, size, "%s", *e.first ? e.first : "failed");
  ended_free (&e);
  return good;
}
