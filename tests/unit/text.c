/* Sizes and suggestions. */

#include <string.h>

#include "tap.h"
#include "lib/text.c"

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

static const struct { const char *text; double p; } probabilities[] = {
  { "0", 0 }, { "1", 1 }, { "0.5", 0.5 }, { ".5", 0.5 }, { "50%", 0.5 },
  { "1e-3", 0.001 }, { "1:4", 0.25 }, { "0:1", 0 }, { "100%", 1 },
};

static const char *const no_probabilities[] = {
  "", "1.1", "-0.5", "101%", "1:", "1:0", "0:0", "2:1", "nan", "inf", "x", "5%%",
  "1:2%", "/", "1 ",
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
  double p;

  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    ok (text_size (sizes[i].text, &size) && size == sizes[i].size,
        "\"%s\" is a size", sizes[i].text);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    size = 42;
    ok (!text_size (wrong[i], &size) && size == 42, "\"%s\" is none", wrong[i]);
  }
  for (size_t i = 0; i < sizeof probabilities / sizeof probabilities[0]; i++)
    ok (text_probability (probabilities[i].text, &p)
        && p == probabilities[i].p, "\"%s\" is a probability",
        probabilities[i].text);
  for (size_t i = 0;
       i < sizeof no_probabilities / sizeof no_probabilities[0]; i++) {
    p = 42;
    ok (!text_probability (no_probabilities[i], &p) && p == 42,
        "\"%s\" is none", no_probabilities[i]);
  }
  ok (nearest_is ("siez", "size") && nearest_is ("hook", "hooks")
      && nearest_is ("alocater", "allocator"), "near names are found");
  ok (nearest_is ("SIZE", "size") && nearest_is ("Hoosk", "hooks"),
      "whatever the case, and with swapped letters");
  ok (nearest_is ("sour", NULL), "half of a short word is not near");
  ok (nearest_is ("frobnicate", NULL) && nearest_is ("", NULL)
      && nearest_is ("a-word-far-longer-than-any-name-of-a-parameter", NULL),
      "far ones are not");
  return done_testing ();
}
