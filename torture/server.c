/* server.c - nbdkit with the plugin. */

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "control/client.h"
#include "torture/server.h"
#include "torture/tools.h"

static char *disk_socket, *control;
static pid_t server;

const char *
server_control (void)
{
  return control;
}

/* RFC 3986: what has a meaning in a URI is written with a percent sign.  From malloc. */
static char *
in_uri (const char *s)
{
  char *const all = room (NULL, 3 * strlen (s) + 1), *to = all;

  for (; *s; s++)
    if (isalnum ((unsigned char) *s) || strchr ("-._~/", *s))
      *to++ = *s;
    else
      to += sprintf (to, "%%%02X", (unsigned) (unsigned char) *s);
  *to = '\0';
  return all;
}

char *
server_uri (const char *export)
{
  char *const name = in_uri (export), *const socket = in_uri (disk_socket);
  char *const uri = text ("nbd+unix:///%s?socket=%s", name, socket);

  free (name);
  free (socket);
  return uri;
}

/* The plugin: beside this program, as in the source tree, or where it is installed. */
static char *
find_plugin (void)
{
  static const char *const places[] = { "", "/../lib/nbdkit-memory-plugin" };
  const int dir = (int) (strrchr (own_path (), '/') - own_path ());

  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    char *const path = text ("%.*s%s/memory.so", dir, own_path (), places[i]);
    char *const plugin = realpath (path, NULL);

    free (path);
    if (plugin)
      return plugin;
  }
  wrong ("memory.so, the plugin, is neither beside disktorture, in %.*s, nor in "
         "../lib/nbdkit-memory-plugin", dir, own_path ());
}

static void
wait_for (const char *file, const char *log)
{
  while (access (file, R_OK) != 0) {
    if (waitpid (server, NULL, WNOHANG) == server)
      wrong ("%s", last_line (log));
    usleep (2000);
  }
}

void
server_start (const struct options *o, const char *dir, const char *replay)
{
  char *const pid_file = text ("%s/pid", dir), *const log = text ("%s/server.log", dir);
  char *const plugin = find_plugin (), *const sector = text ("sector=%s", o->sector);
  char *const history = text ("history=%s", o->history);
  char *const disk = text (replay ? "replay=%s" : "size=%s", replay ? replay : o->size);
  char *const socket_word = text ("control=%s/control", dir);

  control = text ("%s/control", dir);
  disk_socket = text ("%s/disk", dir);
  unlink (pid_file);
  server = start ((const char *const[]) {
    "nbdkit", "-f", "-U", disk_socket, "-P", pid_file, plugin, socket_word, sector,
    "hook-timeout=1000000", disk, replay ? NULL : "write-cache=volatile",
    history, NULL
  }, log);
  wait_for (pid_file, log);
  client_connect (control);
  free (pid_file);
  free (log);
  free (plugin);
  free (sector);
  free (disk);
  free (history);
  free (socket_word);
}

void
server_stop (void)
{
  kill (server, SIGTERM);
  stopped (server);
  unlink (disk_socket);
  unlink (control);
}

char *
server_ask (const char *chunk)
{
  char *plain = NULL, *answer;
  size_t n, size;
  FILE *out = open_memstream (&plain, &size);
  const char *error, *result;

  if (!out)
    wrong ("out of memory");
  answer = client_ask (chunk, strlen (chunk), &n);
  error = strncmp (answer, "{\"error\":", 9) == 0 ? answer + 9 : NULL;
  result = error ? error : client_member (answer, "result");
  if (result && *result == '"')
    client_print (result, out);
  fclose (out);
  if (error)
    wrong ("the server says: %s", plain);
  free (answer);
  return plain;
}

char *
lua_string (const char *s)
{
  char *quoted = room (NULL, strlen (s) * 4 + 3), *to = quoted;

  *to++ = '"';
  for (; *s; s++)
    to += sprintf (to, "\\%03u", (unsigned) (unsigned char) *s);
  *to++ = '"';
  *to = '\0';
  return quoted;
}

bool
server_save (const char *state, const char *file, char **why)
{
  char *const name = lua_string (state), *const to = lua_string (file);
  char *const chunk = text ("local ok, s = pcall(disk.get, disk, %s)"
                            " if not ok then return s end local open <close> = s s:save(%s)"
                            " return ''", name, to);

  *why = server_ask (chunk);
  free (chunk);
  free (name);
  free (to);
  return !**why;
}
