/* options.h - what the command line says. */

#ifndef TORTURE_OPTIONS_H
#define TORTURE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define DEFAULT_OUT "disktorture.out"

enum mode { DO_ALL, DO_SHOW, DO_LIST, DO_CHECK, DO_REPORT };

struct options {
  enum mode mode;
  char **words;                 /* after it, ended by NULL */
  const char *size, *sector, *history;  /* as the server takes them */
  const char *mount;            /* "ext4" and so on; NULL: the workload has $disk */
  const char *setup, *workload, *fsck;  /* commands */
  const char *check;            /* NULL: the file system's own */
  const char *oracle;           /* "set", or NULL: the check decides */
  const char *out;              /* the directory for what is found */
  const char *junit;            /* a file, or NULL */
  double timeout;               /* of a check, in seconds */
  double healthy;               /* seconds that the workload took on a healthy disk */
  double budget;                /* for all checks, in seconds; 0: any */
  const char *ways;             /* of --errors, with commas; NULL: all */
  bool errors, hardening;       /* requests fail; lies count, too */
  unsigned jobs, recuts;
  const char *promised;         /* a file of promises that were made before, or NULL */
  uint64_t seed;
};

/* Read it.  Ends the program where it is wrong, or asks for help. */
struct options read_options (int argc, char **argv);

#endif /* TORTURE_OPTIONS_H */
