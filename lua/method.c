/* method.c - what the methods of the object disk have in common. */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/min.h"
#include "lua/method.h"

/*--------------------------------------------------------------------*/
/* Arguments and results. */

const char disk_object = 0;

void
check_self (lua_State *L, const char *method)
{
  bool same = !lua_isnone (L, 1);

  lua_rawgetp (L, LUA_REGISTRYINDEX, &disk_object);
  same = same && lua_rawequal (L, 1, -1);
  lua_pop (L, 1);
  if (!same)
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
  if (err == HOOK_RAISED)
    lua_error (L);
  if (err)
    luaL_error (L, "disk:%s: %s", method, strerror (err));
}

void
disk_write_piece (lua_State *L, const char *method, const void *buf,
                  uint64_t count, uint64_t offset)
{
  disk_error (L, disk_write (disk_live (), buf, count, offset, L), method);
}

/*--------------------------------------------------------------------*/
/* Pieces of a range.  How long one takes depends on what is stored there. */

#define LEAST_PIECE (UINT64_C (1) << 26)
#define FIRST_PIECE (UINT64_C (1) << 30)
#define MOST_PIECE (UINT64_C (1) << 62)

/* The size, a power of two, of the piece after one that began at SINCE.  Where that
 * took long, check whether to stop.
 */
static uint64_t
next_piece (lua_State *L, uint64_t piece, uint64_t since)
{
  if (sys_now () - since < SYS_STEP / 4)
    return piece < MOST_PIECE ? piece * 2 : piece;
  host_check (L);
  return piece > LEAST_PIECE ? piece / 2 : piece;
}

/* Pieces end at their multiples, so that each page lies in one of them. */
void
disk_zero_pieces (lua_State *L, const char *method, uint64_t count,
                  uint64_t offset)
{
  uint64_t piece = FIRST_PIECE, n;

  for (; count > 0; offset += n, count -= n) {
    const uint64_t since = sys_now ();

    n = min_u64 (piece - offset % piece, count);
    disk_error (L, disk_zero (disk_live (), n, offset, L), method);
    piece = next_piece (L, piece, since);
  }
}

uint64_t
disk_extent_pieces (lua_State *L, struct disk *d, uint64_t offset, uint64_t end,
                    bool *data)
{
  uint64_t pos = offset, piece = FIRST_PIECE, asked, n;
  bool kind;

  for (;;) {
    const uint64_t since = sys_now ();

    asked = min_u64 (piece, end - pos);
    n = disk_extent (d, asked, pos, &kind);
    if (pos > offset && kind != *data)
      break;
    *data = kind;
    pos += n;
    if (n < asked || pos == end)
      break;
    piece = next_piece (L, piece, since);
  }
  return pos - offset;
}

/*--------------------------------------------------------------------*/
/* Long work. */

struct work
work_begin (const char *what, uint64_t total)
{
  struct work w = { .what = what, .total = total, .start = sys_now () };

  w.show = w.start + SECOND;
  w.look = w.start + SYS_STEP;
  return w;
}

void
work_show (lua_State *L, struct work *w, uint64_t done)
{
  uint64_t now = sys_now ();

  if (now >= w->look) {
    w->look = now + SYS_STEP;
    host_check (L);
  }
  if (now < w->show)
    return;
  w->show = now + SECOND / 5;
  if (!isatty (STDERR_FILENO))
    return;
  fprintf (stderr, "\r%s: %3.0f %%", w->what,
           100.0 * (double) done / (double) w->total);
  fflush (stderr);
  w->shown = true;
}

void
work_end (struct work *w)
{
  if (w->shown)
    fprintf (stderr, "\r%s: done \n", w->what);
  host_excuse (w->start);
}
