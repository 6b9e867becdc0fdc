/* throttle.h - whose turn it is, where only so many bytes and so many requests may
 * pass each second.
 *
 * Those that wait hold a ticket each, and their turns come in the order in which
 * they came.  One that passes has used its part of the rates.  One that leaves has
 * not: all others get the turns that they would have if it had never come.
 *
 * Times are nanoseconds of one clock, which the caller reads.  The caller locks,
 * except where a comment says otherwise.
 */

#ifndef THROTTLE_H
#define THROTTLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* A rate that was not used may be made up for, up to so many nanoseconds' worth. */
#define THROTTLE_CREDIT UINT64_C (50000000)

enum { THROTTLE_BYTES, THROTTLE_REQUESTS, THROTTLE_RATES };

/* What some requests, one after the other, do to a rate: if all before them are
 * through at time T, they are at T + LENGTH, but not before END.
 */
struct load {
  uint64_t length, end;
};

/* Lives with the thread that waits, and must not move. */
struct ticket {
  struct ticket *before, *after;
  struct load passed[THROTTLE_RATES];   /* since the ticket before this one */
  struct load own[THROTTLE_RATES];
  _Atomic uint64_t turn;        /* moves up when one before it leaves */
  _Atomic bool lost;            /* the rates have changed: join again */
};

struct throttle {
  uint64_t rate[THROTTLE_RATES];        /* units a second; 0: no limit */
  uint64_t through[THROTTLE_RATES];     /* when all that came would be */
  struct ticket last;           /* after the tickets, which it links to a ring */
};

void throttle_init (struct throttle *t);

/* Set the rates, in units a second (0: no limit).  All tickets are lost, and what
 * has passed by NOW counts as through.
 */
void throttle_set (struct throttle *t, uint64_t bytes, uint64_t requests,
                   uint64_t now);

/* Does any request have to wait? */
bool throttle_active (const struct throttle *t);

/* Get a ticket for a request that moves so many bytes.  Its turn, at which all of
 * it may pass, can be in the past.  TURN and LOST may be read without the lock.
 */
void throttle_join (struct throttle *t, struct ticket *k, uint64_t bytes,
                    uint64_t now);

/* Give a ticket that is not lost back, because the request passes, or because it
 * leaves, which takes time in proportion to the number of tickets.
 */
void throttle_pass (struct ticket *k);
void throttle_leave (struct throttle *t, struct ticket *k);

#endif /* THROTTLE_H */
