/* commands.h - what memctl does besides chunks.
 *
 * Each, except command_report, has a connection already, and returns an exit code of
 * client.h.
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

/* Write a page (HTML) about the fault log LOG ("-": standard input), which the server need
 * not write any more: to the file OUTPUT, which is not touched if the log can't be read, or
 * to standard output where that is NULL.  FAILED: that did not work, as was said.
 */
int command_report (const char *log, const char *output);

#endif /* COMMANDS_H */
