/* control.h - the run-time control socket.
 *
 * Clients send lines.  Each line is passed to a function, and its answer is sent
 * back as one line.  This file does not know what the lines mean, except one that
 * asks for the end of the server.
 */

#ifndef CONTROL_H
#define CONTROL_H

#include <stddef.h>
#include <stdint.h>

/* The longest line, in bytes, without its newline. */
#define CONTROL_LINE_MAX ((size_t) 1 << 20)

/* This line asks the server to end, and is no Lua.  Its answer is {"connections":N}.
 * Its client is kept until the last words (control_last_words), may ask again
 * meanwhile, and sees its connection end when the program does.
 */
#define CONTROL_STOP "!stop"

/* Ask the server to end, once more perhaps.  Returns how many clients of the disk
 * are connected.  From any thread, without a lock held.
 */
typedef unsigned (*control_stop_fn) (void);

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

/* The same with a name that nobody else knows, in a directory with mode 0700 that is
 * made for it in DIRECTORY (absolute), and removed with it.
 */
int control_listen_private (const char *directory);

/* The absolute name of the socket. */
const char *control_name (void);

/* Start to answer, when the program has forked for the last time.  0, or an errno
 * code.
 */
int control_start (control_answer_fn answer, control_stop_fn stop);

/* End all threads and remove the socket.  Clients whose lines are being answered get
 * no answer.  Does no harm if a function above failed, or was not called.
 */
void control_stop (void);

/* After control_stop: send whole lines, LEN bytes in all, to the clients that have
 * asked for the end.  Those that do not take them within a second do without.
 */
void control_last_words (const char *lines, size_t len);

#endif /* CONTROL_H */
