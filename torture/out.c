/* out.c - the directory for what is found. */

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "control/client.h"
#include "lib/chance.h"
#include "lib/json.h"
#include "torture/out.h"
#include "torture/place.h"
#include "torture/server.h"
#include "torture/tools.h"

static char *
path_of (const struct options *o, const char *name)
{
  return text ("%s/%s", o->out, name);
}

char *
out_promised (const struct options *o)
{
  return path_of (o, "promised");
}

/* The server, which saves the history, may be somewhere else. */
char *
out_history (const struct options *o)
{
  char *const dir = realpath (o->out, NULL);
  char *name;

  if (!dir)
    wrong ("%s: %s", o->out, strerror (errno));
  name = text ("%s/history", dir);
  free (dir);
  return name;
}

void
out_save_history (const struct options *o)
{
  char *const name = out_history (o), *const quoted = lua_string (name);
  char *const chunk = text ("disk:save_history(%s)", quoted);

  free (server_ask (chunk));
  free (chunk);
  free (quoted);
  free (name);
}

/*--------------------------------------------------------------------*/
/* Reading lines of JSON. */

char *
out_member (const char *line, const char *key, const char *otherwise)
{
  const char *at = client_member (line, key);
  char *plain = NULL;
  size_t size;
  FILE *out;

  if (!at || *at != '"')
    return otherwise ? copy_of (otherwise) : NULL;
  out = open_memstream (&plain, &size);
  if (!out)
    wrong ("out of memory");
  client_print (at, out);
  fclose (out);
  return plain;
}

static unsigned
number (const char *line, const char *key)
{
  const char *at = client_member (line, key);

  return at ? (unsigned) strtoul (at, NULL, 10) : 0;
}

/*--------------------------------------------------------------------*/
/* How the run was made. */

/* What stands for the files that a command names: a script may have changed. */
static char *
scripts_of (const char *command)
{
  char *const words = copy_of (command ? command : "");
  uint64_t hash = 0;

  for (char *w = strtok (words, " \t\n'\""); w; w = strtok (NULL, " \t\n'\"")) {
    struct stat st;
    FILE *f = stat (w, &st) == 0 && S_ISREG (st.st_mode) && st.st_size < 1 << 20
      ? fopen (w, "re") : NULL;

    for (int c; f && (c = getc (f)) != EOF;)
      hash = chance_mix (hash ^ (unsigned char) c);
    if (f)
      fclose (f);
  }
  free (words);
  return text ("%016" PRIx64, hash);
}

/* What must be the same, so that a run can go on. */
struct said {
  const char *key, *value;      /* NULL: it was not said */
};

enum { SAID = 13 };

static void
list_said (const struct options *o, struct said said[SAID])
{
  const char *const seed = text ("%" PRIu64, o->seed);
  const struct said all[SAID] = {
    { "--size", o->size }, { "--sector", o->sector }, { "--mount", o->mount },
    { "--setup", o->setup }, { "--workload", o->workload }, { "--check", o->check },
    { "--fsck", o->fsck }, { "--seed", seed }, { "--oracle", o->oracle },
    { "setup script", scripts_of (o->setup) },
    { "workload script", scripts_of (o->workload) },
    { "check script", scripts_of (o->check) }, { "version", VERSION },
  };

  memcpy (said, all, sizeof all);
}

void
out_save_run (const struct options *o)
{
  char *const name = path_of (o, "run.json");
  struct said said[SAID];
  struct json j = { .text = NULL };

  list_said (o, said);
  json_add (&j, "{", 1);
  for (int i = 0; i < SAID; i++)
    if (said[i].value)
      json_member_string (&j, said[i].key, said[i].value);
  json_member (&j, "workload seconds", "%.3f", o->healthy);
  json_add (&j, "}\n", 2);
  if (j.failed)
    wrong ("out of memory");
  write_file (name, j.text, j.len);
  json_free (&j);
  free (name);
}

/* The line of a run, from malloc, or NULL. */
static char *
read_run (const struct options *o)
{
  char *const name = path_of (o, "run.json");
  char *line = NULL;
  size_t size = 0;
  FILE *f = fopen (name, "re");
  const bool good = f && getline (&line, &size, f) > 0;

  if (f)
    fclose (f);
  free (name);
  return good ? line : NULL;
}

/* Ends the program if there is a run that was started in another way. */
static void
compare_run (const struct options *o, const char *line)
{
  struct said said[SAID];

  list_said (o, said);
  for (int i = 0; i < SAID; i++) {
    char *const before = out_member (line, said[i].key, "");

    if (strcmp (before, said[i].value ? said[i].value : "") != 0)
      wrong ("%s holds a run with another %s: remove it, or say --out DIR", o->out,
             said[i].key);
    free (before);
  }
}

/* What was promised before is kept. */
static void
keep_promised (const struct options *o)
{
  char *const from = text ("--promised %s", o->promised ? o->promised : "");
  char *const name = path_of (o, "promised");
  char *line = NULL;
  size_t size = 0;
  ssize_t n;
  FILE *f, *to;

  if (o->promised) {
    f = open_file (o->promised, "re", from);
    to = open_file (name, "we", name);
    while ((n = getline (&line, &size, f)) > 0)
      fwrite (line, 1, (size_t) n, to);
    if (ferror (f))
      wrong ("%s: %s", from, strerror (errno));
    close_file (to, name);
    fclose (f);
  }
  free (line);
  free (from);
  free (name);
}

/* What the workload took, if that was noted. */
static void
recall_seconds (struct options *o, const char *line)
{
  const char *const at = line ? client_member (line, "workload seconds") : NULL;

  o->healthy = at ? strtod (at, NULL) : 0;
}

bool
out_make (struct options *o)
{
  char *const results = path_of (o, "results.jsonl");
  char *line;
  int fd;

  if (mkdir (o->out, 0777) == -1 && errno != EEXIST)
    wrong ("--out %s: %s", o->out, strerror (errno));
  /* Until this program ends. */
  fd = open (o->out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd == -1 || (flock (fd, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK))
    wrong ("--out %s: %s", o->out, fd == -1 ? strerror (errno) : "another run is at work there");
  line = read_run (o);
  if (line)
    compare_run (o, line);
  else if (access (results, F_OK) == 0)
    wrong ("%s is there, but no run.json: remove %s, or say --out DIR", results, o->out);
  if (!line)
    keep_promised (o);
  recall_seconds (o, line);
  free (results);
  free (line);
  return line != NULL;
}

void
out_recall (struct options *o)
{
  char *const line = read_run (o);
  char *seed;

  if (!line)
    wrong ("%s/run.json: %s: first run disktorture with --workload and --check, or say "
           "--out DIR", o->out, strerror (errno));
  o->mount = out_member (line, "--mount", NULL);
  if (o->mount && !place_known (o->mount))
    wrong ("%s/run.json: --mount %s is not known here", o->out, o->mount);
  o->sector = out_member (line, "--sector", o->sector);
  o->oracle = out_member (line, "--oracle", NULL);
  recall_seconds (o, line);
  o->size = out_member (line, "--size", o->size);
  o->setup = out_member (line, "--setup", NULL);
  o->workload = out_member (line, "--workload", NULL);
  if (!o->check)
    o->check = out_member (line, "--check", NULL);
  if (!o->fsck)
    o->fsck = out_member (line, "--fsck", NULL);
  seed = out_member (line, "--seed", "0");
  o->seed = strtoull (seed, NULL, 10);
  free (seed);
  free (line);
}

/*--------------------------------------------------------------------*/
/* Results. */

/* A line that was not written to its end is no result: cut it off. */
static void
mend (const char *name)
{
  FILE *f = fopen (name, "r+e");
  off_t end = 0, at = 0;

  if (!f)
    return;
  for (int c; (c = getc (f)) != EOF;) {
    at++;
    if (c == '\n')
      end = at;
  }
  if (end < at && ftruncate (fileno (f), end) == -1)
    wrong ("%s: %s", name, strerror (errno));
  fclose (f);
}

FILE *
out_results (const struct options *o, const char *name)
{
  char host[65] = "";
  char *path;
  FILE *f;

  gethostname (host, sizeof host - 1);
  path = name ? path_of (o, name) : text ("%s/results-%s-%d.jsonl", o->out, host,
                                          (int) getpid ());
  mend (path);
  f = fopen (path, "ae");
  if (!f)
    wrong ("%s: %s", path, strerror (errno));
  free (path);
  return f;
}

void
out_line (FILE *results, struct json *j)
{
  json_add (j, "}\n", 2);
  if (j->failed || fwrite (j->text, j->len, 1, results) != 1 || fflush (results) != 0)
    wrong ("the results can't be written: %s", strerror (errno));
  json_free (j);
}

void
out_add (FILE *results, const struct state *s, const struct result *r)
{
  char *const name = state_name (s);
  struct json j = { .text = NULL };

  json_add (&j, "{", 1);
  json_member_string (&j, "name", name);
  json_member_string (&j, "outcome", outcome_names[r->outcome]);
  if (r->outcome >= BROKEN)
    json_member (&j, "class", "\"%c\"", state_class (s));
  json_member (&j, "seconds", "%.3f", r->seconds);
  json_member (&j, "digest", "\"%016" PRIx64 "%016" PRIx64 "\"", s->digest[0], s->digest[1]);
  json_member (&j, "requests", "%u", s->requests);
  json_member (&j, "sectors", "%u", s->sectors);
  json_member (&j, "legal", s->legal ? "true" : "false");
  json_member_string (&j, "reason", r->reason);
  out_line (results, &j);
  free (name);
}

static bool
read_result (const char *line, char **name, struct state *s)
{
  const char *const legal = client_member (line, "legal");
  char *const outcome = out_member (line, "outcome", "");
  char *const digest = out_member (line, "digest", "");
  int i = 0;

  *s = (struct state) {
    .requests = number (line, "requests"), .sectors = number (line, "sectors"),
    .legal = legal && *legal == 't', .reason = out_member (line, "reason", ""),
  };
  *name = out_member (line, "name", "");
  while (i <= CRASHED && strcmp (outcome_names[i], outcome) != 0)
    i++;
  s->outcome = (enum outcome) i;
  sscanf (digest, "%16" SCNx64 "%16" SCNx64, &s->digest[0], &s->digest[1]);
  free (outcome);
  free (digest);
  return **name && i <= CRASHED;
}

typedef void result_fn (void *context, const char *name, const struct state *state);

static void
lines_of (FILE *f, void (*each) (void *context, const char *line), void *context)
{
  char *line = NULL;
  size_t size = 0;

  while (getline (&line, &size, f) > 0)
    if (line[strlen (line) - 1] == '\n')
      each (context, line);
  free (line);
  fclose (f);
}

/* Who wants results. */
struct wanted {
  result_fn *each;
  void *context;
};

static void
take_result (void *wanted, const char *line)
{
  const struct wanted *w = wanted;
  struct state s;
  char *name;

  if (read_result (line, &name, &s))
    w->each (w->context, name, &s);
  free (name);
}

static void
each_in (const char *file, result_fn *each, void *context)
{
  lines_of (open_file (file, "re", file), take_result, &(struct wanted) { each, context });
}

void
out_each (const struct options *o, result_fn *each, void *context)
{
  char *const pattern = path_of (o, "results*.jsonl");
  glob_t found = { .gl_pathc = 0 };

  if (!o->words || !*o->words)
    glob (pattern, 0, NULL, &found);
  for (size_t i = 0; i < found.gl_pathc; i++)
    each_in (found.gl_pathv[i], each, context);
  globfree (&found);
  for (char **word = o->words; word && *word; word++)
    each_in (*word, each, context);
  free (pattern);
}

void
out_lines (const struct options *o, const char *file,
           void (*each) (void *context, const char *line), void *context)
{
  char *const path = path_of (o, file);
  FILE *const f = fopen (path, "re");

  if (f)
    lines_of (f, each, context);
  free (path);
}
