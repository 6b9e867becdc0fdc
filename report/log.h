/* log.h - the fault log: a line of JSON for every fault that happened.
 *
 * Lines are kept in memory and written by a thread, so that a slow disk does not
 * hold up requests.  Any thread may add lines.
 */

#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/json.h"
#include "request.h"

/* Open the file, which is emptied.  Before the program forks.  An errno code;
 * ENXIO: it is a pipe that nobody reads, or a socket.
 */
int log_open (const char *path);

/* Begin to write, when the program has forked for the last time.  An errno
 * code.
 */
int log_start (void);

/* Write what is left, and end.  A file that takes nothing for a second is given
 * up.  How many lines could not be written, and in *ERR why: 0, because they
 * came too fast, or an errno code.  May be called whatever was called before.
 */
uint64_t log_stop (int *err);

/* Is there a log?  Takes no lock. */
bool log_wanted (void);

/* Add a line with the members of MEMBERS, which is the inside of a JSON object;
 * takes it over.  The line begins with the time (UTC) and a number, by one more
 * than that of the line before.  Waits for at most 10 ms, then drops the line; a
 * line {"dropped": N} says where, as it does when the file takes lines again
 * after it took none.
 */
void log_add (struct json *members);

/* Add a line about a request: who did it ("rule", its name) and DID, the inside
 * of a JSON object, which it takes over.
 */
void log_request (const char *who, const char *name, const struct request *req,
                  struct json *did);

/* The same where all that was done is an error. */
void log_error (const char *who, const char *name, const struct request *req,
                int err);

#endif /* LOG_H */
