/* states.c - disk:states: the states that a power cut may leave, one after the other. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/states.h"
#include "lua/method.h"

#define CLASS "disk states"
#define SLICE 256               /* are asked for at a time */

/* One of them. */
struct found {
  char *choice;
  char *lost;                   /* or NULL */
  uint64_t when;
  struct loss loss;
  struct digest digest;
};

/* The iterator.  The texts of the point and the choice, if given, are its user values. */
struct walk {
  struct states query;
  uint64_t first, count;        /* at each point */
  uint64_t left;                /* to be given */
  bool everywhere;              /* at all points that suffice, of which */
  struct states_place at_point; /* so many were gone through, */
  char point[POINT_NAME];       /* and this is the last one */
  struct found found[SLICE];    /* of the slice; those before AT were given */
  size_t n, at;
};

static void
forget (struct walk *w)
{
  for (size_t i = 0; i < w->n; i++) {
    free (w->found[i].choice);
    free (w->found[i].lost);
  }
  w->n = w->at = 0;
}

static int
walk_gc (lua_State *L)
{
  forget (lua_touserdata (L, 1));
  return 0;
}

/*--------------------------------------------------------------------*/
/* What is asked for. */

static uint64_t
take_count (lua_State *L, const char *name, uint64_t otherwise)
{
  lua_Integer n = 0;

  if (lua_getfield (L, 2, name) == LUA_TNIL) {
    lua_pop (L, 1);
    return otherwise;
  }
  if (!lua_isinteger (L, -1) || (n = lua_tointeger (L, -1)) < 0)
    luaL_error (L, "disk:states: %s: expected a whole number from 0 on", name);
  lua_pop (L, 1);
  return (uint64_t) n;
}

/* One of some words; the first one, if there is none. */
static int
take_word (lua_State *L, const char *name, const char *const *words, const char *list)
{
  const char *word;

  if (lua_getfield (L, 2, name) == LUA_TNIL) {
    lua_pop (L, 1);
    return 0;
  }
  word = lua_type (L, -1) == LUA_TSTRING ? lua_tostring (L, -1) : "";
  for (int i = 0; words[i]; i++)
    if (strcmp (word, words[i]) == 0) {
      lua_pop (L, 1);
      return i;
    }
  return luaL_error (L, "disk:states: %s: expected %s", name, list);
}

/* Read the table that is argument 2.  The choice and the point stay on the stack. */
static void
take_query (lua_State *L, struct walk *w)
{
  static const char *const names[] = {
    "point", "choice", "units", "how", "seed", "first", "count", NULL
  };
  static const char *const units[] = { "requests", "sectors", NULL };
  static const char *const how[] = {
    "all", "lose-one", "only-one", "prefix", "random", NULL
  };

  check_keys (L, 2, "disk:states", names);
  w->query.sectors = take_word (L, "units", units, "\"requests\" or \"sectors\"");
  w->query.how = (enum states_how) take_word (L, "how", how, "\"all\", \"lose-one\", "
                                              "\"only-one\", \"prefix\" or \"random\"");
  w->query.seed = take_count (L, "seed", 0);
  w->first = take_count (L, "first", 0);
  w->count = take_count (L, "count", w->query.how == STATES_RANDOM ? 100 : UINT64_MAX);
  if (lua_getfield (L, 2, "choice") != LUA_TNIL && lua_type (L, -1) != LUA_TSTRING)
    luaL_error (L, "disk:states: choice: expected the end of a name, such as \"lose-37\"");
  w->query.choice = lua_tostring (L, -1);
  if (lua_getfield (L, 2, "point") == LUA_TNUMBER)
    lua_tostring (L, -1);
  w->everywhere = lua_isnil (L, -1);
  if (!w->everywhere && lua_type (L, -1) != LUA_TSTRING)
    luaL_error (L, "disk:states: point: expected a moment, such as \"now\", 412 or "
                "\"before-flush-14\"");
}

/*--------------------------------------------------------------------*/
/* What there is. */

/* The cache is locked: no Lua here. */
static int
find (void *walk, uint64_t when, const char *choice, const struct loss *loss,
      const char *lost, const struct digest *digest)
{
  struct walk *w = walk;
  struct found *f = &w->found[w->n];

  f->choice = strdup (choice);
  f->lost = lost ? strdup (lost) : NULL;
  if (!f->choice || (lost && !f->lost)) {
    free (f->choice);
    free (f->lost);
    return ENOMEM;
  }
  f->when = when;
  f->loss = *loss;
  f->digest = *digest;
  w->n++;
  return 0;
}

/* Begin at a point. */
static void
begin (struct walk *w, const char *point)
{
  w->query.point = point;
  w->query.first = w->first;
  w->left = w->count;
}

/* Go on to the next point.  False: there is none. */
static bool
next_point (lua_State *L, struct walk *w)
{
  char why[200];
  int err;

  if (!w->everywhere)
    return false;
  err = states_point (&w->at_point, w->point, sizeof w->point, why, sizeof why);
  if (err == EINVAL)
    luaL_error (L, "disk:states: %s", why);
  begin (w, w->point);
  return err == 0;
}

/* Get more of them, of this point. */
static void
more_here (lua_State *L, struct walk *w)
{
  const uint64_t since = sys_now ();
  char why[700];
  int err;

  forget (w);
  w->query.count = w->left < SLICE ? w->left : SLICE;
  if (w->query.count == 0)
    return;
  err = states_list (&w->query, find, w, why, sizeof why);
  host_excuse (since);
  if (err) {
    forget (w);
    luaL_error (L, "disk:states: %s", why);
  }
  w->query.first += w->n;
  w->left = w->n < w->query.count ? 0 : w->left - w->n;
}

static void
next_slice (lua_State *L, struct walk *w)
{
  do
    more_here (L, w);
  while (w->n == 0 && next_point (L, w));
}

static void
push_found (lua_State *L, const struct walk *w, const struct found *f)
{
  char digest[40];

  lua_createtable (L, 0, 8);
  lua_pushfstring (L, "crash/%s/%s", w->query.point, f->choice);
  lua_setfield (L, -2, "name");
  snprintf (digest, sizeof digest, "%016" PRIx64 "%016" PRIx64, f->digest.high,
            f->digest.low);
  set_string (L, "digest", digest);
  set_integer (L, "requests", f->loss.requests);
  set_integer (L, "sectors", f->loss.sectors);
  set_integer (L, "pending", f->loss.all_requests);
  set_integer (L, "time", f->when);
  lua_pushboolean (L, !f->loss.lie);
  lua_setfield (L, -2, "legal");
  if (f->lost)
    set_string (L, "lost", f->lost);
}

static int
next_state (lua_State *L)
{
  struct walk *w = lua_touserdata (L, lua_upvalueindex (1));

  if (w->at == w->n)
    next_slice (L, w);
  if (w->at == w->n)
    lua_pushnil (L);
  else
    push_found (L, w, &w->found[w->at++]);
  return 1;
}

/* disk:states ([TABLE]) */
int
disk_method_states (lua_State *L)
{
  static const luaL_Reg meta[] = { { "__gc", walk_gc }, { NULL, NULL } };
  struct walk *w;

  check_self (L, "states(table)");
  if (lua_isnone (L, 2))
    lua_newtable (L);
  luaL_checktype (L, 2, LUA_TTABLE);
  lua_settop (L, 2);
  w = lua_newuserdatauv (L, sizeof *w, 2);
  memset (w, 0, sizeof *w);
  if (luaL_newmetatable (L, CLASS))
    luaL_setfuncs (L, meta, 0);
  lua_setmetatable (L, -2);
  take_query (L, w);
  begin (w, lua_tostring (L, -1));
  lua_setiuservalue (L, -3, 1);
  lua_setiuservalue (L, -2, 2);
  if (!w->everywhere || next_point (L, w))
    next_slice (L, w);          /* so that what is wrong is said at once */
  lua_pushcclosure (L, next_state, 1);
  return 1;
}
