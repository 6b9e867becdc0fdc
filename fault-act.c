/* fault-act.c - what the rules that fire do to a request.
 *
 *     wait:  the delays, and hangs until they are released
 *     fail:  functions, then the first error or disconnect
 *     else   perform what the rules leave of the request
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "fault-act.h"
#include "log.h"

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
add_keep (struct json *did, const struct fault_spec *s)
{
  add_did (did, "keep", "[");
  for (size_t i = 0; i < s->nr_keep; i++)
    json_addf (did, "%s[%llu,%llu]", i ? "," : "",
               (unsigned long long) s->keep[i].offset,
               (unsigned long long) s->keep[i].count);
  json_add (did, "]", 1);
}

/* What a rule that fired does to a request, unless one before has let it FAIL
 * already.  True: this one does.
 */
static bool
log_one (const struct fired *c, const struct request *req, bool fail)
{
  const struct fault_spec *s = c->spec;
  struct json did = { .text = NULL };
  bool keeps = s->nr_keep && !fail && TORN >> req->op & 1;
  const uint64_t all = (uint64_t) req->count * 8;       /* bits */
  char error[24];

  if (c->delay)
    add_seconds (&did, "delay", c->delay);
  if (s->hang)
    add_did (&did, "hang", "true");
  if (s->has_call && !fail)
    add_did (&did, "call", "true");
  if (s->shutdown)
    add_did (&did, "shutdown", "true");
  if (s->disconnect && !fail) {
    add_did (&did, "disconnect", "true");
    fail = true;
  }
  if (s->error && !fail) {
    snprintf (error, sizeof error, "\"%s\"", errno_name (s->error));
    add_did (&did, "error", error);
    fail = true;
  }
  if (s->lose && !fail)
    add_did (&did, "lose", "true");
  if (s->misdirect && !fail && MOVED >> req->op & 1)
    add_number (&did, "misdirect", s->misdirect);
  if (keeps)
    add_keep (&did, s);
  if (s->corrupt && !fail && DAMAGED >> req->op & 1)
    add_number (&did, "corrupt", (int64_t) (s->corrupt < all ? s->corrupt
                                            : all));
  log_request ("rule", c->spec->name, req, &did);
  return fail;
}

/* Before the rules act: one that hangs does so for long.  None does anything to a
 * request that has FAILED already.
 */
static void
log_fired (const struct fired *fired, size_t n, const struct request *req,
           bool failed)
{
  bool fail = false;

  for (size_t i = 0; i < n; i++)
    if (failed)
      log_request ("rule", fired[i].spec->name, req,
                   &(struct json) { .text = NULL });
    else
      fail = log_one (&fired[i], req, fail);
}

/*--------------------------------------------------------------------*/
/* Acting. */

/* Let time pass as the rules say. */
static int
act_wait (const struct fired *fired, size_t n, const struct request *req,
          const struct fault_callbacks *callbacks)
{
  int err = 0;

  for (size_t i = 0; i < n && !err; i++) {
    if (fired[i].delay > 0)
      err = callbacks->wait (req->conn, fired[i].delay, NULL, 0);
    if (fired[i].spec->hang && !err)
      err = callbacks->wait (req->conn, UINT64_MAX, fired[i].releases,
                             fired[i].seen);
  }
  return err;
}

/* Call functions, cut connections, and find the first error.  Where a rule asks
 * for that and keeps a part of the request, TORN is that rule.
 */
static int
act_fail (const struct fired *fired, size_t n, struct request *req,
          const struct fault_spec **torn,
          const struct fault_callbacks *callbacks)
{
  int err = 0;

  for (size_t i = 0; i < n; i++) {
    const struct fault_spec *s = fired[i].spec;

    if (s->has_call && !err)
      err = callbacks->call (fired[i].fault, req);
    if (s->shutdown)
      callbacks->shutdown ();
    if (err || !(s->disconnect || s->error))
      continue;
    if (s->disconnect)
      callbacks->disconnect ();
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
    bit = (bit + step) % all;
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
perform_parts (struct request *whole, const struct fault_spec *s,
               const struct fault_callbacks *callbacks)
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
    err = callbacks->perform (&req);
  }
  whole->why = req.why;
  return err;
}

/* Perform a request that rules change: lose it, move it, damage it, keep a
 * part of it.
 */
static int
perform_changed (const struct fired *fired, size_t n, struct request *original,
                 const struct fault_callbacks *callbacks)
{
  struct request req = *original;
  const struct fault_spec *parts = NULL;
  uint8_t *copy = NULL;
  bool lose = false;
  int err;

  for (size_t i = 0; i < n; i++) {
    const struct fault_spec *s = fired[i].spec;

    lose = lose || s->lose;
    if (s->misdirect && MOVED >> req.op & 1)
      req.offset = misdirected (&req, s->misdirect);
    if (s->nr_keep && !parts && TORN >> req.op & 1)
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
  err = lose ? 0 : parts ? perform_parts (&req, parts, callbacks)
    : callbacks->perform (&req);
  for (size_t i = 0; i < n && !err && req.op == OP_READ; i++)
    if (fired[i].spec->corrupt)
      flip_bits (req.buf, req.count, fired[i].spec->corrupt,
                 fired[i].random);
  free (copy);
  original->why = req.why;
  original->answered = req.answered;
  return err;
}

int
fault_act (const struct fired *fired, size_t n, struct request *req, int err,
           const struct fault_callbacks *callbacks)
{
  const struct fault_spec *torn = NULL;

  if (log_wanted ())
    log_fired (fired, n, req, err != 0);
  if (!err)
    err = act_wait (fired, n, req, callbacks);
  if (!err)
    err = act_fail (fired, n, req, &torn, callbacks);
  if (torn && TORN >> req->op & 1)
    perform_parts (req, torn, callbacks);
  return err ? err : perform_changed (fired, n, req, callbacks);
}
