/* Whose turn it is: with a clock of the test's own, where a second is a unit. */

#include "tap.h"
#include "disk/throttle.c"

#define S UINT64_C (1000000000)
#define CREDIT THROTTLE_CREDIT
#define START (1000 * S)

static struct throttle t;

static void
start (uint64_t bytes, uint64_t requests)
{
  throttle_init (&t);
  throttle_set (&t, bytes, requests, START);
}

/* A ticket's turn is so long after the start. */
static bool
is_turn (const struct ticket *k, uint64_t ns)
{
  return k->turn == START + ns;
}

static void
test_order (void)
{
  struct ticket k[3];

  start (1, 0);
  for (unsigned i = 0; i < 3; i++)
    throttle_join (&t, &k[i], 10, START);
  ok (is_turn (&k[0], 10 * S) && is_turn (&k[1], 20 * S)
      && is_turn (&k[2], 30 * S), "turns come in order, when all of it may pass");
  throttle_pass (&k[0]);
  ok (is_turn (&k[1], 20 * S) && is_turn (&k[2], 30 * S), "one passes");
  throttle_leave (&t, &k[1]);
  ok (is_turn (&k[2], 20 * S), "one leaves: those behind it move up");
  throttle_join (&t, &k[0], 5, START + S);
  ok (is_turn (&k[0], 25 * S), "... and so does who comes later");
}

static void
test_credit (void)
{
  struct ticket k, l;

  start (10, 0);
  throttle_join (&t, &k, 10, START);
  throttle_pass (&k);
  throttle_join (&t, &l, 10, START + 9 * S);
  ok (is_turn (&l, 10 * S - CREDIT), "what was not used is lost, except a little");
  throttle_leave (&t, &l);
  throttle_join (&t, &l, 10, START + S);
  ok (is_turn (&l, 2 * S), "one that came and left took none of it");

  /* If the first had never come, the other would still have come late. */
  start (10, 0);
  throttle_join (&t, &k, 100, START);
  throttle_join (&t, &l, 10, START + 9 * S);
  throttle_leave (&t, &k);
  ok (is_turn (&l, 10 * S - CREDIT), "nor is what it left unused made up for");
}

static void
test_two_rates (void)
{
  struct ticket big, flush[3];

  start (1, 1);
  throttle_join (&t, &big, 100, START);
  for (unsigned i = 0; i < 3; i++)
    throttle_join (&t, &flush[i], 0, START);
  ok (is_turn (&big, 100 * S) && is_turn (&flush[0], 2 * S)
      && is_turn (&flush[2], 4 * S), "what moves no bytes waits for no bytes");
  throttle_pass (&flush[0]);
  throttle_leave (&t, &big);
  ok (is_turn (&flush[1], 2 * S) && is_turn (&flush[2], 3 * S),
      "one that leaves gives both back, though a later one has passed");
  throttle_pass (&flush[1]);
  throttle_pass (&flush[2]);
  throttle_join (&t, &big, 1, START);
  ok (is_turn (&big, 4 * S), "what has passed still counts");

  start (0, 0);
  throttle_join (&t, &big, UINT32_MAX, START);
  ok (!throttle_active (&t) && big.turn <= START, "no rates: no waiting");
}

static void
test_set (void)
{
  struct ticket k[2];

  start (1, 0);
  throttle_join (&t, &k[0], 100, START);
  throttle_join (&t, &k[1], 100, START);
  throttle_pass (&k[0]);
  throttle_set (&t, 2, 0, START + S);
  ok (k[1].lost && throttle_active (&t), "other rates: tickets are lost");
  throttle_join (&t, &k[1], 100, START + S);
  ok (!k[1].lost && is_turn (&k[1], 51 * S), "... and what has passed is through");
}

static void
test_never (void)
{
  struct ticket k[10];

  start (1, 0);
  for (unsigned i = 0; i < 10; i++)
    throttle_join (&t, &k[i], UINT32_MAX, START);
  ok (k[0].turn < k[1].turn && k[9].turn == INT64_MAX, "a turn that never comes");
  for (unsigned i = 0; i < 9; i++)
    throttle_leave (&t, &k[i]);
  ok (is_turn (&k[9], UINT32_MAX * S), "... comes when the others leave");
}

/*--------------------------------------------------------------------*/
/* At random: the turns are those of a history without those that left. */

#define MANY 200

static struct {
  struct ticket ticket;
  uint64_t bytes, came;
  enum { WAITS, PASSED, LEFT } state;
} all[MANY];

static bool
turns_are_right (unsigned n, const uint64_t rate[2])
{
  uint64_t through[2] = { START, START };

  for (unsigned i = 0; i < n; i++) {
    const uint64_t units[2] = { all[i].bytes, 1 };
    uint64_t turn = 0;

    if (all[i].state == LEFT)
      continue;
    for (unsigned r = 0; r < 2; r++) {
      if (rate[r] == 0 || units[r] == 0)
        continue;
      through[r] = later (through[r], all[i].came - CREDIT)
        + units[r] * S / rate[r];
      turn = later (turn, through[r]);
    }
    if (all[i].state == WAITS && all[i].ticket.turn != turn)
      return false;
  }
  return true;
}

static bool
one_round (uint64_t *state)
{
  const uint64_t rate[2] = { random_below (state, 3) ? 1000 : 0,
                             random_below (state, 3) ? 10 : 0 };
  uint64_t now = START;
  unsigned n = 0;
  bool right = true;

  start (rate[0], rate[1]);
  while (n < MANY && right) {
    unsigned i = (unsigned) random_below (state, n + 1);

    now += random_below (state, 4) ? 0 : random_below (state, S);
    if (i < n && all[i].state == WAITS && random_below (state, 2)) {
      throttle_leave (&t, &all[i].ticket);
      all[i].state = LEFT;
    }
    for (i = 0; i < n; i++)
      if (all[i].state == WAITS && all[i].ticket.turn <= now) {
        throttle_pass (&all[i].ticket);
        all[i].state = PASSED;
      }
    all[n].bytes = random_below (state, 3) ? random_below (state, 1000) : 0;
    all[n].came = now;
    all[n].state = WAITS;
    throttle_join (&t, &all[n].ticket, all[n].bytes, now);
    right = turns_are_right (++n, rate);
  }
  return right;
}

int
main (void)
{
  uint64_t seed = env_number ("SEED", 1), n = rounds (300), i;
  uint64_t state = seed;
  bool right = true;

  test_order ();
  test_credit ();
  test_two_rates ();
  test_set ();
  test_never ();
  for (i = 0; i < n && right; i++)
    right = one_round (&state);
  ok (right, "%llu random queues, seed %llu", (unsigned long long) i,
      (unsigned long long) seed);
  return done_testing ();
}
