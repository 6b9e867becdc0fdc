/* Memory runs out at each allocation in turn of what a volatile cache does, there and
 * perhaps from there on: that fails, nothing has changed, neither what the disk holds nor
 * what a power cut may leave, the same then works, and nothing leaks.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tap.h"

/* The allocation with this number fails, and all later ones, if STAYS; others work. */
static long fail_at = -1, allocations;
static bool stays;

/* How many blocks are allocated and not yet freed. */
static long blocks;

static bool
fails (void)
{
  const long n = allocations++;

  return n == fail_at || (stays && fail_at >= 0 && n > fail_at);
}

static void *
counted (void *p)
{
  blocks += p != NULL;
  return p;
}

static void *
test_malloc (size_t size)
{
  return fails () ? NULL : counted (malloc (size));
}

static void *
test_calloc (size_t n, size_t size)
{
  return fails () ? NULL : counted (calloc (n, size));
}

static void *
test_realloc (void *p, size_t size)
{
  if (fails ())
    return NULL;
  blocks += !p;
  return realloc (p, size);
}

static char *
test_strdup (const char *s)
{
  return fails () ? NULL : counted (strdup (s));
}

static void *
test_aligned_alloc (size_t alignment, size_t size)
{
  return fails () ? NULL : counted (aligned_alloc (alignment, size));
}

static void
test_free (void *p)
{
  blocks -= p != NULL;
  free (p);
}

static void *
test_mmap (void *addr, size_t size, int prot, int flags, int fd, off_t offset)
{
  if (fails ()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return mmap (addr, size, prot, flags, fd, offset);
}

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#undef strdup
#define malloc test_malloc
#define calloc test_calloc
#define realloc test_realloc
#define strdup test_strdup
#define aligned_alloc test_aligned_alloc
#define free test_free
#define mmap test_mmap

/* Each region of the store is an allocation of its own. */
#define CHUNK_REGIONS 2
#include "tiny-store.h"
#include "lib/array.c"
#include "lib/blocks.c"
#define BLOCK_RANGES 2
#include "lib/ranges.c"
#define seed chance_seed
#include "lib/chance.c"
#undef seed
#include "lib/sys.c"
#include "lib/text.c"
#include "disk/fill.c"
#include "disk/view.c"
#include "disk/content.c"
#include "disk/versions.c"
#include "disk/history.c"
#include "disk/point.c"
#include "disk/moment.c"
#include "disk/cache.c"
#include "disk/lost.c"
#include "disk/choice.c"
#include "disk/disk.c"
#include "disk/throttle.c"
#include "disk/medium.c"
#include "disk/list.c"
#include "lib/digest.c"
#include "disk/replay.c"
#include "disk/crash.c"

/*--------------------------------------------------------------------*/
/* Stubs. */

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
  (void) conn;
  (void) end;
  (void) over;
  (void) context;
  return 0;
}

int
request_add_extent (struct request *req, uint64_t offset, uint64_t count, bool data)
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

/*--------------------------------------------------------------------*/
/* Requests to a disk of 12 sectors and a bit. */

#define SECTOR 512
#define SIZE (12 * SECTOR + 100)

static struct connection conn;
static uint8_t data[SIZE];

/* A request from its entry to its completion. */
static int
request (enum op op, uint64_t count, uint64_t offset, uint8_t byte, uint32_t flags)
{
  struct visit visit;
  struct request req = {
    .op = op, .count = (uint32_t) count, .offset = offset, .buf = data,
    .flags = flags, .conn = &conn,
  };
  int err = disk_enter (&req, &visit);

  memset (data, byte, sizeof data);
  return err ? err : disk_leave (&req, medium_pass (&req));
}

/* What the disk holds, and what some cuts would leave, one after the other. */
#define CHOICES 12
static uint8_t now[CHOICES][SIZE], before[CHOICES][SIZE];

static void
look (uint8_t images[][SIZE])
{
  static const char *const names[CHOICES] = {
    "all", "none", "sectors-1", "sectors-2", "sectors-3", "sectors-4", "sectors-5",
    "reqs-1", "reqs-2", "reqs-3", "prefix-1", "prefix-2"
  };
  char why[200];

  for (size_t i = 0; i < CHOICES; i++) {
    struct patches patches = { NULL, 0, 0 };
    struct choice choice;
    struct loss loss;
    struct view *view;

    disk_read (conn.disk, images[i], SIZE, 0, NULL);
    if (choice_parse (names[i], &choice, why, sizeof why)
        || choice_make (&choice, cache_lock (conn.disk->cache), SIZE, &patches, &loss,
                        why, sizeof why)
        || !(view = view_new (&patches)))
      abort ();
    cache_unlock (conn.disk->cache);
    view_apply (view, images[i], SIZE, 0);
    view_free (view);
    choice_free (&choice);
  }
}

/*--------------------------------------------------------------------*/
/* What is tried, in this order.  Each returns 0 or an errno code. */

static struct disk *state, *inner;
static char why[700];

static int write_hole (void) { return request (OP_WRITE, 3000, 100, 1, 0); }
static int write_over (void) { return request (OP_WRITE, 1500, 1000, 2, 0); }
static int zero_part (void) { return request (OP_ZERO, 700, 1300, 0, 0); }
static int snapshot (void) { return disk_snapshot (conn.disk, "s"); }
static int snapshot_2 (void) { return disk_snapshot (conn.disk, "2"); }
static int write_shared (void) { return request (OP_WRITE, 4000, 0, 3, 0); }
static int fua (void)
{
  return request (OP_WRITE, 600, 300, 4, NBDKIT_FLAG_FUA);
}
static int medium_write (void)
{
  return disk_write (conn.disk, data, 100, 4200, NULL);
}
static int
medium_write_long (void)
{
  memset (data, 8, sizeof data);
  return disk_write (conn.disk, data, SIZE - 150, 100, NULL);
}
static int medium_zero (void) { return disk_zero (conn.disk, 5000, 100, NULL); }
static int zero_shared (void) { return request (OP_ZERO, 5000, 100, 0, 0); }
static int zero_all (void) { return request (OP_ZERO, SIZE, 0, 0, 0); }

/* A flush that fails, and drops what it covers: it had two versions of some sectors. */
static int
drop (void)
{
  struct visit visit;
  struct request req = { .op = OP_FLUSH, .conn = &conn };
  int err = disk_enter (&req, &visit);

  visit.drops = true;
  err = disk_leave (&req, EIO);
  return err == EIO ? 0 : err ? err : EINVAL;
}

static int
open_one (const char *name, struct disk **d)
{
  *d = crash_open (name, why, sizeof why);
  return *d ? 0 : strcmp (why, "out of memory") == 0 ? ENOMEM : EINVAL;
}

static int make_outer (void) { return open_one ("crash/now/sectors-1+cache", &state); }
static int write_state (void)
{
  const struct connection live = conn;
  int err;

  conn.disk = state;
  err = request (OP_WRITE, 1000, 700, 5, 0);
  conn = live;
  return err;
}
static int open_inner (void)
{
  return open_one ("crash/now/sectors-1+cache/crash/now/sectors-2", &inner);
}
static int
revert (void)
{
  struct disk *d = disk_get ("s");
  const int err = disk_revert (conn.disk, d);

  disk_put (d);
  return err;
}
static int write_again (void) { return request (OP_WRITE, 5000, 50, 6, 0); }
static int flush (void) { return request (OP_FLUSH, 0, 0, 0, 0); }
static int
power_cut (void)
{
  static const struct crash_cut cut = { "sectors-3", false, false };

  return crash_cut (&cut, why, sizeof why)
    ? strcmp (why, "out of memory") == 0 ? ENOMEM : EINVAL : 0;
}

static const struct step {
  const char *name;
  int (*go) (void);
  long least;                   /* so many allocations at least can fail */
} steps[] = {
  { "a write to a hole", write_hole, 2 }, { "a write over it", write_over, 3 },
  { "a zero of a part", zero_part, 3 }, { "a snapshot", snapshot, 3 },
  { "a write to shared pages", write_shared, 4 }, { "FUA", fua, 3 },
  { "another write", write_again, 3 }, { "a write to the medium", medium_write, 1 },
  { "a zero of all", zero_all, 3 },
  { "a flush that drops", drop, 2 }, { "a write", write_over, 1 },
  { "another snapshot", snapshot_2, 3 }, { "a zero of the medium", medium_zero, 1 },
  { "a write after it", write_again, 3 },
  { "a crash state", make_outer, 5 },
  { "a write to it", write_state, 3 }, { "its own crash state", open_inner, 5 },
  { "a power cut", power_cut, 1 },
};

/* Put a list of free regions in front of those that the store of the disk has; gives those
 * that it had, if there are none in front.
 */
static uintptr_t
free_regions (uintptr_t list)
{
  struct family *f = conn.disk->store->family;
  const uintptr_t had = f->free_regions;
  uintptr_t *end = &list;

  while (*end)
    end = region_uses (*end);
  *end = list ? had : 0;
  f->free_regions = list;
  return had;
}

/* Is each sector up to some place what the long write to the medium makes of it, whatever a
 * cut loses, and has nothing changed from there on?  (The beginning of the first sector is
 * what the disk held.)
 */
static bool
prefix_written (void)
{
  uint64_t at = 0, len;
  bool written = true;

  for (; at < SIZE; at += len) {
    bool whole = true, same = true;

    len = min_u64 (SECTOR, SIZE - at);
    for (size_t i = 0; i < CHOICES; i++) {
      same = same && memcmp (now[i] + at, before[i] + at, len) == 0;
      whole = whole && now[i][at + len - 51] == 8
        && memcmp (now[i] + at, now[0] + at, len) == 0;
    }
    written = written && whole;
    if (!written && !same)
      return false;
  }
  return true;
}

/* Has nothing changed, or what may have?  After an error. */
static bool
is_as_before (const struct step *s)
{
  look (now);
  return s->go == medium_write_long ? prefix_written ()
    : memcmp (now, before, sizeof now) == 0;
}

/* How many changes there are in the history. */
static uint64_t
recorded (void)
{
  const struct history *h = cache_history (conn.disk->cache);

  return h ? h->changes : 0;
}

/* Try a step when allocation N fails, and the store must allocate what it needs; after an
 * error, has nothing changed?
 */
static int
try_once (const struct step *s, long n, bool *same)
{
  const uintptr_t spare = free_regions (0);
  const uint64_t changes = recorded ();
  int err;

  allocations = 0;
  fail_at = n;
  err = s->go ();
  fail_at = -1;
  if (spare)
    free_regions (spare);
  *same = *same && (!err || (err == ENOMEM && is_as_before (s)));
  if (err && s->go != medium_write_long)
    *same = *same && recorded () == changes;
  return err;
}

/* Let each allocation of a step fail in turn, and all after it, until none does. */
static void
try_step (const struct step *s)
{
  long n = 0;
  bool same = true;
  int err;

  look (before);
  do {
    stays = true;
    err = try_once (s, n, &same);
    stays = false;
    if (err)
      err = try_once (s, n, &same);
  }
  while (err && n++ < 100);
  ok (same && !err && n >= s->least, "%s: %ld allocations fail one by one", s->name, n);
}

/* Past moments, where there is a history. */
static struct disk *past;
static int mark (void)
{
  return crash_mark ("a", why, sizeof why)
    ? strcmp (why, "out of memory") == 0 ? ENOMEM : EINVAL : 0;
}
static int open_past (void) { return open_one ("crash/before-3/sectors-1+cache", &past); }
static int write_past (void)
{
  const struct connection live = conn;
  int err;

  conn.disk = past;
  err = request (OP_WRITE, 1000, 700, 5, 0);
  conn = live;
  return err;
}

static char file[] = "/tmp/cache-memory-XXXXXX";
static int saved = -1;
static int save (void) { return replay_save (saved, why, sizeof why); }

static const struct step past_steps[] = {
  { "a mark", mark, 1 }, { "a past moment", open_past, 5 },
  { "a write to it", write_past, 3 }, { "a write later", write_over, 3 },
  { "reverting", revert, 1 }, { "saving", save, 2 },
};

static void
try_past (void)
{
  bool succeeds = true;

  for (size_t i = 0; i < sizeof past_steps / sizeof past_steps[0]; i++)
    try_step (&past_steps[i]);
  disk_put (past);
  /* A flush has succeeded, and must not fail because it can't be recorded. */
  for (int i = 0; i < 100; i++) {
    allocations = 0;
    fail_at = 0;
    succeeds = flush () == 0 && succeeds;
    fail_at = -1;
  }
  ok (succeeds, "a flush that can't be recorded succeeds");
  ok (open_one ("crash/1/none", &past) == EINVAL && strstr (why, "history is lost"),
      "the history is lost: %s", why);
}

static void
try_all (const struct disk_cache *how)
{
  if (disk_start (SIZE) != 0 || disk_set_cache (disk_live (), how) != 0)
    abort ();
  conn = (struct connection) {
    .id = 1, .disk = disk_live (), .cuts = disk_cuts (disk_live ()),
  };
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
    try_step (&steps[i]);
  ok (write_again () == ESHUTDOWN && crash_power_on (why, sizeof why) == 0
      && write_again () == 0 && flush () == 0
      && disk_unflushed (conn.disk).requests == 0, "power is back");
  ok (disk_unflushed (state).requests == 1, "the state has a cache of its own");
  disk_put (inner);
  disk_put (state);
  ok (!disk_get ("crash/now/sectors-1+cache"), "the state has gone");
  ok (revert () == 0, "revert");
  if (how->history)
    try_past ();
  disk_stop ();
}

/* A request of two parts; between them another one makes the history full. */
static void
try_late_part (void)
{
  const struct disk_cache how = { SECTOR, 0, 2 * SECTOR, NULL };
  struct disk_cache found = { .sector = 0 };
  struct visit visit, later;
  struct request whole = { .op = OP_WRITE, .count = 2 * SECTOR, .buf = data, .conn = &conn,
                           .visit = &visit };
  struct request part = whole, other = whole;
  int err;

  if (disk_start (SIZE) != 0 || disk_set_cache (disk_live (), &how) != 0)
    abort ();
  conn = (struct connection) {
    .id = 1, .disk = disk_live (), .cuts = disk_cuts (disk_live ()),
  };
  disk_enter (&whole, &visit);
  part.whole = other.whole = &whole;
  part.count = SECTOR;
  err = cache_apply (conn.disk->cache, &part);
  other.whole = NULL;
  other.offset = 8 * SECTOR;
  disk_enter (&other, &later);
  err = err ? err : cache_apply (conn.disk->cache, &other);
  part.offset = SECTOR;
  err = err ? err : cache_apply (conn.disk->cache, &part);
  cache_leave (conn.disk->cache, &other, 0);
  cache_leave (conn.disk->cache, &whole, 0);
  err = err ? err : replay_save (saved, why, sizeof why);
  disk_stop ();
  ok (err == 0 && replay_start (file, &found, why, sizeof why) == 0,
      "what was written after the end is not in the file");
  disk_stop ();
}

static const struct step shared_steps[] = {
  { "a zero", zero_shared, 5 }, { "a zero of the medium", medium_zero, 2 },
  { "a write", write_again, 8 }, { "a write to the medium", medium_write, 1 },
  { "a long write to the medium", medium_write_long, 5 },
};

/* Memory runs out in the midst of a change of pages that a snapshot shares, some of which
 * are freed before others are copied.
 */
static void
try_shared (const struct step *s, const struct disk_cache *how)
{
  bool same = true;
  long n = -1;
  int err;

  do {
    if (disk_start (SIZE) != 0 || disk_set_cache (disk_live (), how) != 0)
      abort ();
    conn = (struct connection) {
      .id = 1, .disk = disk_live (), .cuts = disk_cuts (disk_live ()),
    };
    if (request (OP_WRITE, SIZE, 0, 7, 0) || flush () || write_again () || snapshot ())
      abort ();
    look (before);
    stays = true;
    err = try_once (s, ++n, &same);
    stays = false;
    disk_stop ();
  }
  while (err && n < 100);
  ok (same && !err && n >= s->least, "%s that shares pages: %ld allocations fail", s->name,
      n);
}

/* Which sectors are bad, as bits. */
static unsigned
bad_sectors (void)
{
  struct medium *m = disk_medium (conn.disk);
  uint64_t at = 0, count, offset;
  unsigned bits = 0;

  for (; at < SIZE && medium_bad_find (m, SIZE - at, at, &count, &offset);
       at = offset + count)
    for (uint64_t i = 0; i < count; i += SECTOR)
      bits |= 1u << (offset + i) / SECTOR;
  return bits;
}

/* A cut makes a sector of each request in flight bad: of all, or of none. */
static void
try_bad (const struct disk_cache *how)
{
  static const struct crash_cut cut = { "sectors-3", true, true };
  struct visit visits[4];
  struct request reqs[4];
  unsigned first, bad;
  bool same = true;
  long n = 0;
  int err = 0;

  if (disk_start (SIZE) != 0 || disk_set_cache (disk_live (), how) != 0)
    abort ();
  conn = (struct connection) {
    .id = 1, .disk = disk_live (), .cuts = disk_cuts (disk_live ()),
  };
  medium_bad (disk_medium (conn.disk), 1, SECTOR);
  for (unsigned i = 0; i < 4; i++) {
    reqs[i] = (struct request) {
      .op = OP_WRITE, .count = SECTOR, .offset = 3 * SECTOR * (i + 1), .buf = data,
      .conn = &conn,
    };
    reqs[i].count = i < 3 ? SECTOR : 100;       /* the last one is short */
    disk_enter (&reqs[i], &visits[i]);
    err = err ? err : cache_apply (conn.disk->cache, &reqs[i]);
  }
  if (err)
    abort ();
  first = bad_sectors ();
  look (before);
  do {
    allocations = 0;
    fail_at = n;
    err = crash_cut (&cut, why, sizeof why);
    fail_at = -1;
    if (err)
      look (now);
    bad = bad_sectors ();
    same = same && (!err || (strcmp (why, "out of memory") == 0 && bad == first
                             && memcmp (now, before, sizeof now) == 0));
  }
  while (err && n++ < 100);
  ok (same && !err && n >= 5, "a cut that makes sectors bad: %ld allocations fail", n);
  same = true;
  for (unsigned i = 0; i < 4; i++) {
    same = heal (disk_medium (conn.disk), &reqs[i]) == ESHUTDOWN && same;
    disk_leave (&reqs[i], 0);
  }
  ok (same && bad_sectors () == bad, "they stay so when those go on");
  ok (first == 1 << 1 && bad == (1 << 1 | 1 << 3 | 1 << 6 | 1 << 9 | 1 << 12),
      "one of each request (%x)", bad);
  medium_heal (disk_medium (conn.disk), SIZE, 0);
  ok (medium_info (disk_medium (conn.disk)).bad_ranges == 0, "on the disk, not beyond");
  disk_stop ();
}

/* The file that "saving" has made. */
static void
try_replay (void)
{
  struct disk_cache how;
  long n = 0;
  bool good = true;
  int err;

  do {
    how = (struct disk_cache) { .sector = 0 };
    allocations = 0;
    fail_at = n;
    err = replay_start (file, &how, why, sizeof why);
    fail_at = -1;
    good = good && (!err || err == ENOMEM);
    if (err)
      disk_stop ();
  }
  while (err && n++ < 1000);
  ok (good && !err && n > 20, "replaying: %ld allocations fail one by one", n);
  disk_stop ();
}

int
main (void)
{
  static const struct disk_cache plain = { SECTOR, 0, 0, NULL };
  static const struct disk_cache remembers = { SECTOR, 0, 1 << 30, NULL };
  const long first = blocks;

  saved = mkstemp (file);
  try_all (&plain);
  try_all (&remembers);
  for (size_t i = 0; i < sizeof shared_steps / sizeof shared_steps[0]; i++) {
    try_shared (&shared_steps[i], &plain);
    try_shared (&shared_steps[i], &remembers);
  }
  try_bad (&plain);
  try_bad (&remembers);
  try_replay ();
  try_late_part ();
  close (saved);
  unlink (file);
  ok (blocks == first, "nothing leaks (%ld blocks)", blocks - first);
  return done_testing ();
}
