/* The C code of disk/, driven by lines of text: what requests do at which moment, and
 * which crash states to show.  tests/crash/model.py says what must be seen then.
 *
 *   disk SIZE SECTOR ATOMIC HISTORY  a live disk; what was before is over
 *   open C NAME   close C          a connection
 *   enter R C OP OFFSET COUNT FUA  a request enters,
 *   apply R [START COUNT]...       is applied, or only these parts of it,
 *   leave R OUTCOME                and completes
 *   read C                         read all of a disk
 *   medium OP OFFSET COUNT TAG     change the medium of the live disk
 *   snapshot NAME   revert NAME
 *   cut CHOICE   on   mark TEXT    of the live disk
 *   unflushed
 *   image NAME                     open, read and close a state
 *   states NAME COUNT              NAME0, NAME1 and so on, and one more
 *   points                         those that suffice
 *   replay                         save the history, and serve it in place of the disk
 *
 * An answer begins with a byte, 0 or 1: 1 means that it failed, or was refused.  Then
 * come, for an image, four bytes for each sector, the last one first: the CRC of its
 * content.  (States answer with the byte only if they are refused.)  Numbers of
 * connections and requests are handles.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "disk/crash.h"
#include "disk/disk.h"
#include "disk/replay.h"
#include "disk/states.h"
#include "lib/sys.h"
#include "request.h"

#define HANDLES 4096            /* of each kind */
#define SECTORS 16

/* A request on its way.  What the disk refused when it entered stays refused. */
struct coming {
  struct request req;
  struct visit visit;
  unsigned char *data;
  int refused;
};

static struct connection *connections[HANDLES];
static struct coming *coming[HANDLES];
static uint64_t size;
static uint32_t sector;
static unsigned line_number;

/*--------------------------------------------------------------------*/
/* Tools. */

static _Noreturn void
die (const char *why)
{
  fflush (stdout);
  fprintf (stderr, "line %u: %s\n", line_number, why);
  exit (2);
}

static void
must (bool good, const char *why)
{
  if (!good)
    die (why);
}

static void
put (const void *data, size_t n)
{
  must (fwrite (data, 1, n, stdout) == n, "can't write");
}

/* Answer with a byte. */
static void
put_result (bool failed)
{
  put (failed ? "\1" : "\0", 1);
}

/* The next word of the line.  NULL: there is none. */
static char *
word (void)
{
  return strtok (NULL, " \n");
}

static char *
need_word (void)
{
  char *text = word ();

  must (text != NULL, "a word is missing");
  return text;
}

static uint64_t
number (void)
{
  return strtoull (need_word (), NULL, 10);
}

static size_t
handle (void)
{
  const uint64_t n = number ();

  must (n < HANDLES, "no such handle");
  return (size_t) n;
}

/* As data_of in traces.py. */
static unsigned char *
data_of (uint64_t tag, uint64_t offset, uint64_t count)
{
  unsigned char *data = malloc (count + 1);
  const uint64_t at = (tag * 1009 + offset) % 32768;

  must (data != NULL, "no memory");
  for (uint64_t i = 0; i < count; i++)
    data[i] = (unsigned char) ((uint32_t) (at + i) * 2654435761u >> 24);
  return data;
}

/*--------------------------------------------------------------------*/
/* What stands for the content of a sector. */

static uint32_t
crc (const unsigned char *data, size_t n)
{
  static uint32_t table[256];
  uint32_t sum = UINT32_MAX;

  for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
    table[i] = i;
    for (unsigned bit = 0; bit < 8; bit++)
      table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320 : 0);
  }
  for (size_t i = 0; i < n; i++)
    sum = sum >> 8 ^ table[(sum ^ data[i]) & 255];
  return ~sum;
}

/* The same, for the content of sector I: the states of a moment have the same contents
 * again and again.
 */
static uint32_t
identify (const unsigned char *data, size_t n, size_t i)
{
  enum { SEEN = 16 };
  static struct { unsigned char data[4096]; size_t n; uint32_t sum; } seen[SECTORS][SEEN];
  static unsigned next[SECTORS];
  unsigned at;

  for (unsigned k = 0; k < SEEN; k++)
    if (seen[i][k].n == n && memcmp (seen[i][k].data, data, n) == 0)
      return seen[i][k].sum;
  at = next[i]++ % SEEN;
  memcpy (seen[i][at].data, data, n);
  seen[i][at].n = n;
  return seen[i][at].sum = crc (data, n);
}

static void
put_image (const unsigned char *image)
{
  uint32_t ids[SECTORS];
  const size_t n = (size_t) ((size + sector - 1) / sector);

  for (size_t i = 0; i < n; i++) {
    const uint64_t at = (uint64_t) i * sector;

    ids[n - 1 - i] = identify (image + at, size - at < sector ? size - at : sector, i);
  }
  put (ids, n * sizeof ids[0]);
}

/*--------------------------------------------------------------------*/
/* Stubs of all that the disk calls. */

void
request_wake (void)
{
}

void
stats_wait (bool begins)
{
  (void) begins;
}

int
request_wait_until (const struct connection *conn, uint64_t end,
                    bool (*over) (const void *context), const void *context)
{
  (void) conn;
  (void) end;
  (void) over;
  (void) context;
  die ("a request waits");
}

int
request_add_extent (struct request *req, uint64_t offset, uint64_t count, bool data)
{
  (void) req;
  (void) offset;
  (void) count;
  (void) data;
  die ("no block status is asked for");
}

bool
request_wants_one (const struct request *req)
{
  (void) req;
  return false;
}

/*--------------------------------------------------------------------*/
/* Requests. */

/* Send a request from beginning to end. */
static int
send_request (struct request *req)
{
  struct visit visit;
  int err;

  if (!disk_cuts (req->conn->disk))
    return disk_perform (req);
  err = disk_enter (req, &visit);
  if (err)
    return err;
  return disk_leave (req, disk_perform (req));
}

static enum op
op_of (const char *name)
{
  return *name == 'w' ? OP_WRITE : *name == 'z' ? OP_ZERO
    : *name == 't' ? OP_TRIM : OP_FLUSH;
}

static void
do_enter (void)
{
  const size_t r = handle (), c = handle ();
  const char *op = need_word ();
  struct coming *n = calloc (1, sizeof *n);

  must (n && connections[c] && !coming[r], "no such connection, or the request is there");
  n->req.conn = connections[c];
  n->req.op = op_of (op);
  n->req.offset = number ();
  n->req.count = (uint32_t) number ();
  n->req.flags = number () ? NBDKIT_FLAG_FUA : 0;
  if (n->req.op == OP_WRITE)
    n->req.buf = n->data = data_of (r, n->req.offset, n->req.count);
  if (disk_cuts (n->req.conn->disk))
    n->refused = disk_enter (&n->req, &n->visit);
  coming[r] = n;
}

/* The parts of a request, as what keeps only them does it (fault/act.c). */
static int
perform_parts (struct coming *n, const char *start)
{
  struct request part = n->req;
  int err = 0;

  part.whole = &n->req;
  for (; start && !err; start = word ()) {
    const uint64_t at = strtoull (start, NULL, 10);

    part.offset = n->req.offset + at;
    part.buf = n->data ? n->data + at : NULL;
    part.count = (uint32_t) number ();
    err = disk_perform (&part);
  }
  return err;
}

static void
do_apply (void)
{
  struct coming *n = coming[handle ()];
  const char *start = word ();
  struct request pass;

  must (n != NULL, "no such request");
  if (n->refused) {
    put_result (true);
    return;
  }
  pass = n->req;
  put_result ((start ? perform_parts (n, start) : disk_perform (&pass)) != 0);
}

/* A flush comes to the disk as late as possible; one that lies does not. */
static int
outcome_of (struct coming *n, const char *outcome)
{
  const bool flush = n->req.op == OP_FLUSH;
  const bool lie = strcmp (outcome, "lie") == 0;

  n->visit.no_fua = lie;
  n->visit.only_own = strcmp (outcome, "others") == 0;
  n->visit.drops = strcmp (outcome, "lose") == 0;
  if (n->visit.drops || strcmp (outcome, "fail") == 0)
    return EIO;
  return flush && !lie ? disk_perform (&n->req) : 0;
}

static int
leave (size_t r, const char *outcome)
{
  struct coming *n = coming[r];
  int err = n->refused;

  if (!err)
    err = outcome_of (n, outcome);
  if (!n->refused && disk_cuts (n->req.conn->disk))
    err = disk_leave (&n->req, err);
  free (n->data);
  free (n);
  coming[r] = NULL;
  return err;
}

static void
do_leave (void)
{
  const size_t r = handle ();

  must (coming[r] != NULL, "no such request");
  put_result (leave (r, need_word ()) != 0);
}

/*--------------------------------------------------------------------*/
/* Disks and connections. */

/* Why a state or a cut was refused. */
static char why[1000];

static void
do_open (void)
{
  const size_t c = handle ();
  const char *name = word ();
  struct disk *d = crash_open (name ? name : "", why, sizeof why);

  put_result (d == NULL);
  if (!d)
    return;
  must (!connections[c], "the connection is there");
  connections[c] = calloc (1, sizeof *connections[c]);
  must (connections[c] != NULL, "no memory");
  connections[c]->id = c;
  connections[c]->disk = d;
}

static void
end_connection (size_t c)
{
  disk_put (connections[c]->disk);
  free (connections[c]);
  connections[c] = NULL;
}

static void
do_close (void)
{
  const size_t c = handle ();

  must (connections[c] != NULL, "no such connection");
  end_connection (c);
}

/* All that is left of a trace ends. */
static void
end_all (void)
{
  static char nothing[] = "";

  for (size_t i = 0; i < HANDLES; i++)
    if (coming[i])
      leave (i, nothing);
  for (size_t i = 0; i < HANDLES; i++)
    if (connections[i])
      end_connection (i);
  if (disk_live ())
    disk_stop ();
}

static void
do_disk (void)
{
  struct disk_cache how = { .full = NULL };

  end_all ();
  size = number ();
  how.sector = sector = (uint32_t) number ();
  how.atomic = number ();
  how.history = number ();
  must (size <= SECTORS * (uint64_t) sector, "too many sectors");
  must (disk_start (size) == 0 && disk_set_cache (disk_live (), &how) == 0, "no memory");
}

static void
do_replay (void)
{
  struct disk_cache how = { .full = NULL };
  char file[] = "/tmp/machine-XXXXXX";
  const int fd = mkstemp (file);

  must (fd != -1, "no file");
  must (replay_save (fd, why, sizeof why) == 0, why);
  end_all ();
  must (replay_start (file, &how, why, sizeof why) == 0, why);
  close (fd);
  unlink (file);
}

static void
do_medium (void)
{
  const char *op = need_word ();
  const uint64_t offset = number (), count = number (), tag = number ();
  unsigned char *data = data_of (tag, offset, count);

  must ((*op == 'w' ? disk_write (disk_live (), data, count, offset, NULL)
         : disk_zero (disk_live (), count, offset, NULL)) == 0, "medium");
  free (data);
}

static void
do_snapshot (void)
{
  must (disk_snapshot (disk_live (), need_word ()) == 0, "snapshot");
}

static void
do_revert (void)
{
  struct disk *d = disk_get (need_word ());

  must (d && disk_revert (disk_live (), d) == 0, "revert");
  disk_put (d);
}

static void
do_cut (void)
{
  const struct crash_cut cut = { need_word (), false, false };

  put_result (crash_cut (&cut, why, sizeof why) != 0);
}

static void
do_on (void)
{
  must (crash_power_on (why, sizeof why) == 0, why);
}

static void
do_mark (void)
{
  must (crash_mark (need_word (), why, sizeof why) == 0, why);
}

static void
do_points (void)
{
  struct states_place at = { 0, 0 };
  char name[POINT_NAME];

  while (states_point (&at, name, sizeof name, why, sizeof why) == 0) {
    put (name, strlen (name));
    put ("\n", 1);
  }
  put ("\n", 1);
}

static void
do_unflushed (void)
{
  const struct unflushed u = disk_unflushed (disk_live ());
  const uint32_t counts[] = { (uint32_t) u.requests, (uint32_t) u.sectors,
                              (uint32_t) u.bytes };

  put (counts, sizeof counts);
}

/*--------------------------------------------------------------------*/
/* Images. */

static unsigned char content[SECTORS * 4096];

/* What is said to be a hole must be zeroes. */
static void
check_holes (struct disk *d)
{
  bool data;

  for (uint64_t at = 0, n; at < size; at += n) {
    n = disk_extent (d, size - at, at, &data);
    must (n > 0 && n <= size - at, "an extent is too long");
    for (uint64_t i = at; i < at + n && !data; i++)
      must (content[i] == 0, "a hole holds data");
  }
}

static void
do_read (void)
{
  struct connection *c = connections[handle ()];
  struct request req = { .op = OP_READ, .count = (uint32_t) size, .buf = content,
                         .conn = c };
  int err;

  must (c != NULL, "no such connection");
  err = send_request (&req);
  put_result (err != 0);
  if (err)
    return;
  put_image (content);
  check_holes (c->disk);
}

/* False: it is refused. */
static bool
show_state (const char *name, bool result)
{
  struct disk *d = crash_open (name, why, sizeof why);

  if (result || !d)
    put_result (d == NULL);
  if (!d)
    return false;
  must (disk_read (d, content, size, 0, NULL) == 0, "a state can't be read");
  put_image (content);
  if (result)
    check_holes (d);
  disk_put (d);
  return true;
}

static void
do_image (void)
{
  show_state (need_word (), true);
}

static void
do_states (void)
{
  const char *prefix = need_word ();
  const uint64_t count = number ();
  char name[8192];

  for (uint64_t i = 0; i <= count; i++) {
    snprintf (name, sizeof name, "%s%" PRIu64, prefix, i);
    show_state (name, false);
  }
}

/*--------------------------------------------------------------------*/

static const struct { const char *name; void (*run) (void); } commands[] = {
  { "disk", do_disk }, { "open", do_open }, { "close", do_close },
  { "enter", do_enter }, { "apply", do_apply }, { "leave", do_leave },
  { "read", do_read }, { "medium", do_medium }, { "snapshot", do_snapshot },
  { "revert", do_revert }, { "cut", do_cut }, { "on", do_on },
  { "mark", do_mark }, { "unflushed", do_unflushed }, { "image", do_image },
  { "states", do_states }, { "points", do_points },
  { "replay", do_replay },
};

static void
run (const char *name)
{
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    if (name && strcmp (commands[i].name, name) == 0) {
      commands[i].run ();
      return;
    }
  die ("what?");
}

int
main (void)
{
  static char line[16384];

  while (fgets (line, sizeof line, stdin)) {
    line_number++;
    run (strtok (line, " \n"));
  }
  end_all ();
  return fflush (stdout) == 0 ? 0 : 1;
}
