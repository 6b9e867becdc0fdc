/* config.h - what the command line says. */

#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "disk/disk.h"
#include "lua/hooks.h"

enum allocator { SPARSE, MALLOC, MALLOC_LOCKED };

struct script {
  char *name, *code;            /* code: NULL means the file called name */
};

struct config {
  bool has_size;
  uint64_t size;                /* bytes */
  enum allocator allocator;
  bool volatile_cache;          /* write-cache=volatile */
  struct disk_cache cache;      /* what else is said of it */
  char *replay;                 /* a path, or NULL: the size is in that file */
  struct script *scripts;
  size_t nr_scripts, room_scripts;
  char *control, *log;          /* paths, or NULL */
  bool control_private;         /* control is a directory for a socket */
  struct hooks_config hooks;
  size_t room_params;           /* of hooks.params */
};

extern struct config config;

/* One line of help for each parameter, for nbdkit --help. */
extern const char config_help[];

/* Take a parameter; one that the plugin does not know is kept for the scripts.
 * -1: its value is wrong, or it is given twice and may not be, and nbdkit_error
 * said why.
 */
int config_set (const char *key, const char *value);

/* All parameters are known.  SCRIPTED: is there Lua that could look up those that
 * the plugin does not know?  -1: one is missing or unknown, and nbdkit_error said
 * which.
 */
int config_complete (bool *scripted);

void config_free (void);

#endif /* CONFIG_H */
