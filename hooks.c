/* hooks.c - the Lua host.
 *
 * One Lua state serves all connections, behind one lock, which is not held
 * while a request touches the store.  Every way into Lua goes through
 * protected(), because an error outside of a protected call, even one for
 * lack of memory, would abort the server.
 */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "hooks.h"

struct hooks {
  lua_State *L;
  pthread_mutex_t lock;
  struct store *disk;
  bool wants[OP_COUNT];         /* set while scripts load */
  int failure;                  /* errno given to fail() */
};

static const char *const op_names[] = { "read", "write", NULL };

/* The errors that NBD can carry. */
static const struct { const char *name; int code; } errnos[] = {
  { "EPERM", EPERM }, { "EIO", EIO }, { "ENOMEM", ENOMEM },
  { "EINVAL", EINVAL }, { "ENOSPC", ENOSPC }, { "ESHUTDOWN", ESHUTDOWN },
};

static struct hooks *
hooks_of (lua_State *L)
{
  return *(struct hooks **) lua_getextraspace (L);
}

/*--------------------------------------------------------------------*/
/* What scripts see. */

/* An offset or count, checked against the disk: 0 <= it <= MAX. */
static uint64_t
check_bytes (lua_State *L, int arg, uint64_t max)
{
  lua_Integer n = luaL_checkinteger (L, arg);

  luaL_argcheck (L, n >= 0 && (uint64_t) n <= max, arg,
                 "outside of the disk");
  return (uint64_t) n;
}

/* disk:write (offset, data) */
static int
disk_write (lua_State *L)
{
  struct store *disk = hooks_of (L)->disk;
  uint64_t offset = check_bytes (L, 2, store_size (disk));
  size_t len;
  const char *data = luaL_checklstring (L, 3, &len);
  int err;

  luaL_argcheck (L, len <= store_size (disk) - offset, 3,
                 "does not fit on the disk at this offset");
  err = store_write (disk, data, len, offset);
  if (err)
    return luaL_error (L, "disk:write: %s", strerror (err));
  return 0;
}

/* fail (name): the request fails with this error. */
static int
hook_fail (lua_State *L)
{
  const char *name = luaL_checkstring (L, 1);

  for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
    if (strcmp (name, errnos[i].name) == 0) {
      hooks_of (L)->failure = errnos[i].code;
      return lua_error (L);
    }
  }
  return luaL_error (L, "fail: NBD can't carry %s; use EPERM, EIO, ENOMEM, "
                     "EINVAL, ENOSPC or ESHUTDOWN", name);
}

/* on.NAME = function: remember the hook. */
static int
on_newindex (lua_State *L)
{
  int op = luaL_checkoption (L, 2, NULL, op_names);

  luaL_checktype (L, 3, LUA_TFUNCTION);
  lua_rawset (L, 1);
  hooks_of (L)->wants[op] = true;
  return 0;
}

static const luaL_Reg disk_methods[] = {
  { "write", disk_write },
  { NULL, NULL }
};

static int
open_host (lua_State *L)
{
  luaL_openlibs (L);

  luaL_newlib (L, disk_methods);
  lua_pushinteger (L, (lua_Integer) store_size (hooks_of (L)->disk));
  lua_setfield (L, -2, "size");
  lua_setglobal (L, "disk");

  lua_newtable (L);
  lua_pushvalue (L, -1);
  lua_setfield (L, LUA_REGISTRYINDEX, "on");
  lua_createtable (L, 0, 1);
  lua_pushcfunction (L, on_newindex);
  lua_setfield (L, -2, "__newindex");
  lua_setmetatable (L, -2);
  lua_setglobal (L, "on");

  lua_register (L, "fail", hook_fail);
  return 0;
}

/*--------------------------------------------------------------------*/
/* The ways in. */

static int
as_text (lua_State *L)
{
  if (hooks_of (L)->failure == 0)
    luaL_tolstring (L, 1, NULL);
  return 1;
}

/* Call FN with ARG.  0, or -1 with the message on the stack. */
static int
protected (struct hooks *h, lua_CFunction fn, void *arg)
{
  lua_pushcfunction (h->L, as_text);
  lua_pushcfunction (h->L, fn);
  lua_pushlightuserdata (h->L, arg);
  return lua_pcall (h->L, 1, 0, 1) == LUA_OK ? 0 : -1;
}

struct hooks *
hooks_create (struct store *disk)
{
  struct hooks *h = calloc (1, sizeof *h);

  if (!h)
    return NULL;
  h->disk = disk;
  h->L = luaL_newstate ();
  if (!h->L) {
    free (h);
    return NULL;
  }
  *(struct hooks **) lua_getextraspace (h->L) = h;
  pthread_mutex_init (&h->lock, NULL);
  if (protected (h, open_host, NULL) == -1) {
    hooks_free (h);
    return NULL;
  }
  lua_settop (h->L, 0);
  return h;
}

void
hooks_free (struct hooks *h)
{
  if (!h)
    return;
  lua_close (h->L);
  pthread_mutex_destroy (&h->lock);
  free (h);
}

struct script { const char *name, *code; };

static int
run_script (lua_State *L)
{
  const struct script *s = lua_touserdata (L, 1);
  int r = s->code ? luaL_loadbufferx (L, s->code, strlen (s->code), s->name, "t")
                  : luaL_loadfilex (L, s->name, "t");

  if (r != LUA_OK)
    return lua_error (L);
  lua_call (L, 0, 0);
  return 0;
}

int
hooks_run (struct hooks *h, const char *name, const char *code)
{
  struct script s = { name, code };
  int r = protected (h, run_script, &s);

  if (r == -1)
    nbdkit_error ("%s", lua_tostring (h->L, -1));
  lua_settop (h->L, 0);
  return r;
}

bool
hooks_wants (const struct hooks *h, enum op op)
{
  return h->wants[op];
}

static int
run_hook (lua_State *L)
{
  const struct request *req = lua_touserdata (L, 1);

  lua_getfield (L, LUA_REGISTRYINDEX, "on");
  lua_pushstring (L, op_names[req->op]);
  lua_rawget (L, -2);
  lua_createtable (L, 0, 5);
  lua_pushstring (L, op_names[req->op]);
  lua_setfield (L, -2, "op");
  lua_pushinteger (L, (lua_Integer) req->offset);
  lua_setfield (L, -2, "offset");
  lua_pushinteger (L, req->count);
  lua_setfield (L, -2, "count");
  lua_pushboolean (L, req->fua);
  lua_setfield (L, -2, "fua");
  if (req->op == OP_WRITE) {
    lua_pushlstring (L, req->buf, req->count);
    lua_setfield (L, -2, "data");
  }
  lua_call (L, 1, 0);
  return 0;
}

int
hooks_request (struct hooks *h, struct request *req,
               int (*perform) (struct request *req))
{
  int err = 0;

  pthread_mutex_lock (&h->lock);
  h->failure = 0;
  if (protected (h, run_hook, req) == -1) {
    err = h->failure ? h->failure : EIO;
    if (!h->failure)
      nbdkit_error ("%s", lua_tostring (h->L, -1));
  }
  lua_settop (h->L, 0);
  pthread_mutex_unlock (&h->lock);
  return err ? err : perform (req);
}
