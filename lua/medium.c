/* medium.c - the methods of the object disk that say what is wrong with the
 * medium.
 */

#include <errno.h>

#include "disk/medium.h"
#include "lua/method.h"

static struct medium *
medium (void)
{
  return disk_medium (disk_live ());
}

/*--------------------------------------------------------------------*/
/* Tables of options. */

/* A field of the table at 2: a whole number from LEAST to MOST, or a string such
 * as "4K".  Returns OTHERWISE if there is no such field.
 */
static uint64_t
number_field (lua_State *L, const char *what, const char *name, uint64_t least,
              uint64_t most, uint64_t otherwise)
{
  uint64_t n = otherwise;

  if (lua_getfield (L, 2, name) != LUA_TNIL
      && (!to_bytes (L, -1, &n) || n < least || n > most))
    luaL_error (L, "%s: %s: expected a number from %I to %I, or a string such as "
                "\"4K\", got %s", what, name, (lua_Integer) least,
                (lua_Integer) most, luaL_tolstring (L, -1, NULL));
  lua_pop (L, 1);
  return n;
}

/*--------------------------------------------------------------------*/
/* Bad sectors. */

/* A list of bad ranges that grows: so many there are, up to this offset. */
struct listing {
  lua_Integer n;
  uint64_t end;
};

/* Add the next range to the list on top of the stack.  False: there is none. */
static bool
list_next (lua_State *L, struct listing *l)
{
  const uint64_t left = disk_size (disk_live ()) - l->end;
  uint64_t offset, count;

  if (!medium_bad_find (medium (), left, l->end, &count, &offset))
    return false;
  lua_createtable (L, 0, 2);
  lua_pushinteger (L, (lua_Integer) offset);
  lua_setfield (L, -2, "offset");
  lua_pushinteger (L, (lua_Integer) count);
  lua_setfield (L, -2, "count");
  lua_rawseti (L, -2, ++l->n);
  l->end = offset + count;
  return true;
}

/* Go on with a listing, at index 2, and pause when it has taken long. */
static int
list_some (lua_State *L, int status, lua_KContext unused)
{
  struct listing *l = lua_touserdata (L, 2);
  uint64_t since = sys_now ();

  (void) status;
  (void) unused;
  while (list_next (L, l)) {
    if (l->n % 100 != 0 || sys_now () - since < SYS_STEP)
      continue;
    host_check (L);
    if (call_can_pause (L))
      return call_pause (L, list_some);
    host_excuse (since);
    since = sys_now ();
  }
  host_excuse (since);
  return 1;
}

/* disk:bad (): a list of { offset =, count = }. */
static int
list_bad (lua_State *L)
{
  struct listing *l;

  lua_settop (L, 1);
  l = lua_newuserdatauv (L, sizeof *l, 0);
  *l = (struct listing) { .n = 0 };
  lua_newtable (L);
  return list_some (L, LUA_OK, 0);
}

static int
share_gc (lua_State *L)
{
  struct medium_share *share = lua_touserdata (L, 1);

  ranges_clear (&share->drawn);
  return 0;
}

/* Push a share, which is freed with its userdata, also where work_show raises an error. */
static struct medium_share *
new_share (lua_State *L)
{
  static const luaL_Reg meta[] = { { "__gc", share_gc }, { NULL, NULL } };
  struct medium_share *share = lua_newuserdatauv (L, sizeof *share, 0);

  *share = (struct medium_share) { .p = 0 };
  if (luaL_newmetatable (L, "share of bad sectors"))
    luaL_setfuncs (L, meta, 0);
  lua_setmetatable (L, -2);
  return share;
}

/* disk:bad { p = [, offset = , count = , seed = ] } */
static int
bad_share (lua_State *L)
{
  static const char *const names[] = { "p", "offset", "count", "seed", NULL };
  const uint64_t size = disk_size (disk_live ());
  uint64_t offset, count, seed;
  struct medium_share *share = new_share (L);
  struct work work;
  double p = 0;
  int err = 0;

  check_keys (L, 2, "disk:bad", names);
  lua_getfield (L, 2, "p");
  if (!to_probability (L, -1, &p))
    return luaL_error (L, "disk:bad: p: expected a probability, such as 0.001, "
                       "\"1%%\" or \"1:1000\"");
  offset = number_field (L, "disk:bad", "offset", 0, size, 0);
  count = number_field (L, "disk:bad", "count", 0, size - offset,
                        size - offset);
  lua_getfield (L, 2, "seed");
  seed = lua_isnil (L, -1) ? host.config.seed
    : (uint64_t) luaL_checkinteger (L, -1);

  if (!medium_share (share, p, seed, count, offset))
    return luaL_error (L, "disk:bad: p: that would be more than %I bad ranges; "
                       "choose a smaller p, or a part of the disk with offset "
                       "and count", (lua_Integer) MEDIUM_BAD_MAX);
  work = work_begin ("disk:bad", share->end);
  while (share->sector < share->end && !err) {
    err = medium_share_draw (share);
    work_show (L, &work, share->sector);
  }
  if (!err)
    err = medium_bad_share (medium (), share);
  ranges_clear (&share->drawn);
  disk_error (L, err, "bad");
  work_end (&work);
  return 0;
}

int
disk_method_bad (lua_State *L)
{
  uint64_t offset, count;

  check_self (L, "bad(offset, count)");
  if (lua_isnone (L, 2))
    return list_bad (L);
  if (lua_istable (L, 2))
    return bad_share (L);
  offset = check_offset (L, 2);
  count = check_count (L, 3, offset);
  disk_error (L, medium_bad (medium (), count, offset), "bad");
  return 0;
}

/* disk:heal ([offset, count]) */
int
disk_method_heal (lua_State *L)
{
  uint64_t offset = 0, count = disk_size (disk_live ());

  check_self (L, "heal(offset, count)");
  if (!lua_isnone (L, 2)) {
    offset = check_offset (L, 2);
    count = check_count (L, 3, offset);
  }
  disk_error (L, medium_heal (medium (), count, offset), "heal");
  return 0;
}

/*--------------------------------------------------------------------*/
/* Space, write protection, rates. */

/* disk:limit ([bytes]) */
int
disk_method_limit (lua_State *L)
{
  check_self (L, "limit(size)");
  medium_limit (medium (), lua_isnoneornil (L, 2) ? UINT64_MAX
                : check_bytes (L, 2, INT64_MAX, UINT64_MAX));
  return 0;
}

/* disk:readonly ([on]) */
int
disk_method_readonly (lua_State *L)
{
  check_self (L, "readonly(true)");
  if (!lua_isnone (L, 2))
    luaL_checktype (L, 2, LUA_TBOOLEAN);
  medium_readonly (medium (), lua_isnone (L, 2) || lua_toboolean (L, 2));
  return 0;
}

/* disk:throttle { bps =, iops = } */
int
disk_method_throttle (lua_State *L)
{
  static const char *const names[] = { "bps", "iops", NULL };
  uint64_t bps = 0, iops = 0;

  check_self (L, "throttle{bps=, iops=}");
  if (!lua_isnone (L, 2)) {
    luaL_checktype (L, 2, LUA_TTABLE);
    check_keys (L, 2, "disk:throttle", names);
    bps = number_field (L, "disk:throttle", "bps", 1, INT64_MAX, 0);
    iops = number_field (L, "disk:throttle", "iops", 1, INT64_MAX, 0);
  }
  medium_throttle (medium (), bps, iops);
  return 0;
}
