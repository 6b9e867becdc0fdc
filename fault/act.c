/* act.c - what the rules that fire do to a request.
 *
 *     wait:  the delays, and hangs until they are released
 *     fail:  functions, then the first error or disconnect
 *     else   perform what the rules leave of the request
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "disk/disk.h"
#include "disk/medium.h"
#include "lib/chance.h"
#include "fault/act.h"
#include "report/log.h"

/*--------------------------------------------------------------------*/
/* The log. */

static void
add_seconds (struct json *did, const char *key, uint64_t ns)
{
  json_addf (did, "%s\"%s\":", did->len ? "," : "", key);
  json_number (did, (double) ns / 1e9);
}

static void
add_did (struct json *did, const char *key, const char *value)
{
  json_addf (did, "%s\"%s\":%s", did->len ? "," : "", key, value);
}

static void
add_number (struct json *did, const char *key, int64_t n)
{
  char text[24];

  snprintf (text, sizeof text, "%lld", (long long) n);
  add_did (did, key, text);
}

static void
add_error (struct json *did, int err)
{
  char text[24];

  snprintf (text, sizeof text, "\"%s\"", errno_name (err));
  add_did (did, "error", text);
}

static void
add_keep (struct json *did, const struct fault_spec *s)
{
  add_did (did, "keep", "[");
  for (size_t i = 0; i < s->nr_keep; i++)
    json_addf (did, "%s[%llu,%llu]", i ? "," : "",
               (unsigned long long) s->keep[i].offset,
               (unsigned long long) s->keep[i].count);
  json_add (did, "]", 1);
}

/* What rules before this one have done to the request. */
struct so_far {
  bool failed, torn;
};

/* Log what a rule does to a request after what others did. */
static void
log_one (const struct fired *c, const struct request *req,
         struct so_far *so_far)
{
  const struct fault_spec *s = c->spec;
  const uint64_t all = (uint64_t) req->count * 8;       /* bits */
  const bool open = !so_far->failed;
  struct json did = { .text = NULL };
  int err = 0;

  if (c->delay)
    add_seconds (&did, "delay", c->delay);
  if (s->hang)
    add_did (&did, "hang", "true");
  if (s->has_call && open) {
    add_did (&did, "call", "true");
    err = c->call_error;
  }
  if (s->shutdown)
    add_did (&did, "shutdown", "true");
  if (s->disconnect && open && !err)
    add_did (&did, "disconnect", "true");
  else if (open && !err)
    err = s->error;
  if (err)
    add_error (&did, err);
  so_far->failed = so_far->failed || s->disconnect || err;

  if (s->nr_keep && open && !c->call_error && !so_far->torn
      && CAN_TEAR >> req->op & 1) {
    add_keep (&did, s);
    so_far->torn = true;
  }
  if (so_far->failed)
    ;                           /* the rest has no effect */
  else if (s->lose)
    add_did (&did, "lose", "true");
  else {
    if (s->misdirect && CAN_MISDIRECT >> req->op & 1)
      add_number (&did, "misdirect", s->misdirect);
    if (s->corrupt && CAN_CORRUPT >> req->op & 1)
      add_number (&did, "corrupt",
                  (int64_t) (s->corrupt < all ? s->corrupt : all));
  }
  log_request ("rule", s->name, req, &did);
}

/* None does anything to a request that has FAILED already. */
static void
log_fired (const struct fired *fired, size_t n, const struct request *req,
           bool failed)
{
  struct so_far so_far = { .failed = false };

  if (!log_wanted ())
    return;
  for (size_t i = 0; i < n; i++)
    if (failed)
      log_request ("rule", fired[i].spec->name, req,
                   &(struct json) { .text = NULL });
    else
      log_one (&fired[i], req, &so_far);
}

/*--------------------------------------------------------------------*/
/* Acting. */

/* Has a rule in which a request hangs let go of it? */
static bool
released (const void *fired)
{
  const struct fired *f = fired;

  return *f->releases != f->seen;
}

/* Let time pass as the rules say. */
static int
act_wait (const struct fired *fired, size_t n, const struct request *req)
{
  int err = 0;

  for (size_t i = 0; i < n && !err; i++) {
    if (fired[i].delay > 0)
      err = request_wait (req->conn, fired[i].delay);
    if (fired[i].spec->hang && !err)
      err = request_wait_until (req->conn, UINT64_MAX, released, &fired[i]);
  }
  return err;
}

/* Call functions, cut connections, and find the first error.  Where a rule asks
 * for that and keeps a part of the request, CAN_TEAR is that rule.
 */
static int
act_fail (struct fired *fired, size_t n, struct request *req,
          const struct fault_spec **torn,
          const struct fault_callbacks *callbacks)
{
  int err = 0;

  for (size_t i = 0; i < n; i++) {
    const struct fault_spec *s = fired[i].spec;

    if (s->has_call && !err)
      err = fired[i].call_error = callbacks->call (fired[i].fault, req);
    if (s->shutdown)
      nbdkit_shutdown ();
    if (err || !(s->disconnect || s->error))
      continue;
    if (s->disconnect)
      request_cut ();
    err = s->disconnect ? ESHUTDOWN : s->error;
    if (s->nr_keep)
      *torn = s;
  }
  /* It was asked for: that needs no log line for each. */
  if (err)
    req->logged = true;
  return err;
}

static uint64_t
gcd (uint64_t a, uint64_t b)
{
  while (b != 0) {
    uint64_t rest = a % b;

    a = b;
    b = rest;
  }
  return a;
}

/* Flip BITS different bits of COUNT bytes, chosen by RANDOM. */
static void
flip_bits (uint8_t *buf, uint64_t count, uint64_t bits, uint64_t random)
{
  uint64_t all = count * 8, step, bit;

  if (all == 0)
    return;
  if (bits > all)
    bits = all;
  /* Steps that share no factor with the number of bits meet all of them. */
  bit = chance_mix (random) % all;
  step = chance_mix (random + 1) % all | 1;
  while (gcd (step, all) != 1)
    step += 2;
  for (; bits > 0; bits--) {
    buf[bit / 8] ^= (uint8_t) (1 << bit % 8);
    bit += step;
    if (bit >= all)
      bit -= all;
  }
}

/* Where a misdirected request goes: that far away, but on the disk. */
static uint64_t
misdirected (const struct request *req, int64_t by)
{
  uint64_t places = disk_size (req->conn->disk) - req->count + 1;
  uint64_t distance = by < 0 ? places - (0 - (uint64_t) by) % places
                             : (uint64_t) by % places;

  return (req->offset % places + distance) % places;
}

/* Perform only the parts of a write that a rule keeps. */
static int
perform_parts (struct request *whole, const struct fault_spec *s)
{
  struct request req = *whole;
  const uint64_t start = req.offset, count = req.count;
  char *buf = req.buf;
  int err = 0;

  for (size_t i = 0; i < s->nr_keep && !err; i++) {
    const struct fault_range *r = &s->keep[i];

    if (r->offset >= count || r->count == 0)
      continue;
    req.offset = start + r->offset;
    req.buf = buf ? buf + r->offset : NULL;
    req.count = (uint32_t) (r->count < count - r->offset
                            ? r->count : count - r->offset);
    err = medium_pass (&req);
  }
  whole->why = req.why;
  return err;
}

/* Perform a request that rules change: lose it, move it, damage it, keep a
 * part of it.
 */
static int
perform_changed (const struct fired *fired, size_t n, struct request *original)
{
  struct request req = *original;
  const struct fault_spec *parts = NULL;
  uint8_t *copy = NULL;
  bool lose = false;
  int err;

  for (size_t i = 0; i < n; i++) {
    const struct fault_spec *s = fired[i].spec;

    lose = lose || s->lose;
    if (s->misdirect && CAN_MISDIRECT >> req.op & 1)
      req.offset = misdirected (&req, s->misdirect);
    if (s->nr_keep && !parts && CAN_TEAR >> req.op & 1)
      parts = s;
    if (s->corrupt && req.op == OP_WRITE) {
      if (!copy) {
        copy = malloc (req.count);
        if (!copy)
          return ENOMEM;
        memcpy (copy, req.buf, req.count);
        req.buf = copy;
      }
      flip_bits (copy, req.count, s->corrupt, fired[i].random);
    }
  }

  if (lose && req.op == OP_READ)
    memset (req.buf, 0, req.count);
  err = lose ? 0 : parts ? perform_parts (&req, parts)
    : medium_pass (&req);
  for (size_t i = 0; i < n && !err && req.op == OP_READ; i++)
    if (fired[i].spec->corrupt)
      flip_bits (req.buf, req.count, fired[i].spec->corrupt,
                 fired[i].random);
  free (copy);
  original->why = req.why;
  original->answered = req.answered;
  return err;
}

static bool
calls (const struct fired *fired, size_t n)
{
  bool calls = false;

  for (size_t i = 0; i < n; i++)
    calls = calls || fired[i].spec->has_call;
  return calls;
}

/* One that hangs does so for long, so the log is first to know, unless what
 * happens depends on a function.
 */
int
fault_act (struct fired *fired, size_t n, struct request *req, int err,
           const struct fault_callbacks *callbacks)
{
  const bool late = !err && calls (fired, n);
  const struct fault_spec *torn = NULL;

  if (!late)
    log_fired (fired, n, req, err != 0);
  if (!err)
    err = act_wait (fired, n, req);
  if (!err)
    err = act_fail (fired, n, req, &torn, callbacks);
  if (late)
    log_fired (fired, n, req, false);
  if (torn && CAN_TEAR >> req->op & 1)
    perform_parts (req, torn);
  return err ? err : perform_changed (fired, n, req);
}
