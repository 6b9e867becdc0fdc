/* The rules alone: which requests they match, how they count, and that luck can be
 * repeated.  The medium below counts what reaches it.
 */

#include "tap.h"

/* Fail when this counts down to 0; < 0: never. */
static long countdown = -1;

static bool
no_memory (void)
{
  return countdown >= 0 && countdown-- == 0;
}

static void *
test_malloc (size_t size)
{
  return no_memory () ? NULL : malloc (size);
}

static void *
test_calloc (size_t n, size_t size)
{
  return no_memory () ? NULL : calloc (n, size);
}

static void *
test_realloc (void *p, size_t size)
{
  return no_memory () ? NULL : realloc (p, size);
}

#include "fault/act.c"
#define malloc test_malloc
#define calloc test_calloc
#define realloc test_realloc
#include "lib/array.c"
#include "fault/rules.c"
#undef malloc
#undef calloc
#undef realloc
#include "fault/index.c"
#include "lib/json.c"
#include "lib/sys.c"
#include "lib/chance.c"

/*--------------------------------------------------------------------*/
/* What is below and beside. */

struct disk { const char *name; };

static _Atomic unsigned performed;
static unsigned errors;         /* lines in nbdkit's log */
static char last_error[200];

int
medium_pass (struct request *req)
{
  (void) req;
  performed++;
  return 0;
}

const char *
disk_name (const struct disk *d)
{
  return d->name;
}

/* The only snapshot, and how often it was got and not yet put. */
static struct disk snapshot = { "snap" };
static _Atomic long kept;

struct disk *
disk_get_copy (const char *name)
{
  const bool there = strcmp (name, snapshot.name) == 0;

  kept += there;
  return there ? &snapshot : NULL;
}

void
disk_put (struct disk *d)
{
  kept -= d == &snapshot;
}

/* How often a rule has fired. */
static _Atomic unsigned long noted;

void
disk_note_fault (const struct request *req, const char *rule)
{
  (void) req;
  noted += *rule != '\0';
}

int
crash_cut (const struct crash_cut *cut, char *why, size_t size)
{
  (void) cut;
  (void) why;
  (void) size;
  return 0;
}

int
disk_read (struct disk *d, void *buf, uint64_t count, uint64_t offset,
           void *context)
{
  (void) d;
  (void) buf;
  (void) count;
  (void) offset;
  (void) context;
  return kept > 0 ? EDOM : 0;
}

uint32_t
disk_sector (const struct disk *d)
{
  (void) d;
  return 512;
}

uint64_t
disk_size (const struct disk *d)
{
  (void) d;
  return INT64_MAX;
}

int
request_wait (const struct connection *conn, uint64_t ns)
{
  (void) conn;
  return ns == UINT64_MAX;
}

void
request_wake (void)
{
}

int
request_wait_until (const struct connection *conn, uint64_t end,
                    bool (*over) (const void *context), const void *context)
{
  (void) conn;
  while (sys_now () < end && !over (context))
    ;
  return 0;
}

void
request_cut (void)
{
}

const char *
errno_name (int err)
{
  (void) err;
  return "EIO";
}

const char *
log_why_cut (void)
{
  return "";
}

uint64_t
stats_clock (void)
{
  return sys_now ();
}

void
stats_wait (bool begins)
{
  (void) begins;
}

bool
log_wanted (void)
{
  return false;
}

void
log_add (struct json *members)
{
  json_free (members);
}

void
log_request (const char *who, const char *name, struct request *req,
             struct json *did)
{
  (void) who;
  (void) name;
  (void) req;
  json_free (did);
}

void
nbdkit_shutdown (void)
{
}

void
nbdkit_debug (const char *format, ...)
{
  (void) format;
}

__attribute__ ((format (printf, 1, 2))) void
nbdkit_error (const char *format, ...)
{
  va_list args;

  va_start (args, format);
  vsnprintf (last_error, sizeof last_error, format, args);
  va_end (args);
  errors++;
}

/*--------------------------------------------------------------------*/
/* Requests and rules. */

static struct disk live = { "" };
static const struct connection first = { .id = 1, .disk = &live };
static const struct connection second = { .id = 2, .disk = &live };
static const struct connection other = { .id = 3, .disk = &snapshot };

/* Add a rule that fails requests with EIO, unless it has an error. */
static struct fault *
rule (struct fault_spec spec)
{
  struct fault *f = NULL;

  if (!spec.ops)
    spec.ops = OP (READ);
  if (!spec.error)
    spec.error = EIO;
  if (fault_add (&spec, &f) == 0)
    fault_put (f);              /* the list has it */
  return f;
}

static uint64_t work;           /* of each of several threads */

static int
read_at (uint64_t offset, uint32_t count)
{
  struct request req = { .op = OP_READ, .offset = offset, .count = count,
                         .conn = &first };

  return faults_pass (&req);
}

/*--------------------------------------------------------------------*/
/* Selectors of one request. */

#define READ(from, bytes, who) \
  { .op = OP_READ, .offset = from, .count = bytes, .conn = &who }
#define WRITE(...) { .op = OP_WRITE, .conn = &first, __VA_ARGS__ }
#define TEXT(text) .buf = (char[]) { text }, .count = sizeof text - 1

static const struct selector {
  const char *what;
  struct fault_spec spec;
  struct request hit, miss;
} selectors[] = {
  { "op", { .ops = OP (READ) | OP (FLUSH) },
    { .op = OP_FLUSH, .conn = &first }, WRITE () },
  { "the end of a region", { .has_range = true, .offset = 10, .count = 5 },
    READ (14, 1, first), READ (15, 1, first) },
  { "its start", { .has_range = true, .offset = 10, .count = 5 },
    READ (8, 3, first), READ (8, 2, first) },
  { "conn", { .conn = 2 }, READ (0, 1, second), READ (0, 1, first) },
  { "export", { .export_name = "snap" }, READ (0, 1, other), READ (0, 1, first) },
  { "without export, the live disk", { .conn = 0 }, READ (0, 1, first),
    READ (0, 1, other) },
  { "any export, the live disk's", { .export_name = "*" }, READ (0, 1, first),
    WRITE () },
  { "or another", { .export_name = "*" }, READ (0, 1, other), WRITE () },
  { "fua", { .ops = OP (WRITE), .has_fua = true, .fua = true },
    WRITE (.flags = NBDKIT_FLAG_FUA), WRITE () },
  { "no fua", { .ops = OP (WRITE), .has_fua = true },
    WRITE (), WRITE (.flags = NBDKIT_FLAG_FUA) },
  { "data", { .ops = OP (WRITE), .data = "b\0c", .data_len = 3 },
    WRITE (TEXT ("ab\0cd")), WRITE (TEXT ("ab\0bd")) },
  { "data is a write's", { .ops = OP (WRITE) | OP (ZERO), .data = "b",
                           .data_len = 1 },
    WRITE (TEXT ("b")), { .op = OP_ZERO, .count = 1, .conn = &first } },
};

static void
one_request (void)
{
  for (size_t i = 0; i < sizeof selectors / sizeof selectors[0]; i++) {
    const struct selector *s = &selectors[i];
    struct request hit = s->hit, miss = s->miss;
    const struct fault *f = rule (s->spec);
    const unsigned before = performed;
    bool right = faults_pass (&hit) == EIO && performed == before;

    right = right && faults_pass (&miss) == 0 && performed == before + 1;
    ok (right && f->hits == 1 && f->fired == 1, "%s", s->what);
    faults_clear ();
  }
}

/*--------------------------------------------------------------------*/
/* Selectors that count. */

/* Which of requests to different places fail: "x", or "-". */
static const char *
pattern (unsigned n)
{
  static char text[200];

  for (unsigned i = 0; i < n; i++)
    text[i] = read_at (i, 1) ? 'x' : '-';
  text[n] = '\0';
  return text;
}

static const struct {
  const char *what, *expected;
  struct fault_spec spec;
} counted[] = {
  { "every request", "xxxxxxxxxx", { .ops = 0 } },
  { "nth", "--x-------", { .nth = 3 } },
  { "every", "--x--x--x-", { .every = 3 } },
  { "after", "---xxxxxxx", { .after = 3 } },
  { "times", "xxx-------", { .times = 3 } },
  { "seq, which ends", "-xx-x-----", { .seq = "-xx-x" } },
  { "after, every and times", "-----x-x--", { .after = 4, .every = 2,
                                              .times = 2 } },
  { "seq and times", "-x--------", { .seq = "-xx-x", .times = 1 } },
  { "only what the others match counts", "-----x-x--",
    { .has_range = true, .offset = 4, .count = 99, .every = 2, .times = 2 } },
};

static void
counting (void)
{
  for (size_t i = 0; i < sizeof counted / sizeof counted[0]; i++) {
    const struct fault *f = rule (counted[i].spec);
    const char *got = pattern (10);
    unsigned fired = 0;

    for (const char *s = got; *s; s++)
      fired += *s == 'x';
    ok (strcmp (got, counted[i].expected) == 0 && f->fired == fired, "%s: %s",
        counted[i].what, got);
    faults_clear ();
  }
}

/* A rule for a snapshot that is not there matches nothing. */
static void
stale (void)
{
  struct fault_spec spec = { .name = "s", .ops = OP (READ), .stale = "snap",
                             .nth = 3 };
  struct fault *f;

  fault_add (&spec, &f);
  ok (read_at (0, 1) == 0 && read_at (0, 1) == 0 && read_at (0, 1) == EDOM
      && f->hits == 3 && f->fired == 1 && kept == 0,
      "it is kept while it is read, and no longer");
  fault_remove (f);
  fault_put (f);
  spec.stale = "other";
  fault_add (&spec, &f);
  ok (read_at (0, 1) == 0 && f->hits == 0, "no such snapshot: no match");
  snapshot.name = "other";
  read_at (0, 1);
  ok (f->hits == 1, "it may come later");
  snapshot.name = "snap";
  fault_put (f);
  faults_clear ();
}

static void
off (void)
{
  struct fault *f = rule ((struct fault_spec) { .nth = 2 });

  fault_set_on (f, false);
  pattern (5);
  ok (f->hits == 0, "a rule that is off counts nothing");
  fault_set_on (f, true);
  ok (strcmp (pattern (3), "-x-") == 0 && f->hits == 3, "and starts at 1 then");
  faults_clear ();
}

/*--------------------------------------------------------------------*/
/* Order. */

static void
order (void)
{
  struct fault *f[20];
  bool all = true;

  rule ((struct fault_spec) { .has_range = true, .offset = 5, .count = 9,
                              .error = ENOSPC });
  rule ((struct fault_spec) { .has_range = true, .offset = 0, .count = 9,
                              .error = EPERM });
  rule ((struct fault_spec) { .error = EIO });
  ok (read_at (6, 1) == ENOSPC && read_at (3, 3) == ENOSPC
      && read_at (4, 1) == EPERM && read_at (20, 1) == EIO,
      "the first that was declared decides, wherever it is");
  faults_clear ();

  for (unsigned i = 0; i < 20; i++)
    f[i] = rule ((struct fault_spec) { .nth = i + 1 });
  ok (strcmp (pattern (21), "xxxxxxxxxxxxxxxxxxxx-") == 0,
      "each of many rules counts what the others fail");
  for (unsigned i = 0; i < 20; i++)
    all = all && f[i]->hits == 21 && f[i]->fired == 1;
  ok (all, "... each request once");

  countdown = 0;
  ok (read_at (0, 1) == ENOMEM && f[19]->hits == 21,
      "more match than there is memory for: the request fails");
  countdown = -1;
  ok (read_at (0, 1) == 0 && f[0]->refs == 1, "and the next one does not");
  faults_clear ();
}

/*--------------------------------------------------------------------*/
/* Chance. */

/* Such a rule's pattern, with a seed, after BEFORE requests to the same places. */
static const char *
lucky (uint64_t luck, const char *name, unsigned before)
{
  static char text[200];

  faults_clear ();
  chance_start (luck);
  rule ((struct fault_spec) { .name = name, .has_p = true, .p = 0.5 });
  while (before-- > 0)
    pattern (100);
  return strcpy (text, pattern (100));
}

static void
chances (uint64_t luck)
{
  char once[200];
  unsigned fired = 0;

  strcpy (once, lucky (luck, "a", 0));
  for (const char *s = once; *s; s++)
    fired += *s == 'x';
  ok (fired > 10 && fired < 90, "half of the requests: %u %%, seed %llu", fired,
      (unsigned long long) luck);
  ok (strcmp (once, lucky (luck, "a", 0)) == 0, "the same ones with this seed");
  ok (strcmp (once, lucky (luck + 1, "a", 0)) != 0, "others with another seed");
  ok (strcmp (once, lucky (luck, "b", 0)) != 0, "or for a rule of another name");
  ok (strcmp (once, lucky (luck, "a", 1)) != 0, "or when they come again");

  faults_clear ();
  rule ((struct fault_spec) { .has_p = true, .p = 0 });
  ok (!strchr (pattern (100), 'x'), "none with p = 0");
  rule ((struct fault_spec) { .has_p = true, .p = 1 });
  ok (!strchr (pattern (100), '-'), "all with p = 1");
  faults_clear ();
}

/* Which of 40 requests to one place this rule fails, where half of them fail by
 * chance.  It stands between others if there are OTHERS.
 */
static const char *
again (bool others, struct fault_spec spec)
{
  static char text[41];
  struct fault *f;

  if (others) {
    rule ((struct fault_spec) { .name = "x", .has_p = true, .p = 1e-9 });
    rule ((struct fault_spec) { .name = "y", .corrupt = 1, .error = EPERM,
                                .nth = 99 });
  }
  spec.name = "a";
  spec.has_p = true;
  spec.p = 0.5;
  f = rule (spec);
  if (others)
    rule ((struct fault_spec) { .name = "z", .has_p = true, .p = 1e-9 });
  for (size_t i = 0; i < 40; i++) {
    const uint64_t before = f->fired;

    if (i == 10)
      fault_set_on (f, spec.times == 0);
    if (i == 20)
      fault_set_on (f, true);
    read_at (0, 1);
    text[i] = f->fired > before ? 'x' : '-';
  }
  faults_clear ();
  return text;
}

/* A request counts in each rule whose selectors of one request match. */
static void
each_counts (void)
{
  char once[41], each_2nd[41], off_then_on[41];

  chance_start (0);
  strcpy (once, again (false, (struct fault_spec) { .every = 1 }));
  ok (strcmp (once, again (true, (struct fault_spec) { .every = 1 })) == 0,
      "the same requests fail whatever other rules there are: %s", once);
  strcpy (each_2nd, again (false, (struct fault_spec) { .every = 2 }));
  ok (strcmp (each_2nd, again (true, (struct fault_spec) { .every = 2 })) == 0,
      "also those that it acts on: %s", each_2nd);
  for (size_t i = 0; i < 40; i += 2)
    each_2nd[i] = once[i];
  ok (strcmp (once, each_2nd) == 0, "which are those that it would fail anyway");
  strcpy (off_then_on, again (false, (struct fault_spec) { .times = 99 }));
  memcpy (off_then_on + 10, once + 10, 10);
  ok (strcmp (once, off_then_on) == 0, "what came while it was off counts");
}

/* Two threads make the same request at the same time, again and again.  Two rules
 * that both fire by chance number it in the same way.
 */
static struct fault *twins[2];
static _Atomic uint64_t alike;

static void *
send_twins (void *context)
{
  (void) context;
  for (uint64_t i = 0; i < work; i++) {
    struct request req = { .op = OP_READ, .count = 1, .conn = &first };
    struct found found;

    look_up (&req, &found);
    alike += found.n == 2 && found.item[0].came == found.item[1].came;
    found_free (&found);
  }
  return NULL;
}

static void
at_the_same_time (void)
{
  pthread_t thread[4];

  work = rounds (50000);
  for (size_t i = 0; i < 2; i++)
    twins[i] = rule ((struct fault_spec) { .has_p = true, .p = 0.5 });
  for (size_t i = 0; i < 4; i++)
    pthread_create (&thread[i], NULL, send_twins, NULL);
  for (size_t i = 0; i < 4; i++)
    pthread_join (thread[i], NULL);
  ok (alike == work * 4, "of the same requests at the same time, one is the first "
      "for all rules");
  ok (twins[0]->came.used == 1 && twins[0]->came.seen, "they are remembered once");
  twins[0]->refs++;
  fault_remove (twins[0]);
  ok (!twins[0]->came.seen, "and forgotten with the rule");
  fault_put (twins[0]);
  faults_clear ();
}

/* Only where it matters does a request take memory. */
static void
sure (void)
{
  const struct fault *never = rule ((struct fault_spec) { .has_p = true });
  const struct fault *always = rule ((struct fault_spec) {
    .has_p = true, .p = 1, .nth = 3 });

  pattern (100);
  ok (never->fired == 0 && always->fired == 1 && !never->came.seen
      && !always->came.seen, "what does not happen by chance is not remembered");
  faults_clear ();
}

static void
delays (void)
{
  const struct fault_spec s = { .delay = 100, .delay_max = 200 };
  bool right = true, differ = false;
  const uint64_t one = drawn_delay (&s, 0);

  for (uint64_t i = 0; i < 100; i++) {
    const uint64_t ns = drawn_delay (&s, i);

    right = right && ns >= 100 && ns <= 200 && ns == drawn_delay (&s, i);
    differ = differ || ns != one;
  }
  ok (right && differ, "delays between two times, made of the luck");
  ok (drawn_delay (&(struct fault_spec) { .delay = 7 }, 1) == 7, "or just one");
}

static void
percentiles (void)
{
  static const struct { double share; uint64_t ns; } expected[] = {
    { 0, 0 }, { 0.25, 500 }, { 0.5, 1000 }, { 0.745, 10500 }, { 0.99, 20000 },
    { 0.9945, 110000 }, { 0.999, 200000 }, { 0.9999, 200000 },
  };
  const struct fault_spec s = {
    .points = { { 0.5, 1000 }, { 0.99, 20000 }, { 0.999, 200000 } },
    .nr_points = 3, .delay_max = 200000,
  };
  unsigned up_to[3] = { 0 };
  bool right = true;

  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    const uint64_t ns = delay_of (&s, expected[i].share);

    right = right && ns + 1 >= expected[i].ns && ns <= expected[i].ns + 1;
  }
  ok (right, "between two percentiles all times are as likely");
  for (uint64_t i = 0; i < 100000; i++)
    for (size_t p = 0; p < 3; p++)
      up_to[p] += drawn_delay (&s, chance_mix (i)) <= s.points[p].ns - (p == 2);
  ok (up_to[0] > 49000 && up_to[0] < 51000 && up_to[1] > 98800
      && up_to[1] < 99200 && up_to[2] > 99850 && up_to[2] < 99950,
      "so many requests wait at most that: %u %u %u", up_to[0], up_to[1], up_to[2]);
  ok (is_random (&s), "which is random");
}

/* The time passes by making the rule older. */
static void
times (void)
{
  struct fault *f = rule ((struct fault_spec) { .from = 2000 * SECOND,
                                                .to = 5000 * SECOND, .nth = 2 });
  int before, first_in, second_in, after;

  before = read_at (0, 1);
  ok (before == 0 && f->hits == 0, "before its time a rule matches nothing");
  f->since -= 3000 * SECOND;
  first_in = read_at (0, 1);
  second_in = read_at (0, 1);
  ok (first_in == 0 && second_in == EIO && f->hits == 2, "then it counts from 1");
  f->since -= 3000 * SECOND;
  after = read_at (0, 1);
  ok (after == 0 && f->hits == 2, "and after it nothing again");
  faults_clear ();

  f = rule ((struct fault_spec) { .from = 2000 * SECOND });
  before = read_at (0, 1);
  f->since -= 9000 * SECOND;
  ok (before == 0 && read_at (0, 1) == EIO, "without an end");
  faults_clear ();
  f = rule ((struct fault_spec) { .to = 2000 * SECOND, .has_p = true, .p = 0.5 });
  read_at (0, 1);
  f->since -= 2000 * SECOND;
  read_at (0, 1);
  ok (f->hits == 1 && tally_count (&f->came, OP_READ, 0, 1) == 2,
      "luck counts requests at any time");
  faults_clear ();
}

/*--------------------------------------------------------------------*/
/* Functions. */

static int
when (const struct fault *f, struct request *req)
{
  (void) f;
  return req->offset == 1 ? 1 : req->offset == 2 ? -EPERM : 0;
}

static int
delay (const struct fault *f, struct request *req, uint64_t *ns)
{
  (void) f;
  *ns = req->offset;
  return req->offset == 2 ? EPERM : 0;
}

/* A read is never asked. */
static int
keep (const struct fault *f, struct request *req, struct fault_range **ranges,
      size_t *n)
{
  (void) f;
  if (req->offset == 2 || req->op == OP_READ)
    return EPERM;
  *n = req->offset;
  *ranges = *n ? calloc (*n, sizeof **ranges) : NULL;
  return 0;
}

static void
keeping (void)
{
  struct request req = { .op = OP_ZERO, .count = 1, .conn = &first };
  struct fault *f = rule ((struct fault_spec) {
    .ops = OP (READ) | OP (ZERO), .has_keep_function = true,
    .only_function = true, .times = 2 });

  f->spec.error = 0;
  ok (faults_pass (&req) == 0 && f->hits == 1 && f->fired == 0,
      "to keep all does not fire");
  req.offset = 1;
  ok (faults_pass (&req) == 0 && f->fired == 1, "to keep a part does");
  ok (read_at (1, 1) == 0 && f->fired == 1, "a read has no parts");
  req.offset = 2;
  ok (faults_pass (&req) == EPERM && f->fired == 2, "keep fails the request");
  faults_clear ();
}

static void
functions (void)
{
  struct fault *f = rule ((struct fault_spec) { .has_when = true }), *last;

  last = rule ((struct fault_spec) { .error = ENOSPC });
  ok (read_at (0, 1) == ENOSPC && read_at (1, 1) == EIO, "when says so");
  ok (f->hits == 1 && f->fired == 1, "and only that counts");
  ok (read_at (2, 1) == EPERM && f->hits == 1 && last->hits == 3
      && f->refs == 1, "when fails the request, and later rules count it");
  faults_clear ();

  f = rule ((struct fault_spec) { .has_delay_function = true,
                                  .only_function = true, .times = 2 });
  f->spec.error = 0;
  ok (read_at (0, 1) == 0 && f->hits == 1 && f->fired == 0,
      "a delay of nothing does not fire");
  ok (read_at (1, 1) == 0 && f->fired == 1, "another one does");
  ok (read_at (2, 1) == EPERM && f->fired == 2, "its function fails");
  ok (read_at (2, 1) == 0 && f->hits == 4 && f->fired == 2,
      "and is not called when the rule may not fire again");
  faults_clear ();
}

/*--------------------------------------------------------------------*/
/* The list. */

static void
names (void)
{
  const struct fault_spec spec = { .ops = OP (FLUSH), .name = "a" };
  struct fault *a, *twice = NULL, *out[3];
  struct fault_info info;

  ok (fault_add (&spec, &a) == 0 && fault_add (&spec, &twice) == EEXIST
      && !twice, "a name is given once");
  rule ((struct fault_spec) { .ops = OP (READ) });
  ok (faults_want (OP_FLUSH) && faults_want (OP_READ) && !faults_want (OP_TRIM),
      "there are rules for these operations");
  ok (faults_list (out, 1) == 2 && out[0] == a, "a list with room for one");
  fault_put (out[0]);
  info = fault_info (a);
  ok (faults_list (out, 3) == 2 && fault_info (out[1]).number == info.number + 1
      && (uint64_t) atoi (fault_info (out[1]).name) == info.number + 1,
      "a rule without a name has its number, which comes next");
  fault_put (out[0]);
  fault_put (out[1]);

  fault_remove (a);
  fault_remove (a);
  ok (!fault_get ("a") && !faults_want (OP_FLUSH) && fault_info (a).removed
      && a->refs == 1, "a rule that is removed, twice, lives while it is held");
  ok (faults_list (out, 0) == 1, "and the other one stays");
  fault_put (a);
  faults_clear ();
  ok (faults_list (out, 0) == 0 && !faults_want (OP_READ), "cleared");
}

/* One more allocation succeeds each time. */
static void
without_memory (void)
{
  static const struct fault_range keep = { 0, 1 };
  const struct fault_spec spec = {
    .ops = OP (READ) | OP (WRITE), .error = EIO, .export_name = "", .seq = "x",
    .data = "b", .data_len = 1, .keep = &keep, .nr_keep = 1,
    .stale = "none", .cut = "none",
  };
  struct fault *f = NULL;
  bool right = true;
  long n = 0;
  int err;

  do {
    countdown = n;
    err = fault_add (&spec, &f);
    countdown = -1;
    if (err)
      right = right && err == ENOMEM && !f && faults_list (NULL, 0) == 0
        && read_at (0, 1) == 0;
  }
  while (err && n++ < 20);
  ok (right && n >= 10 && !err, "%ld allocations fail one by one: no rule", n);
  ok (f && f->spec.data != spec.data && f->spec.keep != &keep
      && f->spec.seq != spec.seq && f->spec.stale != spec.stale
      && f->spec.cut != spec.cut,
      "what a rule has is its own");
  if (f)
    fault_put (f);
  faults_clear ();
}

/*--------------------------------------------------------------------*/
/* Threads. */

#define THREADS 4

static void *
send_requests (void *context)
{
  const struct connection conn = { .id = (uint64_t) (uintptr_t) context,
                                   .disk = &live };
  char buf;

  for (uint64_t i = 0; i < work; i++) {
    struct request req = { .op = OP_READ, .offset = i % 100, .count = 1,
                           .buf = &buf, .conn = &conn };

    faults_pass (&req);
  }
  return NULL;
}

/* A rule that waits for a mark. */
static void
marks (void)
{
  const struct fault_spec spec = { .ops = OP (READ), .mark = "ready", .error = EIO };
  const unsigned long before = noted;
  struct fault *f;
  int before_mark, after;

  ok (!faults_mark ("ready"), "no rule waits for marks");
  fault_add (&spec, &f);
  ok (faults_mark ("other"), "one does");
  before_mark = read_at (3, 1);
  faults_mark ("ready");
  after = read_at (3, 1);
  ok (before_mark == 0 && after == EIO && f->hits == 1, "it begins with its mark");
  ok (fault_info (f).hit.offset == 3 && fault_info (f).hit.number == 1
      && noted == before + 1, "what it hit is noted");
  fault_put (f);
  faults_clear ();
}

static void
threads (void)
{
  const struct fault_spec always = { .ops = OP (READ), .every = 2, .lose = true };
  pthread_t thread[THREADS];
  struct fault *f, *others[8];
  uint64_t all;
  bool fired;

  work = rounds (20000);
  all = work * THREADS;
  fault_add (&always, &f);
  for (size_t i = 0; i < THREADS; i++)
    pthread_create (&thread[i], NULL, send_requests, (void *) (i + 1));
  for (unsigned round = 0; round < 100; round++) {
    for (unsigned i = 0; i < 8; i++)
      fault_add (&(struct fault_spec) { .ops = OP (READ), .has_range = true,
                                        .offset = i * 10, .count = 20,
                                        .error = EIO }, &others[i]);
    for (unsigned i = 0; i < 8; i++) {
      fault_remove (others[i]);
      fault_put (others[i]);
    }
  }
  fired = fault_wait (f, all / 2, 600 * SECOND);
  for (size_t i = 0; i < THREADS; i++)
    pthread_join (thread[i], NULL);
  ok (fired && f->hits == all && f->fired == all / 2,
      "requests of %d threads while rules come and go: each counts", THREADS);
  ok (!fault_wait (f, all, 1), "waiting for more ends in time");
  fault_put (f);
  faults_clear ();
}

static void
stopping (void)
{
  rule ((struct fault_spec) { .name = "fired" });
  rule ((struct fault_spec) { .name = "optional", .nth = 99, .optional = true });
  rule ((struct fault_spec) { .name = "never", .nth = 99, .text = "nth=99",
                              .where = "a.lua:4" });
  read_at (0, 1);
  errors = 0;
  faults_stop ();
  ok (errors == 1 && strcmp (last_error, "fault rule never (a.lua:4: nth=99) "
                             "never fired (it matched 1 requests)") == 0
      && faults_list (NULL, 0) == 0, "the end: what never fired is an error");
}

int
main (void)
{
  const struct fault_callbacks functions_of_rules = { .when = when,
                                                      .delay = delay,
                                                      .keep = keep };

  faults_start (&functions_of_rules);
  one_request ();
  counting ();
  stale ();
  off ();
  order ();
  chances (env_number ("SEED", 1));
  each_counts ();
  at_the_same_time ();
  sure ();
  delays ();
  percentiles ();
  times ();
  functions ();
  keeping ();
  names ();
  without_memory ();
  marks ();
  threads ();
  stopping ();
  return done_testing ();
}
