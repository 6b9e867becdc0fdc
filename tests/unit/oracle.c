/* Is what a check has found what was promised?  A late "begin" never accuses. */

#include "tap.h"
#include "lib/array.c"
#include "lib/sys.c"
#include "torture/tools.c"
#include "torture/oracle.c"

#define ALL SIZE_MAX

/* Marks, separated by commas, of which so many were set before the cut; what was found; and
 * what is said of it.
 */
static const struct row {
  const char *marks;
  size_t set;
  const char *found, *said;
} rows[] = {
  { "", ALL, "", NULL },
  { "ack a", ALL, "a\n", NULL },
  { "ack a", ALL, "", "lost: a" },
  { "ack a", 0, "", NULL },
  { "ack a", 0, "a\n", NULL },                          /* acknowledged late */
  { "begin a", ALL, "", NULL },
  { "begin a", ALL, "a\n", NULL },
  { "begin a", 0, "a\n", NULL },                        /* a late "begin" */
  { "ack a", ALL, "a\nb\n", "foreign: b" },
  { "", ALL, "b\nc\n", "foreign: b c" },
  { "ack b,ack a,ack c", ALL, "c\nb", "lost: a" },
  { "ack b,ack a,ack c", 2, "a\r\nb\r\n", NULL },
  { "ack a,ack ab", ALL, "ab\n", "lost: a" },
  { "ack a,ack ab", ALL, "a\n", "lost: ab" },
  { "ack a", ALL, "b\n", "lost: a" },
  { "ack a b", ALL, "a b\n", NULL },
  { "ack a", ALL, "a\na\n", NULL },
  { "ack 1,ack 2,ack 3,ack 4,ack 5,ack 6,ack 7", ALL, "", "lost: 1 2 3 4 5 and 2 more" },
  { "ready,ack a", ALL, "a\nready\n", "foreign: ready" }, /* no promise */
  { "ack k=1", ALL, "k=1\n", NULL },
  { "ack k=1", ALL, "", "lost: k=1" },
  { "ack k=1", ALL, "k=2\n", "foreign: k=2" },
  { "ack k=1,ack k=2", ALL, "k=2\n", NULL },
  { "ack k=1,ack k=2", ALL, "k=1\n", "old: k=1" },
  { "ack k=1,ack k=2", 1, "k=1\n", NULL },
  { "ack k=1,ack k=2", 1, "k=2\n", NULL },              /* the mark was late */
  { "ack k=1,begin k=2", ALL, "k=1\n", NULL },
  { "ack k=1,begin k=2", ALL, "k=2\n", NULL },
  { "ack k=1,begin k=2", ALL, "", "lost: k=1" },
  { "begin k=1,begin k=2,ack k=1", ALL, "k=2\n", NULL },        /* at the same time */
  { "begin k=0,begin k=1,ack k=1", ALL, "k=0\n", "old: k=0" },
  { "ack k=1,ack k=2,ack k=1", ALL, "k=1\n", NULL },
  { "ack k=1,ack k=2,ack k=1", ALL, "k=2\n", "old: k=2" },
  { "ack k=1", ALL, "k\n", "foreign: k" },
  { "ack k=1,ack l=2", ALL, "l=2\nk=1", NULL },
  { "ack k=1=2", ALL, "k=1=2\n", NULL },
  { "ack k-=1,ack k=2", ALL, "k=2\nk-=1\n", NULL },
};

static struct history
read_marks (char *list)
{
  struct history h = { .mark = calloc (strlen (list) + 1, sizeof *h.mark) };

  for (char *mark = strtok (list, ","); mark; mark = strtok (NULL, ","))
    h.mark[h.marks++].text = mark;
  return h;
}

int
main (void)
{
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct row *r = &rows[i];
    char *const list = copy_of (r->marks);
    const struct history h = read_marks (list);
    const struct point p = { .marks = r->set == ALL ? h.marks : r->set };
    char *const said = oracle_judge (&h, &p, r->found);

    ok (said && r->said ? strcmp (said, r->said) == 0 : !said && !r->said,
        "row %zu: %s: %s", i, r->marks, said ? said : "(nothing)");
    free (said);
    free (h.mark);
    free (list);
    free (promise);
    promise = NULL;
    promises = 0;
  }
  return done_testing ();
}
