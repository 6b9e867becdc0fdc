/* stats.c - the method disk:stats. */

#include <stdio.h>

#include "disk/medium.h"
#include "lua/method.h"
#include "report/log.h"
#include "report/stats.h"

/*--------------------------------------------------------------------*/
/* Fields of the table on top of the stack. */

static void
set_seconds (lua_State *L, const char *name, uint64_t ns)
{
  lua_pushnumber (L, (lua_Number) ns / 1e9);
  lua_setfield (L, -2, name);
}

/*--------------------------------------------------------------------*/
/* The parts. */

/* The seed may be more than an integer can be: then it is a string. */
static void
set_start (lua_State *L)
{
  char text[24];

  set_seconds (L, "time", stats_clock ());
  set_string (L, "started", stats_started ());
  set_string (L, "version", VERSION);
  snprintf (text, sizeof text, "%llu", (unsigned long long) host.config.seed);
  set_string (L, "seed", text);
  if (host.config.seed <= INT64_MAX)
    set_integer (L, "seed", host.config.seed);
}

static int
count_one (void *context, const char *name, const char *about)
{
  (void) about;
  *(uint64_t *) context += !disk_is_state (name);
  return 0;
}

static void
set_connections (lua_State *L)
{
  uint64_t now, total, exports = 0;

  stats_connections (&now, &total);
  disk_names (count_one, &exports);
  set_integer (L, "connections", now);
  set_integer (L, "connections_total", total);
  set_integer (L, "exports", exports);
}

static void
set_histogram (lua_State *L, const struct stats *s)
{
  const unsigned n = stats_length (s);

  lua_createtable (L, (int) n, 0);
  for (unsigned i = 0; i < n; i++) {
    lua_pushinteger (L, (lua_Integer) stats_below (s, i));
    lua_rawseti (L, -2, (lua_Integer) i + 1);
  }
  lua_setfield (L, -2, "histogram");
}

static void
set_errors (lua_State *L, const struct stats *s)
{
  push_object (L);
  for (unsigned i = 0; nbd_errors[i].name; i++)
    if (s->errors_by[i])
      set_integer (L, nbd_errors[i].name, s->errors_by[i]);
  lua_setfield (L, -2, "errors_by");
}

static void
set_op (lua_State *L, enum op op)
{
  struct stats s;

  stats_get (op, &s);
  lua_createtable (L, 0, 12);
  for (const struct stats_field *f = stats_fields; f->name; f++) {
    const uint64_t n = *(const uint64_t *) ((const char *) &s + f->offset);

    if (f->seconds)
      set_seconds (L, f->name, n);
    else
      set_integer (L, f->name, n);
  }
  set_histogram (L, &s);
  set_errors (L, &s);
  lua_setfield (L, -2, op_names[op]);
}

static void
set_hooks (lua_State *L)
{
  lua_createtable (L, 0, 3);
  set_integer (L, "calls", stats_hooks.calls);
  set_integer (L, "errors", stats_hooks.errors);
  set_integer (L, "ns", stats_hooks.ns);
  lua_setfield (L, -2, "hooks");
}

static void
set_medium (lua_State *L)
{
  const struct medium_info m = medium_info (disk_medium (disk_live ()));

  lua_createtable (L, 0, 7);
  set_integer (L, "bad_ranges", m.bad_ranges);
  set_integer (L, "bad_fired", m.bad_fired);
  if (m.limit != UINT64_MAX)
    set_integer (L, "limit", m.limit);
  set_integer (L, "limit_fired", m.limit_fired);
  lua_pushboolean (L, m.readonly);
  lua_setfield (L, -2, "readonly");
  set_integer (L, "readonly_fired", m.readonly_fired);
  set_integer (L, "throttled", m.throttled);
  lua_setfield (L, -2, "medium");
}

/* Only where there is a cache. */
static void
set_cache (lua_State *L)
{
  const struct unflushed u = disk_unflushed (disk_live ());

  if (!disk_cuts (disk_live ()))
    return;
  set_string (L, "power", disk_is_off (disk_live ()) ? "off" : "on");
  lua_createtable (L, 0, 3);
  set_integer (L, "requests", u.requests);
  set_integer (L, "sectors", u.sectors);
  set_integer (L, "bytes", u.bytes);
  lua_setfield (L, -2, "unflushed");
}

static void
set_log (lua_State *L)
{
  uint64_t lines, dropped;

  if (!log_wanted ())
    return;
  log_figures (&lines, &dropped);
  lua_createtable (L, 0, 2);
  set_integer (L, "lines", lines);
  set_integer (L, "dropped", dropped);
  lua_setfield (L, -2, "log");
}

/* disk:stats () */
int
disk_method_stats (lua_State *L)
{
  check_self (L, "stats()");
  lua_createtable (L, 0, 20);
  set_start (L);
  set_integer (L, "size", disk_size (disk_live ()));
  set_integer (L, "allocated", disk_allocated (disk_live ()));
  set_integer (L, "stored", disk_stored (disk_live ()));
  set_connections (L);
  for (enum op op = OP_READ; op <= OP_CACHE; op++)
    set_op (L, op);
  set_hooks (L);
  set_medium (L);
  set_cache (L);
  set_log (L);
  return 1;
}
