/* tap.h - the Test Anything Protocol for the unit tests. */

#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned tap_count, tap_failed;

/* One check; NAME is a format.  Returns PASSED. */
__attribute__ ((format (printf, 2, 3))) static inline bool
ok (bool passed, const char *name, ...)
{
  va_list args;

  va_start (args, name);
  printf ("%sok %u - ", passed ? "" : "not ", ++tap_count);
  vprintf (name, args);
  printf ("\n");
  fflush (stdout);
  va_end (args);
  tap_failed += !passed;
  return passed;
}

/* A number from the environment, such as SEED or ROUNDS. */
static inline uint64_t
env_number (const char *name, uint64_t otherwise)
{
  const char *s = getenv (name);

  return s && *s ? strtoull (s, NULL, 0) : otherwise;
}

/* How often to do something random: a tenth where a watch makes it slow. */
static inline uint64_t
rounds (uint64_t otherwise)
{
  return env_number ("ROUNDS", getenv ("WATCH") && *getenv ("WATCH")
                     ? otherwise / 10 : otherwise);
}

/* The end of main: its exit status. */
static inline int
done_testing (void)
{
  printf ("1..%u\n", tap_count);
  return tap_failed != 0;
}

/* Random numbers that are the same everywhere (splitmix64). */
static inline uint64_t
random_next (uint64_t *state)
{
  uint64_t z = (*state += UINT64_C (0x9E3779B97F4A7C15));

  z = (z ^ (z >> 30)) * UINT64_C (0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C (0x94D049BB133111EB);
  return z ^ (z >> 31);
}

static inline uint64_t
random_below (uint64_t *state, uint64_t limit)
{
  return random_next (state) % limit;
}

#endif /* TAP_H */
