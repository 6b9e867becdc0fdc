/* plugin.c - the door: what nbdkit calls.
 *
 * A request travels from here to the hooks, if a script has one for it, then
 * to the disk.  Without a script it goes straight to the store, and the price
 * of all that could be is one test.
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "config.h"
#include "control/control.h"
#include "disk/crash.h"
#include "disk/disk.h"
#include "disk/medium.h"
#include "disk/replay.h"
#include "fault/rules.h"
#include "lib/chance.h"
#include "lib/json.h"
#include "lib/sys.h"
#include "lua/hooks.h"
#include "report/log.h"
#include "report/stats.h"
#include "request.h"
#include "store.h"

/* memory_thread_model chooses among this and what is stricter. */
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* -D memory.stats=1: say at the end what the disk held. */
NBDKIT_DLL_PUBLIC int memory_debug_stats;

static bool scripted;           /* there is Lua: a script, control= or log= */
static bool logging;            /* there is log=, so requests have numbers */
static bool busy;               /* there is Lua, or a volatile cache */
static bool careful;            /* requests are counted, or known to a cache */
static bool served;             /* the start is over */

/*--------------------------------------------------------------------*/
/* Start and end. */

static int
run_scripts (void)
{
  chance_start (config.hooks.seed);
  if (hooks_start (&config.hooks) == -1)
    return -1;
  for (size_t i = 0; i < config.nr_scripts; i++)
    if (hooks_run (config.scripts[i].name, config.scripts[i].code) == -1)
      return -1;
  if (config.allocator != SPARSE && !disk_store (disk_live ())) {
    nbdkit_error ("allocator=malloc: can't be combined with on.fill");
    return -1;
  }
  return hooks_ready ();
}

static void
history_full (const struct disk_cache *how, uint64_t number)
{
  nbdkit_error ("history=%llu is full: the recording has ended before request %llu; "
                "requests go on", (unsigned long long) how->history,
                (unsigned long long) number);
}

static int
replay_disk (void)
{
  char why[700];

  if (replay_start (config.replay, &config.cache, why, sizeof why) != 0) {
    nbdkit_error ("replay=%s", why);
    return -1;
  }
  config.size = disk_size (disk_live ());
  return 0;
}

static int
start_disk (void)
{
  config.cache.full = history_full;
  if (config.replay)
    return replay_disk ();
  if (disk_start (config.size) != 0) {
    nbdkit_error ("size: out of memory");
    return -1;
  }
  if (config.volatile_cache
      && disk_set_cache (disk_live (), &config.cache) != 0) {
    nbdkit_error ("write-cache: out of memory");
    return -1;
  }
  return 0;
}

static int
memory_config_complete (void)
{
  stats_start ();
  crash_on_mark (faults_mark);
  if (config_complete (&scripted) == -1 || start_disk () == -1)
    return -1;
  if (scripted && run_scripts () == -1)
    return -1;
  logging = config.log != NULL;
  stats_counting = config.control || logging
    || (scripted && hooks_may_ask_stats ());
  busy = scripted || config.volatile_cache;
  careful = stats_counting || config.volatile_cache;
  return 0;
}

/* Requests that never wait are served fastest by one thread a connection,
 * which hands nothing over.  But a hook that sleeps must not hold up the
 * other requests of its connection; with a control socket there may be one
 * later.  And with a volatile cache, a flush must be able to overtake the writes of
 * its connection: otherwise a client that does not wait for them would look correct.
 */
static int
memory_thread_model (void)
{
  /* Without a script there may be no disk yet (nbdkit --dump-plugin). */
  const bool waits = scripted
    && (hooks_may_wait () || faults_may_wait ()
        || medium_may_wait (disk_medium (disk_live ())));

  return waits
    || ((config.control || config.volatile_cache) && request_can_cut ())
    ? NBDKIT_THREAD_MODEL_PARALLEL : NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS;
}

/* Allocate all, and lock it, if the parameter says so. */
static int
reserve (void)
{
  bool lock = config.allocator == MALLOC_LOCKED;
  int err = config.allocator == SPARSE ? 0
    : store_reserve (disk_store (disk_live ()), lock);

  if (!err)
    return 0;
  nbdkit_error ("allocator=malloc: can't allocate%s the whole disk: %s%s",
                lock ? " and lock" : "", strerror (err),
                lock ? "; raise the limit with ulimit -l" : "");
  return -1;
}

/* Make the control socket, so that it is there when the start is over, and give its
 * name to the command of --run.
 */
static int
listen_control (void)
{
  int err;

  if (!config.control)
    return 0;
  err = config.control_private ? control_listen_private (config.control)
    : control_listen (config.control);
  if (!err && setenv ("control", control_name (), 1) == 0)
    return 0;
  nbdkit_error ("control=%s%s: %s", config.control_private ? "- in " : "",
                config.control,
                !err ? strerror (errno)
                : err == EADDRINUSE ? "a server is listening on it already"
                : err == EEXIST ? "there is a file that is no socket"
                : err == ENAMETOOLONG ? "the path is too long for a socket"
                : strerror (err));
  return -1;
}

/* A control_stop_fn. */
static unsigned
ask_to_stop (void)
{
  nbdkit_shutdown ();
  return request_clients ();
}

static int
start_control (void)
{
  int err = config.control ? control_start (hooks_chunk, ask_to_stop) : 0;

  if (!err)
    return 0;
  nbdkit_error ("control=%s: %s", config.control, strerror (err));
  return -1;
}

/* Do a step on the log. */
static int
with_log (int err)
{
  if (err)
    nbdkit_error ("log=%s: %s", config.log,
                  err == ENXIO ? "nobody reads this pipe"
                  : err == EADDRINUSE ? "another server writes to it"
                  : err == EEXIST ? "is not a log of this plugin (it does not "
                    "begin with {): choose another name, or remove it"
                  : strerror (err));
  return err ? -1 : 0;
}

/* The first line of the log, and one for each rule that scripts have declared. */
static void
begin_log (void)
{
  struct json j = { .text = NULL };

  json_member (&j, "start", "{");
  json_member_string (&j, "version", VERSION);
  json_member (&j, "size", "%llu", (unsigned long long) config.size);
  json_member (&j, "sector", "%d", MEDIUM_SECTOR);
  json_member (&j, "seed", "%llu", (unsigned long long) config.hooks.seed);
  json_add (&j, "}", 1);
  log_add (&j);
  faults_log ();
}

/* Before the fork, so that an error stops the start. */
static int
memory_get_ready (void)
{
  if (config.log && with_log (log_open (config.log)) == -1)
    return -1;
  return reserve () == 0 && listen_control () == 0 ? 0 : -1;
}

/* And after it: locks taken by mlock, and threads, do not survive fork. */
static int
memory_after_fork (void)
{
  if (config.log && with_log (log_start ()) == -1)
    return -1;
  if (config.log)
    begin_log ();
  served = reserve () == 0 && start_control () == 0;
  return served ? 0 : -1;
}

static void
memory_dump_plugin (void)
{
  printf ("memory_hooks=%s\n", "lua5.4");
  printf ("mlock=yes\n");
  printf ("zstd=no\n");
}

/* The last line of the log. */
static void
end_log (void)
{
  struct json j = { .text = NULL };

  json_member (&j, "stop", "{");
  stats_tell (&j);
  json_add (&j, "}", 1);
  log_add (&j);
}

static void
stop_log (void)
{
  uint64_t lost;
  int err;

  if (log_wanted ())
    end_log ();
  lost = log_stop (&err);

  if (lost > 0 || err)
    nbdkit_error ("log=%s: %llu lines were lost: %s", config.log,
                  (unsigned long long) lost,
                  err ? strerror (err) : "they came faster than they could be "
                                         "written");
}

/* Add a rule for the clients of the control socket that have asked for the end. */
static void
add_rule (struct json *lines, const struct fault_info *f)
{
  json_add (lines, "{", 1);
  json_member_string (lines, "rule", f->name);
  json_member (lines, "hits", "%llu", (unsigned long long) f->hits);
  json_member (lines, "fired", "%llu", (unsigned long long) f->fired);
  json_member (lines, "optional", f->optional ? "true" : "false");
  json_add (lines, "}\n", 2);
}

/* Their last words: a line for each rule, and one that says that those are all. */
static struct json
last_words (void)
{
  struct json lines = { .text = NULL };
  size_t n = faults_list (NULL, 0);
  struct fault **rules = calloc (n + 1, sizeof (void *));

  lines.failed = rules == NULL;
  if (rules)
    n = faults_list (rules, n);         /* no other thread is left */
  for (size_t i = 0; rules && i < n; i++) {
    const struct fault_info f = fault_info (rules[i]);

    add_rule (&lines, &f);
    fault_put (rules[i]);
  }
  free (rules);
  json_addf (&lines, "{\"stopped\":true}\n");
  return lines;
}

static void
memory_load (void)
{
  request_start ();
}

static void
memory_unload (void)
{
  struct disk *live = disk_live ();
  struct json words;

  if (memory_debug_stats && live)
    nbdkit_debug ("memory: %llu bytes allocated of %llu",
                  (unsigned long long) disk_allocated (live),
                  (unsigned long long) disk_size (live));
  control_stop ();
  if (served && scripted)
    hooks_at_stop ();
  words = last_words ();
  hooks_stop ();
  faults_stop ();
  stop_log ();
  if (!words.failed)
    control_last_words (words.text, words.len);
  json_free (&words);
  disk_stop ();
  request_stop ();
  config_free ();
}

/*--------------------------------------------------------------------*/
/* Exports and connections. */

static int
add_export (void *exports, const char *name, const char *about)
{
  return nbdkit_add_export (exports, name, about);
}

static int
memory_list_exports (int readonly, int is_tls,
                     struct nbdkit_exports *exports)
{
  (void) readonly;
  (void) is_tls;
  return disk_names (add_export, exports);
}

static const char *
memory_default_export (int readonly, int is_tls)
{
  (void) readonly;
  (void) is_tls;
  return "";
}

/* Collect the names of all exports, as many as there is room for. */
static int
add_name (void *context, const char *name, const char *about)
{
  struct json *names = context;

  (void) about;
  if (names->len > 500) {
    json_add (names, ", ...", 5);
    return -1;
  }
  if (names->len > 0)
    json_add (names, ", ", 2);
  json_string (names, name, strlen (name));
  return 0;
}

/* Names come from clients and scripts: quoted as in JSON, none can pretend to be
 * another line of the log.  WHY there is no such crash state, or "".
 */
static void
no_such_export (const char *name, const char *why)
{
  struct json there = { .text = NULL }, wanted = { .text = NULL };

  json_string (&wanted, name, strlen (name));
  disk_names (add_name, &there);
  if (*why)
    nbdkit_error ("there is no export %s: %s",
                  wanted.failed ? "of that name" : wanted.text, why);
  else
    nbdkit_error ("there is no export %s; there are %s",
                  wanted.failed ? "of that name" : wanted.text,
                  there.failed ? "others" : there.text);
  json_free (&wanted);
  json_free (&there);
}

/* Fewer than ten times in the last second? */
static bool
is_seldom (void)
{
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  static uint64_t last[10];     /* when it was so */
  static size_t oldest;         /* of them */
  const uint64_t now = sys_now ();
  bool seldom;

  pthread_mutex_lock (&lock);
  seldom = last[oldest] == 0 || now - last[oldest] >= SECOND;
  if (seldom) {
    last[oldest] = now;
    oldest = (oldest + 1) % (sizeof last / sizeof last[0]);
  }
  pthread_mutex_unlock (&lock);
  return seldom;
}

/* Tell that a client was refused, as was asked for.  That is no error; but where
 * nbdkit sends the text of an error to the client, it is one, as long as they are
 * few.
 */
static void
tell_refusal (const char *who, int err)
{
  if (request_client_sees_errors () && is_seldom ())
    nbdkit_error ("%s refused the connection: %s", who, strerror (err));
  else
    nbdkit_debug ("%s refused the connection: %s", who, strerror (err));
}

/* Number a request among all. */
static void
number (struct request *req)
{
  static _Atomic uint64_t last;

  if (logging)
    req->number = ++last;
}

/* May this client come in? */
static int
admit (const struct connection *c)
{
  const uint64_t start = sys_now ();
  struct request req = { .op = OP_OPEN, .conn = c };
  const char *who = "on.open";
  int err;

  if (!c->state)
    number (&req);
  err = hooks_wants (OP_OPEN) && !c->state ? hooks_open (&req) : 0;

  if (!err) {
    who = "a fault rule";
    err = faults_pass (&req);
  }
  if (err)
    tell_refusal (who, err);
  if (req.told)
    log_result (&req, err, sys_now () - start);
  return err;
}

/* A connection to a disk, which it takes over.  NULL: no memory. */
static struct connection *
connection_new (struct disk *disk, bool readonly)
{
  struct connection *c = calloc (1, sizeof *c);

  if (!c)
    return NULL;
  *c = (struct connection) {
    .readonly = readonly, .disk = disk, .readable = disk_store (disk),
    .store = disk_cuts (disk) ? NULL : disk_store (disk),
    .cuts = disk_cuts (disk), .state = disk_is_state (disk_name (disk)),
    .export_name = disk_name (disk),
  };
  if (!request_connect (c)) {
    free (c);
    return NULL;
  }
  c->id = stats_connect (c->state);
  return c;
}

static void
connection_free (struct connection *c)
{
  if (scripted && !c->state)
    hooks_forget (c);
  disk_put (c->disk);
  request_disconnect (c);
  stats_disconnect ();
  free (c);
}

/* A plain disk serves any name, as nbdkit's own memory plugin.  Where there may be
 * snapshots or crash states, a mistyped one must not be the live disk; nor that of a state
 * where write-cache=volatile was forgotten.
 */
static struct disk *
find_disk (const char *name, char *why, size_t size)
{
  *why = '\0';
  return busy || disk_is_state (name) ? crash_open (name, why, size) : disk_get ("");
}

static void *
memory_open (int readonly)
{
  char why[700] = "";
  const char *name = nbdkit_export_name ();
  struct disk *disk = name ? find_disk (name, why, sizeof why) : NULL;
  struct connection *c;

  if (!disk) {
    no_such_export (name ? name : "", why);
    return NULL;
  }
  c = connection_new (disk, readonly);
  if (!c) {
    nbdkit_error ("out of memory");
    disk_put (disk);
    return NULL;
  }
  if (scripted && admit (c) != 0) {
    connection_free (c);
    return NULL;
  }
  return c;
}

static void
memory_close (void *handle)
{
  struct connection *c = handle;

  stats_idle ();                /* if on.close sleeps, that is no request */
  if (scripted && hooks_wants (OP_CLOSE) && !c->state)
    hooks_close (c);
  connection_free (c);
}

static const char *
memory_export_description (void *handle)
{
  const struct connection *c = handle;

  return disk_about (c->disk);
}

static int64_t
memory_get_size (void *handle)
{
  const struct connection *c = handle;

  return (int64_t) disk_size (c->disk);
}

static int
memory_block_size (void *handle, uint32_t *minimum, uint32_t *preferred,
                   uint32_t *maximum)
{
  (void) handle;
  *minimum = 1;
  *preferred = 4096;
  *maximum = UINT32_MAX;
  return 0;
}

static int
memory_yes (void *handle)
{
  (void) handle;
  return 1;
}

static int
memory_can_fua (void *handle)
{
  (void) handle;
  return NBDKIT_FUA_NATIVE;
}

static int
memory_can_cache (void *handle)
{
  (void) handle;
  return NBDKIT_CACHE_NATIVE;
}

/*--------------------------------------------------------------------*/
/* Requests.  nbdkit has checked that they lie within the disk. */

/* Is there anything between this request and STORE, one of those of its connection?
 * Inline, so that a plain disk pays no more than one test.
 */
__attribute__ ((always_inline)) static inline bool
wrapped (const struct connection *c, enum op op, const struct store *store)
{
  return busy && (stats_counting || hooks_wants (op) || faults_want (op)
                  || medium_wants (c->disk) >> op & 1 || !store);
}

/* Was the failure of a request asked for?  A disk with initial content fails with
 * what on.fill says, whose mistakes were told; unless there is no memory.
 */
static bool
was_asked_for (int err, const struct request *req)
{
  return req->asked || req->why
    || (req->conn && !req->conn->readable && err != ENOMEM);
}

/* Tell why a request failed.  ENOTSUP is the answer of a fast zero, and ESHUTDOWN
 * the end of a request that waited: no errors.
 */
static void
tell_failure (int err, struct request *req)
{
  char text[200];

  if (req->why && log_wanted ())
    log_error ("medium", req->why, req, err);
  if (err == ENOTSUP || err == ESHUTDOWN || req->logged)
    return;
  snprintf (text, sizeof text, "%s of %lu bytes at offset %llu: %s%s%s%s",
            req->op == OP_EXTENTS ? "block status" : op_names[req->op],
            (unsigned long) req->count, (unsigned long long) req->offset,
            strerror (err), req->why ? " (" : "", req->why ? req->why : "",
            req->why ? ")" : "");
  if (was_asked_for (err, req))
    nbdkit_debug ("%s", text);
  else
    nbdkit_error ("%s", text);
}

/* Report an errno code to nbdkit. */
static int
result (int err, struct request *req)
{
  if (!err)
    return 0;
  tell_failure (err, req);
  nbdkit_set_error (err);
  return -1;
}

/* Send a request on its way through hooks and faults. */
static int
route (struct request *req)
{
  int err = hooks_wants (req->op) && !req->conn->state ? hooks_request (req)
    : faults_pass (req);

  if (!err && req->op == OP_EXTENTS && !req->answered)
    nbdkit_add_extent (req->extents, req->offset, req->count, 0);
  return err;
}

/* Send a request on its way to a disk with a volatile cache, which must know when it
 * comes in and how it ends.
 */
static int
route_cached (struct request *req)
{
  struct visit visit;
  const int err = disk_enter (req, &visit);

  return err ? err : disk_leave (req, route (req));
}

/* The same for any disk, where requests are counted, except those to crash states. */
static int
submit_carefully (struct request *req)
{
  const bool counted = stats_counting && !req->conn->state;
  uint64_t start = 0;
  int err, r;

  if (counted) {
    start = sys_now ();
    number (req);
    stats_begin (req);
  }
  else
    stats_idle ();
  err = req->conn->cuts ? route_cached (req) : route (req);
  if (counted) {
    start = sys_now () - start;
    stats_end (req, err, start);
  }
  r = result (err, req);
  if (req->told)
    log_result (req, err, start);
  return r;
}

/* Send a request on its way, and report how that went. */
__attribute__ ((always_inline)) static inline int
submit (struct request *req)
{
  return careful ? submit_carefully (req) : result (route (req), req);
}

/* The same, apart from where a request need not travel: then it is not made. */
__attribute__ ((noinline)) static int
dispatch (const struct connection *c, enum op op, void *buf, uint32_t count,
          uint64_t offset, uint32_t flags)
{
  return submit (&(struct request) {
    .op = op, .conn = c, .buf = buf, .count = count, .offset = offset,
    .flags = flags });
}

/* For requests that need not travel, and failed.  Apart, so that those that did
 * not fail do not pay for it.
 */
__attribute__ ((noinline)) static int
report (int err, enum op op, uint32_t count, uint64_t offset)
{
  struct request req = { .op = op, .count = count, .offset = offset };

  return result (err, &req);
}

/* A read that a power cut overtakes has failed, because it may have seen what the cut
 * left.
 */
__attribute__ ((noinline)) static int
read_busy (const struct connection *c, void *buf, uint32_t count, uint64_t offset,
           uint32_t flags)
{
  const uint64_t cuts = c->cuts ? *c->cuts : 0;

  if (wrapped (c, OP_READ, c->readable))
    return dispatch (c, OP_READ, buf, count, offset, flags);
  store_read (c->readable, buf, count, offset);
  if (!c->cuts)
    return 0;
  atomic_thread_fence (memory_order_acquire);
  return *c->cuts == cuts ? 0 : report (ESHUTDOWN, OP_READ, count, offset);
}

static int
memory_pread (void *handle, void *buf, uint32_t count, uint64_t offset,
              uint32_t flags)
{
  const struct connection *c = handle;

  if (busy)
    return read_busy (c, buf, count, offset, flags);
  store_read (c->store, buf, count, offset);
  return 0;
}

static int
memory_pwrite (void *handle, const void *buf, uint32_t count, uint64_t offset,
               uint32_t flags)
{
  const struct connection *c = handle;
  int err;

  if (wrapped (c, OP_WRITE, c->store))
    return dispatch (c, OP_WRITE, (void *) buf, count, offset, flags);
  err = store_write (c->store, buf, count, offset);
  return err ? report (err, OP_WRITE, count, offset) : 0;
}

static int
memory_flush (void *handle, uint32_t flags)
{
  const struct connection *c = handle;

  if (wrapped (c, OP_FLUSH, c->store))
    return dispatch (c, OP_FLUSH, NULL, 0, 0, flags);
  return 0;
}

/* A trimmed range reads as zeroes. */
static int
memory_trim (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  const struct connection *c = handle;
  int err;

  if (wrapped (c, OP_TRIM, c->store))
    return dispatch (c, OP_TRIM, NULL, count, offset, flags);
  err = disk_trim (c->disk, count, offset);
  return err ? report (err, OP_TRIM, count, offset) : 0;
}

static int
memory_zero (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  const struct connection *c = handle;
  int err;

  if (wrapped (c, OP_ZERO, c->store))
    return dispatch (c, OP_ZERO, NULL, count, offset, flags);
  err = store_zero (c->store, count, offset);
  return err ? report (err, OP_ZERO, count, offset) : 0;
}

static int
memory_cache (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  const struct connection *c = handle;

  if (wrapped (c, OP_CACHE, c->readable))
    return dispatch (c, OP_CACHE, NULL, count, offset, flags);
  return 0;
}

static int
memory_extents (void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                struct nbdkit_extents *extents)
{
  return submit (&(struct request) {
    .op = OP_EXTENTS, .conn = handle, .count = count, .offset = offset,
    .flags = flags, .extents = extents });
}

static struct nbdkit_plugin plugin = {
  .name              = "memory",
  .version           = VERSION,
  .longname          = "nbdkit memory plugin, programmable in Lua",
  .description       = "RAM disk, or any disk you fear",
  .magic_config_key  = "size",
  .load              = memory_load,
  .config            = config_set,
  .config_complete   = memory_config_complete,
  .config_help       = config_help,
  .dump_plugin       = memory_dump_plugin,
  .thread_model      = memory_thread_model,
  .get_ready         = memory_get_ready,
  .after_fork        = memory_after_fork,
  .unload            = memory_unload,
  .list_exports      = memory_list_exports,
  .default_export    = memory_default_export,
  .open              = memory_open,
  .close             = memory_close,
  .export_description = memory_export_description,
  .get_size          = memory_get_size,
  .block_size        = memory_block_size,
  .can_multi_conn    = memory_yes,
  .can_fast_zero     = memory_yes,
  .can_fua           = memory_can_fua,
  .can_cache         = memory_can_cache,
  .pread             = memory_pread,
  .pwrite            = memory_pwrite,
  .flush             = memory_flush,
  .trim              = memory_trim,
  .zero              = memory_zero,
  .cache             = memory_cache,
  .extents           = memory_extents,
  .errno_is_preserved = 0,
};

NBDKIT_REGISTER_PLUGIN (plugin)
