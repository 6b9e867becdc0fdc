/* tally.c - what a fault log says, counted. */

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "control/object.h"
#include "control/tally.h"
#include "control/units.h"
#include "lib/array.h"

/* Longer lines are no lines of a log (whose texts come from command lines and scripts). */
#define LINE_LIMIT ((size_t) 1 << 20)

/* After this many lines without one of a log, it is none. */
#define PATIENCE 10000

/* Times from here on are none: it is some 30,000 years. */
#define TIME_LIMIT 1e12

/*--------------------------------------------------------------------*/
/* Lines of a file. */

struct reader {
  FILE *in;
  char *line;                   /* without its newline; a 0 is behind it */
  size_t len, room;
  bool whole;                   /* it has a newline, and is no longer than it may */
  off_t at;                     /* where the next one begins */
};

/* Read the next line.  False: there is none. */
static bool
next_line (struct reader *r)
{
  int c = EOF;
  bool fits = true;

  r->len = 0;
  while ((c = getc_unlocked (r->in)) != EOF) {
    r->at++;
    if (c == '\n')
      break;
    fits = fits && r->len < LINE_LIMIT && array_grow (&r->line, r->len + 1, &r->room, 1);
    if (fits)
      r->line[r->len++] = (char) c;
  }
  if (c == EOF && r->len == 0 && fits)
    return false;
  fits = fits && array_grow (&r->line, r->len + 1, &r->room, 1);
  if (fits)
    r->line[r->len] = '\0';
  else
    r->len = 0;                 /* an empty line is no line of a log either */
  r->whole = fits && c == '\n';
  return true;
}

/*--------------------------------------------------------------------*/
/* Names. */

/* The number of a name, which is added with a count of 0 if it is new.  ROOM: how many names
 * there may be, at most TALLY_KINDS.
 */
static int
name_number (struct names *names, const char *name, int room)
{
  const char *const cut = name + strnlen (name, TALLY_WORD - 1);
  const size_t len = (size_t) (cut - name);

  for (int i = 0; i < names->n; i++)
    if (strncmp (names->at[i].name, name, len) == 0 && names->at[i].name[len] == '\0')
      return i;
  if (names->n == room)
    return room - 1;
  if (names->n == room - 1)
    name = "other";
  snprintf (names->at[names->n].name, TALLY_WORD, "%s", name);
  return names->n++;
}

static unsigned
hash (const char *s, unsigned seed)
{
  unsigned h = seed + 5381;

  for (; *s; s++)
    h = h * 33 + (unsigned char) *s;
  return (h ^ h >> 15) % 1024;
}

/* The source of this name; NULL: there is none. */
static struct source *
find_source (const struct tally *t, enum source_what what, const char *name)
{
  struct source *s = t->buckets[hash (name, what)];

  while (s && (s->what != what || strcmp (s->name, name) != 0))
    s = s->next;
  return s;
}

/* Add a source, which is new.  NULL: no memory. */
static struct source *
add_source (struct tally *t, enum source_what what, const char *name)
{
  struct source *s = calloc (1, sizeof *s), **bucket = &t->buckets[hash (name, what)];

  if (!s) {
    t->no_memory = true;
    return NULL;
  }
  s->what = what;
  snprintf (s->name, sizeof s->name, "%s", name);
  s->next = *bucket;
  *bucket = s;
  t->sources[t->nr_sources++] = s;
  return s;
}

static void
forget_sources (struct tally *t)
{
  for (int i = 0; i < t->nr_sources; i++)
    free (t->sources[i]);
  t->nr_sources = 0;
  memset (t->buckets, 0, sizeof t->buckets);
}

/* Who a line is about; NULL: nobody, or nobody yet. */
static struct source *
source_of (const struct tally *t, const struct object *line, enum source_what *what, char *name)
{
  static const char *const keys[] = {
    [SOURCE_RULE] = "rule", [SOURCE_HOOK] = "hook", [SOURCE_MEDIUM] = "medium",
  };
  struct source *s = NULL;

  *name = '\0';
  for (unsigned i = 0; i < sizeof keys / sizeof keys[0] && !*name; i++) {
    *what = i;
    member_string (object_find (line, keys[i]), name, TALLY_NAME);
  }
  if (*name)
    s = find_source (t, *what, name);
  if (*name && !s && t->nr_sources >= TALLY_SOURCES) {
    *what = SOURCE_OTHERS;
    snprintf (name, TALLY_NAME, "others");
    s = find_source (t, *what, name);
  }
  return s;
}

/* The same, and a source is made if it is new.  NULL: nobody, or no memory. */
static struct source *
make_source (struct tally *t, const struct object *line)
{
  enum source_what what;
  char name[TALLY_NAME];
  struct source *s = source_of (t, line, &what, name);

  return s || !*name ? s : add_source (t, what, name);
}

/*--------------------------------------------------------------------*/
/* Faults. */

bool
tally_has_place (const char *op)
{
  static const char *const ops[] = { "read", "write", "trim", "zero", "extents", "cache" };

  for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
    if (strcmp (op, ops[i]) == 0)
      return true;
  return false;
}

/* What a member of "did" is called among the kinds: such as "delay", or "error EIO". */
static void
kind_name (const struct member *m, char *name, size_t size)
{
  const size_t len = m->key_len < size ? m->key_len : size - 1;

  memcpy (name, m->key, len);
  name[len] = '\0';
  if (member_is (m, "error") && size - len > 2) {
    name[len] = ' ';
    member_string (m, name + len + 1, size - len - 1);
  }
}

/* Is it the second line about a request that waited: how that ended? */
static bool
only_ended (const struct source *s, const struct object *did)
{
  return s->what == SOURCE_RULE && did->n == 1 && member_is (&did->members[0], "ended");
}

static void
count_ending (struct tally *t, const struct member *m)
{
  char why[TALLY_WORD];

  member_string (m, why, sizeof why);
  t->endings.at[name_number (&t->endings, why, TALLY_RESULTS)].count++;
}

static void
count_delay (struct tally *t, double delay)
{
  const double place = delay > 1e-9 ? (log10 (delay) + 9) * TALLY_DECADE : 0;
  const int i = place < TALLY_DELAYS - 1 ? (int) place : TALLY_DELAYS - 1;

  t->delayed++;
  t->delays[i]++;
  t->delay_sum += delay;
  if (delay > t->delay_max)
    t->delay_max = delay;
}

double
tally_delay (const struct tally *t, double share)
{
  const double wanted = ceil (share * (double) t->delayed);
  uint64_t sum = 0;

  for (int i = 0; i < TALLY_DELAYS; i++) {
    sum += t->delays[i];
    if ((double) sum >= wanted && sum > 0)
      return fmin (pow (10, (i + 1.0) / TALLY_DECADE - 9), t->delay_max);
  }
  return t->delay_max;
}

/* Count what was done: each member is of some kind. */
static void
count_kinds (struct tally *t, struct source *s, const struct object *did, const char *op)
{
  const int row = name_number (&t->ops, op, TALLY_OPS);
  char name[TALLY_WORD];
  double delay;

  t->ops.at[row].count++;
  for (int i = 0; i < did->n; i++) {
    const struct member *m = &did->members[i];
    int kind;

    if (member_is (m, "ended"))
      count_ending (t, m);
    kind_name (m, name, sizeof name);
    kind = name_number (&t->kinds, name, TALLY_KINDS);
    t->kinds.at[kind].count++;
    s->kinds[kind]++;
    t->grid[row][kind]++;
    t->hangs += member_is (m, "hang");
  }
  if (object_number (did, "delay", &delay) && delay >= 0 && delay < TIME_LIMIT)
    count_delay (t, delay);
}

static void
count_fault (struct tally *t, struct source *s, const struct fault_line *f)
{
  if (s->faults == 0 || f->t < s->first)
    s->first = f->t;
  if (s->faults == 0 || f->t > s->last)
    s->last = f->t;
  s->faults++;
  if (t->faults == 0 || f->t < t->first)
    t->first = f->t;
  if (t->faults == 0 || f->t > t->last)
    t->last = f->t;
  t->faults++;
  if (tally_has_place (f->op)) {
    if (t->placed == 0 || f->offset < t->low)
      t->low = f->offset;
    if (t->placed == 0 || f->offset > t->high)
      t->high = f->offset;
    t->placed++;
  }
}

/* The value of a member of "did" as text: nothing of true, and a delay with its unit. */
static void
value_text (const struct member *m, char *value, size_t size)
{
  const struct object alone = { .members = { *m }, .n = 1 };
  double delay;

  if (member_string (m, value, size) > 0 || *m->value == '"' || *m->value == 't')
    return;
  if (object_number (&alone, "delay", &delay))
    units_time (value, delay);
  else
    snprintf (value, size, "%.*s", (int) (m->len < size ? m->len : size), m->value);
}

/* Write what was done as words: "delay 2.00 ms, error EIO". */
static void
describe (const struct object *did, char *text, size_t size)
{
  size_t len = 0;

  *text = '\0';
  for (int i = 0; i < did->n && len + 1 < size; i++) {
    const struct member *m = &did->members[i];
    char value[TALLY_TEXT];

    value_text (m, value, sizeof value);
    len += (size_t) snprintf (text + len, size - len, "%s%.*s%s%s", i ? ", " : "",
                              (int) (m->key_len < 40 ? m->key_len : 40), m->key,
                              *value ? " " : "", value);
  }
}

/* Read a line about a request.  False: it is none. */
static bool
read_fault (struct fault_line *f, const struct object *line)
{
  if (member_string (object_find (line, "op"), f->op, sizeof f->op) == 0)
    return false;
  member_string (object_find (line, "export"), f->export_name, sizeof f->export_name);
  object_count (line, "offset", &f->offset);
  object_count (line, "count", &f->count);
  object_count (line, "conn", &f->conn);
  object_count (line, "req", &f->req);
  return true;
}

static void
take_fault (struct tally *t, struct source *s, const struct object *line,
            const struct object *did, double when)
{
  struct fault_line f = { .source = s, .t = when };

  if (only_ended (s, did)) {
    count_ending (t, &did->members[0]);
    return;
  }
  if (!read_fault (&f, line))
    return;
  count_fault (t, s, &f);
  count_kinds (t, s, did, f.op);
  if (t->nr_shown < TALLY_FIRST) {
    describe (did, f.did, sizeof f.did);
    t->shown[t->nr_shown++] = f;
  }
}

/*--------------------------------------------------------------------*/
/* Other lines. */

/* The first line of a run: what was counted before is of another one. */
static void
take_start (struct tally *t, const struct object *line, off_t begin)
{
  struct object start;
  const uint64_t runs = t->runs + (t->lines > 1), foreign = t->foreign,
    first_foreign = t->first_foreign;

  forget_sources (t);
  *t = (struct tally) { .started = true, .lines = 1, .runs = runs, .begin = begin,
                        .foreign = foreign, .first_foreign = first_foreign, .in = t->in };
  member_string (object_find (line, "time"), t->time, sizeof t->time);
  if (!object_inside (line, "start", &start))
    return;
  member_string (object_find (&start, "version"), t->version, sizeof t->version);
  object_count (&start, "size", &t->size);
  object_count (&start, "sector", &t->sector);
  object_count (&start, "seed", &t->seed);
}

/* The last line: the sums of all operations. */
static void
take_stop (struct tally *t, const struct object *line)
{
  struct object stop, op;
  uint64_t n;

  t->stopped = true;
  if (!object_inside (line, "stop", &stop))
    return;
  for (int i = 0; i < stop.n; i++)
    if (*stop.members[i].value == '{'
        && object_read (&op, stop.members[i].value, stop.members[i].len)) {
      t->requests += object_count (&op, "requests", &n) ? n : 0;
      t->errors += object_count (&op, "errors", &n) ? n : 0;
    }
}

/* How a request ended. */
static void
take_result (struct tally *t, const struct object *line, const struct member *result)
{
  char name[TALLY_WORD];
  double latency = 0;
  uint64_t req;

  member_string (result, name, sizeof name);
  t->results.at[name_number (&t->results, name, TALLY_RESULTS)].count++;
  if (object_number (line, "latency", &latency) && latency > t->slowest)
    t->slowest = latency;
  if (!object_count (line, "req", &req))
    return;
  for (int i = 0; i < t->nr_shown; i++)
    if (t->shown[i].req == req && !*t->shown[i].result) {
      memcpy (t->shown[i].result, name, sizeof name);
      t->shown[i].latency = latency;
    }
}

/* A rule that was declared, or its last line. */
static void
take_rule (struct source *s, const struct object *line)
{
  uint64_t matched, fired;

  if (s->what != SOURCE_RULE)
    return;
  s->declared = true;
  member_string (object_find (line, "text"), s->text, sizeof s->text);
  if (object_count (line, "matched", &matched) && object_count (line, "fired", &fired)) {
    s->told = true;
    s->matched += matched;
    s->fired += fired;
    s->optional = object_true (line, "optional");
  }
}

static void
check_seq (struct tally *t, const struct object *line)
{
  uint64_t seq;

  if (!object_count (line, "seq", &seq))
    return;
  if (t->last_seq && seq > t->last_seq + 1)
    t->missing += seq - t->last_seq - 1;
  t->last_seq = seq;
}

/* What a line is. */
enum line { LINE_FOREIGN, LINE_DROPPED, LINE_START, LINE_STOP, LINE_RESULT, LINE_FAULT,
            LINE_RULE };

/* Read a line, and what stands in all lines or was done: its time, in WHEN. */
static enum line
read_line (const char *s, size_t n, struct object *line, struct object *did, double *when)
{
  if (!object_read (line, s, n))
    return LINE_FOREIGN;
  if (object_find (line, "dropped"))
    return LINE_DROPPED;
  if (!object_number (line, "t", when) || !(*when >= 0 && *when < TIME_LIMIT)
      || !object_find (line, "seq"))
    return LINE_FOREIGN;
  if (object_find (line, "start"))
    return LINE_START;
  if (object_find (line, "stop"))
    return LINE_STOP;
  if (object_find (line, "result"))
    return LINE_RESULT;
  return object_inside (line, "did", did) ? LINE_FAULT : LINE_RULE;
}

/* Take a line, which begins there in the file.  False: it is no line of a log. */
static bool
take_line (struct tally *t, const char *s, size_t n, off_t begin)
{
  struct object line, did;
  double when = 0;
  const enum line kind = read_line (s, n, &line, &did, &when);
  struct source *source = NULL;
  uint64_t dropped;

  if (kind == LINE_FOREIGN)
    return false;
  if (kind == LINE_DROPPED) {
    t->dropped += object_count (&line, "dropped", &dropped) ? dropped : 0;
    return true;
  }
  t->lines++;
  if (kind == LINE_START)
    take_start (t, &line, begin);
  t->end = when > t->end ? when : t->end;
  check_seq (t, &line);
  if (kind == LINE_STOP)
    take_stop (t, &line);
  else if (kind == LINE_RESULT)
    take_result (t, &line, object_find (&line, "result"));
  else if (kind != LINE_START)
    source = make_source (t, &line);
  if (source && kind == LINE_FAULT)
    take_fault (t, source, &line, &did, when);
  else if (source)
    take_rule (source, &line);
  return true;
}

/*--------------------------------------------------------------------*/
/* Logs. */

/* Say what is wrong with the log as a whole, or NULL. */
static const char *
judge (const struct tally *t, const struct reader *r)
{
  if (ferror (r->in))
    return "it can't be read to its end";
  if (r->at == 0)
    return "it is empty: the server writes its first line when it has started";
  if (t->lines == 0)
    return "it is no fault log: no line has \"t\" and \"seq\"";
  return NULL;
}

const char *
tally_read (struct tally *t, FILE *in)
{
  struct reader r = { .in = in };
  uint64_t number = 0;
  off_t begin;

  *t = (struct tally) { .in = in };
  rewind (in);
  for (begin = 0; !t->no_memory && next_line (&r); begin = r.at) {
    number++;
    if (take_line (t, r.line, r.len, begin))
      continue;
    if (!r.whole && r.len > 0)
      t->torn = true;
    else if (t->foreign++ == 0)
      t->first_foreign = number;
    if (t->lines == 0 && number == PATIENCE)
      break;
  }
  t->end_of_log = r.at;
  t->missing = t->missing > t->dropped ? t->missing - t->dropped : 0;
  free (r.line);
  return t->no_memory ? "out of memory" : judge (t, &r);
}

void
tally_again (struct tally *t, void (*each) (void *opaque, const struct fault_line *f),
             void *opaque)
{
  struct reader r = { .in = t->in, .at = t->begin };
  struct object line, did;
  enum source_what what;
  char name[TALLY_NAME];

  if (fseeko (t->in, t->begin, SEEK_SET) == -1)
    return;
  while (r.at < t->end_of_log && next_line (&r)) {
    struct fault_line f = { .source = NULL };

    if (read_line (r.line, r.len, &line, &did, &f.t) == LINE_FAULT
        && (f.source = source_of (t, &line, &what, name)) != NULL
        && !only_ended (f.source, &did) && read_fault (&f, &line))
      each (opaque, &f);
  }
  free (r.line);
}

void
tally_free (struct tally *t)
{
  forget_sources (t);
}
