/* state.c - one state. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "lib/sys.h"
#include "torture/files.h"
#include "torture/oracle.h"
#include "torture/owner.h"
#include "torture/place.h"
#include "torture/server.h"
#include "torture/state.h"
#include "torture/tools.h"

const char *const outcome_names[] = {
  [GOOD] = "good", [SKIPPED] = "skipped", [BROKEN] = "broken",
  [UNREADABLE] = "unreadable", [HUNG] = "hung", [CRASHED] = "crashed",
};

char *
state_name (const struct state *s)
{
  return text ("crash/%s/%s", s->point->name, s->choice);
}

char
state_class (const struct state *s)
{
  if (!s->legal)
    return 'D';
  if (s->requests == 0)
    return 'A';
  return strchr (s->choice, ':') || strncmp (s->choice, "sectors-", 8) == 0 ? 'C' : 'B';
}

struct state
state_named (const struct history *h, const char *name)
{
  const char *end;

  if (strncmp (name, "crash/", 6) != 0 || !(end = strchr (name + 6, '/')))
    wrong ("%s: expected a name such as crash/before-flush-14/none", name);
  for (size_t i = 0; i < h->points; i++)
    if (strlen (h->point[i].name) == (size_t) (end - name - 6)
        && strncmp (h->point[i].name, name + 6, (size_t) (end - name - 6)) == 0)
      return (struct state) { .point = &h->point[i], .choice = copy_of (end + 1) };
  if (strncmp (name, "crash/end/", 10) == 0 && h->points > 0)
    return (struct state) { .point = &h->point[h->points - 1], .choice = copy_of (end + 1) };
  wrong ("%s: this run has no such point; disktorture list prints all names"
         " (a space is %%20)", name);
}

char *
state_ask (struct state *s)
{
  char *const point = lua_string (s->point->name), *const choice = lua_string (s->choice);
  char *const chunk = text (
    "local ok, next = pcall(disk.states, disk, { point = %s, choice = %s }) "
    "if not ok then return '' end local s = next() return ('%%s %%d %%d %%d %%s'):format("
    "s.digest, s.requests, s.sectors, s.legal and 1 or 0, s.lost)", point, choice);
  char *const answer = server_ask (chunk);
  int legal, n = 0;
  char *lost = NULL;

  if (sscanf (answer, "%16" SCNx64 "%16" SCNx64 " %u %u %d %n", &s->digest[0],
              &s->digest[1], &s->requests, &s->sectors, &legal, &n) == 5) {
    s->legal = legal;
    lost = copy_of (answer + n);
  }
  free (answer);
  free (chunk);
  free (point);
  free (choice);
  return lost;
}

char *
state_tell (const struct checking *c, const struct state *s)
{
  uint64_t offset;
  char *const owner = history_lost_at (c->history, s->choice, &offset)
    ? owner_of (c, s->point, offset) : NULL;
  char *const told = history_tell (c->history, s->point, s->choice, s->requests > 0, owner);

  free (owner);
  return told;
}

char *
show_again (const struct options *o, const char *name)
{
  const bool usual = strcmp (o->out, DEFAULT_OUT) == 0;
  char *const out = shell_word (o->out), *const program = shell_word (own_name ());
  char *const command = text ("%s %s%s%sshow %s", program, usual ? "" : "--out ",
                              usual ? "" : out, usual ? "" : " ", name);

  free (out);
  free (program);
  return command;
}

char *
state_again (const struct checking *c, const struct state *s)
{
  char *const name = state_name (s), *const command = show_again (c->options, name);

  free (name);
  return command;
}

/* A state that is there as a file, and perhaps mounted. */
struct visit {
  char *image, *dir, *acked, *begun, *temporary, *uri;
  const char *env[13];          /* their names and themselves, for a program */
  bool mounted;
  char why[600];                /* it is not; "": it is, or need not be */
};

/* Run --fsck, or what the file system needs; as e2fsck has it, 1 and 2 say that errors were
 * corrected.
 */
static bool
mend (const struct options *o, struct visit *v)
{
  const char *const command = o->fsck ? o->fsck : place_mend (o->mount);
  struct ended e;
  char *why;
  bool good;

  if (!command)
    return true;
  e = run_command (command, v->env, o->timeout);
  good = !e.hung && !e.signal && e.code < 3;
  why = ended_error (&e);
  if (!good)
    snprintf (v->why, sizeof v->why, "fsck: %s", e.hung ? "it does not end" : why);
  free (why);
  ended_free (&e);
  return good;
}

static void
begin_visit (const struct checking *c, const struct point *p, const char *choice,
             struct visit *v)
{
  char *const name = text ("crash/%s/%s", p->name, choice);
  char *why;

  *v = (struct visit) {
    .image = text ("%s/state.img", c->place), .dir = text ("%s/state", c->place),
    .acked = text ("%s/acked", c->place), .begun = text ("%s/begun", c->place),
    .temporary = text ("%s/tmp", c->place), .uri = server_uri (name),
  };
  mkdir (v->temporary, 0777);
  history_write (c->history, p, "ack ", v->acked);
  history_write (c->history, p, "begin ", v->begun);
  if (!server_save (name, v->image, &why))
    wrong ("%s: %s: $TMPDIR, or else /dev/shm, needs room for it", name, why);
  free (why);
  free (name);
  memcpy (v->env, (const char *const[]) {
    "image", v->image, "acked", v->acked, "begun", v->begun, "TMPDIR", v->temporary,
    "uri", v->uri,
    c->options->mount ? "dir" : NULL, v->dir, NULL
  }, sizeof v->env);
  if (c->options->mount && mend (c->options, v))
    v->mounted = place_mount (c->options->mount, v->image, v->dir, false, v->why,
                              sizeof v->why);
}

static void
unmount (struct visit *v)
{
  char why[200];

  if (v->mounted && !place_unmount (v->dir, why, sizeof why))
    wrong ("can't unmount a state: %s", why);
  v->mounted = false;
}

static void
end_visit (struct visit *v)
{
  unmount (v);
  unlink (v->image);
  if (rmdir (v->temporary) == -1)
    remove_all (v->temporary);
  free (v->temporary);
  free (v->uri);
  free (v->image);
  free (v->dir);
  free (v->acked);
  free (v->begun);
}

/* A shell says of what a command died as an exit status. */
static int
signal_of (const struct ended *e)
{
  return e->signal ? e->signal : e->code > 128 && e->code < 128 + 32 ? e->code - 128 : 0;
}

static void
judge (struct result *r, const struct ended *e, double timeout)
{
  const int signal = signal_of (e);

  if (e->flooded)
    snprintf (r->reason, sizeof r->reason, "it wrote more than a megabyte");
  else if (e->hung)
    snprintf (r->reason, sizeof r->reason, "it took longer than %g s", timeout);
  else if (signal && !*e->last)
    snprintf (r->reason, sizeof r->reason, "%s", strsignal (signal));
  else if (e->code && !*e->last)
    snprintf (r->reason, sizeof r->reason, "exit status %d", e->code);
  else
    snprintf (r->reason, sizeof r->reason, "%s", e->last);
  if (e->hung)
    r->outcome = HUNG;
  else if (signal)
    r->outcome = CRASHED;
  else
    r->outcome = e->code == 0 ? GOOD : e->code == 77 ? SKIPPED : BROKEN;
}

/* Run the check.  Where it only prints what it finds, its errors are no items. */
static void
run_check (const struct checking *c, const struct point *p, const struct visit *v,
           struct result *r)
{
  const struct options *o = c->options;
  const char *const check = o->check ? o->check : place_fsck (o->mount);
  char *const errors = text ("%s/errors", c->place);
  char *const command = o->oracle ? text ("{ %s\n} 2>'%s'", check, errors)
    : copy_of (check);
  struct ended e = run_command (command, v->env, o->timeout);
  char *const why = !o->oracle ? NULL : ended_well (&e) ? oracle_judge (c->history, p, e.all)
    : last_line (errors);

  judge (r, &e, o->timeout);
  if (o->oracle && r->outcome <= BROKEN)
    snprintf (r->reason, sizeof r->reason, "%s", why ? why : "");
  if (why && r->outcome == GOOD)
    r->outcome = BROKEN;
  free (why);
  free (errors);
  free (command);
  ended_free (&e);
}

/* Are the files of a state that is mounted known? */
static bool
is_known (const struct checking *c, const struct visit *v, known_fn *known)
{
  uint64_t files[2];

  return v->mounted && c->options->check && known && files_digest (v->dir, files) && known (files);
}

struct result
state_check (const struct checking *c, const struct point *p, const char *choice,
             known_fn *known)
{
  const uint64_t since = sys_now ();
  struct result r = { .outcome = GOOD };
  struct visit v;

  begin_visit (c, p, choice, &v);
  if (*v.why) {
    r.outcome = UNREADABLE;
    snprintf (r.reason, sizeof r.reason, "%.*s", REASON - 1, v.why);
  } else if (!is_known (c, &v, known)) {
    if (!c->options->check)
      unmount (&v);             /* what has recovered must be sound */
    run_check (c, p, &v, &r);
  }
  end_visit (&v);
  r.seconds = (double) (sys_now () - since) / 1e9;
  return r;
}

int
state_visit (const struct checking *c, const struct state *s, const char *const *command)
{
  struct visit v;
  int status = 0;
  pid_t pid;

  begin_visit (c, s->point, s->choice, &v);
  if (*v.why)
    printf ("it can't be mounted: %s\n", v.why);
  fflush (stdout);
  pid = fork ();
  if (pid == 0)
    become (command, v.env);
  if (pid > 0)
    waitpid (pid, &status, 0);
  end_visit (&v);
  return WIFEXITED (status) ? WEXITSTATUS (status) : DONE_WRONG;
}
