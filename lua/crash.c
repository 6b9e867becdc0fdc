/* crash.c - the methods of the object disk that cut the power, and bring it back. */

#include <errno.h>
#include <string.h>

#include "disk/crash.h"
#include "lua/method.h"

/* Set a switch from a field of the table on top of the stack. */
static void
take_switch (lua_State *L, const char *what, const char *name, bool *on)
{
  if (lua_getfield (L, -1, name) != LUA_TNIL && !lua_isboolean (L, -1))
    luaL_error (L, "%s: %s: expected true or false, got %s", what, name,
                luaL_typename (L, -1));
  *on = lua_toboolean (L, -1);
  lua_pop (L, 1);
}

/* { CHOICE, torn = true, bad = true }: leaves the choice below the table. */
static void
take_table (lua_State *L, const char *what, struct crash_cut *cut)
{
  static const char *const names[] = { "torn", "bad", NULL };

  luaL_checkstack (L, 6, NULL);
  for (lua_pushnil (L); lua_next (L, -2); lua_pop (L, 1))
    if (!lua_isinteger (L, -2) || lua_tointeger (L, -2) != 1) {
      check_name (L, what, luaL_tolstring (L, -2, NULL), names);
      lua_pop (L, 1);
    }
  take_switch (L, what, "torn", &cut->torn);
  take_switch (L, what, "bad", &cut->bad);
  lua_rawgeti (L, -1, 1);
  lua_insert (L, -2);
}

void
to_cut (lua_State *L, const char *what, struct crash_cut *cut)
{
  char why[700];
  int err;

  *cut = (struct crash_cut) { NULL, false, false };
  if (lua_istable (L, -1))
    take_table (L, what, cut);
  else {
    lua_pushvalue (L, -1);
    lua_insert (L, -2);
  }
  if (lua_type (L, -2) != LUA_TSTRING)
    luaL_error (L, "%s: expected a choice in quotes, such as \"none\" or "
                "\"sectors-7\", or { \"sectors-7\", torn = true, bad = true }, got %s",
                what, luaL_typename (L, -2));
  cut->choice = lua_tostring (L, -2);
  if (strlen (cut->choice) != lua_rawlen (L, -2))
    luaL_error (L, "%s: the choice has a zero byte in it", what);
  err = crash_check (cut->choice, why, sizeof why);
  if (err)
    luaL_error (L, "%s: %s", what, err == ENOMEM ? "out of memory" : why);
}

/* disk:cut ([CHOICE, or a table]) */
int
disk_method_cut (lua_State *L)
{
  const uint64_t since = sys_now ();
  struct crash_cut cut;
  char why[700];
  int err;

  check_self (L, "cut(choice)");
  /* A nil is a choice whose quotes were forgotten. */
  if (lua_gettop (L) == 1)
    lua_pushstring (L, "none");
  if (!lua_isnone (L, 3))
    return luaL_error (L, "disk:cut: expected one argument, such as \"none\" or "
                       "{ \"none\", torn = true }");
  to_cut (L, "disk:cut", &cut);
  err = crash_cut (&cut, why, sizeof why);
  host_excuse (since);
  if (err)
    return luaL_error (L, "disk:cut: %s", why);
  call_has_cut ();
  return 0;
}

/* disk:mark (TEXT) */
int
disk_method_mark (lua_State *L)
{
  const char *text;
  size_t len;
  char why[200];

  check_self (L, "mark(text)");
  text = luaL_checklstring (L, 2, &len);
  if (strlen (text) != len)
    return luaL_error (L, "disk:mark: the text has a zero byte in it");
  if (crash_mark (text, why, sizeof why) != 0)
    return luaL_error (L, "disk:mark: %s", why);
  return 0;
}

static void
set_true (lua_State *L, const char *name, bool on)
{
  if (!on)
    return;
  lua_pushboolean (L, 1);
  lua_setfield (L, -2, name);
}

static void
push_range (lua_State *L, enum op op, uint64_t offset, uint64_t count, uint64_t conn)
{
  set_string (L, "op", op_names[op]);
  set_integer (L, "offset", offset);
  set_integer (L, "count", count);
  set_integer (L, "conn", conn);
}

static void
push_request (lua_State *L, const struct change *ch)
{
  push_range (L, ch->op, ch->offset, ch->count, ch->record.conn);
  set_true (L, "fua", ch->wants_fua);
  if (ch->record.done)
    set_integer (L, "completed", ch->record.done);
  set_true (L, "failed", ch->failed);
  set_true (L, "altered", ch->altered);
}

static void
push_event (lua_State *L, const struct event *e)
{
  static const char *const kinds[] = { "request", "flush", "mark", "cut", "change", "fault" };

  lua_newtable (L);
  set_string (L, "kind", kinds[e->kind]);
  set_integer (L, "number", e->number);
  set_integer (L, "time", e->when);
  if (e->kind == EVENT_REQUEST)
    push_request (L, &e->change);
  if (e->kind == EVENT_FLUSH) {
    set_integer (L, "conn", e->flush.conn);
    set_integer (L, "entered", e->flush.entered);
    set_true (L, "lie", e->flush.lie || e->flush.own);
  }
  if (e->kind == EVENT_FAULT) {
    push_range (L, e->fault.op, e->fault.offset, e->fault.count, e->fault.conn);
    set_string (L, "rule", e->text);
  }
  if (e->kind == EVENT_CHANGE)
    set_true (L, "lost", e->change.kind == CHANGE_DROP);
  if (e->kind == EVENT_MARK) {
    set_string (L, "text", e->text);
  }
}

/* What disk:history returns: gives the next event, or nil. */
static int
next_event (lua_State *L)
{
  struct event_place *at = lua_touserdata (L, lua_upvalueindex (1));
  struct event e;
  char why[200];
  const int err = crash_history (at, &e, why, sizeof why);

  if (err == EINVAL)
    return luaL_error (L, "disk:history: %s", why);
  if (err)
    lua_pushnil (L);
  else
    push_event (L, &e);
  return 1;
}

/* disk:history () */
int
disk_method_history (lua_State *L)
{
  struct event_place *at;
  struct event_place first = { 0 };
  struct event e;
  char why[200];

  check_self (L, "history()");
  if (crash_history (&first, &e, why, sizeof why) == EINVAL)
    return luaL_error (L, "disk:history: %s", why);
  at = lua_newuserdatauv (L, sizeof *at, 0);
  *at = (struct event_place) { 0 };
  lua_pushcclosure (L, next_event, 1);
  return 1;
}

/* disk:power_on () */
int
disk_method_power_on (lua_State *L)
{
  char why[100];

  check_self (L, "power_on()");
  if (crash_power_on (why, sizeof why) != 0)
    return luaL_error (L, "disk:power_on: %s", why);
  return 0;
}
