/* out.h - the directory for what is found: the history, how it was made, the results. */

#ifndef TORTURE_OUT_H
#define TORTURE_OUT_H

#include <stdbool.h>
#include <stdio.h>

#include "lib/json.h"
#include "torture/options.h"
#include "torture/state.h"

/* Make it, for a run.  True: there is the history of one that was started in the same way, so
 * this one goes on.  Ends the program if there is something of another run.
 */
bool out_make (struct options *o);

/* What is not said on the command line, as the run in the directory had it.  Ends the program
 * if there is none.
 */
void out_recall (struct options *o);

/* The paths of the history, and of what was promised before it, from malloc. */
char *out_history (const struct options *o);
char *out_promised (const struct options *o);

/* Put the history of the server there; and note, when it is known to be good, how it was made:
 * then there is a run.
 */
void out_save_history (const struct options *o);
void out_save_run (const struct options *o);

/* A member of a line of JSON that is a string, from malloc, or a copy of OTHERWISE, if that is
 * not NULL.
 */
char *out_member (const char *line, const char *key, const char *otherwise);

/* Open a file of results to add to it, and add one.  NAME: NULL is one of this process.
 * out_line ends an object of JSON, adds it as a line, and frees it.
 */
FILE *out_results (const struct options *o, const char *name);
void out_line (FILE *results, struct json *j);
void out_add (FILE *results, const struct state *s, const struct result *r);

/* Give EACH all whole lines of a file in the directory, if there is one. */
void out_lines (const struct options *o, const char *file,
                void (*each) (void *context, const char *line), void *context);

/* Give EACH all results in the files that the command line names, or else in the directory.
 * STATE lasts as long as the call, apart from its reason.
 */
void out_each (const struct options *o,
               void (*each) (void *context, const char *name, const struct state *state),
               void *context);

#endif /* TORTURE_OUT_H */
