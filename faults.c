/* faults.c - fault rules.
 *
 *     request --> match: all rules in order, under the read lock
 *                   |      selectors, counters -> the rules that fire
 *                   v
 *                 act: without any lock
 *                   delays and hangs, then the first error,
 *                   else perform what the rules leave of the request
 *
 * Rules are counted references: the list has one, each request that a rule
 * fired for, and each script that holds it.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "chance.h"
#include "faults.h"

/* How many rules may fire for one request; later ones do nothing. */
#define MAX_FIRED 32

struct fault {
  struct fault *next;
  struct fault_spec spec;
  char *name, *export_name, *seq, *data;
  struct fault_range *keep;
  uint64_t number;              /* from 1 */
  _Atomic unsigned refs;
  _Atomic bool on, removed;
  _Atomic unsigned releases;
  _Atomic uint64_t hits, fired;
  struct chance chance;
};

static struct fault_callbacks callbacks;
static struct fault *faults;
static uint64_t last_number;
static pthread_rwlock_t list_lock = PTHREAD_RWLOCK_INITIALIZER;
static _Atomic unsigned wanted; /* union of the rules' ops */

/*--------------------------------------------------------------------*/
/* The list. */

void
faults_start (const struct fault_callbacks *c)
{
  callbacks = *c;
}

static void
fault_free (struct fault *f)
{
  chance_free (&f->chance);
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

/* A test whose fault never happened has tested nothing, so that is an error
 * message; the other rules are for those who look.
 */
static void
report (const struct fault *f)
{
  const unsigned long long hits = f->hits, fired = f->fired;

  if (fired > 0)
    nbdkit_debug ("fault rule %s: matched %llu, fired %llu", f->name, hits,
                  fired);
  else
    nbdkit_error ("fault rule %s never fired (it matched %llu requests)",
                  f->name, hits);
}

void
faults_stop (void)
{
  for (const struct fault *f = faults; f; f = f->next)
    report (f);
  faults_clear ();
}

/* Copy bytes, or nothing.  False: no memory. */
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

/* A rule that is in no list yet, or NULL. */
static struct fault *
fault_new (const struct fault_spec *spec)
{
  struct fault *f = calloc (1, sizeof *f);

  if (!f)
    return NULL;
  chance_init (&f->chance, 0);
  f->spec = *spec;
  f->refs = 2;                  /* the list and the caller */
  f->on = true;
  if (!copy_text (&f->name, spec->name) || !copy_text (&f->seq, spec->seq)
      || !copy_text (&f->export_name, spec->export_name)
      || !copy (&f->data, spec->data, spec->data_len)
      || !copy (&f->keep, spec->keep, spec->nr_keep * sizeof *f->keep)) {
    fault_free (f);
    return NULL;
  }
  f->spec.keep = f->keep;
  return f;
}

/* The link to a rule, or to NULL at the end.  The list is locked. */
static struct fault **
find_locked (const char *name)
{
  struct fault **link = &faults;

  while (*link && (!name || strcmp ((*link)->name, name) != 0))
    link = &(*link)->next;
  return link;
}

/* Which operations any rule is for.  The list is locked. */
static void
update_wanted (void)
{
  unsigned ops = 0;

  for (const struct fault *f = faults; f; f = f->next)
    ops |= f->spec.ops;
  wanted = ops;
}

/* Number a rule, name it if it has no name, and put it at the end. */
static int
link_locked (struct fault *f)
{
  char number[24];

  f->number = last_number + 1;
  f->chance.seed = chance_mix (callbacks.seed) ^ f->number;
  snprintf (number, sizeof number, "%llu", (unsigned long long) f->number);
  if (!f->name && !copy_text (&f->name, number))
    return ENOMEM;
  if (*find_locked (f->name))
    return EEXIST;
  last_number++;
  *find_locked (NULL) = f;
  update_wanted ();
  return 0;
}

int
fault_add (const struct fault_spec *spec, struct fault **out)
{
  struct fault *f = fault_new (spec);
  int err;

  if (!f)
    return ENOMEM;
  pthread_rwlock_wrlock (&list_lock);
  err = link_locked (f);
  pthread_rwlock_unlock (&list_lock);
  if (err)
    fault_free (f);
  else
    *out = f;
  return err;
}

struct fault *
fault_get (const char *name)
{
  struct fault *f;

  pthread_rwlock_rdlock (&list_lock);
  f = *find_locked (name);
  if (f)
    f->refs++;
  pthread_rwlock_unlock (&list_lock);
  return f;
}

size_t
faults_list (struct fault **out, size_t most)
{
  size_t n = 0;

  pthread_rwlock_rdlock (&list_lock);
  for (struct fault *f = faults; f; f = f->next, n++) {
    if (n < most) {
      f->refs++;
      out[n] = f;
    }
  }
  pthread_rwlock_unlock (&list_lock);
  return n;
}

void
fault_remove (struct fault *f)
{
  struct fault **link = &faults;

  pthread_rwlock_wrlock (&list_lock);
  while (*link && *link != f)
    link = &(*link)->next;
  if (*link)
    *link = f->next;
  else
    f = NULL;                   /* removed before */
  update_wanted ();
  pthread_rwlock_unlock (&list_lock);
  if (!f)
    return;
  f->removed = true;
  fault_release (f);
  fault_put (f);
}

void
faults_clear (void)
{
  struct fault *f, *next;

  pthread_rwlock_wrlock (&list_lock);
  f = faults;
  faults = NULL;
  update_wanted ();
  pthread_rwlock_unlock (&list_lock);
  for (; f; f = next) {
    next = f->next;
    f->removed = true;
    fault_release (f);
    fault_put (f);
  }
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
}

struct fault_info
fault_info (const struct fault *f)
{
  return (struct fault_info) {
    .name = f->name, .number = f->number, .on = f->on, .removed = f->removed,
    .hits = f->hits, .fired = f->fired,
  };
}

bool
faults_want (enum op op)
{
  return atomic_load_explicit (&wanted, memory_order_relaxed) >> op & 1;
}

bool
faults_may_wait (void)
{
  bool waits = false;

  pthread_rwlock_rdlock (&list_lock);
  for (const struct fault *f = faults; f && !waits; f = f->next)
    waits = f->spec.delay || f->spec.delay_max || f->spec.hang;
  pthread_rwlock_unlock (&list_lock);
  return waits;
}

/*--------------------------------------------------------------------*/
/* Matching. */

static bool
overlaps (const struct fault_spec *s, const struct request *req)
{
  return req->offset < s->offset + s->count
    && s->offset < req->offset + req->count;
}

/* Do the selectors match that look at the request alone? */
static bool
matches (const struct fault *f, const struct request *req)
{
  const struct fault_spec *s = &f->spec;

  return f->on && s->ops >> req->op & 1
    && (!s->has_range || overlaps (s, req))
    && (!s->conn || s->conn == req->conn->id)
    && (!f->export_name
        || strcmp (f->export_name, disk_name (req->conn->disk)) == 0)
    && (!s->has_fua || s->fua == ((req->flags & NBDKIT_FLAG_FUA) != 0))
    && (!f->data || (req->op == OP_WRITE
                     && memmem (req->buf, req->count, f->data, s->data_len)));
}

/* The same number for the same request. */
static uint64_t
request_key (const struct request *req)
{
  return chance_mix (chance_mix (req->offset) ^ req->count)
    ^ (unsigned) req->op;
}

/* Do the selectors match that count?  N is the number of this match. */
static bool
counts (const struct fault *f, uint64_t n)
{
  const struct fault_spec *s = &f->spec;

  return (!s->nth || n == s->nth)
    && (!s->every || n % s->every == 0)
    && n > s->after
    && (!f->seq || (n <= strlen (f->seq) && f->seq[n - 1] == 'x'));
}

/* Those who wait until any rule fires. */
static _Atomic unsigned waiters;
static pthread_mutex_t fired_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t fired_cond = PTHREAD_COND_INITIALIZER;

bool
fault_wait (struct fault *f, uint64_t ns)
{
  struct timespec end;

  clock_gettime (CLOCK_REALTIME, &end);
  ns += (uint64_t) end.tv_nsec;
  end.tv_sec += (time_t) (ns / 1000000000);
  end.tv_nsec = (long) (ns % 1000000000);

  waiters++;
  pthread_mutex_lock (&fired_lock);
  while (f->fired == 0
         && pthread_cond_timedwait (&fired_cond, &fired_lock, &end) == 0)
    ;
  pthread_mutex_unlock (&fired_lock);
  waiters--;
  return f->fired > 0;
}

/* Count one more that fires, if there may be more. */
static bool
take_turn (struct fault *f)
{
  uint64_t fired = f->fired;

  do
    if (f->spec.times && fired >= f->spec.times)
      return false;
  while (!atomic_compare_exchange_weak (&f->fired, &fired, fired + 1));
  if (waiters > 0) {
    pthread_mutex_lock (&fired_lock);
    pthread_cond_broadcast (&fired_cond);
    pthread_mutex_unlock (&fired_lock);
  }
  return true;
}

/* A rule that fires for a request, and its luck. */
struct fired {
  struct fault *fault;
  uint64_t random;
  unsigned releases;            /* of the rule, when it fired */
};

/* The rules that match a request, as far as that is seen from it alone; each
 * is kept with a reference.
 */
static size_t
candidates (const struct request *req, struct fired *found)
{
  size_t n = 0;

  pthread_rwlock_rdlock (&list_lock);
  for (struct fault *f = faults; f && n < MAX_FIRED; f = f->next) {
    if (matches (f, req)) {
      f->refs++;
      found[n++].fault = f;
    }
  }
  pthread_rwlock_unlock (&list_lock);
  return n;
}

/* Does it fire?  1, 0, or -errno if its function failed. */
static int
fires (struct fired *c, struct request *req)
{
  struct fault *f = c->fault;
  const struct fault_spec *s = &f->spec;
  int r = s->has_when ? callbacks.when (f->number, req) : 1;

  if (r <= 0)
    return r;
  if (!counts (f, ++f->hits))
    return 0;
  if (s->has_p || s->corrupt || s->delay_max > s->delay)
    c->random = chance_draw (&f->chance, request_key (req));
  if (s->has_p && chance_fraction (c->random) >= s->p)
    return 0;
  c->releases = f->releases;
  return take_turn (f);
}

/* Keep of the candidates those that fire.  0 or an errno code. */
static int
select_fired (struct request *req, struct fired *found, size_t *n)
{
  size_t kept = 0;
  int err = 0, r;

  for (size_t i = 0; i < *n; i++) {
    r = fires (&found[i], req);
    if (r < 0 && !err)
      err = -r;
    if (r > 0)
      found[kept++] = found[i];
    else
      fault_put (found[i].fault);
  }
  *n = kept;
  return err;
}

/*--------------------------------------------------------------------*/
/* Acting. */

/* Let time pass as the rules say. */
static int
act_wait (const struct fired *fired, size_t n, const struct request *req)
{
  int err = 0;

  for (size_t i = 0; i < n && !err; i++) {
    struct fault *f = fired[i].fault;
    const struct fault_spec *s = &f->spec;
    uint64_t ns = s->delay;

    if (s->delay_max > ns)
      ns += (uint64_t) (chance_fraction (chance_mix (fired[i].random))
                        * (double) (s->delay_max - ns));
    if (ns > 0)
      err = callbacks.wait (req->conn, ns, NULL, 0);
    if (s->hang && !err)
      err = callbacks.wait (req->conn, UINT64_MAX, &f->releases,
                            fired[i].releases);
  }
  return err;
}

/* Call functions, cut connections, and find the first error. */
static int
act_fail (const struct fired *fired, size_t n, struct request *req)
{
  int err = 0;

  for (size_t i = 0; i < n; i++) {
    const struct fault_spec *s = &fired[i].fault->spec;

    if (s->has_call && !err)
      err = callbacks.call (fired[i].fault->number, req);
    if (s->disconnect)
      callbacks.disconnect ();
    if (s->shutdown)
      callbacks.shutdown ();
    if (s->error && !err)
      err = s->error;
  }
  /* It was asked for: that needs no log line for each. */
  if (err)
    req->logged = true;
  return err;
}

static uint64_t
gcd (uint64_t a, uint64_t b)
{
  while (b != 0) {
    uint64_t rest = a % b;

    a = b;
    b = rest;
  }
  return a;
}

/* Flip BITS different bits of COUNT bytes, chosen by RANDOM. */
static void
flip_bits (uint8_t *buf, uint64_t count, uint64_t bits, uint64_t random)
{
  uint64_t all = count * 8, step, bit;

  if (all == 0)
    return;
  if (bits > all)
    bits = all;
  /* Steps that share no factor with the number of bits meet all of them. */
  bit = chance_mix (random) % all;
  step = chance_mix (random + 1) % all | 1;
  while (gcd (step, all) != 1)
    step += 2;
  for (; bits > 0; bits--) {
    buf[bit / 8] ^= (uint8_t) (1 << bit % 8);
    bit = (bit + step) % all;
  }
}

/* Where a misdirected request goes: that far away, but on the disk. */
static uint64_t
misdirected (const struct request *req, int64_t by)
{
  uint64_t places = disk_size (req->conn->disk) - req->count + 1;
  uint64_t distance = by < 0 ? places - (uint64_t) -by % places
                             : (uint64_t) by % places;

  return (req->offset % places + distance) % places;
}

/* Perform only the parts of a write that a rule keeps. */
static int
perform_parts (struct request req, const struct fault_spec *s)
{
  uint64_t start = req.offset, count = req.count;
  char *buf = req.buf;
  int err = 0;

  for (size_t i = 0; i < s->nr_keep && !err; i++) {
    const struct fault_range *r = &s->keep[i];

    if (r->offset >= count)
      continue;
    req.offset = start + r->offset;
    req.buf = buf ? buf + r->offset : NULL;
    req.count = (uint32_t) (r->count < count - r->offset
                            ? r->count : count - r->offset);
    err = callbacks.perform (&req);
  }
  return err;
}

/* Perform a request that rules change: lose it, move it, damage it, keep a
 * part of it.
 */
static int
perform_changed (const struct fired *fired, size_t n, struct request req)
{
  const struct fault_spec *parts = NULL;
  uint8_t *copy = NULL;
  bool lose = false;
  int err;

  for (size_t i = 0; i < n; i++) {
    const struct fault_spec *s = &fired[i].fault->spec;

    lose = lose || s->lose;
    if (s->misdirect)
      req.offset = misdirected (&req, s->misdirect);
    if (s->nr_keep && !parts)
      parts = s;
    if (s->corrupt && req.op == OP_WRITE) {
      if (!copy) {
        copy = malloc (req.count);
        if (!copy)
          return ENOMEM;
        memcpy (copy, req.buf, req.count);
        req.buf = copy;
      }
      flip_bits (copy, req.count, s->corrupt, fired[i].random);
    }
  }

  if (lose && req.op == OP_READ)
    memset (req.buf, 0, req.count);
  err = lose ? 0 : parts ? perform_parts (req, parts)
    : callbacks.perform (&req);
  for (size_t i = 0; i < n && !err && req.op == OP_READ; i++)
    if (fired[i].fault->spec.corrupt)
      flip_bits (req.buf, req.count, fired[i].fault->spec.corrupt,
                 fired[i].random);
  free (copy);
  return err;
}

int
faults_request (struct request *req)
{
  struct fired fired[MAX_FIRED] = { { .fault = NULL } };
  size_t n = candidates (req, fired);
  int err;

  if (n == 0)
    return callbacks.perform (req);
  err = select_fired (req, fired, &n);
  if (!err)
    err = act_wait (fired, n, req);
  if (!err)
    err = act_fail (fired, n, req);
  if (!err)
    err = perform_changed (fired, n, *req);
  for (size_t i = 0; i < n; i++)
    fault_put (fired[i].fault);
  return err;
}
