/* options.c - what the command line says. */

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"
#include "torture/errors.h"
#include "torture/options.h"
#include "torture/place.h"
#include "torture/tools.h"

static const char usage[] =
"usage: disktorture [OPTIONS] --workload COMMAND --check COMMAND\n"
"       disktorture [OPTIONS] show NAME [-- COMMAND]\n"
"       disktorture [OPTIONS] list, check NAME..., report [FILE...]\n"
"\n"
"Records what a workload does to a disk, then cuts the power at every moment that\n"
"matters, and runs the check on each state that may be left.\n"
"\n"
"  --size SIZE          of the disk (64M)\n"
"  --mount ext4         let both have $dir, where that file system is mounted (or xfs, btrfs;\n"
"                       fuse2fs without root); without, there are $disk and $image\n"
"  --setup COMMAND      before the recording, with $disk (mkfs, with --mount)\n"
"  --workload COMMAND   does something worth keeping, and says so: \"ack X\"\n"
"  --check COMMAND      is what is left good?  0: yes; 1: no, and its last line says why;\n"
"                       77: that can't be said.  $acked is a file with what was promised;\n"
"                       with --mount, the default is the file system's own check\n"
"  --fsck COMMAND       before a state is mounted, with $image\n"
"  --oracle set         the check prints what it finds, an item in each line, which is compared\n"
"                       with what was promised (\"ack X\", \"ack k=v\")\n"
"  --history SIZE       that what the workload writes may take in memory (4G)\n"
"  --promised FILE      lines \"ack X\" of what was promised before the workload\n"
"  --sector 512|4096    what a power cut keeps or loses as a whole (4096)\n"
"  --timeout SECONDS    that a check may take, and with --errors the workload (10)\n"
"  --errors             no power cuts: run the workload again and again, each time with one\n"
"                       request failing in one way\n"
"  --ways LIST          in these, such as EIO,torn (all): EIO, EIO-stays, EIO-torn, torn, lost,\n"
"                       flip\n"
"  --hardening          with --errors, what goes wrong because the disk lied is a failure, too\n"
"  --seed N             of random choices (0)\n"
"  --jobs N             check so many states at once (1)\n"
"  --recuts N           cut the power again while N of the states recover (0)\n"
"  --budget TIME        that all checks may take, such as 10m\n"
"  --junit FILE         write what was found for continuous integration\n"
"  --out DIR            for what is found (disktorture.out)\n"
"\n"
"show looks at one state; list prints the names of all, check checks some, and report joins\n"
"the results, on many machines.  Started again, disktorture goes on where it was stopped.\n"
"\n"
"Exit status: 0: no state failed, 1: some did, 2: it could not be tried.\n";

enum {
  SIZE = 1, HISTORY, MOUNT, SETUP, WORKLOAD, CHECK, SECTOR, TIMEOUT, SEED, JOBS, BUDGET, JUNIT,
  ORACLE, RECUTS, PROMISED, FSCK, ERRORS, WAYS, HARDENING, OUT, HELP, VERSION_
};

static const struct option longs[] = {
  { "size", required_argument, NULL, SIZE }, { "history", required_argument, NULL, HISTORY },
  { "mount", required_argument, NULL, MOUNT },
  { "setup", required_argument, NULL, SETUP },
  { "workload", required_argument, NULL, WORKLOAD },
  { "check", required_argument, NULL, CHECK },
  { "sector", required_argument, NULL, SECTOR },
  { "timeout", required_argument, NULL, TIMEOUT },
  { "seed", required_argument, NULL, SEED }, { "jobs", required_argument, NULL, JOBS },
  { "recuts", required_argument, NULL, RECUTS },
  { "fsck", required_argument, NULL, FSCK }, { "promised", required_argument, NULL, PROMISED },
  { "errors", no_argument, NULL, ERRORS }, { "ways", required_argument, NULL, WAYS },
  { "hardening", no_argument, NULL, HARDENING },
  { "oracle", required_argument, NULL, ORACLE }, { "budget", required_argument, NULL, BUDGET },
  { "junit", required_argument, NULL, JUNIT }, { "out", required_argument, NULL, OUT },
  { "help", no_argument, NULL, HELP }, { "version", no_argument, NULL, VERSION_ },
  { NULL, 0, NULL, 0 }
};

static double
take_time (const char *name)
{
  uint64_t ns;

  if (!text_time (optarg, &ns) || ns == 0)
    wrong ("%s %s: expected a time above 0, such as 10, 500ms or 2m", name, optarg);
  return (double) ns / 1e9;
}

static uint64_t
take_number (const char *name, uint64_t least, uint64_t most)
{
  const char *digits = optarg;
  uint64_t n;

  if (!text_digits (&digits, &n) || *digits || n < least || n > most)
    wrong ("%s %s: expected a whole number from %" PRIu64 " to %" PRIu64,
           name, optarg, least, most);
  return n;
}

static const char *
take_size (const char *name)
{
  uint64_t size;

  if (!text_size (optarg, &size) || size == 0)
    wrong ("%s %s: expected a number of bytes, such as 64M", name, optarg);
  return optarg;
}

static void
take_option (struct options *o, int option)
{
  switch (option) {
  case SIZE: o->size = take_size ("--size"); break;
  case HISTORY: o->history = take_size ("--history"); break;
  case MOUNT:
    if (!place_known (optarg))
      wrong ("--mount %s: expected ext4, xfs, btrfs or fuse2fs", optarg);
    o->mount = optarg;
    break;
  case SETUP: o->setup = optarg; break;
  case WORKLOAD: o->workload = optarg; break;
  case CHECK: o->check = optarg; break;
  case FSCK: o->fsck = optarg; break;
  case SECTOR:
    if (strcmp (optarg, "512") != 0 && strcmp (optarg, "4096") != 0)
      wrong ("--sector %s: expected 512 or 4096", optarg);
    o->sector = optarg;
    break;
  case TIMEOUT: o->timeout = take_time ("--timeout"); break;
  case BUDGET: o->budget = take_time ("--budget"); break;
  case SEED: o->seed = take_number ("--seed", 0, UINT64_MAX); break;
  case JOBS: o->jobs = (unsigned) take_number ("--jobs", 1, 1000); break;
  case RECUTS: o->recuts = (unsigned) take_number ("--recuts", 0, 1000000); break;
  case PROMISED: o->promised = optarg; break;
  case JUNIT: o->junit = optarg; break;
  case ORACLE:
    if (strcmp (optarg, "set") != 0)
      wrong ("--oracle %s: expected set", optarg);
    o->oracle = optarg;
    break;
  case ERRORS: o->errors = true; break;
  case WAYS: o->ways = optarg; break;
  case HARDENING: o->hardening = true; break;
  case OUT: o->out = optarg; break;
  case HELP: fputs (usage, stdout); exit (DONE_GOOD);
  case VERSION_: puts ("disktorture " VERSION); exit (DONE_GOOD);
  default: fputs ("Try disktorture --help.\n", stderr); exit (DONE_WRONG);
  }
}

/* What follows the options: nothing, or what to do, and with what. */
static void
take_words (struct options *o, char **words)
{
  static const char *const modes[] = { "show", "list", "check", "report", NULL };
  int mode = 0;

  if (!*words)
    return;
  while (modes[mode] && strcmp (*words, modes[mode]) != 0)
    mode++;
  if (!modes[mode])
    wrong ("%s: expected show, list, check, report, or nothing; see --help", *words);
  o->mode = (enum mode) (mode + 1);
  o->words = words + 1;
  if (o->mode == DO_LIST && *o->words)
    wrong ("list %s: expected nothing after it", *o->words);
  if ((o->mode == DO_SHOW || o->mode == DO_CHECK) && !*o->words)
    wrong ("%s: expected the name of a state, such as crash/before-flush-14/none", *words);
}

/* What does not go together.  On another machine, the run says the rest. */
static void
check_options (const struct options *o)
{
  const bool records = o->mode == DO_ALL || (o->mode == DO_LIST && o->workload);

  if (o->mode == DO_ALL && !o->workload)
    wrong ("--workload is missing: a command that does something worth keeping");
  if (records && !o->check && !o->mount)
    wrong ("--check is missing: a command that looks at what is left");
  if (records && !o->check && o->oracle)
    wrong ("--oracle %s needs --check: a command that prints what it finds", o->oracle);
  if (records && o->fsck && !o->mount)
    wrong ("--fsck needs --mount: a file system to mend");
  if (o->jobs > 1 && o->mount && place_alone (o->mount))
    wrong ("--jobs %u: only one %s of the same disk can be mounted at a time", o->jobs, o->mount);
  if (o->hardening && !o->errors)
    wrong ("--hardening needs --errors");
  if (o->ways && !o->errors)
    wrong ("--ways needs --errors");
  if (o->ways)
    errors_check_ways (o->ways);
  if (o->errors && (o->recuts || o->junit || o->mode != DO_ALL))
    wrong ("--errors does not go with %s", o->recuts ? "--recuts" : o->junit ? "--junit"
           : "show, list, check or report");
  if (o->errors && o->jobs > 1)
    wrong ("--errors: only one run at a time, so far; leave out --jobs");
  if (o->recuts && !o->mount)
    wrong ("--recuts needs --mount: a file system that recovers");
}

struct options
read_options (int argc, char **argv)
{
  struct options o = {
    .size = "64M", .history = "4G", .sector = "4096", .out = DEFAULT_OUT, .timeout = 10, .jobs = 1,
  };
  int option;

  while ((option = getopt_long (argc, argv, "", longs, NULL)) != -1)
    take_option (&o, option);
  take_words (&o, argv + optind);
  check_options (&o);
  return o;
}
