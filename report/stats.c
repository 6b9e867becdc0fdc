/* stats.c - which requests there were, and how long they took.
 *
 * Nothing is counted that follows from other counters: the requests that have ended
 * are all that the histogram holds, those in flight are the rest of those that have
 * begun, and each error has its errno code.
 */

#include <errno.h>

#include "lib/sys.h"
#include "report/stats.h"

struct stats_stripe stats_stripes[STATS_STRIPES];
_Thread_local struct stats_counters *stats_mine;
bool stats_counting;
struct stats_hooks stats_hooks;

static uint64_t start;
static char started[SYS_UTC];
static _Atomic uint64_t connections, connections_total, states_total;

/*--------------------------------------------------------------------*/
/* The clock. */

void
stats_start (void)
{
  start = sys_now ();
  sys_utc (started);
}

uint64_t
stats_clock (void)
{
  return sys_now () - start;
}

const char *
stats_started (void)
{
  return started;
}

/*--------------------------------------------------------------------*/
/* Counting. */

static uint64_t
get (const _Atomic uint64_t *counter)
{
  return atomic_load_explicit (counter, memory_order_relaxed);
}

/* The place of an errno code in nbd_errors. */
static unsigned
place_of (int err)
{
  unsigned eio = 0;

  for (unsigned i = 0; nbd_errors[i].name; i++) {
    if (nbd_errors[i].code == err)
      return i;
    if (nbd_errors[i].code == EIO)
      eio = i;
  }
  return eio;
}

void
stats_add_error (struct stats_counters *c, int err)
{
  stats_add (&c->errors_by[place_of (err)], 1);
}

void
stats_idle (void)
{
  stats_mine = NULL;
}

void
stats_wait (bool begins)
{
  if (stats_mine)
    stats_add (&stats_mine->waiting, begins ? 1 : UINT64_MAX);
}

/*--------------------------------------------------------------------*/
/* Asking. */

#define FIELD(name, seconds) { #name, offsetof (struct stats, name), seconds }

const struct stats_field stats_fields[] = {
  FIELD (requests, false), FIELD (bytes, false), FIELD (errors, false),
  FIELD (fua, false), FIELD (in_flight, false), FIELD (waiting, false),
  FIELD (latency, true), FIELD (latency_max, true), FIELD (latency_sum, true),
  { NULL, 0, false }
};

/* What has begun is read last, so that it is not less than what has ended. */
static void
add_stripe (struct stats *s, const struct stats_counters *c)
{
  uint64_t ended = 0, n;

  for (unsigned i = 0; i < STATS_BUCKETS; i++) {
    n = atomic_load (&c->took[i]);
    s->took[i] += n;
    ended += n;
  }
  s->requests += ended;
  for (unsigned i = 0; i < STATS_ERRORS; i++) {
    n = get (&c->errors_by[i]);
    s->errors_by[i] += n;
    s->errors += n;
  }
  s->bytes += get (&c->bytes);
  s->fua += get (&c->fua);
  s->waiting += get (&c->waiting);
  s->latency_sum += get (&c->ns);
  if (get (&c->ns_max) > s->latency_max)
    s->latency_max = get (&c->ns_max);
  s->in_flight += get (&c->begun) - ended;
}

void
stats_get (enum op op, struct stats *s)
{
  *s = (struct stats) { .requests = 0 };
  for (size_t i = 0; i < STATS_STRIPES; i++)
    add_stripe (s, &stats_stripes[i].op[op]);
  s->latency = s->requests ? s->latency_sum / s->requests : 0;
}

uint64_t
stats_below (const struct stats *s, unsigned i)
{
  uint64_t n = 0;

  for (unsigned j = 0; j <= i; j++)
    n += s->took[j];
  return n;
}

unsigned
stats_length (const struct stats *s)
{
  unsigned n = STATS_BUCKETS;

  while (n > 0 && s->took[n - 1] == 0)
    n--;
  return n;
}

/*--------------------------------------------------------------------*/
/* Connections. */

uint64_t
stats_connect (bool state)
{
  connections++;
  return state ? ++states_total : ++connections_total;
}

void
stats_disconnect (void)
{
  connections--;
}

void
stats_connections (uint64_t *now, uint64_t *total)
{
  *now = connections;
  *total = connections_total;
}

/*--------------------------------------------------------------------*/
/* Telling. */

static void
tell_number (struct json *j, const struct stats *s, const struct stats_field *f)
{
  const uint64_t n = *(const uint64_t *) ((const char *) s + f->offset);

  if (f->seconds)
    json_member_number (j, f->name, (double) n / 1e9);
  else
    json_member (j, f->name, "%llu", (unsigned long long) n);
}

static void
tell_op (struct json *j, enum op op, const struct stats *s)
{
  json_member (j, op_names[op], "{");
  for (const struct stats_field *f = stats_fields; f->name; f++)
    tell_number (j, s, f);
  json_member (j, "histogram", "[");
  for (unsigned i = 0; i < stats_length (s); i++) {
    json_comma (j);
    json_addf (j, "%llu", (unsigned long long) stats_below (s, i));
  }
  json_add (j, "]", 1);
  json_member (j, "errors_by", "{");
  for (unsigned i = 0; nbd_errors[i].name; i++)
    if (s->errors_by[i])
      json_member (j, nbd_errors[i].name, "%llu",
                   (unsigned long long) s->errors_by[i]);
  json_add (j, "}}", 2);
}

void
stats_tell (struct json *members)
{
  struct stats s;

  for (enum op op = OP_READ; op <= OP_CACHE; op++) {
    stats_get (op, &s);
    if (s.requests + s.in_flight > 0)
      tell_op (members, op, &s);
  }
  json_member (members, "connections_total", "%llu",
               (unsigned long long) connections_total);
}
