/* names.h - which states are to be tried. */

#ifndef TORTURE_NAMES_H
#define TORTURE_NAMES_H

#include "torture/history.h"
#include "torture/options.h"
#include "torture/state.h"

/* All different ones, in an order that the seed has shuffled, so that any beginning of them
 * is a fair sample.
 */
struct names {
  struct state *state;
  size_t n, room;
  size_t by_requests, torn;     /* names that were thought of */
};

/* Ask the server for those at all points of a history.  The same history, seed and sector
 * give the same ones.
 */
struct names names_list (const struct options *o, const struct history *h);

/* Add one more. */
struct state *names_add (struct names *n, const struct state *s);

/* For finding states by name: of those that were there when it was made. */
struct name_index;
struct name_index *names_index (const struct names *n);
/* The number of one, or SIZE_MAX. */
size_t names_find (const struct names *n, const struct name_index *x, const char *name);

/* 0: the same image with the same promises. */
int names_compare (const struct state *x, const struct state *y);

#endif /* TORTURE_NAMES_H */
