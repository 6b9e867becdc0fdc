/* req.c - the object that a hook gets: a request. */

#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lua/host.h"

/* The call that this req belongs to.  A script may keep req longer than the
 * request lasts, so the userdata only holds a pointer, cleared at the end.
 */
static struct call *
call_of (lua_State *L, struct call **handle)
{
  if (!*handle)
    luaL_error (L, "this request is over");
  return *handle;
}

/* For metamethods: only a req gets there, unless debug.getmetatable helps. */
static struct call *
indexed_req (lua_State *L)
{
  if (lua_type (L, 1) != LUA_TUSERDATA
      || lua_rawlen (L, 1) != sizeof (struct call *))
    luaL_checkudata (L, 1, "request");
  return call_of (L, lua_touserdata (L, 1));
}

/* The req whose METHOD was called, perhaps without it. */
static struct call *
check_req (lua_State *L, const char *method)
{
  if (!luaL_testudata (L, 1, "request"))
    luaL_error (L, "call it as req:%s, with a colon", method);
  return call_of (L, lua_touserdata (L, 1));
}

/* A request may be on its way to the disk: only its own hook changes it.  What
 * the function of a rule would set would not outlive that function.
 */
static void
check_own (lua_State *L, const struct call *c)
{
  if (host.call != c)
    luaL_error (L, "this request belongs to another hook");
  if (!c->kind->run)
    luaL_error (L, "a hook can change a request, but the function of a rule "
                "can't");
}

/*--------------------------------------------------------------------*/
/* Fields. */

static void
get_op (lua_State *L, struct call *c)
{
  lua_pushstring (L, op_names[c->req->op]);
}

static void
get_offset (lua_State *L, struct call *c)
{
  lua_pushinteger (L, (lua_Integer) c->req->offset);
}

static void
get_count (lua_State *L, struct call *c)
{
  lua_pushinteger (L, c->req->count);
}

static void
get_fua (lua_State *L, struct call *c)
{
  lua_pushboolean (L, (c->req->flags & NBDKIT_FLAG_FUA) != 0);
}

static void
get_fast (lua_State *L, struct call *c)
{
  lua_pushboolean (L, (c->req->flags & NBDKIT_FLAG_FAST_ZERO) != 0);
}

static void
get_conn (lua_State *L, struct call *c)
{
  lua_pushinteger (L, (lua_Integer) c->req->conn->id);
}

static void
get_export (lua_State *L, struct call *c)
{
  lua_pushstring (L, c->req->conn->export_name);
}

static void
get_n (lua_State *L, struct call *c)
{
  lua_pushinteger (L, (lua_Integer) c->req->n);
}

/* The string is made when it is first wanted, and kept in the userdata. */
static void
get_data (lua_State *L, struct call *c)
{
  bool has_data = c->req->op == OP_WRITE || (c->req->op == OP_READ && c->done && !c->err);

  if (!has_data) {
    lua_pushnil (L);
    return;
  }
  if (lua_getiuservalue (L, 1, 1) != LUA_TNIL)
    return;
  lua_pop (L, 1);
  lua_pushlstring (L, c->req->buf, c->req->count);
  lua_pushvalue (L, -1);
  lua_setiuservalue (L, 1, 1);
}

/* req.data = string.  The string stays in the userdata, and so alive, for as
 * long as the request may want to store it.
 */
static void
set_data (lua_State *L, struct call *c)
{
  size_t len;
  const char *data;

  check_own (L, c);
  if (c->req->op != OP_READ && c->req->op != OP_WRITE)
    luaL_error (L, "req.data: a %s carries no data", op_names[c->req->op]);
  if (lua_type (L, 3) != LUA_TSTRING)
    luaL_error (L, "req.data: expected a string, got %s",
                luaL_typename (L, 3));
  data = lua_tolstring (L, 3, &len);
  if (len != c->req->count)
    luaL_error (L, "req.data: expected %I bytes, got %I",
                (lua_Integer) c->req->count, (lua_Integer) len);
  if (c->req->op == OP_WRITE && c->done)
    luaL_error (L, "req.data: the write has been performed already");

  lua_settop (L, 3);
  lua_setiuservalue (L, 1, 1);
  if (c->req->op == OP_WRITE)
    c->req->buf = (void *) data;
  else {
    /* This is the answer, whatever the disk says. */
    memcpy (c->req->buf, data, len);
    c->done = true;
    c->err = 0;
  }
  c->changed = true;
}

/*--------------------------------------------------------------------*/
/* Methods. */

/* After the request was performed: the data of a read, true for others, or
 * nil and the name of the error.
 */
static int
run_done (lua_State *L, int status, lua_KContext context)
{
  struct call *c = check_req (L, "run()");

  (void) status;
  (void) context;
  if (c->err) {
    lua_pushnil (L);
    lua_pushstring (L, errno_name (c->err));
    return 2;
  }
  if (c->req->op == OP_READ)
    get_data (L, c);
  else
    lua_pushboolean (L, 1);
  return 1;
}

/* req:run() */
static int
req_run (lua_State *L)
{
  struct call *c = check_req (L, "run()");

  lua_settop (L, 1);
  if (check_call (L, "req:run", true) != c)
    return luaL_error (L, "req:run: this is another request");
  if (!c->kind->run)
    return luaL_error (L, "req:run is for hooks, not for functions of rules");
  if (c->req->op == OP_READ) {
    lua_pushnil (L);
    lua_setiuservalue (L, 1, 1);
  }
  c->command = RUN;
  return lua_yieldk (L, 0, 0, run_done);
}

/* req:skip() */
static int
req_skip (lua_State *L)
{
  struct call *c = check_req (L, "skip()");

  check_own (L, c);
  c->skipped = c->skipped || !c->done || c->err;
  if (c->req->op == OP_READ && (!c->done || c->err))
    memset (c->req->buf, 0, c->req->count);
  c->done = true;
  c->err = 0;
  return 0;
}

/*--------------------------------------------------------------------*/

/* The language of req in one table; set is NULL where a field can't be set. */
static const struct field {
  const char *name;
  void (*get) (lua_State *L, struct call *c);
  void (*set) (lua_State *L, struct call *c);
  lua_CFunction method;
} fields[] = {
  { "op",     get_op,     NULL,     NULL },
  { "offset", get_offset, NULL,     NULL },
  { "count",  get_count,  NULL,     NULL },
  { "fua",    get_fua,    NULL,     NULL },
  { "fast",   get_fast,   NULL,     NULL },
  { "conn",   get_conn,   NULL,     NULL },
  { "export", get_export, NULL,     NULL },
  { "n",      get_n,      NULL,     NULL },
  { "data",   get_data,   set_data, NULL },
  { "run",    NULL,       NULL,     req_run },
  { "skip",   NULL,       NULL,     req_skip },
};

#define NR_FIELDS (sizeof fields / sizeof fields[0])

static int
unknown_field (lua_State *L)
{
  static const char *const functions[][2] = {
    { "fail", "fail \"EIO\"" }, { "error", "fail \"EIO\"" },
    { "sleep", "sleep \"50ms\"" }, { "hang", "hang()" },
  };
  const char *names[NR_FIELDS + 1] = { NULL }, *name = luaL_tolstring (L, 2, NULL);

  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
    if (strcmp (name, functions[i][0]) == 0)
      return luaL_error (L, "req has no '%s'; use %s", name, functions[i][1]);
  for (size_t i = 0; i < NR_FIELDS; i++)
    names[i] = fields[i].name;
  return unknown_name (L, "req", name, names);
}

/* The field named by argument 2.  Upvalue 1 maps names to fields. */
static const struct field *
find_field (lua_State *L)
{
  const struct field *f;

  lua_pushvalue (L, 2);
  lua_rawget (L, lua_upvalueindex (1));
  f = lua_touserdata (L, -1);
  lua_pop (L, 1);
  return f;
}

static int
req_index (lua_State *L)
{
  struct call *c = indexed_req (L);
  const struct field *f = find_field (L);

  if (!f)
    return unknown_field (L);
  if (f->method)
    lua_pushcfunction (L, f->method);
  else
    f->get (L, c);
  return 1;
}

static int
req_newindex (lua_State *L)
{
  struct call *c = indexed_req (L);
  const struct field *f = find_field (L);

  if (!f)
    return unknown_field (L);
  if (!f->set)
    return luaL_error (L, "req.%s can't be set", f->name);
  f->set (L, c);
  return 0;
}

static int req_ref;             /* the metatable of all req */

void
push_req (lua_State *L, struct call *c)
{
  c->handle = lua_newuserdatauv (L, sizeof (void *), 1);
  *c->handle = c;
  lua_rawgeti (L, LUA_REGISTRYINDEX, req_ref);
  lua_setmetatable (L, -2);
}

void
open_req (lua_State *L)
{
  lua_createtable (L, 0, NR_FIELDS);
  for (size_t i = 0; i < NR_FIELDS; i++) {
    lua_pushlightuserdata (L, (void *) &fields[i]);
    lua_setfield (L, -2, fields[i].name);
  }
  new_class (L, "request", req_index, req_newindex, 1);
  lua_pushliteral (L, "request");       /* what getmetatable gives */
  lua_setfield (L, -2, "__metatable");
  req_ref = luaL_ref (L, LUA_REGISTRYINDEX);
}
