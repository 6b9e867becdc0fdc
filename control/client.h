/* client.h - memctl's connection to the server, and what answers say.
 *
 * For one thread.  There is one connection.  Errors of the connection end the
 * program.
 */

#ifndef CLIENT_H
#define CLIENT_H

#include <stddef.h>
#include <stdio.h>

enum { OK, FAILED, NO_SERVER };         /* exit codes */

/* Say why there is no server, and exit with NO_SERVER. */
_Noreturn void client_no_server (const char *why);

/* What messages begin with. */
extern const char *client_name;

/* Connect to the socket PATH, which lives as long as the program. */
void client_connect (const char *path);

/* The connection, for those who do not use client_ask. */
int client_fd (void);

/* Send a chunk of LEN bytes as one line.  Errors are ignored: if the server has hung
 * up, its answer says why.
 */
void client_send (const char *chunk, size_t len);

/* The same, and wait for the answer: a line with its newline, LENGTH bytes, which the
 * caller frees.
 */
char *client_ask (const char *chunk, size_t len, size_t *length);

/* Exit if these are the first N bytes of a disk, not of control=. */
void client_check (const char *bytes, size_t n);

/* Print the JSON string whose first quote S points to as plain text. */
void client_print (const char *s, FILE *out);

/* If this answer is an error, print it to standard error and return FAILED.
 * Otherwise OK.
 */
int client_error (const char *answer);

/* What follows KEY and its colon in a line of JSON, or NULL.  (Within a string, the
 * quotes around a key would have backslashes.)
 */
const char *client_member (const char *line, const char *key);

#endif /* CLIENT_H */
