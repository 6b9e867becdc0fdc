/* choice.c - which version of each sector a power cut leaves.
 *
 *     parse     the words
 *     check     do the requests and the states exist that they name?
 *     pick      the version of each sector: one for all of a segment, where that is so
 *     patch     what the disk must show instead of the newest version
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/choice.h"
#include "lib/array.h"
#include "lib/chance.h"
#include "lib/min.h"
#include "lib/text.h"

uint64_t
choice_draw (uint64_t s, uint64_t x)
{
  return chance_mix (chance_mix (s) + x);
}

/*--------------------------------------------------------------------*/
/* Parse. */

static const struct { const char *name; bool list, number; } kinds[] = {
  [CHOICE_NONE] = { "none", false, false },
  [CHOICE_ALL] = { "all", false, false },
  [CHOICE_LOSE] = { "lose-", true, false },
  [CHOICE_ONLY] = { "only-", true, false },
  [CHOICE_PREFIX] = { "prefix-", false, true },
  [CHOICE_REQS] = { "reqs-", false, true },
  [CHOICE_SECTORS] = { "sectors-", false, true },
  [CHOICE_STATE] = { "state-", false, true },
};

#define NR_KINDS (sizeof kinds / sizeof kinds[0])

/* A number, or two with a hyphen between them. */
static bool
take_span (const char **text, uint64_t *first, uint64_t *last)
{
  if (!text_digits (text, first))
    return false;
  *last = *first;
  if (**text != '-')
    return true;
  ++*text;
  return text_digits (text, last) && *first <= *last;
}

static bool
take_item (const char **text, struct choice_item *item)
{
  *item = (struct choice_item) { .parts = false };
  if (!take_span (text, &item->first, &item->last))
    return false;
  if (**text != ':' || item->first != item->last)
    return true;
  item->parts = true;
  ++*text;
  return take_span (text, &item->from, &item->to);
}

/* EINVAL: it is no list. */
static int
take_list (const char *text, struct choice *c)
{
  for (;; text++) {
    if (!array_grow (&c->item, c->n, &c->room, sizeof *c->item))
      return ENOMEM;
    if (!take_item (&text, &c->item[c->n]))
      return EINVAL;
    c->n++;
    if (*text != ',')
      return *text ? EINVAL : 0;
  }
}

static int
take_value (const char *text, struct choice *c)
{
  if (kinds[c->kind].list)
    return take_list (text, c);
  if (kinds[c->kind].number && !text_digits (&text, &c->number))
    return EINVAL;
  return *text ? EINVAL : 0;
}

int
choice_parse (const char *text, struct choice *c, char *why, size_t size)
{
  int err = EINVAL;

  *c = (struct choice) { .item = NULL };
  for (unsigned i = 0; i < NR_KINDS; i++) {
    const size_t len = strlen (kinds[i].name);

    if (strncmp (text, kinds[i].name, len) != 0)
      continue;
    c->kind = (enum choice_kind) i;
    err = take_value (text + len, c);
    break;
  }
  if (err == EINVAL)
    snprintf (why, size, "'%.100s' is no choice: expected none, all, lose-LIST, "
              "only-LIST, prefix-N, reqs-S, sectors-S or state-I, where LIST is such as "
              "37,40-42 or 37:0-7, and N, S and I are whole numbers below 2^64", text);
  return err;
}

void
choice_free (struct choice *c)
{
  free (c->item);
  c->item = NULL;
}

/*--------------------------------------------------------------------*/
/* Check. */

/* The first pending request from number N on, or NULL. */
static const struct record *
pending_from (const struct record *r, uint64_t n)
{
  while (r && (r->number < n || r->pending == 0))
    r = r->next;
  return r;
}

/* Name the pending requests, as far as there is room. */
static void
name_pending (const struct versions *v, char *text, size_t size)
{
  const struct record *r = pending_from (v->first, 0);
  size_t len = 0;

  snprintf (text, size, "nothing is unflushed");
  for (unsigned i = 0; r; i++) {
    const uint64_t first = r->number;
    uint64_t last = first;

    while ((r = pending_from (r->next, 0)) && r->number == last + 1)
      last++;
    if (i == 8) {
      snprintf (text + len, size - len, " and others are");
      return;
    }
    len += (size_t) snprintf (text + len, size - len, last > first
                              ? "%s%" PRIu64 "-%" PRIu64 : "%s%" PRIu64,
                              i > 0 ? ", " : "", first, last);
    snprintf (text + len, size - len, i > 0 || last > first ? " are" : " is");
  }
}

static int
not_pending (const struct versions *v, uint64_t number, char *why, size_t size)
{
  char pending[400];

  name_pending (v, pending, sizeof pending);
  snprintf (why, size, "request %" PRIu64 " is not pending: %s", number, pending);
  return EINVAL;
}

static int
check_item (const struct choice_item *item, const struct versions *v, char *why,
            size_t size)
{
  const struct record *r = v->first;

  for (uint64_t n = item->first;; n++) {
    r = pending_from (r, n);
    if (!r || r->number != n)
      return not_pending (v, n, why, size);
    if (n == item->last)
      break;
  }
  if (!item->parts)
    return 0;
  if (item->to >= r->sectors) {
    snprintf (why, size, "request %" PRIu64 " has no sector %" PRIu64 ": it has %"
              PRIu64 ", from 0 on", r->number, item->to, r->sectors);
    return EINVAL;
  }
  if (r->atomic) {
    snprintf (why, size, "request %" PRIu64 " is atomic: its sectors can't be chosen "
              "one by one", r->number);
    return EINVAL;
  }
  return 0;
}

static bool
any_atomic (const struct versions *v)
{
  for (const struct record *r = v->first; r; r = r->next)
    if (r->atomic && r->pending > 0)
      return true;
  return false;
}

static unsigned
chain_length (const struct segment *s)
{
  unsigned n = 0;

  for (const struct version *x = s->newest; x; x = x->below)
    n++;
  return n;
}

/* A number that may be large: DIGITS times 10^POWER. */
struct large { double digits; unsigned power; };
#define MAX_POWER 1000000

static struct large
times (struct large n, double factor)
{
  n.digits *= factor;
  for (; n.digits >= 10; n.power++)
    n.digits /= 10;
  return n;
}

/* How many states there are, and *N: exactly; 0: 2^64 or more. */
static struct large
count_states (const struct versions *v, uint64_t *n)
{
  struct large about = { 1, 0 };

  *n = 1;
  for (const struct segment *s = v->head[0]; s; s = s->next[0]) {
    const uint64_t radix = chain_length (s) + UINT64_C (1);

    for (uint64_t i = s->start; i < s->end && about.power < MAX_POWER; i++) {
      *n = *n > UINT64_MAX / radix ? 0 : *n * radix;
      about = times (about, (double) radix);
    }
  }
  return about;
}

static int
check_state (const struct choice *c, const struct versions *v, char *why, size_t size)
{
  uint64_t states;
  const struct large about = count_states (v, &states);

  if (any_atomic (v))
    snprintf (why, size, "state-%" PRIu64 ": states have no numbers while an atomic "
              "request is pending", c->number);
  else if (states == 0)
    snprintf (why, size, "state-%" PRIu64 ": there are %s%.6fe%u states, which have "
              "numbers only if they are fewer than 2^64", c->number,
              about.power == MAX_POWER ? "more than " : "", about.digits, about.power);
  else if (c->number > 0 && states == 1)
    snprintf (why, size, "state-%" PRIu64 ": there is only state-0: nothing is unflushed",
              c->number);
  else if (c->number >= states)
    snprintf (why, size, "state-%" PRIu64 ": there are %" PRIu64 " states, 0 to %"
              PRIu64, c->number, states, states - 1);
  else
    return 0;
  return EINVAL;
}

int
choice_states (const struct versions *v, uint64_t *states, char *why, size_t size)
{
  const struct choice first = { .kind = CHOICE_STATE, .number = 0 };

  count_states (v, states);
  return check_state (&first, v, why, size);
}

static int
check (const struct choice *c, const struct versions *v, char *why, size_t size)
{
  int err = c->kind == CHOICE_STATE ? check_state (c, v, why, size) : 0;

  for (size_t i = 0; i < c->n && !err; i++)
    err = check_item (&c->item[i], v, why, size);
  return err;
}

/*--------------------------------------------------------------------*/
/* Pick. */

/* A choice at work. */
struct picking {
  const struct choice *choice;
  struct versions *versions;
  uint64_t left;                /* of the number of a state */
  struct version **drawn;       /* with atomic requests: one for each sector; where a
                                 * segment's begin is in its BASE */
  uint64_t bytes;
  struct patches *patches;
  struct loss *loss;            /* NULL: what is wanted is */
  struct lost *lost;
};

static bool
in_list (const struct choice *c, const struct record *r, uint64_t sector)
{
  for (size_t i = 0; i < c->n; i++) {
    const struct choice_item *item = &c->item[i];

    if (r->number < item->first || r->number > item->last)
      continue;
    if (!item->parts || (sector - r->first >= item->from
                         && sector - r->first <= item->to))
      return true;
  }
  return false;
}

/* Version number N, from 1; 0 is what is durable (NULL). */
static struct version *
numbered (const struct segment *s, uint64_t n)
{
  struct version *x = n ? s->newest : NULL;

  for (uint64_t i = n ? chain_length (s) : 0; i > n; i--)
    x = x->below;
  return x;
}

/* May this version survive? */
static bool
survives (const struct choice *c, const struct version *x, uint64_t sector)
{
  switch (c->kind) {
  case CHOICE_NONE:
    return false;
  case CHOICE_LOSE:
    return !in_list (c, x->record, sector);
  case CHOICE_ONLY:
    return in_list (c, x->record, sector);
  case CHOICE_PREFIX:
    return x->record->number <= c->number;
  case CHOICE_REQS:
    return choice_draw (c->number, x->record->number) & 1;
  default:
    return true;
  }
}

/* The version of one sector; NULL: what is durable. */
static struct version *
pick (struct picking *p, const struct segment *s, uint64_t sector)
{
  const struct choice *c = p->choice;
  const uint64_t radix = chain_length (s) + UINT64_C (1);
  struct version *x = s->newest;

  if (p->drawn)
    return p->drawn[s->base + (sector - s->start)];
  if (c->kind == CHOICE_SECTORS)
    return numbered (s, choice_draw (c->number, sector) % radix);
  if (c->kind == CHOICE_STATE) {
    x = numbered (s, p->left % radix);
    p->left /= radix;
    return x;
  }
  while (x && !survives (c, x, sector))
    x = x->below;
  return x;
}

/* Do all versions, and what is durable, hold zeroes? */
static bool
all_zero (const struct segment *s)
{
  for (const struct version *x = s->newest; x; x = x->below)
    if (!x->zero || x->covered)
      return false;
  return true;
}

/* Would it show nothing to draw for each sector?  There may be as many as a whole disk
 * that was trimmed has.
 */
static bool
is_dull (const struct segment *s)
{
  for (const struct version *x = s->newest; x; x = x->below)
    if (x->record->atomic)
      return false;
  return all_zero (s);
}

/* Has a segment a version of the request of this number? */
static bool
has_version (const struct segment *s, uint64_t number)
{
  const struct version *x = s->newest;

  while (x && x->record->number != number)
    x = x->below;
  return x != NULL;
}

/* Is one choice right for all sectors of a segment?  Where sectors are listed, it is for
 * those of other requests, which may be as many as the disk has.
 */
static bool
is_uniform (const struct choice *c, const struct segment *s)
{
  if (c->kind == CHOICE_SECTORS || c->kind == CHOICE_STATE)
    return false;
  for (size_t i = 0; i < c->n; i++)
    if (c->item[i].parts && has_version (s, c->item[i].first))
      return false;
  return true;
}

/*--------------------------------------------------------------------*/
/* Draw, where a request is atomic. */

static bool
is_lost (const struct choice *c, const struct record *r)
{
  return r->atomic && !(choice_draw (c->number, r->number) & 1);
}

/* Draw among what is left when the atomic requests are lost that are to be. */
static struct version *
draw_left (const struct choice *c, const struct segment *s, uint64_t sector)
{
  uint64_t left = 0, n;
  struct version *x;

  for (x = s->newest; x; x = x->below)
    left += !is_lost (c, x->record);
  n = choice_draw (c->number, sector) % (left + 1);
  for (x = n ? s->newest : NULL; x; x = x->below)
    if (!is_lost (c, x->record) && left-- == n)
      break;
  return x;
}

/* The version of a record in a segment, or NULL. */
static struct version *
version_of (const struct segment *s, const struct record *r)
{
  struct version *x = s->newest;

  while (x && x->record != r)
    x = x->below;
  return x;
}

/* Is A older than B, in one segment?  NULL is oldest. */
static bool
is_older (const struct version *a, const struct version *b)
{
  while (b && b != a)
    b = b->below;
  return b == a;
}

/* Does a sector show exactly the version of an atomic request? */
static bool
is_shown (struct picking *p, const struct record *r)
{
  const uint64_t end = r->first + r->sectors;
  const struct segment *s = versions_find (p->versions, r->first);

  for (; s && s->start < end; s = s->next[0])
    for (uint64_t i = 0; !is_dull (s) && i < s->end - s->start; i++) {
      const struct version *x = p->drawn[s->base + i];

      if (x && x->record == r)
        return true;
    }
  return false;
}

/* Let all sectors of a request show its version at least.  Did one not? */
static bool
raise_sectors (struct picking *p, const struct record *r)
{
  const uint64_t end = r->first + r->sectors;
  const struct segment *s = versions_find (p->versions, r->first);
  bool raised = false;

  for (; s && s->start < end; s = s->next[0]) {
    struct version *own = version_of (s, r);

    for (uint64_t i = 0; own && i < s->end - s->start; i++) {
      struct version **x = &p->drawn[s->base + i];

      if (*x != own && is_older (*x, own)) {
        *x = own;
        raised = true;
      }
    }
  }
  return raised;
}

static bool
raise_all (struct picking *p)
{
  bool raised = false;

  for (const struct record *r = p->versions->first; r; r = r->next)
    if (r->atomic && r->pending > 0 && is_shown (p, r))
      raised = raise_sectors (p, r) || raised;
  return raised;
}

static int
draw_all (struct picking *p)
{
  struct segment *const first = p->versions->head[0];
  uint64_t n = 0;

  for (struct segment *s = first; s; s = s->next[0]) {
    s->base = n;
    n += is_dull (s) ? 0 : s->end - s->start;
  }
  p->drawn = calloc (n + 1, sizeof (struct version *));
  if (!p->drawn)
    return ENOMEM;
  for (const struct segment *s = first; s; s = s->next[0])
    for (uint64_t i = s->start; i < s->end && !is_dull (s); i++)
      p->drawn[s->base + (i - s->start)] = draw_left (p->choice, s, i);
  while (raise_all (p))
    ;
  return 0;
}

/*--------------------------------------------------------------------*/
/* Patch. */

/* Count what is lost where sectors get this version. */
static void
count_loss (struct loss *loss, const struct segment *s, uint64_t sectors,
            const struct version *chosen)
{
  if (s->newest == chosen)
    return;
  loss->sectors += sectors;
  for (const struct version *x = s->newest; x != chosen; x = x->below) {
    loss->requests += !x->record->marked;
    x->record->marked = true;
    loss->lie = loss->lie || x->owed;
  }
}

/* Sectors of a segment get a version. */
static int
patch (struct picking *p, const struct segment *s, uint64_t first, uint64_t end,
       const struct version *chosen)
{
  const uint32_t sector = p->versions->sector;
  const struct version *above = s->newest;

  if (!p->loss)
    return lost_add (p->lost, s, first, end, chosen);
  count_loss (p->loss, s, end - first, chosen);
  if (above == chosen || all_zero (s))
    return 0;
  while (above->below != chosen)
    above = above->below;
  return patches_add (p->patches, first * sector, min_u64 (end * sector, p->bytes),
                      above->covered, above->covered
                      ? above->at + (uint32_t) ((first - s->start) * sector) : 0);
}

static int
patch_segment (struct picking *p, const struct segment *s)
{
  const uint64_t end = is_uniform (p->choice, s) ? s->start : s->end;
  uint64_t first = s->start;
  struct version *last;
  int err = 0;

  if (p->choice->kind == CHOICE_SECTORS && is_dull (s))
    return 0;
  last = pick (p, s, first);
  for (uint64_t i = first + 1; i < end && !err; i++) {
    struct version *x = pick (p, s, i);

    if (x == last)
      continue;
    err = patch (p, s, first, i, last);
    first = i;
    last = x;
  }
  return err ? err : patch (p, s, first, s->end, last);
}

static int
patch_all (struct picking *p, char *why, size_t size)
{
  int err = check (p->choice, p->versions, why, size);

  if (err)
    return err;
  if (p->choice->kind == CHOICE_SECTORS && any_atomic (p->versions))
    err = draw_all (p);
  for (const struct segment *s = p->versions->head[0]; s && !err; s = s->next[0])
    err = patch_segment (p, s);
  free (p->drawn);
  return err;
}

int
choice_make (const struct choice *c, struct versions *v, uint64_t bytes,
             struct patches *patches, struct loss *loss, char *why, size_t size)
{
  struct picking p = {
    .choice = c, .versions = v, .left = c->number, .bytes = bytes,
    .patches = patches, .loss = loss,
  };

  *loss = (struct loss) {
    .all_requests = v->pending, .all_sectors = v->sectors,
  };
  for (struct record *r = v->first; r; r = r->next)
    r->marked = false;
  return patch_all (&p, why, size);
}

int
choice_lost (const struct choice *c, struct versions *v, struct lost *lost, char *why,
             size_t size)
{
  struct picking p = { .choice = c, .versions = v, .left = c->number, .lost = lost };

  return patch_all (&p, why, size);
}

/*--------------------------------------------------------------------*/
/* Requests in flight. */

/* The N-th of the sectors in which a request has a version. */
static const struct segment *
nth_pending (const struct versions *v, const struct record *r, uint64_t n,
             uint64_t *sector)
{
  const struct segment *s = versions_find (v, r->first);

  for (; s; s = s->next[0]) {
    const uint64_t sectors = s->end - s->start;

    if (!version_of (s, r))
      continue;
    if (n < sectors)
      break;
    n -= sectors;
  }
  *sector = s ? s->start + n : 0;
  return s;
}

void
choice_flight (const struct choice *c, const struct versions *v,
               void (*each) (void *context, const struct segment *s,
                             const struct version *n, uint64_t sector),
               void *context)
{
  for (const struct record *r = v->first; r; r = r->next) {
    const struct segment *s;
    uint64_t sector;

    if (r->done || r->pending == 0)
      continue;
    s = nth_pending (v, r, choice_draw (c->number, r->number) % r->pending, &sector);
    if (s)
      each (context, s, version_of (s, r), sector);
  }
}
