/* commands.h - what memctl does besides chunks.
 *
 * Each has a connection already, and returns an exit code of client.h.
 */

#ifndef COMMANDS_H
#define COMMANDS_H

/* Ask the server to end, and say which rules fired.  FAILED: one did not.  Gives up
 * after SECONDS: NO_SERVER.
 */
int command_stop (double seconds);

/* One table of what the disk and the rules have done. */
int command_status (void);

/* Show what happens, each EVERY seconds, COUNT times (0: for ever): on a screen, or
 * where standard output is no terminal, as lines.  PATH: the name of the socket.
 */
int command_top (const char *path, unsigned long count, double every);

#endif /* COMMANDS_H */
