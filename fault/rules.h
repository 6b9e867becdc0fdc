/* rules.h - fault rules: which requests they match, and what happens then.
 *
 * A rule is complete when fault_add returns, and then only counts.  So any number
 * of threads may send requests through the rules while others add and remove
 * some.  A request is matched against the rules in the order in which they
 * were added.  Every rule that it matches counts it.  Of the rules that fire, all
 * delays and changes apply, and the first error decides: then nothing is
 * performed, except what the rule of that error keeps.
 *
 * Whether a rule with a probability fires, and what it does by chance, depends on
 * the seed, on the rule's name, on the request (operation, offset, count), and on
 * how often the same request came to this rule before: a request that the rule's
 * op, region, conn, export, fua and data match counts, also while it is off, or
 * outside of the time from its from to its to.  All rules count a request at the same
 * moment, so that it does not matter which of two requests at the same time is the
 * first.
 */

#ifndef FAULT_RULES_H
#define FAULT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request.h"

struct fault_spec;              /* what is asked for, and a rule: rule.h */
struct fault;
struct fault_range;
struct tally;                   /* lib/chance.h */

/* The functions of rules, called for rules with has_when, has_delay_function,
 * has_keep_function and has_call, by the thread of the request and without a lock held.
 */
struct fault_callbacks {
  /* 1: the rule fires, 0: it does not, or -errno. */
  int (*when) (const struct fault *f, struct request *req);
  /* How long to wait, in nanoseconds; 0 or an errno code. */
  int (*delay) (const struct fault *f, struct request *req, uint64_t *ns);
  /* Which parts of a request that changes the disk to keep, N ranges from malloc, at
   * least one, which the caller frees; NULL: all of it.  0 or an errno code.
   */
  int (*keep) (const struct fault *f, struct request *req,
               struct fault_range **ranges, size_t *n);
  /* 0 or an errno code. */
  int (*call) (const struct fault *f, struct request *req);
};

/* Before all other functions.  The callbacks are copied. */
void faults_start (const struct fault_callbacks *callbacks);

/* Forget all rules, when no request is left.  nbdkit's log gets a line for each
 * rule, which is an error if it never fired.  (nbdkit unloads a plugin only after
 * it has served, so a start that fails reports nothing.)
 */
void faults_stop (void);

/* The log begins, which gets a line for each rule that there is. */
void faults_log (void);

/* Add a rule.  Everything SPEC points to is copied.  The caller shares the
 * rule and gives it up with fault_put.  0; EEXIST: there is a rule of this
 * name; ENOMEM.
 */
int fault_add (const struct fault_spec *spec, struct fault **out);

/* Give up a rule.  The last one to do so frees it. */
void fault_put (struct fault *f);

/* Find a rule that was not removed; give it up with fault_put.  NULL: none. */
struct fault *fault_get (const char *name);

/* Put the rules into OUT, in order, at most ROOM of them; give each up with
 * fault_put.  Returns how many there are in all.
 */
size_t faults_list (struct fault **out, size_t room);

/* Remove a rule, or all of them.  Requests that hang in it go on.  The log gets a
 * last line for each.  To remove a rule twice does nothing.
 */
void fault_remove (struct fault *f);
void faults_clear (void);

/* Switch a rule on or off.  While it is off, it has no hits and does not fire.
 */
void fault_set_on (struct fault *f, bool on);

/* Let the requests that hang in this rule go on. */
void fault_release (struct fault *f);

/* Wait until a rule has fired at least TIMES times, or NS nanoseconds have passed.
 * Returns whether it has.
 */
bool fault_wait (struct fault *f, uint64_t times, uint64_t ns);

/* A request for which a rule fired. */
struct fault_hit {
  enum op op;
  uint64_t offset, conn;
  uint32_t count;
  uint64_t number;              /* of the match, from 1 */
};

struct fault_info {
  const char *name;
  const char *text;             /* as it was written, without its name */
  const char *where;            /* and where, such as "faults.lua:4" */
  uint64_t number;
  uint64_t hash;                /* of the name */
  bool on, removed;
  bool over;                    /* its time (to) is over: it never fires again */
  bool optional;                /* it is no mistake if it never fires */
  uint64_t hits, fired;         /* requests matched, and acted on */
  uint64_t first, last;         /* when it fired (stats_clock); 0: never */
  struct fault_hit hit;         /* the last one */
  uint64_t delayed;             /* its delays in all, in nanoseconds */
  uint64_t hanging;             /* requests that hang in it */
};

/* What is known of a rule.  The texts live as long as the rule. */
struct fault_info fault_info (const struct fault *f);

/* Where those who run a rule's functions count the requests for which these call
 * chance.  They lock it.  It lives as long as the rule.
 */
struct tally *fault_asked (const struct fault *f);

/* Somebody sets a mark (crash_on_mark in disk/crash.h): rules that wait for it begin.  Was
 * there ever a rule, whichever, that waited for marks?  (Who lifts all faults need not stop
 * setting them.)
 */
bool faults_mark (const char *text);

/* Is there any rule for this operation?  Takes no lock. */
bool faults_want (enum op op);

/* Is there a rule that lets time pass? */
bool faults_may_wait (void);

/* The first half of a request, rounded down to whole sectors of the disk: what keep =
 * "half" keeps of it, so that no sector is torn.
 */
struct fault_range fault_half (const struct request *req);

/* Send a request through the rules, and on to the medium as they say.  Returns 0
 * or an errno code.
 */
int faults_pass (struct request *req);

#endif /* FAULT_RULES_H */
