/* snapshot.c - the methods of the object disk that make and end snapshots, and the
 * objects that stand for one, or for a crash state.
 *
 * Such an object does not keep its snapshot, because memory that disk:drop frees must
 * not wait until Lua collects what a script has forgotten.  It knows its number, and
 * each method finds the disk again, and keeps it until it returns.  But it keeps a
 * crash state, which would go otherwise.
 */

#include <errno.h>
#include <string.h>

#include "disk/crash.h"
#include "lua/method.h"

#define CLASS "snapshot"
#define HOLD "disk hold"

/* An object; its name is its user value. */
struct snapshot {
  uint64_t number;              /* disk_number */
  struct disk *state;           /* a crash state that it keeps, or NULL */
};

/*--------------------------------------------------------------------*/
/* Disks that a method uses. */

static int
let_go (lua_State *L)
{
  struct disk **d = lua_touserdata (L, 1);

  if (*d)
    disk_put (*d);
  *d = NULL;
  return 0;
}

/* Find a snapshot by name, and keep it until the C function that runs returns or
 * fails.  Pushes a value.  NULL: there is none.
 */
static struct disk *
hold_named (lua_State *L, const char *name)
{
  struct disk **d = lua_newuserdatauv (L, sizeof (void *), 0);

  *d = NULL;
  luaL_setmetatable (L, HOLD);
  lua_toclose (L, -1);
  *d = disk_get_copy (name);
  return *d;
}

struct disk *
hold_disk (lua_State *L, int index)
{
  const struct snapshot *s = luaL_testudata (L, index, CLASS);
  struct disk *d;
  const char *name;

  if (!s)
    return disk_live ();
  lua_getiuservalue (L, index, 1);
  name = lua_tostring (L, -1);
  d = hold_named (L, name);
  if (!d || disk_number (d) != s->number)
    luaL_error (L, "the snapshot '%s' was dropped", name);
  return d;
}

struct disk *
check_disk (lua_State *L, const char *method, int args)
{
  if (!luaL_testudata (L, 1, CLASS))
    check_self (L, method);
  lua_settop (L, 1 + args);
  return hold_disk (L, 1);
}

/*--------------------------------------------------------------------*/
/* The objects. */

/* Push an object for the snapshot whose name is at INDEX.  It has no number yet. */
static struct snapshot *
new_snapshot (lua_State *L, int index)
{
  struct snapshot *s = lua_newuserdatauv (L, sizeof *s, 1);

  *s = (struct snapshot) { 0, NULL };
  lua_pushvalue (L, index);
  lua_setiuservalue (L, -2, 1);
  luaL_setmetatable (L, CLASS);
  return s;
}

static const char *const names[] = {
  "read", "save", "extents", "name", "size", NULL
};

/* Upvalue 1 is the table of the methods. */
static int
snapshot_index (lua_State *L)
{
  const char *name;

  luaL_checkudata (L, 1, CLASS);
  lua_pushvalue (L, 2);
  if (lua_rawget (L, lua_upvalueindex (1)) != LUA_TNIL)
    return 1;
  name = luaL_tolstring (L, 2, NULL);
  if (strcmp (name, "name") == 0)
    lua_getiuservalue (L, 1, 1);
  else if (strcmp (name, "size") == 0)
    lua_pushinteger (L, (lua_Integer) disk_size (disk_live ()));
  else
    return unknown_name (L, "a snapshot", name, names);
  return 1;
}

static int
snapshot_newindex (lua_State *L)
{
  const char *name = luaL_tolstring (L, 2, NULL);

  luaL_checkudata (L, 1, CLASS);
  check_name (L, "a snapshot", name, names);
  return luaL_error (L, "%s of a snapshot can't be set", name);
}

/* A table that represents one in an answer of the control socket. */
static int
snapshot_tojson (lua_State *L)
{
  luaL_checkudata (L, 1, CLASS);
  lua_createtable (L, 0, 2);
  lua_getiuservalue (L, 1, 1);
  lua_setfield (L, -2, "name");
  lua_pushinteger (L, (lua_Integer) disk_size (disk_live ()));
  lua_setfield (L, -2, "size");
  return 1;
}

static int
snapshot_gc (lua_State *L)
{
  struct snapshot *s = luaL_checkudata (L, 1, CLASS);

  if (s->state)
    disk_put (s->state);
  s->state = NULL;
  return 0;
}

void
open_snapshot (lua_State *L, const luaL_Reg *methods)
{
  luaL_newmetatable (L, HOLD);
  lua_pushcfunction (L, let_go);
  lua_setfield (L, -2, "__close");
  lua_pushcfunction (L, let_go);
  lua_setfield (L, -2, "__gc");
  lua_pop (L, 1);

  lua_newtable (L);
  luaL_setfuncs (L, methods, 0);
  new_class (L, CLASS, snapshot_index, snapshot_newindex, 1);
  lua_pushcfunction (L, snapshot_tojson);
  lua_setfield (L, -2, "__tojson");
  lua_pushcfunction (L, snapshot_gc);
  lua_setfield (L, -2, "__gc");
  lua_pushcfunction (L, snapshot_gc);
  lua_setfield (L, -2, "__close");
  lua_pop (L, 1);
}

/*--------------------------------------------------------------------*/
/* The methods of disk. */

/* NBD's names of exports: UTF-8, and at most this many bytes. */
#define NAME_MAX_BYTES 4096

static bool
is_name (const char *name, size_t len)
{
  size_t n = 1;

  if (len == 0 || len > NAME_MAX_BYTES || strlen (name) != len)
    return false;
  for (size_t i = 0; i < len && n > 0; i += n)
    n = json_utf8_length ((const unsigned char *) name + i, len - i);
  return n > 0;
}

/* Give an object the number of its snapshot.  False: there is no such snapshot. */
static bool
find_number (struct snapshot *s, const char *name)
{
  struct disk *d = disk_get_copy (name);

  if (!d)
    return false;
  s->number = disk_number (d);
  disk_put (d);
  return true;
}

void
snapshot_to_name (lua_State *L, int index)
{
  const struct snapshot *s = luaL_testudata (L, index, CLASS);
  struct snapshot now;

  if (!s)
    return;
  index = lua_absindex (L, index);
  lua_getiuservalue (L, index, 1);
  if (!find_number (&now, lua_tostring (L, -1)) || now.number != s->number)
    luaL_error (L, "the snapshot '%s' was dropped", lua_tostring (L, -1));
  lua_replace (L, index);
}

/* The argument of a method that takes a snapshot: its name, or an object. */
static const char *
check_named (lua_State *L)
{
  snapshot_to_name (L, 2);
  return luaL_checkstring (L, 2);
}

/* disk:snapshot (name) */
int
disk_method_snapshot (lua_State *L)
{
  const uint64_t since = sys_now ();
  struct snapshot *s;
  const char *name;
  size_t len;
  int err;

  check_self (L, "snapshot(name)");
  name = luaL_checklstring (L, 2, &len);
  luaL_argcheck (L, is_name (name, len), 2,
                 "expected a name of 1 to 4096 bytes of UTF-8");
  if (disk_is_state (name))
    return luaL_error (L, "a snapshot can't be called '%s': marks and crash/... are taken",
                       name);
  s = new_snapshot (L, 2);
  err = disk_snapshot (disk_live (), name);
  host_excuse (since);
  if (err == EEXIST)
    return luaL_error (L, "disk:snapshot: there is a snapshot '%s' already; "
                       "disk:drop it first", name);
  disk_error (L, err, "snapshot");
  find_number (s, name);
  return 1;
}

static int
no_snapshot (lua_State *L, const char *method, const char *name)
{
  return luaL_error (L, "disk:%s: there is no snapshot '%s'", method, name);
}

/* The object of a crash state, which is made if nobody has it open. */
static int
get_state (lua_State *L, const char *name)
{
  struct snapshot *s = new_snapshot (L, 2);
  const uint64_t since = sys_now ();
  char why[700];

  s->state = crash_open (name, why, sizeof why);
  host_excuse (since);
  if (!s->state)
    return luaL_error (L, "disk:get: there is no '%s': %s", name, why);
  s->number = disk_number (s->state);
  return 1;
}

/* disk:get (name or object) */
int
disk_method_get (lua_State *L)
{
  const char *name;

  check_self (L, "get(name)");
  name = check_named (L);
  if (disk_is_state (name) && strcmp (name, DISK_MARKS) != 0)
    return get_state (L, name);
  if (!find_number (new_snapshot (L, 2), name))
    return no_snapshot (L, "get", name);
  return 1;
}

/* disk:revert (name or object) */
int
disk_method_revert (lua_State *L)
{
  const uint64_t since = sys_now ();
  struct disk *from;
  const char *name;
  int err;

  check_self (L, "revert(name)");
  name = check_named (L);
  from = hold_named (L, name);
  if (!from)
    return no_snapshot (L, "revert", name);
  err = disk_revert (disk_live (), from);
  host_excuse (since);
  disk_error (L, err, "revert");
  return 0;
}

/* disk:drop (name or object) */
int
disk_method_drop (lua_State *L)
{
  const char *name;

  check_self (L, "drop(name)");
  name = check_named (L);
  if (disk_drop (name) != 0)
    return no_snapshot (L, "drop", name);
  return 0;
}

/*--------------------------------------------------------------------*/
/* The list. */

/* Names of snapshots, each with the 0 at its end, one after the other. */
struct names { char *text; size_t size, len; };

/* For disk_names.  Text for which there is no room is only counted.  A crash state is no
 * snapshot.
 */
static int
add_snapshot (void *context, const char *name, const char *about)
{
  struct names *n = context;
  const size_t len = disk_is_state (name) ? 0 : strlen (name) + 1;

  (void) about;
  if (len > 1 && n->len + len <= n->size)
    memcpy (n->text + n->len, name, len);
  n->len += len > 1 ? len : 0;  /* the live disk has no name */
  return 0;
}

/* They are copied first, because nothing may raise an error while their list is
 * locked.  Nobody else changes it meanwhile.
 */
void
push_snapshots (lua_State *L)
{
  struct names n = { NULL, 0, 0 };
  lua_Integer i = 0;

  disk_names (add_snapshot, &n);
  n.text = lua_newuserdatauv (L, n.len, 0);
  n.size = n.len;
  n.len = 0;
  disk_names (add_snapshot, &n);
  lua_newtable (L);
  for (size_t at = 0; at < n.size; at += strlen (n.text + at) + 1) {
    lua_pushstring (L, n.text + at);
    lua_rawseti (L, -2, ++i);
  }
  lua_remove (L, -2);
}
