/* page.h - writing pages that people look at: one HTML file that fetches nothing.
 *
 * A page has its style inside, and a policy (Content-Security-Policy) under which a
 * browser fetches nothing for it.  What is drawn is SVG, in which each shape has a class
 * and its colour, too: where the style is blocked, as Jenkins does, it is in the colours
 * of a light page all the same.
 *
 * Nothing that comes from outside may reach the page except through page_text, which
 * page_add calls for each %s; or, inside a script of data, through page_data.
 *
 * For one thread at a time for each page.  Errors of writing are kept until page_end.
 */

#ifndef PAGE_H
#define PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* All are set by page_begin.  ERR: an errno code, that of the first error, or 0. */
struct page {
  FILE *out;
  int err;
};

/* Begin a page, to be written to OUT, which the caller has opened and closes in the end.
 * SCRIPTED: it has a script; otherwise the policy forbids all of them.  (Data is no
 * script.)  ABOVE is a line over the heading, such as the program's name; TITLE is that
 * of the window and no markup.
 */
void page_begin (struct page *p, FILE *out, const char *title, bool scripted);

/* End the page and flush OUT.  Returns 0, or an errno code: the page is not whole. */
int page_end (struct page *p);

/*--------------------------------------------------------------------*/
/* Text. */

/* Add N bytes of text.  Markup in it is only text.  What would not be seen or would change
 * what stands around it becomes visible, as in C: control characters ("\x1B"), bytes
 * that are no UTF-8 ("\xFF"), and characters that have no width or turn the direction of
 * writing ("\u202E").  It may stand in an element or, in double quotes, in an attribute.
 */
void page_text (struct page *p, const char *s, size_t n);

/* The same, except that newlines and tabs stay: for what stands in <pre>. */
void page_lines (struct page *p, const char *s, size_t n);

/* How many of the N bytes at S are to be shown where there is room for LIMIT characters:
 * N, or less, and then an ellipsis is due.  No character is cut.
 */
size_t page_fit (const char *s, size_t n, size_t limit);

/* Add markup, which is FORMAT, with values as printf writes them: %s is text (by page_text),
 * %d, %u, %llu, %zu, %g and %f are numbers, and %% is a percent sign.  %s, %g and %f may
 * have a precision, as %.2f.  Any other conversion aborts.  FORMAT is a literal of the
 * program.
 */
void page_add (struct page *p, const char *format, ...)
  __attribute__ ((format (printf, 2, 3)));

/* Add markup as it is: a literal of the program. */
void page_markup (struct page *p, const char *markup);

/*--------------------------------------------------------------------*/
/* Pictures.  All lengths are pixels, x from the left and y from the top. */

/* Colours, each with a class of the style sheet.  Those from INK_1 on are strong: text
 * of INK_ON can be read on them.
 */
enum page_ink {
  INK_TEXT, INK_DIM, INK_LINE, INK_PALE, INK_ON,
  INK_1, INK_2, INK_3, INK_4, INK_5, INK_6, INK_7, INK_OTHER,
};
#define INKS 7                  /* from INK_1 on, to tell things apart */

/* The class of a colour, for markup: <b class="badge k1">. */
const char *page_ink_class (enum page_ink ink);

/* Begin and end a figure: pictures side by side, of which the first one stays where
 * it is, with the names of the rows, when the others are scrolled.
 */
void page_figure (struct page *p);
void page_figure_end (struct page *p);

/* Begin a picture.  LABEL says in words what it shows, for those who can't see it; NULL:
 * it only repeats what is said elsewhere.
 */
void page_svg (struct page *p, int width, int height, const char *label);
void page_svg_end (struct page *p);

void page_rect (struct page *p, enum page_ink ink, int x, int y, int width, int height);
void page_line (struct page *p, enum page_ink ink, int x1, int y1, int x2, int y2);

/* Where a label stands: it begins at x, has its middle there, or ends there. */
enum page_anchor { AT_START, AT_MIDDLE, AT_END };

/* Add a text of SIZE (of the font; 0: 11) on the line Y, formatted as by page_add. */
void page_label (struct page *p, enum page_ink ink, enum page_anchor anchor, int size,
                 int x, int y, const char *format, ...)
  __attribute__ ((format (printf, 7, 8)));

/* Add many boxes of one colour as one shape, which needs some 15 bytes each: begin, add
 * them, and end.
 */
void page_boxes (struct page *p, enum page_ink ink);
void page_box (struct page *p, int x, int y, int width, int height);
void page_boxes_end (struct page *p);

/* Add N letters (ASCII), the middle of each at its X, on the line Y. */
void page_letters (struct page *p, enum page_ink ink, int size, int y, const int *x,
                   const char *letters, size_t n);

/*--------------------------------------------------------------------*/
/* Data for a script, as JSON in an element with this ID: begin, add JSON in pieces of any
 * size, in which no character is cut, and end.  What page_text would make visible is
 * made visible in its strings.  The strings of the JSON must be as json_string makes them.
 */
void page_data (struct page *p, const char *id);
void page_data_add (struct page *p, const char *json, size_t n);
void page_data_end (struct page *p);

#endif /* PAGE_H */
