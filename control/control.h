/* control.h - the run-time control socket.
 *
 * Clients send lines; each is handed to a function, whose answer goes back as
 * one line.  What the lines mean is not known here.
 */

#ifndef CONTROL_H
#define CONTROL_H

#include <stddef.h>
#include <stdint.h>

/* The longest line, in bytes. */
#define CONTROL_LINE_MAX ((size_t) 1 << 20)

/* Let nanoseconds pass (0: only look) on behalf of the client whose line is
 * being answered.  0, or ESHUTDOWN: the client has gone, or control_stop waits.
 */
typedef int (*control_wait_fn) (void *context, uint64_t ns);

/* Answer a line: LEN bytes without the newline.  The answer is a line without
 * newline from malloc, or NULL: no memory, or WAIT said that it is given up.
 * Called by many threads at once.
 */
typedef char *(*control_answer_fn) (const char *line, size_t len,
                                    control_wait_fn wait, void *context);

/* Make the socket PATH (absolute), with mode 0600, and take the place of one
 * that no server listens on any more.  It goes away with control_stop, and if
 * the program ends before that.  An errno code; EADDRINUSE: a server listens
 * on it; EEXIST: it is no socket; ENAMETOOLONG.
 */
int control_listen (const char *path);

/* Begin to answer, when the program has forked for the last time.  An errno
 * code.
 */
int control_start (control_answer_fn answer);

/* End all: lines that are being answered are given up, and their clients get
 * no answer.  May be called whatever was called before.
 */
void control_stop (void);

#endif /* CONTROL_H */
