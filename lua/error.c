/* error.c - what a failure of Lua code means, and who is told.
 *
 * fail ("EIO") raises a pointer to the error's entry in nbd_errors, which needs no
 * memory.  Anything else that a hook raises is its mistake: the request
 * fails with EIO, and nbdkit's log says where, with a traceback the first time.
 */

#include <errno.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "lua/host.h"
#include "report/stats.h"

/* Places of errors that are told apart. */
#define MAX_PLACES 100

static int places_ref;          /* how often each failed: a table */
static unsigned nr_places;

/*--------------------------------------------------------------------*/
/* Names of errors. */

static bool
is_nbd_error (const struct nbd_error *e)
{
  for (const struct nbd_error *known = nbd_errors; known->name; known++)
    if (e == known)
      return true;
  return false;
}

/* Names of errors that NBD has no number for. */
static const char *const other_errors[] = {
  "E2BIG", "EACCES", "EADDRINUSE", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EAGAIN",
  "EALREADY", "EBADE", "EBADF", "EBADMSG", "EBUSY", "ECANCELED", "ECHILD", "ECOMM",
  "ECONNABORTED", "ECONNREFUSED", "ECONNRESET", "EDEADLK", "EDESTADDRREQ", "EDOM",
  "EEXIST", "EFAULT", "EHOSTDOWN", "EHOSTUNREACH", "EIDRM", "EILSEQ", "EINPROGRESS",
  "EINTR", "EISCONN", "EISDIR", "EKEYEXPIRED", "EL2NSYNC", "ELOOP", "EMEDIUMTYPE",
  "EMFILE", "EMLINK", "EMSGSIZE", "EMULTIHOP", "ENAMETOOLONG", "ENETDOWN",
  "ENETRESET", "ENETUNREACH", "ENFILE", "ENOBUFS", "ENODATA", "ENODEV", "ENOENT",
  "ENOEXEC", "ENOKEY", "ENOLCK", "ENOLINK", "ENOMEDIUM", "ENOMSG", "ENOPROTOOPT",
  "ENOSR", "ENOSTR", "ENOSYS", "ENOTBLK", "ENOTCONN", "ENOTDIR", "ENOTEMPTY",
  "ENOTRECOVERABLE", "ENOTSOCK", "ENOTTY", "ENXIO", "EOPNOTSUPP", "EOVERFLOW",
  "EOWNERDEAD", "EPIPE", "EPROTO", "EPROTONOSUPPORT", "EPROTOTYPE", "ERANGE",
  "EREMCHG", "EREMOTE", "EREMOTEIO", "ERESTART", "ESOCKTNOSUPPORT", "ESPIPE",
  "ESRCH", "ESTALE", "ETIME", "ETIMEDOUT", "ETOOMANYREFS", "ETXTBSY", "EUCLEAN",
  "EUNATCH", "EUSERS", "EWOULDBLOCK", "EXDEV", "EXFULL", NULL
};

/* Raise the error that NBD can't send NAME, with what it can. */
static void
not_sent (lua_State *L, const char *name)
{
  luaL_Buffer b;

  luaL_buffinit (L, &b);
  for (const struct nbd_error *e = nbd_errors; e->name; e++) {
    luaL_addstring (&b, e == nbd_errors ? "" : ", ");
    luaL_addstring (&b, e->name);
  }
  luaL_pushresult (&b);
  luaL_error (L, "NBD can't send %s; it can send %s", name, lua_tostring (L, -1));
}

static const struct nbd_error *
check_error (lua_State *L, const char *name)
{
  const char *names[20] = { NULL };

  for (size_t i = 0; other_errors[i]; i++)
    if (strcmp (name, other_errors[i]) == 0)
      not_sent (L, name);
  for (size_t i = 0; nbd_errors[i].name; i++)
    names[i] = nbd_errors[i].name;
  return &nbd_errors[check_name (L, "NBD", name, names)];
}

int
check_errno (lua_State *L, const char *name)
{
  return check_error (L, name)->code;
}

static bool
may_be_unsupported (const struct call *c)
{
  return c->req->op == OP_ZERO && c->req->flags & NBDKIT_FLAG_FAST_ZERO;
}

static int
lua_fail (lua_State *L)
{
  const struct nbd_error *e = check_error (L, luaL_checkstring (L, 1));
  const struct call *c = check_call (L, "fail", false);

  if (e->code == ENOTSUP && !may_be_unsupported (c))
    return luaL_error (L, "fail: only a fast zero may fail with ENOTSUP");
  lua_pushlightuserdata (L, (void *) e);
  return lua_error (L);
}

/* tostring of any light userdata. */
static int
error_tostring (lua_State *L)
{
  const struct nbd_error *e = lua_touserdata (L, 1);

  if (is_nbd_error (e))
    lua_pushstring (L, e->name);
  else
    lua_pushfstring (L, "userdata: %p", (const void *) e);
  return 1;
}

/* The error that the code asked for with fail, or NULL: another one. */
static const struct nbd_error *
named_error (const struct call *c)
{
  const struct nbd_error *e = c->why ? NULL : lua_touserdata (c->co, -1);

  /* nbdkit aborts when anything but a fast zero fails with ENOTSUP. */
  return e && lua_islightuserdata (c->co, -1) && is_nbd_error (e)
    && (e->code != ENOTSUP || may_be_unsupported (c)) ? e : NULL;
}

/*--------------------------------------------------------------------*/
/* Messages. */

static int
to_text (lua_State *L)
{
  luaL_tolstring (L, 1, NULL);
  return 1;
}

const char *
error_push_text (lua_State *L, const struct call *c, bool *placed)
{
  *placed = false;
  if (c->why)
    return lua_pushstring (L, c->why);
  *placed = lua_type (c->co, -1) == LUA_TSTRING;
  lua_pushcfunction (L, to_text);
  lua_pushvalue (c->co, -1);
  lua_xmove (c->co, L, 1);
  if (lua_pcall (L, 1, 1, 0) == LUA_OK)
    return lua_tostring (L, -1);
  *placed = lua_type (L, -1) == LUA_TSTRING;
  return *placed ? lua_tostring (L, -1)
    : lua_pushliteral (L, "an error, and another one in its __tostring");
}

/* Count one more error at a place.  How many there are by now. */
static lua_Integer
count_place (lua_State *L, const char *place)
{
  lua_Integer n;

  lua_rawgeti (L, LUA_REGISTRYINDEX, places_ref);
  if (lua_getfield (L, -1, place) == LUA_TNIL && ++nr_places > MAX_PLACES) {
    lua_pop (L, 1);
    place = "elsewhere";        /* names of chunks may be made up */
    lua_getfield (L, -1, place);
  }
  n = lua_tointeger (L, -1) + 1;
  lua_pushinteger (L, n);
  lua_setfield (L, -3, place);
  lua_pop (L, 2);
  return n;
}

/* Tell of the error on top of a failed coroutine's stack. */
static int
tell (lua_State *L)
{
  const struct call *c = lua_touserdata (L, 1);
  const char *place = host_push_place (L, c->co), *text;
  char title[300];
  lua_Integer n;
  bool placed;

  c->kind->title (c, title, sizeof title);
  text = error_push_text (L, c, &placed);
  /* Where there is no Lua function, and in code of one line, as of the command line
   * and of chunks, the place tells too little.
   */
  if (*place == '?' || strncmp (place, "control:", 8) == 0)
    place = lua_pushfstring (L, "%s: %s", title, text);
  else if (strncmp (place, "lua", 3) == 0)
    place = lua_pushfstring (L, "%s (%s)", place, title);
  n = count_place (L, place);
  if (n == 1) {
    luaL_traceback (L, c->co, text, 0);
    nbdkit_error ("%s: %.9000s", title, lua_tostring (L, -1));
  }
  else if (host_is_milestone (n))
    nbdkit_error ("%s: %.1000s (%lld times so far)", title, text,
                  (long long) n);
  return 0;
}

/* Without a coroutine there is no place. */
static void
tell_simply (const struct call *c, const char *how, const char *text)
{
  char title[300];

  c->kind->title (c, title, sizeof title);
  nbdkit_error ("%s: %s%s", title, how, text);
}

int
error_code (struct call *c)
{
  const struct nbd_error *e = c->co ? named_error (c) : NULL;

  c->req->why = NULL;           /* what the disk said before does not matter */
  if (e) {
    c->req->asked = true;
    return e->code;
  }
  c->req->logged = true;
  stats_hooks.errors++;
  if (!c->co) {
    tell_simply (c, "", c->why);
    return EIO;
  }
  host.failed = c;
  if (host_protected (tell, c) == -1)
    tell_simply (c, "an error, and another one while it was logged: ",
                 host_message ());
  return EIO;
}

/*--------------------------------------------------------------------*/
/* Start and end. */

void
open_error (lua_State *L)
{
  lua_register (L, "fail", lua_fail);

  /* The metatable of all light userdata. */
  lua_pushlightuserdata (L, NULL);
  lua_createtable (L, 0, 1);
  lua_pushcfunction (L, error_tostring);
  lua_setfield (L, -2, "__tostring");
  lua_setmetatable (L, -2);
  lua_pop (L, 1);

  lua_newtable (L);
  places_ref = luaL_ref (L, LUA_REGISTRYINDEX);
}

/* Say how often each place failed, if more than once. */
static int
tell_places (lua_State *L)
{
  lua_rawgeti (L, LUA_REGISTRYINDEX, places_ref);
  lua_pushnil (L);
  while (lua_next (L, -2)) {
    if (lua_tointeger (L, -1) > 1)
      nbdkit_error ("%s: it failed %lld times", lua_tostring (L, -2),
                    (long long) lua_tointeger (L, -1));
    lua_pop (L, 1);
  }
  return 0;
}

void
error_stop (void)
{
  host_protected (tell_places, NULL);
}
