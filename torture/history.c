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
  " elseif e.kind == 'mark' and e.text == '" WORK_MARK "' then t[#t + 1] = 'w'"
  " elseif e.kind == 'mark' and e.text == '" END_MARK "' then t[#t + 1] = 'e'"
  " elseif began and e.kind == 'mark' then "
  "  t[#t + 1] = ('m %d %s'):format(e.time, (e.text:gsub('%c', ' ')))"
  " elseif began and e.kind == 'flush' then t[#t + 1] = 'f'"
  " elseif e.kind == 'fault' and e.rule == '" HIT_RULE "' then"
  "  t[#t + 1] = e.op == 'flush' and 'h flush' or"
  "   ('h %s %d+%d'):format(e.op, e.offset, e.count)"
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

/* Lines of promises that were made before, if there is such a file. */
static void
add_promised (struct history *h, size_t *room_for, const char *file)
{
  FILE *f = fopen (file, "re");
  char *line = NULL;
  size_t size = 0;

  while (f && getline (&line, &size, f) > 0) {
    line[strcspn (line, "\n")] = '\0';
    ADD (h->mark, h->marks, *room_for, ((struct mark) { 0, copy_of (line) }));
  }
  free (line);
  if (f)
    fclose (f);
}

struct history
history_read (const struct options *o, const char *promised)
{
  struct history h = { .sector = (uint32_t) strtoul (o->sector, NULL, 10) };
  bool works = false, ended = false;
  size_t marks = 0, requests = 0, room_for = 0;
  char *answer = server_ask (events);

  add_promised (&h, &marks, promised);
  for (char *line = strtok (answer, "\n"); line; line = strtok (NULL, "\n"))
    if (*line == 'm') {
      add_mark (&h, &marks, line);
      h.acks += strncmp (h.mark[h.marks - 1].text, "ack ", 4) == 0;
    } else if (*line == 'r') {
      add_request (&h, &requests, line);
      h.before_ack += works && h.acks == 0;
      h.after_ack += works && h.acks > 0;
    } else if (*line == 'h' && !h.hit) {
      h.hit = copy_of (line + 2);
      h.hit_marks = h.marks;
      h.hit_late = ended;
    } else if (*line == 'w' || *line == 'e') {
      works = *line == 'w';
      ended = !works;
    } else
      h.flushes += *line == 'f';
  free (answer);
  if (!ended)
    wrong ("what the workload writes does not fit into the history of %s: make it shorter, or "
           "say --history SIZE", o->history);
  answer = server_ask (points);
  for (char *line = strtok (answer, "\n"); line; line = strtok (NULL, "\n"))
    add_point (&h, &room_for, line);
  free (answer);
  return h;
}

void
history_free (struct history *h)
{
  for (size_t i = 0; i < h->marks; i++)
    free (h->mark[i].text);
  for (size_t i = 0; i < h->points; i++)
    free (h->point[i].name);
  free (h->mark);
  free (h->point);
  free (h->request);
  free (h->hit);
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

static int
compare_number (const void *number, const void *request)
{
  const uint64_t n = *(const uint64_t *) number;
  const struct request *r = request;

  return n < r->number ? -1 : n > r->number;
}

const struct request *
history_request (const struct history *h, uint64_t number)
{
  return h->requests == 0 ? NULL
    : bsearch (&number, h->request, h->requests, sizeof *h->request, compare_number);
}

/* The request of a list, if all its parts are of one. */
static const struct request *
one_request (const struct history *h, const char *list)
{
  const uint64_t first = strtoull (list, NULL, 10);

  for (const char *part = list; part; part = strchr (part, ',')) {
    char *end;

    part += *part == ',';
    if (strtoull (part, &end, 10) != first || *end == '-')
      return NULL;
  }
  return history_request (h, first);
}

/* The sectors of such a list: "sector 9", or "sectors 2-4, 7"; from malloc. */
static char *
tell_sectors (const char *list)
{
  char *all = NULL;
  const bool one = !strchr (list, ',') && !strchr (list, '-');

  for (const char *part = strchr (list, ':'); part; part = strchr (part, ':')) {
    const int n = (int) strcspn (++part, ",");
    char *const more = all ? text ("%s, %.*s", all, n, part)
      : text ("%s %.*s", one ? "sector" : "sectors", n, part);

    free (all);
    all = more;
  }
  return all;
}

bool
history_lost_at (const struct history *h, const char *choice, uint64_t *offset)
{
  const struct request *const r = strncmp (choice, "lose-", 5) == 0
    ? one_request (h, choice + 5) : NULL;
  const char *const sector = strchr (choice, ':');

  if (r && sector)
    *offset = (r->offset / h->sector + strtoull (sector + 1, NULL, 10)) * h->sector;
  else if (r)
    *offset = r->offset;
  return r != NULL;
}

static char *
tell_one (const struct history *h, const struct request *r, const char *list, bool lost,
          const char *owner)
{
  const uint64_t last = (r->offset + r->count - 1) / h->sector - r->offset / h->sector;
  char *const sectors = tell_sectors (list);
  char *const what = text ("request %" PRIu64 ", a %s of %" PRIu64 " bytes at %" PRIu64
                           "%s%s%s", r->number, r->op, r->count, r->offset,
                           owner ? " (" : "", owner ? owner : "", owner ? ")" : "");
  char *told;

  if (!lost)
    told = text ("Of what was not flushed, only %s%s%s, reaches the disk.",
                 sectors ? sectors : "", sectors ? " of " : "", what);
  else if (!sectors)
    told = text ("R%s, is lost.  Everything else reaches the disk.", what + 1);
  else
    told = text ("R%s, loses %s (of 0-%" PRIu64 ").  Everything else reaches the disk.",
                 what + 1, sectors, last);
  free (sectors);
  free (what);
  return told;
}

static char *
tell_list (const struct history *h, const char *list, bool lost, const char *owner)
{
  const struct request *r = one_request (h, list);

  if (r)
    return tell_one (h, r, list, lost, owner);
  return lost ? text ("Requests %s are lost.  Everything else reaches the disk.", list)
    : text ("Of what was not flushed, only requests %s reach the disk.", list);
}

static char *
tell_choice (const struct history *h, const char *choice, const char *owner)
{
  if (strcmp (choice, "all") == 0)
    return copy_of ("Nothing that the disk had is lost.");
  if (strcmp (choice, "none") == 0)
    return copy_of ("All that was not flushed is lost.");
  if (strncmp (choice, "lose-", 5) == 0)
    return tell_list (h, choice + 5, true, owner);
  if (strncmp (choice, "only-", 5) == 0)
    return tell_list (h, choice + 5, false, owner);
  if (strncmp (choice, "prefix-", 7) == 0)
    return text ("Of what was not flushed, requests up to %s reach the disk.", choice + 7);
  return text ("Of what was not flushed, some reaches the disk (%s).", choice);
}

char *
history_tell (const struct history *h, const struct point *p, const char *choice, bool loses,
              const char *owner)
{
  char *const when = tell_point (p);
  char *const what = tell_choice (h, loses ? choice : "all", owner);
  char *const after = p->marks ? text ("After \"%s\"", h->mark[p->marks - 1].text)
    : copy_of ("Before anything is promised");
  char *const all = text ("%s, power is cut %s.  %s", after, when, what);

  free (when);
  free (what);
  free (after);
  return all;
}
