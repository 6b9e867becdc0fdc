/* out.h - the directory for what is found: the history, how it was made, the results. */

#ifndef TORTURE_OUT_H
#define TORTURE_OUT_H

#include <stdio.h>

#include "torture/options.h"
#include "torture/state.h"

/* Make it.  Ends the program if there is something of another run. */
void out_make (const struct options *o);

/* Put the history of the server there, and open the results. */
FILE *out_begin (const struct options *o);

/* Add a result. */
void out_add (FILE *results, const struct state *s);

/* What is not said on the command line of "show", as the run had it. */
void out_recall (struct options *o);

/* The path of the history, from malloc. */
char *out_history (const struct options *o);

#endif /* TORTURE_OUT_H */
