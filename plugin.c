/* plugin.c - nbdkit's callbacks and parameters.
 *
 * A request travels from here to the hooks, if a script has one for it, and
 * to the store.  Without a script the path is one pointer test.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "hooks.h"
#include "store.h"
#include "text.h"

/* memory_thread_model chooses among this and what is stricter. */
#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* -D memory.stats=1: say at the end what the disk held. */
NBDKIT_DLL_PUBLIC int memory_debug_stats;

enum allocator { SPARSE, MALLOC, MALLOC_LOCKED };

struct script {
  char *name, *code;            /* code: NULL means the file called name */
};

static struct {
  bool has_size;
  uint64_t size;
  enum allocator allocator;
  struct script *scripts;
  size_t nr_scripts;
} config;

static struct store *disk;
static struct hooks *hooks;     /* NULL without a script */

/*--------------------------------------------------------------------*/
/* Parameters. */

static int
config_size (const char *value)
{
  if (!text_size (value, &config.size)) {
    nbdkit_error ("size=%s: expected a number of bytes up to 2^63-1, such as "
                  "512, 64K, 1M or 10G", value);
    return -1;
  }
  config.has_size = true;
  return 0;
}

static int
config_allocator (const char *value)
{
  static const struct { const char *value; enum allocator allocator; } all[] = {
    { "sparse", SPARSE },
    { "malloc", MALLOC },
    { "malloc,mlock=false", MALLOC },
    { "malloc,mlock=true", MALLOC_LOCKED },
  };

  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    if (strcmp (value, all[i].value) == 0) {
      config.allocator = all[i].allocator;
      return 0;
    }
  }
  if (strncmp (value, "zstd", 4) == 0)
    nbdkit_error ("allocator=%s: compressed memory is not supported; leave "
                  "the parameter out, or use allocator=sparse", value);
  else
    nbdkit_error ("allocator=%s: expected sparse, malloc or "
                  "malloc,mlock=true", value);
  return -1;
}

/* Scripts run in config_complete, when all parameters are known. */
static int
add_script (const char *name, const char *code)
{
  struct script *more = realloc (config.scripts, (config.nr_scripts + 1)
                                 * sizeof *more);
  struct script s = { strdup (name), code ? strdup (code) : NULL };

  if (more)
    config.scripts = more;
  if (!more || !s.name || (code && !s.code)) {
    nbdkit_error ("out of memory");
    free (s.name);
    free (s.code);
    return -1;
  }
  config.scripts[config.nr_scripts++] = s;
  return 0;
}

static int
config_hooks (const char *value)
{
  if (access (value, R_OK) == -1) {
    nbdkit_error ("hooks=%s: %s", value, strerror (errno));
    return -1;
  }
  return add_script (value, NULL);
}

static int
config_lua (const char *value)
{
  return add_script ("=lua", value);
}

static const struct parameter {
  const char *name;
  int (*set) (const char *value);
} parameters[] = {
  { "size", config_size },
  { "allocator", config_allocator },
  { "hooks", config_hooks },
  { "lua", config_lua },
};

#define NR_PARAMETERS (sizeof parameters / sizeof parameters[0])

#define memory_config_help \
  "[size=]SIZE              (required) Virtual size, 0 to 2^63-1 bytes.\n" \
  "hooks=FILE               Run this Lua script; may be repeated.\n" \
  "lua=CODE                 The same, with the script on the command line.\n" \
  "allocator=sparse|malloc[,mlock=true]\n" \
  "                         malloc: allocate (and lock) all memory at start."

static int
memory_config (const char *key, const char *value)
{
  const char *names[NR_PARAMETERS + 1] = { NULL }, *nearest;

  for (size_t i = 0; i < NR_PARAMETERS; i++) {
    if (strcmp (key, parameters[i].name) == 0)
      return parameters[i].set (value);
    names[i] = parameters[i].name;
  }
  nearest = text_nearest (key, names);
  nbdkit_error ("%s=%s: unknown parameter%s%s%s; see nbdkit --help", key,
                value, nearest ? " (did you mean " : "",
                nearest ? nearest : "", nearest ? "?)" : "");
  return -1;
}

static int
memory_config_complete (void)
{
  if (!config.has_size) {
    nbdkit_error ("the size parameter is missing: say size=SIZE, such as "
                  "size=1G");
    return -1;
  }
  if (store_create (config.size, &disk) != 0) {
    nbdkit_error ("size: out of memory");
    return -1;
  }

  if (config.nr_scripts == 0)
    return 0;
  hooks = hooks_create (disk);
  if (!hooks) {
    nbdkit_error ("hooks: out of memory");
    return -1;
  }
  for (size_t i = 0; i < config.nr_scripts; i++)
    if (hooks_run (hooks, config.scripts[i].name, config.scripts[i].code) == -1)
      return -1;
  return 0;
}

/* Requests that never sleep are served fastest by one thread a connection,
 * which hands nothing over.  But a hook that sleeps must not hold up the
 * other requests of its connection.
 */
static int
memory_thread_model (void)
{
  return hooks ? NBDKIT_THREAD_MODEL_PARALLEL
               : NBDKIT_THREAD_MODEL_SERIALIZE_REQUESTS;
}

/* Locks taken by mlock do not survive fork, so this must come after it. */
static int
memory_after_fork (void)
{
  int err = 0;

  if (config.allocator != SPARSE)
    err = store_reserve (disk, config.allocator == MALLOC_LOCKED);
  if (err) {
    nbdkit_error ("allocator=malloc: can't allocate%s the whole disk: %s%s",
                  config.allocator == MALLOC_LOCKED ? " and lock" : "",
                  strerror (err),
                  config.allocator == MALLOC_LOCKED
                  ? "; raise the limit with ulimit -l" : "");
    return -1;
  }
  return 0;
}

static void
memory_dump_plugin (void)
{
  printf ("memory_hooks=%s\n", "lua5.4");
  printf ("mlock=yes\n");
  printf ("zstd=no\n");
}

static void
memory_unload (void)
{
  if (memory_debug_stats && disk)
    nbdkit_debug ("memory: %llu bytes allocated of %llu",
                  (unsigned long long) store_allocated (disk),
                  (unsigned long long) store_size (disk));
  hooks_free (hooks);
  store_free (disk);
  for (size_t i = 0; i < config.nr_scripts; i++) {
    free (config.scripts[i].name);
    free (config.scripts[i].code);
  }
  free (config.scripts);
}

/*--------------------------------------------------------------------*/
/* Connections. */

static void *
memory_open (int readonly)
{
  (void) readonly;
  return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t
memory_get_size (void *handle)
{
  (void) handle;
  return (int64_t) store_size (disk);
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

/* Report an errno code to nbdkit. */
static int
result (int err, const char *what)
{
  if (!err)
    return 0;
  nbdkit_error ("%s: %s", what, strerror (err));
  nbdkit_set_error (err);
  return -1;
}

static int
perform (struct request *req)
{
  if (req->op == OP_WRITE)
    return store_write (req->disk, req->buf, req->count, req->offset);
  store_read (req->disk, req->buf, req->count, req->offset);
  return 0;
}

static int
memory_pread (void *handle, void *buf, uint32_t count, uint64_t offset,
              uint32_t flags)
{
  (void) handle;
  (void) flags;
  if (hooks && hooks_wants (hooks, OP_READ)) {
    struct request req = { .op = OP_READ, .buf = buf, .count = count,
                           .offset = offset, .disk = disk };
    return result (hooks_request (hooks, &req, perform), "read");
  }
  store_read (disk, buf, count, offset);
  return 0;
}

/* What is written is in memory at once, so FUA asks for nothing more. */
static int
memory_pwrite (void *handle, const void *buf, uint32_t count, uint64_t offset,
               uint32_t flags)
{
  (void) handle;
  if (hooks && hooks_wants (hooks, OP_WRITE)) {
    struct request req = { .op = OP_WRITE, .buf = (void *) buf,
                           .count = count, .offset = offset, .disk = disk,
                           .fua = flags & NBDKIT_FLAG_FUA };
    return result (hooks_request (hooks, &req, perform), "write");
  }
  return result (store_write (disk, buf, count, offset), "write");
}

static int
memory_flush (void *handle, uint32_t flags)
{
  (void) handle;
  (void) flags;
  return 0;
}

/* Also for trim: what was trimmed reads as zeroes. */
static int
memory_zero (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  (void) handle;
  (void) flags;
  return result (store_zero (disk, count, offset), "zero");
}

static int
memory_cache (void *handle, uint32_t count, uint64_t offset, uint32_t flags)
{
  (void) handle;
  (void) count;
  (void) offset;
  (void) flags;
  return 0;
}

/* No extent may reach past the request: nbdkit before 1.42.3 aborts when a
 * client asks for nearly 4 GiB and gets more (CVE-2025-47711).
 */
static int
memory_extents (void *handle, uint32_t count, uint64_t offset, uint32_t flags,
                struct nbdkit_extents *extents)
{
  uint64_t end = offset + count, n;
  bool data;

  (void) handle;
  for (; offset < end; offset += n) {
    n = store_extent (disk, end - offset, offset, &data);
    if (nbdkit_add_extent (extents, offset, n,
                           data ? 0 : NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO))
      return -1;
    if (flags & NBDKIT_FLAG_REQ_ONE)
      break;
  }
  return 0;
}

static struct nbdkit_plugin plugin = {
  .name              = "memory",
  .version           = VERSION,
  .longname          = "nbdkit memory plugin, programmable in Lua",
  .description       = "RAM disk, or any disk you fear",
  .magic_config_key  = "size",
  .config            = memory_config,
  .config_complete   = memory_config_complete,
  .config_help       = memory_config_help,
  .dump_plugin       = memory_dump_plugin,
  .thread_model      = memory_thread_model,
  .after_fork        = memory_after_fork,
  .unload            = memory_unload,
  .open              = memory_open,
  .get_size          = memory_get_size,
  .block_size        = memory_block_size,
  .can_multi_conn    = memory_yes,
  .can_fast_zero     = memory_yes,
  .can_fua           = memory_can_fua,
  .can_cache         = memory_can_cache,
  .pread             = memory_pread,
  .pwrite            = memory_pwrite,
  .flush             = memory_flush,
  .trim              = memory_zero,
  .zero              = memory_zero,
  .cache             = memory_cache,
  .extents           = memory_extents,
  .errno_is_preserved = 0,
};

NBDKIT_REGISTER_PLUGIN (plugin)
