/* Sizes, times, probabilities and suggestions. */

#include <string.h>

#include "tap.h"
#include "lib/text.c"

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

static const struct { const char *text; uint64_t n; } sizes[] = {
  { "0", 0 }, { "1", 1 }, { "1b", 1 }, { "3s", 1536 }, { "3S", 1536 },
  { "1k", 1024 }, { "1K", 1024 }, { "2M", 2 << 20 }, { "1g", 1 << 30 },
  { "1T", UINT64_C (1) << 40 }, { "8191P", UINT64_C (8191) << 50 },
  { "7E", UINT64_C (7) << 60 }, { "007", 7 },
  { "9223372036854775807", INT64_MAX },
};

static const char *const no_sizes[] = {
  "", " 1", "1 ", "-1", "+1", "k", "1kk", "1x", "0x10", "1.5G", "1KB",
  "9223372036854775808", "99999999999999999999", "8E", "8192P",
  "18014398509481984s",
};

static const struct { const char *text; uint64_t n; } times[] = {
  { "0", 0 }, { "2", 2000000000 }, { "2s", 2000000000 }, { "50ms", 50000000 },
  { "7us", 7000 }, { "7\xCE\xBCs", 7000 }, { "7\xC2\xB5s", 7000 },
  { "9ns", 9 }, { "1m", 60000000000 }, { "0.5m", 30000000000 },
  { "0.1", 100000000 }, { ".5", 500000000 }, { "5.", 5000000000 },
  { "1e-3", 1000000 }, { "1E-3", 1000000 }, { "1e3", 1000000000000 },
  { "1e+3us", 1000000 }, { "1.5e2ms", 150000000 }, { "1e-9", 1 },
  { "1e-3m", 60000000 }, { "007", 7000000000 }, { "1e00009ns", 1000000000 },
  /* Each nanosecond, also where a double would have too few bits. */
  { "0.000000001", 1 }, { "1.000000001", 1000000001 },
  { "0.3", 300000000 }, { "0.29", 290000000 }, { "4.35us", 4350 },
  { "9007199.254740993", 9007199254740993 },
  { "9199999999.999999999", 9199999999999999999U },
  { "9199999999999999999ns", 9199999999999999999U },
  /* Rounded. */
  { "0.4ns", 0 }, { "0.5ns", 1 }, { "1.4999999999999999999999ns", 1 },
  { "1.50000000000000000000000ns", 2 }, { "0.04999e1ns", 0 },
  { "0.05e1ns", 1 }, { "5e-11", 0 }, { "5e-10", 1 }, { "1e-9999", 0 },
  { "0e9999", 0 }, { "0.016666666666666666666666666m", 1000000000 },
  /* More digits than fit. */
  { "0.1000000000000000000000000000000", 100000000 },
  { "1000000000000000000000000e-15", 1000000000000000000 },
  { "00000000000000000000000000000000001", 1000000000 },
  { "0.00000000000000000000000000000001e32", 1000000000 },
};

static const char *const no_times[] = {
  "", " 1", "1 ", "-1", "+1", "s", ".", ".s", "1.2.3", "1x", "1 s", "1S",
  "1M", "1h", "1min", "0x10", "inf", "nan", "1e", "1e+", "1e-ms", "1ee3", "1e3e3",
  "e3", "1,5", "1sm", "1\xCE", "1\xCE\xBC", "1\xB5s", "9200000000",
  "9200000000000000000ns", "153333334m", "1e10",
  "99999999999999999999999999", "1e9999", "1e99999999999999999999", "50%", "1:2",
};

static const struct { const char *text; double p; } probabilities[] = {
  { "0", 0 }, { "1", 1 }, { "0.1", 0.1 }, { ".5", 0.5 }, { "1.", 1 },
  { "1e-1", 0.1 }, { "1e-3", 0.001 }, { "1E-3", 0.001 }, { "10%", 0.1 },
  { "0.7%", 0.007 }, { "100%", 1 }, { "1e2%", 1 }, { "1:10", 0.1 },
  { "1/10", 0.1 }, { "1:4", 0.25 }, { "1/4", 0.25 }, { "0:1", 0 }, { "3:3", 1 },
  { "1:1e6", 1e-6 }, { "0.5:5", 0.1 }, { "1:1000000", 1e-6 }, { "1e-8", 1e-8 },
  { "0.3333333333333333", 0.3333333333333333 },
  { "0.2500000000000000000000000", 0.25 }, { "1e-9999", 0 }, { "0e9999", 0 },
  { "1000000000000000000000e-21", 1 },
};

static const char *const no_probabilities[] = {
  "", "1.1", "-0.5", "+0.5", "-0", "101%", "1:", "1/", "1:0", "1/0", "0:0", "2:1",
  "1:abc", "1:-10", "1:+10", "1:2:100", "1/2/100", "1:2/3", ":2", "/2", "nan",
  "inf", "1:inf", "1:nan", "0:inf", "0x1", "0x0.1p0", "1:0x10", "x", "5%%", "10%%",
  "%", "1:2%", "10%:2", "/", ".", "1 ", " 1", "1 :2", "1: 2", "1e", "1e-", "0,5",
  "1e9999", "1e9999:1e9999", "1.0000001", "100.1%", "50ms",
};

static const char *const truths[] = {
  "true", "TRUE", "t", "T", "yes", "Yes", "y", "Y", "on", "oN", "1",
};

static const char *const lies[] = {
  "false", "False", "f", "F", "no", "NO", "n", "N", "off", "OFF", "0",
};

static const char *const no_bools[] = {
  "", "tr", "truee", "2", "00", "1 ", " 1", "-", "maybe", "of", "ye",
};

static const char *const names[] = { "size", "hooks", "lua", "allocator", NULL };

static void
test_sizes (void)
{
  uint64_t n;

  for (size_t i = 0; i < COUNT (sizes); i++)
    ok (text_size (sizes[i].text, &n) && n == sizes[i].n,
        "\"%s\" is a size", sizes[i].text);
  for (size_t i = 0; i < COUNT (no_sizes); i++) {
    n = 42;
    ok (!text_size (no_sizes[i], &n) && n == 42, "\"%s\" is none", no_sizes[i]);
  }
}

static void
test_times (void)
{
  uint64_t n = 0;

  for (size_t i = 0; i < COUNT (times); i++)
    if (!ok (text_time (times[i].text, &n) && n == times[i].n,
             "\"%s\" is a time", times[i].text))
      printf ("# %llu\n", (unsigned long long) n);
  for (size_t i = 0; i < COUNT (no_times); i++) {
    n = 42;
    ok (!text_time (no_times[i], &n) && n == 42, "\"%s\" is none", no_times[i]);
  }
}

static void
test_probabilities (void)
{
  char text[16];
  double p = 0;
  int wrong = 0;

  for (size_t i = 0; i < COUNT (probabilities); i++)
    if (!ok (text_probability (probabilities[i].text, &p)
             && p == probabilities[i].p, "\"%s\" is a probability",
             probabilities[i].text))
      printf ("# %.17g\n", p);
  for (size_t i = 0; i < COUNT (no_probabilities); i++) {
    p = 42;
    ok (!text_probability (no_probabilities[i], &p) && p == 42,
        "\"%s\" is none", no_probabilities[i]);
  }

  for (int i = 0; i <= 1000; i++) {
    snprintf (text, sizeof text, "%d.%d%%", i / 10, i % 10);
    wrong += !text_probability (text, &p) || p != i / 1000.0;
  }
  ok (wrong == 0, "percents are the same numbers as in C");
}

static void
test_bools (void)
{
  bool b = false;

  for (size_t i = 0; i < COUNT (truths); i++)
    ok (text_bool (truths[i], &b) && b, "\"%s\" is true", truths[i]);
  for (size_t i = 0; i < COUNT (lies); i++)
    ok (text_bool (lies[i], &b) && !b, "\"%s\" is false", lies[i]);
  for (size_t i = 0; i < COUNT (no_bools); i++) {
    b = i % 2 == 0;
    ok (!text_bool (no_bools[i], &b) && b == (i % 2 == 0), "\"%s\" is neither",
        no_bools[i]);
  }
}

static bool
nearest_is (const char *word, const char *expected)
{
  const char *got = text_nearest (word, names);

  return expected ? got && strcmp (got, expected) == 0 : got == NULL;
}

int
main (void)
{
  test_sizes ();
  test_times ();
  test_probabilities ();
  test_bools ();
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
