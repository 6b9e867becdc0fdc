/* config.c - what the command line says: one row for each parameter. */

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/stat.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "config.h"
#include "lib/array.h"
#include "lib/sys.h"
#include "lib/text.h"

struct config config = {
  .hooks.timeout = SECOND,
  .hooks.memory = UINT64_C (256) << 20,
};

/*--------------------------------------------------------------------*/
/* Values. */

static int
config_size (const char *value)
{
  if (!text_size (value, &config.size)) {
    nbdkit_error ("size=%.40s: expected a number of bytes up to 2^63-1, such as "
                  "512, 64K, 1M or 10G", value);
    return -1;
  }
  config.has_size = true;
  return 0;
}

/* "malloc", or "malloc,mlock" with or without a truth value, as nbdkit has it. */
static bool
parse_malloc (const char *value)
{
  bool lock = false;

  if (strncmp (value, "malloc", 6) != 0)
    return false;
  value += 6;
  if (strcmp (value, ",mlock") == 0)
    lock = true;
  else if (strncmp (value, ",mlock=", 7) == 0) {
    if (!text_bool (value + 7, &lock))
      return false;
  }
  else if (*value)
    return false;
  config.allocator = lock ? MALLOC_LOCKED : MALLOC;
  return true;
}

static int
config_allocator (const char *value)
{
  if (strcmp (value, "sparse") == 0 || parse_malloc (value))
    return 0;
  if (strncmp (value, "zstd", 4) == 0)
    nbdkit_error ("allocator=%.40s: compressed memory is not supported; leave "
                  "the parameter out, or use allocator=sparse", value);
  else
    nbdkit_error ("allocator=%.40s: expected sparse, malloc or "
                  "malloc,mlock=true", value);
  return -1;
}

static int
config_cache (const char *value)
{
  config.volatile_cache = strcmp (value, "volatile") == 0;
  if (config.volatile_cache || strcmp (value, "none") == 0)
    return 0;
  nbdkit_error ("write-cache=%.40s: expected none (what is written is kept) or volatile "
                "(until flush or FUA, a power cut may lose it)", value);
  return -1;
}

static int
config_sector (const char *value)
{
  uint64_t bytes;

  if (text_size (value, &bytes) && (bytes == 512 || bytes == 4096)) {
    config.cache.sector = (uint32_t) bytes;
    return 0;
  }
  nbdkit_error ("sector=%.40s: expected 512 or 4096, the bytes that a power cut keeps "
                "or loses as a whole", value);
  return -1;
}

static int
config_atomic (const char *value)
{
  if (text_size (value, &config.cache.atomic) && config.cache.atomic > 0
      && (config.cache.atomic & (config.cache.atomic - 1)) == 0)
    return 0;
  nbdkit_error ("atomic=%.40s: expected a power of two, such as 4096, in bytes: "
                "requests up to that size survive a power cut as a whole or not",
                value);
  return -1;
}

static int
config_history (const char *value)
{
  if (text_size (value, &config.cache.history) && config.cache.history > 0)
    return 0;
  nbdkit_error ("history=%.40s: expected a number of bytes, such as 1G, up to which "
                "requests are remembered", value);
  return -1;
}

/* Scripts run in config_complete, when all parameters are known. */
static int
add_script (const char *name, const char *code)
{
  struct script s = { strdup (name), code ? strdup (code) : NULL };

  if (!s.name || (code && !s.code)
      || !array_grow (&config.scripts, config.nr_scripts, &config.room_scripts,
                      sizeof s)) {
    nbdkit_error ("out of memory");
    free (s.name);
    free (s.code);
    return -1;
  }
  config.scripts[config.nr_scripts++] = s;
  return 0;
}

/* Is it a name such as dm-flakey, which may be that of a ready-made script? */
static bool
is_bare (const char *value)
{
  struct stat st;

  return *value && !strpbrk (value, "/.")
    && (stat (value, &st) == -1 || S_ISDIR (st.st_mode));
}

/* Where the ready-made scripts may be: beside the plugin, as in the source tree, and
 * where "make install" puts them below any PREFIX.
 */
struct places { char name[2][PATH_MAX]; };

static struct places
find_scripts (void)
{
  static const char *const there[2] = {
    "scripts", "../../share/nbdkit-memory-plugin/scripts",
  };
  const char *plugin = "./memory.so", *slash;
  struct places p;
  Dl_info info;

  if (dladdr (&config, &info) != 0 && info.dli_fname
      && strchr (info.dli_fname, '/'))
    plugin = info.dli_fname;
  slash = strrchr (plugin, '/');
  for (size_t i = 0; i < 2; i++)
    snprintf (p.name[i], PATH_MAX, "%.*s/%s", (int) (slash - plugin), plugin,
              there[i]);
  return p;
}

/* Where a ready-made script is, in FILE.  False: it is nowhere. */
static bool
find_ready_made (const char *value, char file[PATH_MAX])
{
  const struct places p = find_scripts ();

  for (size_t i = 0; i < 2; i++) {
    const int n = snprintf (file, PATH_MAX, "%s/%s.lua", p.name[i], value);

    if (n < PATH_MAX && access (file, R_OK) == 0)
      return true;
  }
  return false;
}

/* Is NAME nearer to VALUE than OTHER?  Of two that are as near it is the first in the
 * alphabet, because files come in no order.
 */
static bool
is_nearer (const char *value, const char *name, const char *other)
{
  const bool first = strcmp (name, other) < 0 || !*other;
  const char *const both[] = { first ? name : other, first ? other : name, NULL };

  return text_nearest (value, both) == name;
}

/* Find the ready-made script in directory PLACE whose name is nearest to VALUE, if one
 * is near.  NEAREST is that of another place, or "".
 */
static void
find_nearest (const char *place, const char *value, char nearest[NAME_MAX + 1])
{
  DIR *dir = opendir (place);
  const struct dirent *entry;
  char name[NAME_MAX + 1];

  while (dir && (entry = readdir (dir))) {
    const size_t len = strlen (entry->d_name);

    if (len <= 4 || strcmp (entry->d_name + len - 4, ".lua") != 0)
      continue;
    snprintf (name, sizeof name, "%.*s", (int) (len - 4), entry->d_name);
    if (is_nearer (value, name, nearest))
      memcpy (nearest, name, sizeof name);
  }
  if (dir)
    closedir (dir);
}

/* Say that there is no such ready-made script. */
static int
no_ready_made (const char *value)
{
  const struct places p = find_scripts ();
  char nearest[NAME_MAX + 1] = "";

  for (size_t i = 0; i < 2; i++)
    find_nearest (p.name[i], value, nearest);
  nbdkit_error ("hooks=%.200s: there is no such file, and no %.200s.lua in %s or in "
                "%s%s%s%s", value, value, p.name[0], p.name[1],
                *nearest ? "; did you mean hooks=" : "", nearest,
                *nearest ? "?" : "");
  return -1;
}

/* A file that can't be read: say why, or how a ready-made script of that name is
 * written.
 */
static int
no_file (const char *value)
{
  const int err = errno;
  const size_t len = strlen (value);
  char name[NAME_MAX + 1], file[PATH_MAX];

  if (err == ENOENT && len > 4 && len < sizeof name && !strchr (value, '/')
      && strcmp (value + len - 4, ".lua") == 0) {
    snprintf (name, sizeof name, "%.*s", (int) (len - 4), value);
    if (find_ready_made (name, file)) {
      nbdkit_error ("hooks=%s: %s; for the ready-made script, write hooks=%s", value,
                    strerror (err), name);
      return -1;
    }
  }
  nbdkit_error ("hooks=%s: %s", value, strerror (err));
  return -1;
}

static int
config_hooks (const char *value)
{
  char file[PATH_MAX];

  if (is_bare (value))
    return find_ready_made (value, file) ? add_script (file, NULL)
                                         : no_ready_made (value);
  return access (value, R_OK) == -1 ? no_file (value) : add_script (value, NULL);
}

/* Errors call the first one lua, the second one lua2, and so on. */
static int
config_lua (const char *value)
{
  static unsigned n;
  char name[24] = "=lua";

  if (++n > 1)
    snprintf (name, sizeof name, "=lua%u", n);
  return add_script (name, value);
}

/* A parameter that scripts see. */
static int
add_param (const char *key, const char *value)
{
  struct param p = { strdup (key), strdup (value) };

  if (!p.key || !p.value
      || !array_grow (&config.hooks.params, config.hooks.nr_params,
                      &config.room_params, sizeof p)) {
    nbdkit_error ("out of memory");
    free (p.key);
    free (p.value);
    return -1;
  }
  config.hooks.params[config.hooks.nr_params++] = p;
  return 0;
}

static int
config_seed (const char *value)
{
  char *end;

  errno = 0;
  config.hooks.seed = strtoull (value, &end, 0);
  if (*value < '0' || *value > '9' || *end || errno) {
    nbdkit_error ("seed=%.40s: expected a whole number from 0 to 2^64-1",
                  value);
    return -1;
  }
  return add_param ("seed", value);     /* scripts see it as one of theirs */
}

/* Without making it absolute, it would be lost when nbdkit goes to /. */
static int
set_path (char **path, const char *name, const char *value)
{
  if (!*value) {
    nbdkit_error ("%s=: expected the name of a file", name);
    return -1;
  }
  free (*path);
  *path = nbdkit_absolute_path (value);
  return *path ? 0 : -1;
}

/* Is this nbdkit's option --run?  It can be shortened to --ru, and have its value
 * after an equals sign.
 */
static bool
is_run (const char *arg)
{
  const size_t n = strcspn (arg, "=");

  return n >= strlen ("--ru") && n <= strlen ("--run")
    && strncmp (arg, "--run", n) == 0;
}

/* Was nbdkit given --run?  It does not tell plugins, so the kernel has to.  Where it
 * does not (there is no /proc), true.
 */
static bool
has_run (void)
{
  FILE *args = fopen ("/proc/self/cmdline", "re");
  char *arg = NULL;
  size_t size = 0;
  bool has = args == NULL;

  while (args && !has && getdelim (&arg, &size, '\0', args) > 0
         && strcmp (arg, "--") != 0)
    has = is_run (arg);
  free (arg);
  if (args)
    fclose (args);
  return has;
}

static int
config_private (void)
{
  const char *directory = getenv ("TMPDIR");

  if (!has_run ()) {
    nbdkit_error ("control=-: only the command of --run could find a private socket; "
                  "name one, such as control=ctl.sock, or use --run");
    return -1;
  }
  config.control_private = true;
  return set_path (&config.control, "TMPDIR",
                   directory && *directory ? directory : "/tmp");
}

static int
config_control (const char *value)
{
  if (strcmp (value, "-") == 0)
    return config_private ();
  return set_path (&config.control, "control", value);
}

static int
config_log (const char *value)
{
  return set_path (&config.log, "log", value);
}

static int
config_replay (const char *value)
{
  return set_path (&config.replay, "replay", value);
}

static int
config_timeout (const char *value)
{
  if (!text_time (value, &config.hooks.timeout) || config.hooks.timeout == 0) {
    nbdkit_error ("hook-timeout=%.40s: expected a time above 0, such as 2, 0.5 or "
                  "100ms",
                  value);
    return -1;
  }
  return 0;
}

static int
config_memory (const char *value)
{
  if (!text_size (value, &config.hooks.memory)) {
    nbdkit_error ("lua-memory=%.40s: expected a number of bytes, such as 64M",
                  value);
    return -1;
  }
  return 0;
}

/*--------------------------------------------------------------------*/
/* The parameters: name, function, may it be repeated, help. */

#define PARAMETERS(ROW) \
  ROW ("size", config_size, false, \
       "[size=]SIZE              (required) Virtual size, 0 to 2^63-1 bytes.") \
  ROW ("hooks", config_hooks, true, \
       "hooks=FILE               Run this Lua script; may be repeated.  A name such\n" \
       "                         as dm-flakey is that of a ready-made script.") \
  ROW ("lua", config_lua, true, \
       "lua=CODE                 The same, with the script on the command line.") \
  ROW ("seed", config_seed, false, \
       "seed=N                   Seed of every random choice (default 0).") \
  ROW ("control", config_control, false, \
       "control=SOCKET           Make a Unix socket for memctl: run-time control; -\n" \
       "                         makes a private one, $control for --run.") \
  ROW ("log", config_log, false, \
       "log=FILE                 Write each fault to a file, as a line of JSON.") \
  ROW ("allocator", config_allocator, false, \
       "allocator=sparse|malloc[,mlock=true]\n" \
       "                         malloc: allocate (and lock) all memory at start.") \
  ROW ("write-cache", config_cache, false, \
       "write-cache=none|volatile\n" \
       "                         volatile: a power cut may lose what is not flushed;\n" \
       "                         exports such as crash/now/none show what it leaves.") \
  ROW ("sector", config_sector, false, \
       "sector=512|4096          What such a power cut keeps or loses as a whole (512).") \
  ROW ("atomic", config_atomic, false, \
       "atomic=SIZE              And requests up to this size that cross no multiple\n" \
       "                         of it.") \
  ROW ("history", config_history, false, \
       "history=SIZE             Remember so many bytes of requests, for power cuts at\n" \
       "                         any past moment, such as crash/before-flush-14/none.") \
  ROW ("replay", config_replay, false, \
       "replay=FILE              Serve a history that disk:save_history has saved: what\n" \
       "                         the disk held at its end, and all crash states.") \
  ROW ("hook-timeout", config_timeout, false, \
       "hook-timeout=SECONDS     How long a hook may run without yielding (1).") \
  ROW ("lua-memory", config_memory, false, \
       "lua-memory=SIZE          How much the scripts may hold (256M).")

#define MEMBERS(name, set, repeat, help) { name, set, repeat },
#define HELP(name, set, repeat, help) help "\n"
#define NAME(name, set, repeat, help) name,

static const struct parameter {
  const char *name;
  int (*set) (const char *value);
  bool repeat;
} parameters[] = { PARAMETERS (MEMBERS) };

#define NR_PARAMETERS (sizeof parameters / sizeof parameters[0])

static const char *const names[] = { PARAMETERS (NAME) NULL };

const char config_help[] = PARAMETERS (HELP)
  "KEY=VALUE                A parameter of the scripts: param.KEY.";

/* The values that were given, for those that may not be repeated. */
static char *given[NR_PARAMETERS];

static int
set_parameter (size_t i, const char *value)
{
  const struct parameter *p = &parameters[i];

  if (given[i]) {
    nbdkit_error ("%s=%.40s: the parameter is given twice, first as %s=%.40s",
                  p->name, value, p->name, given[i]);
    return -1;
  }
  if (!p->repeat && !(given[i] = strdup (value))) {
    nbdkit_error ("out of memory");
    return -1;
  }
  return p->set (value);
}

static bool
is_parameter (const char *key)
{
  for (size_t i = 0; i < NR_PARAMETERS; i++)
    if (strcmp (key, parameters[i].name) == 0)
      return true;
  return false;
}

/* nbdkit gives an argument without a key as the size.  Is it something else?  Then
 * say what.
 */
static bool
is_no_size (const char *value)
{
  const size_t len = strlen (value);
  uint64_t size;

  if (text_size (value, &size))
    return false;
  if (len > 4 && strcmp (value + len - 4, ".lua") == 0)
    nbdkit_error ("%.80s: a script is given as hooks=%.80s", value, value);
  else if (is_parameter (value))
    nbdkit_error ("%s: the parameter has no value; expected %s=VALUE", value, value);
  else if (config.nr_scripts > 0 && config.scripts[config.nr_scripts - 1].code)
    nbdkit_error ("size=%.40s: expected a number of bytes; if this belongs to lua=, "
                  "put all of that in quotes: lua='fault { op = \"read\", error = "
                  "\"EIO\" }'", value);
  else
    return false;
  return true;
}

int
config_set (const char *key, const char *value)
{
  if (strcmp (key, "size") == 0 && is_no_size (value))
    return -1;
  for (size_t i = 0; i < NR_PARAMETERS; i++)
    if (strcmp (key, parameters[i].name) == 0)
      return set_parameter (i, value);
  return add_param (key, value);
}

/*--------------------------------------------------------------------*/

/* Without a script, there is none that could know other parameters. */
static int
refuse_param (const struct param *p)
{
  const char *nearest = text_nearest (p->key, names);

  nbdkit_error ("%s=%.40s: unknown parameter%s%s%s; see nbdkit --help", p->key,
                p->value, nearest ? " (did you mean " : "",
                nearest ? nearest : "", nearest ? "?)" : "");
  return -1;
}

static const char *
given_value (const char *name)
{
  for (size_t i = 0; i < NR_PARAMETERS; i++)
    if (strcmp (name, parameters[i].name) == 0)
      return given[i];
  return NULL;
}

/* Much of what else is a parameter is in a file that is replayed. */
static int
check_replay (void)
{
  const char *cache = given_value ("write-cache");
  const char *no = config.has_size ? "size" : config.cache.history ? "history" : NULL;

  if (no)
    nbdkit_error ("%s: leave it out: with replay= it is that of the file", no);
  else if (cache && !config.volatile_cache)
    nbdkit_error ("write-cache=%s: leave it out: with replay= it is volatile", cache);
  else {
    config.volatile_cache = true;
    return 0;
  }
  return -1;
}

/* Do the parameters of the cache go together? */
static int
check_cache (void)
{
  const char *alone = config.cache.sector ? "sector"
    : config.cache.atomic ? "atomic" : config.cache.history ? "history" : NULL;

  if (!config.volatile_cache && alone) {
    nbdkit_error ("%s: add write-cache=volatile: only such a disk has that", alone);
    return -1;
  }
  config.cache.sector = config.cache.sector ? config.cache.sector : 512;
  if (config.cache.atomic && config.cache.atomic < config.cache.sector) {
    nbdkit_error ("atomic=%llu: expected at least a sector, which has %u bytes",
                  (unsigned long long) config.cache.atomic, (unsigned) config.cache.sector);
    return -1;
  }
  if (config.volatile_cache && config.size % config.cache.sector != 0)
    nbdkit_error ("size=%llu: the last sector is short: it has %llu of %u bytes",
                  (unsigned long long) config.size,
                  (unsigned long long) config.size % config.cache.sector,
                  (unsigned) config.cache.sector);
  return 0;
}

int
config_complete (bool *scripted)
{
  struct hooks_config *h = &config.hooks;

  bool has_seed = false;

  *scripted = config.nr_scripts > 0 || config.control || config.log;
  for (size_t i = 0; i < h->nr_params; i++) {
    const bool is_seed = strcmp (h->params[i].key, "seed") == 0;

    has_seed = has_seed || is_seed;
    if (!*scripted && !is_seed)
      return refuse_param (&h->params[i]);
  }
  if (!config.has_size && !config.replay) {
    nbdkit_error ("the size parameter is missing: say size=SIZE, such as "
                  "size=1G");
    return -1;
  }
  if ((config.replay ? check_replay () : check_cache ()) == -1)
    return -1;
  h->names = names;
  return *scripted && !has_seed ? add_param ("seed", "0") : 0;
}

void
config_free (void)
{
  for (size_t i = 0; i < config.nr_scripts; i++) {
    free (config.scripts[i].name);
    free (config.scripts[i].code);
  }
  free (config.scripts);
  for (size_t i = 0; i < config.hooks.nr_params; i++) {
    free (config.hooks.params[i].key);
    free (config.hooks.params[i].value);
  }
  free (config.hooks.params);
  for (size_t i = 0; i < NR_PARAMETERS; i++)
    free (given[i]);
  free (config.replay);
  free (config.control);
  free (config.log);
}
