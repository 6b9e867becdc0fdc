/* memctl.c - send Lua to a server that was started with control=SOCKET. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
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
  "control=SOCKET, and prints its result as JSON on standard output.  Without\n"
  "CHUNK, all of standard input is the chunk; with -, each line of it is one,\n"
  "and there is a prompt.  Quote a chunk for the shell:\n"
  "\n"
  "    memctl ctl.sock 'fault { op=\"write\", error=\"ENOSPC\", name=\"full\" }'\n"
  "    memctl ctl.sock 'fault.get(\"full\"):wait(10)'   # until it has fired\n"
  "    memctl ctl.sock 'fault.list()'\n"
  "    memctl ctl.sock 'fault.clear()'\n"
  "    memctl ctl.sock <faults.lua\n"
  "    memctl ctl.sock -\n"
  "\n"
  "What a chunk prints goes to the server's standard error.\n"
  "\n"
  "Exit code: 0; 1 if the chunk failed (its error is on standard error) or the\n"
  "command line is wrong; 2 if there is no server, or it ended meanwhile.\n"
  "With -, errors of chunks do not count.\n";

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
  memcpy (address.sun_path, path, strlen (path) + 1);
  if (fd == -1
      || connect (fd, (struct sockaddr *) &address, sizeof address) == -1
      || (from_server = fdopen (fd, "r")) == NULL
      || (to_server = fdopen (dup (fd), "w")) == NULL)
    no_server (strerror (errno));
}

/* Write a Unicode character below 2048 as UTF-8.  (The server's \u escapes are all
 * below 256.)
 */
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

/* Print LEN bytes and a newline on standard output.  Returns an exit code. */
static int
print_result (const char *s, size_t len)
{
  fwrite (s, 1, len, stdout);
  putchar ('\n');
  if (fflush (stdout) == 0)
    return OK;
  perror ("memctl: standard output");
  return FAILED;
}

/* Print what an answer says, which has LEN bytes with the newline.  Returns an exit
 * code.
 */
static int
print_answer (const char *answer, size_t len)
{
  static const char result[] = "{\"result\":", error[] = "{\"error\":";

  if (strncmp (answer, error, sizeof error - 1) == 0) {
    fprintf (stderr, "memctl: ");
    print_text (answer + sizeof error - 1, stderr);
    return FAILED;
  }
  if (strncmp (answer, result, sizeof result - 1) == 0)
    return print_result (answer + sizeof result - 1, len - sizeof result - 1);
  return OK;
}

/* Send a chunk as one line: its newlines become carriage returns, which end a line
 * in Lua too.  A carriage return before a newline is left out, because two of them
 * would be two lines.  Errors are ignored: if the server has hung up, its answer
 * says why.
 */
static void
send_chunk (const char *chunk, size_t len)
{
  for (size_t i = 0; i < len; i++)
    if (chunk[i] != '\r' || i + 1 == len || chunk[i + 1] != '\n')
      putc (chunk[i] == '\n' ? '\r' : chunk[i], to_server);
  putc ('\n', to_server);
  fflush (to_server);
}

/* Send a chunk, and print its answer.  Returns an exit code. */
static int
run (const char *chunk, size_t len)
{
  char *answer = NULL;
  size_t size = 0;
  ssize_t n;
  int status;

  send_chunk (chunk, len);
  n = getline (&answer, &size, from_server);
  if (n >= 8 && memcmp (answer, "NBDMAGIC", 8) == 0)
    no_server ("this is the socket of the disk, not the one of control=");
  if (n <= 0 || answer[n - 1] != '\n')
    no_server ("the server has ended, or closed the connection");
  status = print_answer (answer, (size_t) n);
  free (answer);
  return status;
}

static int
input_failed (void)
{
  perror ("memctl: standard input");
  return FAILED;
}

/* Each line of standard input is a chunk.  The prompt is written to standard error,
 * so that standard output has only JSON.
 */
static int
run_lines (void)
{
  char *line = NULL;
  size_t size = 0;
  ssize_t n;

  if (isatty (STDIN_FILENO))
    fputs ("Each line is a piece of Lua; Ctrl-D ends.\n", stderr);
  while (fputs ("> ", stderr), (n = getline (&line, &size, stdin)) > 0) {
    if (line[n - 1] == '\n')
      n--;
    run (line, (size_t) n);
  }
  putc ('\n', stderr);
  free (line);
  return ferror (stdin) ? input_failed () : OK;
}

/* Standard input is one chunk. */
static int
run_input (void)
{
  char *text = NULL, buf[4096];
  size_t size = 0, n;
  FILE *all = open_memstream (&text, &size);
  int status;

  if (!all)
    return input_failed ();
  while ((n = fread (buf, 1, sizeof buf, stdin)) > 0)
    fwrite (buf, 1, n, all);
  status = fclose (all) != 0 || ferror (stdin) ? input_failed ()
                                               : run (text, size);
  free (text);
  return status;
}

/* Open a file that can be neither read nor written in place of each standard stream
 * that is closed, or the socket would become that stream.
 */
static void
fill_streams (void)
{
  int fd;

  do
    fd = open ("/", O_PATH | O_CLOEXEC);
  while (fd >= 0 && fd <= STDERR_FILENO);
  close (fd);
}

/* Obey --help or --version, which may stand anywhere. */
static void
show_info (int argc, char *argv[])
{
  for (int i = 1; i < argc; i++) {
    bool help = strcmp (argv[i], "--help") == 0 || strcmp (argv[i], "-h") == 0;

    if (!help && strcmp (argv[i], "--version") != 0)
      continue;
    fputs (help ? usage : "memctl " VERSION "\n", stdout);
    exit (OK);
  }
}

static int
wrong_usage (const char *why)
{
  fprintf (stderr, "memctl: %s; try memctl --help\n", why);
  return FAILED;
}

int
main (int argc, char *argv[])
{
  fill_streams ();
  show_info (argc, argv);
  if (argc < 2)
    return wrong_usage ("which SOCKET?");
  if (argv[1][0] == '-')
    return wrong_usage ("the first argument is the SOCKET");
  if (argc > 3)
    return wrong_usage ("CHUNK is one argument: put it into quotes");
  path = argv[1];
  signal (SIGPIPE, SIG_IGN);
  connect_to_server ();
  if (argc == 2)
    return run_input ();
  if (strcmp (argv[2], "-") == 0)
    return run_lines ();
  return run (argv[2], strlen (argv[2]));
}
