/* blocks.c - blocks of memory of a few sizes. */

#include <stdlib.h>
#include <string.h>

#include "lib/blocks.h"

void *
spare_take (struct spare *s)
{
  void *p = s->first;

  if (!p)
    return NULL;
  memcpy (&s->first, p, sizeof s->first);
  s->n--;
  return p;
}

void
spare_give (struct spare *s, void *p)
{
  if (s->n == SPARE_MAX) {
    free (p);
    return;
  }
  memcpy (p, &s->first, sizeof s->first);
  s->first = p;
  s->n++;
}

void
spare_clear (struct spare *s)
{
  void *p;

  while ((p = spare_take (s)))
    free (p);
}

/* Many blocks, side by side. */
struct lump {
  struct lump *next;
  unsigned char bytes[65536];
};

static void *
lump_take (struct blocks *b, size_t size)
{
  struct lump *more;

  if (b->room < size) {
    more = malloc (sizeof *more);
    if (!more)
      return NULL;
    more->next = b->lumps;
    b->lumps = more;
    b->room = sizeof more->bytes;
  }
  b->room -= size;
  return b->lumps->bytes + b->room;
}

void *
block_new (struct blocks *b, struct spare *spare, size_t size)
{
  void *p;

  if (b->dense)
    return lump_take (b, size);
  p = spare ? spare_take (spare) : NULL;
  return p ? p : malloc (size);
}

void
block_free (struct blocks *b, struct spare *spare, void *p)
{
  if (b->dense)
    return;
  if (spare)
    spare_give (spare, p);
  else
    free (p);
}

void
blocks_clear (struct blocks *b)
{
  for (struct lump *next; b->lumps; b->lumps = next) {
    next = b->lumps->next;
    free (b->lumps);
  }
  b->room = 0;
}
