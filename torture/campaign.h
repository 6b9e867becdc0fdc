/* campaign.h - try states, and tell what failed.
 *
 * All return what this program exits with.  What failed in earlier runs on the same history is
 * known, and not tried again.
 */

#ifndef TORTURE_CAMPAIGN_H
#define TORTURE_CAMPAIGN_H

#include <stdio.h>

#include "torture/state.h"

/* The check must be content with what the workload has left, or nothing can be said. */
void campaign_healthy (const struct checking *c);

/* Try all states, as far as --budget allows, or none of them, and report on all that were
 * ever tried.
 */
int campaign (const struct checking *c, bool try_them);

/* Print the names of all states, some in each line. */
int campaign_list (const struct checking *c);

/* Try the states of these names; each word may have more than one. */
int campaign_check (const struct checking *c, char **names);

/* Look at one state: say what it is, and run the check or a command there. */
int campaign_show (const struct checking *c, const char *name, char **command);

#endif /* TORTURE_CAMPAIGN_H */
