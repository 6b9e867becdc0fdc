/* client.c - memctl's connection to the server, and what answers say. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "control/client.h"
#include "control/object.h"

static const char *path;        /* of the socket */
static int fd = -1;
static FILE *to_server, *from_server;

/*--------------------------------------------------------------------*/
/* The connection. */

const char *client_name = "memctl";

_Noreturn void
client_no_server (const char *why)
{
  fprintf (stderr, "%s: %s: %s\n", client_name, path, why);
  exit (NO_SERVER);
}

/* Why there is no connection. */
static const char *
why_refused (void)
{
  struct stat st;

  return errno == ECONNREFUSED && stat (path, &st) == 0 && !S_ISSOCK (st.st_mode)
    ? "is no socket" : strerror (errno);
}

void
client_connect (const char *socket_path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  path = socket_path;
  fd = socket (AF_UNIX, SOCK_STREAM, 0);
  if (strlen (path) >= sizeof address.sun_path)
    client_no_server ("the path is too long for a socket");
  memcpy (address.sun_path, path, strlen (path) + 1);
  if (fd == -1
      || connect (fd, (struct sockaddr *) &address, sizeof address) == -1
      || (from_server = fdopen (fd, "r")) == NULL
      || (to_server = fdopen (dup (fd), "w")) == NULL)
    client_no_server (why_refused ());
}

int
client_fd (void)
{
  return fd;
}

/* Newlines become carriage returns, which end a line in Lua too.  A carriage return
 * before a newline is left out, because two of them would be two lines.
 */
void
client_send (const char *chunk, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (chunk[i] != '\r' || i + 1 == len || chunk[i + 1] != '\n')
      putc (chunk[i] == '\n' ? '\r' : chunk[i], to_server);
  putc ('\n', to_server);
  fflush (to_server);
}

void
client_check (const char *bytes, size_t n)
{
  if (n >= 8 && memcmp (bytes, "NBDMAGIC", 8) == 0)
    client_no_server ("this is the socket of the disk, not the one of control=");
}

char *
client_ask (const char *chunk, size_t len, size_t *length)
{
  char *answer = NULL;
  size_t size = 0;
  ssize_t n;

  client_send (chunk, len);
  n = getline (&answer, &size, from_server);
  client_check (answer, n > 0 ? (size_t) n : 0);
  if (n <= 0 || answer[n - 1] != '\n')
    client_no_server ("the server has ended, or closed the connection");
  *length = (size_t) n;
  return answer;
}

/*--------------------------------------------------------------------*/
/* Answers. */

void
client_print (const char *s, FILE *out)
{
  const char *const end = s + strlen (s);
  char one[4];

  for (s++; s < end && *s != '"';) {
    const size_t n = object_character (&s, end, one);

    fwrite (one, 1, n, out);
  }
}

int
client_error (const char *answer)
{
  static const char error[] = "{\"error\":";

  if (strncmp (answer, error, sizeof error - 1) != 0)
    return OK;
  fprintf (stderr, "%s: ", client_name);
  client_print (answer + sizeof error - 1, stderr);
  putc ('\n', stderr);
  return FAILED;
}

const char *
client_member (const char *line, const char *key)
{
  char quoted[40];
  const char *at;

  snprintf (quoted, sizeof quoted, "\"%s\":", key);
  at = strstr (line, quoted);
  return at ? at + strlen (quoted) : NULL;
}
