/* memctl.c - send Lua to a server that was started with control=SOCKET. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/un.h>

enum { OK, FAILED, NO_SERVER };         /* exit codes */

static const char usage[] =
  "usage: memctl SOCKET [CHUNK | -]\n"
  "\n"
  "Runs CHUNK, a piece of Lua, in the server that was started with\n"
  "control=SOCKET, and prints its result as JSON.  Without CHUNK it is read\n"
  "from standard input; with - each line is a chunk of its own.\n"
  "\n"
  "    memctl ctl.sock 'fault { op=\"write\", error=\"ENOSPC\", name=\"full\" }'\n"
  "    memctl ctl.sock 'fault.get(\"full\"):wait(10)'   # until it has fired\n"
  "    memctl ctl.sock 'fault.list()'\n"
  "    memctl ctl.sock 'fault.clear()'\n"
  "\n"
  "Exit code: 0; 1 if the chunk failed; 2 if there is no server.\n";

static const char *path;        /* of the socket */
static FILE *to_server, *from_server;

static void
no_server (const char *why)
{
  fprintf (stderr, "memctl: %s: %s\n", path, why);
  exit (NO_SERVER);
}

static void
connect_to_server (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int fd = socket (AF_UNIX, SOCK_STREAM, 0);

  if (strlen (path) >= sizeof address.sun_path)
    no_server ("the path is too long for a socket");
  strcpy (address.sun_path, path);
  if (fd == -1
      || connect (fd, (struct sockaddr *) &address, sizeof address) == -1
      || (from_server = fdopen (fd, "r")) == NULL
      || (to_server = fdopen (dup (fd), "w")) == NULL)
    no_server (strerror (errno));
}

/* Write a Unicode character as UTF-8; those of \u escapes are below 256. */
static void
print_character (unsigned long c, FILE *out)
{
  if (c >= 0x80) {
    putc ((int) (0xC0 | c >> 6), out);
    c = 0x80 | (c & 0x3F);
  }
  putc ((int) c, out);
}

/* Print the JSON string that follows S's first quote as plain text. */
static void
print_text (const char *s, FILE *out)
{
  for (s++; *s && *s != '"'; s++) {
    if (*s != '\\')
      putc (*s, out);
    else if (*++s == 'u') {
      const char digits[5] = { s[1], s[2], s[3], s[4] };

      print_character (strtoul (digits, NULL, 16), out);
      s += 4;
    }
    else
      putc (*s == 'n' ? '\n' : *s, out);
  }
  putc ('\n', out);
}

/* Print the answer to a chunk; an exit code. */
static int
print_answer (const char *answer, size_t len)
{
  static const char result[] = "{\"result\":", error[] = "{\"error\":";

  if (strncmp (answer, error, sizeof error - 1) == 0) {
    fprintf (stderr, "memctl: ");
    print_text (answer + sizeof error - 1, stderr);
    return FAILED;
  }
  /* All but the brace and the newline at the end. */
  if (strncmp (answer, result, sizeof result - 1) == 0)
    printf ("%.*s\n", (int) (len - sizeof result - 1),
            answer + sizeof result - 1);
  return fflush (stdout) == 0 ? OK : FAILED;
}

/* Send a chunk, and print its answer; an exit code. */
static int
run (const char *chunk, size_t len)
{
  char *answer = NULL;
  size_t size = 0;
  ssize_t n;
  int status;

  /* A chunk is a line.  To Lua, a carriage return ends a line as well. */
  for (size_t i = 0; i < len; i++)
    putc (chunk[i] == '\n' ? '\r' : chunk[i], to_server);
  putc ('\n', to_server);
  if (fflush (to_server) != 0
      || (n = getline (&answer, &size, from_server)) <= 0
      || answer[n - 1] != '\n')
    no_server ("the server closed the connection");
  status = print_answer (answer, (size_t) n);
  free (answer);
  return status;
}

static void
check_input (void)
{
  if (!ferror (stdin))
    return;
  perror ("memctl: standard input");
  exit (FAILED);
}

/* Each line of standard input is a chunk. */
static int
run_lines (void)
{
  char *line = NULL;
  size_t size = 0;
  ssize_t n;

  for (;;) {
    fputs ("> ", stdout);
    fflush (stdout);
    n = getline (&line, &size, stdin);
    if (n <= 0)
      break;
    if (line[n - 1] == '\n')
      n--;
    run (line, (size_t) n);
  }
  check_input ();
  putchar ('\n');
  free (line);
  return OK;
}

/* Standard input is one chunk. */
static int
run_input (void)
{
  char *text = NULL;
  size_t size = 0;
  ssize_t n = getdelim (&text, &size, '\0', stdin);
  int status;

  check_input ();
  status = run (text, n > 0 ? (size_t) n : 0);
  free (text);
  return status;
}

int
main (int argc, char *argv[])
{
  const char *chunk = argc > 2 ? argv[2] : NULL;

  path = argc > 1 ? argv[1] : "";
  if (strcmp (path, "--help") == 0 || strcmp (path, "--version") == 0) {
    fputs (strcmp (path, "--help") == 0 ? usage : "memctl " VERSION "\n",
           stdout);
    return OK;
  }
  if (argc < 2 || argc > 3 || *path == '-') {
    fputs (usage, stderr);
    return FAILED;
  }
  signal (SIGPIPE, SIG_IGN);
  connect_to_server ();
  if (!chunk)
    return run_input ();
  if (strcmp (chunk, "-") == 0)
    return run_lines ();
  return run (chunk, strlen (chunk));
}
