/* describe.c - a rule in one line, as its user wrote it, and where.
 *
 *     op="flush" nth=3 error="EIO"        its text
 *     faults.lua:4                        its place
 */

#include <stdio.h>
#include <string.h>

#include "lib/json.h"
#include "lua/host.h"
#include "lua/spec.h"

static const char ellipsis[] = "\xE2\x80\xA6";  /* … */

/*--------------------------------------------------------------------*/
/* Text. */

/* Is there already more than will be shown? */
static bool
full (const struct rule_text *t)
{
  return t->len > RULE_TEXT_MAX;
}

/* Add bytes, as long as some of them may be shown. */
static void
add (struct rule_text *t, const char *s, size_t n)
{
  for (; n > 0 && !full (t); n--)
    t->s[t->len++] = *s++;
}

static void
add_text (struct rule_text *t, const char *s)
{
  add (t, s, strlen (s));
}

/* Add a byte that can't be shown, as Lua would read it. */
static void
add_escape (struct rule_text *t, unsigned char c)
{
  char s[8];

  if (c == '"' || c == '\\')
    snprintf (s, sizeof s, "\\%c", c);
  else if (c == '\n')
    snprintf (s, sizeof s, "\\n");
  else
    snprintf (s, sizeof s, "\\x%02x", (unsigned) c);
  add_text (t, s);
}

static void
add_string (struct rule_text *t, const char *s, size_t n)
{
  add_text (t, "\"");
  for (size_t i = 0; i < n && !full (t);) {
    const unsigned char *c = (const unsigned char *) s + i;
    const size_t len = json_utf8_length (c, n - i);

    if (len == 0 || *c < ' ' || *c == 0x7f || *c == '"' || *c == '\\')
      add_escape (t, *c);
    else
      add (t, s + i, len);
    i += len ? len : 1;
  }
  add_text (t, "\"");
}

/* The name of a file without its folders, or what a chunk is called. */
static const char *
short_source (const lua_Debug *ar)
{
  const char *slash = *ar->source == '@' ? strrchr (ar->source, '/') : NULL;

  return slash ? slash + 1 : *ar->source == '@' ? ar->source + 1
                                                : ar->short_src;
}

void
describe_function (lua_State *L, char *place, size_t size)
{
  lua_Debug ar;

  lua_pushvalue (L, -1);
  lua_getinfo (L, ">S", &ar);
  if (ar.linedefined < 0)
    snprintf (place, size, "C");
  else
    snprintf (place, size, "%s:%d", short_source (&ar), ar.linedefined);
}

static void
add_function (lua_State *L, struct rule_text *t)
{
  char place[RULE_TEXT_MAX];

  describe_function (L, place, sizeof place);
  add_text (t, "function (");
  add_text (t, place);
  add_text (t, ")");
}

static void add_value (lua_State *L, struct rule_text *t, int depth);

/* The string key of the table on top of the stack that comes after LAST in the
 * alphabet (NULL: the first), or NULL.  It is alive as long as it is in the table.
 */
static const char *
next_key (lua_State *L, const char *last)
{
  const char *next = NULL, *key;

  lua_pushnil (L);
  while (lua_next (L, -2)) {
    lua_pop (L, 1);
    key = lua_type (L, -1) == LUA_TSTRING ? lua_tostring (L, -1) : NULL;
    if (key && (!last || strcmp (key, last) > 0)
        && (!next || strcmp (key, next) < 0))
      next = key;
  }
  return next;
}

/* Add a list, a table of names, or what has both: first the list. */
static void
add_table (lua_State *L, struct rule_text *t, int depth)
{
  const lua_Integer n = (lua_Integer) lua_rawlen (L, -1);
  const char *separator = " ";

  add_text (t, "{");
  for (lua_Integer i = 1; i <= n && !full (t); i++, separator = ", ") {
    add_text (t, separator);
    lua_rawgeti (L, -1, i);
    add_value (L, t, depth + 1);
    lua_pop (L, 1);
  }
  for (const char *key = next_key (L, NULL); key && !full (t);
       key = next_key (L, key), separator = ", ") {
    add_text (t, separator);
    add_text (t, key);
    add_text (t, "=");
    lua_pushstring (L, key);
    lua_rawget (L, -2);
    add_value (L, t, depth + 1);
    lua_pop (L, 1);
  }
  add_text (t, *separator == ',' ? " }" : "}");
}

/* How deep the tables of a rule are nested at most, as in keep. */
#define DEPTH_MAX 2

/* Add the value on top of the stack. */
static void
add_value (lua_State *L, struct rule_text *t, int depth)
{
  size_t len;
  const char *s;

  switch (lua_type (L, -1)) {
  case LUA_TSTRING:
    s = lua_tolstring (L, -1, &len);
    add_string (t, s, len);
    return;
  case LUA_TNUMBER:
  case LUA_TBOOLEAN:
    s = luaL_tolstring (L, -1, &len);
    add (t, s, len);
    lua_pop (L, 1);
    return;
  case LUA_TFUNCTION:
    add_function (L, t);
    return;
  case LUA_TTABLE:
    if (depth < DEPTH_MAX) {
      add_table (L, t, depth);
      return;
    }
    /* FALLTHROUGH */
  default:
    add_text (t, luaL_typename (L, -1));
  }
}

void
describe_key (lua_State *L, struct rule_text *t, const char *key)
{
  luaL_checkstack (L, 20, NULL);
  if (t->len > 0)
    add_text (t, " ");
  add_text (t, key);
  add_text (t, "=");
  add_value (L, t, 0);
}

const char *
describe_push (lua_State *L, const struct rule_text *t)
{
  size_t n = t->len;

  if (!full (t))
    return lua_pushlstring (L, t->s, n);
  n = RULE_TEXT_MAX - (sizeof ellipsis - 1);
  while (n > 0 && (t->s[n] & 0xC0) == 0x80)     /* within a character */
    n--;
  lua_pushlstring (L, t->s, n);
  lua_pushstring (L, ellipsis);
  lua_concat (L, 2);
  return lua_tostring (L, -1);
}

/*--------------------------------------------------------------------*/
/* Place. */

/* Is this a function of a module?  Its main chunk is none: what that declares, as
 * `require "faults"` does, was written there.
 */
static bool
is_helper (lua_State *L, const lua_Debug *ar)
{
  bool is;

  lua_getfield (L, LUA_REGISTRYINDEX, MODULES);
  is = lua_getfield (L, -1, ar->source) != LUA_TNIL
    && strcmp (ar->what, "main") != 0;
  lua_pop (L, 2);
  return is;
}

const char *
describe_place (lua_State *L)
{
  lua_Debug ar, at;
  bool found = false;

  for (int level = 0; lua_getstack (L, level, &ar); level++) {
    lua_getinfo (L, "Sl", &ar);
    if (ar.currentline <= 0)
      continue;
    if (!found)
      at = ar;
    found = true;
    if (!is_helper (L, &ar)) {
      at = ar;
      break;
    }
  }
  return found ? lua_pushfstring (L, "%s:%d", short_source (&at), at.currentline)
               : lua_pushliteral (L, "?");
}
