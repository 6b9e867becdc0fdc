/* out.c - the directory for what is found. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "control/client.h"
#include "lib/json.h"
#include "torture/out.h"
#include "torture/server.h"
#include "torture/tools.h"

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

static void
save_history (const struct options *o)
{
  char *const name = out_history (o), *const quoted = lua_string (name);
  char *const chunk = text ("disk:save_history(%s)", quoted);

  free (server_ask (chunk));
  free (chunk);
  free (quoted);
  free (name);
}

static void
add_string (struct json *j, const char *key, const char *value)
{
  if (value)
    json_member_string (j, key, value);
}

static void
save_run (const struct options *o)
{
  char *const name = text ("%s/run.json", o->out);
  struct json j = { .text = NULL };

  json_add (&j, "{", 1);
  json_member_string (&j, "version", VERSION);
  add_string (&j, "size", o->size);
  add_string (&j, "sector", o->sector);
  add_string (&j, "mount", o->mount);
  add_string (&j, "setup", o->setup);
  add_string (&j, "workload", o->workload);
  add_string (&j, "check", o->check);
  json_member (&j, "seed", "%llu", (unsigned long long) o->seed);
  json_add (&j, "}\n", 2);
  if (j.failed)
    wrong ("out of memory");
  write_file (name, j.text, j.len);
  json_free (&j);
  free (name);
}

void
out_make (const struct options *o)
{
  char *const name = text ("%s/results.jsonl", o->out);

  if (mkdir (o->out, 0777) == -1 && errno != EEXIST)
    wrong ("--out %s: %s", o->out, strerror (errno));
  if (access (name, F_OK) == 0)
    wrong ("%s is there already, of an earlier run: remove %s, or say --out DIR", name,
           o->out);
  free (name);
}

FILE *
out_begin (const struct options *o)
{
  char *const name = text ("%s/results.jsonl", o->out);
  FILE *f;

  save_history (o);
  save_run (o);
  f = fopen (name, "we");
  if (!f)
    wrong ("%s: %s", name, strerror (errno));
  free (name);
  return f;
}

void
out_add (FILE *results, const struct state *s)
{
  char *const name = state_name (s);
  struct json j = { .text = NULL };

  json_add (&j, "{", 1);
  json_member_string (&j, "name", name);
  json_member_string (&j, "outcome", outcome_names[s->outcome]);
  json_member_string (&j, "digest", s->digest);
  json_member (&j, "requests", "%u", s->requests);
  json_member (&j, "sectors", "%u", s->sectors);
  json_member (&j, "legal", s->legal ? "true" : "false");
  json_member_string (&j, "reason", s->reason);
  json_add (&j, "}\n", 2);
  if (j.failed || fwrite (j.text, j.len, 1, results) != 1 || fflush (results) != 0)
    wrong ("results.jsonl: %s", strerror (errno));
  json_free (&j);
  free (name);
}

/* A member of a line of JSON that is a string, from malloc, or OTHERWISE. */
static const char *
member (const char *line, const char *key, const char *otherwise)
{
  const char *at = client_member (line, key);
  char *plain = NULL;
  size_t size;
  FILE *out;

  if (!at || *at != '"')
    return otherwise;
  out = open_memstream (&plain, &size);
  if (!out)
    wrong ("out of memory");
  client_print (at, out);
  fclose (out);
  return plain;
}

void
out_recall (struct options *o)
{
  char *const name = text ("%s/run.json", o->out);
  char *line = NULL;
  size_t size = 0;
  FILE *f = fopen (name, "re");

  if (!f || getline (&line, &size, f) <= 0)
    wrong ("%s: %s: show what was found by a run in this directory, or say --out DIR", name,
           strerror (errno));
  fclose (f);
  o->mount = member (line, "mount", NULL);
  o->sector = member (line, "sector", o->sector);
  if (!o->check)
    o->check = member (line, "check", NULL);
  free (line);
  free (name);
}
