/* options.c - what the command line says. */

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/text.h"
#include "torture/options.h"
#include "torture/tools.h"

static const char usage[] =
"usage: disktorture [OPTIONS] --workload COMMAND --check COMMAND\n"
"       disktorture [OPTIONS] show NAME [-- COMMAND]\n"
"\n"
"Records what a workload does to a disk, then cuts the power at every moment that\n"
"matters, and runs the check on each state that may be left.\n"
"\n"
"  --size SIZE          of the disk (64M)\n"
"  --mount ext4         let both have $dir, where that file system is mounted; without,\n"
"                       the workload has $disk, and the check $image\n"
"  --setup COMMAND      before the recording, with $disk (mkfs, with --mount)\n"
"  --workload COMMAND   does something worth keeping, and says so: \"ack X\"\n"
"  --check COMMAND      is what is left good?  0: yes; 1: no, and its last line says why;\n"
"                       77: that can't be said.  $acked is a file with what was promised\n"
"  --sector 512|4096    what a power cut keeps or loses as a whole (4096)\n"
"  --timeout SECONDS    that a check may take (10)\n"
"  --seed N             of random choices (0)\n"
"  --out DIR            for what is found (disktorture.out)\n"
"\n"
"Exit status: 0: no state failed, 1: some did, 2: it could not be tried.\n";

enum { SIZE = 1, MOUNT, SETUP, WORKLOAD, CHECK, SECTOR, TIMEOUT, SEED, OUT, HELP, VERSION_ };

static const struct option longs[] = {
  { "size", required_argument, NULL, SIZE }, { "mount", required_argument, NULL, MOUNT },
  { "setup", required_argument, NULL, SETUP },
  { "workload", required_argument, NULL, WORKLOAD },
  { "check", required_argument, NULL, CHECK },
  { "sector", required_argument, NULL, SECTOR },
  { "timeout", required_argument, NULL, TIMEOUT },
  { "seed", required_argument, NULL, SEED }, { "out", required_argument, NULL, OUT },
  { "help", no_argument, NULL, HELP }, { "version", no_argument, NULL, VERSION_ },
  { NULL, 0, NULL, 0 }
};

static void
take_timeout (struct options *o)
{
  uint64_t ns;

  if (!text_time (optarg, &ns) || ns == 0)
    wrong ("--timeout %s: expected a time above 0, such as 10 or 500ms", optarg);
  o->timeout = (double) ns / 1e9;
}

static void
take_option (struct options *o, int option)
{
  const char *digits = optarg;
  uint64_t size;

  switch (option) {
  case SIZE:
    if (!text_size (optarg, &size) || size == 0)
      wrong ("--size %s: expected a number of bytes, such as 64M", optarg);
    o->size = optarg;
    break;
  case MOUNT:
    if (strcmp (optarg, "ext4") != 0)
      wrong ("--mount %s: expected ext4", optarg);
    o->mount = optarg;
    break;
  case SETUP: o->setup = optarg; break;
  case WORKLOAD: o->workload = optarg; break;
  case CHECK: o->check = optarg; break;
  case SECTOR:
    if (strcmp (optarg, "512") != 0 && strcmp (optarg, "4096") != 0)
      wrong ("--sector %s: expected 512 or 4096", optarg);
    o->sector = optarg;
    break;
  case TIMEOUT: take_timeout (o); break;
  case SEED:
    if (!text_digits (&digits, &o->seed) || *digits)
      wrong ("--seed %s: expected a whole number from 0 on", optarg);
    break;
  case OUT: o->out = optarg; break;
  case HELP: fputs (usage, stdout); exit (DONE_GOOD);
  case VERSION_: puts ("disktorture " VERSION); exit (DONE_GOOD);
  default: fputs ("Try disktorture --help.\n", stderr); exit (DONE_WRONG);
  }
}

/* What follows the options: nothing, or show NAME [-- COMMAND]. */
static void
take_words (struct options *o, char **words)
{
  if (!*words)
    return;
  if (strcmp (*words, "show") != 0)
    wrong ("%s: expected show NAME, or nothing; see --help", *words);
  if (!words[1])
    wrong ("show: expected the name of a state, such as crash/before-flush-14/none");
  o->show = words[1];
  if (words[2] && strcmp (words[2], "--") == 0 && words[3])
    o->command = words + 3;
  else if (words[2])
    wrong ("show: expected -- COMMAND after the name");
}

struct options
read_options (int argc, char **argv)
{
  struct options o = {
    .size = "64M", .sector = "4096", .out = "disktorture.out", .timeout = 10,
  };
  int option;

  while ((option = getopt_long (argc, argv, "+", longs, NULL)) != -1)
    take_option (&o, option);
  take_words (&o, argv + optind);
  if (!o.check && !o.show)
    wrong ("--check is missing: a command that looks at what is left");
  if (!o.show && !o.workload)
    wrong ("--workload is missing: a command that does something worth keeping");
  return o;
}
