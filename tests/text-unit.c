/* Sizes and suggestions. */

#include <string.h>

#include "tap.h"
#include "text.c"

static const struct { const char *text; uint64_t size; } sizes[] = {
  { "0", 0 }, { "1", 1 }, { "1b", 1 }, { "3s", 1536 }, { "3S", 1536 },
  { "1k", 1024 }, { "1K", 1024 }, { "2M", 2 << 20 }, { "1g", 1 << 30 },
  { "1T", UINT64_C (1) << 40 }, { "8191P", UINT64_C (8191) << 50 },
  { "7E", UINT64_C (7) << 60 }, { "007", 7 },
  { "9223372036854775807", INT64_MAX },
};

static const char *const wrong[] = {
  "", " 1", "1 ", "-1", "+1", "k", "1kk", "1x", "0x10", "1.5G", "1KB",
  "9223372036854775808", "99999999999999999999", "8E", "8192P",
  "18014398509481984s",
};

static const char *const names[] = { "size", "hooks", "lua", "allocator", NULL };

static bool
nearest_is (const char *word, const char *expected)
{
  const char *got = text_nearest (word, names);

  return expected ? got && strcmp (got, expected) == 0 : got == NULL;
}

int
main (void)
{
  uint64_t size;

  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    ok (text_size (sizes[i].text, &size) && size == sizes[i].size,
        "\"%s\" is a size", sizes[i].text);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    size = 42;
    ok (!text_size (wrong[i], &size) && size == 42, "\"%s\" is none", wrong[i]);
  }
  ok (nearest_is ("siez", "size") && nearest_is ("hook", "hooks")
      && nearest_is ("alocater", "allocator"), "near names are found");
  ok (nearest_is ("frobnicate", NULL) && nearest_is ("", NULL)
      && nearest_is ("a-word-far-longer-than-any-name-of-a-parameter", NULL),
      "far ones are not");
  return done_testing ();
}
