/* owner.c - to which file a part of the disk belongs: debugfs of e2fsprogs knows it. */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "torture/owner.h"
#include "torture/place.h"
#include "torture/server.h"
#include "torture/tools.h"

#define JOURNAL 8               /* its inode */

/* The last line that debugfs prints for a command, from malloc. */
static char *
ask_debugfs (const char *command, const char *image)
{
  struct ended e = run ((const char *const[]) { "debugfs", "-R", command, image, NULL },
                        NULL, 10);
  char *line, *found;

  for (size_t n = strlen (e.all); n > 0 && e.all[n - 1] == '\n'; n--)
    e.all[n - 1] = '\0';
  line = strrchr (e.all, '\n');
  found = copy_of (line ? line + 1 : e.all);
  ended_free (&e);
  return found;
}

/* The file system's, or 0. */
static uint64_t
block_size (const char *image)
{
  struct ended e = run ((const char *const[]) { "debugfs", "-R", "stats -h", image, NULL },
                        NULL, 10);
  const char *const at = strstr (e.all, "Block size:");
  const uint64_t size = at ? strtoull (at + strlen ("Block size:"), NULL, 10) : 0;

  ended_free (&e);
  return size;
}

static char *
path_of (unsigned long inode, const char *image)
{
  char *const command = text ("ncheck %lu", inode);
  char *const line = ask_debugfs (command, image);
  const char *const path = strchr (line, '/');
  char *const found = path ? copy_of (path + (path[1] == '/')) : NULL;

  free (command);
  free (line);
  return found;
}

static char *
owner_in (const char *image, uint64_t offset)
{
  const uint64_t block = block_size (image);
  char *const command = text ("icheck %" PRIu64, block ? offset / block : 0);
  char *const line = block ? ask_debugfs (command, image) : copy_of ("");
  unsigned long inode = 0;
  const int n = sscanf (line, "%*u %lu", &inode);

  free (command);
  free (line);
  if (n != 1 || inode == 0)
    return NULL;
  return inode == JOURNAL ? copy_of ("the journal") : path_of (inode, image);
}

char *
owner_of (const struct checking *c, const struct point *p, uint64_t offset)
{
  const char *const mount = c->options->mount;
  char *const image = text ("%s/owner.img", c->place), *const dir = text ("%s/owner", c->place);
  char *const state = text ("crash/%s/all", p->name);
  char *found = NULL, *not_saved = NULL, why[600];

  if (mount && strcmp (mount, "ext4") == 0 && server_save (state, image, &not_saved)) {
    if (place_mount (mount, image, dir, false, why, sizeof why)
        && place_unmount (dir, why, sizeof why))
      found = owner_in (image, offset);
    unlink (image);
  }
  free (not_saved);
  free (state);
  free (image);
  free (dir);
  return found;
}
