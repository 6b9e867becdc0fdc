/* Pages: whatever a text holds, it is text in the page, and it can be seen. */

#include <string.h>

#include "tap.h"
#include "lib/array.c"
#include "lib/json.c"
#include "lib/page.c"

static char *text;
static size_t size;

/* Begin to write what the functions of a page add, and end: what that is. */
static struct page
begin (void)
{
  return (struct page) { .out = open_memstream (&text, &size) };
}

static const char *
end (struct page *p)
{
  fclose (p->out);
  return text;
}

static void
is (const char *got, const char *expected, const char *name)
{
  if (!ok (strcmp (got, expected) == 0, "%s", name))
    printf ("# got: %s\n# expected: %s\n", got, expected);
}

#define BOTH(text) text, sizeof text - 1

static const struct { const char *text; size_t n; const char *shown, *name; } texts[] = {
  { BOTH (""), "", "nothing" },
  { BOTH ("a plain one, 100 %"), "a plain one, 100 %", "a plain text" },
  { BOTH ("</script><img src=x onerror='a()'>"),
    "&lt;/script&gt;&lt;img src=x onerror=&#39;a()&#39;&gt;", "markup" },
  { BOTH ("\" onload=\"a()"), "&quot; onload=&quot;a()", "the end of an attribute" },
  { BOTH ("&lt;"), "&amp;lt;", "what looks escaped" },
  { BOTH ("]]>--><!--"), "]]&gt;--&gt;&lt;!--", "comments" },
  { BOTH ("a\n\tb\r"), "a\\n\\tb\\r", "newlines" },
  { BOTH ("\033[31m\a\b\x7f"), "\\x1B[31m\\x07\\x08\\x7F", "controls of terminals" },
  { BOTH ("a\0b"), "a\\x00b", "a zero" },
  { BOTH ("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80"), "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80",
    "letters of all lengths" },
  { BOTH ("\xFF\xC3"), "\\xFF\\xC3", "no UTF-8, and half of a character" },
  { BOTH ("\xC0\xBC\xED\xA0\x80"), "\\xC0\\xBC\\xED\\xA0\\x80", "longer than needed, surrogates" },
  { BOTH ("\xE2\x80\xAEtxt.exe\xE2\x81\xA6"), "\\u202Etxt.exe\\u2066", "the other direction" },
  { BOTH ("a\xE2\x80\x8B\xC2\xAD\xEF\xBB\xBFz"), "a\\u200B\\u00AD\\uFEFFz", "no width" },
  { BOTH ("\xE2\x80\xA8\xC2\x85"), "\\u2028\\u0085", "ends of lines" },
  { BOTH ("\xF3\xA0\x81\x81\xEF\xBF\xBF"), "\\uE0041\\uFFFF", "tags, and no characters" },
};

static void
test_texts (void)
{
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct page p = begin ();

    page_text (&p, texts[i].text, texts[i].n);
    is (end (&p), texts[i].shown, texts[i].name);
    free (text);
  }
}

/* No text of random bytes leaves its element, and all of it is printable UTF-8. */
static void
test_random (void)
{
  static const char likely[] = "<>&\"'\0\n\x1B\xE2\x80\xAE\xAB\xC3\xF0";
  uint64_t seed = env_number ("SEED", 1);
  bool right = true;

  for (uint64_t i = rounds (20000); i > 0; i--) {
    struct page p = begin ();
    char s[24];
    const size_t n = random_below (&seed, sizeof s + 1);

    for (size_t k = 0; k < n; k++)
      s[k] = random_below (&seed, 2) ? (char) random_below (&seed, 256)
                                     : likely[random_below (&seed, sizeof likely)];
    page_text (&p, s, n);
    end (&p);
    right = right && !strpbrk (text, "<>\"'\n") && strlen (text) == size;
    for (size_t k = 0; k < size && right; k++) {
      const size_t length = json_utf8_length ((unsigned char *) text + k, size - k);

      right = length > 0 && (length > 1 || (text[k] >= ' ' && text[k] < 0x7F))
        && !is_hidden (character (text + k, length));
      k += length - 1;
    }
    free (text);
  }
  ok (right, "random texts (SEED=%llu)", (unsigned long long) env_number ("SEED", 1));
}

static void
test_formats (void)
{
  struct page p = begin ();

  page_add (&p, "<b title=\"%s\">%d %u %llu %zu %.2f %g 5%%</b>", "<\"", -3, 4000000000U,
            18446744073709551615ULL, (size_t) 7, 1.005, 0.5);
  is (end (&p), "<b title=\"&lt;&quot;\">-3 4000000000 18446744073709551615 7 1.00 0.5 5%</b>",
      "formats");
  free (text);
  p = begin ();
  page_lines (&p, "a\n\t<b\0\r", 7);
  is (end (&p), "a\n\t&lt;b\\x00\\r", "lines keep newlines and tabs, nothing else");
  free (text);
}

static void
test_fit (void)
{
  ok (page_fit ("abc", 3, 3) == 3, "what has room stays whole");
  ok (page_fit ("abcd", 4, 3) == 2, "what has none makes room for an ellipsis");
  ok (page_fit ("\xC3\xA9\xC3\xA9\xC3\xA9", 6, 2) == 2, "no character is cut");
  ok (page_fit ("\xFF\xFF\xFF", 3, 2) == 1, "bytes that are no UTF-8 count as one each");
}

static void
test_data (void)
{
  static const char json[] = "{\"a\":\"</script>\xC3\xA9\xE2\x80\xAE\x7F\"}";
  struct page p = begin ();

  page_data (&p, "states");
  page_data_add (&p, BOTH (json));
  page_data_end (&p);
  is (end (&p), "<script type=\"application/json\" id=\"states\">{\"a\":\"\\u003c/script>"
      "\xC3\xA9\\\\u202E\\\\x7F\"}</script>\n", "data ends nowhere, and hides nothing");
  free (text);
}

static void
test_pictures (void)
{
  static const int x[] = { 3, 9 };
  struct page p = begin ();

  page_svg (&p, 20, 10, "a <picture>");
  page_boxes (&p, INK_1);
  page_box (&p, 1, 2, 3, 4);
  page_boxes_end (&p);
  page_letters (&p, INK_ON, 8, 7, x, "A<", 2);
  page_svg_end (&p);
  is (end (&p), "<svg style=\"--width:20\" width=\"20\" height=\"10\" "
      "viewBox=\"0 0 20 10\" font-size=\"11\" "
      "font-family=\"sans-serif\" role=\"img\" aria-label=\"a &lt;picture&gt;\">\n"
      "<path class=\"k1\" fill=\"#c62828\" d=\"M1 2h3v4h-3z\"/>\n"
      "<text class=\"on\" fill=\"#ffffff\" text-anchor=\"middle\" font-size=\"8\" y=\"7\" "
      "x=\"3 9\">A&lt;</text>\n</svg>", "a picture has classes and colours");
  free (text);
}

static void
test_pages (void)
{
  FILE *full = fopen ("/dev/full", "w");
  struct page p;

  page_begin (&p, open_memstream (&text, &size), "<title>", false);
  ok (page_end (&p) == 0 && fclose (p.out) == 0, "a page is written");
  ok (strstr (text, "<title>&lt;title&gt;</title>") != NULL, "it has a title");
  ok (strstr (text, "default-src 'none'; style-src 'unsafe-inline'; base-uri") != NULL,
      "its policy forbids all that it has not inside, and scripts");
  ok (!strstr (text, "url(") && !strstr (text, "@import") && !strstr (text, "http:")
      && !strstr (text, "https:"), "and it asks for nothing");
  free (text);
  if (full) {
    page_begin (&p, full, "", true);
    ok (page_end (&p) == ENOSPC, "an error of writing is reported");
    fclose (full);
  }
}

int
main (void)
{
  test_texts ();
  test_random ();
  test_formats ();
  test_fit ();
  test_data ();
  test_pictures ();
  test_pages ();
  return done_testing ();
}
