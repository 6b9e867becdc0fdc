/* memctl --report: whatever a log holds, there is a page or one reason, and no crash; and a
 * page is whole, of a limited size, and without a script.
 */

#include <string.h>
#include <unistd.h>

#include "tap.h"
#include "lib/array.c"
#include "lib/json.c"
#include "lib/page.c"
#include "control/object.c"
#include "control/units.c"
#include "control/tally.c"
#include "control/figure.c"
#include "control/verdict.c"
#include "control/report.c"

#define HEAD "{\"time\":\"2026-11-25T23:48:13.203040Z\",\"t\":%u.%06u,\"seq\":%u,"

/* The rest of lines of all kinds, which begin with HEAD. */
static const char *const lines[] = {
  "\"start\":{\"version\":\"0.1.0\",\"size\":268435456,\"sector\":512,\"seed\":7}}",
  "\"rule\":\"a\",\"text\":\"op=\\\"read\\\" error=\\\"EIO\\\"\",\"where\":\"lua:1\","
  "\"declared\":true}",
  "\"rule\":\"a\",\"req\":3,\"op\":\"read\",\"offset\":67108864,\"count\":4096,\"conn\":1,"
  "\"did\":{\"delay\":0.0123,\"error\":\"EIO\"}}",
  "\"rule\":\"\\u202e</script>\",\"req\":4,\"op\":\"write\",\"offset\":18446744073709551615,"
  "\"count\":1,\"conn\":1,\"fua\":true,\"export\":\"x\",\"did\":{\"keep\":[[0,512],[1024,8]]}}",
  "\"rule\":\"h\",\"req\":5,\"op\":\"flush\",\"offset\":0,\"count\":0,\"conn\":1,"
  "\"did\":{\"hang\":true}}",
  "\"rule\":\"h\",\"req\":5,\"op\":\"flush\",\"offset\":0,\"count\":0,\"conn\":1,"
  "\"did\":{\"ended\":\"released\"}}",
  "\"hook\":\"trim\",\"req\":6,\"op\":\"trim\",\"offset\":512,\"count\":512,\"conn\":2,\"did\":{}}",
  "\"medium\":\"disk:bad\",\"req\":7,\"op\":\"read\",\"offset\":0,\"count\":512,\"conn\":2,"
  "\"did\":{\"error\":\"EIO\"}}",
  "\"req\":3,\"result\":\"EIO\",\"latency\":0.0124}",
  "\"rule\":\"a\",\"text\":\"op=\\\"read\\\"\",\"where\":\"lua:1\",\"matched\":21,\"fired\":1}",
  "\"rule\":\"n\",\"text\":\"x\",\"where\":\"lua:2\",\"matched\":0,\"fired\":0,"
  "\"never_fired\":true}",
  "\"stop\":{\"read\":{\"requests\":21,\"errors\":1,\"histogram\":[0,1]},\"connections_total\":2}}",
};

#define LINES (sizeof lines / sizeof lines[0])

/* What stands in places of a log by chance. */
static const char *const pieces[] = {
  "\0", "\n", "\"", "\\", "\\u", "\\ud83d\\ude00", "\\ud800", "{", "}", "[", "]", ",", ":", "-",
  "1e308",
  "18446744073709551615", "99999999999999999999", "\xFF", "\xE2\x80\xAE", "null", "true", "0.0",
  "\"did\":{", "\"t\":", "{\"dropped\":5}\n", "\"rule\":5", "-1", "1e-320", "\033[2J",
};

#define PIECES (sizeof pieces / sizeof pieces[0])

/* Write a log of N lines, of which the kinds and times are random. */
static size_t
make_log (uint64_t *seed, char *log, size_t size, unsigned n)
{
  size_t len = 0;
  const unsigned scale = 1U << random_below (seed, 24);

  for (unsigned i = 0; i < n && len + 600 < size; i++) {
    const size_t kind = i == 0 ? random_below (seed, 2) : random_below (seed, LINES);

    len += (size_t) snprintf (log + len, size - len, HEAD, (unsigned) random_below (seed, scale),
                              (unsigned) random_below (seed, 1000000), i + 1);
    len += (size_t) snprintf (log + len, size - len, "%s\n", lines[kind]);
  }
  return len;
}

/* Change a log, which has room for SIZE bytes, in a random place.  Returns its length. */
static size_t
mutate (uint64_t *seed, char *log, size_t len, size_t size)
{
  const size_t at = random_below (seed, len + 1);
  const char *piece = pieces[random_below (seed, PIECES)];
  const size_t n = *piece ? strlen (piece) : 1;
  size_t cut = random_below (seed, 20);

  switch (random_below (seed, 4)) {
  case 0:                       /* one bit or byte */
    if (at < len)
      log[at] = (char) (random_below (seed, 2) ? log[at] ^ (1 << random_below (seed, 8))
                                               : (int) random_below (seed, 256));
    return len;
  case 1:                       /* something less */
    cut = cut < len - at ? cut : len - at;
    memmove (log + at, log + at + cut, len - at - cut);
    return len - cut;
  case 2:                       /* something more */
    if (len + n > size)
      return len;
    memmove (log + at + n, log + at, len - at);
    memcpy (log + at, piece, n);
    return len + n;
  default:                      /* cut off */
    return random_below (seed, 8) ? len : at;
  }
}

static char *page;
static size_t page_size;

/* Report about a log.  Returns NULL and sets page, or why not. */
static const char *
report (const char *log, size_t len)
{
  static struct tally tally;
  static struct figure figure;
  static struct source *sorted[TALLY_SOURCES + 1];
  const struct evidence e = { .tally = &tally, .figure = &figure, .sorted = sorted };
  FILE *in = tmpfile (), *out;
  const char *why;

  fwrite (log, 1, len, in);
  why = tally_read (&tally, in);
  if (!why) {
    sort_sources (&tally, sorted);
    figure_read (&figure, &tally, sorted, tally.nr_sources);
    out = open_memstream (&page, &page_size);
    if (write_page (out, &e, "a/<log>") != 0)
      why = "not written";
    fclose (out);
  }
  tally_free (&tally);
  fclose (in);
  return why;
}

/* Is the page whole, and has it nothing that it must not have? */
static bool
is_good (void)
{
  static const char end[] = "</html>\n";
  const char *style = strstr (page, "</style>");

  if (page_size < sizeof end || strcmp (page + page_size - strlen (end), end) != 0
      || strlen (page) != page_size || page_size > 300000 || !style || strstr (page, "<script"))
    return false;
  for (size_t i = 0, length; i < page_size; i += length) {
    length = json_utf8_length ((unsigned char *) page + i, page_size - i);
    if (length == 0 || ((unsigned char) page[i] < ' ' && page[i] != '\n')
        || is_hidden (character (page + i, length)))
      return false;
  }
  return !strstr (style, "nan") && !strstr (style, "inf ");
}

static void
test_random (void)
{
  static char log[40000];
  const uint64_t first = env_number ("SEED", 1), n = rounds (3000);
  uint64_t seed = first, pages = 0;
  bool right = true;

  for (uint64_t i = 0; i < n && right; i++) {
    size_t len = make_log (&seed, log, sizeof log, 1 + (unsigned) random_below (&seed, 100));

    for (uint64_t k = random_below (&seed, 12); k > 0; k--)
      len = mutate (&seed, log, len, sizeof log);
    if (!report (log, len)) {
      pages++;
      right = is_good ();
      if (!right)
        printf ("# round %llu of SEED=%llu:\n%s\n", (unsigned long long) i,
                (unsigned long long) first, page);
      free (page);
    }
  }
  ok (right, "random logs have good pages (SEED=%llu)", (unsigned long long) first);
  ok (pages > n / 2, "most of them have one");
}

/* As many different names as there can be, all of them hostile. */
static void
test_crowd (void)
{
  const size_t size = (size_t) 4 << 20;
  char *log = malloc (size);
  size_t len = 0;

  for (unsigned i = 0; i < 4000 && len + 1000 < size; i++)
    len += (size_t) snprintf (log + len, size - len, HEAD "\"rule\":\"%u%0100u\\\"\\\"\","
                              "\"op\":\"read%u\",\"export\":\"<%u\",\"offset\":%u,"
                              "\"did\":{\"k%u\":true,"
                              "\"error\":\"E<>%u\"}}\n", i, i, i + 1, i, i, i, i, i * 512, i, i);
  ok (report (log, len) == NULL && is_good (), "4,000 rules, operations and kinds");
  printf ("# a page of %zu bytes\n", page_size);
  ok (strstr (page, "There are too many rules") != NULL, "the page says that it left some out");
  free (page);
  free (log);
}

/* One line, and what became of it. */
static void
test_reasons (void)
{
  static const struct { const char *log, *why; } logs[] = {
    { "", "it is empty" }, { "\n", "it is no fault log" },
    { "#!/bin/sh\nexit\n", "it is no fault log" },
    { "{\"a\":1}\n", "it is no fault log" }, { "{\"t\":1}\n", "it is no fault log" },
    { "{\"t\":-1,\"seq\":1}\n", "it is no fault log" },
    { "{\"t\":1,\"seq\":1\n", "it is no fault log" },
  };

  for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++) {
    const char *why = report (logs[i].log, strlen (logs[i].log));

    if (!ok (why && strncmp (why, logs[i].why, strlen (logs[i].why)) == 0, "log %zu: %s", i,
             logs[i].why))
      printf ("# %s\n", why ? why : "a page");
  }
}

static void
test_units (void)
{
  char buf[UNITS_SIZE];
  static const struct { double s; const char *text; } times[] = {
    { 0, "0 s" }, { 1e-9, "1.00 ns" }, { 9.9999e-7, "1.00 \xC2\xB5s" }, { 0.0108, "10.8 ms" },
    { 0.9996, "1.00 s" }, { 99.96, "100 s" }, { 599, "599 s" }, { 600, "10.0 min" },
    { 86400, "24.0 h" },
  };
  static const struct { uint64_t n; const char *text; } sizes[] = {
    { 0, "0" }, { 1000, "1000" }, { 1024, "1K" }, { 1536, "1536" }, { 64 << 20, "64M" },
    { UINT64_MAX, "18446744073709551615" }, { UINT64_C (1) << 63, "8E" },
  };

  for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
    ok (strcmp (units_time (buf, times[i].s), times[i].text) == 0, "%s: %s", times[i].text, buf);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    ok (strcmp (units_bytes (buf, sizes[i].n), sizes[i].text) == 0, "%s: %s", sizes[i].text, buf);
}

int
main (void)
{
  test_units ();
  test_reasons ();
  test_crowd ();
  test_random ();
  return done_testing ();
}
