/* list.c - which disks there are, and of what each consists. */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "disk/cache.h"
#include "disk/content.h"
#include "disk/fill.h"
#include "disk/history.h"
#include "disk/inside.h"
#include "disk/list.h"
#include "disk/medium.h"
#include "disk/view.h"

/* The list, the live disk first.  The mutex also guards refs. */
static struct disk *disks;
static pthread_mutex_t disks_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t last_number;

struct disk *
disk_new (const char *name)
{
  struct disk *d = calloc (1, sizeof *d);

  if (!d)
    return NULL;
  d->name = strdup (name);
  if (!d->name) {
    free (d);
    return NULL;
  }
  d->refs = 1;
  d->number = ++last_number;
  return d;
}

void
disk_free (struct disk *d)
{
  cache_free (d->cache);
  medium_free (d->medium);
  view_free (d->view);
  fill_free (d->fill);
  store_free (d->store);
  free (d->about);
  free (d->name);
  free (d);
}

int
disk_start (uint64_t size)
{
  struct disk *d = disk_new ("");
  int err;

  if (!d)
    return ENOMEM;
  err = store_create (size, &d->store);
  if (!err && (d->medium = medium_new (size)) == NULL)
    err = ENOMEM;
  if (err)
    disk_free (d);
  else
    disks = d;
  return err;
}

void
disk_stop (void)
{
  while (disks) {
    struct disk *d = disks;

    disks = d->next;
    disk_free (d);
  }
}

struct disk *
disk_live (void)
{
  return disks;
}

/* The link to a disk, or to NULL at the end.  The list is locked. */
static struct disk **
find_locked (const char *name)
{
  struct disk **link = &disks;

  while (*link && strcmp ((*link)->name, name) != 0)
    link = &(*link)->next;
  return link;
}

struct disk *
disk_get (const char *name)
{
  struct disk *d;

  pthread_mutex_lock (&disks_lock);
  d = *find_locked (name);
  if (d)
    d->refs++;
  pthread_mutex_unlock (&disks_lock);
  return d;
}

struct disk *
disk_get_copy (const char *name)
{
  return *name && strcmp (name, DISK_MARKS) != 0 ? disk_get (name) : NULL;
}

/* Take a disk out of the list, if it is there. */
static void
unlink_locked (const struct disk *d)
{
  struct disk **link = &disks;

  while (*link && *link != d)
    link = &(*link)->next;
  if (*link)
    *link = d->next;
}

void
disk_put (struct disk *d)
{
  bool last;

  pthread_mutex_lock (&disks_lock);
  last = --d->refs == 0;
  if (last && disk_is_state (d->name))
    unlink_locked (d);
  pthread_mutex_unlock (&disks_lock);
  if (last)
    disk_free (d);
}

/* What can be opened at any time, where there is a cache; the last one needs a history. */
static const struct { const char *name, *about; } always[] = {
  { "crash/now/none", "power cut now: all that is not flushed is lost" },
  { "crash/now/all", "power cut now: nothing is lost" },
  { DISK_MARKS, "each write sets a mark" },
};

static size_t
count_always (void)
{
  if (!disks || !disks->cache)
    return 0;
  return cache_history (disks->cache) ? 3 : 2;
}

int
disk_names (int (*each) (void *context, const char *name, const char *about),
            void *context)
{
  int r = 0;

  pthread_mutex_lock (&disks_lock);
  for (struct disk *d = disks; d && r == 0; d = d->next)
    r = each (context, d->name, disk_about (d));
  for (size_t i = 0; i < count_always () && r == 0; i++)
    if (!*find_locked (always[i].name))
      r = each (context, always[i].name, always[i].about);
  pthread_mutex_unlock (&disks_lock);
  return r;
}

/* Put a disk at the end.  False: its name is taken. */
static bool
link_locked (struct disk *d)
{
  struct disk **link = find_locked (d->name);

  if (*link)
    return false;
  *link = d;
  return true;
}

/* The copy is on a medium without faults, and all of it is durable. */
int
disk_snapshot (struct disk *from, const char *name)
{
  struct disk *d = disk_new (name);
  int err = ENOMEM;

  if (d && from->cache) {
    cache_lock (from->cache);
    err = content_clone (from, d, NULL);
    cache_unlock (from->cache);
  }
  else if (d)
    err = content_clone (from, d, NULL);
  if (!err) {
    pthread_mutex_lock (&disks_lock);
    err = link_locked (d) ? 0 : EEXIST;
    pthread_mutex_unlock (&disks_lock);
  }
  if (err && d)
    disk_free (d);
  return err;
}

struct disk *
list_add_state (struct disk *d, unsigned max)
{
  struct disk *there, *spare = d;
  unsigned states = 0;

  pthread_mutex_lock (&disks_lock);
  there = *find_locked (d->name);
  for (const struct disk *other = disks; other; other = other->next)
    states += disk_is_state (other->name) && !other->marks;
  if (there)
    there->refs++;
  else if (states < max && link_locked (d)) {
    there = d;                  /* its one reference is the caller's */
    spare = NULL;
  }
  pthread_mutex_unlock (&disks_lock);
  if (spare)
    disk_free (spare);
  return there;
}

/* Where the function of a disk was taken away, that of its snapshots makes zeroes, as
 * their stores show where they hold nothing.
 */
static int
assign (struct disk *d, struct disk *from)
{
  struct fill *fill = from->fill && fill_active (from->fill) ? from->fill : NULL;

  if (d->fill && fill_active (d->fill))
    return fill_assign (d->fill, fill, from->store);
  return store_assign (d->store, from->store);
}

int
disk_revert (struct disk *d, struct disk *from)
{
  int err;

  if (d == from)
    return 0;
  err = content_settle (from, disk_size (from), 0);
  if (err)
    return err;
  if (!d->cache)
    return assign (d, from);
  cache_lock (d->cache);
  err = cache_replace_locked (d->cache);
  if (!err) {
    err = assign (d, from);
    (err ? cache_keep_locked : cache_settle_locked) (d->cache);
  }
  cache_unlock (d->cache);
  return err;
}

int
disk_drop (const char *name)
{
  struct disk *d, **link;

  pthread_mutex_lock (&disks_lock);
  link = find_locked (name);
  d = disk_is_state (name) ? NULL : *link;
  if (d && d != disks)
    *link = d->next;
  else
    d = NULL;
  pthread_mutex_unlock (&disks_lock);
  if (!d)
    return ENOENT;
  disk_put (d);
  return 0;
}

int
disk_set_fill (struct disk *d, disk_fill_fn make)
{
  const struct history *h = d->cache ? cache_history (d->cache) : NULL;

  if (make && h && h->replayed)
    return ENOTSUP;
  if (d->fill)
    fill_set (d->fill, make);
  else if (make) {
    d->fill = fill_new (d->store, make);
    if (!d->fill)
      return ENOMEM;
  }
  return 0;
}

int
disk_set_cache (struct disk *d, const struct disk_cache *how)
{
  d->cache = cache_new (d, how);
  return d->cache ? 0 : ENOMEM;
}
