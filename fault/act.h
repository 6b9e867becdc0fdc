/* act.h - what the rules that fire do to a request; for rules.c. */

#ifndef FAULT_ACT_H
#define FAULT_ACT_H

#include <stddef.h>
#include <stdint.h>

#include "fault/rule.h"
#include "fault/rules.h"

/* What a rule may do to a request, in this order.  ACT_ERROR is also what a rule
 * does whose function failed.  Of what is called lose, ACT_LOSE does not perform the
 * request, ACT_LIE performs it, but its FUA or its flush promises too much, and ACT_DROP
 * lets a flush that fails lose what it covers.
 */
enum action {
  ACT_DELAY, ACT_HANG, ACT_CALL, ACT_SHUTDOWN, ACT_DISCONNECT, ACT_ERROR,
  ACT_KEEP, ACT_LOSE, ACT_LIE, ACT_DROP, ACT_MISDIRECT, ACT_STALE, ACT_CORRUPT,
  ACT_CUT
};

/* Sets of actions have the bit 1 << action for each. */
#define ACT(action) (1u << ACT_##action)

/* A rule that matches a request, or fires for it: its luck, and the plan. */
struct fired {
  struct fault *fault;
  bool on;                      /* when it was looked up; off: it only counts */
  uint64_t came;                /* of a random rule: how often the request came
                                 * before */
  uint64_t random;
  uint64_t delay;               /* nanoseconds */
  struct fault_range *given;    /* by its function keep, from malloc, or NULL */
  size_t nr_given;
  unsigned seen;                /* the rule's releases when it was looked up: one
                                 * that is removed after that lets nobody hang */
  int call_error;               /* errno code, from its function */
  struct disk *stale;           /* the snapshot of that name, to be put; or NULL */

  unsigned does;                /* a set of actions */
  int error;                    /* errno code, of ACT_DISCONNECT and ACT_ERROR */
  const struct fault_range *keep;       /* of ACT_KEEP */
  size_t nr_keep;
  struct fault_range half;
  const char *ended;            /* how its waiting ended, if that is worth telling */
};

/* Do to a request what N rules say, in their order, perform what is left of it,
 * and log that.  ERR: an errno code with which it has failed already, so that there
 * is only something to log.  Returns 0 or an errno code.  On the thread of the
 * request, without a lock held.
 */
int fault_act (struct fired *fired, size_t n, struct request *req, int err,
               const struct fault_callbacks *callbacks);

#endif /* FAULT_ACT_H */
