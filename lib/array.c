/* array.c - arrays that grow. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"

/* The first room: at least so many bytes, and so many items. */
#define FIRST_BYTES 256
#define FIRST_ITEMS 16

static size_t
first_room (size_t size)
{
  const size_t items = FIRST_BYTES / size;

  return items > FIRST_ITEMS ? items : FIRST_ITEMS;
}

bool
array_grow (void *array, size_t n, size_t *room, size_t size)
{
  size_t more = *room ? *room : first_room (size);
  void *old, *moved;

  if (n < *room)
    return true;
  if (n > SIZE_MAX / 2 / size)
    return false;               /* the size in bytes could overflow */
  while (more <= n)
    more *= 2;
  /* ARRAY may point to a pointer of any type, so it is not a void **. */
  memcpy (&old, array, sizeof old);
  moved = realloc (old, more * size);
  if (!moved)
    return false;
  memcpy (array, &moved, sizeof moved);
  *room = more;
  return true;
}
