/* disk.c - one disk: what its parts are, and requests to it. */

#include <errno.h>
#include <string.h>

#include "disk/cache.h"
#include "disk/content.h"
#include "disk/fill.h"
#include "disk/inside.h"
#include "disk/medium.h"

/*--------------------------------------------------------------------*/
/* The disk as a whole. */

struct store *
disk_store (const struct disk *d)
{
  return d->view || d->marks || (d->fill && fill_active (d->fill)) ? NULL : d->store;
}

const _Atomic uint64_t *
disk_cuts (const struct disk *d)
{
  return d->cache ? cache_cuts (d->cache) : NULL;
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

const char *
disk_about (const struct disk *d)
{
  return d->about ? d->about : *d->name ? "snapshot" : "live disk";
}

uint64_t
disk_number (const struct disk *d)
{
  return d->number;
}

uint64_t
disk_size (const struct disk *d)
{
  return store_size (d->store);
}

uint32_t
disk_sector (const struct disk *d)
{
  return d->cache ? cache_how (d->cache)->sector : MEDIUM_SECTOR;
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
  return content_read (d, buf, count, offset, context);
}

int
disk_write (struct disk *d, const void *buf, uint64_t count, uint64_t offset,
            void *context)
{
  if (d->cache)
    return cache_write (d->cache, buf, count, offset, context);
  return content_write (d, buf, count, offset, context);
}

int
disk_zero (struct disk *d, uint64_t count, uint64_t offset, void *context)
{
  if (d->cache)
    return cache_zero (d->cache, count, offset, context);
  return content_zero (d, count, offset, context);
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
  return content_extent (d, count, offset, data);
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
disk_enter (struct request *req, struct visit *visit)
{
  req->visit = visit;
  return cache_enter (req->conn->disk->cache, visit);
}

int
disk_leave (struct request *req, int err)
{
  return cache_leave (req->conn->disk->cache, req, err);
}

struct unflushed
disk_unflushed (struct disk *d)
{
  struct unflushed u = { 0, 0, 0 };
  const struct versions *v;

  if (!d->cache)
    return u;
  v = cache_lock (d->cache);
  u = (struct unflushed) { v->pending, v->sectors, v->sectors * v->sector };
  if (disk_size (d) % v->sector && versions_find (v, disk_size (d) / v->sector))
    u.bytes -= v->sector - disk_size (d) % v->sector;   /* the last one is short */
  cache_unlock (d->cache);
  return u;
}

bool
disk_is_off (const struct disk *d)
{
  return d->cache && cache_is_off (d->cache);
}

/* A request to a disk with a cache. */
static int
perform_cached (struct cache *c, struct request *req)
{
  if (CHANGES >> req->op & 1)
    return cache_apply (c, req);
  if (req->op == OP_FLUSH)
    req->visit->flushed = true;
  return req->op == OP_READ
    ? content_read (req->conn->disk, req->buf, req->count, req->offset, NULL)
    : req->op == OP_EXTENTS ? add_extents (req) : 0;
}

void
disk_note_fault (const struct request *req, const char *rule)
{
  struct cache *cache = req->conn->disk->cache;

  if (cache)
    cache_note_fault (cache, req, rule);
}

/* A write sets a mark: its text ends at a newline or zero byte.  All else does nothing. */
static int
perform_mark (struct cache *c, const struct request *req)
{
  char text[CACHE_MARK + 2];
  const size_t room = sizeof text - 1;
  size_t len;

  if (req->op != OP_WRITE)
    return 0;
  len = req->count < room ? req->count : room;
  memcpy (text, req->buf, len);
  text[len] = '\0';
  text[strcspn (text, "\n")] = '\0';
  if (!*text)
    return 0;
  if (strlen (text) > CACHE_MARK)
    return EINVAL;
  if (c)
    return cache_mark (c, text);
  cache_tell_mark (text);
  return 0;
}

int
disk_perform (struct request *req)
{
  struct disk *d = req->conn->disk;

  if (d->cache)
    return perform_cached (d->cache, req);
  if (d->marks && CHANGES >> req->op & 1)
    return perform_mark (d->marked, req);
  switch (req->op) {
  case OP_READ:
    return content_read (d, req->buf, req->count, req->offset, NULL);
  case OP_WRITE:
    return content_write (d, req->buf, req->count, req->offset, NULL);
  case OP_TRIM:
    return disk_trim (d, req->count, req->offset);
  case OP_ZERO:
    return content_zero (d, req->count, req->offset, NULL);
  case OP_EXTENTS:
    return add_extents (req);
  default:
    return 0;
  }
}
