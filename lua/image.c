/* image.c - the methods of the object disk that load and save files.
 *
 * Each call may raise an error, so buffers and files belong to userdata, which
 * Lua cleans up.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "disk/replay.h"
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

/* Raise the error ERR about a file.  nbdkit in the background is in /, where a relative
 * name means another file than its user may think.
 */
static void
file_error (lua_State *L, const char *name, int err)
{
  char here[2];

  luaL_error (L, "%s: %s%s", name, strerror (err),
              err == ENOENT && *name != '/' && getcwd (here, sizeof here)
              ? " (relative to /)" : "");
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
    file_error (L, name, errno);
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
/* A file that is saved: a new one in the same directory, which takes its place when it
 * is complete, so that a crash leaves the old one or the new one, never a half.
 */

struct saving {
  const char *name;             /* as the script has it, for errors */
  char *path;                   /* without symbolic links */
  const char *base;             /* in its directory */
  int dir, fd;                  /* -1: not open */
  char temporary[NAME_MAX + 1]; /* in the same directory; "": there is none */
};

/* Undo what was not finished. */
static int
end_saving (lua_State *L)
{
  struct saving *s = lua_touserdata (L, 1);

  if (*s->temporary)
    unlinkat (s->dir, s->temporary, 0);
  if (s->fd >= 0)
    close (s->fd);
  if (s->dir >= 0)
    close (s->dir);
  *s->temporary = '\0';
  s->fd = s->dir = -1;
  return 0;
}

static void
check_saving (lua_State *L, const struct saving *s, bool good)
{
  if (!good)
    file_error (L, s->name, errno);
}

/* Push one, which ends with the C function that runs. */
static struct saving *
new_saving (lua_State *L, const char *name)
{
  char *path = lua_newuserdatauv (L, PATH_MAX, 0);
  struct saving *s = lua_newuserdatauv (L, sizeof *s, 0);

  *s = (struct saving) { .name = name, .path = path, .dir = -1, .fd = -1 };
  lua_createtable (L, 0, 2);
  lua_pushcfunction (L, end_saving);
  lua_setfield (L, -2, "__gc");
  lua_pushcfunction (L, end_saving);
  lua_setfield (L, -2, "__close");
  lua_setmetatable (L, -2);
  lua_toclose (L, -1);
  return s;
}

/* Find out where the file is, or will be.  What is there in *OLD; its mode is 0 if that
 * is nothing.
 */
static void
find_place (lua_State *L, struct saving *s, struct stat *old)
{
  const size_t len = strlen (s->name);

  if (!realpath (s->name, s->path)) {
    check_saving (L, s, errno == ENOENT);
    errno = ENAMETOOLONG;
    check_saving (L, s, len < PATH_MAX);
    memcpy (s->path, s->name, len + 1);
  }
  *old = (struct stat) { .st_mode = 0 };
  check_saving (L, s, stat (s->path, old) == 0 || errno == ENOENT);
  s->base = strrchr (s->path, '/');
  s->base = s->base ? s->base + 1 : s->path;
  errno = EISDIR;
  check_saving (L, s, !S_ISDIR (old->st_mode) && (*s->base || len == 0));
  if (old->st_mode && !S_ISREG (old->st_mode))
    luaL_error (L, "%s: is no regular file", s->name);
}

static void
open_directory (lua_State *L, struct saving *s)
{
  char *path = lua_newuserdatauv (L, PATH_MAX, 0);
  const size_t len = (size_t) (s->base - s->path);

  memcpy (path, s->path, len);
  path[len] = '\0';
  s->dir = open (len ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check_saving (L, s, s->dir != -1);
}

/* A name that no file has; another process that saves the same file has another one. */
static void
open_temporary (lua_State *L, struct saving *s)
{
  char name[sizeof s->temporary];

  for (unsigned i = 0; s->fd == -1 && i < 100; i++) {
    snprintf (name, sizeof name, "%.200s.%ld-%u.tmp", s->base, (long) getpid (), i);
    s->fd = openat (s->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (s->fd == -1 && errno != EEXIST)
      break;
  }
  check_saving (L, s, s->fd != -1);
  memcpy (s->temporary, name, sizeof name);
}

/* The new file has the owner and the rights of the old one.  If it can't have the
 * owner, the old rights of the group are not those of another group.
 */
static void
keep_rights (const struct saving *s, const struct stat *old)
{
  const bool ours = fchown (s->fd, old->st_uid, old->st_gid) == 0;

  fchmod (s->fd, old->st_mode & (ours ? 0777 : 0707));
}

static struct saving *
begin_saving (lua_State *L, const char *name, uint64_t size)
{
  struct saving *s = new_saving (L, name);
  struct stat old;

  find_place (L, s, &old);
  open_directory (L, s);
  open_temporary (L, s);
  if (old.st_mode)
    keep_rights (s, &old);
  check_saving (L, s, ftruncate (s->fd, (off_t) size) == 0);
  return s;
}

/* It is complete.  (A directory that can't be synced, as on some file systems, is the
 * system's affair.)
 */
static void
finish_saving (lua_State *L, struct saving *s)
{
  int r;

  check_saving (L, s, fsync (s->fd) == 0);
  r = close (s->fd);
  s->fd = -1;
  check_saving (L, s, r == 0);
  check_saving (L, s, renameat (s->dir, s->temporary, s->dir, s->base) == 0);
  *s->temporary = '\0';
  check_saving (L, s, fsync (s->dir) == 0 || errno == EINVAL);
}

/*--------------------------------------------------------------------*/
/* Saving. */

/* Copy COUNT bytes of the disk to a file. */
static void
save_data (lua_State *L, struct disk *d, const struct saving *s, char *buf,
           uint64_t count, uint64_t offset)
{
  uint64_t n = 0, done = 0;

  for (; count > 0; offset += done, count -= done) {
    ssize_t r;

    n = min_u64 (PIECE, count);
    disk_error (L, disk_read (d, buf, n, offset, L), "save");
    r = pwrite (s->fd, buf, n, (off_t) offset);
    done = r > 0 ? (uint64_t) r : 0;
    check_saving (L, s, r != -1 || errno == EINTR);
  }
}

/* disk:save (file): the path of the file, which tells where a relative name is. */
int
disk_method_save (lua_State *L)
{
  struct disk *d = check_disk (L, "save(file)", 1);
  uint64_t size = disk_size (d), n;
  struct saving *s;
  struct work work;
  char *buf;
  bool data;

  s = begin_saving (L, luaL_checkstring (L, 2), size);
  buf = lua_newuserdatauv (L, PIECE, 0);
  work = work_begin (s->name, size);
  for (uint64_t offset = 0; offset < size; offset += n) {
    n = disk_extent_pieces (L, d, offset, size, &data);
    if (data) {
      n = min_u64 (n, 16 * PIECE);
      save_data (L, d, s, buf, n, offset);
    }
    work_show (L, &work, offset);
  }
  finish_saving (L, s);
  work_end (&work);
  lua_pushstring (L, realpath (s->name, s->path) ? s->path : s->name);
  return 1;
}

/* disk:save_history (file): as disk:save. */
int
disk_method_save_history (lua_State *L)
{
  const uint64_t since = sys_now ();
  struct saving *s;
  char why[300];
  int err;

  check_self (L, "save_history(file)");
  s = begin_saving (L, luaL_checkstring (L, 2), 0);
  err = replay_save (s->fd, why, sizeof why);
  host_excuse (since);
  if (err == EINVAL)
    luaL_error (L, "disk:save_history: %s", why);
  errno = err;
  check_saving (L, s, err == 0);
  finish_saving (L, s);
  lua_pushstring (L, realpath (s->name, s->path) ? s->path : s->name);
  return 1;
}
