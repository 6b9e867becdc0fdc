/* view.h - how --top shows what happened between two samples.  For one thread. */

#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>

#include "control/sample.h"

/* For a terminal of so many rows and columns, which is home: what it must write,
 * from malloc, or NULL.  WHAT: a word on what the figures are about, or "".
 */
char *view_screen (const struct sample *old, const struct sample *new,
                   const char *path, const char *what, int rows, int columns);

/* Note the rate between two samples for the graph. */
void view_note (const struct sample *old, const struct sample *new);

/* For other programs: lines of fields with tabs between them, on standard output. */
void view_head (void);
void view_lines (const struct sample *old, const struct sample *new);

#endif /* VIEW_H */
