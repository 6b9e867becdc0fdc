/* Writing JSON: strings, numbers, members and their commas; without memory. */

#include <float.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "tap.h"

/* The allocation with this number fails. */
static long fail_at = -1, allocations;

static void *
test_realloc (void *p, size_t size)
{
  return allocations++ == fail_at ? NULL : realloc (p, size);
}

#define realloc test_realloc
#include "lib/array.c"
#undef realloc
#include "lib/json.c"

#define S(literal) literal, sizeof (literal) - 1

/* Is this the whole text?  Frees it. */
static bool
is_text (struct json *j, const char *expected)
{
  bool same = !j->failed && j->text && j->len == strlen (j->text)
    && strcmp (j->text, expected) == 0;

  if (!same)
    printf ("# got %s\n# not %s\n", j->text ? j->text : "nothing", expected);
  json_free (j);
  return same;
}

static bool
string_is (const char *s, size_t n, const char *expected)
{
  struct json j = { .text = NULL };

  json_string (&j, s, n);
  return is_text (&j, expected);
}

static void
test_escapes (void)
{
  ok (string_is (NULL, 0, "\"\""), "an empty string");
  ok (string_is (S ("plain ~!/'{}"), "\"plain ~!/'{}\""), "plain text");
  ok (string_is (S ("\"a\\b\"\"\\"), "\"\\\"a\\\\b\\\"\\\"\\\\\""),
      "quotes and backslashes, at the ends and beside each other");
  ok (string_is (S ("a\nb\r\tc"), "\"a\\nb\\u000d\\u0009c\""),
      "newlines, and other control characters");
  ok (string_is (S ("\0a\x1f\x7f"), "\"\\u0000a\\u001f\\u007f\""),
      "zero bytes and DEL");
}

/* Each byte at each place of a longer run becomes what it does alone. */
static void
test_places (void)
{
  bool right = true;

  for (int byte = 0; byte < 256; byte++)
    for (size_t place = 0; place < 24; place++) {
      struct json alone = { .text = NULL }, all = alone;
      char s[24], expected[40];

      memset (s, '_', sizeof s);
      s[place] = (char) byte;
      json_string (&alone, &s[place], 1);
      json_string (&all, s, sizeof s);
      snprintf (expected, sizeof expected, "\"%.*s%.*s%.*s\"", (int) place, s,
                (int) alone.len - 2, alone.text + 1, (int) (23 - place),
                s + place + 1);
      right = right && strcmp (all.text, expected) == 0;
      json_free (&alone);
      json_free (&all);
    }
  ok (right, "each byte, at each place of a run");
}

static void
test_utf8 (void)
{
  static const char whole[] =
    "\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF "
    "\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF";
  static const struct { const char *text, *expected; } wrong[] = {
    { "\x80", "\"\\u0080\"" }, { "\xff", "\"\\u00ff\"" },
    { "\xC0\x80", "\"\\u00c0\\u0080\"" },       /* longer than needed */
    { "\xE0\x9F\xBF", "\"\\u00e0\\u009f\\u00bf\"" },
    { "\xED\xA0\x80", "\"\\u00ed\\u00a0\\u0080\"" },    /* a surrogate */
    { "\xF4\x90\x80\x80", "\"\\u00f4\\u0090\\u0080\\u0080\"" }, /* too high */
    { "a\xC2", "\"a\\u00c2\"" }, { "\xE2\x82", "\"\\u00e2\\u0082\"" },
    { "\xC2" "b", "\"\\u00c2b\"" }, { "\xE2\x82\"", "\"\\u00e2\\u0082\\\"\"" },
    { "\xC3\xA4\xA4x", "\"\xC3\xA4\\u00a4x\"" },
  };
  char expected[sizeof whole + 2];

  snprintf (expected, sizeof expected, "\"%s\"", whole);
  ok (string_is (S (whole), expected), "UTF-8 stays as it is");
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    ok (string_is (wrong[i].text, strlen (wrong[i].text), wrong[i].expected),
        "what is no UTF-8, %zu", i);
  ok (string_is ("\xE2\x82\xAC", 2, "\"\\u00e2\\u0082\""),
      "a character that goes on past the end");
}

/* What a string becomes if each character is looked at alone. */
static void
slow_string (struct json *j, const char *s, size_t n)
{
  json_add (j, "\"", 1);
  while (n > 0) {
    size_t length = json_utf8_length ((const unsigned char *) s, n);

    if (*s == '"' || *s == '\\')
      json_addf (j, "\\%c", *s);
    else if (*s == '\n')
      json_add (j, "\\n", 2);
    else if (length > 1 || (length == 1 && *s >= ' ' && *s != 0x7f))
      json_add (j, s, length);
    else
      json_addf (j, "\\u%04x", (unsigned char) *s);
    s += length ? length : 1;
    n -= length ? length : 1;
  }
  json_add (j, "\"", 1);
}

/* Random strings, whose runs and escapes meet the ends of the room. */
static void
test_runs (void)
{
  static const char *const pieces[] = {
    "plain", "a", "\"", "\\", "\n", "\x01", "\xC3\xA4", "\xE2\x82\xAC", "\xff",
    "\xE2\x82", "a longer run of plain bytes, which is copied at once",
  };
  uint64_t seed = env_number ("SEED", 1), state = seed;
  bool same = true;

  for (uint64_t round = 0; round < rounds (2000) && same; round++) {
    struct json text = { .text = NULL }, fast = text, slow = text;

    json_add (&text, "", 0);
    for (uint64_t n = random_below (&state, 300); n > 0; n--) {
      const char *piece = pieces[random_below (&state, 11)];

      json_add (&text, piece, strlen (piece));
    }
    json_string (&fast, text.text, text.len);
    slow_string (&slow, text.text, text.len);
    same = fast.len == slow.len && strcmp (fast.text, slow.text) == 0
      && strlen (fast.text) == fast.len;
    json_free (&text);
    json_free (&fast);
    json_free (&slow);
  }
  ok (same, "runs are copied as byte by byte; SEED=%llu",
      (unsigned long long) seed);
}

static void
test_numbers (void)
{
  static const struct { double d; const char *expected; } numbers[] = {
    { 0, "0" }, { -1.5, "-1.5" }, { 0.1, "0.1" }, { 1e21, "1e+21" },
    { 1.0 / 3, "0.3333333333333333" }, { DBL_MAX, "1.7976931348623157e+308" },
    { NAN, "null" }, { INFINITY, "null" }, { -INFINITY, "null" },
  };

  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    struct json j = { .text = NULL };

    json_number (&j, numbers[i].d);
    ok (is_text (&j, numbers[i].expected), "the number %g", numbers[i].d);
  }
}

static void
test_members (void)
{
  struct json j = { .text = NULL };

  json_member_string (&j, "a", "x,");
  json_member_number (&j, "b", 0.5);
  json_member (&j, "c", "%d", 3);
  json_member (&j, "d", "[");
  for (int i = 0; i < 3; i++) {
    json_comma (&j);
    json_addf (&j, "%d", i);
  }
  json_add (&j, "]", 1);
  json_member (&j, "e", "{");
  json_member_string (&j, "f\"", "{");
  json_member_string (&j, "g", "[:\n");
  json_add (&j, "}", 1);
  json_key (&j, S ("h\0"));
  json_comma (&j);
  json_add (&j, "null", 4);
  ok (is_text (&j, "\"a\":\"x,\",\"b\":0.5,\"c\":3,\"d\":[0,1,2],"
               "\"e\":{\"f\\\"\":\"{\",\"g\":\"[:\\n\"},\"h\\u0000\":null"),
      "commas where they are due");

  json_addf (&j, "{");
  json_member (&j, "a", "1");
  json_addf (&j, "}\n{");
  json_member (&j, "a", "2");
  json_addf (&j, "}\n");
  json_member (&j, "b", "3");
  ok (is_text (&j, "{\"a\":1}\n{\"a\":2}\n\"b\":3"), "each line is alone");
}

static void
test_too_long (void)
{
  struct json j = { .text = NULL };

  json_addf (&j, "%255s", "x");
  ok (!j.failed && j.len == 255, "255 formatted characters");
  json_member (&j, "a", "%256s", "x");
  ok (j.failed, "256 are too many");
  json_free (&j);
  ok (!j.failed && !j.text && j.len == 0, "and it can be used again");
}

/* Each allocation fails in turn, until none does. */
static void
test_no_memory (void)
{
  static char big[1000];
  bool kept = true, complete = false;
  long n = 0;

  memset (big, 'x', sizeof big - 1);
  for (; !complete; n++) {
    struct json j = { .text = NULL };

    fail_at = n;
    allocations = 0;
    for (int i = 0; i < 10; i++) {
      size_t before = j.len;
      bool failed = j.failed;

      json_member_string (&j, "key", big);
      kept = kept && (!failed || (j.failed && j.len == before))
        && (!j.text || j.text[j.len] == '\0');
    }
    complete = !j.failed;
    kept = kept && (complete == (allocations <= n));
    json_free (&j);
  }
  fail_at = -1;
  ok (kept && n > 3, "after each of %ld failed allocations nothing is added",
      n - 1);
}

static void
test_speed (void)
{
  const size_t n = (size_t) 15 << 20;
  char *s = malloc (n);
  struct json j = { .text = NULL };
  struct timespec start, end;

  memset (s, 'x', n);
  clock_gettime (CLOCK_MONOTONIC, &start);
  json_string (&j, s, n);
  clock_gettime (CLOCK_MONOTONIC, &end);
  ok (j.len == n + 2 && memcmp (j.text + 1, s, n) == 0, "15 MiB");
  printf ("# %.2f ns a byte\n",
          ((double) (end.tv_sec - start.tv_sec) * 1e9
           + (double) (end.tv_nsec - start.tv_nsec)) / (double) n);
  json_free (&j);
  free (s);
}

int
main (void)
{
  test_escapes ();
  test_places ();
  test_utf8 ();
  test_runs ();
  test_numbers ();
  test_members ();
  test_too_long ();
  test_no_memory ();
  test_speed ();
  return done_testing ();
}
