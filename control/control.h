/* control.h - the run-time control socket.
 *
 * Clients send lines.  Each line is passed to a function, and its answer is sent
 * back as one line.  This file does not know what the lines mean.
 */

#ifndef CONTROL_H
#define CONTROL_H

#include <stddef.h>
#include <stdint.h>

/* The longest line, in bytes, without its newline. */
#define CONTROL_LINE_MAX ((size_t) 1 << 20)

/* Let NS nanoseconds pass on behalf of the client whose line is being answered; 0
 * only checks on it.  0, or ESHUTDOWN: the client has gone, or control_stop waits.
 */
typedef int (*control_wait_fn) (void *context, uint64_t ns);

/* Answer a line of LEN bytes, which do not include the newline.  Returns a line
 * without a newline from malloc, which the caller frees, or NULL: there is no
 * memory, or WAIT has returned ESHUTDOWN.  Several threads call this at once, each
 * for a client of its own, without a lock held.
 */
typedef char *(*control_answer_fn) (const char *line, size_t len,
                                    control_wait_fn wait, void *context);

/* Make the socket PATH (absolute) with mode 0600; it replaces one on which no server
 * listens any more.  control_stop removes it, and so does the end of the program.
 * 0, or an errno code, such as EADDRINUSE: a server listens on it; EEXIST: there is
 * something else; ENAMETOOLONG.
 */
int control_listen (const char *path);

/* Start to answer, when the program has forked for the last time.  0, or an errno
 * code.
 */
int control_start (control_answer_fn answer);

/* End all threads and remove the socket.  Clients whose lines are being answered get
 * no answer.  Does no harm if a function above failed, or was not called.
 */
void control_stop (void);

#endif /* CONTROL_H */
