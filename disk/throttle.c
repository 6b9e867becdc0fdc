/* throttle.c - whose turn it is.
 *
 *     last.after --> ticket --> ticket --> ticket --> last
 *                    |  |       |  |       |  |       |
 *                    passed     passed     passed     passed
 *                       own        own        own
 *
 * From left to right this is all that matters of the past: what waits, in order,
 * and, between two that wait, the sum of what has passed there (a request may pass
 * before an older one that waits for the other rate).  The turn of a ticket comes
 * when all on its left and it itself are through.
 */

#include "disk/throttle.h"
#include "lib/min.h"

#define SECOND_NS 1e9

/* Times end here: that is, never. */
static uint64_t
add (uint64_t a, uint64_t b)
{
  return min_u64 (a + b, INT64_MAX);
}

static uint64_t
later (uint64_t a, uint64_t b)
{
  return a > b ? a : b;
}

/* When is a load through, if all before it is at THROUGH? */
static uint64_t
load_through (struct load l, uint64_t through)
{
  return later (add (through, l.length), l.end);
}

/* Both loads, one after the other. */
static struct load
load_join (struct load first, struct load second)
{
  return (struct load) {
    add (first.length, second.length), load_through (second, first.end)
  };
}

/* N units that come at NOW. */
static struct load
load_of (uint64_t n, uint64_t rate, uint64_t now)
{
  const uint64_t since = now > THROTTLE_CREDIT ? now - THROTTLE_CREDIT : 0;
  uint64_t length;

  if (rate == 0 || n == 0)
    return (struct load) { 0, 0 };
  length = add ((uint64_t) ((double) n * SECOND_NS / (double) rate), 0);
  return (struct load) { length, add (since, length) };
}

/* Find the turn of a ticket, if all before it are through at THROUGH, and change
 * THROUGH to when it is, too.
 */
static void
take_turn (struct ticket *k, uint64_t *through)
{
  uint64_t turn = 0;

  for (unsigned r = 0; r < THROTTLE_RATES; r++) {
    through[r] = load_through (k->own[r], through[r]);
    if (k->own[r].length > 0)
      turn = later (turn, through[r]);
  }
  k->turn = turn;
}

static void
unlink_ticket (struct ticket *k)
{
  k->before->after = k->after;
  k->after->before = k->before;
}

void
throttle_init (struct throttle *t)
{
  *t = (struct throttle) { .rate = { 0 } };
  t->last.before = t->last.after = &t->last;
}

void
throttle_set (struct throttle *t, uint64_t bytes, uint64_t requests,
              uint64_t now)
{
  struct ticket *k;

  while ((k = t->last.after) != &t->last) {
    unlink_ticket (k);
    k->lost = true;
  }
  t->rate[THROTTLE_BYTES] = bytes;
  t->rate[THROTTLE_REQUESTS] = requests;
  for (unsigned r = 0; r < THROTTLE_RATES; r++) {
    t->through[r] = now;
    t->last.passed[r] = (struct load) { 0, now };
  }
}

bool
throttle_active (const struct throttle *t)
{
  return t->rate[THROTTLE_BYTES] > 0 || t->rate[THROTTLE_REQUESTS] > 0;
}

void
throttle_join (struct throttle *t, struct ticket *k, uint64_t bytes,
               uint64_t now)
{
  const uint64_t units[THROTTLE_RATES] = { bytes, 1 };

  k->lost = false;
  for (unsigned r = 0; r < THROTTLE_RATES; r++) {
    k->own[r] = load_of (units[r], t->rate[r], now);
    k->passed[r] = t->last.passed[r];
    t->last.passed[r] = (struct load) { 0, 0 };
  }
  k->before = t->last.before;
  k->after = &t->last;
  k->before->after = k->after->before = k;
  take_turn (k, t->through);
}

void
throttle_pass (struct ticket *k)
{
  for (unsigned r = 0; r < THROTTLE_RATES; r++)
    k->after->passed[r] = load_join (load_join (k->passed[r], k->own[r]),
                                     k->after->passed[r]);
  unlink_ticket (k);
}

void
throttle_leave (struct throttle *t, struct ticket *k)
{
  uint64_t through[THROTTLE_RATES] = { 0 };

  for (unsigned r = 0; r < THROTTLE_RATES; r++)
    k->after->passed[r] = load_join (k->passed[r], k->after->passed[r]);
  unlink_ticket (k);

  /* Those that came later move up. */
  for (k = t->last.after;; k = k->after) {
    for (unsigned r = 0; r < THROTTLE_RATES; r++)
      through[r] = load_through (k->passed[r], through[r]);
    if (k == &t->last)
      break;
    take_turn (k, through);
  }
  for (unsigned r = 0; r < THROTTLE_RATES; r++)
    t->through[r] = through[r];
}
