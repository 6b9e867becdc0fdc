/* host.c - the functions that nbdkit offers to its plugins.
 *
 * Just those that the measured plugins call while they are set up or serve
 * requests; others are looked up lazily, so a plugin that has but does not
 * call them still loads.  None of them is on the path that is timed, except
 * where a request fails.
 */

#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/*--------------------------------------------------------------------*/
/* Messages. */

/* The header marks these as taking a format only for nbdkit itself. */
#define FORMAT(fmt, first) __attribute__ ((format (printf, fmt, first)))

FORMAT (1, 0) void
nbdkit_verror (const char *msg, va_list args)
{
  fputs ("bench: plugin: ", stderr);
  vfprintf (stderr, msg, args);
  putc ('\n', stderr);
}

FORMAT (1, 2) void
nbdkit_error (const char *msg, ...)
{
  va_list args;

  va_start (args, msg);
  nbdkit_verror (msg, args);
  va_end (args);
}

void
nbdkit_vdebug (const char *msg, va_list args)
{
  (void) msg;
  (void) args;
}

void
nbdkit_debug (const char *msg, ...)
{
  (void) msg;
}

void
nbdkit_set_error (int err)
{
  errno = err;
}

/*--------------------------------------------------------------------*/
/* Words and numbers. */

int64_t
nbdkit_parse_size (const char *str)
{
  static const char units[] = "bkmgtpe";
  char *end;
  unsigned long long n = strtoull (str, &end, 10);
  const char *unit = *end ? strchr (units, *end | ('a' - 'A')) : units;
  int shift = unit ? (int) (unit - units) * 10 : 0;

  if (end == str || !unit || (*end && end[1])
      || n > (unsigned long long) INT64_MAX >> shift) {
    nbdkit_error ("%s: not a size", str);
    return -1;
  }
  return (int64_t) (n << shift);
}

int
nbdkit_parse_bool (const char *str)
{
  static const char *const words[2][5] = {
    { "0", "false", "no", "off", "f" }, { "1", "true", "yes", "on", "t" },
  };

  for (int value = 0; value < 2; value++)
    for (size_t i = 0; i < 5; i++)
      if (strcasecmp (str, words[value][i]) == 0)
        return value;
  nbdkit_error ("%s: not a boolean", str);
  return -1;
}

/* Programs are started from where their relative paths are right. */
char *
nbdkit_absolute_path (const char *path)
{
  return strdup (path);
}

char *
nbdkit_realpath (const char *path)
{
  return realpath (path, NULL);
}

/*--------------------------------------------------------------------*/
/* The connection. */

const char *host_export_name = "";

const char *
nbdkit_export_name (void)
{
  return host_export_name;
}

int
nbdkit_is_tls (void)
{
  return 0;
}

void
nbdkit_shutdown (void)
{
  exit (EXIT_FAILURE);
}

int
nbdkit_nanosleep (unsigned sec, unsigned nsec)
{
  struct timespec t = { (time_t) sec, (long) nsec };

  return nanosleep (&t, NULL);
}

/* Lists of extents and exports are not measured: they go nowhere. */
int
nbdkit_add_extent (struct nbdkit_extents *extents, uint64_t offset,
                   uint64_t length, uint32_t type)
{
  (void) extents;
  (void) offset;
  (void) length;
  (void) type;
  return 0;
}

int
nbdkit_add_export (struct nbdkit_exports *exports, const char *name,
                   const char *description)
{
  (void) exports;
  (void) name;
  (void) description;
  return 0;
}

/* The stock plugins' common code refers to these; nothing to free here. */
void nbdkit_extents_free (struct nbdkit_extents *extents);
void nbdkit_exports_free (struct nbdkit_exports *exports);

void
nbdkit_extents_free (struct nbdkit_extents *extents)
{
  (void) extents;
}

void
nbdkit_exports_free (struct nbdkit_exports *exports)
{
  (void) exports;
}
