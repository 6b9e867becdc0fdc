/* crash.c - power cuts, and the states that they leave. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/cache.h"
#include "disk/choice.h"
#include "disk/content.h"
#include "disk/crash.h"
#include "disk/inside.h"
#include "disk/list.h"
#include "disk/medium.h"
#include "lib/min.h"

static int
say (char *why, size_t size, const char *text)
{
  snprintf (why, size, "%s", text);
  return EINVAL;
}

/*--------------------------------------------------------------------*/
/* Names. */

#define PREFIX "crash/"
#define NOW "now/"
#define CACHE "+cache"

/* A name, taken apart. */
struct name {
  char *text;                   /* from malloc; what follows points into it */
  const char *outer;            /* the disk whose state it is; "": the live one */
  const char *choice;
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

static int
no_point (const char *point, char *why, size_t size)
{
  const char *end = strchr (point, '/');

  if (!end)
    snprintf (why, size, "expected crash/POINT/CHOICE, such as crash/now/none");
  else
    snprintf (why, size, "there is no moment '%.*s' to go back to: no history is "
              "remembered, so there is only now, as in crash/now/none",
              (int) (end - point < 100 ? end - point : 100), point);
  return EINVAL;
}

/* Take a name apart.  0, EINVAL or ENOMEM; the caller frees the text in any case. */
static int
take_apart (const char *text, struct name *name, char *why, size_t size)
{
  char *step, *point;

  *name = (struct name) { .text = strdup (text), .outer = "" };
  if (!name->text)
    return ENOMEM;
  step = last_step (name->text);
  point = (step ? step + 1 : name->text) + strlen (PREFIX);
  if (step) {
    *step = '\0';
    name->outer = name->text;
  }
  if (strncmp (point, NOW, strlen (NOW)) != 0)
    return no_point (point, why, size);
  name->choice = point + strlen (NOW);
  name->cache = take_cache (point + strlen (NOW));
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

/* Say what a state is, where so many requests were altered.  NULL: no memory. */
static char *
describe (const struct name *name, const struct loss *loss, uint64_t altered)
{
  char text[700], more[100] = "";

  if (altered > 0)
    snprintf (more, sizeof more, "; faults had altered %" PRIu64
              " of the acknowledged writes", altered);

  snprintf (text, sizeof text, "power cut now%s%.200s, %.200s: %" PRIu64 " of %" PRIu64
            " unflushed requests lost %" PRIu64 " of %" PRIu64 " sectors; %s%s",
            *name->outer ? " of " : "", name->outer, name->choice, loss->requests,
            loss->all_requests, loss->sectors, loss->all_sectors,
            loss->lie ? "a lie" : "legal", more);
  return strdup (text);
}

/* Give a new disk the content that a cut of another would leave.  The versions are
 * locked.
 */
static int
cut_into (struct disk *d, const struct name *name, const struct choice *choice,
          struct disk *from, struct versions *v, char *why, size_t size)
{
  struct patches patches = { NULL, 0, 0 };
  struct loss loss;
  int err = choice_make (choice, v, disk_size (from), &patches, &loss, why, size);

  if (!err)
    err = content_clone (from, d, &patches);
  if (!err && !(d->about = describe (name, &loss, cache_altered (from->cache))))
    err = ENOMEM;
  patches_free (&patches);
  return err;
}

/* Make the state of a disk. */
static int
make_state (struct disk *d, const struct name *name, struct disk *from, char *why,
            size_t size)
{
  struct choice choice;
  struct versions *v;
  int err = choice_parse (name->choice, &choice, why, size);

  if (!err) {
    v = cache_lock (from->cache);
    err = cut_into (d, name, &choice, from, v, why, size);
    cache_unlock (from->cache);
  }
  if (!err && name->cache)
    err = disk_set_cache (d, cache_sector (from->cache), cache_atomic (from->cache));
  if (d->cache)
    cache_add_altered (d->cache, cache_altered (from->cache));
  choice_free (&choice);
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
  int err = d ? make_state (d, name, from, why, size) : ENOMEM;

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

struct disk *
crash_open (const char *name, char *why, size_t size)
{
  struct disk *d = disk_get (name);
  int err;

  *why = '\0';
  if (d || !disk_is_state (name))
    return d;
  err = open_state (name, &d, why, size);
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
  int err;
};

static void
spoil (void *cutting, const struct segment *s, const struct version *n,
       uint64_t sector)
{
  struct cutting *c = cutting;
  const uint32_t size = c->versions->sector;
  const int err = medium_bad (c->disk->medium, size, sector * size);

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
  struct covered *mix = covered_new (size);

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
crash_power_on (char *why, size_t size)
{
  struct disk *d = disk_live ();

  if (!d->cache || !cache_is_off (d->cache))
    return say (why, size, "the power is on already");
  cache_power_on (d->cache);
  medium_power (d->medium, true);
  return 0;
}
