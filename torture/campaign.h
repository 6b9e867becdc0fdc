/* campaign.h - try all states, and tell what failed. */

#ifndef TORTURE_CAMPAIGN_H
#define TORTURE_CAMPAIGN_H

#include "torture/history.h"
#include "torture/options.h"

/* Try the states of a history; PLACE is the directory for what is temporary.  Returns
 * DONE_GOOD or DONE_FAILED.
 */
int campaign (const struct options *o, const struct history *h, const char *place);

/* Look at one state: say what it is, and run the check or a command there.  Returns the
 * exit code of this program.
 */
int show (const struct options *o, const struct history *h, const char *place);

#endif /* TORTURE_CAMPAIGN_H */
