/* chance.h - randomness that can be repeated.
 *
 * The random numbers of a request depend on the seed, on who asks for them, on the
 * request (operation, offset, count), and on how often the same request came
 * before.  They never depend on time, or on the order in which threads run.  Any
 * thread may call these functions, except for chance_start and chance_stop.
 */

#ifndef CHANCE_H
#define CHANCE_H

#include <stdint.h>

/* Set the seed, before the first call of chance_luck. */
void chance_start (uint64_t seed);

/* Free all memory and forget all requests, when none is left. */
void chance_stop (void);

/* The luck of a request: a random number, never 0, from which everyone who needs
 * random numbers for this request makes them.  It is drawn, and the request is
 * counted, when somebody first asks for it; *LUCK, which is 0 at first, keeps it.
 * So each request counts once, no matter how many ask, and where two requests
 * that are the same run at the same time it does not matter which comes first.
 * The count takes 16 to 64 bytes of memory for each different request.  Without
 * memory for that, the request gets the luck of one that comes for the first
 * time.  Takes a lock for a short time.
 */
uint64_t chance_luck (uint64_t *luck, unsigned op, uint64_t offset,
                      uint64_t count);

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
