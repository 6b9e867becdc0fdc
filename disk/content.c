/* content.c - the newest content of a disk: view, fill and store. */

#include <errno.h>

#include "disk/content.h"
#include "disk/fill.h"
#include "disk/inside.h"
#include "disk/view.h"
#include "lib/min.h"

/*--------------------------------------------------------------------*/
/* Without a view. */

static int
base_read (struct disk *d, void *buf, uint64_t count, uint64_t offset, void *context)
{
  if (d->fill)
    return fill_read (d->fill, buf, count, offset, context);
  store_read (d->store, buf, count, offset);
  return 0;
}

static int
base_write (struct disk *d, const void *buf, uint64_t count, uint64_t offset,
            void *context)
{
  if (d->fill)
    return fill_write (d->fill, buf, count, offset, context);
  return store_write (d->store, buf, count, offset);
}

static int
base_zero (struct disk *d, uint64_t count, uint64_t offset, void *context)
{
  if (d->fill)
    return fill_zero (d->fill, count, offset, context);
  return store_zero (d->store, count, offset);
}

static uint64_t
base_extent (struct disk *d, uint64_t count, uint64_t offset, bool *data)
{
  if (d->fill)
    return fill_extent (d->fill, count, offset, data);
  return store_extent (d->store, count, offset, data);
}

/*--------------------------------------------------------------------*/
/* With one. */

/* What a patch needs to become part of the content. */
struct putting { struct disk *disk; void *context; };

static int
put_patch (void *putting, const struct patch *p)
{
  const struct putting *to = putting;

  if (!p->covered)
    return base_zero (to->disk, p->end - p->start, p->start, to->context);
  return base_write (to->disk, p->covered->data + p->at, p->end - p->start,
                     p->start, to->context);
}

static int
settle (struct disk *d, uint64_t count, uint64_t offset, void *context)
{
  struct putting to = { d, context };

  return d->view ? view_settle (d->view, count, offset, put_patch, &to) : 0;
}

int
content_read (struct disk *d, void *buf, uint64_t count, uint64_t offset,
              void *context)
{
  int err;

  if (!d->view)
    return base_read (d, buf, count, offset, context);
  view_hold (d->view);
  err = base_read (d, buf, count, offset, context);
  if (!err)
    view_apply (d->view, buf, count, offset);
  view_release (d->view);
  return err;
}

int
content_write (struct disk *d, const void *buf, uint64_t count, uint64_t offset,
               void *context)
{
  int err = settle (d, count, offset, context);

  return err ? err : base_write (d, buf, count, offset, context);
}

int
content_zero (struct disk *d, uint64_t count, uint64_t offset, void *context)
{
  int err = settle (d, count, offset, context);

  return err ? err : base_zero (d, count, offset, context);
}

uint64_t
content_extent (struct disk *d, uint64_t count, uint64_t offset, bool *data)
{
  const struct patch *patch;
  uint64_t n;

  if (!d->view)
    return base_extent (d, count, offset, data);
  view_hold (d->view);
  n = view_run (d->view, count, offset, &patch);
  if (patch)
    *data = patch->covered != NULL;
  else
    n = base_extent (d, n, offset, data);
  view_release (d->view);
  return n;
}

uint64_t
content_units (struct disk *d, uint64_t count, uint64_t offset, uint32_t unit, bool *data)
{
  uint64_t n = content_extent (d, count, offset, data);

  if (*data)
    n = min_u64 (n, VERSION_BYTES);
  if (n == count || (n & (unit - 1)) == 0)
    return n;
  if (n > unit)
    return n & ~(uint64_t) (unit - 1);
  *data = true;
  return min_u64 (count, unit);
}

void
content_expect (struct disk *d, uint64_t offset)
{
  store_expect (d->store, offset);
}

/*--------------------------------------------------------------------*/

bool
content_is_initial (struct disk *d, uint64_t count, uint64_t offset)
{
  return d->fill && fill_is_initial (d->fill, count, offset);
}

int
content_make_real (struct disk *d, uint64_t count, uint64_t offset, void *context)
{
  return d->fill ? fill_make_real (d->fill, count, offset, context) : 0;
}

static int
clone_base (const struct disk *from, struct disk *to)
{
  if (from->fill && fill_active (from->fill))
    return fill_clone (from->fill, &to->fill, &to->store);
  return store_clone (from->store, &to->store);
}

/* Give a disk a view of the patches that another has, and of more. */
static int
make_view (const struct disk *from, struct disk *to, struct patches *more)
{
  struct patches none = { NULL, 0, 0 }, *const all = more ? more : &none;
  struct patches theirs = { NULL, 0, 0 };
  int err = from->view ? view_copy (from->view, &theirs) : 0;

  if (!err && theirs.n > 0)
    err = patches_merge (all, &theirs);
  if (!err && all->n > 0 && !(to->view = view_new (all)))
    err = ENOMEM;
  patches_free (&theirs);
  patches_free (&none);
  return err;
}

/* A view is held meanwhile, so that a patch becomes part of both contents or of none. */
int
content_clone (struct disk *from, struct disk *to, struct patches *patches)
{
  int err;

  if (from->view)
    view_hold (from->view);
  err = make_view (from, to, patches);
  if (!err)
    err = clone_base (from, to);
  if (from->view)
    view_release (from->view);
  return err;
}

int
content_settle (struct disk *d, uint64_t count, uint64_t offset)
{
  return settle (d, count, offset, NULL);
}
