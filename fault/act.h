/* act.h - what the rules that fire do to a request; for rules.c. */

#ifndef FAULT_ACT_H
#define FAULT_ACT_H

#include "fault/rule.h"
#include "fault/rules.h"

/* A rule that may fire for a request, and its luck. */
struct fired {
  struct fault *fault;
  const struct fault_spec *spec;
  uint64_t random;
  uint64_t delay;               /* nanoseconds */
  int call_error;               /* errno code, from its function */
  const _Atomic unsigned *releases;     /* of the rule */
  unsigned seen;                /* of releases, when the rule was looked up: one
                                 * that is removed after that lets nobody hang */
};

/* Do to a request what N rules say, in their order, and perform what is left of
 * it.  ERR: an errno code with which it has failed already, so that there is only
 * something to log.  0 or an errno code.
 */
int fault_act (struct fired *fired, size_t n, struct request *req, int err,
               const struct fault_callbacks *callbacks);

#endif /* FAULT_ACT_H */
