/* rules.h - fault rules: which requests they match, and what happens then.
 *
 * A rule is made whole by fault_add and then only counts, so any number of
 * threads may send requests through the rules while others add and remove
 * some.  A request is matched against the rules in the order in which they
 * were added.  All rules that it matches count it; of those that fire, all
 * delays and changes apply, and the first error decides: then nothing is
 * performed, but what the rule of that error keeps.
 *
 * Whether a rule with a probability fires, and what it does by chance, is made of
 * the luck of the request (chance.h) and the rule's name.
 */

#ifndef FAULTS_H
#define FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

/* The operations to which keep, misdirect and corrupt do something; a rule that
 * has other actions as well may match others.
 */
#define TORN CHANGES
#define MOVED (OP (READ) | CHANGES)
#define DAMAGED (OP (READ) | OP (WRITE))

/* Bytes of a request, counted from its start. */
struct fault_range {
  uint64_t offset, count;
};

/* All fields of 0 mean: not asked for. */
struct fault_spec {
  /* Selectors. */
  unsigned ops;                 /* a set of operations; not 0 */
  bool has_range;
  uint64_t offset, count;       /* requests that overlap this region */
  uint64_t conn;                /* number of the connection */
  const char *export_name;
  bool has_fua, fua;
  const char *data;             /* a write that contains these bytes */
  size_t data_len;
  uint64_t nth, every, after, times;
  const char *seq;              /* 'x' fires, others do not; then no more */
  bool has_p;
  double p;                     /* 0 to 1 */
  bool has_when;

  /* Actions. */
  int error;                    /* errno code */
  uint64_t delay, delay_max;    /* nanoseconds, drawn from delay to delay_max */
  bool has_delay_function;
  bool only_delays;             /* there is no other action */
  bool hang, lose, disconnect, shutdown, has_call;
  uint64_t corrupt;             /* bits */
  const struct fault_range *keep;       /* these parts of a write only */
  size_t nr_keep;
  int64_t misdirect;            /* bytes */

  const char *name;             /* NULL: its number */
  bool optional;                /* it is no mistake if it never fires */
};

struct fault;

/* The functions of rules.  WHEN, DELAY and CALL are called for
 * rules with has_when, has_delay_function and has_call.
 */
struct fault_callbacks {
  /* 1: fires, 0: does not, or -errno. */
  int (*when) (const struct fault *f, struct request *req);
  /* How long to wait, in nanoseconds; 0 or an errno code. */
  int (*delay) (const struct fault *f, struct request *req, uint64_t *ns);
  /* 0 or an errno code. */
  int (*call) (const struct fault *f, struct request *req);
};

/* Before all other functions. */
void faults_start (const struct fault_callbacks *callbacks);

/* Forget all rules.  No request is left.  nbdkit's log gets a line for each
 * rule: an error if it never fired.  (nbdkit unloads a plugin only when it has
 * served: a start that fails says nothing.)
 */
void faults_stop (void);

/* Add a rule.  Everything SPEC points to is copied.  The caller shares the
 * rule and gives it up with fault_put.  0, EEXIST: there is a rule of this
 * name; ENOMEM.
 */
int fault_add (const struct fault_spec *spec, struct fault **out);

void fault_put (struct fault *f);

/* Find a rule that was not removed; give it up with fault_put.  NULL: none. */
struct fault *fault_get (const char *name);

/* Put the rules into OUT, in order, at most ROOM of them; give each up with
 * fault_put.  How many there are in all.
 */
size_t faults_list (struct fault **out, size_t room);

/* Take a rule, or all of them, away.  Requests that hang in it go on. */
void fault_remove (struct fault *f);
void faults_clear (void);

/* A rule that is off matches nothing and counts nothing. */
void fault_set_on (struct fault *f, bool on);

/* Let the requests that hang in this rule go on. */
void fault_release (struct fault *f);

/* Wait until a rule has fired at least TIMES times, or NS nanoseconds have passed.
 * Has it?
 */
bool fault_wait (struct fault *f, uint64_t times, uint64_t ns);

struct fault_info {
  const char *name;
  uint64_t number;
  uint64_t hash;                /* of the name */
  bool on, removed;
  uint64_t hits, fired;         /* requests matched, and acted on */
};

/* The name lives as long as the rule. */
struct fault_info fault_info (const struct fault *f);

/* Is there any rule for this operation?  Takes no lock. */
bool faults_want (enum op op);

/* Is there a rule that lets time pass? */
bool faults_may_wait (void);

/* Send a request through the rules, and on to the medium as they say.  0 or an
 * errno code.
 */
int faults_pass (struct request *req);

#endif /* FAULTS_H */
