/* list.c - which disks there are, and of what each consists. */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "disk/fill.h"
#include "disk/inside.h"
#include "disk/medium.h"

/* The list, the live disk first.  The mutex also guards refs. */
static struct disk *disks;
static pthread_mutex_t disks_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t last_number;

/* A disk without parts, or NULL. */
static struct disk *
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

static void
disk_free (struct disk *d)
{
  medium_free (d->medium);
  fill_free (d->fill);
  store_free (d->store);
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

void
disk_put (struct disk *d)
{
  bool last;

  pthread_mutex_lock (&disks_lock);
  last = --d->refs == 0;
  pthread_mutex_unlock (&disks_lock);
  if (last)
    disk_free (d);
}

int
disk_names (int (*each) (void *context, const char *name), void *context)
{
  int r = 0;

  pthread_mutex_lock (&disks_lock);
  for (struct disk *d = disks; d && r == 0; d = d->next)
    r = each (context, d->name);
  pthread_mutex_unlock (&disks_lock);
  return r;
}

/* Copy the content of a disk, as it is at one moment. */
static int
copy_content (const struct disk *from, struct disk *to)
{
  if (from->fill && fill_active (from->fill))
    return fill_clone (from->fill, &to->fill, &to->store);
  return store_clone (from->store, &to->store);
}

/* The copy is on a medium without faults. */
int
disk_snapshot (struct disk *from, const char *name)
{
  struct disk *d = disk_new (name), **link;
  int err = d ? copy_content (from, d) : ENOMEM;

  if (!err) {
    pthread_mutex_lock (&disks_lock);
    link = find_locked (name);
    if (*link)
      err = EEXIST;
    else
      *link = d;
    pthread_mutex_unlock (&disks_lock);
  }
  if (err && d)
    disk_free (d);
  return err;
}

/* Where the function of a disk was taken away, that of its snapshots makes zeroes, as
 * their stores show where they hold nothing.
 */
int
disk_revert (struct disk *d, struct disk *from)
{
  struct fill *fill = from->fill && fill_active (from->fill) ? from->fill : NULL;

  if (d == from)
    return 0;
  if (d->fill && fill_active (d->fill))
    return fill_assign (d->fill, fill, from->store);
  return store_assign (d->store, from->store);
}

int
disk_drop (const char *name)
{
  struct disk *d, **link;

  pthread_mutex_lock (&disks_lock);
  link = find_locked (name);
  d = *link;
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
  if (d->fill)
    fill_set (d->fill, make);
  else if (make) {
    d->fill = fill_new (d->store, make);
    if (!d->fill)
      return ENOMEM;
  }
  return 0;
}
