/* versions.c - the versions of each sector that are not durable. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/versions.h"
#include "lib/array.h"
#include "lib/chance.h"
#include "lib/min.h"

/*--------------------------------------------------------------------*/
/* What was covered. */

struct covered *
covered_new (uint32_t size)
{
  const size_t lines = (sizeof (struct covered) + size + COVERED_LINE - 1) / COVERED_LINE;
  struct covered *c = aligned_alloc (COVERED_LINE, lines * COVERED_LINE);

  if (!c)
    return NULL;
  atomic_init (&c->refs, 1);
  c->size = size;
  return c;
}

struct covered *
covered_get (struct covered *c)
{
  if (c)
    atomic_fetch_add_explicit (&c->refs, 1, memory_order_relaxed);
  return c;
}

void
covered_put (struct covered *c)
{
  if (c && atomic_fetch_sub_explicit (&c->refs, 1, memory_order_acq_rel) == 1)
    free (c);
}

struct covered *
versions_cover (struct versions *v, uint32_t size)
{
  struct covered *c = size == SPARE_COVERED ? spare_take (&v->spare.covered) : NULL;

  if (!c)
    return covered_new (size);
  atomic_init (&c->refs, 1);
  c->size = size;
  return c;
}

/* As covered_put.  Where nobody else has it, nobody can get it. */
static void
uncover (struct versions *v, struct covered *c)
{
  if (c && c->size == SPARE_COVERED
      && atomic_load_explicit (&c->refs, memory_order_acquire) == 1)
    spare_give (&v->spare.covered, c);
  else
    covered_put (c);
}

/*--------------------------------------------------------------------*/
/* Records. */

struct record *
versions_record (struct versions *v, uint64_t first, uint64_t sectors, uint64_t conn)
{
  struct record *r = block_new (&v->blocks, &v->spare.records, sizeof *r);

  if (!r)
    return NULL;
  *r = (struct record) {
    .prev = v->last, .number = ++v->last_number, .first = first,
    .sectors = sectors, .conn = conn,
  };
  if (v->last)
    v->last->next = r;
  else
    v->first = r;
  v->last = r;
  return r;
}

static void
record_free (struct versions *v, struct record *r)
{
  if (r->next)
    r->next->prev = r->prev;
  else
    v->last = r->prev;
  if (r->prev)
    r->prev->next = r->next;
  else
    v->first = r->next;
  block_free (&v->blocks, &v->spare.records, r);
}

void
versions_withdraw (struct versions *v, struct record *r)
{
  if (r->number == v->last_number)
    v->last_number--;
  record_free (v, r);
}

void
versions_complete (struct versions *v, struct record *r, uint64_t when)
{
  r->done = when;
  if (r->pending == 0)
    record_free (v, r);
}

/* A record gets a version of so many sectors. */
static void
record_gains (struct versions *v, struct record *r, uint64_t sectors)
{
  v->pending += r->pending == 0;
  r->pending += sectors;
}

/* It loses one. */
static void
record_loses (struct versions *v, struct record *r, uint64_t sectors)
{
  r->pending -= sectors;
  if (r->pending > 0)
    return;
  v->pending--;
  if (r->done)
    record_free (v, r);
}

/*--------------------------------------------------------------------*/
/* The skip list.
 *
 * A path has, for each level, the link that leads to the first segment that reaches
 * beyond a sector.
 */

bool
versions_init (struct versions *v, uint32_t sector)
{
  memset (v, 0, sizeof *v);
  v->slots = 64;
  v->hash = calloc (v->slots, sizeof (struct segment *));
  v->sector = sector;
  v->height = 1;
  v->random = 1;
  return v->hash != NULL;
}

/* Each level has a quarter of the segments of the one below. */
static unsigned
draw_height (struct versions *v)
{
  unsigned height = 1;
  uint64_t x = v->random;

  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  v->random = x;
  for (; height < VERSIONS_HEIGHT && x % 4 == 0; x /= 4)
    height++;
  return height;
}

static struct segment *
find_path (struct versions *v, uint64_t sector, struct segment **path[])
{
  struct segment **links = v->head;
  unsigned level = v->height;

  do {
    level--;
    while (links[level] && links[level]->end <= sector)
      links = links[level]->next;
    path[level] = &links[level];
  } while (level > 0);
  return links[0];
}

struct segment *
versions_find (const struct versions *v, uint64_t sector)
{
  struct segment *const *links = v->head;

  for (unsigned level = v->height; level-- > 0; )
    while (links[level] && links[level]->end <= sector)
      links = links[level]->next;
  return links[0];
}

/* To follow one link after the other is to wait for memory each time, so several parts of
 * the list are followed at once.
 */
#define LANES 8
struct lane {
  struct segment *at, *end;
  struct segment **list;
  size_t n, room;
};

/* Begin the lanes at some of the segments of a level that has enough of them. */
static void
start_lanes (const struct versions *v, struct lane *lane)
{
  unsigned level = v->height - 1;
  size_t n = 0, i = 0;

  for (;; level--) {
    n = 0;
    for (const struct segment *s = v->head[level]; s; s = s->next[level])
      n++;
    if (n >= (size_t) LANES * LANES || level == 0)
      break;
  }
  lane[0].at = v->head[0];
  for (struct segment *s = v->head[level]; s; s = s->next[level], i++)
    for (unsigned k = 1; k < LANES; k++)
      if (i == n * k / (size_t) LANES)
        lane[k].at = lane[k - 1].end = s;
}

/* Go on by one.  False: no memory. */
static bool
step (struct lane *l, bool *more)
{
  if (l->at == l->end)
    return true;
  if (!array_grow (&l->list, l->n, &l->room, sizeof (struct segment *)))
    return false;
  l->list[l->n++] = l->at;
  l->at = l->at->next[0];
  return *more = true;
}

struct segment **
versions_list (const struct versions *v)
{
  struct lane lane[LANES] = { { .n = 0 } };
  struct segment **list = malloc (v->segments * sizeof (struct segment *) + 1);
  bool good = list != NULL, more = true;
  size_t n = 0;

  start_lanes (v, lane);
  while (more && good) {
    more = false;
    for (unsigned k = 0; k < LANES && good; k++)
      good = step (&lane[k], &more);
  }
  for (unsigned k = 0; k < LANES; k++) {
    if (good && lane[k].n > 0)
      memcpy (list + n, lane[k].list, lane[k].n * sizeof (struct segment *));
    n += lane[k].n;
    free (lane[k].list);
  }
  if (!good)
    free (list);
  return good ? list : NULL;
}

struct segment *
versions_next (const struct segment *s)
{
  return s->next[0];
}

/*--------------------------------------------------------------------*/
/* The hash.  It is only a shortcut: without memory, it does not grow. */

static struct segment **
hash_slot (const struct versions *v, uint64_t start)
{
  return &v->hash[chance_mix (start) & (v->slots - 1)];
}

static void
hash_add (struct versions *v, struct segment *s)
{
  struct segment **slot = hash_slot (v, s->start);

  s->same = *slot;
  *slot = s;
}

/* Make room for one more. */
static void
hash_grow (struct versions *v)
{
  const size_t slots = v->slots * 2;
  struct segment **more;

  if (v->segments < v->slots)
    return;
  more = calloc (slots, sizeof (struct segment *));
  if (!more)
    return;
  free (v->hash);
  v->hash = more;
  v->slots = slots;
  for (struct segment *s = v->head[0]; s; s = s->next[0])
    hash_add (v, s);
}

static void
hash_remove (struct versions *v, struct segment *s)
{
  struct segment **link = hash_slot (v, s->start);

  while (*link != s)
    link = &(*link)->same;
  *link = s->same;
}

/* The segment that starts here, or NULL: find it in another way. */
static struct segment *
hash_find (const struct versions *v, uint64_t start)
{
  struct segment *s = *hash_slot (v, start);

  while (s && s->start != start)
    s = s->same;
  return s;
}

/*--------------------------------------------------------------------*/

/* A segment without versions, at the end of a path.  NULL: no memory. */
static struct segment *
insert_segment (struct versions *v, struct segment **path[], uint64_t start, uint64_t end)
{
  const unsigned height = draw_height (v);
  const size_t size = sizeof (struct segment) + height * sizeof (struct segment *);
  struct segment *s = block_new (&v->blocks, height == 1 ? &v->spare.segments : NULL, size);

  if (!s)
    return NULL;
  hash_grow (v);
  for (; v->height < height; v->height++)
    path[v->height] = &v->head[v->height];
  *s = (struct segment) { .start = start, .end = end, .height = height };
  for (unsigned i = 0; i < height; i++) {
    s->next[i] = *path[i];
    *path[i] = s;
  }
  v->segments++;
  hash_add (v, s);
  return s;
}

static void
segment_free (struct versions *v, struct segment *s)
{
  block_free (&v->blocks, s->height == 1 ? &v->spare.segments : NULL, s);
}

static void
remove_segment (struct versions *v, struct segment *s)
{
  struct segment **path[VERSIONS_HEIGHT];

  find_path (v, s->start, path);
  assert (*path[0] == s);
  for (unsigned i = 0; i < s->height; i++)
    *path[i] = s->next[i];
  hash_remove (v, s);
  v->segments--;
  v->sectors -= s->end - s->start;
  segment_free (v, s);
}

static void
version_free (struct versions *v, struct version *n)
{
  uncover (v, n->covered);
  block_free (&v->blocks, &v->spare.nodes, n);
}

/* Forget the versions from this link on. */
static void
truncate_chain (struct versions *v, const struct segment *s, struct version **link)
{
  struct version *n = *link;

  *link = NULL;
  while (n) {
    struct version *below = n->below;

    record_loses (v, n->record, s->end - s->start);
    version_free (v, n);
    n = below;
  }
}

void
versions_clear (struct versions *v)
{
  struct segment *s = v->head[0], *next;

  for (struct record *r = v->first, *after; r; r = after) {
    after = r->next;
    if (!r->done)
      r->next = r->prev = NULL;
    r->marked = !r->done;       /* it stays */
  }
  for (; s; s = next) {
    next = s->next[0];
    for (struct version *n = s->newest, *below; n; n = below) {
      below = n->below;
      n->record->pending -= s->end - s->start;
      if (n->record->pending == 0 && !n->record->marked)
        block_free (&v->blocks, &v->spare.records, n->record);
      version_free (v, n);
    }
    segment_free (v, s);
  }
  memset (v->head, 0, sizeof v->head);
  memset (v->hash, 0, v->slots * sizeof (struct segment *));
  v->segments = 0;
  v->height = 1;
  v->first = v->last = NULL;
  v->pending = v->sectors = 0;
}

void
versions_free (struct versions *v)
{
  versions_clear (v);
  free (v->hash);
  spare_clear (&v->spare.records);
  spare_clear (&v->spare.nodes);
  spare_clear (&v->spare.segments);
  blocks_clear (&v->blocks);
  spare_clear (&v->spare.covered);
}

/*--------------------------------------------------------------------*/
/* Segments. */

uint64_t
versions_run (const struct versions *v, uint64_t first, uint64_t end,
              struct segment **s)
{
  *s = hash_find (v, first);
  if (!*s)
    *s = versions_find (v, first);
  if (*s && (*s)->start <= first)
    return min_u64 ((*s)->end, end) - first;
  if (*s)
    end = min_u64 (end, (*s)->start);
  *s = NULL;
  return end - first;
}

struct version *
versions_node (struct versions *v, const struct version *made)
{
  struct version *n = block_new (&v->blocks, &v->spare.nodes, sizeof *n);

  if (!n)
    return NULL;
  *n = *made;
  n->below = NULL;
  covered_get (n->covered);
  return n;
}

void
versions_node_free (struct versions *v, struct version *n)
{
  for (struct version *below; n; n = below) {
    below = n->below;
    version_free (v, n);
  }
}

/* Copy a chain; what it covered begins so many bytes later.  False: no memory. */
static bool
copy_chain (struct versions *v, const struct version *from, uint64_t later, struct version **to)
{
  for (; from; from = from->below) {
    struct version *n = versions_node (v, from);

    if (!n)
      return false;
    n->at += n->covered ? (uint32_t) later : 0;
    *to = n;
    to = &n->below;
  }
  return true;
}

int
versions_split (struct versions *v, uint64_t sector)
{
  struct segment **path[VERSIONS_HEIGHT];
  struct segment *s = find_path (v, sector, path), *second;
  const uint64_t end = s ? s->end : 0;
  struct version *newest = NULL;

  if (!s || s->start >= sector)
    return 0;
  if (!copy_chain (v, s->newest, (sector - s->start) * v->sector, &newest)) {
    versions_node_free (v, newest);
    return ENOMEM;
  }
  s->end = sector;
  find_path (v, sector, path);       /* it leads past the first part now */
  second = insert_segment (v, path, sector, end);
  if (!second) {
    s->end = end;
    versions_node_free (v, newest);
    return ENOMEM;
  }
  second->newest = newest;
  return 0;
}

/* The segment of sectors that are alike, which are in S; a new one where that is NULL. */
static struct segment *
make_segment (struct versions *v, struct segment *s, uint64_t first, uint64_t end)
{
  struct segment **path[VERSIONS_HEIGHT];

  if (s && s->start == first && s->end == end)
    return s;
  if (s) {
    if (versions_split (v, first) || versions_split (v, end))
      return NULL;
    return versions_find (v, first);
  }
  find_path (v, first, path);
  s = insert_segment (v, path, first, end);
  if (s)
    v->sectors += end - first;
  return s;
}

int
versions_push (struct versions *v, struct segment *s, uint64_t first, uint64_t end,
               const struct version *made)
{
  struct version *n = block_new (&v->blocks, &v->spare.nodes, sizeof *n);

  s = n ? make_segment (v, s, first, end) : NULL;
  if (!s) {
    if (n)
      block_free (&v->blocks, &v->spare.nodes, n);
    return ENOMEM;
  }
  *n = *made;
  n->below = s->newest;
  s->newest = n;
  record_gains (v, n->record, end - first);
  return 0;
}

int
versions_chain (struct versions *v, uint64_t first, uint64_t end, struct version *newest)
{
  struct segment *s = make_segment (v, NULL, first, end);

  if (!s)
    return ENOMEM;
  s->newest = newest;
  for (; newest; newest = newest->below)
    record_gains (v, newest->record, end - first);
  return 0;
}

void
versions_pop (struct versions *v, const struct record *r, uint64_t first,
              uint64_t end,
              void (*back) (void *context, const struct segment *s,
                            const struct version *newest),
              void *context)
{
  struct segment *s = versions_find (v, first), *next;

  for (; s && s->start < end; s = next) {
    struct version *n = s->newest;

    next = s->next[0];
    if (n->record != r)
      continue;
    if (back)
      back (context, s, n);
    s->newest = n->below;
    n->record->pending -= s->end - s->start;
    v->pending -= n->record->pending == 0;
    version_free (v, n);
    if (!s->newest)
      remove_segment (v, s);
  }
}

void
versions_take (struct versions *v, struct segment *s)
{
  versions_node_free (v, s->newest);
  remove_segment (v, s);
}

/*--------------------------------------------------------------------*/
/* What becomes of versions. */

/* The link to the newest version that passes, or to NULL. */
static struct version **
newest_passing (struct segment *s, version_test test, const void *context)
{
  struct version **link = &s->newest;

  while (*link && !test ((*link)->record, context))
    link = &(*link)->below;
  return link;
}

void
versions_settle (struct versions *v, uint64_t first, uint64_t end, version_test test,
                 const void *context)
{
  struct segment *s = versions_find (v, first), *next;

  for (; s && s->start < end; s = next) {
    next = s->next[0];
    truncate_chain (v, s, newest_passing (s, test, context));
    if (!s->newest)
      remove_segment (v, s);
  }
}

void
versions_owe (struct versions *v, uint64_t first, uint64_t end, version_test test,
              const void *context)
{
  struct segment *s = versions_find (v, first);

  for (; s && s->start < end; s = s->next[0]) {
    struct version **link = newest_passing (s, test, context);

    if (*link)
      (*link)->owed = true;
  }
}

/* Drop one version.  The next newer one covers what it covered. */
static void
drop_version (struct versions *v, const struct segment *s, struct version *above,
              struct version **link)
{
  struct version *n = *link;

  if (above) {
    uncover (v, above->covered);
    above->covered = covered_get (n->covered);
    above->at = n->at;
  }
  *link = n->below;
  record_loses (v, n->record, s->end - s->start);
  version_free (v, n);
}

void
versions_drop (struct versions *v, version_test test, const void *context)
{
  struct segment *s = v->head[0], *next;

  for (; s; s = next) {
    struct version **link = &s->newest, *above = NULL;

    next = s->next[0];
    while (*link) {
      if (!test ((*link)->record, context)) {
        above = *link;
        link = &above->below;
        continue;
      }
      drop_version (v, s, above, link);
    }
    if (!s->newest)
      remove_segment (v, s);
  }
}

/* The last of the newest versions that pass, or NULL: the newest does not. */
static const struct version *
last_passing (const struct segment *s, version_test test, const void *context)
{
  const struct version *last = NULL;

  for (const struct version *n = s->newest; n && test (n->record, context); n = n->below)
    last = n;
  return last;
}

int
versions_uncovered (const struct versions *v, version_test test, const void *context,
                    int (*each) (void *context, const struct segment *s,
                                 struct covered *covered, uint32_t at),
                    void *each_context)
{
  int err = 0;

  for (const struct segment *s = v->head[0]; s && !err; s = s->next[0]) {
    const struct version *n = last_passing (s, test, context);

    if (n)
      err = each (each_context, s, n->covered, n->at);
  }
  return err;
}
