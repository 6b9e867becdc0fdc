/* Readers, which take no lock, see each 64 KiB region all old or all new,
 * while writers write it, zero it, prune the nodes above it and clone it.
 */

#include "tap.h"
#include "store.c"

#define WINDOWS 3
#define READERS 3

static struct store *disk;
static _Atomic bool stop;
static _Atomic unsigned bad;

/* The windows are far from each other, so that nodes come and go. */
static uint64_t
window (uint64_t i)
{
  return i * REGION * NODE_SLOTS * 40;
}

static void
clone_write_free (const char *buf, uint64_t offset)
{
  struct store *clone;

  if (store_clone (disk, &clone) != 0)
    abort ();
  store_write (clone, buf, 1, offset);
  store_free (clone);
}

/* Make the pages of a window lie in two regions, by writing one that a clone
 * shares; they are the same as before.
 */
static void
scatter (const char *buf, uint64_t offset)
{
  struct store *clone;

  if (store_clone (disk, &clone) != 0)
    abort ();
  store_write (disk, buf, STORE_PAGE, offset + 5 * STORE_PAGE);
  store_write (disk, buf, 3 * STORE_PAGE, offset + 8 * STORE_PAGE);
  store_free (clone);
}

/* The bytes of window I lie between I * 64 + 1 and I * 64 + 63. */
static void *
write_window (void *arg)
{
  uintptr_t i = (uintptr_t) arg;
  uint64_t steps = rounds (6000);
  char *buf = malloc (REGION);

  for (uint64_t step = 0; step < steps; step++) {
    memset (buf, (int) (i * 64 + step % 63 + 1), REGION);
    store_write (disk, buf, REGION, window (i));
    if (step % 4 == 1)
      store_zero (disk, REGION, window (i));
    else if (step % 4 == 2)
      store_zero (disk, REGION * NODE_SLOTS, window (i));
    else if (step % 4 == 3)
      clone_write_free (buf, window (i));
    else if (step % 8 == 0)
      scatter (buf, window (i));
  }
  free (buf);
  return NULL;
}

static void *
read_windows (void *arg)
{
  uint64_t i = (uintptr_t) arg;
  unsigned char *buf = malloc (REGION);

  for (; !stop; i++) {
    store_read (disk, buf, REGION, window (i % WINDOWS));
    if (memcmp (buf, buf + 1, REGION - 1) != 0
        || (buf[0] != 0 && (buf[0] - 1u) / 64 != i % WINDOWS))
      bad++;
  }
  free (buf);
  return NULL;
}

int
main (void)
{
  pthread_t writers[WINDOWS], readers[READERS];

  if (store_create (STORE_MAX_SIZE, &disk) != 0)
    abort ();
  for (uintptr_t i = 0; i < WINDOWS; i++)
    pthread_create (&writers[i], NULL, write_window, (void *) i);
  for (uintptr_t i = 0; i < READERS; i++)
    pthread_create (&readers[i], NULL, read_windows, (void *) i);
  for (unsigned i = 0; i < WINDOWS; i++)
    pthread_join (writers[i], NULL);
  stop = true;
  for (unsigned i = 0; i < READERS; i++)
    pthread_join (readers[i], NULL);

  ok (bad == 0, "a region is read all old or all new");
  store_free (disk);
  return done_testing ();
}
