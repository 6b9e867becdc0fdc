/* rules.c - fault rules.
 *
 *     request --> look up: the rules that match it as it stands, under a lock
 *                   |
 *                   v      without any lock, in the order of declaration:
 *                 choose:  functions, counters, luck -> the rules that fire
 *                   |
 *                   v
 *                 act:     delays and hangs, then the first error,
 *                          else perform what the rules leave of the request
 *
 * Looking up.  Each operation has an index of the rules for it (index.h); a rule
 * for several operations stands in several.  Adding and removing rules leaves an
 * index stale, and the next request for it refreshes it.
 *
 * Locks.  A request takes the lock that belongs to its connection, so that
 * connections do not wait for each other; the thread that changes the rules takes
 * all of them.
 *
 * Luck.  A rule to which something happens by chance counts how often each request
 * came to it (lib/chance.h).  It does so when the request is looked up, and one
 * lock keeps requests apart until all its rules have counted it: of two that are
 * the same and come at the same time, one is the first for all rules.
 *
 * A rule counts its references: one is the list's, and each request for which the
 * rule may fire and each script that holds it has one.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "disk/disk.h"
#include "disk/medium.h"
#include "fault/act.h"
#include "fault/index.h"
#include "fault/rule.h"
#include "fault/rules.h"
#include "lib/chance.h"
#include "lib/sys.h"
#include "report/log.h"
#include "report/stats.h"

/* Connections share this many locks. */
#define LOCKS 16

/* Operations that a rule may be for. */
#define OPS (OP_OPEN + 1)

/* Neighbouring locks must not share a cache line. */
struct list_lock {
  _Alignas (64) pthread_mutex_t mutex;
};

static struct fault_callbacks callbacks;
static struct fault *faults;
static _Atomic bool marks_wanted;       /* by a rule that there is, or was */
static struct index indexes[OPS];
static uint64_t last_number;
static struct list_lock locks[LOCKS] = {
  [0 ... LOCKS - 1] = { PTHREAD_MUTEX_INITIALIZER }
};
static _Atomic unsigned wanted; /* union of the rules' ops */

static pthread_mutex_t came_lock = PTHREAD_MUTEX_INITIALIZER;   /* of all came */

/* Threads that wait until any rule fires. */
static _Atomic unsigned waiters;
static pthread_mutex_t fired_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fired_cond;

/*--------------------------------------------------------------------*/
/* Locks. */

/* To read the rules: for a request, or for anything else (NULL). */
static pthread_mutex_t *
read_lock (const struct request *req)
{
  pthread_mutex_t *mutex = &locks[req ? req->conn->id % LOCKS : 0].mutex;

  pthread_mutex_lock (mutex);
  return mutex;
}

/* To change them. */
static void
write_lock (void)
{
  for (size_t i = 0; i < LOCKS; i++)
    pthread_mutex_lock (&locks[i].mutex);
}

static void
write_unlock (void)
{
  for (size_t i = LOCKS; i > 0; i--)
    pthread_mutex_unlock (&locks[i - 1].mutex);
}

/*--------------------------------------------------------------------*/
/* The list. */

void
faults_start (const struct fault_callbacks *c)
{
  callbacks = *c;
  sys_cond_init (&fired_cond);
}

static void
fault_free (struct fault *f)
{
  tally_clear (&f->came);
  tally_clear (&f->asked);
  free (f->where);
  free (f->text);
  free (f->stale);
  free (f->cut);
  free (f->mark);
  free (f->keep);
  free (f->data);
  free (f->seq);
  free (f->export_name);
  free (f->name);
  free (f);
}

void
fault_put (struct fault *f)
{
  if (--f->refs == 0)
    fault_free (f);
}

/* Begin a line about a rule in the log. */
static struct json
line_about (const struct fault *f)
{
  struct json j = { .text = NULL };

  json_member_string (&j, "rule", f->name);
  json_member_string (&j, "text", f->text);
  json_member_string (&j, "where", f->where);
  return j;
}

/* The first line of a rule. */
static void
log_declared (const struct fault *f)
{
  struct json j;

  if (!log_wanted ())
    return;
  j = line_about (f);
  json_member (&j, "declared", "true");
  log_add (&j);
}

void
faults_log (void)
{
  for (const struct fault *f = faults; f; f = f->next)
    log_declared (f);
}

/* Its last line. */
static void
log_counts (const struct fault *f)
{
  struct json j;

  if (!log_wanted ())
    return;
  j = line_about (f);
  json_member (&j, "matched", "%llu", (unsigned long long) f->hits);
  json_member (&j, "fired", "%llu", (unsigned long long) f->fired);
  if (f->spec.optional)
    json_member (&j, "optional", "true");
  if (f->fired == 0 && !f->spec.optional)
    json_member (&j, "never_fired", "true");
  if (f->removed)
    json_member (&j, "removed", "true");
  log_add (&j);
}

/* A test whose fault never happened has tested nothing, so that is an error
 * message.  The other rules are reported only with -v.
 */
static void
report (const struct fault *f)
{
  const unsigned long long hits = f->hits, fired = f->fired;

  log_counts (f);
  if (fired > 0 || f->spec.optional)
    nbdkit_debug ("fault rule %s (%s): matched %llu, fired %llu", f->name, f->where,
                  hits, fired);
  else
    nbdkit_error ("fault rule %s (%s: %s) never fired (it matched %llu requests)",
                  f->name, f->where, f->text, hits);
}

static void clear (bool log);

void
faults_stop (void)
{
  for (const struct fault *f = faults; f; f = f->next)
    report (f);
  clear (false);
}

/* Copy bytes; NULL stays NULL.  False: no memory. */
static bool
copy (void *to, const void *from, size_t size)
{
  void **p = to;

  if (!from)
    return true;
  *p = malloc (size ? size : 1);
  if (*p)
    memcpy (*p, from, size);
  return *p != NULL;
}

static bool
copy_text (char **to, const char *from)
{
  return copy (to, from, from ? strlen (from) + 1 : 0);
}

/* Does a rule need luck that is not the same for all requests? */
static bool
is_random (const struct fault_spec *s)
{
  return (s->has_p && s->p > 0 && s->p < 1) || s->corrupt
    || s->delay_max > s->delay;
}

/* A rule that is in no list yet, or NULL. */
static struct fault *
fault_new (const struct fault_spec *spec)
{
  struct fault *f = calloc (1, sizeof *f);

  if (!f)
    return NULL;
  f->spec = *spec;
  f->refs = 2;                  /* the list and the caller */
  f->on = true;
  if (!copy_text (&f->name, spec->name) || !copy_text (&f->seq, spec->seq)
      || !copy_text (&f->export_name, spec->export_name)
      || !copy_text (&f->text, spec->text ? spec->text : "")
      || !copy_text (&f->where, spec->where ? spec->where : "?")
      || !copy_text (&f->stale, spec->stale)
      || !copy_text (&f->cut, spec->cut) || !copy_text (&f->mark, spec->mark)
      || !copy (&f->data, spec->data, spec->data_len)
      || !copy (&f->keep, spec->keep, spec->nr_keep * sizeof *f->keep)) {
    fault_free (f);
    return NULL;
  }
  f->since = spec->mark ? 0 : sys_now ();
  if (spec->mark)
    marks_wanted = true;
  f->any_export = f->export_name && strcmp (f->export_name, "*") == 0;
  f->random = is_random (spec);
  f->spec.export_name = f->export_name;
  f->spec.seq = f->seq;
  f->spec.stale = f->stale;
  f->spec.cut = f->cut;
  f->spec.mark = f->mark;
  f->spec.data = f->data;
  f->spec.keep = f->keep;
  f->spec.text = f->text;
  f->spec.where = f->where;
  return f;
}

/* A number for a text (FNV-1a). */
static uint64_t
hash (const char *s)
{
  uint64_t h = UINT64_C (0xcbf29ce484222325);

  for (; *s; s++)
    h = (h ^ (unsigned char) *s) * UINT64_C (0x100000001b3);
  return h;
}

/* The link to a rule, or to NULL at the end.  The list is locked. */
static struct fault **
find_locked (const char *name)
{
  const uint64_t h = hash (name);
  struct fault **link = &faults;

  while (*link && ((*link)->hash != h || strcmp ((*link)->name, name) != 0))
    link = &(*link)->next;
  return link;
}

/* Put a rule into the indexes of its operations.  ENOMEM: it is in none.  All is
 * locked.
 */
static int
index_all (struct fault *f)
{
  for (unsigned op = 0; op < OPS; op++)
    if (f->spec.ops >> op & 1 && !index_reserve (&indexes[op]))
      return ENOMEM;
  for (unsigned op = 0; op < OPS; op++)
    if (f->spec.ops >> op & 1)
      index_add (&indexes[op], f);
  wanted |= f->spec.ops;
  return 0;
}

/* Take a rule out of the indexes.  All is locked. */
static void
unindex_all (const struct fault *f)
{
  unsigned ops = 0;

  for (unsigned op = 0; op < OPS; op++) {
    if (f->spec.ops >> op & 1)
      index_remove (&indexes[op], f);
    if (indexes[op].n > 0)
      ops |= 1u << op;
  }
  wanted = ops;
}

/* Number a rule, name it if it has no name, and put it at the end of the list. */
static int
link_locked (struct fault *f)
{
  struct fault **link;
  char number[24];
  int err;

  f->number = last_number + 1;
  snprintf (number, sizeof number, "%llu", (unsigned long long) f->number);
  if (!f->name && !copy_text (&f->name, number))
    return ENOMEM;
  f->spec.name = f->name;
  f->hash = hash (f->name);
  link = find_locked (f->name);
  if (*link)
    return EEXIST;
  err = index_all (f);
  if (err)
    return err;
  last_number++;
  *link = f;
  log_declared (f);             /* before it can fire */
  return 0;
}

int
fault_add (const struct fault_spec *spec, struct fault **out)
{
  struct fault *f = fault_new (spec);
  int err;

  if (!f)
    return ENOMEM;
  write_lock ();
  err = link_locked (f);
  write_unlock ();
  if (err)
    fault_free (f);
  else
    *out = f;
  return err;
}

struct fault *
fault_get (const char *name)
{
  pthread_mutex_t *mutex = read_lock (NULL);
  struct fault *f = *find_locked (name);

  if (f)
    f->refs++;
  pthread_mutex_unlock (mutex);
  return f;
}

size_t
faults_list (struct fault **out, size_t room)
{
  pthread_mutex_t *mutex = read_lock (NULL);
  size_t n = 0;

  for (struct fault *f = faults; f; f = f->next, n++) {
    if (n < room) {
      f->refs++;
      out[n] = f;
    }
  }
  pthread_mutex_unlock (mutex);
  return n;
}

/* A rule is out of the list: let the requests that hang in it go on, forget what
 * it has counted, because scripts may hold it for long, and give up the list's
 * reference.
 */
static void
retire (struct fault *f)
{
  fault_release (f);
  pthread_mutex_lock (&came_lock);
  tally_clear (&f->came);
  pthread_mutex_unlock (&came_lock);
  fault_put (f);
}

void
fault_remove (struct fault *f)
{
  struct fault **link = &faults;

  write_lock ();
  while (*link && *link != f)
    link = &(*link)->next;
  if (*link) {
    *link = f->next;
    unindex_all (f);
  }
  else
    f = NULL;                   /* removed before */
  write_unlock ();
  if (!f)
    return;
  f->removed = true;
  log_counts (f);
  retire (f);
}

static void
clear (bool log)
{
  struct fault *f, *next;

  write_lock ();
  f = faults;
  faults = NULL;
  for (unsigned op = 0; op < OPS; op++)
    index_clear (&indexes[op]);
  wanted = 0;
  write_unlock ();
  for (; f; f = next) {
    next = f->next;
    f->removed = true;
    if (log)
      log_counts (f);
    retire (f);
  }
}

void
faults_clear (void)
{
  clear (true);
}

void
fault_set_on (struct fault *f, bool on)
{
  f->on = on;
}

void
fault_release (struct fault *f)
{
  f->releases++;
  request_wake ();
}

/* Is the time over in which the rule may fire? */
static bool
is_over (const struct fault *f)
{
  return f->spec.to && f->since && sys_now () - f->since >= f->spec.to;
}

bool
faults_mark (const char *text)
{
  pthread_mutex_t *mutex = read_lock (NULL);
  const uint64_t now = sys_now ();

  for (struct fault *f = faults; f; f = f->next)
    if (f->mark && !f->since && strcmp (f->mark, text) == 0)
      f->since = now;
  pthread_mutex_unlock (mutex);
  return marks_wanted;
}

/* Of what is not atomic. */
static struct fault_hit
last_hit (const struct fault *f)
{
  struct fault_hit hit;

  pthread_mutex_lock (&fired_lock);
  hit = f->hit;
  pthread_mutex_unlock (&fired_lock);
  return hit;
}

struct fault_info
fault_info (const struct fault *f)
{
  return (struct fault_info) {
    .name = f->name, .text = f->text, .where = f->where, .number = f->number,
    .hash = f->hash, .on = f->on, .removed = f->removed,
    .optional = f->spec.optional, .hits = f->hits, .fired = f->fired,
    .first = f->first, .last = f->last, .delayed = f->delayed,
    .hanging = f->hanging, .over = is_over (f), .hit = last_hit (f),
  };
}

struct tally *
fault_asked (const struct fault *f)
{
  return &((struct fault *) f)->asked;  /* all rules come from malloc */
}

bool
faults_want (enum op op)
{
  return atomic_load_explicit (&wanted, memory_order_relaxed) >> op & 1;
}

bool
faults_may_wait (void)
{
  pthread_mutex_t *mutex = read_lock (NULL);
  bool waits = false;

  for (const struct fault *f = faults; f && !waits; f = f->next)
    waits = f->spec.delay || f->spec.delay_max || f->spec.has_delay_function
      || f->spec.hang;
  pthread_mutex_unlock (mutex);
  return waits;
}

/*--------------------------------------------------------------------*/
/* Matching. */

/* Without a name, it is about the live disk.  Crash states must be named. */
static bool
is_its_export (const struct fault *f, const struct request *req)
{
  const char *name = disk_name (req->conn->disk);

  return (f->any_export && !disk_is_state (name))
    || (f->export_name ? strcmp (f->export_name, name) == 0 : *name == '\0');
}

/* Is the rule on, and is it its time? */
static bool
is_active (const struct fault *f)
{
  const struct fault_spec *s = &f->spec;
  uint64_t age;

  if (!s->from && !s->to)
    return f->on;
  age = sys_now () - f->since;
  return f->on && age >= s->from && (!s->to || age < s->to);
}

/* Do the selectors match that depend on the request alone, and has the rule
 * something to do, or to count?  (The index has checked the operation and the
 * region.)
 */
static bool
matches (const struct fault *f, const struct request *req)
{
  const struct fault_spec *s = &f->spec;

  return f->since && (f->random || is_active (f))
    && (!s->conn || s->conn == req->conn->id)
    && is_its_export (f, req)
    && (!s->has_fua || s->fua == ((req->flags & NBDKIT_FLAG_FUA) != 0))
    && (!f->data || (req->op == OP_WRITE
                     && memmem (req->buf, req->count, f->data, s->data_len)));
}

/* Do the selectors match that count?  This is match number N, from 1. */
static bool
counts (const struct fault *f, uint64_t n)
{
  const struct fault_spec *s = &f->spec;

  return (!s->nth || n == s->nth)
    && (!s->every || n % s->every == 0)
    && n > s->after
    && (!f->seq || (n <= strlen (f->seq) && f->seq[n - 1] == 'x'));
}

bool
fault_wait (struct fault *f, uint64_t times, uint64_t ns)
{
  const uint64_t end = sys_now () + ns;

  waiters++;
  pthread_mutex_lock (&fired_lock);
  while (f->fired < times && sys_cond_wait (&fired_cond, &fired_lock, end))
    ;
  pthread_mutex_unlock (&fired_lock);
  waiters--;
  return f->fired >= times;
}

/* Note when a rule has fired, and for what: match number N. */
static void
note_hit (struct fault *f, const struct request *req, uint64_t n)
{
  const uint64_t now = stats_clock ();
  uint64_t never = 0;

  atomic_compare_exchange_strong (&f->first, &never, now);
  f->last = now;
  pthread_mutex_lock (&fired_lock);
  f->hit = (struct fault_hit) {
    .op = req->op, .offset = req->offset, .count = req->count, .number = n,
    .conn = req->conn->id,
  };
  if (waiters > 0)
    pthread_cond_broadcast (&fired_cond);
  pthread_mutex_unlock (&fired_lock);
}

/* Count one more request for which the rule fires.  False: it may not fire again. */
static bool
take_turn (struct fault *f, const struct request *req, uint64_t n)
{
  uint64_t fired = f->fired;

  do
    if (f->spec.times && fired >= f->spec.times)
      return false;
  while (!atomic_compare_exchange_weak (&f->fired, &fired, fired + 1));
  note_hit (f, req, n);
  disk_note_fault (req, f->name);
  return true;
}

/* The rules found for a request, each with a reference. */
struct found {
  struct fired *item;
  size_t n, room;
  struct fired few[8];          /* usually these are enough */
};

/* Add a rule, except one for a snapshot that is not there.  False: no memory. */
static bool
found_add (struct found *found, struct fault *f)
{
  struct disk *stale;

  if (found->n == found->room) {
    bool few = found->item == found->few;
    struct fired *more = realloc (few ? NULL : found->item,
                                  found->room * 2 * sizeof *more);

    if (!more)
      return false;
    if (few)
      memcpy (more, found->few, sizeof found->few);
    found->item = more;
    found->room *= 2;
  }
  stale = f->spec.stale ? disk_get_copy (f->spec.stale) : NULL;
  if (f->spec.stale && !stale)
    return true;
  f->refs++;
  found->item[found->n++] = (struct fired) {
    .fault = f, .on = is_active (f), .seen = f->releases, .stale = stale,
  };
  return true;
}

/* A rule does not fire, or has done so. */
static void
drop (struct fired *c)
{
  free (c->given);
  if (c->stale)
    disk_put (c->stale);
  fault_put (c->fault);
}

static void
found_free (struct found *found)
{
  for (size_t i = 0; i < found->n; i++)
    drop (&found->item[i]);
  if (found->item != found->few)
    free (found->item);
}

/* Find the rules in an index that match.  False: no memory. */
static bool
find_matching (const struct index *x, const struct request *req,
               struct found *found)
{
  const int64_t start = (int64_t) req->offset, end = start + req->count;

  for (size_t i = index_next (x, 0, start, end); i < x->n;
       i = index_next (x, i + 1, start, end))
    if (matches (x->entry[i].fault, req)
        && !found_add (found, x->entry[i].fault))
      return false;
  return true;
}

/* Put them into the order of declaration.  They are few, and often sorted. */
static void
sort_found (struct found *found)
{
  for (size_t i = 1; i < found->n; i++) {
    struct fired f = found->item[i];
    size_t j = i;

    for (; j > 0 && found->item[j - 1].fault->number > f.fault->number; j--)
      found->item[j] = found->item[j - 1];
    found->item[j] = f;
  }
}

/* Count a request in all rules to which it matters how often it came. */
static void
count_request (const struct request *req, struct found *found)
{
  bool locked = false;

  for (size_t i = 0; i < found->n; i++) {
    struct fired *c = &found->item[i];

    if (!c->fault->random)
      continue;
    if (!locked)
      pthread_mutex_lock (&came_lock);
    locked = true;
    c->came = tally_count (&c->fault->came, req->op, req->offset, req->count);
  }
  if (locked)
    pthread_mutex_unlock (&came_lock);
}

static void
refresh (struct index *x)
{
  write_lock ();
  index_refresh (x);
  write_unlock ();
}

/* Find the rules that match a request, as far as that depends on it alone.  FOUND
 * is to be freed also after ENOMEM.  0 or ENOMEM.
 */
static int
look_up (const struct request *req, struct found *found)
{
  struct index *x = &indexes[req->op];
  pthread_mutex_t *mutex;
  bool complete;

  found->item = found->few;
  found->n = 0;
  found->room = sizeof found->few / sizeof found->few[0];
  mutex = read_lock (req);
  while (x->stale) {
    pthread_mutex_unlock (mutex);
    refresh (x);
    mutex = read_lock (req);
  }
  complete = find_matching (x, req, found);
  pthread_mutex_unlock (mutex);
  sort_found (found);
  if (complete)
    count_request (req, found);
  return complete ? 0 : ENOMEM;
}

/* The time that SHARE of all requests wait at most.  Between two points, all times are
 * as likely; the first point is (0, 0), and beyond the last one it is that of it.
 */
static uint64_t
delay_of (const struct fault_spec *s, double share)
{
  struct fault_point last = { 0, 0 };

  for (unsigned i = 0; i < s->nr_points; i++) {
    const struct fault_point *p = &s->points[i];

    if (share < p->share)
      return last.ns + (uint64_t) ((share - last.share) / (p->share - last.share)
                                   * (double) (p->ns - last.ns));
    last = *p;
  }
  return last.ns;
}

static uint64_t
drawn_delay (const struct fault_spec *s, uint64_t random)
{
  if (s->delay_max <= s->delay)
    return s->delay;
  if (s->nr_points > 0)
    return delay_of (s, chance_fraction (chance_mix (random)));
  return s->delay + (uint64_t) (chance_fraction (chance_mix (random))
                                * (double) (s->delay_max - s->delay));
}

/* Ask the functions of a rule how long to wait, and what to keep.  1: the rule fires,
 * 0: there is nothing that it would do, or -errno.
 */
static int
ask (struct fired *c, struct request *req)
{
  const struct fault_spec *s = &c->fault->spec;
  int err = 0;

  if (s->has_delay_function)
    err = callbacks.delay (c->fault, req, &c->delay);
  if (!err && s->has_keep_function && CAN_TEAR >> req->op & 1)
    err = callbacks.keep (c->fault, req, &c->given, &c->nr_given);
  return err ? -err : c->delay || c->given || !s->only_function;
}

/* Does a rule fire?  1, 0, or -errno if its function failed. */
static int
fires (struct fired *c, struct request *req)
{
  struct fault *f = c->fault;
  const struct fault_spec *s = &f->spec;
  uint64_t n;
  int r;

  if (!c->on)
    return 0;
  r = s->has_when ? callbacks.when (f, req) : 1;
  if (r <= 0)
    return r;
  n = ++f->hits;
  if (!counts (f, n))
    return 0;
  if (f->random)
    c->random = chance_mix (f->hash ^ chance_luck (req->op, req->offset,
                                                   req->count, c->came));
  if (s->has_p && chance_fraction (c->random) >= s->p)
    return 0;
  c->delay = drawn_delay (s, c->random);
  if (!s->has_delay_function && !s->has_keep_function)
    return take_turn (f, req, n);
  if (s->times && f->fired >= s->times)
    return 0;
  r = ask (c, req);
  return r != 0 && take_turn (f, req, n) ? r : 0;
}

/* Drop the rules that do not fire.  0, or the first errno code of a function: then
 * the request has failed.
 */
static int
choose (struct request *req, struct found *found)
{
  size_t kept = 0;
  int err = 0, r;

  for (size_t i = 0; i < found->n; i++) {
    r = fires (&found->item[i], req);
    if (r < 0 && !err)
      err = -r;
    if (r > 0)
      found->item[kept++] = found->item[i];
    else
      drop (&found->item[i]);
  }
  found->n = kept;
  return err;
}

/*--------------------------------------------------------------------*/

int
faults_pass (struct request *req)
{
  struct found found;
  int err;

  if (!faults_want (req->op))
    return medium_pass (req);
  err = look_up (req, &found);
  if (err) {
    found_free (&found);
    return err;
  }
  err = choose (req, &found);
  if (found.n > 0)
    err = fault_act (found.item, found.n, req, err, &callbacks);
  else if (!err)
    err = medium_pass (req);
  found_free (&found);
  return err;
}
