/* stats.c - which requests there were, and how long they took.
 *
 * Each connection adds to the counters of its stripe, so that processors do not
 * wait for each other's cache lines.  stats_get adds up the stripes.
 */

#include <stdatomic.h>

#include "report/stats.h"

#define STRIPES 16

struct counters {
  _Atomic uint64_t requests, errors, bytes, ns, ns_max;
};

static struct {
  _Alignas (64) struct counters op[OP_COUNT];
} stripes[STRIPES];

static void
add (_Atomic uint64_t *counter, uint64_t n)
{
  atomic_fetch_add_explicit (counter, n, memory_order_relaxed);
}

void
stats_add (const struct request *req, int err, uint64_t ns)
{
  struct counters *c = &stripes[req->conn->id % STRIPES].op[req->op];
  uint64_t max = c->ns_max;

  add (&c->requests, 1);
  add (&c->ns, ns);
  if (err)
    add (&c->errors, 1);
  else
    add (&c->bytes, req->count);
  while (ns > max && !atomic_compare_exchange_weak (&c->ns_max, &max, ns))
    ;
}

struct stats
stats_get (enum op op)
{
  struct stats sum = { .requests = 0 };

  for (size_t i = 0; i < STRIPES; i++) {
    const struct counters *c = &stripes[i].op[op];

    sum.requests += c->requests;
    sum.errors += c->errors;
    sum.bytes += c->bytes;
    sum.ns += c->ns;
    if (c->ns_max > sum.ns_max)
      sum.ns_max = c->ns_max;
  }
  return sum;
}
