/* stats.h - which requests there were, how long they took, and since when.
 *
 * Any number of threads may call these functions at the same time, except where a
 * comment says otherwise.
 */

#ifndef STATS_H
#define STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lib/json.h"
#include "request.h"

/*--------------------------------------------------------------------*/
/* The clock. */

/* The clock starts, which all others read.  Before all other functions. */
void stats_start (void);

/* Nanoseconds since the start, monotonic. */
uint64_t stats_clock (void);

/* When that was, in UTC, such as "2026-01-31T23:59:59.123456Z". */
const char *stats_started (void);

/*--------------------------------------------------------------------*/
/* Requests. */

/* May somebody ask for statistics?  Set before requests are served; nothing is
 * counted otherwise, except connections.  (It is of this library, which the
 * compiler must know to reach it directly.)
 */
extern __attribute__ ((visibility ("hidden"))) bool stats_counting;

/* took[i]: requests that took from 2^i to 2^(i+1) - 1 nanoseconds. */
#define STATS_BUCKETS 64
#define STATS_ERRORS 16

/* All times are nanoseconds. */
struct stats {
  uint64_t requests, errors;    /* those that have ended, and that failed */
  uint64_t bytes;               /* the counts of those that did not, in all */
  uint64_t fua;                 /* those that had the flag FUA */
  uint64_t in_flight;           /* those that have not ended */
  uint64_t waiting;             /* of these, those that wait on purpose */
  uint64_t latency, latency_max, latency_sum;   /* the mean, and so on */
  uint64_t took[STATS_BUCKETS];
  uint64_t errors_by[STATS_ERRORS];     /* in the order of nbd_errors; what is
                                         * not there counts as EIO */
};

/* The fields of struct stats that are one number: an array that ends with a name of
 * NULL.  Seconds: it is nanoseconds, to be shown as seconds.
 */
struct stats_field { const char *name; size_t offset; bool seconds; };
extern const struct stats_field stats_fields[];

/* The counters of an operation; only stats.c knows what they mean. */
struct stats_counters {
  _Atomic uint64_t begun, bytes, fua, waiting, ns, ns_max;
  _Atomic uint64_t took[STATS_BUCKETS], errors_by[STATS_ERRORS];
};

/* Each connection adds to a stripe, so that processors do not wait for each other's
 * cache lines.
 */
#define STATS_STRIPES 16
struct stats_stripe {
  _Alignas (8192) struct stats_counters op[OP_COUNT];
};
extern struct stats_stripe stats_stripes[STATS_STRIPES];

/* Those to which the request counts that this thread serves, or served last; NULL:
 * there was none.  (This model needs no function call in a shared library, and has
 * room for a pointer.)
 */
extern _Thread_local struct stats_counters *stats_mine
  __attribute__ ((tls_model ("initial-exec")));

static inline void
stats_add (_Atomic uint64_t *counter, uint64_t n)
{
  atomic_fetch_add_explicit (counter, n, memory_order_relaxed);
}

void stats_add_error (struct stats_counters *c, int err);

/* A request begins, and ends after NS nanoseconds; ERR: the errno code with which
 * it failed, or 0.  By the thread that serves it.  Takes no lock.  Inline, because
 * each request to a disk that counts pays for it.
 */
static inline void
stats_begin (const struct request *req)
{
  stats_mine = &stats_stripes[req->conn->id % STATS_STRIPES].op[req->op];
  stats_add (&stats_mine->begun, 1);
}

static inline void
stats_end (const struct request *req, int err, uint64_t ns)
{
  struct stats_counters *c = stats_mine;
  uint64_t max = atomic_load_explicit (&c->ns_max, memory_order_relaxed);

  stats_add (&c->ns, ns);
  if (req->flags & NBDKIT_FLAG_FUA)
    stats_add (&c->fua, 1);
  if (err)
    stats_add_error (c, err);
  else
    stats_add (&c->bytes, req->count);
  while (ns > max && !atomic_compare_exchange_weak (&c->ns_max, &max, ns))
    ;
  /* Whoever sees this one sees the others. */
  atomic_fetch_add_explicit (&c->took[63 - __builtin_clzll (ns | 1)], 1,
                             memory_order_release);
}

/* The request that this thread serves begins to wait on purpose, or goes on.  Does
 * nothing on other threads.
 */
void stats_wait (bool begins);

/* This thread serves no request any more. */
void stats_idle (void);

/* The sums of one operation.  A request that is being counted at the moment may be
 * in one of them and not yet in another.
 */
void stats_get (enum op op, struct stats *s);

/* In S, how many requests took less than 2^(I+1) nanoseconds?  This is the
 * histogram for I from 0 to stats_length (S) - 1, where all have been counted.
 */
uint64_t stats_below (const struct stats *s, unsigned i);
unsigned stats_length (const struct stats *s);

/*--------------------------------------------------------------------*/
/* Others. */

/* A connection is being opened: its number, from 1.  Those of crash states are numbered
 * apart, and are not part of the total.  It has ended.
 */
uint64_t stats_connect (bool state);
void stats_disconnect (void);
void stats_connections (uint64_t *now, uint64_t *total);

/* Runs of hooks and of the functions of rules, those that failed by mistake, and
 * their time without what they waited for, in nanoseconds.  The Lua host counts
 * them, with its lock held.
 */
struct stats_hooks { uint64_t calls, errors, ns; };
extern struct stats_hooks stats_hooks;

/* Add a member for each operation that came, and the connections in all. */
void stats_tell (struct json *members);

#endif /* STATS_H */
