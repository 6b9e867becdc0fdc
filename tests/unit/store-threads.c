/* Many threads read, write, zero, trim, map, clone and assign the same few pages
 * at once: no sector is ever torn, and nothing is lost unless it was overwritten.
 * A sanitizer finds most here.
 */

#include "tap.h"
#include "tiny-store.h"

#define THREADS 6
#define SECTOR 32
#define SHARED 20000            /* all threads, then a page for each */
#define MINE SHARED
#define NEAR (MINE + THREADS * STORE_PAGE)
#define SIZE (UINT64_C (1) << 40)

static struct store *disk, *other;
static uint64_t seed, steps;
static _Atomic unsigned torn, lost;

/* Does each sector hold one byte value only? */
static void
check_sectors (struct store *s, uint64_t count, uint64_t offset)
{
  unsigned char buf[SHARED];

  store_read (s, buf, count, offset);
  for (uint64_t i = 0; i < count; i++)
    if (buf[i] != buf[i - i % SECTOR])
      torn++;
}

static void
clone_and_look (uint64_t *rng)
{
  struct store *clone;
  char c = 'x';

  if (store_clone (disk, &clone) != 0)
    abort ();
  check_sectors (clone, SHARED / SECTOR * SECTOR, 0);
  store_write (clone, &c, 1, random_below (rng, NEAR));
  store_free (clone);
}

/* Another disk becomes this one, while threads write to both. */
static void
assign_and_look (uint64_t *rng)
{
  char c = 'x';

  store_write (other, &c, 1, random_below (rng, NEAR));
  if (store_assign (other, disk) != 0)
    abort ();
  check_sectors (disk, SHARED / SECTOR * SECTOR, 0);
}

/* Nodes come and go far from the rest. */
static void
far_away (uint64_t *rng)
{
  uint64_t offset = (1 + random_below (rng, 50)) << 30;

  store_write (disk, "x", 1, offset);
  if (random_below (rng, 2) == 0)
    store_zero (disk, UINT64_C (1) << 30, offset);
}

static void
one_step (uint64_t *rng)
{
  uint64_t offset = random_below (rng, SHARED / SECTOR) * SECTOR;
  uint64_t count = (1 + random_below (rng, 60)) * SECTOR, op;
  unsigned char buf[60 * SECTOR];
  bool data;

  if (count > SHARED - offset)
    count = (SHARED - offset) / SECTOR * SECTOR;
  op = random_below (rng, 64);
  if (op == 63)
    far_away (rng);
  else if (op == 0)
    clone_and_look (rng);
  else if (op == 62)
    assign_and_look (rng);
  else if (op == 1)
    store_zero (disk, SHARED, 0);
  else if (op < 12)
    store_zero (disk, count, offset);
  else if (op < 20 && count > 0)
    store_extent (disk, count, offset, &data);
  else if (op < 40)
    check_sectors (disk, count, offset);
  else {
    memset (buf, (int) random_below (rng, 256), count);
    store_write (disk, buf, count, offset);
  }
}

static void *
work (void *arg)
{
  unsigned me = (unsigned) (uintptr_t) arg;
  uint64_t rng = seed + me, mine = MINE + me * (uint64_t) STORE_PAGE;
  unsigned char c, got;

  for (uint64_t i = 0; i < steps; i++) {
    c = (unsigned char) i;
    store_write (disk, &c, 1, mine);
    one_step (&rng);
    store_read (disk, &got, 1, mine);
    if (got != c)
      lost++;
  }
  return NULL;
}

int
main (void)
{
  pthread_t threads[THREADS];

  seed = env_number ("SEED", 1);
  steps = rounds (10000);
  printf ("# SEED=%llu ROUNDS=%llu\n", (unsigned long long) seed,
          (unsigned long long) steps);
  if (store_create (SIZE, &disk) != 0 || store_clone (disk, &other) != 0)
    abort ();

  for (uintptr_t i = 0; i < THREADS; i++)
    pthread_create (&threads[i], NULL, work, (void *) i);
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join (threads[i], NULL);

  ok (torn == 0, "no sector is torn");
  ok (lost == 0, "what one thread writes alone stays");
  store_free (other);
  store_zero (disk, SIZE, 0);
  ok (store_allocated (disk) == 0, "the count of pages is right in the end");
  ok (nothing_lost (disk), "no region or node is lost");
  store_free (disk);
  return done_testing ();
}
