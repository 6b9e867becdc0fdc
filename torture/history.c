/* history.c - what was recorded. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/array.h"
#include "torture/history.h"
#include "torture/record.h"
#include "torture/server.h"
#include "torture/tools.h"

/* Each event that matters as a line: its kind first. */
static const char events[] =
  "local t, began = {}, false "
  "for e in disk:history() do"
  " if e.kind == 'mark' and e.text == '" BEGIN_MARK "' then began = true"
  " elseif began and e.kind == 'mark' then t[#t + 1] = ('m %d %s'):format(e.time, e.text)"
  " elseif began and e.kind == 'flush' then t[#t + 1] = 'f'"
  " elseif began and e.kind == 'request' then"
  "  t[#t + 1] = ('r %d %d %d %s'):format(e.number, e.offset, e.count, e.op) end end "
  "return table.concat(t, '\\n')";

static const char points[] =
  "local t, began = {} "
  "for e in disk:history() do"
  " if e.kind == 'mark' and e.text == '" BEGIN_MARK "' then began = e.time end end "
  "for s in disk:states { how = 'random', count = 1 } do"
  " if s.time >= began then"
  "  t[#t + 1] = ('%d %d %s'):format(s.time, s.pending, s.name:match '^crash/([^/]*)/') end end "
  "return table.concat(t, '\\n')";

#define ADD(array, n, room, item) \
  (array_grow (&(array), n, &(room), sizeof (item)) ? (void) ((array)[(n)++] = (item)) \
   : wrong ("out of memory"))

static void
add_request (struct history *h, size_t *room_for, const char *line)
{
  struct request r = { 0 };

  if (sscanf (line, "r %" SCNu64 " %" SCNu64 " %" SCNu64 " %7s", &r.number, &r.offset,
              &r.count, r.op) != 4)
    wrong ("the server's answer was not understood: %s", line);
  if (strcmp (r.op, "write") == 0)
    h->bytes += r.count;
  ADD (h->request, h->requests, *room_for, r);
}

static void
add_mark (struct history *h, size_t *room_for, const char *line)
{
  struct mark m = { 0 };
  int n = 0;

  if (sscanf (line, "m %" SCNu64 "%n", &m.time, &n) != 1 || line[n] != ' ')
    wrong ("the server's answer was not understood: %s", line);
  m.text = copy_of (line + n + 1);
  ADD (h->mark, h->marks, *room_for, m);
}

static void
add_point (struct history *h, size_t *room_for, const char *line)
{
  struct point p = { 0 };
  int n = 0;

  if (sscanf (line, "%" SCNu64 " %u%n", &p.time, &p.pending, &n) != 2 || line[n] != ' ')
    wrong ("the server's answer was not understood: %s", line);
  p.name = copy_of (line + n + 1);
  while (p.marks < h->marks && h->mark[p.marks].time <= p.time)
    p.marks++;
  ADD (h->point, h->points, *room_for, p);
}

struct history
history_read (void)
{
  struct history h = { .marks = 0 };
  size_t marks = 0, requests = 0, room_for = 0;
  char *answer = server_ask (events);

  for (char *line = strtok (answer, "\n"); line; line = strtok (NULL, "\n"))
    if (*line == 'm')
      add_mark (&h, &marks, line);
    else if (*line == 'r')
      add_request (&h, &requests, line);
    else
      h.flushes++;
  free (answer);
  answer = server_ask (points);
  for (char *line = strtok (answer, "\n"); line; line = strtok (NULL, "\n"))
    add_point (&h, &room_for, line);
  free (answer);
  return h;
}

void
history_write (const struct history *h, const struct point *p, const char *kind,
               const char *file)
{
  const size_t len = strlen (kind);
  char *all = NULL;
  size_t size;
  FILE *f = open_memstream (&all, &size);

  if (!f)
    wrong ("out of memory");
  for (size_t i = 0; i < p->marks; i++)
    if (strncmp (h->mark[i].text, kind, len) == 0)
      fprintf (f, "%s\n", h->mark[i].text + len);
  fclose (f);
  write_file (file, all, size);
  free (all);
}

/*--------------------------------------------------------------------*/
/* Words. */

static char *
tell_point (const struct point *p)
{
  const char *name = p->name;

  if (strncmp (name, "before-flush-", 13) == 0)
    return text ("just before flush %s returns", name + 13);
  if (strncmp (name, "before-change-", 14) == 0)
    return text ("just before change %s", name + 14);
  if (strncmp (name, "before-", 7) == 0)
    return text ("just before request %s completes", name + 7);
  if (strncmp (name, "mark-", 5) == 0)
    return copy_of ("just then");
  if (strcmp (name, "end") == 0)
    return copy_of ("at the end");
  return text ("at %s", name);
}

/* The request with which a list begins, if it is one alone. */
static const struct request *
find_request (const struct history *h, const char *list)
{
  char *end;
  const uint64_t n = strtoull (list, &end, 10);

  for (size_t i = 0; i < h->requests && (*end == '\0' || *end == ':'); i++)
    if (h->request[i].number == n)
      return &h->request[i];
  return NULL;
}

static char *
tell_list (const struct history *h, const char *list, bool lost)
{
  const struct request *r = find_request (h, list);
  const char *sector = strchr (list, ':');

  if (!r)
    return lost ? text ("Requests %s are lost.  Everything else reaches the disk.", list)
      : text ("Of what was not flushed, only requests %s reach the disk.", list);
  if (!lost)
    return text ("Of what was not flushed, only request %s, a %s of %" PRIu64 " bytes at %"
                 PRIu64 ", reaches the disk.", list, r->op, r->count, r->offset);
  return text ("Request %" PRIu64 ", a %s of %" PRIu64 " bytes at %" PRIu64 ", %s%s.  "
               "Everything else reaches the disk.", r->number, r->op, r->count, r->offset,
               sector ? "loses its sector " : "is lost", sector ? sector + 1 : "");
}

static char *
tell_choice (const struct history *h, const char *choice)
{
  if (strcmp (choice, "all") == 0)
    return copy_of ("Nothing that the disk had is lost.");
  if (strcmp (choice, "none") == 0)
    return copy_of ("All that was not flushed is lost.");
  if (strncmp (choice, "lose-", 5) == 0)
    return tell_list (h, choice + 5, true);
  if (strncmp (choice, "only-", 5) == 0)
    return tell_list (h, choice + 5, false);
  if (strncmp (choice, "prefix-", 7) == 0)
    return text ("Of what was not flushed, requests up to %s reach the disk.", choice + 7);
  return text ("Of what was not flushed, some reaches the disk (%s).", choice);
}

char *
history_tell (const struct history *h, const struct point *p, const char *choice, bool loses)
{
  char *const when = tell_point (p), *const what = tell_choice (h, loses ? choice : "all");
  char *const after = p->marks ? text ("After \"%s\"", h->mark[p->marks - 1].text)
    : copy_of ("Before anything is promised");
  char *const all = text ("%s, power is cut %s.  %s", after, when, what);

  free (when);
  free (what);
  free (after);
  return all;
}
