/* fill.c - initial content.
 *
 * Beside the store of the disk there is a set of the pages that were touched:
 *
 *     store          set        the page
 *     holds it       any        is what was written
 *     hole           in it      was zeroed or trimmed: reads as zeroes
 *     hole           not        was never touched: reads as initial content
 *
 * So a page needs no memory until it is written, and a trim needs next to none,
 * however long it is, because the set is kept as ranges.  A request that covers
 * part of an untouched page first makes its content real (materialise).  The
 * content is made without a lock, because that may take long, and is put in place
 * under the lock if the page is still untouched.  Writers hold the lock shared;
 * putting content in place, trimming, cloning and assigning hold it exclusively;
 * readers don't need it.  The set has another lock, which is taken last, and is never
 * held for long.
 *
 * A page that was touched stays so, except where the whole is assigned.  The
 * generation counts that, and is odd meanwhile.  What a reader has found is true only
 * if the generation is the same before and after.  A writer checks again, with the
 * lock, that no edge of its range is untouched.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "disk/fill.h"
#include "lib/min.h"
#include "lib/ranges.h"

struct fill {
  struct store *store;          /* of the disk, which owns it */
  disk_fill_fn make;            /* NULL: the content was taken away */
  pthread_rwlock_t lock;

  struct ranges touched;        /* pages */
  pthread_rwlock_t touched_lock;

  _Atomic unsigned generation;
};

/* How many pages it takes to reach END. */
static uint64_t
pages_to (uint64_t end)
{
  return (end + STORE_PAGE - 1) / STORE_PAGE;
}

/*--------------------------------------------------------------------*/
/* The object. */

struct fill *
fill_new (struct store *store, disk_fill_fn make)
{
  struct fill *f = calloc (1, sizeof *f);

  if (!f)
    return NULL;
  f->store = store;
  f->make = make;
  pthread_rwlock_init (&f->lock, NULL);
  pthread_rwlock_init (&f->touched_lock, NULL);
  return f;
}

void
fill_free (struct fill *f)
{
  if (!f)
    return;
  ranges_clear (&f->touched);
  pthread_rwlock_destroy (&f->lock);
  pthread_rwlock_destroy (&f->touched_lock);
  free (f);
}

void
fill_set (struct fill *f, disk_fill_fn make)
{
  f->make = make;
  if (!make)
    ranges_clear (&f->touched);
}

bool
fill_active (const struct fill *f)
{
  return f->make != NULL;
}

int
fill_clone (struct fill *from, struct fill **out, struct store **store)
{
  struct fill *f = fill_new (NULL, from->make);
  int err;

  *store = NULL;
  if (!f)
    return ENOMEM;
  pthread_rwlock_wrlock (&from->lock);
  err = store_clone (from->store, store);
  if (!err)
    err = ranges_copy (&from->touched, &f->touched);
  pthread_rwlock_unlock (&from->lock);
  f->store = *store;
  if (err) {
    fill_free (f);
    store_free (*store);
    *store = NULL;
    return err;
  }
  *out = f;
  return 0;
}

/* Make TO, which is empty, the set of what is touched in a fill whose lock is held;
 * NULL: all of a disk of SIZE bytes.
 */
static int
copy_touched (struct fill *from, uint64_t size, struct ranges *to)
{
  if (from)
    return ranges_copy (&from->touched, to);
  return size > 0 ? ranges_add (to, 0, pages_to (size)) : 0;
}

/* Assign the store, and exchange the set of what was touched. */
static int
assign_locked (struct fill *to, struct store *store, struct ranges *touched)
{
  const struct ranges old = to->touched;
  int err;

  to->generation++;
  err = store_assign (to->store, store);
  if (!err) {
    pthread_rwlock_wrlock (&to->touched_lock);
    to->touched = *touched;
    pthread_rwlock_unlock (&to->touched_lock);
    *touched = old;             /* for the caller to free */
  }
  to->generation++;
  return err;
}

int
fill_assign (struct fill *to, struct fill *from, struct store *store)
{
  struct ranges touched = { 0 };
  int err;

  if (from)
    pthread_rwlock_wrlock (&from->lock);
  err = copy_touched (from, store_size (store), &touched);
  if (!err) {
    pthread_rwlock_wrlock (&to->lock);
    err = assign_locked (to, store, &touched);
    pthread_rwlock_unlock (&to->lock);
  }
  if (from)
    pthread_rwlock_unlock (&from->lock);
  ranges_clear (&touched);
  return err;
}

/*--------------------------------------------------------------------*/
/* Kinds of pages. */

/* How many bytes from OFFSET on, at most COUNT and at least 1, lie in pages that
 * are all touched or all not.
 */
static uint64_t
touched_run (struct fill *f, uint64_t count, uint64_t offset, bool *touched)
{
  const uint64_t page = offset / STORE_PAGE;
  uint64_t run = pages_to (offset + count), start, end;

  *touched = false;
  pthread_rwlock_rdlock (&f->touched_lock);
  if (ranges_find (&f->touched, page, run, &start, &end)) {
    *touched = start <= page;
    run = *touched ? end : start;
  }
  pthread_rwlock_unlock (&f->touched_lock);
  return min_u64 (count, run * STORE_PAGE - offset);
}

/* Note that the pages FIRST <= p < END were touched. */
static int
touch (struct fill *f, uint64_t first, uint64_t end)
{
  int err;

  if (first >= end)
    return 0;
  pthread_rwlock_wrlock (&f->touched_lock);
  err = ranges_add (&f->touched, first, end);
  pthread_rwlock_unlock (&f->touched_lock);
  return err;
}

/* The generation, when nothing is being assigned. */
static unsigned
generation (struct fill *f)
{
  unsigned g;

  while ((g = f->generation) % 2 != 0) {
    pthread_rwlock_rdlock (&f->lock);   /* until that is over */
    pthread_rwlock_unlock (&f->lock);
  }
  return g;
}

/* The kind of all bytes from OFFSET on, for the number of bytes returned. */
enum kind { WRITTEN, HOLE, INITIAL };

/* With the lock held, or where GENERATION is the same before and after. */
static uint64_t
kind_run_locked (struct fill *f, uint64_t count, uint64_t offset,
                 enum kind *kind)
{
  bool data, touched = true;
  uint64_t n = store_extent (f->store, count, offset, &data);

  if (!data && f->make)
    n = touched_run (f, n, offset, &touched);
  *kind = data ? WRITTEN : touched ? HOLE : INITIAL;
  return n;
}

/* True in generation *G. */
static uint64_t
kind_run (struct fill *f, uint64_t count, uint64_t offset, enum kind *kind,
          unsigned *g)
{
  uint64_t n;

  do {
    *g = generation (f);
    n = kind_run_locked (f, count, offset, kind);
  }
  while (f->generation != *g);
  return n;
}

/*--------------------------------------------------------------------*/
/* Making content. */

/* The last page of the disk may be short. */
static uint64_t
page_length (const struct fill *f, uint64_t start)
{
  return min_u64 (STORE_PAGE, store_size (f->store) - start);
}

/* Make the content of the page around OFFSET. */
static int
fill_page (struct fill *f, uint8_t *page, uint64_t offset, void *context)
{
  uint64_t start = offset - offset % STORE_PAGE;

  return f->make (context, page, page_length (f, start), start);
}

/* Read from pages that were not touched.  Advances *COUNT to what was read. */
static int
read_initial (struct fill *f, char *buf, uint64_t *count, uint64_t offset,
              void *context)
{
  uint64_t in_page = offset % STORE_PAGE;
  uint8_t page[STORE_PAGE];
  int err;

  /* Whole pages, straight to where they go. */
  if (in_page == 0 && *count >= STORE_PAGE) {
    *count = min_u64 (*count - *count % STORE_PAGE, DISK_FILL_MAX);
    return f->make (context, buf, *count, offset);
  }

  *count = min_u64 (*count, STORE_PAGE - in_page);
  err = fill_page (f, page, offset, context);
  if (!err)
    memcpy (buf, page + in_page, *count);
  return err;
}

/* Store the initial content of the page around OFFSET, if it still has it. */
static int
materialise (struct fill *f, uint64_t offset, void *context)
{
  uint64_t start = offset - offset % STORE_PAGE;
  uint8_t page[STORE_PAGE];
  enum kind kind;
  unsigned g;
  int err;

  kind_run (f, 1, offset, &kind, &g);
  if (kind != INITIAL)
    return 0;
  err = fill_page (f, page, offset, context);
  if (err)
    return err;

  pthread_rwlock_wrlock (&f->lock);
  kind_run_locked (f, 1, offset, &kind);
  if (kind == INITIAL)
    err = store_write (f->store, page, page_length (f, start), start);
  pthread_rwlock_unlock (&f->lock);
  return err;
}

bool
fill_is_initial (struct fill *f, uint64_t count, uint64_t offset)
{
  enum kind kind = HOLE;
  unsigned g;

  for (uint64_t n; count > 0 && kind != INITIAL; count -= n, offset += n)
    n = kind_run (f, count, offset, &kind, &g);
  return kind == INITIAL;
}

int
fill_make_real (struct fill *f, uint64_t count, uint64_t offset, void *context)
{
  const uint64_t end = offset + count;
  int err = 0;

  for (uint64_t n; offset < end && !err; offset += n) {
    n = min_u64 (end - offset, STORE_PAGE - offset % STORE_PAGE);
    err = materialise (f, offset, context);
  }
  return err;
}

/* The edges of a range: for each page of which it covers only a part, a byte in
 * that page.  Returns how many such pages there are.
 */
static unsigned
edges (const struct fill *f, uint64_t count, uint64_t offset, uint64_t edge[2])
{
  uint64_t end = offset + count;
  unsigned n = 0;

  if (count == 0)
    return 0;
  if (offset % STORE_PAGE != 0)
    edge[n++] = offset;
  if (end % STORE_PAGE != 0 && end < store_size (f->store)
      && (n == 0 || end / STORE_PAGE != offset / STORE_PAGE))
    edge[n++] = end - 1;
  return n;
}

/* How many of the edges of a range are untouched.  As kind_run_locked. */
static unsigned
initial_edges (struct fill *f, uint64_t count, uint64_t offset)
{
  uint64_t edge[2];
  unsigned n = edges (f, count, offset, edge), initial = 0;
  enum kind kind;

  for (unsigned i = 0; i < n; i++) {
    kind_run_locked (f, 1, edge[i], &kind);
    initial += kind == INITIAL;
  }
  return initial;
}

/* Make real the pages of which a range covers only a part. */
static int
materialise_edges (struct fill *f, uint64_t count, uint64_t offset,
                   void *context)
{
  uint64_t edge[2];
  unsigned n = edges (f, count, offset, edge);
  int err = 0;

  for (unsigned i = 0; i < n && !err; i++)
    err = materialise (f, edge[i], context);
  return err;
}

/* The same, and take the lock with HOW.  An error: it is not held. */
static int
begin_change (struct fill *f, int (*how) (pthread_rwlock_t *lock),
              uint64_t count, uint64_t offset, void *context)
{
  for (;;) {
    int err = materialise_edges (f, count, offset, context);

    if (err)
      return err;
    how (&f->lock);
    if (initial_edges (f, count, offset) == 0)
      return 0;
    pthread_rwlock_unlock (&f->lock);   /* the whole was assigned meanwhile */
  }
}

uint64_t
fill_zero_growth (struct fill *f, uint64_t count, uint64_t offset)
{
  uint64_t growth = store_zero_growth (f->store, count, offset);

  return growth + (uint64_t) initial_edges (f, count, offset) * STORE_PAGE;
}

/*--------------------------------------------------------------------*/
/* Requests. */

int
fill_read (struct fill *f, void *buf, uint64_t count, uint64_t offset,
           void *context)
{
  enum kind kind;
  char *p = buf;
  uint64_t n;
  unsigned g;
  int err = 0;

  for (; count > 0 && !err; p += n, count -= n, offset += n) {
    n = kind_run (f, count, offset, &kind, &g);
    if (kind == INITIAL) {
      err = read_initial (f, p, &n, offset, context);
      continue;
    }
    store_read (f->store, p, n, offset);
    atomic_thread_fence (memory_order_acquire);
    if (f->generation != g)
      n = 0;                    /* it may be initial content now: again */
  }
  return err;
}

int
fill_write (struct fill *f, const void *buf, uint64_t count, uint64_t offset,
            void *context)
{
  int err = begin_change (f, pthread_rwlock_rdlock, count, offset, context);

  if (err)
    return err;
  err = store_write (f->store, buf, count, offset);
  pthread_rwlock_unlock (&f->lock);
  return err;
}

int
fill_zero (struct fill *f, uint64_t count, uint64_t offset, void *context)
{
  uint64_t end = offset + count;
  int err = begin_change (f, pthread_rwlock_wrlock, count, offset, context);

  if (err)
    return err;

  /* Pages are marked first: no reader may see their initial content again. */
  if (end == store_size (f->store))
    end = pages_to (end) * STORE_PAGE;
  /* The function may have taken itself away (fill_set) by now. */
  if (f->make)
    err = touch (f, pages_to (offset), end / STORE_PAGE);
  if (!err)
    err = store_zero (f->store, count, offset);
  pthread_rwlock_unlock (&f->lock);
  return err;
}

uint64_t
fill_extent (struct fill *f, uint64_t count, uint64_t offset, bool *data)
{
  enum kind first, kind;
  unsigned g;
  uint64_t n = kind_run (f, count, offset, &first, &g);

  *data = first != HOLE;
  while (n < count) {
    uint64_t more = kind_run (f, count - n, offset + n, &kind, &g);

    if ((kind != HOLE) != *data)
      break;
    n += more;
  }
  return n;
}

