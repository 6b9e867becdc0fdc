/* The medium of a disk, alone with that disk: what each fault refuses, that
 * nothing was done then, and what makes it good again.
 */

#include <errno.h>
#include <string.h>

#include "tap.h"

/* Fail when this counts down to 0; < 0: never. */
static long countdown = -1;

static void *
test_malloc (size_t size)
{
  if (countdown >= 0 && countdown-- == 0)
    return NULL;
  return malloc (size);
}

#include "store.c"
#define BLOCK_RANGES 2
#define malloc test_malloc
#include "lib/array.c"
#include "lib/blocks.c"
#include "lib/ranges.c"
#undef malloc
#include "lib/sys.c"
#include "lib/text.c"
#include "disk/fill.c"
#include "disk/view.c"
#include "disk/content.c"
#include "disk/versions.c"
#include "disk/history.c"
#include "disk/point.c"
#include "disk/cache.c"
#include "disk/disk.c"
#include "disk/throttle.c"
#include "disk/medium.c"

/*--------------------------------------------------------------------*/
/* Stubs of all that the medium calls, except its disk. */

/* When the last wait was to end, how many there were, and what they do. */
static uint64_t wait_end;
static unsigned waits;
static int (*while_waiting) (struct medium *m);
static struct medium *waiting_for;

void
request_wake (void)
{
}

void
stats_wait (bool begins)
{
  (void) begins;
}

int
request_wait_until (const struct connection *conn, uint64_t end,
                    bool (*over) (const void *context), const void *context)
{
  int err = 0;

  (void) conn;
  waits++;
  wait_end = end;
  if (sys_now () < end && !over (context) && while_waiting)
    err = while_waiting (waiting_for);
  return err;
}

int
request_add_extent (struct request *req, uint64_t offset, uint64_t count,
                    bool data)
{
  (void) req;
  (void) offset;
  (void) count;
  (void) data;
  return 0;
}

bool
request_wants_one (const struct request *req)
{
  (void) req;
  return false;
}

double
chance_fraction (uint64_t random)
{
  return (double) (random >> 11) * 0x1p-53;
}

/*--------------------------------------------------------------------*/
/* A disk of 20 sectors and a bit, with a medium. */

#define SECTOR MEDIUM_SECTOR
#define SIZE ((uint64_t) 20 * SECTOR + 100)

static struct disk *
new_disk (uint64_t size)
{
  struct disk *d = calloc (1, sizeof *d);

  if (store_create (size, &d->store) != 0
      || (d->medium = medium_new (size)) == NULL)
    abort ();
  return d;
}

static void
end_disk (struct disk *d)
{
  medium_free (d->medium);
  fill_free (d->fill);
  store_free (d->store);
  free (d);
}

static const char *why;

/* Send a request through the medium. */
static int
pass (struct disk *d, enum op op, void *buf, uint64_t count, uint64_t offset)
{
  const struct connection conn = { .disk = d };
  struct request req = { .op = op, .buf = buf, .count = (uint32_t) count,
                         .offset = offset, .conn = &conn, .why = "before" };
  int err = medium_pass (&req);

  why = req.why;
  return err;
}

static int
reads (struct disk *d, uint64_t count, uint64_t offset)
{
  char buf[SIZE];

  return pass (d, OP_READ, buf, count, offset);
}

static int
writes (struct disk *d, char byte, uint64_t count, uint64_t offset)
{
  char buf[SIZE];

  memset (buf, byte, count);
  return pass (d, OP_WRITE, buf, count, offset);
}

static char
byte_at (struct disk *d, uint64_t offset)
{
  char c = '?';

  disk_read (d, &c, 1, offset, NULL);
  return c;
}

/* Does the store hold COUNT times this byte? */
static bool
holds (struct disk *d, char byte, uint64_t count, uint64_t offset)
{
  char buf[SIZE], expected[SIZE];

  memset (expected, byte, count);
  store_read (d->store, buf, count, offset);
  return memcmp (buf, expected, count) == 0;
}

/*--------------------------------------------------------------------*/

static void
test_wants (void)
{
  struct disk *d = new_disk (SIZE), bare = { .store = d->store };
  struct medium *m = d->medium;

  ok (medium_wants (d) == 0 && !medium_may_wait (m),
      "a new medium wants no request");
  ok (medium_wants (&bare) == 0, "nor does a disk without a medium");
  ok (writes (&bare, 'x', SIZE, 0) == 0 && reads (&bare, SIZE, 0) == 0
      && !why, "... which performs requests");

  medium_bad (m, 1, 0);
  ok (medium_wants (d) == (OP (READ) | OP (CACHE) | CHANGES), "bad sectors");
  medium_heal (m, SIZE, 0);
  ok (medium_wants (d) == 0, "... healed");

  medium_readonly (m, true);
  ok (medium_wants (d) == CHANGES, "write protection");
  medium_readonly (m, false);
  medium_limit (m, 0);
  ok (medium_wants (d) == CHANGES, "a limit");
  medium_limit (m, UINT64_MAX);
  ok (medium_wants (d) == 0, "neither");

  medium_throttle (m, 0, 5);
  ok (medium_wants (d) == (OP (READ) | OP (FLUSH) | CHANGES)
      && medium_may_wait (m), "a rate");
  medium_bad (m, 1, 0);
  medium_throttle (m, 0, 0);
  ok (medium_wants (d) == (OP (READ) | OP (CACHE) | CHANGES)
      && !medium_may_wait (m), "what remains when one of two goes");
  end_disk (d);
}

/* Sectors 4 to 6 are bad. */
static void
test_bad (void)
{
  struct disk *d = new_disk (SIZE);
  struct medium *m = d->medium;

  writes (d, 'a', SIZE, 0);
  medium_bad (m, 2 * SECTOR, 4 * SECTOR + 1);

  ok (reads (d, 4 * SECTOR, 0) == 0
      && reads (d, SIZE - 7 * SECTOR, 7 * SECTOR) == 0, "read around them");
  ok (reads (d, 1, 7 * SECTOR - 1) == EIO && strcmp (why, "disk:bad") == 0
      && reads (d, SIZE, 0) == EIO, "read the last of them");
  ok (pass (d, OP_CACHE, NULL, 1, 4 * SECTOR) == EIO, "cache one");
  ok (pass (d, OP_EXTENTS, NULL, SIZE, 0) == 0 && !why
      && pass (d, OP_FLUSH, NULL, 0, 0) == 0, "block status and flush");
  ok (reads (d, 0, 4 * SECTOR) == 0 && writes (d, 'b', 0, 4 * SECTOR + 1) == 0,
      "nothing of one");

  ok (writes (d, 'b', SECTOR + 1, 3 * SECTOR) == EIO
      && holds (d, 'a', SIZE, 0), "write the beginning of one: nothing is done");
  ok (writes (d, 'b', SECTOR + 1, 7 * SECTOR - 1) == EIO
      && holds (d, 'a', SIZE, 0), "write the end of one");
  ok (pass (d, OP_ZERO, NULL, 2 * SECTOR, 4 * SECTOR + 1) == EIO
      && holds (d, 'a', SIZE, 0), "zero with a part of two");
  ok (pass (d, OP_TRIM, NULL, 2, 4 * SECTOR) == 0
      && reads (d, 1, 4 * SECTOR) == EIO, "a trim of a part mends nothing");

  ok (writes (d, 'c', SECTOR + 2, 4 * SECTOR - 1) == EIO
      && reads (d, 1, 4 * SECTOR) == EIO,
      "a write that ends in a bad one mends none");
  ok (writes (d, 'c', SECTOR + 1, 4 * SECTOR - 1) == 0
      && reads (d, SECTOR, 4 * SECTOR) == 0
      && reads (d, 1, 5 * SECTOR) == EIO, "a write mends those that it covers");
  ok (pass (d, OP_TRIM, NULL, SECTOR + 1, 5 * SECTOR) == 0
      && reads (d, SECTOR, 5 * SECTOR) == 0
      && reads (d, 1, 6 * SECTOR) == EIO, "a trim does");
  ok (pass (d, OP_ZERO, NULL, SECTOR, 6 * SECTOR) == 0
      && reads (d, SIZE, 0) == 0 && medium_wants (d) == 0, "a zero does");
  end_disk (d);
}

static void
test_find (void)
{
  struct disk *d = new_disk (SIZE);
  struct medium *m = d->medium;
  uint64_t count = 1, offset = 2;

  ok (!medium_bad_find (m, SIZE, 0, &count, &offset)
      && count == 1 && offset == 2, "no bad sector is found");
  medium_bad (m, SECTOR, SECTOR);
  medium_bad (m, 1, SIZE - 1);
  ok (medium_bad_find (m, SIZE, 0, &count, &offset)
      && count == SECTOR && offset == SECTOR, "the first one");
  ok (medium_bad_find (m, SIZE - 2 * SECTOR, 2 * SECTOR, &count, &offset)
      && offset == 20 * SECTOR && count == 100, "the last one is short");
  ok (!medium_bad_find (m, 18 * SECTOR, 2 * SECTOR, &count, &offset),
      "none between them");

  ok (writes (d, 'x', 99, 20 * SECTOR) == EIO, "write a part of the short one");
  ok (writes (d, 'x', 100, 20 * SECTOR) == 0
      && reads (d, 100, 20 * SECTOR) == 0, "... all of it: it is mended");
  end_disk (d);
}

/* To mend the middle of a range takes memory for another one. */
static void
test_memory (void)
{
  struct disk *d = new_disk (SIZE);

  medium_bad (d->medium, 3 * SECTOR, SECTOR);
  medium_bad (d->medium, SECTOR, 12 * SECTOR);
  countdown = 0;
  ok (writes (d, 'x', SECTOR, 2 * SECTOR) == ENOMEM, "mend without memory");
  countdown = -1;
  ok (reads (d, 1, 2 * SECTOR) == EIO, "... the sector is still bad");
  ok (writes (d, 'x', SECTOR, 2 * SECTOR) == 0
      && reads (d, SECTOR, 2 * SECTOR) == 0
      && reads (d, 1, SECTOR) == EIO && reads (d, 1, 3 * SECTOR) == EIO,
      "... and then mended");
  countdown = 0;
  ok (medium_bad (d->medium, SECTOR, 9 * SECTOR) == ENOMEM
      && reads (d, SECTOR, 9 * SECTOR) == 0, "spoil without memory");
  countdown = -1;
  end_disk (d);
}

/* How many sectors are bad; and the ranges as a number. */
static uint64_t
count_bad (struct medium *m, uint64_t size, uint64_t *hash)
{
  uint64_t n = 0, at = 0, count, offset;

  for (*hash = 0; at < size && medium_bad_find (m, size - at, at, &count,
                                                &offset); at = offset + count) {
    n += count / SECTOR;
    *hash = chance_mix (*hash ^ offset) ^ count;
  }
  return n;
}

static int
spoil_share (struct medium *m, double p, uint64_t seed, uint64_t count,
             uint64_t offset)
{
  struct medium_share share;
  int err = 0;

  if (!medium_share (&share, p, seed, count, offset))
    return E2BIG;
  while (share.sector < share.end && !err)
    err = medium_share_draw (&share);
  if (!err)
    err = medium_bad_share (m, &share);
  ranges_clear (&share.drawn);
  return err;
}

static void
test_share (void)
{
  const uint64_t size = UINT64_C (100000) * SECTOR;
  uint64_t n[3], hash[3];
  struct disk *d;
  bool right = true;
  int err;

  for (unsigned i = 0; i < 3; i++) {
    d = new_disk (size);
    spoil_share (d->medium, 0.25, i == 2 ? 8 : 7, size, 0);
    n[i] = count_bad (d->medium, size, &hash[i]);
    end_disk (d);
  }
  ok (n[0] > 24000 && n[0] < 26000 && n[2] > 24000 && n[2] < 26000,
      "a quarter: %llu and %llu of 100000", (unsigned long long) n[0],
      (unsigned long long) n[2]);
  ok (hash[0] == hash[1] && n[0] == n[1], "the same seed, the same sectors");
  ok (hash[0] != hash[2], "another seed, others");

  d = new_disk (40 * SECTOR);
  medium_bad (d->medium, SECTOR, 3 * SECTOR);
  n[0] = count_bad (d->medium, 40 * SECTOR, &hash[0]);
  n[2] = 0;
  do {
    countdown = (long) n[2]++;
    err = spoil_share (d->medium, 0.5, 1, 40 * SECTOR, 0);
    countdown = -1;
    n[1] = count_bad (d->medium, 40 * SECTOR, &hash[1]);
    right = right && (!err || (err == ENOMEM && n[1] == n[0] && hash[1] == hash[0]));
  }
  while (err && n[2] < 100);
  ok (right && !err && n[2] > 6 && n[1] > n[0] + 8 && reads (d, 1, 3 * SECTOR) == EIO,
      "%llu allocations fail one by one: none is made", (unsigned long long) n[2] - 1);
  end_disk (d);

  d = new_disk (STORE_MAX_SIZE);
  ok (spoil_share (d->medium, 0.5, 1, STORE_MAX_SIZE, 0) == E2BIG
      && medium_wants (d) == 0, "too many ranges: none is made");
  ok (spoil_share (d->medium, 0, 1, STORE_MAX_SIZE, 0) == 0
      && medium_wants (d) == 0, "none");
  ok (spoil_share (d->medium, 1, 1, 3 * SECTOR, 1) == 0
      && count_bad (d->medium, STORE_MAX_SIZE, &hash[0]) == 4,
      "all that a range touches");
  end_disk (d);
}

static int
initial (void *context, void *buf, uint64_t count, uint64_t offset)
{
  (void) context;
  (void) offset;
  memset (buf, 'i', count);
  return 0;
}

static void
test_limit (void)
{
  struct disk *d = new_disk (4 * STORE_PAGE);
  struct medium *m = d->medium;

  medium_limit (m, STORE_PAGE);
  ok (writes (d, 'a', 2, STORE_PAGE - 1) == ENOSPC
      && strcmp (why, "disk:limit") == 0 && disk_allocated (d) == 0,
      "a write to two pages, where there is room for one: nothing is done");
  ok (writes (d, 'a', 2, 5) == 0, "to one page");
  ok (writes (d, 'b', 1, STORE_PAGE) == ENOSPC, "to another one");
  ok (writes (d, 'b', 100, 0) == 0 && holds (d, 'b', 100, 0),
      "to the same one");
  ok (pass (d, OP_ZERO, NULL, 1, STORE_PAGE) == 0
      && pass (d, OP_TRIM, NULL, 1, 0) == 0 && disk_allocated (d) == STORE_PAGE,
      "zero and trim need no room");
  ok (pass (d, OP_TRIM, NULL, STORE_PAGE, 0) == 0
      && writes (d, 'c', 1, STORE_PAGE) == 0, "what was trimmed is free");
  medium_limit (m, UINT64_MAX);
  ok (writes (d, 'd', 1, 2 * STORE_PAGE) == 0, "no limit any more");

  d->fill = fill_new (d->store, initial);
  medium_limit (m, disk_allocated (d));
  ok (pass (d, OP_ZERO, NULL, 1, 3 * STORE_PAGE) == ENOSPC,
      "zero of a part of initial content does");
  ok (pass (d, OP_TRIM, NULL, 1, 3 * STORE_PAGE) == 0 && !why
      && byte_at (d, 3 * STORE_PAGE) == 'i', "a trim leaves that part alone");
  ok (pass (d, OP_TRIM, NULL, STORE_PAGE + 1, 2 * STORE_PAGE) == 0
      && byte_at (d, 3 * STORE_PAGE - 1) == 0
      && byte_at (d, 3 * STORE_PAGE) == 'i',
      "... and does what needs no room");
  medium_limit (m, disk_allocated (d));
  ok (pass (d, OP_ZERO, NULL, STORE_PAGE, 3 * STORE_PAGE) == 0
      && byte_at (d, 3 * STORE_PAGE) == 0, "a whole page needs none");
  end_disk (d);
}

/* The limit is on what the disk and its clones hold together. */
static void
test_limit_clone (void)
{
  struct disk *d = new_disk (4 * STORE_PAGE), snapshot = { .name = NULL };

  medium_limit (d->medium, 5 * STORE_PAGE);
  writes (d, 'a', 1, 0);
  writes (d, 'a', 1, STORE_PAGE);
  writes (d, 'a', 1, 2 * STORE_PAGE);
  writes (d, 'a', 1, 3 * STORE_PAGE);
  if (store_clone (d->store, &snapshot.store) != 0)
    abort ();
  ok (writes (d, 'b', 1, 0) == 0 && disk_allocated (d) == 5 * STORE_PAGE
      && disk_stored (d) == 4 * STORE_PAGE, "a page that is shared is copied");
  ok (writes (d, 'b', 1, 3 * STORE_PAGE) == ENOSPC && writes (d, 'b', 9, 0) == 0,
      "there is no room for another copy");
  ok (pass (d, OP_ZERO, NULL, 9, 3 * STORE_PAGE) == ENOSPC
      && pass (d, OP_TRIM, NULL, 9, 3 * STORE_PAGE) == 0
      && byte_at (d, 3 * STORE_PAGE) == 'a', "nor to zero a part of one");
  ok (pass (d, OP_ZERO, NULL, STORE_PAGE, 3 * STORE_PAGE) == 0
      && disk_stored (d) == 3 * STORE_PAGE
      && disk_allocated (d) == 5 * STORE_PAGE, "a whole one is dropped");
  store_free (snapshot.store);
  ok (writes (d, 'b', 1, 3 * STORE_PAGE) == 0
      && disk_allocated (d) == 4 * STORE_PAGE, "a clone that ends makes room");
  end_disk (d);
}

/* What is trimmed needs memory only to note that its content is gone: without it
 * the content stays.
 */
static void
test_trim_memory (void)
{
  struct disk *d = new_disk (4 * STORE_PAGE);

  d->fill = fill_new (d->store, initial);
  countdown = 0;
  ok (pass (d, OP_TRIM, NULL, STORE_PAGE, STORE_PAGE) == 0
      && countdown == -1 && byte_at (d, STORE_PAGE) == 'i',
      "a trim without memory does nothing");
  countdown = 0;
  ok (pass (d, OP_ZERO, NULL, STORE_PAGE, STORE_PAGE) == ENOMEM
      && byte_at (d, STORE_PAGE) == 'i', "a zero fails");
  countdown = -1;
  ok (pass (d, OP_TRIM, NULL, STORE_PAGE, STORE_PAGE) == 0
      && byte_at (d, STORE_PAGE) == 0, "with memory it is done");
  end_disk (d);
}

static void
test_readonly (void)
{
  struct disk *d = new_disk (SIZE);

  writes (d, 'a', SIZE, 0);
  medium_readonly (d->medium, true);
  ok (writes (d, 'b', 1, 0) == EPERM && strcmp (why, "disk:readonly") == 0
      && pass (d, OP_ZERO, NULL, 1, 0) == EPERM
      && pass (d, OP_TRIM, NULL, 1, 0) == EPERM && holds (d, 'a', SIZE, 0),
      "no changes");
  ok (reads (d, 1, 0) == 0 && pass (d, OP_FLUSH, NULL, 0, 0) == 0 && !why,
      "but reads and flushes");
  medium_bad (d->medium, 1, 0);
  ok (reads (d, 1, 0) == EIO && writes (d, 'b', SECTOR, 0) == EPERM,
      "a bad sector is not mended");
  end_disk (d);
}

/*--------------------------------------------------------------------*/
/* Rates: so low that no pause between two calls makes up for one request. */

static int
gone (struct medium *m)
{
  (void) m;
  return ESHUTDOWN;
}

static int
no_rate (struct medium *m)
{
  medium_throttle (m, 0, 0);
  return 0;
}

/* While one waits, one that came before it leaves. */
static struct ticket before;

static int
one_leaves (struct medium *m)
{
  while_waiting = NULL;
  throttle_leave (&m->throttle, &before);
  return 0;
}

static void
test_move_up (void)
{
  struct disk *d = new_disk (SIZE);
  struct medium *m = d->medium;
  uint64_t first;

  medium_throttle (m, 1, 0);
  reads (d, 1, 0);
  first = wait_end;
  throttle_join (&m->throttle, &before, 500, sys_now ());
  waits = 0;
  while_waiting = one_leaves;
  waiting_for = m;
  ok (reads (d, 10, 0) == 0 && waits == 2 && wait_end == first + 10 * SECOND,
      "who waits notices that it moves up");
  end_disk (d);
}

static void
test_throttle (void)
{
  struct disk *d = new_disk (SIZE);
  uint64_t first;

  medium_throttle (d->medium, 1, 0);
  ok (writes (d, 'a', 512, 0) == 0, "wait");
  first = wait_end;
  ok (reads (d, 100, 0) == 0 && wait_end == first + 100 * SECOND,
      "a byte a second");
  pass (d, OP_FLUSH, NULL, 0, 0);
  pass (d, OP_TRIM, NULL, SIZE, 0);
  ok (reads (d, 1, 0) == 0 && wait_end == first + 101 * SECOND,
      "what moves no bytes costs none");
  waits = 0;
  pass (d, OP_CACHE, NULL, 1, 0);
  pass (d, OP_EXTENTS, NULL, 1, 0);
  ok (waits == 0, "cache and block status do not wait");

  while_waiting = gone;
  ok (writes (d, 'z', 512, 0) == ESHUTDOWN && !why && holds (d, 0, 512, 0),
      "a client that leaves has written nothing");
  while_waiting = NULL;
  ok (reads (d, 1, 0) == 0 && wait_end == first + 102 * SECOND,
      "... and nothing else is different");

  while_waiting = no_rate;
  waiting_for = d->medium;
  waits = 0;
  ok (writes (d, 'b', 512, 0) == 0 && holds (d, 'b', 512, 0) && waits == 2,
      "another rate: all queue up again");
  while_waiting = NULL;
  end_disk (d);
}

/* Two disks have nothing to do with each other. */
static void
test_two (void)
{
  struct disk *a = new_disk (SIZE), *b = new_disk (SIZE);

  medium_bad (a->medium, SIZE, 0);
  medium_readonly (b->medium, true);
  ok (reads (a, 1, 0) == EIO && reads (b, 1, 0) == 0
      && writes (a, 'a', SIZE, 0) == 0 && writes (b, 'b', 1, 0) == EPERM,
      "each disk has its own medium");
  end_disk (a);
  end_disk (b);
}

int
main (void)
{
  test_wants ();
  test_bad ();
  test_find ();
  test_memory ();
  test_share ();
  test_limit ();
  test_limit_clone ();
  test_trim_memory ();
  test_readonly ();
  test_throttle ();
  test_move_up ();
  test_two ();
  return done_testing ();
}
