/* disk.c - the object disk: the live disk itself, without hooks. */

#include <string.h>

#include "disk/medium.h"
#include "lib/min.h"
#include "lua/method.h"

/*--------------------------------------------------------------------*/
/* Bytes. */

/* disk:read (offset, count) */
static int
disk_method_read (lua_State *L)
{
  struct disk *d = check_disk (L, "read(offset, count)", 2);
  uint64_t offset, count;
  luaL_Buffer b;
  char *p;

  offset = check_offset (L, 2);
  count = check_count (L, 3, offset);
  p = luaL_buffinitsize (L, &b, count);
  disk_error (L, disk_read (d, p, count, offset, L), "read");
  luaL_pushresultsize (&b, count);
  return 1;
}

/* disk:write (offset, data) */
static int
disk_method_write (lua_State *L)
{
  uint64_t offset;
  const char *data;
  size_t len;

  check_self (L, "write(offset, data)");
  offset = check_offset (L, 2);
  data = luaL_checklstring (L, 3, &len);
  if (len > disk_size (disk_live ()) - offset)
    past_end (L, 3);
  disk_write_piece (L, "write", data, len, offset);
  return 0;
}

/* disk:zero (offset, count) */
static int
disk_method_zero (lua_State *L)
{
  uint64_t offset, count, since = sys_now ();

  check_self (L, "zero(offset, count)");
  offset = check_offset (L, 2);
  count = check_count (L, 3, offset);
  disk_zero_pieces (L, "zero", count, offset);
  host_excuse (since);
  return 0;
}

/* disk:fill (offset, count, pattern) */
static int
disk_method_fill (lua_State *L)
{
  uint64_t offset, count, size, n;
  const char *pattern;
  struct work work;
  size_t len;
  char *buf;

  check_self (L, "fill(offset, count, pattern)");
  offset = check_offset (L, 2);
  count = check_count (L, 3, offset);
  pattern = luaL_checklstring (L, 4, &len);
  luaL_argcheck (L, len > 0, 4, "is empty");

  /* A buffer of whole patterns, so that each piece starts with one. */
  size = (PIECE + len - 1) / len * len;
  buf = lua_newuserdatauv (L, size, 0);
  for (uint64_t i = 0; i < size; i += len)
    memcpy (buf + i, pattern, len);

  work = work_begin ("disk:fill", count);
  for (uint64_t done = 0; done < count; done += n) {
    n = min_u64 (size, count - done);
    disk_write_piece (L, "fill", buf, n, offset + done);
    work_show (L, &work, done);
  }
  work_end (&work);
  return 0;
}

/* disk:random (offset, count [, seed]): each byte depends on the seed and its
 * offset on the disk only.
 */
static int
disk_method_random (lua_State *L)
{
  uint64_t offset, count, seed, skip, n;
  struct work work;
  uint8_t *buf;

  check_self (L, "random(offset, count)");
  offset = check_offset (L, 2);
  count = check_count (L, 3, offset);
  seed = (uint64_t) luaL_optinteger (L, 4, (lua_Integer) host.config.seed);
  buf = lua_newuserdatauv (L, PIECE + 8, 0);

  work = work_begin ("disk:random", count);
  for (uint64_t done = 0; done < count; done += n) {
    skip = (offset + done) % 8;
    n = min_u64 (PIECE - skip, count - done);
    random_bytes (buf, (skip + n + 7) / 8, offset + done - skip, seed);
    disk_write_piece (L, "random", buf + skip, n, offset + done);
    work_show (L, &work, done);
  }
  work_end (&work);
  return 0;
}

/*--------------------------------------------------------------------*/
/* Extents. */

/* The iterator: upvalues are where it is, the end, and the object. */
static int
next_extent (lua_State *L)
{
  struct disk *d = hold_disk (L, lua_upvalueindex (3));
  uint64_t offset = (uint64_t) lua_tointeger (L, lua_upvalueindex (1));
  uint64_t end = (uint64_t) lua_tointeger (L, lua_upvalueindex (2)), n;
  bool data;

  if (offset >= end)
    return 0;
  n = disk_extent_pieces (L, d, offset, end, &data);
  lua_pushinteger (L, (lua_Integer) offset);
  lua_pushinteger (L, (lua_Integer) n);
  lua_pushstring (L, data ? "data" : "hole");
  offset += n;
  lua_pushinteger (L, (lua_Integer) offset);
  lua_replace (L, lua_upvalueindex (1));
  return 3;
}

bool
is_extents (lua_State *L, int index)
{
  return lua_tocfunction (L, index) == next_extent;
}

/* disk:extents ([offset, count]) */
static int
disk_method_extents (lua_State *L)
{
  const uint64_t size = disk_size (check_disk (L, "extents()", 2));
  uint64_t offset, end, room;

  offset = check_bytes (L, 2, size, 0);
  room = size - offset;
  end = offset + check_bytes (L, 3, room, room);
  lua_pushinteger (L, (lua_Integer) offset);
  lua_pushinteger (L, (lua_Integer) end);
  lua_pushvalue (L, 1);
  lua_pushcclosure (L, next_extent, 3);
  return 1;
}

/* Set a field of the table on top of the stack, unless N is what it is where there is
 * no limit.
 */
static void
set_limit (lua_State *L, const char *name, uint64_t n, uint64_t none)
{
  if (n == none)
    return;
  lua_pushinteger (L, (lua_Integer) n);
  lua_setfield (L, -2, name);
}

/* Set what is wrong with the medium.  What has no limit has no field. */
static void
set_medium (lua_State *L)
{
  const struct medium_info m = medium_info (disk_medium (disk_live ()));

  lua_pushinteger (L, (lua_Integer) m.bad_ranges);
  lua_setfield (L, -2, "bad_ranges");
  lua_pushboolean (L, m.readonly);
  lua_setfield (L, -2, "readonly");
  set_limit (L, "limit", m.limit, UINT64_MAX);
  if (m.bps || m.iops) {
    lua_createtable (L, 0, 2);
    set_limit (L, "bps", m.bps, 0);
    set_limit (L, "iops", m.iops, 0);
    lua_setfield (L, -2, "throttle");
  }
}

/* A table that represents disk in an answer of the control socket. */
static int
disk_tojson (lua_State *L)
{
  lua_createtable (L, 0, 7);
  lua_pushinteger (L, (lua_Integer) disk_size (disk_live ()));
  lua_setfield (L, -2, "size");
  lua_pushinteger (L, (lua_Integer) disk_allocated (disk_live ()));
  lua_setfield (L, -2, "allocated");
  push_snapshots (L);
  lua_setfield (L, -2, "snapshots");
  set_medium (L);
  return 1;
}

/* Those that snapshots have, too. */
static const luaL_Reg snapshot_methods[] = {
  { "read", disk_method_read },
  { "save", disk_method_save },
  { "extents", disk_method_extents },
  { NULL, NULL }
};

static const luaL_Reg methods[] = {
  { "read", disk_method_read },
  { "write", disk_method_write },
  { "zero", disk_method_zero },
  { "fill", disk_method_fill },
  { "random", disk_method_random },
  { "load", disk_method_load },
  { "save", disk_method_save },
  { "extents", disk_method_extents },
  { "snapshot", disk_method_snapshot },
  { "get", disk_method_get },
  { "revert", disk_method_revert },
  { "drop", disk_method_drop },
  { "bad", disk_method_bad },
  { "heal", disk_method_heal },
  { "limit", disk_method_limit },
  { "readonly", disk_method_readonly },
  { "throttle", disk_method_throttle },
  { "cut", disk_method_cut },
  { "mark", disk_method_mark },
  { "states", disk_method_states },
  { "history", disk_method_history },
  { "save_history", disk_method_save_history },
  { "power_on", disk_method_power_on },
  { "stats", disk_method_stats },
  { NULL, NULL }
};

#define NR_METHODS (sizeof methods / sizeof methods[0] - 1)

static const char *names[NR_METHODS + 2];

/* Upvalue 1 is the table of the methods. */
static int
disk_index (lua_State *L)
{
  lua_pushvalue (L, 2);
  if (lua_rawget (L, lua_upvalueindex (1)) == LUA_TNIL)
    return unknown_name (L, "disk", luaL_tolstring (L, 2, NULL), names);
  return 1;
}

static int
disk_newindex (lua_State *L)
{
  lua_pushvalue (L, 2);
  if (lua_rawget (L, lua_upvalueindex (1)) == LUA_TNIL)
    return unknown_name (L, "disk", luaL_tolstring (L, 2, NULL), names);
  return luaL_error (L, "disk.%s can't be set", lua_tostring (L, 2));
}

/* disk is an empty table, so that nothing of it can be overwritten. */
void
open_disk (lua_State *L)
{
  lua_newtable (L);
  luaL_newlib (L, methods);
  lua_pushinteger (L, (lua_Integer) disk_size (disk_live ()));
  lua_setfield (L, -2, "size");

  for (size_t i = 0; i < NR_METHODS; i++)
    names[i] = methods[i].name;
  names[NR_METHODS] = "size";
  new_class (L, NULL, disk_index, disk_newindex, 1);
  lua_pushcfunction (L, disk_tojson);
  lua_setfield (L, -2, "__tojson");
  lua_setmetatable (L, -2);
  lua_pushvalue (L, -1);
  lua_rawsetp (L, LUA_REGISTRYINDEX, &disk_object);
  open_snapshot (L, snapshot_methods);
}
