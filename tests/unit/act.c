/* What the rules that fire do to a request: the plan, what the log is told of it,
 * and that what is done is the same.
 */

#include <limits.h>

#include "tap.h"
#include "lib/array.c"
#include "lib/json.c"
#include "fault/act.c"

#define DISK_SIZE 10000

/*--------------------------------------------------------------------*/
/* What is below and beside: it writes down what it is asked for. */

static char told[1000], done[1000];
static int wait_error, medium_error;

__attribute__ ((format (printf, 2, 3))) static void
note (char *where, const char *format, ...)
{
  const size_t len = strlen (where);
  va_list args;

  va_start (args, format);
  vsnprintf (where + len, 1000 - len, format, args);
  va_end (args);
}

void
stats_wait (bool begins)
{
  (void) begins;
}

bool
log_wanted (void)
{
  return true;
}

void
log_request (const char *who, const char *name, struct request *req,
             struct json *did)
{
  (void) req;
  note (told, "%s%s %s{%s}", *told ? " " : "", who, name,
        did->text ? did->text : "");
  json_free (did);
}

const char *
errno_name (int err)
{
  return err == EIO ? "EIO" : err == ENOSPC ? "ENOSPC" : "EPERM";
}

const char *
log_why_cut (void)
{
  return "client left";
}

uint64_t
sys_now (void)
{
  return 0;
}

int
request_wait (const struct connection *conn, uint64_t ns)
{
  (void) conn;
  note (done, " wait %llu", (unsigned long long) ns);
  return wait_error;
}

int
request_wait_until (const struct connection *conn, uint64_t end,
                    bool (*over) (const void *context), const void *context)
{
  const struct waiting *w = context;
  bool before = over (context), after;

  (void) conn;
  w->fired->fault->releases++;
  after = over (context);
  note (done, " hang%s", end == UINT64_MAX && !before && after ? "" : " wrong");
  return wait_error;
}

void
request_cut (void)
{
  note (done, " disconnect");
}

void
nbdkit_shutdown (void)
{
  note (done, " shutdown");
}

uint32_t
disk_sector (const struct disk *d)
{
  (void) d;
  return 4;
}

uint64_t
disk_size (const struct disk *d)
{
  (void) d;
  return DISK_SIZE;
}

/* The medium reads bytes of 0, and counts the bits set in what is written. */
int
medium_pass (struct request *req)
{
  const uint8_t *data = req->buf;
  unsigned bits = 0;

  if (req->op == OP_READ)
    memset (req->buf, 0, req->count);
  for (uint32_t i = 0; data && i < req->count; i++)
    bits += (unsigned) __builtin_popcount (data[i]);
  note (done, " %u+%u", (unsigned) req->offset, req->count);
  if (bits)
    note (done, "*%u", bits);
  return medium_error;
}

void
nbdkit_error (const char *format, ...)
{
  (void) format;
  note (done, " error");
}

int
crash_cut (const struct crash_cut *cut, char *why, size_t size)
{
  snprintf (why, size, "not so");
  note (done, " cut %s%s%s", cut->choice, cut->torn ? " torn" : "",
        cut->bad ? " bad" : "");
  return *cut->choice == 'x' ? EINVAL : 0;
}

/* A snapshot has bytes with one bit set. */
int
disk_read (struct disk *d, void *to, uint64_t count, uint64_t offset,
           void *context)
{
  note (done, " %s %u+%u", (const char *) (void *) d, (unsigned) offset,
        (unsigned) count);
  memset (to, 1, count);
  return context ? EPERM : 0;
}

/* The function of rule "e" fails. */
static int
call (const struct fault *f, struct request *req)
{
  (void) req;
  note (done, " call %s", f->spec.name);
  return *f->spec.name == 'e' ? EPERM : 0;
}

static const struct fault_callbacks callbacks = { .call = call };

/*--------------------------------------------------------------------*/

#define MOST 3
#define KEEP(...) \
  .keep = (const struct fault_range[]) { __VA_ARGS__ }, \
  .nr_keep = sizeof (struct fault_range[]) { __VA_ARGS__ } \
    / sizeof (struct fault_range)

/* Rules without a name end the list.  TOLD and DONE are what the log and the stubs
 * say, one after the other.
 */
static const struct example {
  const char *what;
  enum op op;
  int err;                      /* of the request */
  struct fault_spec spec[MOST];
  const char *told, *done;
} examples[] = {
  { "nothing but waiting", OP_FLUSH, 0,
    { { .name = "a", .delay = 5, .hang = true }, { .name = "b", .delay = 7 } },
    "rule a{\"delay\":5e-09,\"hang\":true} rule b{\"delay\":7e-09} "
    "rule a{\"ended\":\"released\"}", " wait 5 hang wait 7 100+0" },
  { "a hang that is told when functions have run", OP_FLUSH, 0,
    { { .name = "a", .hang = true }, { .name = "b", .has_call = true } },
    "rule a{\"hang\":true,\"ended\":\"released\"} rule b{\"call\":true}",
    " hang call b 100+0" },
  { "the first error decides", OP_WRITE, EIO,
    { { .name = "a", .delay = 5 }, { .name = "b", .error = EIO },
      { .name = "c", .error = ENOSPC, .delay = 1 } },
    "rule a{\"delay\":5e-09} rule b{\"error\":\"EIO\"} rule c{\"delay\":1e-09}",
    " wait 5 wait 1" },
  { "a request that fails is changed by no rule, before or after", OP_WRITE, EIO,
    { { .name = "a", .lose = true }, { .name = "b", .error = EIO },
      { .name = "c", .misdirect = 5, .corrupt = 3 } },
    "rule a{} rule b{\"error\":\"EIO\"} rule c{}", "" },
  { "and keeps nothing of another rule's", OP_WRITE, EIO,
    { { .name = "a", KEEP ({ 0, 1 }) }, { .name = "b", .error = EIO },
      { .name = "c", KEEP ({ 0, 1 }) } },
    "rule a{} rule b{\"error\":\"EIO\"} rule c{}", "" },
  { "except what its own rule keeps", OP_WRITE, EIO,
    { { .name = "a", KEEP ({ 0, 1 }) },
      { .name = "b", .error = EIO, KEEP ({ 2, 3 }, { 9, 9 }, { 99, 1 }) } },
    "rule a{} rule b{\"error\":\"EIO\",\"keep\":[[2,3],[9,9],[99,1]]}",
    " 102+3 109+1" },
  { "where that can be", OP_FLUSH, EIO,
    { { .name = "a", .error = EIO, KEEP ({ 0, 1 }) } },
    "rule a{\"error\":\"EIO\"}", "" },
  { "a connection that is cut", OP_TRIM, ESHUTDOWN,
    { { .name = "a", .disconnect = true, KEEP ({ 0, 4 }) },
      { .name = "b", .shutdown = true, .error = EIO } },
    "rule a{\"disconnect\":true,\"keep\":[[0,4]]} rule b{\"shutdown\":true}",
    " disconnect shutdown 100+4" },
  { "the first keep counts", OP_ZERO, 0,
    { { .name = "a", KEEP ({ 0, 0 }) }, { .name = "b", KEEP ({ 0, 1 }) } },
    "rule a{\"keep\":[[0,0]]} rule b{}", "" },
  { "of a lost request nothing is kept or moved", OP_WRITE, 0,
    { { .name = "a", KEEP ({ 0, 1 }), .misdirect = 1 },
      { .name = "b", .lose = true }, { .name = "c", .corrupt = 1 } },
    "rule a{} rule b{\"lose\":true} rule c{}", "" },
  { "except that the answer of a read is damaged", OP_READ, 0,
    { { .name = "a", .corrupt = 3 }, { .name = "b", .lose = true } },
    "rule a{\"corrupt\":3} rule b{\"lose\":true}", " answer*3" },
  { "no more bits flip than there are", OP_READ, 0,
    { { .name = "a", .corrupt = 1000 }, { .name = "b", KEEP ({ 0, 1 }) } },
    "rule a{\"corrupt\":80} rule b{}", " 100+10 answer*80" },
  { "a read is answered from the first snapshot, moved and damaged", OP_READ, 0,
    { { .name = "a", .stale = "x", .misdirect = 7 },
      { .name = "b", .stale = "y", .corrupt = 80 } },
    "rule a{\"misdirect\":7,\"stale\":\"x\"} rule b{\"corrupt\":80}",
    " 107+10 x 107+10 answer*70" },
  { "but not a lost one", OP_READ, 0,
    { { .name = "a", .stale = "x" }, { .name = "b", .lose = true } },
    "rule a{} rule b{\"lose\":true}", "" },
  { "nor one that fails, nor a write", OP_WRITE, EIO,
    { { .name = "a", .stale = "x" }, { .name = "b", .error = EIO } },
    "rule a{} rule b{\"error\":\"EIO\"}", "" },
  { "a write is moved, damaged and torn", OP_WRITE, 0,
    { { .name = "a", .misdirect = -101 }, { .name = "b", .misdirect = 2 },
      { .name = "c", .corrupt = 80, KEEP ({ 1, 2 }) } },
    "rule a{\"misdirect\":-101} rule b{\"misdirect\":2} "
    "rule c{\"keep\":[[1,2]],\"corrupt\":80}", " 2+2*16" },
  { "the first half, in sectors", OP_WRITE, 0,
    { { .name = "a", .keep_half = true } }, "rule a{\"keep\":[[0,4]]}", " 100+4" },
  { "what can't be done to a request is not", OP_EXTENTS, 0,
    { { .name = "a", .misdirect = 1, .corrupt = 1, KEEP ({ 0, 1 }) } },
    "rule a{}", " 100+10" },
  { "functions are called until one fails", OP_WRITE, EPERM,
    { { .name = "a", .has_call = true, .lose = true },
      { .name = "e", .has_call = true, .error = EIO, KEEP ({ 0, 1 }) },
      { .name = "c", .has_call = true, .error = ENOSPC, .shutdown = true } },
    "rule a{\"call\":true} rule e{\"call\":true,\"error\":\"EPERM\"} "
    "rule c{\"shutdown\":true}", " call a call e shutdown" },
  { "or the request does", OP_READ, EIO,
    { { .name = "a", .has_call = true, .error = EIO },
      { .name = "e", .has_call = true, .delay = 5 } },
    "rule a{\"call\":true,\"error\":\"EIO\"} rule e{\"delay\":5e-09}",
    " wait 5 call a" },
  { "a write is performed, and then the power is cut", OP_WRITE, ESHUTDOWN,
    { { .name = "a", .cut = "none", .cut_torn = true }, { .name = "b", .cut = "all" } },
    "rule a{\"cut\":\"none\"} rule b{\"cut\":\"all\"}", " 100+10 cut none torn" },
  { "also if another rule fails the request", OP_FLUSH, ESHUTDOWN,
    { { .name = "a", .error = EIO }, { .name = "b", .cut = "all", .cut_bad = true } },
    "rule a{\"error\":\"EIO\"} rule b{\"cut\":\"all\"}", " cut all bad" },
  { "a cut that can't be fails its request", OP_FLUSH, EIO,
    { { .name = "a", .cut = "x" } }, "rule a{\"cut\":\"x\"}",
    " 100+0 cut x error" },
  { "without a cache, a lost FUA loses the write", OP_WRITE, 0,
    { { .name = "a", .lose = true, .has_fua = true, .fua = true } },
    "rule a{\"lose\":true}", "" },
  { "a function that succeeds changes nothing", OP_TRIM, 0,
    { { .name = "a", .has_call = true }, { .name = "b", .misdirect = 1 } },
    "rule a{\"call\":true} rule b{\"misdirect\":1}", " call a 101+10" },
};

static struct fault faults[MOST];
static struct fired fired[MOST];
static uint8_t buf[10];
#define NO_ANSWER 0x55

/* The rules of an example fire. */
static size_t
fire (const struct example *e)
{
  size_t n = 0;

  *told = *done = '\0';
  for (; n < MOST && e->spec[n].name; n++) {
    faults[n] = (struct fault) { .spec = e->spec[n] };
    fired[n] = (struct fired) { .fault = &faults[n], .random = n,
                                .delay = e->spec[n].delay,
                                .stale = (void *) e->spec[n].stale };
  }
  return n;
}

static struct request
request_of (const struct example *e)
{
  static const struct connection conn;
  const bool data = e->op == OP_READ || e->op == OP_WRITE;

  memset (buf, e->op == OP_READ ? NO_ANSWER : 0, sizeof buf);
  return (struct request) {
    .op = e->op, .conn = &conn, .offset = 100, .buf = data ? buf : NULL,
    .count = e->op == OP_FLUSH ? 0 : sizeof buf,
  };
}

/* Write down the bits set in the answer of a read, if it was given, or in the data
 * of a client, which must be as it was.
 */
static void
note_buffer (const struct request *req)
{
  unsigned bits = 0;

  for (size_t i = 0; req->buf && i < sizeof buf; i++)
    bits += (unsigned) __builtin_popcount (buf[i]);
  if (bits && buf[0] != NO_ANSWER)
    note (done, " answer*%u", bits);
}

static void
try_example (const struct example *e)
{
  const size_t n = fire (e);
  struct request req = request_of (e);
  const int err = fault_act (fired, n, &req, 0, &callbacks);

  note_buffer (&req);
  if (!ok (err == e->err && strcmp (told, e->told) == 0
           && strcmp (done, e->done) == 0, "%s", e->what))
    printf ("# %d told: %s\n# done:%s\n", err, told, done);
  ok (req.asked == (err != 0) && !req.logged && req.op == e->op && req.offset == 100
      && req.buf == (e->op == OP_READ || e->op == OP_WRITE ? buf : NULL),
      "... and the request is as it was");
}

/* The plan is a function of the rules and the request: nothing happens, and the
 * same comes of it each time.
 */
static void
try_plan (const struct example *e)
{
  const size_t n = fire (e);
  struct request req = request_of (e);
  unsigned does[MOST];

  plan (fired, n, &req);
  for (size_t i = 0; i < n; i++)
    does[i] = fired[i].does;
  plan (fired, n, &req);
  for (size_t i = 0; i < n; i++)
    if (does[i] != fired[i].does)
      does[0] = UINT_MAX;
  ok (!*done && !*told && does[0] != UINT_MAX, "a plan does nothing: %s", e->what);
}

static const struct example waits = {
  "", OP_WRITE, 0,
  { { .name = "a", .delay = 5, .hang = true },
    { .name = "b", .delay = 5, .error = EIO, KEEP ({ 0, 1 }) } }, "", ""
};

static const struct example cut_late = {
  "", OP_WRITE, 0,
  { { .name = "a", .delay = 5, .has_call = true },
    { .name = "b", .delay = 5, .error = EIO } }, "", ""
};

static void
cut_short (void)
{
  struct request req = request_of (&waits);

  fire (&waits);
  wait_error = ESHUTDOWN;
  ok (fault_act (fired, 2, &req, 0, &callbacks) == ESHUTDOWN
      && strcmp (done, " wait 5") == 0, "a wait that is cut short ends it all");
  ok (strcmp (told, "rule a{\"delay\":5e-09,\"hang\":true} "
              "rule b{\"delay\":5e-09,\"error\":\"EIO\",\"keep\":[[0,1]]} "
              "rule a{\"ended\":\"client left\"}") == 0,
      "... as the log says: %s", told);
  fire (&cut_late);
  fault_act (fired, 2, &req, 0, &callbacks);
  ok (strcmp (told, "rule a{\"delay\":5e-09,\"ended\":\"client left\"} "
              "rule b{\"delay\":5e-09}") == 0,
      "... which names nothing that was not done: %s", told);
  wait_error = 0;
  fire (&waits);
  ok (fault_act (fired, 2, &req, ENOSPC, &callbacks) == ENOSPC && !*done
      && strcmp (told, "rule a{} rule b{}") == 0,
      "to a request that has failed nothing is done");
}

static const struct example parts = {
  "", OP_WRITE, 0, { { .name = "a", KEEP ({ 0, 1 }, { 2, 1 }) } }, "", ""
};

static void
medium_fails (void)
{
  struct request req = request_of (&parts);

  fire (&parts);
  medium_error = EIO;
  ok (fault_act (fired, 1, &req, 0, &callbacks) == EIO && !req.asked
      && strcmp (done, " 100+1") == 0, "the medium fails a part: the last one");
  medium_error = 0;
}

int
main (void)
{
  for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
    try_plan (&examples[i]);
    try_example (&examples[i]);
  }
  cut_short ();
  medium_fails ();
  return done_testing ();
}
