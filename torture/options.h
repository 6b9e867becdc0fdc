/* options.h - what the command line says. */

#ifndef TORTURE_OPTIONS_H
#define TORTURE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
  const char *size, *sector;    /* as the server takes them */
  const char *mount;            /* "ext4"; NULL: the workload has $disk */
  const char *setup, *workload, *check; /* commands */
  const char *out;              /* the directory for what is found */
  double timeout;               /* of a check, in seconds */
  uint64_t seed;
  const char *show;             /* the state to show; NULL: a campaign */
  char **command;               /* to run there, ended by NULL; or NULL */
};

/* Read it.  Ends the program where it is wrong, or asks for help. */
struct options read_options (int argc, char **argv);

#endif /* TORTURE_OPTIONS_H */
