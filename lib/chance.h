/* chance.h - randomness that can be repeated.
 *
 * The random numbers of a request depend on the seed, on who asks for them, on the
 * request (operation, offset, count), and on how often the same request came to
 * the one who asks.  They never depend on time, or on the order in which threads
 * run, or on what others ask for: each one counts in a table of its own, a tally.
 */

#ifndef CHANCE_H
#define CHANCE_H

#include <stddef.h>
#include <stdint.h>

/* Set the seed, before the first request, and draw the secret of this process. */
void chance_start (uint64_t seed);

/* How often each request came to somebody.  All 0 at first.  It takes 32 to 64
 * bytes for each different request, at least 1 KiB.  The caller owns and locks it.
 */
struct tally {
  struct seen *seen;            /* for chance.c */
  size_t used, size;
};

/* Count a request.  Returns how often it came before.  Without memory for one
 * that is new, it is not counted, and returns 0: those that are known keep their
 * count.  Where requests are stored depends on the secret, so that nobody can
 * choose requests that are stored in the same place.
 */
uint64_t tally_count (struct tally *t, unsigned op, uint64_t offset,
                      uint64_t count);

/* Forget all requests, and free the memory.  The tally is as it was at first. */
void tally_clear (struct tally *t);

/* The luck of a request that came N times before: a random number, never 0, from
 * which everyone who needs random numbers for this request makes their own.  Any
 * thread may call it.
 */
uint64_t chance_luck (unsigned op, uint64_t offset, uint64_t count, uint64_t n);

/* Make a number that looks random from another one; different numbers give
 * different ones.  The numbers for SEED, SEED + CHANCE_STEP, SEED + 2 *
 * CHANCE_STEP, ... are those of splitmix64 (Steele, Lea, Flood: Fast splittable
 * pseudorandom number generators, 2014).
 */
#define CHANCE_STEP UINT64_C (0x9E3779B97F4A7C15)

static inline uint64_t
chance_mix (uint64_t n)
{
  n += CHANCE_STEP;
  n = (n ^ (n >> 30)) * UINT64_C (0xBF58476D1CE4E5B9);
  n = (n ^ (n >> 27)) * UINT64_C (0x94D049BB133111EB);
  return n ^ (n >> 31);
}

/* A random number as a fraction: at least 0, and less than 1. */
double chance_fraction (uint64_t random);

#endif /* CHANCE_H */
