/* crash.c - power cuts, and the states that they leave. */

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/cache.h"
#include "disk/choice.h"
#include "disk/content.h"
#include "disk/crash.h"
#include "disk/inside.h"
#include "disk/history.h"
#include "disk/list.h"
#include "disk/medium.h"
#include "disk/moment.h"
#include "lib/min.h"
#include "lib/ranges.h"

static int
say (char *why, size_t size, const char *text)
{
  snprintf (why, size, "%s", text);
  return EINVAL;
}

/*--------------------------------------------------------------------*/
/* Names. */

#define PREFIX "crash/"
#define NOW "now"
#define CACHE "+cache"

/* A name, taken apart. */
struct name {
  char *text;                   /* from malloc; what follows points into it */
  const char *outer;            /* the disk whose state it is; "": the live one */
  const char *point, *choice;
  bool cache;
};

/* Find the "/crash/" that comes last. */
static char *
last_step (char *text)
{
  char *last = NULL;

  for (char *p = text; (p = strstr (p, "/" PREFIX)); p++)
    last = p;
  return last;
}

/* Take off the "+cache" at the end, if there is one. */
static bool
take_cache (char *choice)
{
  const size_t len = strlen (choice), n = strlen (CACHE);

  if (len < n || strcmp (choice + len - n, CACHE) != 0)
    return false;
  choice[len - n] = '\0';
  return true;
}

/* Take a name apart.  0, EINVAL or ENOMEM; the caller frees the text in any case. */
static int
take_apart (const char *text, struct name *name, char *why, size_t size)
{
  char *step, *point, *end;

  *name = (struct name) { .text = strdup (text), .outer = "" };
  if (!name->text)
    return ENOMEM;
  step = last_step (name->text);
  point = (step ? step + 1 : name->text) + strlen (PREFIX);
  if (step) {
    *step = '\0';
    name->outer = name->text;
  }
  end = strchr (point, '/');
  if (!end)
    return say (why, size, "expected crash/POINT/CHOICE, such as crash/now/none");
  *end = '\0';
  name->point = point;
  name->choice = end + 1;
  name->cache = take_cache (end + 1);
  return 0;
}

int
crash_check (const char *text, char *why, size_t size)
{
  struct choice choice;
  const int err = choice_parse (text, &choice, why, size);

  choice_free (&choice);
  return err;
}

/*--------------------------------------------------------------------*/
/* States. */

/* A state that is made. */
struct state {
  const struct name *name;
  struct choice choice;
  struct disk *from, *to;
  struct loss loss;
  char when[300];               /* the point, in words */
  uint64_t altered;             /* requests, by then */
  char *why;
  size_t size;
};

/* Say what a state is.  NULL: no memory. */
static char *
describe (const struct state *m)
{
  const struct loss *loss = &m->loss;
  char text[900], more[100] = "";

  if (m->altered > 0)
    snprintf (more, sizeof more, "; faults had altered %" PRIu64
              " of the acknowledged writes", m->altered);
  snprintf (text, sizeof text, "power cut %s%s%.200s, %.200s: %" PRIu64 " of %" PRIu64
            " unflushed requests lost %" PRIu64 " of %" PRIu64 " sectors; %s%s",
            m->when, *m->name->outer ? " of " : "", m->name->outer, m->name->choice,
            loss->requests, loss->all_requests, loss->sectors, loss->all_sectors,
            loss->lie ? "a lie" : "legal", more);
  return strdup (text);
}

/* Give the new disk the content that a cut would leave, with these versions, above what
 * the other disk holds with these patches.  It is locked.
 */
static int
cut_into (struct state *m, struct versions *v, struct patches *newest)
{
  struct patches chosen = { NULL, 0, 0 }, all = { NULL, 0, 0 };
  int err = choice_make (&m->choice, v, disk_size (m->from), &chosen, &m->loss, m->why,
                         m->size);

  if (!err && newest->n > 0 && chosen.n > 0)
    err = patches_overlay (&all, newest, &chosen);
  if (!err)                     /* where one of the two is empty, it is the other */
    err = content_clone (m->from, m->to,
                         all.n > 0 ? &all : newest->n > 0 ? newest : &chosen);
  if (!err && !(m->to->about = describe (m)))
    err = ENOMEM;
  patches_free (&chosen);
  patches_free (&all);
  return err;
}

static int
cut_now (struct state *m, struct versions *v)
{
  struct patches none = { NULL, 0, 0 };

  snprintf (m->when, sizeof m->when, NOW);
  m->altered = cache_altered (m->from->cache);
  return cut_into (m, v, &none);
}

static int
cut_past (struct state *m)
{
  struct moment moment;
  int err = moment_at (m->from, m->name->point, &moment, m->when, sizeof m->when, m->why,
                       m->size);

  m->altered = moment.altered;
  if (!err)
    err = cut_into (m, &moment.versions, &moment.newest);
  moment_free (&moment);
  return err;
}

/* Make the state of a disk. */
static int
make_state (struct state *m)
{
  int err = choice_parse (m->name->choice, &m->choice, m->why, m->size);

  if (!err) {
    struct versions *v = cache_lock (m->from->cache);

    err = strcmp (m->name->point, NOW) == 0 ? cut_now (m, v) : cut_past (m);
    cache_unlock (m->from->cache);
  }
  if (!err && m->name->cache)
    err = disk_set_cache (m->to, cache_how (m->from->cache));
  if (m->to->cache)
    cache_add_altered (m->to->cache, m->altered);
  choice_free (&m->choice);
  return err;
}

/* Make a state, and put it into the list, or take the one that somebody else has put there
 * meanwhile.
 */
static int
add_state (const char *text, const struct name *name, struct disk *from,
           struct disk **out, char *why, size_t size)
{
  struct disk *d = disk_new (text);
  struct state m = { .name = name, .from = from, .to = d, .why = why, .size = size };
  int err = d ? make_state (&m) : ENOMEM;

  if (err) {
    if (d)
      disk_free (d);
    return err;
  }
  *out = list_add_state (d, CRASH_STATES);
  if (*out)
    return 0;
  snprintf (why, size, "%d crash states are open already: close some", CRASH_STATES);
  return EINVAL;
}

/* The disk whose state is wanted, to be put; NULL: WHY says why not. */
static struct disk *
find_outer (const struct name *name, char *why, size_t size)
{
  struct disk *d = disk_get (name->outer);

  if (!d)
    snprintf (why, size, "'%.200s' is not open: hold it open, because its crash states "
              "end with it", name->outer);
  else if (!d->cache && *name->outer)
    snprintf (why, size, "'%.200s' has no volatile cache, so nothing of it can be lost: "
              "say %.200s" CACHE, name->outer, name->outer);
  else if (!d->cache)
    say (why, size, "crash states need a volatile cache: start the server with "
         "write-cache=volatile");
  else
    return d;
  if (d)
    disk_put (d);
  return NULL;
}

static int
open_state (const char *text, struct disk **out, char *why, size_t size)
{
  struct name name;
  struct disk *outer = NULL;
  int err = take_apart (text, &name, why, size);

  if (!err && !(outer = find_outer (&name, why, size)))
    err = EINVAL;
  if (!err)
    err = add_state (text, &name, outer, out, why, size);
  if (outer)
    disk_put (outer);
  free (name.text);
  return err;
}

/* A name from a client must not begin a line of its own in the log. */
static void
hide_control_bytes (char *text)
{
  for (; *text; text++)
    if ((unsigned char) *text < ' ' || *text == 127)
      *text = '?';
}

/* The history of the live disk.  NULL: WHAT needs one. */
static struct history *
find_history (const char *what, char *why, size_t size)
{
  struct cache *cache = disk_live ()->cache;
  struct history *h = cache ? cache_history (cache) : NULL;

  if (!h)
    snprintf (why, size, HISTORY_WANTED, what);
  return h;
}

#define MARKS_SIZE (UINT64_C (1) << 20)

/* The export whose writes are marks. */
static int
open_marks (struct disk **out, char *why, size_t size)
{
  struct disk *d;

  if (!find_history ("the export '" DISK_MARKS "'", why, size) && !cache_tell_mark (""))
    return EINVAL;
  d = disk_new (DISK_MARKS);
  if (!d)
    return ENOMEM;
  d->marks = true;
  d->marked = disk_live ()->cache;
  if (store_create (MARKS_SIZE, &d->store)
      || !(d->about = strdup ("each write sets a mark"))) {
    disk_free (d);
    return ENOMEM;
  }
  *out = list_add_state (d, UINT_MAX);
  return *out ? 0 : ENOMEM;
}

struct disk *
crash_open (const char *name, char *why, size_t size)
{
  struct disk *d = disk_get (name);
  int err;

  *why = '\0';
  if (d || !disk_is_state (name))
    return d;
  err = strcmp (name, DISK_MARKS) == 0 ? open_marks (&d, why, size)
    : open_state (name, &d, why, size);
  if (err == ENOMEM)
    say (why, size, "out of memory");
  hide_control_bytes (why);
  return err ? NULL : d;
}

/*--------------------------------------------------------------------*/
/* The live disk. */

/* A cut at work. */
struct cutting {
  struct disk *disk;
  const struct choice *choice;
  struct versions *versions;
  struct patches *patches;
  struct ranges bad;            /* sectors of the medium that will be */
  int err;
};

static void
spoil (void *cutting, const struct segment *s, const struct version *n,
       uint64_t sector)
{
  struct cutting *c = cutting;
  const uint32_t size = c->versions->sector;
  const uint64_t start = sector * size;
  const uint64_t end = min_u64 (start + size, disk_size (c->disk));
  const int err = ranges_add (&c->bad, start / MEDIUM_SECTOR,
                              (end + MEDIUM_SECTOR - 1) / MEDIUM_SECTOR);

  (void) s;
  (void) n;
  c->err = c->err ? c->err : err;
}

/* Read the version itself of a sector: the next newer one keeps it, or the disk has it. */
static int
read_version (const struct cutting *c, const struct segment *s,
              const struct version *n, uint64_t sector, void *buf, uint64_t count)
{
  const uint32_t size = c->versions->sector;
  const struct version *above = s->newest;

  if (above == n)
    return content_read (c->disk, buf, count, sector * size, NULL);
  while (above->below != n)
    above = above->below;
  if (above->covered)
    memcpy (buf, above->covered->data + above->at + (sector - s->start) * size, count);
  else
    memset (buf, 0, count);
  return 0;
}

/* The first bytes of a sector are new, and the rest is what the version covers. */
static void
tear (void *cutting, const struct segment *s, const struct version *n,
      uint64_t sector)
{
  struct cutting *c = cutting;
  const uint32_t size = c->versions->sector;
  const uint64_t start = sector * size;
  const uint64_t count = min_u64 (size, disk_size (c->disk) - start);
  const uint64_t torn = 1 + choice_draw (c->choice->number, sector) % (size - 1);
  struct covered *mix;

  if (c->err)
    return;
  mix = covered_new (size);
  if (!mix) {
    c->err = ENOMEM;
    return;
  }
  memset (mix->data, 0, size);
  c->err = read_version (c, s, n, sector, mix->data, count);
  if (torn < count && n->covered)
    memcpy (mix->data + torn, n->covered->data + n->at + (sector - s->start) * size
            + torn, count - torn);
  else if (torn < count)
    memset (mix->data + torn, 0, count - torn);
  if (!c->err)
    c->err = patches_add (c->patches, start, start + count, mix, 0);
  covered_put (mix);
}

/* Record the cut, and make sectors bad: both or neither. */
static int
record_cut_locked (struct cutting *c)
{
  const bool spoils = c->bad.n > 0;
  int err = spoils ? medium_prepare_bad (c->disk->medium, &c->bad) : 0;

  if (err)
    return err;
  err = cache_record_cut_locked (c->disk->cache, c->patches);
  if (spoils)
    medium_finish_bad (c->disk->medium, !err);
  return err;
}

/* The medium refuses from now on what would go straight to the store.  (A torn sector is
 * a patch more, which is put in its place after the others.)
 */
static int
cut_locked (struct cutting *c, const struct crash_cut *cut, char *why, size_t size)
{
  struct loss loss;

  c->err = choice_make (c->choice, c->versions, disk_size (c->disk), c->patches, &loss,
                        why, size);
  if (!c->err && cut->torn)
    choice_flight (c->choice, c->versions, tear, c);
  if (!c->err)
    c->err = cache_prepare_locked (c->disk->cache, c->patches);
  if (!c->err && cut->bad)
    choice_flight (c->choice, c->versions, spoil, c);
  if (!c->err)
    c->err = record_cut_locked (c);
  if (c->err)
    return c->err;
  medium_power (c->disk->medium, false);
  cache_cut_locked (c->disk->cache, c->patches);
  return 0;
}

/* With a choice that was read. */
static int
cut_live (struct disk *d, const struct choice *choice, const struct crash_cut *cut,
          char *why, size_t size)
{
  struct patches patches = { NULL, 0, 0 };
  struct cutting c = {
    .disk = d, .choice = choice, .patches = &patches,
    .versions = cache_lock (d->cache),
  };
  int err = cache_is_off (d->cache) ? say (why, size, "the power is off already")
    : cut_locked (&c, cut, why, size);

  cache_unlock (d->cache);
  patches_free (&patches);
  ranges_clear (&c.bad);
  if (!err)
    request_wake ();            /* requests that wait have failed */
  return err;
}

int
crash_cut (const struct crash_cut *cut, char *why, size_t size)
{
  struct disk *d = disk_live ();
  struct choice choice;
  int err;

  if (!d->cache)
    return say (why, size, "a power cut needs a volatile cache: start the server with "
                "write-cache=volatile");
  err = choice_parse (cut->choice, &choice, why, size);
  if (!err)
    err = cut_live (d, &choice, cut, why, size);
  choice_free (&choice);
  if (err == ENOMEM)
    say (why, size, "out of memory");
  return err;
}

int
crash_mark (const char *text, char *why, size_t size)
{
  struct history *h = find_history ("a mark", why, size);
  int err;

  if (!*text || strlen (text) > CACHE_MARK)
    return say (why, size, "expected a text of 1 to 256 bytes");
  if (!h)
    return cache_tell_mark (text) ? 0 : EINVAL;
  err = cache_mark (disk_live ()->cache, text);
  if (err)
    say (why, size, "out of memory");
  return err;
}

void
crash_on_mark (bool (*told) (const char *text))
{
  cache_on_mark (told);
}

int
crash_history (struct event_place *at, struct event *e, char *why, size_t size)
{
  struct cache *cache = disk_live ()->cache;
  const struct history *h = find_history ("disk:history", why, size);
  int err;

  if (!h)
    return EINVAL;
  cache_lock (cache);
  err = h->broken ? say (why, size, HISTORY_BROKEN) : history_next (h, at, e) ? 0 : ENOENT;
  cache_unlock (cache);
  return err;
}

int
crash_power_on (char *why, size_t size)
{
  struct disk *d = disk_live ();
  bool was_off = false;

  if (d->cache) {
    cache_lock (d->cache);      /* a cut may be at work */
    was_off = cache_power_on (d->cache);
    if (was_off)
      medium_power (d->medium, true);
    cache_unlock (d->cache);
  }
  return was_off ? 0 : say (why, size, "the power is on already");
}
