/* tools.h - what all of disktorture needs: errors, texts, files, programs.
 *
 * For one thread.  What goes wrong ends the program with DONE_WRONG, after one line.
 */

#ifndef TORTURE_TOOLS_H
#define TORTURE_TOOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit codes: nothing failed, something did, or the tool could not do its job. */
enum { DONE_GOOD, DONE_FAILED, DONE_WRONG };

_Noreturn void wrong (const char *format, ...)
  __attribute__ ((format (printf, 1, 2)));

/* From now on, a signal that asks this program to end is noted; then check_signals ends it,
 * and so do functions that wait.
 */
void take_signals (void);
void check_signals (void);

/* Where this program is, and as what it was called, which is CALLED.  It must be found before
 * it has mounts of its own: in a chroot, it can't be found then.  What is beside it, such as
 * memctl, is found by what it runs.
 */
void find_own_path (const char *called);
const char *own_path (void);
const char *own_name (void);

/* In a worker: end quietly when asked to, and with the parent. */
void become_worker (void);

/* A text as printf makes it, from malloc. */
char *text (const char *format, ...) __attribute__ ((format (printf, 1, 2)));

/* The same text as one word for a shell, in quotes if it needs them, from malloc. */
char *shell_word (const char *word);

/* Bring N items of SIZE bytes into an order that the seed alone decides. */
void shuffle (void *items, size_t n, size_t size, uint64_t seed);

/* As realloc and strdup. */
void *room (void *old, size_t size);
char *copy_of (const char *s);

/* As fopen and fclose.  CALLED is what the error says: the file's name, or a parameter. */
FILE *open_file (const char *name, const char *mode, const char *called);
void close_file (FILE *f, const char *called);

/* Create a file that holds these bytes. */
void write_file (const char *name, const char *bytes, size_t n);

/* How a program in a group of its own is followed to its end. */
struct following {
  int fd;                       /* its output, */
  void (*take) (void *context, const char *buf, size_t n);      /* who gets it, */
  void *context;
  double seconds;               /* and the time that it may take; 0: any */
  size_t most;                  /* bytes that it may write; 0: any */
  size_t bytes;                 /* that it has written */
  bool hung, flooded;           /* as in struct ended */
};

/* Follow one.  What it leaves behind is killed, and may hold its output no longer.  Returns
 * its status, as waitpid gives it.
 */
int follow (pid_t pid, struct following *f);

/* How a program ended. */
struct ended {
  bool hung;                    /* it took too long, or FLOODED: wrote too much */
  bool flooded;
  int signal;                   /* of which it died, or 0 */
  int code;
  char *first, *last;           /* its first line and its last, from malloc; "": none */
  char *all;                    /* what it wrote, in which 0 is a question mark */
};

/* Run one in a process group of its own, which ends with it, and read what it writes.  ENV:
 * pairs of name and value, ended by NULL, which may be NULL itself.  SECONDS: that it may
 * take; 0: any.
 */
struct ended run (const char *const *argv, const char *const *env, double seconds);
struct ended run_command (const char *command, const char *const *env, double seconds);
void ended_free (struct ended *e);
bool ended_well (const struct ended *e);

/* Why it failed, in one line, from malloc: the first that speaks of an error, or its last. */
char *ended_error (const struct ended *e);

/* Start one that stays until this program ends, with its output in the file LOG. */
pid_t start (const char *const *argv, const char *log);

/* Note that a process stays; and wait for its end, which gives its status. */
void keep (pid_t pid);
int stopped (pid_t pid);

/* Kill what programs have left behind: all that runs under this one, but for those that were
 * started to stay.
 */
void kill_strays (void);

/* Kill all processes that were told of this directory in their environment. */
void kill_told (const char *dir);

/* The last line in such a file, from malloc. */
char *last_line (const char *log);

/* Run a helper such as mount, and say in WHY of SIZE bytes why it failed. */
bool help (const char *const *argv, char *why, size_t size);

/* In a child: be killed when this program ends, and become another one. */
_Noreturn void become (const char *const *argv, const char *const *env);

#endif /* TORTURE_TOOLS_H */
