/* disk.c - the object disk: the medium itself, without hooks.
 *
 * The functions of disk.h may leave by longjmp where they call on.fill, so
 * buffers and files belong to userdata, which Lua cleans up.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "lib/chance.h"
#include "lua/host.h"

/* Data moves in pieces that stay in the processor's cache. */
#define PIECE ((uint64_t) 64 * 1024)

static uint64_t
least (uint64_t a, uint64_t b)
{
  return a < b ? a : b;
}

/*--------------------------------------------------------------------*/
/* Arguments and results. */

void
check_self (lua_State *L, const char *method)
{
  if (!lua_istable (L, 1))
    luaL_error (L, "call it as disk:%s, with a colon", method);
}

uint64_t
check_offset (lua_State *L, int arg)
{
  return check_bytes (L, arg, disk_size (disk_live ()), UINT64_MAX);
}

uint64_t
check_count (lua_State *L, int arg, uint64_t offset)
{
  return check_bytes (L, arg, disk_size (disk_live ()) - offset, UINT64_MAX);
}

void
disk_error (lua_State *L, int err, const char *method)
{
  if (err)
    luaL_error (L, "disk:%s: %s", method, strerror (err));
}

static void
write_piece (lua_State *L, const char *method, const void *buf, uint64_t count,
             uint64_t offset)
{
  disk_error (L, disk_write (disk_live (), buf, count, offset, L), method);
}

/*--------------------------------------------------------------------*/
/* Long work: it says how far it is, ends when its client does, and is not held
 * against the hook.
 */

struct work {
  const char *what;
  uint64_t total;               /* bytes */
  uint64_t start, show, look;   /* nanoseconds: begun, and what is next */
  bool shown;
};

static struct work
work_begin (const char *what, uint64_t total)
{
  struct work w = { .what = what, .total = total, .start = sys_now () };

  w.show = w.start + SECOND;
  w.look = w.start + 20000000;
  return w;
}

static void
work_show (lua_State *L, struct work *w, uint64_t done)
{
  uint64_t now = sys_now ();

  if (now >= w->look) {
    w->look = now + 20000000;
    host_check (L);
  }
  if (now < w->show)
    return;
  w->show = now + 200000000;
  if (!isatty (STDERR_FILENO))
    return;
  fprintf (stderr, "\r%s: %3.0f %%", w->what,
           100.0 * (double) done / (double) w->total);
  fflush (stderr);
  w->shown = true;
}

static void
work_end (struct work *w)
{
  if (w->shown)
    fprintf (stderr, "\r%s: done \n", w->what);
  host_excuse (w->start);
}

/*--------------------------------------------------------------------*/
/* Bytes. */

/* disk:read (offset, count) */
static int
disk_method_read (lua_State *L)
{
  uint64_t offset, count;
  luaL_Buffer b;
  char *p;

  check_self (L, "read(offset, count)");
  offset = check_offset (L, 2);
  count = check_count (L, 3, offset);
  p = luaL_buffinitsize (L, &b, count);
  disk_error (L, disk_read (disk_live (), p, count, offset, L), "read");
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
  luaL_argcheck (L, len <= disk_size (disk_live ()) - offset, 3,
                 "reaches past the end of the disk");
  write_piece (L, "write", data, len, offset);
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
  disk_error (L, disk_zero (disk_live (), count, offset, L), "zero");
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
    n = least (size, count - done);
    write_piece (L, "fill", buf, n, offset + done);
    work_show (L, &work, done);
  }
  work_end (&work);
  return 0;
}

/* Put the random bytes that belong to OFFSET, a multiple of 8, into BUF:
 * little-endian, so that they are the same on any machine.
 */
static void
random_bytes (uint8_t *buf, uint64_t words, uint64_t offset, uint64_t seed)
{
  for (uint64_t i = 0; i < words; i++) {
    uint64_t w = chance_mix (seed + (offset / 8 + i) * CHANCE_STEP);

#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64 (w);
#endif
    memcpy (buf + i * 8, &w, 8);
  }
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
  /* Neighbouring seeds must not give neighbouring words. */
  seed = chance_mix (seed);
  buf = lua_newuserdatauv (L, PIECE + 8, 0);

  work = work_begin ("disk:random", count);
  for (uint64_t done = 0; done < count; done += n) {
    skip = (offset + done) % 8;
    n = least (PIECE - skip, count - done);
    random_bytes (buf, (skip + n + 7) / 8, offset + done - skip, seed);
    write_piece (L, "random", buf + skip, n, offset + done);
    work_show (L, &work, done);
  }
  work_end (&work);
  return 0;
}

/*--------------------------------------------------------------------*/
/* Files. */

static int
close_file (lua_State *L)
{
  int *fd = lua_touserdata (L, 1);

  if (*fd >= 0)
    close (*fd);
  *fd = -1;
  return 0;
}

/* Open a file that is closed at the latest when Lua collects it. */
static int *
open_file (lua_State *L, const char *name, int flags)
{
  int *fd = lua_newuserdatauv (L, sizeof *fd, 0);

  *fd = -1;
  lua_createtable (L, 0, 1);
  lua_pushcfunction (L, close_file);
  lua_setfield (L, -2, "__gc");
  lua_setmetatable (L, -2);
  *fd = open (name, flags | O_CLOEXEC, 0666);
  if (*fd == -1)
    luaL_error (L, "%s: %s", name, strerror (errno));
  return fd;
}

/* Close it now, so that an error that came late is seen. */
static void
finish_file (lua_State *L, int *fd, const char *name)
{
  int r = close (*fd);

  *fd = -1;
  if (r == -1)
    luaL_error (L, "%s: %s", name, strerror (errno));
}

/* The size of a file to be loaded. */
static uint64_t
image_size (lua_State *L, int fd, const char *name)
{
  struct stat st = { 0 };
  off_t end;

  end = lseek (fd, 0, SEEK_END);
  if (end == -1 || fstat (fd, &st) == -1)
    luaL_error (L, "%s: %s", name, strerror (errno));
  if (!S_ISREG (st.st_mode) && !S_ISBLK (st.st_mode))
    luaL_error (L, "%s: is neither a file nor a block device", name);
  return (uint64_t) end;
}

/* How much of a file from POS on is data (or a hole); at most END - POS. */
static uint64_t
file_run (int fd, uint64_t pos, uint64_t end, bool *data)
{
  uint64_t next = end;

  *data = true;
#ifdef SEEK_DATA
  off_t r = lseek (fd, (off_t) pos, SEEK_DATA);

  if (r == -1 && errno == ENXIO)
    *data = false;
  else if (r > (off_t) pos) {
    *data = false;
    next = (uint64_t) r;
  }
  else if (r == (off_t) pos && (r = lseek (fd, (off_t) pos, SEEK_HOLE)) != -1)
    next = (uint64_t) r;
#endif
  return least (next, end) - pos;
}

/* Copy COUNT bytes of a file, all data, to the disk. */
static void
load_data (lua_State *L, int fd, const char *name, char *buf, uint64_t pos,
           uint64_t count, uint64_t offset)
{
  while (count > 0) {
    ssize_t r = pread (fd, buf, least (PIECE, count), (off_t) pos);

    if (r == -1 && errno == EINTR)
      continue;
    if (r <= 0)
      luaL_error (L, "%s: %s", name,
                  r == 0 ? "became shorter" : strerror (errno));
    write_piece (L, "load", buf, (uint64_t) r, offset);
    pos += (uint64_t) r;
    offset += (uint64_t) r;
    count -= (uint64_t) r;
  }
}

/* disk:load (file [, offset]) */
static int
disk_method_load (lua_State *L)
{
  uint64_t offset, room, size, n;
  struct work work;
  const char *name;
  char *buf;
  bool data;
  int *fd;

  check_self (L, "load(file)");
  name = luaL_checkstring (L, 2);
  offset = check_bytes (L, 3, disk_size (disk_live ()), 0);
  room = disk_size (disk_live ()) - offset;
  fd = open_file (L, name, O_RDONLY | O_NONBLOCK);    /* it may be a FIFO */
  size = image_size (L, *fd, name);
  if (size > room)
    return luaL_error (L, "%s: has %I bytes, but from offset %I on the disk "
                       "has %I", name, (lua_Integer) size,
                       (lua_Integer) offset, (lua_Integer) room);

  buf = lua_newuserdatauv (L, PIECE, 0);
  work = work_begin (name, size);
  for (uint64_t pos = 0; pos < size; pos += n) {
    n = file_run (*fd, pos, size, &data);
    /* Not all at once: there may be something to show. */
    n = least (n, 16 * PIECE);
    if (data)
      load_data (L, *fd, name, buf, pos, n, offset + pos);
    else {
      n = file_run (*fd, pos, size, &data);
      disk_error (L, disk_zero (disk_live (), n, offset + pos, L), "load");
    }
    work_show (L, &work, pos);
  }
  work_end (&work);
  finish_file (L, fd, name);
  lua_pushinteger (L, (lua_Integer) size);
  return 1;
}

/* Copy COUNT bytes of the disk to a file. */
static void
save_data (lua_State *L, int fd, const char *name, char *buf, uint64_t count,
           uint64_t offset)
{
  uint64_t n = 0, done = 0;

  for (; count > 0; offset += done, count -= done) {
    ssize_t r;

    n = least (PIECE, count);
    disk_error (L, disk_read (disk_live (), buf, n, offset, L), "save");
    r = pwrite (fd, buf, n, (off_t) offset);
    done = r > 0 ? (uint64_t) r : 0;
    if (r == -1 && errno != EINTR)
      luaL_error (L, "%s: %s", name, strerror (errno));
  }
}

/* disk:save (file) */
static int
disk_method_save (lua_State *L)
{
  uint64_t size = disk_size (disk_live ()), n;
  struct work work;
  const char *name;
  char *buf;
  bool data;
  int *fd;

  check_self (L, "save(file)");
  name = luaL_checkstring (L, 2);
  fd = open_file (L, name, O_WRONLY | O_CREAT | O_TRUNC);
  if (ftruncate (*fd, (off_t) size) == -1)
    return luaL_error (L, "%s: %s", name, strerror (errno));

  buf = lua_newuserdatauv (L, PIECE, 0);
  work = work_begin (name, size);
  for (uint64_t offset = 0; offset < size; offset += n) {
    n = disk_extent (disk_live (), size - offset, offset, &data);
    if (data) {
      n = least (n, 16 * PIECE);
      save_data (L, *fd, name, buf, n, offset);
    }
    work_show (L, &work, offset);
  }
  work_end (&work);
  finish_file (L, fd, name);
  return 0;
}

/*--------------------------------------------------------------------*/
/* Extents and snapshots. */

/* The iterator: upvalues are where it is, and the end. */
static int
next_extent (lua_State *L)
{
  uint64_t offset = (uint64_t) lua_tointeger (L, lua_upvalueindex (1));
  uint64_t end = (uint64_t) lua_tointeger (L, lua_upvalueindex (2)), n;
  bool data;

  if (offset >= end)
    return 0;
  n = disk_extent (disk_live (), end - offset, offset, &data);
  lua_pushinteger (L, (lua_Integer) offset);
  lua_pushinteger (L, (lua_Integer) n);
  lua_pushstring (L, data ? "data" : "hole");
  offset += n;
  lua_pushinteger (L, (lua_Integer) offset);
  lua_replace (L, lua_upvalueindex (1));
  return 3;
}

/* disk:extents ([offset, count]) */
static int
disk_method_extents (lua_State *L)
{
  uint64_t offset, end, room;

  check_self (L, "extents()");
  offset = check_bytes (L, 2, disk_size (disk_live ()), 0);
  room = disk_size (disk_live ()) - offset;
  end = offset + check_bytes (L, 3, room, room);
  lua_pushinteger (L, (lua_Integer) offset);
  lua_pushinteger (L, (lua_Integer) end);
  lua_pushcclosure (L, next_extent, 2);
  return 1;
}

/* disk:snapshot (name) */
static int
disk_method_snapshot (lua_State *L)
{
  const char *name;
  size_t len;
  int err;

  check_self (L, "snapshot(name)");
  name = luaL_checklstring (L, 2, &len);
  luaL_argcheck (L, len > 0 && len <= 1024 && strlen (name) == len, 2,
                 "is no name for an export");
  err = disk_snapshot (disk_live (), name);
  if (err == EEXIST)
    return luaL_error (L, "disk:snapshot: there is a snapshot '%s' already; "
                       "disk:drop it first", name);
  disk_error (L, err, "snapshot");
  return 0;
}

/* disk:drop (name) */
static int
disk_method_drop (lua_State *L)
{
  const char *name;

  check_self (L, "drop(name)");
  name = luaL_checkstring (L, 2);
  if (disk_drop (name) != 0)
    return luaL_error (L, "disk:drop: there is no snapshot '%s'", name);
  return 0;
}

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
  { "drop", disk_method_drop },
  { "bad", disk_method_bad },
  { "heal", disk_method_heal },
  { "limit", disk_method_limit },
  { "readonly", disk_method_readonly },
  { "throttle", disk_method_throttle },
  { "stats", disk_method_stats },
  { NULL, NULL }
};

#define NR_METHODS (sizeof methods / sizeof methods[0] - 1)

static const char *names[NR_METHODS + 2];

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
  lua_createtable (L, 0, 3);
  luaL_newlib (L, methods);
  lua_pushinteger (L, (lua_Integer) disk_size (disk_live ()));
  lua_setfield (L, -2, "size");

  for (size_t i = 0; i < NR_METHODS; i++)
    names[i] = methods[i].name;
  names[NR_METHODS] = "size";
  make_strict (L, "disk", names, NULL);
  lua_pushvalue (L, -1);
  lua_setfield (L, -3, "__index");
  lua_pushcclosure (L, disk_newindex, 1);
  lua_setfield (L, -2, "__newindex");
  lua_pushboolean (L, 0);
  lua_setfield (L, -2, "__metatable");
  lua_setmetatable (L, -2);
}
