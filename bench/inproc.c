/* inproc.c - time a plugin's callbacks without nbdkit and without a socket.
 *
 *     inproc [-w] [-s SIZE] [-n ROUNDS] [-t MILLISECONDS] [-r TEXT] [-c COUNT]
 *            -- NAME [PLUGIN.so [KEY=VALUE]...] [-- NAME ...]...
 *
 * Every subject (a NAME; without a plugin it is bare memcpy) lives in a
 * process of its own, because plugins keep their disk in global variables.
 * The controlling process lets them work one at a time, in turn, for a short
 * slice each, and goes round ROUNDS times:
 *
 *     row 1:  A B C  A B C  A B C ...    row 2:  A B C  A B C ...
 *
 * (with one thread and with two), so that all subjects get their share of
 * whatever else the machine does, and the best slice of each is what it can
 * do when left alone.
 *
 *     controller --- struct order ---> worker (disk filled once, then waits)
 *                <-- struct result ---
 *
 * Rows that need a fresh disk get a new process for each slice.  With -w the
 * rows are those of a write cache.
 *
 * With -c, the first subject makes just COUNT requests of each row, in the
 * controlling process, all by one call of make_requests: for valgrind, which
 * counts the instructions of that function.
 *
 * Prints a line "row <TAB> threads <TAB> subject <TAB> value" for each; the
 * value is MB/s for sequential rows, requests/s for random ones, and for
 * memory a multiple of what was written.
 */

#include "bench.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MAX_SUBJECTS 8
#define MAX_THREADS 2
#define MAX_BLOCK 65536

static uint64_t disk_size = UINT64_C (1) << 30;
static unsigned rounds = 6;
static unsigned slice_ms = 100;
static const char *only = "";
static uint64_t counted;        /* -c */

/* Before a slice, the caches hold the disks of those that had their turn.
 * Without time to warm up, whoever makes more requests in a slice would be
 * measured on warmer caches: two threads would seem more than twice as fast.
 */
#define WARM_SECONDS 0.05

struct row {
  const char *name;
  uint32_t block;
  bool write, random;
  uint64_t fresh;               /* requests to a fresh disk; 0: filled disk */
  const char *size;             /* of the disk; NULL: -s */
  unsigned flush;               /* after so many requests; 0: never */
  unsigned pending;             /* writes before the slice, not flushed */
};

/* Stands for as many requests as the disk has blocks. */
#define WHOLE_DISK UINT64_MAX

static const struct row speed_rows[] = {
  { "64K-seq-read",   65536, false, false, 0,          NULL, 0, 0 },
  { "64K-seq-write",  65536, true,  false, 0,          NULL, 0, 0 },
  { "4K-rand-read",   4096,  false, true,  0,          NULL, 0, 0 },
  { "4K-rand-write",  4096,  true,  true,  0,          NULL, 0, 0 },
  { "512-rand-read",  512,   false, true,  0,          NULL, 0, 0 },
  { "512-rand-write", 512,   true,  true,  0,          NULL, 0, 0 },
  { "first-64K-seq",  65536, true,  false, WHOLE_DISK, NULL, 0, 0 },
  { "first-4K-rand",  4096,  true,  true,  WHOLE_DISK, NULL, 0, 0 },
  { "1T-4K-rand",     4096,  true,  true,  100000,     "1T", 0, 0 },
  { NULL }
};

static const struct row cache_rows[] = {
  { "write-flush",    4096,  true,  true,  0,          NULL, 1, 0 },
  { "write-64-flush", 4096,  true,  true,  0,          NULL, 64, 0 },
  { "read-clean",     4096,  false, true,  0,          NULL, 0, 0 },
  { "read-10k-dirty", 4096,  false, true,  0,          NULL, 0, 10000 },
  { NULL }
};

static const struct row *rows = speed_rows;     /* ended by a row without name */

/* Slow subjects stop early: the rate of the first seconds is theirs. */
#define FRESH_SECONDS 1.5

/*--------------------------------------------------------------------*/
/* Bare memcpy, dressed as a plugin so that the way to it is the same. */

static char *flat;

static int
flat_config (const char *key, const char *value)
{
  int64_t size = strcmp (key, "size") == 0 ? nbdkit_parse_size (value) : -1;

  if (size == -1)
    return -1;
  flat = mmap (NULL, (size_t) size, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return flat == MAP_FAILED ? -1 : 0;
}

static void *
flat_open (int readonly)
{
  (void) readonly;
  return NBDKIT_HANDLE_NOT_NEEDED;
}

static int
flat_pread (void *handle, void *buf, uint32_t count, uint64_t offset,
            uint32_t flags)
{
  (void) handle;
  (void) flags;
  memcpy (buf, flat + offset, count);
  return 0;
}

static int
flat_pwrite (void *handle, const void *buf, uint32_t count, uint64_t offset,
             uint32_t flags)
{
  (void) handle;
  (void) flags;
  memcpy (flat + offset, buf, count);
  return 0;
}

static struct nbdkit_plugin memcpy_plugin = {
  ._api_version = NBDKIT_API_VERSION,
  ._thread_model = NBDKIT_THREAD_MODEL_PARALLEL,
  .name = "memcpy",
  .config = flat_config,
  .open = flat_open,
  .pread = flat_pread,
  .pwrite = flat_pwrite,
};

/*--------------------------------------------------------------------*/
/* What is measured. */

struct subject {
  const char *name, *path;      /* path: NULL for memcpy */
  char **parameters;            /* KEY=VALUE, ended by NULL or "--" */
  pid_t pid;                    /* its worker, 0: none */
  int fd;                       /* talks to the worker */
};

static const struct nbdkit_plugin *
start_subject (const struct subject *s, const char *size)
{
  const struct nbdkit_plugin *p = s->path ? load_plugin (s->path)
                                          : &memcpy_plugin;

  start_plugin (p, size, s->parameters);
  return p;
}

/*--------------------------------------------------------------------*/
/* A thread that makes requests. */

struct client {
  pthread_t thread;
  pthread_barrier_t *start;
  const struct nbdkit_plugin *plugin;
  const struct row *row;
  void *handle;
  char *buf;
  uint64_t first, end;          /* it works on these bytes of the disk */
  uint64_t offset;              /* sequential: where to go on */
  uint64_t random;              /* state */
  uint64_t limit;               /* requests */
  double seconds;               /* time limit */
  unsigned unflushed;           /* requests */
  uint64_t requests;            /* what came of it */
  double rate;                  /* requests a second */
};

static uint64_t
next_offset (struct client *c)
{
  uint64_t blocks = (c->end - c->first) / c->row->block, offset;

  /* The upper half of a product is a fair share without a slow division. */
  if (c->row->random)
    return c->first + c->row->block
      * (uint64_t) ((__uint128_t) next_random (&c->random) * blocks >> 64);
  offset = c->offset;
  c->offset += c->row->block;
  if (c->offset >= c->end)
    c->offset = c->first;
  return offset;
}

/* Not inlined, so that valgrind can tell it from its callers. */
static __attribute__ ((noinline)) void
make_requests (struct client *c, uint64_t n)
{
  const struct nbdkit_plugin *p = c->plugin;
  uint32_t block = c->row->block;

  for (uint64_t i = 0; i < n; i++) {
    uint64_t offset = next_offset (c);
    int r = c->row->write ? p->pwrite (c->handle, c->buf, block, offset, 0)
                          : p->pread (c->handle, c->buf, block, offset, 0);

    if (r != -1 && c->row->flush && ++c->unflushed == c->row->flush) {
      r = p->flush (c->handle, 0);
      c->unflushed = 0;
    }
    if (r == -1)
      die (c->row->name, "request failed");
  }
}

/* Make requests until there were C->limit or until SECONDS are over, and
 * return how long it took.  Looks at the clock only now and then: that costs
 * as much as a request.
 */
static double
work (struct client *c, double seconds)
{
  uint64_t batch = c->row->block >= 65536 ? 8 : 64;
  double start = now (), end;

  c->requests = 0;
  do {
    if (batch > c->limit - c->requests)
      batch = c->limit - c->requests;
    make_requests (c, batch);
    c->requests += batch;
    end = now ();
  } while (c->requests < c->limit && end - start < seconds);
  return end - start;
}

static void *
client_thread (void *arg)
{
  struct client *c = arg;
  double took;

  pthread_barrier_wait (c->start);
  if (!c->row->fresh)
    work (c, WARM_SECONDS);
  took = work (c, c->seconds);
  c->rate = (double) c->requests / took;
  return NULL;
}

/*--------------------------------------------------------------------*/
/* Workers. */

struct order {
  size_t row;
  unsigned threads;
};

struct result {
  double rate;
  double memory;                /* peak per byte written */
};

/* Clients keep their handles, buffers and places between slices. */
static struct client clients[MAX_THREADS];

static void
open_clients (const struct nbdkit_plugin *p)
{
  for (unsigned i = 0; i < MAX_THREADS; i++) {
    struct client *c = &clients[i];

    c->plugin = p;
    c->handle = p->open (0);
    c->random = UINT64_C (88172645463325252) + i;
    c->buf = aligned_alloc (4096, MAX_BLOCK);
    if (!c->handle || !c->buf)
      die (p->name, "cannot open");
    fill_random (c->buf, MAX_BLOCK, c->random);
  }
}

/* Random clients work all over the disk, sequential ones each on a part. */
static void
place_client (struct client *c, const struct row *row, uint64_t size,
              unsigned number, unsigned threads)
{
  uint64_t part = row->random ? size
                              : size / threads / MAX_BLOCK * MAX_BLOCK;

  c->row = row;
  c->first = row->random ? 0 : number * part;
  c->end = c->first + part;
  if (c->offset < c->first || c->offset >= c->end)
    c->offset = c->first;
}

/* Leave as many writes pending as the row wants, and none of the row before. */
static void
leave_pending (const struct row *row, uint64_t size)
{
  struct row writes = *row;
  struct client *c = &clients[0];

  if (c->plugin->flush && c->plugin->flush (c->handle, 0) == -1)
    die (row->name, "flush failed");
  writes.write = true;
  place_client (c, &writes, size, 0, 1);
  make_requests (c, row->pending);
}

/* Requests a second of all clients together. */
static double
measure (const struct row *row, unsigned threads, uint64_t size,
         uint64_t limit, double seconds)
{
  pthread_barrier_t start;
  double rate = 0;

  leave_pending (row, size);
  pthread_barrier_init (&start, NULL, threads);
  for (unsigned i = 0; i < threads; i++) {
    struct client *c = &clients[i];

    place_client (c, row, size, i, threads);
    c->start = &start;
    c->limit = limit;
    c->seconds = seconds;
    c->requests = 0;
    if (pthread_create (&c->thread, NULL, client_thread, c) != 0)
      die (row->name, "cannot create a thread");
  }
  for (unsigned i = 0; i < threads; i++) {
    pthread_join (clients[i].thread, NULL);
    rate += clients[i].rate;
  }
  pthread_barrier_destroy (&start);
  return rate;
}

static void
send_result (int fd, struct result result)
{
  if (write (fd, &result, sizeof result) != sizeof result)
    die ("worker", "the controller is gone");
}

static void
serve_orders (const struct subject *s, int fd)
{
  const struct nbdkit_plugin *p;
  struct order order;
  char size[32];

  snprintf (size, sizeof size, "%" PRIu64, disk_size);
  p = start_subject (s, size);
  open_clients (p);
  fill_disk (p, clients[0].handle, disk_size);
  send_result (fd, (struct result) { 0, 0 });
  while (read (fd, &order, sizeof order) == sizeof order)
    send_result (fd, (struct result) {
        .rate = measure (&rows[order.row], order.threads, disk_size,
                         UINT64_MAX, slice_ms * 1e-3) });
}

/* Page tables are memory that a disk costs, too. */
static double
peak_memory (void)
{
  return memory_status ("VmHWM:") + memory_status ("VmPTE:");
}

static void
serve_fresh (const struct subject *s, const struct row *row, int fd)
{
  char text[32];
  uint64_t size, limit = row->fresh;
  double before = peak_memory ();
  struct result result;

  snprintf (text, sizeof text, "%" PRIu64, disk_size);
  size = (uint64_t) nbdkit_parse_size (row->size ? row->size : text);
  open_clients (start_subject (s, row->size ? row->size : text));
  if (limit == WHOLE_DISK)
    limit = size / row->block;
  result.rate = measure (row, 1, size, limit, row->size ? 60 : FRESH_SECONDS);
  result.memory = (peak_memory () - before)
    / ((double) clients[0].requests * row->block);
  send_result (fd, result);
}

/* The worker serves the row's one slice, or, where ROW is NULL, orders. */
static void
start_worker (struct subject *s, const struct row *row)
{
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1
      || (s->pid = fork ()) == -1)
    die (s->name, "cannot start a worker");
  if (s->pid == 0) {
    close (fds[0]);
    if (row)
      serve_fresh (s, row, fds[1]);
    else
      serve_orders (s, fds[1]);
    _exit (EXIT_SUCCESS);
  }
  close (fds[1]);
  s->fd = fds[0];
}

static void
end_worker (struct subject *s)
{
  /* Not just close: workers that were started later have this end, too. */
  shutdown (s->fd, SHUT_RDWR);
  close (s->fd);
  waitpid (s->pid, NULL, 0);
  s->pid = 0;
}

/*--------------------------------------------------------------------*/
/* The controller. */

static struct subject subjects[MAX_SUBJECTS];
static size_t nr_subjects;

/* False if the worker died; it has said why. */
static bool
get_result (const struct subject *s, struct result *best)
{
  struct result r;

  if (read (s->fd, &r, sizeof r) != sizeof r)
    return false;
  if (r.rate > best->rate)
    best->rate = r.rate;
  if (best->memory <= 0 || r.memory < best->memory)
    best->memory = r.memory;
  return true;
}

static void
print (const struct row *row, unsigned threads, const struct subject *s,
       const struct result *best)
{
  double unit = row->random ? 1 : row->block / 1e6;

  if (best->rate > 0)
    printf ("%s\t%u\t%s\t%.1f\n", row->name, threads, s->name,
            best->rate * unit);
  if (best->rate > 0 && row->size)
    printf ("%s-memory\t%u\t%s\t%.3f\n", row->name, threads, s->name,
            best->memory);
}

static void
order_slice (struct subject *s, struct order order, struct result *best)
{
  if (s->pid && (write (s->fd, &order, sizeof order) != sizeof order
                 || !get_result (s, best)))
    end_worker (s);
}

static void
run_round (size_t row, struct result best[][MAX_SUBJECTS])
{
  for (unsigned threads = 1; threads <= MAX_THREADS; threads++)
    for (size_t i = 0; i < nr_subjects; i++)
      order_slice (&subjects[i], (struct order) { row, threads },
                   &best[threads - 1][i]);
}

/* One and two threads take turns as well: their ratio is of interest. */
static void
run_row (size_t row)
{
  struct result best[MAX_THREADS][MAX_SUBJECTS] = { { { 0, 0 } } };

  for (unsigned round = 0; round < rounds; round++)
    run_round (row, best);
  for (unsigned threads = 1; threads <= MAX_THREADS; threads++)
    for (size_t i = 0; i < nr_subjects; i++)
      print (&rows[row], threads, &subjects[i], &best[threads - 1][i]);
}

/* A disk that is all allocated at start, as "malloc" is, can't be huge. */
static bool
fits (const struct row *row, const struct subject *s)
{
  return !row->size || (s->path && strcmp (s->name, "malloc") != 0);
}

/* Fresh disks take longer, and three rounds tell enough. */
static void
run_fresh_row (const struct row *row)
{
  struct result best[MAX_SUBJECTS] = { { 0, 0 } };

  for (unsigned round = 0; round < 3 && round < rounds; round++)
    for (size_t i = 0; i < nr_subjects; i++)
      if (fits (row, &subjects[i])) {
        start_worker (&subjects[i], row);
        get_result (&subjects[i], &best[i]);
        end_worker (&subjects[i]);
      }
  for (size_t i = 0; i < nr_subjects; i++)
    print (row, 1, &subjects[i], &best[i]);
}

static bool
wanted (const struct row *row, bool fresh)
{
  return (row->fresh != 0) == fresh && strstr (row->name, only) != NULL;
}

static void
run_filled_rows (void)
{
  struct result ignored = { 0, 0 };

  for (size_t i = 0; i < nr_subjects; i++) {
    start_worker (&subjects[i], NULL);
    if (!get_result (&subjects[i], &ignored))
      end_worker (&subjects[i]);
  }
  for (size_t row = 0; rows[row].name; row++)
    if (wanted (&rows[row], false))
      run_row (row);
  for (size_t i = 0; i < nr_subjects; i++)
    if (subjects[i].pid)
      end_worker (&subjects[i]);
}

/* -c: requests for valgrind to count. */
static void
run_counted (const struct subject *s)
{
  const struct nbdkit_plugin *p;
  char size[32];

  snprintf (size, sizeof size, "%" PRIu64, disk_size);
  p = start_subject (s, size);
  open_clients (p);
  fill_disk (p, clients[0].handle, disk_size);
  for (size_t row = 0; rows[row].name; row++)
    if (wanted (&rows[row], false)) {
      place_client (&clients[0], &rows[row], disk_size, 0, 1);
      make_requests (&clients[0], counted);
    }
}

static void
parse_options (int argc, char **argv)
{
  int c;

  while ((c = getopt (argc, argv, "ws:n:t:r:c:")) != -1)
    switch (c) {
    case 'w': rows = cache_rows; break;
    case 's': disk_size = (uint64_t) nbdkit_parse_size (optarg); break;
    case 'n': rounds = (unsigned) atoi (optarg); break;
    case 't': slice_ms = (unsigned) atoi (optarg); break;
    case 'r': only = optarg; break;
    case 'c': counted = strtoull (optarg, NULL, 10); break;
    default: exit (EXIT_FAILURE);
    }
  if (disk_size < (uint64_t) MAX_THREADS * MAX_BLOCK || disk_size > INT64_MAX
      || disk_size % MAX_BLOCK != 0)
    die ("-s", "expected a multiple of 64K, at least 128K");
}

/* NAME [PLUGIN [KEY=VALUE]...], set apart by "--". */
static void
parse_subjects (char **arg)
{
  while (*arg) {
    struct subject *s = &subjects[nr_subjects++];

    if (nr_subjects > MAX_SUBJECTS)
      die (*arg, "too many subjects");
    s->name = *arg++;
    if (*arg && strcmp (*arg, "--") != 0)
      s->path = *arg++;
    s->parameters = arg;
    while (*arg && strcmp (*arg, "--") != 0)
      arg++;
    if (*arg)
      arg++;
  }
}

int
main (int argc, char **argv)
{
  bool filled = false;

  setvbuf (stdout, NULL, _IOLBF, 0);
  parse_options (argc, argv);
  parse_subjects (argv + optind);
  if (counted) {
    run_counted (&subjects[0]);
    return 0;
  }
  for (size_t i = 0; rows[i].name; i++)
    filled |= wanted (&rows[i], false);
  if (filled)
    run_filled_rows ();
  for (size_t i = 0; rows[i].name; i++)
    if (wanted (&rows[i], true))
      run_fresh_row (&rows[i]);
  return 0;
}
