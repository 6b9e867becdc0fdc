/* screen.h - a terminal that is put back as it was, whatever happens.
 *
 * For one thread.
 */

#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>

/* Is standard output a terminal that can move its cursor, and standard input one? */
bool screen_there (void);

/* Take the terminal: another screen, keys without a newline.  It is given back by
 * screen_leave, at exit, and before a signal ends or stops the program.
 */
void screen_enter (void);
void screen_leave (void);

/* The size of the terminal now. */
void screen_size (int *rows, int *columns);

/* What screen_wait has seen: a set. */
enum { SCREEN_KEY = 1, SCREEN_ANSWER = 2, SCREEN_CHANGED = 4 };

/* Wait until there is a key, or something to read from FD (-1: do not wait for it),
 * or the screen must be drawn again, or so many seconds have passed.  Signals that end
 * or stop the program do so here, and at no other time.
 */
int screen_wait (int fd, double seconds);

/* Read a key.  0: there is none. */
char screen_key (void);

#endif /* SCREEN_H */
