/* recuts.c - the power fails again while a state recovers. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "torture/recuts.h"
#include "torture/server.h"
#include "torture/tools.h"

/* What was promised before this state, as the lines of a workload. */
static void
write_promised (const struct checking *c, const struct state *s, const char *file)
{
  char *all = NULL;
  size_t size;
  FILE *out = open_memstream (&all, &size);

  if (!out)
    wrong ("out of memory");
  for (size_t i = 0; i < s->point->marks; i++)
    fprintf (out, "%s\n", c->history->mark[i].text);
  fclose (out);
  write_file (file, all, size);
  free (all);
}

/* Run this program on an image.  Returns its exit status. */
static int
run_again (const struct options *o, const char *out, const char *image, const char *promised)
{
  char *const from = shell_word (image), *const setup = text ("cat %s >\"$disk\"", from);
  char *const timeout = text ("%g", o->timeout), *const jobs = text ("%u", o->jobs);
  char *const seed = text ("%" PRIu64, o->seed);
  const char *const argv[] = {
    own_path (), "--size", o->size, "--sector", o->sector, "--mount", o->mount, "--setup",
    setup, "--workload", "true", "--promised", promised, "--timeout",
    timeout, "--seed", seed, "--jobs", jobs, "--history", o->history, "--out", out,
    o->check ? "--check" : "--out", o->check ? o->check : out,
    o->fsck ? "--fsck" : "--out", o->fsck ? o->fsck : out,
    o->oracle ? "--oracle" : NULL, "set", NULL
  };
  int status = 0;
  pid_t pid;

  fflush (NULL);
  pid = fork ();
  if (pid == 0)
    become (argv, NULL);
  if (pid > 0) {
    keep (pid);
    status = stopped (pid);
  }
  free (from);
  free (setup);
  free (timeout);
  free (seed);
  free (jobs);
  return pid > 0 && WIFEXITED (status) ? WEXITSTATUS (status) : DONE_WRONG;
}

static int
recut (const struct checking *c, const struct state *s, unsigned number)
{
  const struct options *o = c->options;
  char *const name = state_name (s), *const out = text ("%s/recut-%u", o->out, number);
  /* The same whenever it is started again: it is a part of the command line. */
  char *const dir = realpath (o->out, NULL);
  char *const image = text ("%s/recut-%u.img", dir ? dir : o->out, number);
  char *const promised = text ("%s/promised", c->place);
  char *why;
  int done;

  printf ("\nrecut %u   while %s recovers; in %s\n", number, name, out);
  write_promised (c, s, promised);
  if (!server_save (name, image, &why))
    wrong ("%s: %s", name, why);
  done = run_again (o, out, image, promised);
  unlink (image);
  free (why);
  free (name);
  free (out);
  free (image);
  free (dir);
  free (promised);
  if (done == DONE_WRONG)
    wrong ("recut %u could not be tried", number);
  return done;
}

int
recuts (const struct checking *c, const struct names *n)
{
  unsigned number = 0;
  int done = DONE_GOOD;

  for (size_t i = 0; i < n->n && number < c->options->recuts; i++) {
    const struct state *s = &n->state[i];

    if (s->checked && s->outcome == GOOD && s->requests > 0
        && recut (c, s, ++number) == DONE_FAILED)
      done = DONE_FAILED;
  }
  return done;
}
