/* store-tools.h - what the tests of the store, rule by rule, share: shorthands for
 * a tiny store that abort where they fail.
 */

#ifndef STORE_TOOLS_H
#define STORE_TOOLS_H

#include "tap.h"
#include "tiny-store.h"

#define PAGE ((uint64_t) STORE_PAGE)

static inline struct store *
new_store (uint64_t size)
{
  struct store *s;

  if (store_create (size, &s) != 0)
    abort ();
  return s;
}

static inline struct store *
clone_of (struct store *from)
{
  struct store *s;

  if (store_clone (from, &s) != 0)
    abort ();
  return s;
}

/* Write COUNT times the byte C. */
static inline void
put (struct store *s, uint64_t offset, uint64_t count, int c)
{
  char *buf = malloc (count + 1);

  memset (buf, c, count);
  if (store_write (s, buf, count, offset) != 0)
    abort ();
  free (buf);
}

/* Does the range hold nothing but the byte C, and does reading it stop at its end? */
static inline bool
holds (struct store *s, uint64_t offset, uint64_t count, int c)
{
  char *buf = malloc (count + 1);
  bool same = true;

  memset (buf, 0xee, count + 1);
  store_read (s, buf, count, offset);
  for (uint64_t i = 0; i < count; i++)
    same = same && buf[i] == (char) c;
  same = same && buf[count] == (char) 0xee;
  free (buf);
  return same;
}

/* The map of a range as text: "d" or "h" and the length of each extent. */
static inline const char *
map (struct store *s, uint64_t offset, uint64_t count)
{
  static char text[1024];
  size_t used = 0;
  uint64_t n;
  bool data;

  text[0] = '\0';
  for (; count > 0; offset += n, count -= n) {
    n = store_extent (s, count, offset, &data);
    if (n == 0 || n > count || used > sizeof text - 32)
      return "an extent of no length or past the end";
    used += (size_t) snprintf (text + used, sizeof text - used, "%s%c%llu",
                               used ? " " : "", data ? 'd' : 'h',
                               (unsigned long long) n);
  }
  return text;
}

static inline void
is_map (struct store *s, uint64_t offset, uint64_t count,
        const char *expected, const char *name)
{
  const char *got = map (s, offset, count);

  if (!ok (strcmp (got, expected) == 0, "%s", name))
    printf ("# got %s, expected %s\n", got, expected);
}

#endif /* STORE_TOOLS_H */
