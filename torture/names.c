/* names.c - which states are to be tried. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/array.h"
#include "lib/chance.h"
#include "torture/names.h"
#include "torture/server.h"
#include "torture/tools.h"

#define ALL_SUBSETS 7           /* up to so many requests, all subsets are tried */
#define SAMPLE 32               /* of those of more, and of torn states */

struct state *
names_add (struct names *n, const struct state *s)
{
  if (!array_grow (&n->state, n->n, &n->room, sizeof *s))
    wrong ("out of memory");
  n->state[n->n] = *s;
  return &n->state[n->n++];
}

static void
add_line (struct names *n, const struct point *p, const char *line)
{
  const size_t len = strcspn (line, " ");
  struct state s = { .point = p, .choice = text ("%.*s", (int) len, line) };
  int legal;

  if (sscanf (line + len, " %16" SCNx64 "%16" SCNx64 " %u %u %d", &s.digest[0],
              &s.digest[1], &s.requests, &s.sectors, &legal) != 5)
    wrong ("the server's answer was not understood: %s", line);
  s.legal = legal;
  names_add (n, &s);
}

/* Add the states of a point that a query of disk:states gives; how many. */
static size_t
add_states (struct names *n, const struct point *p, const char *query)
{
  const size_t before = n->n;
  char *const name = lua_string (p->name);
  char *const chunk = text (
    "local t = {} for s in disk:states { point = %s, %s } do t[#t + 1] = "
    "('%%s %%s %%d %%d %%d'):format(s.name:match '([^/]*)$', s.digest, s.requests, s.sectors,"
    " s.legal and 1 or 0) end return table.concat(t, '\\n')", name, query);
  char *const answer = server_ask (chunk);

  for (char *line = strtok (answer, "\n"); line; line = strtok (NULL, "\n"))
    add_line (n, p, line);
  free (answer);
  free (chunk);
  free (name);
  return n->n - before;
}

static void
add_point (struct names *n, const struct point *p, uint64_t seed)
{
  static const char *const few[] = { "how = 'all'", NULL };
  static const char *const many[] = {
    "choice = 'none'", "how = 'prefix'", "how = 'lose-one'", "how = 'only-one'", NULL
  };
  char *const sample = text ("how = 'random', seed = %" PRIu64 ", count = %d", seed, SAMPLE);
  char *const torn = text ("units = 'sectors', %s", sample);
  char *const lose = text ("units = 'sectors', how = 'lose-one', count = %d", 2 * SAMPLE);

  for (const char *const *q = p->pending <= ALL_SUBSETS ? few : many; *q; q++)
    n->by_requests += add_states (n, p, *q);
  if (p->pending > ALL_SUBSETS)
    n->by_requests += add_states (n, p, sample);
  if (p->pending > 0) {
    n->torn += add_states (n, p, lose);
    n->torn += add_states (n, p, torn);
  }
  free (sample);
  free (torn);
  free (lose);
}

/* How hard a choice is to understand. */
static int
rank (const char *choice)
{
  static const char *const kinds[] = { "none", "all", "lose-", "only-", "prefix-" };
  const int torn = strchr (choice, ':') ? 10 : 0;

  for (int i = 0; i < (int) (sizeof kinds / sizeof kinds[0]); i++)
    if (strncmp (choice, kinds[i], strlen (kinds[i])) == 0)
      return torn + i;
  return 20;                    /* drawn at random */
}

int
names_compare (const struct state *x, const struct state *y)
{
  const size_t m = x->point->marks, n = y->point->marks;

  return m != n ? (m < n ? -1 : 1) : memcmp (x->digest, y->digest, sizeof x->digest);
}

/* Of those the one that is told best comes first. */
static int
compare (const void *a, const void *b)
{
  const struct state *x = a, *y = b;
  const int differ = names_compare (x, y);

  if (differ)
    return differ;
  if (rank (x->choice) != rank (y->choice))
    return rank (x->choice) - rank (y->choice);
  if (strlen (x->choice) != strlen (y->choice))
    return strlen (x->choice) < strlen (y->choice) ? -1 : 1;
  if (x->point->time != y->point->time)
    return x->point->time < y->point->time ? -1 : 1;
  return strcmp (x->choice, y->choice);
}

/* Leave out what is the same as another one. */
static void
leave_out_equal (struct names *n)
{
  size_t kept = 0;

  if (n->n > 0)
    qsort (n->state, n->n, sizeof *n->state, compare);
  for (size_t i = 0; i < n->n; i++)
    if (kept && names_compare (&n->state[kept - 1], &n->state[i]) == 0)
      free (n->state[i].choice);
    else
      n->state[kept++] = n->state[i];
  n->n = kept;
}

struct names
names_list (const struct options *o, const struct history *h)
{
  struct names n = { .n = 0 };

  for (size_t i = 0; i < h->points; i++) {
    check_signals ();
    add_point (&n, &h->point[i], o->seed);
    if (isatty (2) && i % 100 == 99)
      fprintf (stderr, "crashes   %zu of %zu points\r", i + 1, h->points);
  }
  leave_out_equal (&n);
  shuffle (n.state, n.n, sizeof *n.state, o->seed);
  return n;
}

/*--------------------------------------------------------------------*/
/* By name. */

struct name_index {
  struct named { uint64_t hash; size_t number; } *named;
  size_t n;
};

static uint64_t
hash_name (const char *name)
{
  uint64_t hash = 0;

  for (; *name; name++)
    hash = chance_mix (hash ^ (unsigned char) *name);
  return hash;
}

static int
compare_named (const void *a, const void *b)
{
  const struct named *x = a, *y = b;

  return x->hash < y->hash ? -1 : x->hash > y->hash;
}

struct name_index *
names_index (const struct names *n)
{
  struct name_index *x = room (NULL, sizeof *x);

  x->n = n->n;
  x->named = room (NULL, n->n * sizeof *x->named);
  for (size_t i = 0; i < n->n; i++) {
    char *const name = state_name (&n->state[i]);

    x->named[i] = (struct named) { hash_name (name), i };
    free (name);
  }
  if (n->n > 0)
    qsort (x->named, n->n, sizeof *x->named, compare_named);
  return x;
}

size_t
names_find (const struct names *n, const struct name_index *x, const char *name)
{
  const struct named key = { hash_name (name), 0 };
  const struct named *const found = x->n == 0 ? NULL
    : bsearch (&key, x->named, x->n, sizeof key, compare_named);
  char *whole;
  bool same;

  if (!found)
    return SIZE_MAX;
  whole = state_name (&n->state[found->number]);
  same = strcmp (whole, name) == 0;
  free (whole);
  return same ? found->number : SIZE_MAX;
}
