/* Memory runs out at each allocation in turn: that request fails, the disk
 * is whole, the same request then works, and nothing leaks.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tap.h"

/* The allocation with this number fails; all others work. */
static long fail_at, allocations;

/* How much is allocated and not yet freed: blocks, and bytes mapped. */
static long blocks, mapped;

static bool
fails (void)
{
  return allocations++ == fail_at;
}

static void *
test_calloc (size_t n, size_t size)
{
  void *p = fails () ? NULL : calloc (n, size);

  blocks += p != NULL;
  return p;
}

static void *
test_malloc (size_t size)
{
  void *p = fails () ? NULL : malloc (size);

  blocks += p != NULL;
  return p;
}

static void *
test_aligned_alloc (size_t alignment, size_t size)
{
  void *p = fails () ? NULL : aligned_alloc (alignment, size);

  blocks += p != NULL;
  return p;
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
  void *p;

  if (fails ()) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  p = mmap (addr, size, prot, flags, fd, offset);
  if (p != MAP_FAILED)
    mapped += (long) size;
  return p;
}

static int
test_munmap (void *p, size_t size)
{
  mapped -= (long) size;
  return munmap (p, size);
}

#define malloc test_malloc
#define calloc test_calloc
#define aligned_alloc test_aligned_alloc
#define free test_free
#define mmap test_mmap
#define munmap test_munmap
#include "tiny-store.h"
#undef malloc
#undef free

#define SIZE 60000

/* The content that the disks should have. */
static char *a_bytes, *b_bytes, *c_bytes;

static bool
is_whole (struct store *s, const char *bytes)
{
  char buf[SIZE];

  store_read (s, buf, SIZE, 0);
  return memcmp (buf, bytes, SIZE) == 0;
}

/* Is S equal to NEW up to some byte, and to OLD from there on? */
static bool
is_prefix (struct store *s, const char *old, const char *new)
{
  char buf[SIZE];
  size_t i = 0;

  store_read (s, buf, SIZE, 0);
  while (i < SIZE && buf[i] == new[i])
    i++;
  return memcmp (buf + i, old + i, SIZE - i) == 0;
}

/* Write, or zero if C is 0; if that fails, check the disk and try again. */
static bool
change (struct store *s, char *bytes, uint64_t offset, uint64_t count, char c)
{
  char old[SIZE];
  int err;

  memcpy (old, bytes, SIZE);
  memset (bytes + offset, c, count);
  for (int i = 0; i < 2; i++) {
    err = c ? store_write (s, bytes + offset, count, offset)
            : store_zero (s, count, offset);
    if (err == 0)
      return is_whole (s, bytes);
    if (err != ENOMEM || !is_prefix (s, old, bytes))
      return false;
  }
  return false;
}

/* A byte in each region of a clone, and a clone of that, whose slots are mixed. */
static bool
scatter (struct store *b)
{
  struct store *c = NULL;
  bool good = true;

  for (uint64_t offset = 7; offset < SIZE && good; offset += 1024)
    good = change (b, b_bytes, offset, 1, 's');
  if (good && store_clone (b, &c) != 0)
    good = is_whole (b, b_bytes) && store_clone (b, &c) == 0;
  if (!good)
    return false;
  memcpy (c_bytes, b_bytes, SIZE);
  for (uint64_t offset = 7; offset < SIZE && good; offset += 512)
    good = change (c, c_bytes, offset, 1, 't')
      && change (b, b_bytes, offset, 65, 0);
  good = good && is_whole (b, b_bytes) && is_whole (c, c_bytes);
  store_free (c);
  return good;
}

/* The life of a disk, which uses each allocation in store.c. */
static bool
live (struct store *a)
{
  struct store *b = NULL;
  bool good = change (a, a_bytes, 100, 3000, 'a')
    && change (a, a_bytes, 10000, 10000, 'b');

  if (good && store_clone (a, &b) != 0)
    good = is_whole (a, a_bytes) && a->family->stores == 1
      && store_clone (a, &b) == 0;
  if (!good)
    return false;
  memcpy (b_bytes, a_bytes, SIZE);

  good = change (b, b_bytes, 200, 100, 'c')
    && change (a, a_bytes, 1500, 9000, 'd')
    && change (b, b_bytes, 12000, 100, 0)
    && change (a, a_bytes, 11000, 3000, 0)
    && scatter (b)
    && change (b, b_bytes, 0, SIZE, 'e')
    && is_whole (a, a_bytes);
  if (store_reserve (a, false) != 0)
    good = good && is_whole (a, a_bytes) && store_reserve (a, false) == 0;
  good = good && is_whole (a, a_bytes) && is_whole (b, b_bytes);
  store_free (b);
  return good;
}

static bool
one_life (void)
{
  struct store *a = NULL;
  bool good;

  memset (a_bytes, 0, SIZE);
  if (store_create (SIZE, &a) != 0
      && (a != NULL || blocks != 0 || store_create (SIZE, &a) != 0))
    return false;
  good = live (a);
  store_free (a);
  return good && blocks == 0 && mapped == 0;
}

int
main (void)
{
  bool good = true;

  a_bytes = malloc (SIZE);
  b_bytes = malloc (SIZE);
  c_bytes = malloc (SIZE);
  for (fail_at = 0; good && allocations >= fail_at; fail_at++) {
    allocations = 0;
    good = one_life ();
    if (!good)
      printf ("# failed at allocation %ld: %ld blocks, %ld bytes mapped\n",
              fail_at, blocks, mapped);
  }
  ok (good && fail_at > 10, "%ld allocations failed in turn", fail_at);
  free (a_bytes);
  free (b_bytes);
  free (c_bytes);
  return done_testing ();
}
