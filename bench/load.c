/* load.c - start a plugin without nbdkit; numbers, times, memory. */

#include "bench.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FILL_BLOCK 65536

void
die (const char *what, const char *why)
{
  fprintf (stderr, "bench: %s: %s\n", what, why);
  exit (EXIT_FAILURE);
}

double
now (void)
{
  struct timespec t;

  clock_gettime (CLOCK_MONOTONIC, &t);
  return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

/* Marsaglia's xorshift64: a few cycles a number. */
uint64_t
next_random (uint64_t *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

void
fill_random (char *buf, size_t count, uint64_t seed)
{
  for (size_t i = 0; i < count; i += sizeof seed) {
    next_random (&seed);
    memcpy (buf + i, &seed, sizeof seed);
  }
}

double
memory_status (const char *name)
{
  FILE *f = fopen ("/proc/self/status", "r");
  char line[256];
  double kib = 0;

  while (f && fgets (line, sizeof line, f))
    if (strncmp (line, name, strlen (name)) == 0)
      kib = strtod (line + strlen (name), NULL);
  if (f)
    fclose (f);
  return kib * 1024;
}

struct nbdkit_plugin *
load_plugin (const char *path)
{
  struct nbdkit_plugin *(*init) (void);
  void *dl = dlopen (path, RTLD_LAZY | RTLD_LOCAL), *symbol;

  if (!dl)
    die (path, dlerror ());
  symbol = dlsym (dl, "plugin_init");
  if (!symbol)
    die (path, "not an nbdkit plugin");
  /* ISO C has no cast from object to function pointers. */
  memcpy (&init, &symbol, sizeof init);
  return init ();
}

/* The copy lives on: plugins may keep pointers into their parameters. */
static void
configure (const struct nbdkit_plugin *p, const char *parameter)
{
  char *key = strdup (parameter), *value = key ? strchr (key, '=') : NULL;

  if (!value)
    die (parameter, "expected KEY=VALUE");
  *value++ = '\0';
  if (!p->config || p->config (key, value) == -1)
    die (parameter, "the plugin refuses it");
}

void
start_plugin (const struct nbdkit_plugin *p, const char *size,
              char **parameters)
{
  int (*const steps[]) (void) = { p->config_complete, p->get_ready,
                                  p->after_fork };
  char text[64];

  if (p->_api_version != NBDKIT_API_VERSION || !p->pread || !p->pwrite)
    die (p->name, "needs API version 2, pread and pwrite");
  if (p->load)
    p->load ();
  snprintf (text, sizeof text, "size=%s", size);
  configure (p, text);
  for (char **arg = parameters; *arg && strcmp (*arg, "--") != 0; arg++)
    configure (p, *arg);
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
    if (steps[i] && steps[i] () == -1)
      die (p->name, "does not start");
}

uint64_t
fill_requests (uint64_t size)
{
  return (size + FILL_BLOCK - 1) / FILL_BLOCK;
}

/* Random bytes, and other ones in each block, so that none is a hole and
 * compression has nothing to gain.  Flushed one by one: a cache would hold the
 * whole disk a second time.
 */
void
fill_disk (const struct nbdkit_plugin *p, void *handle, uint64_t size)
{
  static char buf[FILL_BLOCK];

  fill_random (buf, sizeof buf, 1);
  for (uint64_t offset = 0; offset < size; offset += sizeof buf) {
    const uint64_t left = size - offset;

    memcpy (buf, &offset, sizeof offset);
    if (p->pwrite (handle, buf,
                   (uint32_t) (left < sizeof buf ? left : sizeof buf),
                   offset, 0) == -1
        || (p->flush && p->flush (handle, 0) == -1))
      die (p->name, "cannot fill the disk");
  }
}
