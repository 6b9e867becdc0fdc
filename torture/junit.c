/* junit.c - what was found, as JUnit's XML. */

#include <stdio.h>
#include <stdlib.h>

#include "torture/junit.h"
#include "torture/tools.h"

/* What has no place in XML 1.0 becomes a question mark. */
static void
print_text (FILE *f, const char *s)
{
  for (; *s; s++)
    switch (*s) {
    case '&': fputs ("&amp;", f); break;
    case '<': fputs ("&lt;", f); break;
    case '>': fputs ("&gt;", f); break;
    case '"': fputs ("&quot;", f); break;
    default: putc ((unsigned char) *s < ' ' && *s != '\n' ? '?' : *s, f);
    }
}

static void
print_cause (const struct checking *c, const struct cause *k, FILE *f)
{
  char *const again = state_again (c, &k->best), *const told = state_tell (c, &k->best);

  fputs ("  <testcase classname=\"disktorture\" name=\"", f);
  print_text (f, cause_title (k));
  fprintf (f, ": class %c, ", k->class);
  print_text (f, k->line);
  fputs ("\">\n    <failure message=\"", f);
  print_text (f, k->reason);
  fputs ("\">", f);
  print_text (f, told);
  fputs ("\n", f);
  print_text (f, k->reason);
  fprintf (f, "\n%zu states; again: ", k->states);
  print_text (f, again);
  fputs ("</failure>\n  </testcase>\n", f);
  free (told);
  free (again);
}

void
junit_begin (const char *file)
{
  static const char xml[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<testsuite name=\"disktorture\" tests=\"1\" errors=\"1\">\n"
    "  <testcase classname=\"disktorture\" name=\"all other states are good\">\n"
    "    <error message=\"it did not come to its end\"/>\n  </testcase>\n</testsuite>\n";
  char *const called = text ("--junit %s", file);
  FILE *const f = open_file (file, "we", called);

  fputs (xml, f);
  close_file (f, called);
  free (called);
}

void
junit_write (const struct checking *c, const struct causes *all, size_t checked)
{
  char *xml = NULL;
  size_t size;
  FILE *f = open_memstream (&xml, &size);

  if (!f)
    wrong ("out of memory");
  fprintf (f, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
           "<testsuite name=\"disktorture\" tests=\"%zu\" failures=\"%zu\">\n", all->n + 1,
           all->n);
  for (size_t i = 0; i < all->n; i++)
    print_cause (c, &all->cause[i], f);
  fprintf (f, "  <testcase classname=\"disktorture\" name=\"all other states are good\">\n"
           "    <system-out>%zu states</system-out>\n  </testcase>\n</testsuite>\n",
           checked - all->states);
  fclose (f);
  write_file (c->options->junit, xml, size);
  free (xml);
}
