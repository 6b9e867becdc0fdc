/* junit.h - what was found, as JUnit's XML, which servers of continuous integration show. */

#ifndef TORTURE_JUNIT_H
#define TORTURE_JUNIT_H

#include "torture/causes.h"

/* Write that the run did not come to its end, which is true until the file is written again:
 * nobody shall take the results of another run for those of this one.
 */
void junit_begin (const char *file);

/* Write the file that --junit names: a test for each cause, which fails, and one for all other
 * states of CHECKED, which passes.
 */
void junit_write (const struct checking *c, const struct causes *all, size_t checked);

#endif /* TORTURE_JUNIT_H */
