/* page.c - writing pages that people look at. */

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/page.h"

/* What the Makefile makes of lib/page.css: its lines, and NULL. */
#include "lib/page-style.h"

static void
put (struct page *p, const char *s, size_t n)
{
  if (fwrite (s, 1, n, p->out) != n && !p->err)
    p->err = errno ? errno : EIO;
}

static void
put_string (struct page *p, const char *s)
{
  put (p, s, strlen (s));
}

/*--------------------------------------------------------------------*/
/* Text. */

/* Characters without a shape of their own: controls of the upper half, spaces of no
 * width, fillers, line ends, controls of the direction of writing, tags, and what is
 * no character.
 */
static const struct { uint32_t first, last; } hidden[] = {
  { 0x80, 0x9F }, { 0xAD, 0xAD }, { 0x34F, 0x34F }, { 0x61C, 0x61C }, { 0x115F, 0x1160 },
  { 0x17B4, 0x17B5 }, { 0x180B, 0x180F }, { 0x200B, 0x200F }, { 0x2028, 0x202E },
  { 0x2060, 0x206F }, { 0x2800, 0x2800 }, { 0x3164, 0x3164 }, { 0xFDD0, 0xFDEF },
  { 0xFE00, 0xFE0F }, { 0xFEFF, 0xFEFF }, { 0xFFA0, 0xFFA0 }, { 0xFFF0, 0xFFFB },
  { 0xFFFE, 0xFFFF }, { 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF },
};

static bool
is_hidden (uint32_t c)
{
  for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
    if (c >= hidden[i].first && c <= hidden[i].last)
      return true;
  return false;
}

/* The character at S, whose UTF-8 has LENGTH bytes. */
static uint32_t
character (const char *s, size_t length)
{
  static const unsigned char masks[] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
  uint32_t c = (unsigned char) *s & masks[length];

  for (size_t i = 1; i < length; i++)
    c = c << 6 | ((unsigned char) s[i] & 0x3F);
  return c;
}

/* What stands in a page for the character or the byte at S, of the N that are left.
 * Sets *LENGTH to how many bytes that is.  NULL: the character itself.  BUF has room for
 * 16 bytes.
 */
static const char *
escape (const char *s, size_t n, size_t *length, char *buf)
{
  static const struct { char c; const char *name; } names[] = {
    { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" }, { '\'', "&#39;" },
    { '\n', "\\n" }, { '\t', "\\t" }, { '\r', "\\r" },
  };
  const unsigned char byte = (unsigned char) *s;
  uint32_t c;

  *length = json_utf8_length ((const unsigned char *) s, n);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (*s == names[i].c)
      return names[i].name;
  if (*length == 0 || byte < ' ' || byte == 0x7F) {
    *length = 1;
    snprintf (buf, 16, "\\x%02X", byte);
    return buf;
  }
  c = character (s, *length);
  if (!is_hidden (c))
    return NULL;
  snprintf (buf, 16, "\\u%04lX", (unsigned long) c);
  return buf;
}

/* Is it a byte that needs no look at what follows? */
static bool
is_itself (char c)
{
  return c >= ' ' && c < 0x7F && !strchr ("&<>\"'", c);
}

/* The one way of text into a page.  KEEP: characters that stay. */
static void
put_text (struct page *p, const char *s, size_t n, const char *keep)
{
  const char *instead;
  char buf[16];
  size_t run, length;

  while (n > 0) {
    for (run = 0; run < n && is_itself (s[run]); run++)
      ;
    put (p, s, run);
    s += run;
    n -= run;
    if (n == 0)
      break;
    instead = escape (s, n, &length, buf);
    if (instead && !(*s && strchr (keep, *s)))
      put_string (p, instead);
    else
      put (p, s, length);
    s += length;
    n -= length;
  }
}

void
page_text (struct page *p, const char *s, size_t n)
{
  put_text (p, s, n, "");
}

void
page_lines (struct page *p, const char *s, size_t n)
{
  put_text (p, s, n, "\n\t");
}

/* The end of S after COUNT characters, or N. */
static size_t
after (const char *s, size_t n, size_t count)
{
  size_t end = 0, length;

  for (; end < n && count > 0; count--) {
    length = json_utf8_length ((const unsigned char *) s + end, n - end);
    end += length ? length : 1;
  }
  return end;
}

size_t
page_fit (const char *s, size_t n, size_t limit)
{
  return after (s, n, limit) == n ? n : after (s, n, limit - 1);
}

/*--------------------------------------------------------------------*/
/* Formats. */

/* Add an unsigned number, whose conversion has SIZE before it: "ll", "z" or nothing. */
static void
put_unsigned (struct page *p, const char *size, va_list *args)
{
  char buf[24];
  const unsigned long long n = *size == 'l' ? va_arg (*args, unsigned long long)
    : *size == 'z' ? va_arg (*args, size_t) : va_arg (*args, unsigned);

  snprintf (buf, sizeof buf, "%llu", n);
  put_string (p, buf);
}

/* Add what the conversion at S, behind its %, stands for.  Returns the end of the
 * conversion.
 */
static const char *
put_value (struct page *p, const char *s, va_list *args)
{
  const char *const size = s;
  int precision = -1;
  char buf[400];
  const char *text;

  if (*s == '.')
    for (precision = 0, s++; *s >= '0' && *s <= '9'; s++)
      precision = precision * 10 + (*s - '0');
  s += strspn (s, "lz");
  switch (*s) {
  case '%':
    put (p, "%", 1);
    break;
  case 's':
    text = va_arg (*args, const char *);
    page_text (p, text, precision < 0 ? strlen (text) : strnlen (text, (size_t) precision));
    break;
  case 'd':
    snprintf (buf, sizeof buf, "%d", va_arg (*args, int));
    put_string (p, buf);
    break;
  case 'u':
    put_unsigned (p, size, args);
    break;
  case 'f':
    snprintf (buf, sizeof buf, "%.*f", precision, va_arg (*args, double));
    put_string (p, buf);
    break;
  case 'g':
    snprintf (buf, sizeof buf, "%.*g", precision, va_arg (*args, double));
    put_string (p, buf);
    break;
  default:                      /* page_add has no such conversion */
    abort ();
  }
  return s + 1;
}

static void
put_formatted (struct page *p, const char *format, va_list *args)
{
  const char *percent;

  while ((percent = strchr (format, '%')) != NULL) {
    put (p, format, (size_t) (percent - format));
    format = put_value (p, percent + 1, args);
  }
  put_string (p, format);
}

void
page_add (struct page *p, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  put_formatted (p, format, &args);
  va_end (args);
}

void
page_markup (struct page *p, const char *markup)
{
  put_string (p, markup);
}

/*--------------------------------------------------------------------*/
/* The page. */

void
page_begin (struct page *p, FILE *out, const char *title, bool scripted)
{
  *p = (struct page) { .out = out };
  page_add (p, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta name=\"referrer\" content=\"no-referrer\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
            "style-src 'unsafe-inline'%s; base-uri 'none'; form-action 'none'\">\n"
            "<title>%s</title>\n<style>\n",
            scripted ? "; script-src 'unsafe-inline'" : "", title);
  for (size_t i = 0; page_style[i]; i++)
    put_string (p, page_style[i]);
  page_add (p, "</style>\n</head>\n<body>\n");
}

int
page_end (struct page *p)
{
  page_add (p, "</body>\n</html>\n");
  if (fflush (p->out) != 0 && !p->err)
    p->err = errno ? errno : EIO;
  return p->err;
}

/*--------------------------------------------------------------------*/
/* Pictures. */

/* A class of the style sheet, and the colour on a light page. */
static const struct { const char *class, *fill; } inks[] = {
  [INK_TEXT] = { "t", "#1b1f24" },
  [INK_DIM] = { "dim", "#57606a" },
  [INK_LINE] = { "line", "#d5dae0" },
  [INK_PALE] = { "pale", "#e3e8ed" },
  [INK_ON] = { "on", "#ffffff" },
  [INK_1] = { "k1", "#c62828" },
  [INK_2] = { "k2", "#a85400" },
  [INK_3] = { "k3", "#7b1fa2" },
  [INK_4] = { "k4", "#00707a" },
  [INK_5] = { "k5", "#4f6b00" },
  [INK_6] = { "k6", "#1f5fbf" },
  [INK_7] = { "k7", "#ad1f66" },
  [INK_OTHER] = { "k0", "#57606a" },
};

const char *
page_ink_class (enum page_ink ink)
{
  return inks[ink].class;
}

/* <pre> keeps the pictures side by side where there is no style. */
void
page_figure (struct page *p)
{
  page_add (p, "<pre class=\"figure\" tabindex=\"0\">");
}

void
page_figure_end (struct page *p)
{
  page_add (p, "</pre>\n");
}

void
page_svg (struct page *p, int width, int height, const char *label)
{
  page_add (p, "<svg style=\"--width:%d\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-size=\"11\" font-family=\"sans-serif\"", width, width, height, width, height);
  if (label)
    page_add (p, " role=\"img\" aria-label=\"%s\">\n", label);
  else
    page_add (p, " aria-hidden=\"true\">\n");
}

void
page_svg_end (struct page *p)
{
  page_add (p, "</svg>");
}

void
page_rect (struct page *p, enum page_ink ink, int x, int y, int width, int height)
{
  page_add (p, "<rect class=\"%s\" fill=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n",
            inks[ink].class, inks[ink].fill, x, y, width, height);
}

void
page_line (struct page *p, enum page_ink ink, int x1, int y1, int x2, int y2)
{
  page_add (p, "<path class=\"%s\" stroke=\"%s\" d=\"M%d %dL%d %d\"/>\n",
            inks[ink].class, inks[ink].fill, x1, y1, x2, y2);
}

/* Begin a text. */
static void
put_label (struct page *p, enum page_ink ink, enum page_anchor anchor, int size)
{
  static const char *const anchors[] = { "", " text-anchor=\"middle\"", " text-anchor=\"end\"" };

  page_add (p, "<text class=\"%s\" fill=\"%s\"", inks[ink].class, inks[ink].fill);
  put_string (p, anchors[anchor]);
  if (size)
    page_add (p, " font-size=\"%d\"", size);
}

void
page_label (struct page *p, enum page_ink ink, enum page_anchor anchor, int size,
            int x, int y, const char *format, ...)
{
  va_list args;

  put_label (p, ink, anchor, size);
  page_add (p, " x=\"%d\" y=\"%d\">", x, y);
  va_start (args, format);
  put_formatted (p, format, &args);
  va_end (args);
  page_add (p, "</text>\n");
}

void
page_boxes (struct page *p, enum page_ink ink)
{
  page_add (p, "<path class=\"%s\" fill=\"%s\" d=\"", inks[ink].class, inks[ink].fill);
}

void
page_box (struct page *p, int x, int y, int width, int height)
{
  page_add (p, "M%d %dh%dv%dh%dz", x, y, width, height, -width);
}

void
page_boxes_end (struct page *p)
{
  page_add (p, "\"/>\n");
}

void
page_letters (struct page *p, enum page_ink ink, int size, int y, const int *x,
              const char *letters, size_t n)
{
  if (n == 0)
    return;
  put_label (p, ink, AT_MIDDLE, size);
  page_add (p, " y=\"%d\" x=\"", y);
  for (size_t i = 0; i < n; i++)
    page_add (p, i ? " %d" : "%d", x[i]);
  page_add (p, "\">");
  page_text (p, letters, n);
  page_add (p, "</text>\n");
}

/*--------------------------------------------------------------------*/
/* Data. */

void
page_data (struct page *p, const char *id)
{
  page_add (p, "<script type=\"application/json\" id=\"%s\">", id);
}

void
page_data_end (struct page *p)
{
  page_add (p, "</script>\n");
}

/* In JSON, < stands within strings alone, and so do characters above ASCII. */
void
page_data_add (struct page *p, const char *json, size_t n)
{
  char buf[16];
  const char *instead;
  size_t length;

  for (; n > 0; json += length, n -= length) {
    length = 1;
    if (*json == '<')
      put_string (p, "\\u003c");
    else if ((unsigned char) *json < 0x7F)
      put (p, json, 1);
    else {
      instead = escape (json, n, &length, buf);
      if (instead)
        put (p, "\\", 1);       /* of which JSON needs two for one */
      put (p, instead ? instead : json, instead ? strlen (instead) : length);
    }
  }
}
