/* act.c - what the rules that fire do to a request.
 *
 *     plan   which of its actions each rule takes, given what the others do.  This
 *            is data: a set of actions for each rule.
 *     tell   the log prints the plan
 *     act    wait:     the delays, and hangs until they are released
 *            fail:     functions, then the first error or disconnect
 *            perform:  what the rules leave of the request
 *
 * The log and the actions both follow the plan, so that they can't disagree.
 *
 * Only a function may change the plan: whether it fails is known when it has run.
 * If it does, the rest is planned again.  So where functions are called, the log
 * is told after them.  Otherwise it is told at once, because a request that hangs
 * may do so for long, and once more how the waiting ended: that a hang was
 * released, or that a wait was cut short.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "disk/crash.h"
#include "disk/disk.h"
#include "disk/medium.h"
#include "fault/act.h"
#include "lib/chance.h"
#include "lib/min.h"
#include "lib/sys.h"
#include "report/log.h"
#include "report/stats.h"

/*--------------------------------------------------------------------*/
/* Plan. */

/* The error that a rule gives a request, or 0. */
static int
error_of (const struct fired *c)
{
  const struct fault_spec *s = &c->fault->spec;

  return c->call_error ? c->call_error : s->disconnect ? ESHUTDOWN : s->error;
}

/* What a rule does to any request. */
static unsigned
plan_always (const struct fired *c)
{
  const struct fault_spec *s = &c->fault->spec;

  return (c->delay ? ACT (DELAY) : 0) | (s->hang ? ACT (HANG) : 0)
    | (s->shutdown ? ACT (SHUTDOWN) : 0) | (s->cut ? ACT (CUT) : 0);
}

/* Is only a promise lost, which a volatile cache makes: that of FUA, or of a flush to
 * other connections?
 */
static bool
only_lies (const struct fault_spec *s, const struct request *req)
{
  return req->visit && (s->lose_others || (s->has_fua && s->fua && s->lose));
}

/* Is all of the request lost? */
static bool
is_lost (const struct fault_spec *s, const struct request *req)
{
  return s->lose && !only_lies (s, req);
}

/* How the rule that decides fails a request.  If its function failed, that is all
 * that it does.
 */
static unsigned
plan_failure (const struct fired *c, enum op op)
{
  const struct fault_spec *s = &c->fault->spec;

  if (c->call_error)
    return ACT (ERROR);
  return (s->disconnect ? ACT (DISCONNECT) : ACT (ERROR))
    | (s->lose ? ACT (DROP) : 0)
    | (c->nr_keep && CAN_TEAR >> op & 1 ? ACT (KEEP) : 0);
}

/* How a rule changes a request that is performed, or that is LOST.  All that can
 * happen to a lost one is that the zeroes which answer a read are damaged.
 */
static unsigned
plan_changes (const struct fired *c, const struct request *req, bool lost)
{
  const struct fault_spec *s = &c->fault->spec;
  const enum op op = req->op;
  unsigned does = 0;

  if (s->lose || s->lose_others)
    return is_lost (s, req) ? ACT (LOSE) : ACT (LIE);
  if (c->nr_keep && CAN_TEAR >> op & 1 && !lost)
    does |= ACT (KEEP);
  if (s->misdirect && CAN_MISDIRECT >> op & 1 && !lost)
    does |= ACT (MISDIRECT);
  if (s->stale && CAN_BE_STALE >> op & 1 && !lost)
    does |= ACT (STALE);
  if (s->corrupt && CAN_CORRUPT >> op & 1 && (op == OP_READ || !lost))
    does |= ACT (CORRUPT);
  return does;
}

struct fault_range
fault_half (const struct request *req)
{
  const uint64_t middle = req->offset + req->count / 2;
  const uint64_t end = middle - middle % disk_sector (req->conn->disk);

  return (struct fault_range) { 0, end > req->offset ? end - req->offset : 0 };
}

/* Which parts of a request a rule keeps: none asked for, if there are 0. */
static void
plan_parts (struct fired *c, const struct request *req)
{
  const struct fault_spec *s = &c->fault->spec;

  c->half = s->keep_half ? fault_half (req) : c->half;
  c->keep = c->given ? c->given : s->keep_half ? &c->half : s->keep;
  c->nr_keep = c->given ? c->nr_given : s->keep_half ? 1 : s->nr_keep;
}

/* Plan what each rule does: the first that fails the request decides, and of
 * several that keep a part of it, or answer it from a snapshot, the first one
 * counts.  Functions are expected to succeed, except where call_error says otherwise.
 */
static void
plan (struct fired *fired, size_t n, const struct request *req)
{
  const unsigned first_only = ACT (KEEP) | ACT (STALE);
  unsigned taken = 0;
  size_t decides = 0;
  bool lost = false;

  while (decides < n && !error_of (&fired[decides]))
    decides++;
  for (size_t i = 0; i < n; i++)
    lost = lost || is_lost (&fired[i].fault->spec, req);

  for (size_t i = 0; i < n; i++) {
    struct fired *c = &fired[i];

    plan_parts (c, req);
    c->does = plan_always (c);
    c->error = i == decides ? error_of (c) : 0;
    if (i <= decides && c->fault->spec.has_call)
      c->does |= ACT (CALL);
    if (i == decides)
      c->does |= plan_failure (c, req->op);
    else if (decides == n)
      c->does |= plan_changes (c, req, lost);
    c->does &= ~taken;
    taken |= c->does & first_only;
  }
}

/* The first rule that takes one of these actions, or NULL. */
static const struct fired *
who_does (const struct fired *fired, size_t n, unsigned actions)
{
  for (size_t i = 0; i < n; i++)
    if (fired[i].does & actions)
      return &fired[i];
  return NULL;
}

/* How many bits of a request a rule flips: no more than there are. */
static uint64_t
bits_of (const struct fired *c, const struct request *req)
{
  return min_u64 (c->fault->spec.corrupt, (uint64_t) req->count * 8);
}

/*--------------------------------------------------------------------*/
/* Tell. */

/* The actions that are logged as "NAME":true. */
static const struct { unsigned action; const char *name; } plain[] = {
  { ACT (HANG), "hang" }, { ACT (CALL), "call" }, { ACT (SHUTDOWN), "shutdown" },
  { ACT (DISCONNECT), "disconnect" },
};

static void
tell_keep (struct json *did, const struct fired *c)
{
  json_member (did, "keep", "[");
  for (size_t i = 0; i < c->nr_keep; i++) {
    json_comma (did);
    json_addf (did, "[%llu,%llu]", (unsigned long long) c->keep[i].offset,
               (unsigned long long) c->keep[i].count);
  }
  json_add (did, "]", 1);
}

/* Tell what a rule did, or, if only that is still to be told, how it ended. */
static void
tell_one (const struct fired *c, struct request *req)
{
  const struct fault_spec *s = &c->fault->spec;
  struct json did = { .text = NULL };

  if (c->does & ACT (DELAY))
    json_member_number (&did, "delay", (double) c->delay / 1e9);
  for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
    if (c->does & plain[i].action)
      json_member (&did, plain[i].name, "true");
  if (c->does & ACT (ERROR))
    json_member_string (&did, "error", errno_name (c->error));
  if (c->does & ACT (KEEP))
    tell_keep (&did, c);
  if (c->does & (ACT (LOSE) | ACT (LIE) | ACT (DROP)))
    json_member (&did, "lose", s->lose_others ? "\"others\"" : "true");
  if (c->does & ACT (MISDIRECT))
    json_member (&did, "misdirect", "%lld", (long long) s->misdirect);
  if (c->does & ACT (STALE))
    json_member_string (&did, "stale", s->stale);
  if (c->does & ACT (CORRUPT))
    json_member (&did, "corrupt", "%llu", (unsigned long long) bits_of (c, req));
  if (c->does & ACT (CUT))
    json_member_string (&did, "cut", s->cut);
  if (c->ended)
    json_member_string (&did, "ended", c->ended);
  log_request ("rule", s->name, req, &did);
}

static void
tell (const struct fired *fired, size_t n, struct request *req)
{
  if (!log_wanted ())
    return;
  for (size_t i = 0; i < n; i++)
    tell_one (&fired[i], req);
}

/*--------------------------------------------------------------------*/
/* Act: wait. */

/* A request that waits in a rule. */
struct waiting {
  const struct fired *fired;
  const struct request *req;
};

/* Was the power cut, so that it need not wait any more? */
static bool
was_cut (const void *waiting)
{
  const struct waiting *w = waiting;

  return disk_was_cut (w->req);
}

/* Has the rule in which it hangs let go of it? */
static bool
released (const void *waiting)
{
  const struct waiting *w = waiting;

  return w->fired->fault->releases != w->fired->seen || was_cut (w);
}

/* Hang until the rule lets go.  0 or ESHUTDOWN. */
static int
wait_hang (struct fired *c, const struct request *req)
{
  const struct waiting w = { c, req };
  int err;

  stats_wait (true);
  c->fault->hanging++;
  err = request_wait_until (req->conn, UINT64_MAX, released, &w);
  c->fault->hanging--;
  stats_wait (false);
  c->ended = c->fault->removed ? "removed" : "released";
  return err;
}

static int
wait_delay (struct fired *c, const struct request *req)
{
  const struct waiting w = { c, req };
  int err;

  c->fault->delayed += c->delay;
  stats_wait (true);
  err = req->visit ? request_wait_until (req->conn, sys_now () + c->delay, was_cut, &w)
    : request_wait (req->conn, c->delay);
  stats_wait (false);
  return err;
}

/* 0 or ESHUTDOWN: the client has gone, the server ends, or the power was cut. */
static int
act_wait (struct fired *fired, size_t n, const struct request *req)
{
  int err = 0;

  for (size_t i = 0; i < n && !err; i++) {
    struct fired *c = &fired[i];

    if (c->does & ACT (DELAY))
      err = wait_delay (c, req);
    if (c->does & ACT (HANG) && !err)
      err = wait_hang (c, req);
    if (err && log_wanted ())
      c->ended = log_why_cut ();
    if (!err && disk_was_cut (req)) {
      c->ended = "power cut";
      err = ESHUTDOWN;
    }
  }
  return err;
}

/* Of a plan that was cut short, only the waiting was done. */
static void
plan_cut (struct fired *fired, size_t n)
{
  for (size_t i = 0; i < n; i++)
    fired[i].does &= ACT (DELAY) | ACT (HANG);
}

/* Tell how the waiting ended, of which the beginning was told. */
static void
tell_ended (struct fired *fired, size_t n, struct request *req)
{
  if (!log_wanted ())
    return;
  for (size_t i = 0; i < n; i++) {
    const unsigned does = fired[i].does;

    fired[i].does = 0;
    if (fired[i].ended)
      tell_one (&fired[i], req);
    fired[i].does = does;
  }
}

/*--------------------------------------------------------------------*/
/* Act: fail. */

static int
act_fail (struct fired *fired, size_t n, struct request *req,
          const struct fault_callbacks *callbacks)
{
  int err = 0;

  for (size_t i = 0; i < n; i++) {
    struct fired *c = &fired[i];

    if (c->does & ACT (CALL)) {
      c->call_error = callbacks->call (c->fault, req);
      if (c->call_error)
        plan (fired, n, req);
    }
    if (c->does & ACT (SHUTDOWN))
      nbdkit_shutdown ();
    if (c->does & ACT (DISCONNECT))
      request_cut ();
    if (c->does & (ACT (DISCONNECT) | ACT (ERROR)))
      err = c->error;
    if (c->does & ACT (DROP) && req->visit)
      req->visit->drops = true;
  }
  if (err)
    req->asked = true;
  return err;
}

/*--------------------------------------------------------------------*/
/* Act: perform. */

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

/* Flip BITS different bits of COUNT bytes, chosen by RANDOM.  There are as many. */
static void
flip_bits (uint8_t *buf, uint64_t count, uint64_t bits, uint64_t random)
{
  uint64_t all = count * 8, step, bit;

  if (all == 0)
    return;
  /* A step that shares no factor with the number of bits meets all of them. */
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

/* Flip what the rules flip in a buffer as long as the request. */
static void
corrupt (const struct fired *fired, size_t n, const struct request *req,
         void *buf)
{
  for (size_t i = 0; i < n; i++)
    if (fired[i].does & ACT (CORRUPT))
      flip_bits (buf, req->count, bits_of (&fired[i], req), fired[i].random);
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
perform_parts (struct request *whole, const struct fired *c)
{
  struct request req = *whole;          /* its parts have one record */
  const uint64_t start = req.offset, count = req.count;
  char *buf = req.buf;
  int err = 0;

  req.whole = whole;
  for (size_t i = 0; i < c->nr_keep && !err; i++) {
    const struct fault_range *r = &c->keep[i];

    if (r->offset >= count || r->count == 0)
      continue;
    req.offset = start + r->offset;
    req.buf = buf ? buf + r->offset : NULL;
    req.count = (uint32_t) min_u64 (r->count, count - r->offset);
    err = medium_pass (&req);
  }
  whole->why = req.why;
  return err;
}

/* Tell the cache which promises are lies. */
static void
act_lie (const struct fired *fired, size_t n, const struct request *req)
{
  for (size_t i = 0; i < n; i++)
    if (fired[i].does & ACT (LIE)) {
      req->visit->only_own |= fired[i].fault->spec.lose_others;
      req->visit->no_fua |= fired[i].fault->spec.lose;
    }
}

/* Perform a request as far as it is kept or lost. */
static int
perform_rest (const struct fired *fired, size_t n, struct request *req)
{
  const struct fired *keeper = who_does (fired, n, ACT (KEEP));

  if (req->visit)
    act_lie (fired, n, req);
  if (keeper)
    return perform_parts (req, keeper);
  if (!who_does (fired, n, ACT (LOSE)))
    return medium_pass (req);
  if (req->op == OP_READ)
    memset (req->buf, 0, req->count);
  return 0;
}

/* Answer a read with what a snapshot holds.  What is wrong with the medium of the disk
 * came first.
 */
static int
answer_stale (const struct fired *fired, size_t n, const struct request *req)
{
  const struct fired *c = who_does (fired, n, ACT (STALE));

  return c ? disk_read (c->stale, req->buf, req->count, req->offset, NULL) : 0;
}

/* Tell a volatile cache that this write, if it succeeds, was altered: what a power cut
 * leaves of it, an honest disk would not.  To trim nothing, or a part, is honest.
 */
static void
note_altered (const struct fired *fired, size_t n, const struct request *req)
{
  const unsigned alters = ACT (MISDIRECT) | ACT (CORRUPT)
    | (req->op == OP_TRIM ? 0 : ACT (LOSE) | ACT (KEEP));

  for (size_t i = 0; i < n && req->visit && CHANGES >> req->op & 1; i++)
    req->visit->altered |= (fired[i].does & alters) != 0;
}

/* Perform a request, moved and damaged.  The data of a write is the client's, so a
 * copy is damaged.
 */
static int
act_perform (const struct fired *fired, size_t n, struct request *original)
{
  const bool damaged = who_does (fired, n, ACT (CORRUPT)) != NULL;
  struct request req = *original;
  void *copy = NULL;
  int err;

  for (size_t i = 0; i < n; i++)
    if (fired[i].does & ACT (MISDIRECT))
      req.offset = misdirected (&req, fired[i].fault->spec.misdirect);
  note_altered (fired, n, &req);
  if (damaged && req.op == OP_WRITE) {
    copy = malloc (req.count);
    if (!copy)
      return ENOMEM;
    req.buf = memcpy (copy, req.buf, req.count);
    corrupt (fired, n, &req, copy);
  }
  err = perform_rest (fired, n, &req);
  if (!err)
    err = answer_stale (fired, n, &req);
  if (damaged && req.op == OP_READ && !err)
    corrupt (fired, n, &req, req.buf);
  free (copy);
  original->why = req.why;
  original->answered = req.answered;
  return err;
}

/* Of a request that fails, perform only what the rule that decides keeps. */
static void
act_keep (const struct fired *fired, size_t n, struct request *req)
{
  if (who_does (fired, n, ACT (KEEP)))
    perform_rest (fired, n, req);
  req->why = NULL;              /* if the medium failed that, it does not matter */
}

/*--------------------------------------------------------------------*/
/* Act: cut the power. */

/* The request fails: with the others that are on their way, or with ERR. */
static int
cut_power (const struct fired *c, struct request *req, int err)
{
  const struct fault_spec *s = &c->fault->spec;
  const struct crash_cut cut = { s->cut, s->cut_torn, s->cut_bad };
  char why[700];

  req->asked = true;
  if (crash_cut (&cut, why, sizeof why) == 0)
    return ESHUTDOWN;
  nbdkit_error ("fault rule %s (%s): cut: %s", s->name, s->where, why);
  return err ? err : EIO;
}

/* A request that changes the disk is in flight when the power is cut: it may survive. */
static int
act_cut (const struct fired *fired, size_t n, struct request *req, int err)
{
  const struct fired *c = who_does (fired, n, ACT (CUT));

  return c ? cut_power (c, req, err) : err;
}

/*--------------------------------------------------------------------*/

/* A wait that is cut short, because the client leaves or the server ends, also cuts
 * the plan short.
 */
int
fault_act (struct fired *fired, size_t n, struct request *req, int err,
           const struct fault_callbacks *callbacks)
{
  bool late;
  int cut;

  if (err) {
    tell (fired, n, req);       /* nothing is planned */
    return err;
  }
  plan (fired, n, req);
  late = who_does (fired, n, ACT (CALL)) != NULL;
  if (!late)
    tell (fired, n, req);
  cut = act_wait (fired, n, req);
  err = cut ? cut : act_fail (fired, n, req, callbacks);
  if (cut)
    plan_cut (fired, n);
  if (late)
    tell (fired, n, req);
  else
    tell_ended (fired, n, req);
  if (cut)
    return err;
  if (err)
    act_keep (fired, n, req);
  else
    err = act_perform (fired, n, req);
  return act_cut (fired, n, req, err);
}
