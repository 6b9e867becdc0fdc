/* array.c - arrays that grow. */

#include <stdlib.h>
#include <string.h>

#include "lib/array.h"

bool
array_grow (void *array, size_t n, size_t *room, size_t size)
{
  const size_t more = *room ? *room * 2 : 16;
  void *old, *moved;

  if (n < *room)
    return true;
  memcpy (&old, array, sizeof old);
  moved = realloc (old, more * size);
  if (!moved)
    return false;
  memcpy (array, &moved, sizeof moved);
  *room = more;
  return true;
}
