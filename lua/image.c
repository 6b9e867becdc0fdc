/* image.c - the methods of the object disk that load and save files.
 *
 * Each call may raise an error, so buffers and files belong to userdata, which
 * Lua cleans up.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "lib/min.h"
#include "lua/method.h"

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

/*--------------------------------------------------------------------*/
/* Loading. */

/* The size of a file to be loaded. */
static uint64_t
image_size (lua_State *L, int fd, const char *name)
{
  struct stat st = { 0 };
  off_t end;

  if (fstat (fd, &st) == -1)
    luaL_error (L, "%s: %s", name, strerror (errno));
  if (!S_ISREG (st.st_mode) && !S_ISBLK (st.st_mode))
    luaL_error (L, "%s: is neither a file nor a block device", name);
  /* Not before that: a directory of tmpfs has no end to seek to. */
  end = lseek (fd, 0, SEEK_END);
  if (end == -1)
    luaL_error (L, "%s: %s", name, strerror (errno));
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
  return min_u64 (next, end) - pos;
}

/* Copy COUNT bytes of a file, all data, to the disk. */
static void
load_data (lua_State *L, int fd, const char *name, char *buf, uint64_t pos,
           uint64_t count, uint64_t offset)
{
  while (count > 0) {
    ssize_t r = pread (fd, buf, min_u64 (PIECE, count), (off_t) pos);

    if (r == -1 && errno == EINTR)
      continue;
    if (r <= 0)
      luaL_error (L, "%s: %s", name,
                  r == 0 ? "became shorter" : strerror (errno));
    disk_write_piece (L, "load", buf, (uint64_t) r, offset);
    pos += (uint64_t) r;
    offset += (uint64_t) r;
    count -= (uint64_t) r;
  }
}

/* disk:load (file [, offset]) */
int
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
    n = min_u64 (n, 16 * PIECE);
    if (data)
      load_data (L, *fd, name, buf, pos, n, offset + pos);
    else {
      n = file_run (*fd, pos, size, &data);
      disk_zero_pieces (L, "load", n, offset + pos);
    }
    work_show (L, &work, pos);
  }
  work_end (&work);
  finish_file (L, fd, name);
  lua_pushinteger (L, (lua_Integer) size);
  return 1;
}

/*--------------------------------------------------------------------*/
/* Saving. */

/* Copy COUNT bytes of the disk to a file. */
static void
save_data (lua_State *L, int fd, const char *name, char *buf, uint64_t count,
           uint64_t offset)
{
  uint64_t n = 0, done = 0;

  for (; count > 0; offset += done, count -= done) {
    ssize_t r;

    n = min_u64 (PIECE, count);
    disk_error (L, disk_read (disk_live (), buf, n, offset, L), "save");
    r = pwrite (fd, buf, n, (off_t) offset);
    done = r > 0 ? (uint64_t) r : 0;
    if (r == -1 && errno != EINTR)
      luaL_error (L, "%s: %s", name, strerror (errno));
  }
}

/* disk:save (file) */
int
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
    n = disk_extent_pieces (L, offset, size, &data);
    if (data) {
      n = min_u64 (n, 16 * PIECE);
      save_data (L, *fd, name, buf, n, offset);
    }
    work_show (L, &work, offset);
  }
  work_end (&work);
  finish_file (L, fd, name);
  return 0;
}
