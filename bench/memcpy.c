/* memcpy.c - how fast memcpy fills memory, for comparison with disk:fill.
 *
 *     memcpy MIB
 *
 * Copies so many MiB, in pieces of 64 KiB from a piece that stays in the
 * cache (the fastest way that there is), into memory that the kernel has yet
 * to find, and into the same memory again.  Prints "fresh" and "touched" with
 * MB/s of CPU time, as os.clock counts it in Lua.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/mman.h>

#define PIECE 65536

static double
copy (char *to, const char *piece, size_t size)
{
  clock_t start = clock ();

  for (size_t i = 0; i < size; i += PIECE)
    memcpy (to + i, piece, PIECE);
  return (double) size / 1e6 / ((double) (clock () - start) / CLOCKS_PER_SEC);
}

int
main (int argc, char **argv)
{
  static char piece[PIECE];
  size_t size = (argc > 1 ? strtoul (argv[1], NULL, 10) : 512) << 20;
  char *to = mmap (NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (to == MAP_FAILED) {
    perror ("mmap");
    return EXIT_FAILURE;
  }
  memset (piece, 'x', sizeof piece);
  printf ("fresh\t%.1f\n", copy (to, piece, size));
  printf ("touched\t%.1f\n", copy (to, piece, size));
  return 0;
}
