/* sample.c - what the disk and the rules have done so far.
 *
 * The server writes lines of numbers, because it has Lua, and memctl need not know
 * how to read JSON.  Names come last in their lines.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/client.h"
#include "control/sample.h"

const char sample_chunk[] =
  "local out, stats = {}, disk:stats()\n"
  "local function add(...) out[#out + 1] = table.concat({...}, ' ') end\n"
  "local m = stats.medium\n"
  "add('T', stats.time, stats.size, stats.allocated, m.limit or -1,\n"
  "    stats.connections, m.bad_ranges, m.readonly and 1 or 0,\n"
  "    stats.unflushed and stats.unflushed.bytes or -1,\n"
  "    stats.power == 'off' and 1 or 0)\n"
  "for _, op in ipairs {'read', 'write', 'flush', 'trim', 'zero', 'extents',\n"
  "                     'cache'} do\n"
  "  local s = stats[op]\n"
  "  if s.requests + s.in_flight > 0 then\n"
  "    add('O', op, s.requests, s.bytes, s.errors, s.waiting, s.latency_max,\n"
  "        table.concat(s.histogram, ' '))\n"
  "  end\n"
  "end\n"
  "for _, r in ipairs(fault.list()) do\n"
  "  add('R', r.state, r.hits, r.fired, r.hanging, (r.name:gsub('%c', '?')))\n"
  "end\n"
  "return table.concat(out, '\\n')";

static bool
read_totals (struct sample *s, const char *line)
{
  unsigned long long size, allocated, connections, bad;
  long long limit, unflushed;
  int readonly, off;

  if (sscanf (line, "%lf %llu %llu %lld %llu %llu %d %lld %d", &s->time, &size,
              &allocated, &limit, &connections, &bad, &readonly, &unflushed, &off) != 9)
    return false;
  s->size = size;
  s->allocated = allocated;
  s->limit = (uint64_t) limit;
  s->connections = connections;
  s->bad_ranges = bad;
  s->readonly = readonly != 0;
  s->unflushed = (uint64_t) unflushed;
  s->off = off != 0;
  return true;
}

/* Where the histogram ends, all have been counted. */
static bool
read_op (struct sample *s, const char *line)
{
  struct sample_op *o = &s->op[s->nr_ops];
  unsigned long long requests, bytes, errors, waiting;
  int n = 0;
  char *end;

  if (s->nr_ops == SAMPLE_OPS
      || sscanf (line, "%15s %llu %llu %llu %llu %lf%n", o->name, &requests, &bytes,
                 &errors, &waiting, &o->max, &n) != 6)
    return false;
  o->requests = requests;
  o->bytes = bytes;
  o->errors = errors;
  o->waiting = waiting;
  line += n;
  for (size_t i = 0; i < SAMPLE_STEPS; i++) {
    const unsigned long long below = strtoull (line, &end, 10);

    o->below[i] = end > line ? below : requests;
    line = end;
  }
  s->nr_ops++;
  return true;
}

static bool
read_rule (struct sample *s, const char *line)
{
  struct sample_rule r, *more;
  unsigned long long hits, fired, hanging;
  int n = 0;

  if (sscanf (line, "%15s %llu %llu %llu%n", r.state, &hits, &fired, &hanging, &n)
      != 4 || line[n] != ' ')
    return false;
  r.hits = hits;
  r.fired = fired;
  r.hanging = hanging;
  r.name = strdup (line + n + 1);
  if (!r.name)
    return false;
  if ((s->nr_rules & (s->nr_rules - 1)) == 0) { /* room for twice as many */
    more = realloc (s->rules, (s->nr_rules ? s->nr_rules * 2 : 1) * sizeof r);
    if (!more) {
      free (r.name);
      return false;
    }
    s->rules = more;
  }
  s->rules[s->nr_rules++] = r;
  return true;
}

static bool
read_line (struct sample *s, const char *line)
{
  switch (line[0]) {
  case 'T':
    return read_totals (s, line + 1);
  case 'O':
    return read_op (s, line + 2);
  case 'R':
    return read_rule (s, line + 2);
  default:
    return false;
  }
}

bool
sample_read (struct sample *s, const char *answer)
{
  static const char result[] = "{\"result\":\"";
  char *text = NULL, *save = NULL;
  size_t size = 0;
  FILE *f;
  bool ok;

  *s = (struct sample) { .time = 0 };
  if (strncmp (answer, result, sizeof result - 1) != 0
      || (f = open_memstream (&text, &size)) == NULL)
    return false;
  client_print (answer + sizeof result - 2, f);
  ok = fclose (f) == 0;
  for (char *line = ok ? strtok_r (text, "\n", &save) : NULL; line && ok;
       line = strtok_r (NULL, "\n", &save))
    ok = read_line (s, line);
  free (text);
  return ok;
}

void
sample_free (struct sample *s)
{
  for (size_t i = 0; i < s->nr_rules; i++)
    free (s->rules[i].name);
  free (s->rules);
  *s = (struct sample) { .time = 0 };
}

struct sample_op
sample_before (const struct sample *old, const char *name)
{
  for (size_t i = 0; i < old->nr_ops; i++)
    if (strcmp (old->op[i].name, name) == 0)
      return old->op[i];
  return (struct sample_op) { .requests = 0 };
}

/* Rules keep their order, and new ones come last. */
struct sample_rule
sample_rule_before (const struct sample *old, const char *name, size_t *at)
{
  while (*at < old->nr_rules && strcmp (old->rules[*at].name, name) != 0)
    ++*at;
  return *at < old->nr_rules ? old->rules[(*at)++]
    : (struct sample_rule) { .hits = 0 };
}

double
sample_max (const struct sample_op *old, const struct sample_op *new)
{
  const uint64_t all = new->requests - old->requests;
  unsigned i = 0;

  if (all == 0)
    return 0;
  if (new->max > old->max)
    return new->max;            /* it was one of these */
  while (i < SAMPLE_STEPS - 1 && new->below[i] - old->below[i] < all)
    i++;
  return fmin (ldexp (1e-9, (int) i + 1), new->max);
}

/* Within a step, as if they were spread evenly. */
double
sample_percentile (const struct sample_op *old, const struct sample_op *new, double p)
{
  const double rank = p * (double) (new->requests - old->requests);
  double below = 0, up_to = 0, start;

  if (rank <= 0)
    return 0;
  for (unsigned i = 0; i < SAMPLE_STEPS; i++, below = up_to) {
    up_to = (double) (new->below[i] - old->below[i]);
    if (up_to < rank)
      continue;
    start = i == 0 ? 0 : ldexp (1e-9, (int) i);
    return fmin (start + (ldexp (1e-9, (int) i + 1) - start)
                 * (rank - below) / (up_to - below), sample_max (old, new));
  }
  return sample_max (old, new);
}
