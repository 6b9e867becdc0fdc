/* log.h - the fault log: a line of JSON for each fault that happened.
 *
 * Lines are kept in memory and written by a thread, so that a slow disk does not
 * hold up requests.  Any thread may add lines between log_start and log_stop.
 */

#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/json.h"
#include "request.h"

/* Open the file PATH, before the program forks, and lock it if it is a regular one,
 * until log_stop or the end of the last process that has it from a fork.  A stream
 * such as /dev/stdout is not locked, and never emptied.  0, or an errno code, and the
 * file is as it was; ENXIO: it is a pipe that nobody reads, or a socket; EADDRINUSE:
 * another server has locked it; EEXIST: it does not begin as a log does.
 */
int log_open (const char *path);

/* Empty a regular file, and start the thread that writes, when the program has forked
 * for the last time.  0, or an errno code.
 */
int log_start (void);

/* Write the lines that are left, end the thread, and close the file; it is given
 * up if it takes nothing for a second.  Returns how many lines were lost, and in
 * *ERR why: an errno code, or 0, because they came too fast.  Does no harm if
 * log_open or log_start failed, or was not called.
 */
uint64_t log_stop (int *err);

/* Is there a log?  Takes no lock. */
bool log_wanted (void);

/* Add a line with MEMBERS, which is the inside of a JSON object, and free it.  The
 * line begins with the time (UTC, and seconds since the start) and a number, which is
 * one more than that of the line before.  If there is no room for it within 10 ms, the line is dropped.  A
 * line {"dropped": N} stands where lines are missing, both dropped ones and those
 * that the file did not take.
 */
void log_add (struct json *members);

/* Add a line about a request: who did it (such as "rule", and its NAME), and DID,
 * the inside of a JSON object that says what was done.  Frees DID, and sets
 * REQ->told.
 */
void log_request (const char *who, const char *name, struct request *req,
                  struct json *did);

/* Why a wait of the request that this thread serves was cut short, for the member
 * "ended" of DID.
 */
const char *log_why_cut (void);

/* Such a line where that is all that is to be said. */
void log_cut (const char *who, const char *name, struct request *req, const char *why);

/* The same where all that was done is to fail with the errno code ERR. */
void log_error (const char *who, const char *name, struct request *req, int err);

/* Add the last line about a request: how it ended for the client (ERR: an errno
 * code, or 0), after NS nanoseconds.
 */
void log_result (const struct request *req, int err, uint64_t ns);

/* How many lines there were so far, and how many of them are lost. */
void log_figures (uint64_t *lines, uint64_t *missing);

#endif /* LOG_H */
