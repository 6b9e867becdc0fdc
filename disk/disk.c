/* disk.c - the disks that clients can name, and initial content.
 *
 * A disk with initial content has a second store, a bitmap of its pages:
 *
 *     data store     bitmap     the page
 *     holds it       any        is what was written
 *     hole           1          was zeroed or trimmed: reads as zeroes
 *     hole           0          was never touched: reads as initial content
 *
 * So a page needs no memory until it is written, and one bit once it was
 * trimmed.  A request that covers part of an untouched page first makes its
 * content real (materialise).  The content is made without a lock, for it
 * may take long, and put in place under the lock if the page is still
 * untouched.  The lock is held shared by writers, and exclusively to put
 * content in place, to trim and to clone; readers don't need it.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"

struct disk {
  struct disk *next;
  char *name;
  unsigned refs;                /* the list counts as one */
  struct store *data;
  struct store *touched;        /* NULL: no initial content */
  disk_fill_fn fill;
  pthread_rwlock_t lock;
};

/* The list, the live disk first.  The mutex also guards refs. */
static struct disk *disks;
static pthread_mutex_t disks_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t
least (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

/*--------------------------------------------------------------------*/
/* The list. */

/* A disk without stores, or NULL. */
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
  pthread_rwlock_init (&d->lock, NULL);
  return d;
}

static void
disk_free (struct disk *d)
{
  store_free (d->data);
  store_free (d->touched);
  pthread_rwlock_destroy (&d->lock);
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
  err = store_create (size, &d->data);
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

/* Clone the stores of FROM, at one moment. */
static int
clone_stores (struct disk *from, struct disk *to)
{
  int err;

  pthread_rwlock_wrlock (&from->lock);
  err = store_clone (from->data, &to->data);
  if (!err && from->touched)
    err = store_clone (from->touched, &to->touched);
  pthread_rwlock_unlock (&from->lock);
  to->fill = from->fill;
  return err;
}

int
disk_snapshot (struct disk *from, const char *name)
{
  struct disk *d = disk_new (name), **link;
  int err = d ? clone_stores (from, d) : ENOMEM;

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

struct store *
disk_store (const struct disk *d)
{
  return d->touched ? NULL : d->data;
}

const char *
disk_name (const struct disk *d)
{
  return d->name;
}

uint64_t
disk_size (const struct disk *d)
{
  return store_size (d->data);
}

uint64_t
disk_allocated (const struct disk *d)
{
  return store_allocated (d->data);
}

uint64_t
disk_growth (struct disk *d, uint64_t count, uint64_t offset)
{
  uint64_t end = (offset + count + STORE_PAGE - 1) / STORE_PAGE * STORE_PAGE;
  uint64_t growth = 0, n;
  bool data;

  /* Whole pages, but for the last one of the disk. */
  end = least (end, disk_size (d));
  for (offset -= offset % STORE_PAGE; offset < end; offset += n) {
    n = store_extent (d->data, end - offset, offset, &data);
    if (!data)
      growth += (n + STORE_PAGE - 1) / STORE_PAGE * STORE_PAGE;
  }
  return growth;
}

/*--------------------------------------------------------------------*/
/* Initial content. */

int
disk_set_fill (disk_fill_fn fill)
{
  uint64_t pages = (disk_size (disks) + STORE_PAGE - 1) / STORE_PAGE;

  disks->fill = fill;
  if (!fill) {
    store_free (disks->touched);
    disks->touched = NULL;
    return 0;
  }
  return disks->touched ? 0 : store_create ((pages + 7) / 8, &disks->touched);
}

/* How many bytes from OFFSET on, at most COUNT, lie in pages that are all
 * touched or all not.
 */
static uint64_t
touched_run (struct disk *d, uint64_t count, uint64_t offset, bool *touched)
{
  uint64_t page = offset / STORE_PAGE, byte = page / 8, end;
  bool data;
  uint8_t bits;

  end = byte + store_extent (d->touched, store_size (d->touched) - byte, byte,
                             &data);
  end *= 8;
  *touched = false;
  if (data) {
    store_read (d->touched, &bits, 1, byte);
    *touched = bits >> page % 8 & 1;
    end = page + 1;
    while (end % 8 != 0 && (bits >> end % 8 & 1) == *touched)
      end++;
  }
  return least (count, end * STORE_PAGE - offset);
}

/* Say that the pages FIRST <= p < END were touched.  The lock is held. */
static int
touch (struct disk *d, uint64_t first, uint64_t end)
{
  static const uint8_t ones[4096] = { [0 ... 4095] = 0xff };
  uint64_t byte, n;
  uint8_t bits;
  int err = 0;

  while (first < end && !err) {
    byte = first / 8;
    n = least (end / 8 - byte, sizeof ones);
    if (first % 8 == 0 && n > 0) {
      err = store_write (d->touched, ones, n, byte);
      first += n * 8;
    }
    else {
      store_read (d->touched, &bits, 1, byte);
      do
        bits = (uint8_t) (bits | 1 << first % 8);
      while (++first < end && first % 8 != 0);
      err = store_write (d->touched, &bits, 1, byte);
    }
  }
  return err;
}

/* What all bytes from OFFSET on are, for the number of bytes returned. */
enum kind { WRITTEN, HOLE, INITIAL };

static uint64_t
kind_run (struct disk *d, uint64_t count, uint64_t offset, enum kind *kind)
{
  bool data, touched = true;
  uint64_t n = store_extent (d->data, count, offset, &data);

  if (!data && d->touched)
    n = touched_run (d, n, offset, &touched);
  *kind = data ? WRITTEN : touched ? HOLE : INITIAL;
  return n;
}

/* Make the content of the page around OFFSET. */
static int
fill_page (struct disk *d, uint8_t *page, uint64_t offset, void *context)
{
  uint64_t start = offset - offset % STORE_PAGE;

  return d->fill (context, page, least (STORE_PAGE, disk_size (d) - start),
                  start);
}

/* Read from pages that were not touched.  Advances *COUNT to what was read. */
static int
read_initial (struct disk *d, char *buf, uint64_t *count, uint64_t offset,
              void *context)
{
  uint64_t in_page = offset % STORE_PAGE;
  uint8_t page[STORE_PAGE];
  int err;

  /* Whole pages, straight to where they go. */
  if (in_page == 0 && *count >= STORE_PAGE) {
    *count = least (*count - *count % STORE_PAGE, DISK_FILL_MAX);
    return d->fill (context, buf, *count, offset);
  }

  *count = least (*count, STORE_PAGE - in_page);
  err = fill_page (d, page, offset, context);
  if (!err)
    memcpy (buf, page + in_page, *count);
  return err;
}

/* Store the initial content of the page around OFFSET, if it still has it. */
static int
materialise (struct disk *d, uint64_t offset, void *context)
{
  uint64_t start = offset - offset % STORE_PAGE;
  uint8_t page[STORE_PAGE];
  enum kind kind;
  int err;

  kind_run (d, 1, offset, &kind);
  if (kind != INITIAL)
    return 0;
  err = fill_page (d, page, offset, context);
  if (err)
    return err;

  pthread_rwlock_wrlock (&d->lock);
  kind_run (d, 1, offset, &kind);
  if (kind == INITIAL)
    err = store_write (d->data, page,
                       least (STORE_PAGE, disk_size (d) - start), start);
  pthread_rwlock_unlock (&d->lock);
  return err;
}

/* The edges of a range: bytes in pages of which it covers only a part.  How many
 * such pages there are.
 */
static unsigned
edges (const struct disk *d, uint64_t count, uint64_t offset, uint64_t edge[2])
{
  uint64_t end = offset + count;
  unsigned n = 0;

  if (count == 0)
    return 0;
  if (offset % STORE_PAGE != 0)
    edge[n++] = offset;
  if (end % STORE_PAGE != 0 && end < disk_size (d)
      && (n == 0 || end / STORE_PAGE != offset / STORE_PAGE))
    edge[n++] = end - 1;
  return n;
}

/* Make the pages real of which a range covers only a part. */
static int
materialise_edges (struct disk *d, uint64_t count, uint64_t offset,
                   void *context)
{
  uint64_t edge[2];
  unsigned n = edges (d, count, offset, edge);
  int err = 0;

  for (unsigned i = 0; i < n && !err; i++)
    err = materialise (d, edge[i], context);
  return err;
}

uint64_t
disk_zero_growth (struct disk *d, uint64_t count, uint64_t offset)
{
  uint64_t edge[2], growth = 0;
  unsigned n = edges (d, count, offset, edge);
  enum kind kind;

  for (unsigned i = 0; i < n; i++) {
    kind_run (d, 1, edge[i], &kind);
    if (kind == INITIAL)
      growth += STORE_PAGE;
  }
  return growth;
}

/*--------------------------------------------------------------------*/
/* Requests. */

int
disk_read (struct disk *d, void *buf, uint64_t count, uint64_t offset,
           void *context)
{
  enum kind kind;
  char *p = buf;
  uint64_t n;
  int err = 0;

  if (!d->touched) {
    store_read (d->data, buf, count, offset);
    return 0;
  }
  for (; count > 0 && !err; p += n, count -= n, offset += n) {
    n = kind_run (d, count, offset, &kind);
    if (kind == INITIAL)
      err = read_initial (d, p, &n, offset, context);
    else
      store_read (d->data, p, n, offset);
  }
  return err;
}

int
disk_write (struct disk *d, const void *buf, uint64_t count, uint64_t offset,
            void *context)
{
  int err;

  if (!d->touched)
    return store_write (d->data, buf, count, offset);
  err = materialise_edges (d, count, offset, context);
  if (err)
    return err;
  pthread_rwlock_rdlock (&d->lock);
  err = store_write (d->data, buf, count, offset);
  pthread_rwlock_unlock (&d->lock);
  return err;
}

int
disk_zero (struct disk *d, uint64_t count, uint64_t offset, void *context)
{
  uint64_t end = offset + count;
  int err;

  if (!d->touched)
    return store_zero (d->data, count, offset);
  err = materialise_edges (d, count, offset, context);
  if (err)
    return err;

  /* Pages are marked first: a reader must not see the content once more. */
  if (end == disk_size (d))
    end = (end + STORE_PAGE - 1) / STORE_PAGE * STORE_PAGE;
  pthread_rwlock_wrlock (&d->lock);
  /* The function may have taken itself away (disk_set_fill) by now. */
  if (d->touched)
    err = touch (d, (offset + STORE_PAGE - 1) / STORE_PAGE, end / STORE_PAGE);
  if (!err)
    err = store_zero (d->data, count, offset);
  pthread_rwlock_unlock (&d->lock);
  return err;
}

uint64_t
disk_extent (struct disk *d, uint64_t count, uint64_t offset, bool *data)
{
  enum kind first, kind;
  uint64_t n = kind_run (d, count, offset, &first);

  *data = first != HOLE;
  while (n < count) {
    uint64_t more = kind_run (d, count - n, offset + n, &kind);

    if ((kind != HOLE) != *data)
      break;
    n += more;
  }
  return n;
}

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
  case OP_ZERO:
    return disk_zero (d, req->count, req->offset, NULL);
  case OP_EXTENTS:
    return add_extents (req);
  default:
    return 0;
  }
}
