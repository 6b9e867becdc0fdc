/* Arrays that grow. */

#include <string.h>

#include "tap.h"

/* Memory that can run out, and how often it was asked for. */
static bool no_memory;
static unsigned allocations;

static void *
test_realloc (void *p, size_t size)
{
  allocations++;
  return no_memory ? NULL : realloc (p, size);
}

#define realloc test_realloc
#include "lib/array.c"
#undef realloc

/* Items that would show it if they were moved in part only. */
struct item {
  uint64_t n;
  char text[5];
};

static void
test_items (void)
{
  struct item *items = NULL;
  size_t room = 0;
  bool grown = true, whole = true;

  allocations = 0;
  for (size_t n = 0; n < 100000 && grown; n++) {
    grown = array_grow (&items, n, &room, sizeof *items) && room > n;
    if (grown)
      items[n] = (struct item) { n, "item" };
  }
  ok (grown, "an array grows, item by item");
  for (size_t n = 0; n < 100000 && grown; n++)
    whole = whole && items[n].n == n && strcmp (items[n].text, "item") == 0;
  ok (whole, "its items move with it");
  ok (allocations <= 14, "it seldom moves: %u times", allocations);
  free (items);
}

static void
test_jump (void)
{
  char *bytes = NULL;
  size_t room = 0, before;

  ok (array_grow (&bytes, 0, &room, 1) && room >= 256, "many bytes at once");
  before = room;
  ok (array_grow (&bytes, before - 1, &room, 1) && room == before,
      "it does not move while there is room");
  ok (array_grow (&bytes, before, &room, 1) && room == before * 2,
      "it doubles");
  ok (array_grow (&bytes, 100000, &room, 1) && room > 100000
      && room <= 200000, "as often as it must");
  memset (bytes, 'x', room);
  free (bytes);
}

static void
test_no_memory (void)
{
  uint64_t *numbers = NULL, *old;
  size_t room = 0, before;

  no_memory = true;
  ok (!array_grow (&numbers, 0, &room, sizeof *numbers) && !numbers
      && room == 0, "no memory for the first item");
  no_memory = false;
  ok (array_grow (&numbers, 0, &room, sizeof *numbers), "then there is some");
  numbers[0] = 42;
  old = numbers;
  before = room;
  no_memory = true;
  ok (!array_grow (&numbers, room, &room, sizeof *numbers) && numbers == old
      && room == before && numbers[0] == 42,
      "no memory for more: nothing has changed");
  no_memory = false;
  ok (!array_grow (&numbers, SIZE_MAX / 2 + 1, &room, sizeof *numbers)
      && !array_grow (&numbers, SIZE_MAX / 4, &room, sizeof *numbers)
      && numbers == old && room == before,
      "more than there can be: nothing has changed");
  free (numbers);
}

int
main (void)
{
  test_items ();
  test_jump ();
  test_no_memory ();
  return done_testing ();
}
