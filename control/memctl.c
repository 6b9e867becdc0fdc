/* memctl.c - send Lua to a server that was started with control=SOCKET. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "control/client.h"
#include "control/commands.h"
#include "lib/text.h"

/* How long --stop waits for the end of the server, in seconds. */
#define TIMEOUT 30

#define BLANKS " \t\r\n"

static const char usage[] =
  "usage: memctl [SOCKET] [CHUNK | -]\n"
  "       memctl --status [SOCKET]\n"
  "       memctl --stop [--timeout SECONDS] [SOCKET]\n"
  "       memctl --top [-n COUNT] [-d SECONDS] [SOCKET]\n"
  "       memctl --report [-o FILE] LOG\n"
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
  "  --status   show one table of what the disk and the fault rules have done\n"
  "  --stop     end the server, and show which rules fired.  If clients are still\n"
  "             connected after 5 seconds, say how many; give up after SECONDS (30)\n"
  "  --top      show what happens each second (or SECONDS), COUNT times or until q;\n"
  "             where standard output is no terminal, as lines with tabs\n"
  "  --report   write a page for a browser about the faults in LOG, a file of log=, or -:\n"
  "             to standard output, or FILE.  It needs no server\n"
  "\n"
  "Without SOCKET it is $control, which nbdkit's --run sets.  Then a single\n"
  "argument is the SOCKET if it is a socket, or the name of another file with\n"
  "a / and no blank in it, and otherwise the CHUNK.\n"
  "\n"
  "Exit code: 0; 1 if the chunk failed (its error is on standard error), a rule\n"
  "never fired before --stop (except optional ones), or the command line is\n"
  "wrong; 2 if there is no server, or it ended meanwhile, or did not end in time.\n"
  "With -, errors of chunks do not count.\n";

static const char help[] =
  "  Each line is a piece of Lua; the value of an expression is shown.\n"
  "\n"
  "  disk.size                 disk:stats()              disk:bad()\n"
  "  disk:read(0, 16)          disk:write(0, \"x\")        disk:snapshot(\"name\")\n"
  "  disk:bad(\"1M\", \"64K\")     disk:heal(\"1M\", \"64K\")    disk:limit(\"8M\")\n"
  "  disk:readonly(true)       disk:throttle{bps=\"1M\"}   disk:save(\"disk.img\")\n"
  "  fault{op=\"write\", nth=3, error=\"EIO\", name=\"x\"}     a fault rule\n"
  "  fault.list()              fault.get(\"x\"):off()      fault.clear()\n"
  "  function on.read(req) sleep \"50ms\" end              a hook\n"
  "  on                        where the hooks are\n"
  "  param                     the parameters on the command line\n"
  "  print(\"x\")                writes to the standard error of the server\n"
  "  help                      this; quit, exit or Ctrl-D ends\n";

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
  static const char result[] = "{\"result\":";

  if (strncmp (answer, result, sizeof result - 1) == 0)
    return print_result (answer + sizeof result - 1, len - sizeof result - 1);
  return client_error (answer);
}

/* Send a chunk, and print its answer.  Returns an exit code. */
static int
run (const char *chunk, size_t len)
{
  size_t n;
  char *answer = client_ask (chunk, len, &n);
  const int status = print_answer (answer, n);

  free (answer);
  return status;
}

/* Send the chunk of the command line, which is ALONE there: it might have been meant
 * as the socket.  Returns an exit code.
 */
static int
run_argument (const char *chunk, bool alone)
{
  const int status = run (chunk, strlen (chunk));
  struct stat st;

  if (status != FAILED)
    return status;
  if (stat (chunk, &st) == 0 && S_ISREG (st.st_mode))
    fprintf (stderr, "memctl: CHUNK is Lua; for a file: memctl SOCKET <%s\n", chunk);
  else if (alone && strchr (chunk, '/') && !strpbrk (chunk, BLANKS))
    fprintf (stderr, "memctl: %s was taken as the CHUNK, because there is no such file "
             "and $control is set\n", chunk);
  return status;
}

static int
input_failed (void)
{
  perror ("memctl: standard input");
  return FAILED;
}

/* Is a line of N bytes this word? */
static bool
is_word (const char *line, ssize_t n, const char *word)
{
  return (size_t) n == strlen (word) && memcmp (line, word, (size_t) n) == 0;
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
  bool ended = false;

  if (isatty (STDIN_FILENO))
    fputs ("Each line is a piece of Lua; help says what there is; quit ends.\n",
           stderr);
  while (!ended && (fputs ("> ", stderr), n = getline (&line, &size, stdin)) > 0) {
    if (line[n - 1] == '\n')
      n--;
    ended = is_word (line, n, "quit") || is_word (line, n, "exit");
    if (is_word (line, n, "help"))
      fputs (help, stderr);
    else if (!ended)
      run (line, (size_t) n);
  }
  if (!ended)
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

/*--------------------------------------------------------------------*/
/* The command line. */

static struct {
  enum { CHUNK, STOP, STATUS, TOP, REPORT } what;
  const char *output;           /* of --report, or NULL */
  unsigned long count;          /* of --top; 0: not given */
  double every;                 /* seconds; 0: not given */
  double timeout;               /* seconds; 0: not given */
  const char *words[3];         /* what is no option */
  int nr_words;
} asked;

static _Noreturn void
wrong_usage (const char *why)
{
  fprintf (stderr, "memctl: %s; try memctl --help\n", why);
  exit (FAILED);
}

static void
choose (int what)
{
  if (asked.what != CHUNK && (int) asked.what != what)
    wrong_usage ("--stop, --status, --top and --report are four commands");
  asked.what = what == STOP ? STOP : what == TOP ? TOP : what == REPORT ? REPORT : STATUS;
}

static void
take_timeout (const char *value)
{
  char *end;

  asked.timeout = value ? strtod (value, &end) : 0;
  if (!(asked.timeout > 0 && asked.timeout < 1e9) || *end)
    wrong_usage ("--timeout: expected a number of seconds");
}

/* Take an option of --top and its value. */
static void
take_pace (const char *option, const char *value)
{
  char *end = NULL;

  if (option[1] == 'n')
    asked.count = value ? strtoul (value, &end, 10) : 0;
  else
    asked.every = value ? strtod (value, &end) : 0;
  if (!end || *end || *value == '-'
      || (option[1] == 'n' ? asked.count == 0
                           : !(asked.every >= 0.01 && asked.every < 1e6)))
    wrong_usage (option[1] == 'n' ? "-n: expected a number from 1 on"
                                  : "-d: expected a number of seconds from 0.01 on");
}

static void
take_output (const char *value)
{
  if (!value || !*value)
    wrong_usage ("-o: expected the name of a file");
  asked.output = value;
}

/* Take an option, which may stand anywhere.  A chunk of that text would be a comment.
 * NEXT is the argument behind it, or NULL.  Returns how many arguments it has been,
 * 0: it is no option.
 */
static int
take_option (const char *arg, const char *next)
{
  if (strcmp (arg, "--help") == 0 || strcmp (arg, "-h") == 0)
    fputs (usage, stdout);
  else if (strcmp (arg, "--version") == 0)
    puts ("memctl " VERSION);
  else if (strcmp (arg, "--stop") == 0)
    return choose (STOP), 1;
  else if (strcmp (arg, "--status") == 0)
    return choose (STATUS), 1;
  else if (strcmp (arg, "--top") == 0)
    return choose (TOP), 1;
  else if (strcmp (arg, "--report") == 0)
    return choose (REPORT), 1;
  else if (strcmp (arg, "-o") == 0)
    return take_output (next), 2;
  else if (strcmp (arg, "-n") == 0 || strcmp (arg, "-d") == 0)
    return take_pace (arg, next), 2;
  else if (strcmp (arg, "--timeout") == 0)
    return take_timeout (next), 2;
  else if (strncmp (arg, "--timeout=", 10) == 0)
    return take_timeout (arg + 10), 1;
  else
    return 0;
  exit (OK);
}

/* Refuse an argument that looks like a long option: a chunk of that text would be a
 * comment.
 */
static void
refuse_option (const char *arg)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-";
  static const char *const options[] = {
    "--help", "--version", "--status", "--stop", "--top", "--report", "--timeout", NULL
  };
  const size_t len = strspn (arg, letters);
  char name[32], why[128];
  const char *nearest;

  if (strncmp (arg, "--", 2) != 0 || len == 2 || len >= sizeof name
      || (arg[len] && arg[len] != '=') || strpbrk (arg, BLANKS))
    return;
  snprintf (name, sizeof name, "%.*s", (int) len, arg);
  nearest = text_nearest (name, options);
  snprintf (why, sizeof why, "unknown option %s%s%s%s", name,
            nearest ? "; did you mean " : "", nearest ? nearest : "",
            nearest ? "?" : "");
  wrong_usage (why);
}

static void
take_arguments (int argc, char *argv[])
{
  int n;

  for (int i = 1; i < argc; i += n ? n : 1) {
    n = take_option (argv[i], argv[i + 1]);
    if (n == 0)
      refuse_option (argv[i]);
    if (n == 0 && asked.nr_words < 3)
      asked.words[asked.nr_words++] = argv[i];
  }
  if (asked.timeout > 0 && asked.what != STOP)
    wrong_usage ("--timeout is for --stop");
  if ((asked.count > 0 || asked.every > 0) && asked.what != TOP)
    wrong_usage ("-n and -d are for --top");
  if (asked.output && asked.what != REPORT)
    wrong_usage ("-o is for --report");
}

/* Is it the name of a socket, rather than a chunk such as 10/2? */
static bool
is_socket (const char *arg)
{
  struct stat st;

  if (stat (arg, &st) != 0)
    st.st_mode = 0;
  return S_ISSOCK (st.st_mode)
    || ((st.st_mode || errno == EACCES)
        && strchr (arg, '/') && !strpbrk (arg, BLANKS));
}

/* Without $control a single argument is the socket.  If there is no such file, it may
 * be meant as a chunk.
 */
static void
check_alone (const char *arg)
{
  if (access (arg, F_OK) == 0)
    return;
  if (strpbrk (arg, " (){}=\"'"))
    wrong_usage ("a chunk needs a SOCKET before it, or in $control");
  fprintf (stderr, "memctl: %s is taken as the SOCKET, because $control is not set\n",
           arg);
}

/* The socket: the first word, or $control where that is no socket, and there would
 * be another word for a chunk.  What is left are the other words.
 */
static const char *
take_socket (void)
{
  const char *control = getenv ("control"), *first = asked.words[0];
  const bool alone = asked.nr_words == 1 && asked.what == CHUNK;

  if (control && *control && (!first || (alone && !is_socket (first))))
    return control;
  if (!first)
    wrong_usage ("which SOCKET? ($control is not set)");
  if (*first == '-')
    wrong_usage ("the first argument is the SOCKET");
  if (alone && (!control || !*control))
    check_alone (first);
  asked.nr_words--;
  asked.words[0] = asked.words[1];
  return first;
}

int
main (int argc, char *argv[])
{
  const char *path, *chunk;
  bool alone;

  fill_streams ();
  take_arguments (argc, argv);
  if (asked.nr_words > 2)
    wrong_usage ("CHUNK is one argument: put it into quotes");
  if (asked.what != CHUNK && asked.what != REPORT && asked.nr_words > 1)
    wrong_usage ("--stop, --status and --top take a SOCKET only");
  signal (SIGPIPE, SIG_IGN);
  if (asked.what == REPORT && asked.nr_words != 1)
    wrong_usage ("--report: which LOG? (a file of log=)");
  if (asked.what == REPORT)
    return command_report (asked.words[0], asked.output);
  alone = asked.nr_words == 1;
  path = take_socket ();
  client_connect (path);
  if (asked.what == TOP)
    return command_top (path, asked.count, asked.every > 0 ? asked.every : 1);
  if (asked.what == STOP)
    return command_stop (asked.timeout > 0 ? asked.timeout : TIMEOUT);
  if (asked.what == STATUS)
    return command_status ();
  if (asked.nr_words == 0)
    return run_input ();
  chunk = asked.words[0];
  return strcmp (chunk, "-") == 0 ? run_lines () : run_argument (chunk, alone);
}
