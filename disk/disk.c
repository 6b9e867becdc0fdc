/* disk.c - the content of a disk: its store, or initial content above it. */

#include <errno.h>

#include "disk/fill.h"
#include "disk/inside.h"

/*--------------------------------------------------------------------*/
/* The disk as a whole. */

struct store *
disk_store (const struct disk *d)
{
  return d->fill && fill_active (d->fill) ? NULL : d->store;
}

struct medium *
disk_medium (const struct disk *d)
{
  return d->medium;
}

const char *
disk_name (const struct disk *d)
{
  return d->name;
}

uint64_t
disk_size (const struct disk *d)
{
  return store_size (d->store);
}

uint64_t
disk_allocated (const struct disk *d)
{
  return store_allocated (d->store);
}

uint64_t
disk_stored (const struct disk *d)
{
  return store_stored (d->store);
}

uint64_t
disk_growth (struct disk *d, uint64_t count, uint64_t offset)
{
  return store_growth (d->store, count, offset);
}

uint64_t
disk_zero_growth (struct disk *d, uint64_t count, uint64_t offset)
{
  if (d->fill)
    return fill_zero_growth (d->fill, count, offset);
  return store_zero_growth (d->store, count, offset);
}

/*--------------------------------------------------------------------*/
/* Bytes. */

int
disk_read (struct disk *d, void *buf, uint64_t count, uint64_t offset,
           void *context)
{
  if (d->fill)
    return fill_read (d->fill, buf, count, offset, context);
  store_read (d->store, buf, count, offset);
  return 0;
}

int
disk_write (struct disk *d, const void *buf, uint64_t count, uint64_t offset,
            void *context)
{
  if (d->fill)
    return fill_write (d->fill, buf, count, offset, context);
  return store_write (d->store, buf, count, offset);
}

int
disk_zero (struct disk *d, uint64_t count, uint64_t offset, void *context)
{
  if (d->fill)
    return fill_zero (d->fill, count, offset, context);
  return store_zero (d->store, count, offset);
}

int
disk_trim (struct disk *d, uint64_t count, uint64_t offset)
{
  const int err = disk_zero (d, count, offset, NULL);

  return err == ENOMEM ? 0 : err;
}

uint64_t
disk_extent (struct disk *d, uint64_t count, uint64_t offset, bool *data)
{
  if (d->fill)
    return fill_extent (d->fill, count, offset, data);
  return store_extent (d->store, count, offset, data);
}

/*--------------------------------------------------------------------*/
/* Requests. */

/* No extent may reach past the request: nbdkit before 1.42.3 aborts when a
 * client asks for nearly 4 GiB and gets more (CVE-2025-47711).
 */
static int
add_extents (struct request *req)
{
  uint64_t end = req->offset + req->count, n;
  bool data;
  int err = 0;

  if (req->answered)
    return 0;                   /* req:run was used more than once */
  req->answered = true;

  for (uint64_t offset = req->offset; offset < end && !err; offset += n) {
    n = disk_extent (req->conn->disk, end - offset, offset, &data);
    err = request_add_extent (req, offset, n, data);
    if (request_wants_one (req))
      break;
  }
  return err;
}

int
disk_perform (struct request *req)
{
  struct disk *d = req->conn->disk;

  switch (req->op) {
  case OP_READ:
    return disk_read (d, req->buf, req->count, req->offset, NULL);
  case OP_WRITE:
    return disk_write (d, req->buf, req->count, req->offset, NULL);
  case OP_TRIM:
    return disk_trim (d, req->count, req->offset);
  case OP_ZERO:
    return disk_zero (d, req->count, req->offset, NULL);
  case OP_EXTENTS:
    return add_extents (req);
  default:
    return 0;
  }
}
