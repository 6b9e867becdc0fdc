/* state.c - one state. */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

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

/* A state that is there as a file, and perhaps mounted. */
struct visit {
  char *image, *dir, *acked, *begun;
  const char *env[9];           /* their names and themselves, for a program */
  char why[600];                /* it is not mounted; "": it is */
};

static void
begin_visit (const struct checking *c, const struct state *s, struct visit *v)
{
  char *const name = state_name (s);
  char *why;

  *v = (struct visit) {
    .image = text ("%s/state.img", c->place), .dir = text ("%s/state", c->place),
    .acked = text ("%s/acked", c->place), .begun = text ("%s/begun", c->place),
  };
  history_write (c->history, s->point, "ack ", v->acked);
  history_write (c->history, s->point, "begin ", v->begun);
  if (!server_save (name, v->image, &why))
    wrong ("%s: %s", name, why);
  free (why);
  free (name);
  if (c->options->mount)
    place_mount (c->options->mount, v->image, v->dir, false, v->why, sizeof v->why);
  memcpy (v->env, (const char *const[]) {
    "image", v->image, "acked", v->acked, "begun", v->begun,
    c->options->mount && !*v->why ? "dir" : NULL, v->dir, NULL
  }, sizeof v->env);
}

static void
end_visit (const struct checking *c, struct visit *v)
{
  char why[200];

  if (c->options->mount && !*v->why && !place_unmount (v->dir, why, sizeof why))
    wrong ("can't unmount a state: %s", why);
  unlink (v->image);
  free (v->image);
  free (v->dir);
  free (v->acked);
  free (v->begun);
}

static void
judge (struct state *s, const struct ended *e)
{
  s->reason = copy_of (e->last);
  if (e->hung)
    s->outcome = HUNG;
  else if (e->signal)
    s->outcome = CRASHED;
  else
    s->outcome = e->code == 0 ? GOOD : e->code == 77 ? SKIPPED : BROKEN;
}

void
state_check (const struct checking *c, struct state *s)
{
  struct visit v;

  begin_visit (c, s, &v);
  if (*v.why) {
    s->outcome = UNREADABLE;
    s->reason = copy_of (v.why);
  } else {
    struct ended e = run_command (c->options->check, v.env, c->options->timeout);

    judge (s, &e);
    ended_free (&e);
  }
  end_visit (c, &v);
}

int
state_visit (const struct checking *c, const struct state *s, const char *const *command)
{
  struct visit v;
  int status = 0;
  pid_t pid;

  begin_visit (c, s, &v);
  if (*v.why)
    printf ("it can't be mounted: %s\n", v.why);
  fflush (stdout);
  pid = fork ();
  if (pid == 0)
    become (command, v.env);
  if (pid > 0)
    waitpid (pid, &status, 0);
  end_visit (c, &v);
  return WIFEXITED (status) ? WEXITSTATUS (status) : DONE_WRONG;
}
