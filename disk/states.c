/* states.c - which states a power cut may leave at a moment. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/cache.h"
#include "disk/content.h"
#include "disk/inside.h"
#include "disk/moment.h"
#include "disk/states.h"
#include "lib/min.h"

/* A list at work. */
struct listing {
  const struct states *query;
  state_fn *each;
  void *context;                /* of that */
  struct disk *disk;
  struct versions *versions;    /* at the moment */
  struct moment past;           /* which is this one, if it is not now */
  uint64_t when;                /* it is, in events */
  const struct record **pending;        /* by number */
  size_t n;
  struct view *view;            /* what the disk held then, above what it holds now; or NULL */
  struct digest newest;         /* of that */
  unsigned char *buf;           /* VERSION_BYTES */
  char *text;                   /* a choice */
  size_t room;                  /* for it */
};

/*--------------------------------------------------------------------*/
/* Names. */

static int
find_pending (struct listing *l)
{
  const struct versions *v = l->versions;

  l->pending = calloc (v->pending + 1, sizeof (struct record *));
  /* A list of all numbers, each with 20 digits, a comma, and a sector. */
  l->room = 64 + v->pending * 24 + (l->query->choice ? strlen (l->query->choice) : 0);
  l->text = malloc (l->room);
  if (!l->pending || !l->text)
    return ENOMEM;
  for (const struct record *r = v->first; r; r = r->next)
    if (r->pending > 0)
      l->pending[l->n++] = r;
  return 0;
}

/* Subset number I of the pending requests: bit k says whether the k-th one survives. */
static bool
name_subset (const struct listing *l, uint64_t i)
{
  size_t len;

  if (i >> l->n)                /* there are fewer than 64 */
    return false;
  if (i == 0)
    return snprintf (l->text, l->room, "none");
  if (i == (UINT64_C (1) << l->n) - 1)
    return snprintf (l->text, l->room, "all");
  len = (size_t) snprintf (l->text, l->room, "only-");
  for (size_t k = 0; k < l->n; k++)
    if (i >> k & 1)
      len += (size_t) snprintf (l->text + len, l->room - len, "%" PRIu64 ",",
                                l->pending[k]->number);
  l->text[len - 1] = '\0';
  return true;
}

/* Request, or sector of a request, number I, after "lose" or "only". */
static bool
name_one (const struct listing *l, const char *kind, uint64_t i)
{
  for (size_t k = 0; k < l->n; k++) {
    const struct record *r = l->pending[k];
    const bool whole = !l->query->sectors || r->atomic;
    const uint64_t parts = whole ? 1 : r->sectors;

    if (i >= parts) {
      i -= parts;
      continue;
    }
    if (whole)
      return snprintf (l->text, l->room, "%s-%" PRIu64, kind, r->number);
    return snprintf (l->text, l->room, "%s-%" PRIu64 ":%" PRIu64, kind, r->number, i);
  }
  return false;
}

/* Name state number I.  False: there are not so many. */
static bool
name_state (const struct listing *l, uint64_t states, uint64_t i)
{
  const struct states *q = l->query;

  if (q->choice)
    return i == 0 && snprintf (l->text, l->room, "%s", q->choice);
  switch (q->how) {
  case STATES_ALL:
    if (!q->sectors)
      return name_subset (l, i);
    return i < states && snprintf (l->text, l->room, "state-%" PRIu64, i);
  case STATES_LOSE_ONE:
    return name_one (l, "lose", i);
  case STATES_ONLY_ONE:
    return name_one (l, "only", i);
  case STATES_PREFIX:
    return i < l->n
      && snprintf (l->text, l->room, "prefix-%" PRIu64, l->pending[i]->number);
  default:
    return snprintf (l->text, l->room, q->sectors ? "sectors-%" PRIu64 : "reqs-%" PRIu64,
                     q->seed + i);
  }
}

/*--------------------------------------------------------------------*/
/* Digests. */

static int
read_then (const struct listing *l, const struct view *view, uint64_t count, uint64_t offset)
{
  const int err = content_read (l->disk, l->buf, count, offset, NULL);

  if (!err && view)
    view_apply (view, l->buf, count, offset);
  return err;
}

/* Replace what shows through a view, or NULL, by a patch. */
static int
change_digest (const struct listing *l, const struct view *view, struct digest *d,
               const struct patch *p)
{
  int err = 0;

  for (uint64_t start = p->start, n; start < p->end && !err; start += n) {
    bool data = true;

    n = view ? min_u64 (p->end - start, VERSION_BYTES)
      : content_units (l->disk, p->end - start, start, DIGEST_UNIT, &data);
    if (data)
      err = read_then (l, view, n, start);
    if (!err && data)
      digest_sub (d, l->buf, n, start);
  }
  if (!err && p->covered)
    digest_add (d, p->covered->data + p->at, p->end - p->start, p->start);
  return err;
}

/* What the disk holds now. */
static int
digest_now (struct listing *l)
{
  const uint64_t size = disk_size (l->disk);
  bool data;
  int err = 0;

  if (cache_digest (l->disk->cache, &l->newest))
    return 0;
  l->newest = (struct digest) { 0, 0 };
  for (uint64_t at = 0, n; at < size && !err; at += n) {
    n = content_units (l->disk, size - at, at, DIGEST_UNIT, &data);
    if (!data)
      continue;
    err = read_then (l, NULL, n, at);
    if (!err)
      digest_add (&l->newest, l->buf, n, at);
  }
  if (!err)
    cache_set_digest (l->disk->cache, &l->newest);
  return err;
}

/* And what it held then, with these patches, of which it makes a view. */
static int
digest_then (struct listing *l, struct patches *newest)
{
  int err = digest_now (l);

  for (size_t i = 0; i < newest->n && !err; i++)
    err = change_digest (l, NULL, &l->newest, &newest->patch[i]);
  if (!err && newest->n > 0 && !(l->view = view_new (newest)))
    err = ENOMEM;
  return err;
}

/*--------------------------------------------------------------------*/
/* The list. */

/* What it loses, as a text from malloc. */
static int
list_lost (const struct listing *l, const struct choice *c, char **text, char *why,
           size_t size)
{
  struct lost lost = { NULL, 0, 0 };
  int err = choice_lost (c, l->versions, &lost, why, size);

  *text = err ? NULL : lost_text (&lost);
  free (lost.run);
  return !err && !*text ? ENOMEM : err;
}

static int
describe_state (struct listing *l, struct loss *loss, char **lost, struct digest *d, char *why,
                size_t size)
{
  struct patches patches = { NULL, 0, 0 };
  struct choice choice;
  int err = choice_parse (l->text, &choice, why, size);

  if (!err)
    err = choice_make (&choice, l->versions, disk_size (l->disk), &patches, loss, why,
                       size);
  *lost = NULL;
  if (!err && l->query->choice)
    err = list_lost (l, &choice, lost, why, size);
  *d = l->newest;
  if (l->view)
    view_hold (l->view);
  for (size_t i = 0; i < patches.n && !err; i++)
    err = change_digest (l, l->view, d, &patches.patch[i]);
  if (l->view)
    view_release (l->view);
  patches_free (&patches);
  choice_free (&choice);
  return err;
}

static int
check_query (const struct listing *l, uint64_t *states, char *why, size_t size)
{
  const struct states *q = l->query;

  *states = 0;
  if (q->choice || q->how != STATES_ALL)
    return 0;
  if (q->sectors)
    return choice_states (l->versions, states, why, size);
  if (l->n < 64)
    return 0;
  snprintf (why, size, "there are 2^%zu sets of requests: ask for how = \"random\", "
            "\"lose-one\", \"only-one\" or \"prefix\"", l->n);
  return EINVAL;
}

static int
list_moment (struct listing *l, struct patches *newest, char *why, size_t size)
{
  uint64_t states = 0;
  int err = find_pending (l);

  if (!err)
    err = check_query (l, &states, why, size);
  if (!err && !(l->buf = malloc (VERSION_BYTES)))
    err = ENOMEM;
  if (!err)
    err = digest_then (l, newest);
  for (uint64_t i = 0; i < l->query->count && !err; i++) {
    struct loss loss;
    struct digest d;
    char *lost;

    if (!name_state (l, states, l->query->first + i))
      break;
    err = describe_state (l, &loss, &lost, &d, why, size);
    if (!err)
      err = l->each (l->context, l->when, l->text, &loss, lost, &d);
    free (lost);
  }
  view_free (l->view);
  free (l->pending);
  free (l->text);
  free (l->buf);
  return err;
}

/* The same at the point that is asked for.  It is locked. */
static int
list_locked (struct listing *l, char *why, size_t size)
{
  struct patches none = { NULL, 0, 0 };
  struct moment *past = &l->past;
  char words[300];
  int err;

  /* What makes it may call this disk. */
  if (content_is_initial (l->disk, disk_size (l->disk), 0)) {
    snprintf (why, size, "parts of the disk still hold the initial content of on.fill, "
              "which has no digest: write all of it first");
    return EINVAL;
  }
  l->when = cache_now (l->disk->cache);
  if (strcmp (l->query->point, "now") == 0)
    return list_moment (l, &none, why, size);
  err = moment_at (l->disk, l->query->point, past, words, sizeof words, why, size);
  l->versions = &past->versions;
  l->when = past->when;
  if (!err)
    err = list_moment (l, &past->newest, why, size);
  moment_free (past);
  return err;
}

static int
no_cache (char *why, size_t size)
{
  snprintf (why, size, "crash states need a volatile cache: start the server with "
            "write-cache=volatile");
  return EINVAL;
}

int
states_list (const struct states *q, state_fn *each, void *context, char *why, size_t size)
{
  struct disk *d = disk_live ();
  struct listing l = { .query = q, .disk = d, .each = each, .context = context };
  int err;

  if (!d->cache)
    return no_cache (why, size);
  l.versions = cache_lock (d->cache);
  err = list_locked (&l, why, size);
  cache_unlock (d->cache);
  if (err == ENOMEM)
    snprintf (why, size, "out of memory");
  return err;
}

int
states_point (struct states_place *at, char *name, size_t name_size, char *why, size_t size)
{
  struct cache *c = disk_live ()->cache;
  struct history *h = c ? cache_history (c) : NULL;
  bool there;

  if (!c)
    return no_cache (why, size);
  cache_lock (c);
  there = h || !at->until;
  if (!at->until)
    at->until = cache_now (c) + 1;
  if (h)
    there = point_next (h, at->until - 1, &at->from, name, name_size);
  else
    snprintf (name, name_size, "now");
  cache_unlock (c);
  return there ? 0 : ENOENT;
}
