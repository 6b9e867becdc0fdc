/* states.c - what crash states and pending requests cost, without nbdkit.
 *
 *     states [-s SIZE] [-r TEXT] PLUGIN.so [KEY=VALUE]...
 *
 * KEY=VALUE give the plugin its write cache.  Each row has a process of its own,
 * so that its memory can be told from that of others, and a disk that is full:
 *
 *     pending-*   bytes that a pending write takes beyond its data
 *     flush-*     milliseconds until so many are durable
 *     open-*      milliseconds from opening a state to its first byte, when 1000
 *                 scattered writes are pending
 *     hundred-*   milliseconds until a hundred different states are open, and
 *                 the MB that they take
 *
 * Prints lines "row <TAB> 1 <TAB> unit <TAB> value".  TEXT chooses the rows whose
 * name contains it.
 */

#include "bench.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#define BLOCK 4096
#define MAX_PENDING 60000
#define OPENINGS 20             /* of each state; the fastest counts */
#define STATES 100              /* open at once */

static uint64_t disk_size = UINT64_C (1) << 30;
static const char *only = "";
static char **arguments;        /* PLUGIN.so [KEY=VALUE]... */

static const struct nbdkit_plugin *plugin;
static void *live;              /* the connection to the live disk */
static char buf[BLOCK];

struct row {
  const char *name;
  void (*measure) (const struct row *);
  uint64_t pending;             /* writes */
  uint32_t bytes;               /* of each */
  uint64_t apart;               /* so many bytes; 0: all over the disk */
  const char *state;            /* to open */
};

/*--------------------------------------------------------------------*/
/* The disk. */

static void
start_disk (void)
{
  char size[32];

  plugin = load_plugin (arguments[0]);
  snprintf (size, sizeof size, "%llu", (unsigned long long) disk_size);
  start_plugin (plugin, size, arguments + 1);
  live = plugin->open (0);
  if (!live)
    die (plugin->name, "cannot open the disk");
  fill_disk (plugin, live, disk_size);
  fill_random (buf, sizeof buf, 1);
}

/* Where the row's writes go, in random order.  Made before memory is measured. */
static uint64_t places[MAX_PENDING];

static void
choose_places (const struct row *row)
{
  const uint64_t apart = row->apart ? row->apart
                                    : disk_size / row->pending / BLOCK * BLOCK;
  uint64_t random = 1;

  if (apart == 0 || row->pending > disk_size / apart)
    die (row->name, "the disk is too small");
  for (uint64_t i = 0; i < row->pending; i++) {
    const uint64_t other = next_random (&random) % (i + 1);

    places[i] = places[other];
    places[other] = i * apart;
  }
}

/* The writes from number FIRST to before END. */
static void
write_places (const struct row *row, uint64_t first, uint64_t end)
{
  for (uint64_t i = first; i < end; i++)
    if (plugin->pwrite (live, buf, row->bytes, places[i], 0) == -1)
      die (row->name, "a write failed");
}

static void
print (const struct row *row, const char *unit, double value)
{
  printf ("%s\t1\t%s\t%.3f\n", row->name, unit, value);
  fflush (stdout);
}

/*--------------------------------------------------------------------*/
/* What is measured. */

static void
measure_pending (const struct row *row)
{
  const uint64_t first = row->pending / 100;
  double before;

  /* The first steps are the C library's. */
  choose_places (row);
  write_places (row, 0, first);
  before = memory_status ("VmRSS:");
  write_places (row, first, row->pending);
  print (row, "bytes", (memory_status ("VmRSS:") - before)
         / (double) (row->pending - first) - row->bytes);
}

/* All of it at once. */
static void
measure_flush (const struct row *row)
{
  double start;

  choose_places (row);
  write_places (row, 0, row->pending);
  start = now ();
  if (plugin->flush (live, 0) == -1)
    die (row->name, "flush failed");
  print (row, "ms", (now () - start) * 1000);
}

static void *
open_state (const char *name)
{
  void *handle;

  host_export_name = name;
  handle = plugin->open (0);
  host_export_name = "";
  if (!handle)
    die (name, "cannot be opened");
  return handle;
}

/* With the first byte, because work could be put off until then. */
static double
time_to_read (const char *name)
{
  const double start = now ();
  void *handle = open_state (name);
  double took;

  if (plugin->pread (handle, buf, BLOCK, 0, 0) == -1)
    die (name, "cannot be read");
  took = now () - start;
  plugin->close (handle);
  return took;
}

/* A state that ends with - wants a number: of a request that is pending. */
static void
measure_open (const struct row *row)
{
  const uint64_t request = fill_requests (disk_size) + row->pending / 2;
  double best = 0, took;
  char name[64];

  choose_places (row);
  write_places (row, 0, row->pending);
  if (row->state[strlen (row->state) - 1] == '-')
    snprintf (name, sizeof name, "%s%llu", row->state,
              (unsigned long long) request);
  else
    snprintf (name, sizeof name, "%s", row->state);
  for (int i = 0; i < OPENINGS; i++) {
    took = time_to_read (name);
    if (i == 0 || took < best)
      best = took;
  }
  print (row, "ms", best * 1000);
}

static void
measure_hundred (const struct row *row)
{
  static void *handles[STATES];
  double memory, start;
  char name[64];

  choose_places (row);
  write_places (row, 0, row->pending);
  memory = memory_status ("VmRSS:");
  start = now ();
  for (int i = 0; i < STATES; i++) {
    snprintf (name, sizeof name, "%s%d", row->state, i);
    handles[i] = open_state (name);
  }
  print (row, "ms", (now () - start) * 1000);
  for (int i = 0; i < STATES; i++)
    if (plugin->pread (handles[i], buf, BLOCK, 0, 0) == -1)
      die (row->state, "cannot be read");
  print (row, "MB", (memory_status ("VmRSS:") - memory) / 1e6);
  for (int i = 0; i < STATES; i++)
    plugin->close (handles[i]);
}

static const struct row rows[] = {
  { "pending-4K-dense",  measure_pending, 60000, 4096, 4096, NULL },
  { "pending-4K-sparse", measure_pending, 4000,  4096, 1 << 18, NULL },
  { "pending-512-dense", measure_pending, 60000, 512,  512,  NULL },
  { "flush-60k",         measure_flush,   60000, 4096, 4096, NULL },
  { "open-none",         measure_open,    1000,  4096, 0,    "crash/now/none" },
  { "open-all",          measure_open,    1000,  4096, 0,    "crash/now/all" },
  { "open-lose",         measure_open,    1000,  4096, 0,    "crash/now/lose-" },
  { "open-prefix",       measure_open,    1000,  4096, 0,    "crash/now/prefix-" },
  { "open-reqs-7",       measure_open,    1000,  4096, 0,    "crash/now/reqs-7" },
  { "open-sectors-7",    measure_open,    1000,  4096, 0,    "crash/now/sectors-7" },
  { "hundred-open",      measure_hundred, 1000,  4096, 0,    "crash/now/sectors-" },
};

/*--------------------------------------------------------------------*/

/* A process of its own; one that fails has said why, and others go on. */
static bool
run (const struct row *row)
{
  int status = 0;
  const pid_t pid = fork ();

  if (pid == 0) {
    start_disk ();
    row->measure (row);
    _exit (EXIT_SUCCESS);
  }
  return pid != -1 && waitpid (pid, &status, 0) == pid && status == 0;
}

int
main (int argc, char **argv)
{
  bool ok = true;
  int c;

  while ((c = getopt (argc, argv, "s:r:")) != -1)
    switch (c) {
    case 's': disk_size = (uint64_t) nbdkit_parse_size (optarg); break;
    case 'r': only = optarg; break;
    default: exit (EXIT_FAILURE);
    }
  arguments = argv + optind;
  if (!arguments[0])
    die ("states", "which plugin?");
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
    if (strstr (rows[i].name, only))
      ok &= run (&rows[i]);
  return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
