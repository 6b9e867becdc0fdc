/* verdict.h - the sentences of a fault log's page.
 *
 * Each stands in a table with the condition under which it is true.
 */

#ifndef VERDICT_H
#define VERDICT_H

#include "control/figure.h"
#include "control/tally.h"
#include "lib/page.h"

/* What the sentences are about. */
struct evidence {
  const struct tally *tally;
  const struct figure *figure;
  struct source **sorted;       /* all sources, those with the most faults first */
};

/* Groups of sentences: the heading; what is wrong with the log; and what stands at each
 * table and picture.
 */
enum sentences { SAY_VERDICT, SAY_NOTES, SAY_RULES, SAY_WHEN, SAY_WHERE, SAY_KINDS, SAY_DELAYS };

/* Write the sentences of a group that are true: as the heading, as a box each, or as a
 * paragraph.
 */
void verdict_say (struct page *p, enum sentences group, const struct evidence *e);

/* Is it a rule that should have fired, and has not? */
bool verdict_never_fired (const struct source *s);

/* Rows of the table of rules. */
#define RULES_SHOWN 50

#endif /* VERDICT_H */
