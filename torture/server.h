/* server.h - the disk: nbdkit with the plugin, and its control socket. */

#ifndef TORTURE_SERVER_H
#define TORTURE_SERVER_H

#include "torture/options.h"

/* Start one whose sockets are in this directory: to record, or to serve the history in the
 * file REPLAY (NULL: none).  It ends with this program.
 */
void server_start (const struct options *o, const char *dir, const char *replay);
void server_stop (void);

/* Its socket for memctl. */
const char *server_control (void);

/* The URI of an export, from malloc. */
char *server_uri (const char *export);

/* Run a chunk of Lua, and give the string that it returns, from malloc; "", if that is
 * something else.
 */
char *server_ask (const char *chunk);

/* A text as a string of Lua, from malloc. */
char *lua_string (const char *s);

/* Save a state to a file.  False: WHY, from malloc, says why not. */
bool server_save (const char *state, const char *file, char **why);

#endif /* TORTURE_SERVER_H */
