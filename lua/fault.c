/* fault.c - the function fault, and the rules that it gives.
 *
 * A rule's functions stay in Lua: rules[number] = { when = f, delay = f,
 * call = f }.
 * rules.c knows a rule's number only, and asks for them by it.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "fault/rule.h"
#include "fault/rules.h"
#include "lua/host.h"
#include "lib/sys.h"
#include "lib/text.h"

/* A key of fault {...}; TAKE finds its value on top of the stack.  A selector
 * can match some of these operations only, an action does something to them.
 */
struct key {
  const char *name;
  void (*take) (lua_State *L, const char *key, struct fault_spec *s);
  enum { SELECTOR, ACTION } kind;
  unsigned ops;
};

/*--------------------------------------------------------------------*/
/* Values. */

static void
wrong (lua_State *L, const char *key, const char *expected)
{
  const char *quote = lua_type (L, -1) == LUA_TSTRING ? "\"" : "";

  luaL_error (L, "fault: %s: expected %s, got %s%s%s", key, expected, quote,
              lua_isstring (L, -1) ? lua_tostring (L, -1)
                                   : luaL_typename (L, -1), quote);
}

static uint64_t
take_bytes (lua_State *L, const char *key)
{
  uint64_t n = 0;

  if (!to_bytes (L, -1, &n))
    wrong (L, key, "bytes, such as 512 or \"4K\"");
  return n;
}

static uint64_t
take_number (lua_State *L, const char *key, lua_Integer least)
{
  if (!lua_isinteger (L, -1) || lua_tointeger (L, -1) < least)
    wrong (L, key, least ? "a whole number from 1 on"
                         : "a whole number from 0 on");
  return (uint64_t) lua_tointeger (L, -1);
}

/* A C string, so that it can't have a zero byte. */
static const char *
take_string (lua_State *L, const char *key)
{
  size_t len;

  if (lua_type (L, -1) != LUA_TSTRING)
    wrong (L, key, "a string");
  if (strlen (lua_tolstring (L, -1, &len)) != len)
    luaL_error (L, "fault: %s: has a zero byte in it", key);
  return lua_tostring (L, -1);
}

static bool
take_true (lua_State *L, const char *key)
{
  if (!lua_isboolean (L, -1))
    wrong (L, key, "true or false");
  return lua_toboolean (L, -1);
}

static uint64_t
take_time (lua_State *L, const char *key)
{
  uint64_t ns = 0;

  if (!to_time (L, -1, &ns))
    wrong (L, key, "a time, such as 2 or \"50ms\"");
  return ns;
}

/*--------------------------------------------------------------------*/
/* Selectors. */

#define ALL_OPS ((1u << (OP_OPEN + 1)) - 1)
#define REQUESTS (ALL_OPS & ~OP (OPEN))

static unsigned
op_bit (lua_State *L)
{
  const char *name = take_string (L, "op"), *names[OP_OPEN + 2] = { NULL };

  if (strcmp (name, "any") == 0)
    return REQUESTS;
  for (unsigned i = 0; i <= OP_OPEN; i++)
    names[i] = op_names[i];
  return 1u << check_name (L, "fault: op", name, names);
}

static void
take_op (lua_State *L, const char *key, struct fault_spec *s)
{
  (void) key;
  if (!lua_istable (L, -1)) {
    s->ops = op_bit (L);
    return;
  }
  for (lua_Integer i = 1; lua_rawgeti (L, -1, i) != LUA_TNIL; i++) {
    s->ops |= op_bit (L);
    lua_pop (L, 1);
  }
  lua_pop (L, 1);
  if (!s->ops)
    luaL_error (L, "fault: op: the list is empty");
}

static void
take_offset (lua_State *L, const char *key, struct fault_spec *s)
{
  s->offset = take_bytes (L, key);
  s->has_range = true;
}

static void
take_count (lua_State *L, const char *key, struct fault_spec *s)
{
  s->count = take_bytes (L, key);
  if (s->count == 0)
    wrong (L, key, "at least one byte");
  s->has_range = true;
}

static void
take_conn (lua_State *L, const char *key, struct fault_spec *s)
{
  s->conn = take_number (L, key, 1);
}

static void
take_export (lua_State *L, const char *key, struct fault_spec *s)
{
  s->export_name = take_string (L, key);
}

static void
take_fua (lua_State *L, const char *key, struct fault_spec *s)
{
  s->fua = take_true (L, key);
  s->has_fua = true;
}

static void
take_data (lua_State *L, const char *key, struct fault_spec *s)
{
  if (lua_type (L, -1) != LUA_TSTRING)
    wrong (L, key, "a string");
  s->data = lua_tolstring (L, -1, &s->data_len);
}

static void
take_nth (lua_State *L, const char *key, struct fault_spec *s)
{
  s->nth = take_number (L, key, 1);
}

static void
take_every (lua_State *L, const char *key, struct fault_spec *s)
{
  s->every = take_number (L, key, 1);
}

static void
take_after (lua_State *L, const char *key, struct fault_spec *s)
{
  s->after = take_number (L, key, 0);
}

static void
take_times (lua_State *L, const char *key, struct fault_spec *s)
{
  s->times = take_number (L, key, 1);
}

static void
take_seq (lua_State *L, const char *key, struct fault_spec *s)
{
  s->seq = take_string (L, key);
  if (s->seq[strspn (s->seq, "x-")] != '\0' || !strchr (s->seq, 'x'))
    wrong (L, key, "a pattern of x (fires) and - (does not)");
}

static void
take_p (lua_State *L, const char *key, struct fault_spec *s)
{
  if (!to_probability (L, -1, &s->p))
    wrong (L, key, "a probability, such as 0.01, \"1%\" or \"1:100\"");
  s->has_p = true;
}

static void
take_when (lua_State *L, const char *key, struct fault_spec *s)
{
  if (!lua_isfunction (L, -1))
    wrong (L, key, "a function");
  s->has_when = true;
}

/*--------------------------------------------------------------------*/
/* Actions. */

static void
take_error (lua_State *L, const char *key, struct fault_spec *s)
{
  s->error = check_errno (L, take_string (L, key));
  /* nbdkit aborts when anything but a fast zero fails with it. */
  if (s->error == ENOTSUP)
    wrong (L, key, "an error that any request may have");
}

/* A time, { least, most }, or a function that gives a time. */
static void
take_delay (lua_State *L, const char *key, struct fault_spec *s)
{
  if (lua_isfunction (L, -1)) {
    s->has_delay_function = true;
    return;
  }
  if (!lua_istable (L, -1)) {
    s->delay = take_time (L, key);
    return;
  }
  if (lua_rawlen (L, -1) != 2)
    luaL_error (L, "fault: delay: expected a time, {least, most} or a "
                "function");
  lua_rawgeti (L, -1, 1);
  s->delay = take_time (L, key);
  lua_rawgeti (L, -2, 2);
  s->delay_max = take_time (L, key);
  lua_pop (L, 2);
  if (s->delay_max < s->delay)
    luaL_error (L, "fault: delay: the second time is shorter");
}

static void
take_hang (lua_State *L, const char *key, struct fault_spec *s)
{
  s->hang = take_true (L, key);
}

static void
take_corrupt (lua_State *L, const char *key, struct fault_spec *s)
{
  s->corrupt = take_number (L, key, 1);
}

/* How much is kept of the start, or a list of { offset, count }; an empty list
 * keeps nothing, as 0 does.  The ranges belong to a userdata below the value.
 */
static void
take_keep (lua_State *L, const char *key, struct fault_spec *s)
{
  size_t n = lua_istable (L, -1) ? lua_rawlen (L, -1) : 1;
  struct fault_range *ranges = lua_newuserdatauv (L, (n + 1) * sizeof *ranges,
                                                  0);

  ranges[0] = (struct fault_range) { 0, 0 };
  s->keep = ranges;
  s->nr_keep = n ? n : 1;
  lua_insert (L, -2);
  if (!lua_istable (L, -1)) {
    ranges[0] = (struct fault_range) { 0, take_bytes (L, key) };
    return;
  }
  for (size_t i = 0; i < n; i++) {
    if (lua_rawgeti (L, -1, (lua_Integer) i + 1) != LUA_TTABLE)
      wrong (L, key, "bytes, or a list of {offset, count}");
    lua_rawgeti (L, -1, 1);
    ranges[i].offset = take_bytes (L, key);
    lua_rawgeti (L, -2, 2);
    ranges[i].count = take_bytes (L, key);
    lua_pop (L, 3);
  }
}

static void
take_lose (lua_State *L, const char *key, struct fault_spec *s)
{
  s->lose = take_true (L, key);
}

/* Bytes, also less than 0. */
static void
take_misdirect (lua_State *L, const char *key, struct fault_spec *s)
{
  const char *text = lua_type (L, -1) == LUA_TSTRING ? lua_tostring (L, -1)
                                                     : NULL;
  uint64_t n = 0;

  if (lua_isinteger (L, -1))
    s->misdirect = lua_tointeger (L, -1);
  else if (text && text_size (text + (*text == '-'), &n))
    s->misdirect = *text == '-' ? -(int64_t) n : (int64_t) n;
  if (s->misdirect == 0)
    wrong (L, key, "a distance other than 0, such as 512 or \"-1M\"");
}

static void
take_disconnect (lua_State *L, const char *key, struct fault_spec *s)
{
  s->disconnect = take_true (L, key);
  if (s->disconnect && !request_can_cut ())
    nbdkit_error ("fault: disconnect: this nbdkit can't cut a connection (1.34 "
                  "and newer can): the request fails with ESHUTDOWN instead");
}

static void
take_shutdown (lua_State *L, const char *key, struct fault_spec *s)
{
  s->shutdown = take_true (L, key);
}

static void
take_call (lua_State *L, const char *key, struct fault_spec *s)
{
  if (!lua_isfunction (L, -1))
    wrong (L, key, "a function");
  s->has_call = true;
}

/* Rules without a name have their number as one. */
static void
take_name (lua_State *L, const char *key, struct fault_spec *s)
{
  s->name = take_string (L, key);
  if (s->name[strspn (s->name, "0123456789")] == '\0')
    wrong (L, key, "a name that is no number");
}

static void
take_optional (lua_State *L, const char *key, struct fault_spec *s)
{
  s->optional = take_true (L, key);
}

#define REGION (REQUESTS & ~OP (FLUSH))

static const struct key keys[] = {
  { "op",         take_op,         SELECTOR, ALL_OPS },
  { "offset",     take_offset,     SELECTOR, REGION },
  { "count",      take_count,      SELECTOR, REGION },
  { "conn",       take_conn,       SELECTOR, ALL_OPS },
  { "export",     take_export,     SELECTOR, ALL_OPS },
  { "fua",        take_fua,        SELECTOR, CHANGES },
  { "data",       take_data,       SELECTOR, OP (WRITE) },
  { "nth",        take_nth,        SELECTOR, ALL_OPS },
  { "every",      take_every,      SELECTOR, ALL_OPS },
  { "after",      take_after,      SELECTOR, ALL_OPS },
  { "times",      take_times,      SELECTOR, ALL_OPS },
  { "seq",        take_seq,        SELECTOR, ALL_OPS },
  { "p",          take_p,          SELECTOR, ALL_OPS },
  { "when",       take_when,       SELECTOR, ALL_OPS },
  { "name",       take_name,       SELECTOR, ALL_OPS },
  { "optional",   take_optional,   SELECTOR, ALL_OPS },
  { "error",      take_error,      ACTION,   ALL_OPS },
  { "delay",      take_delay,      ACTION,   ALL_OPS },
  { "hang",       take_hang,       ACTION,   ALL_OPS },
  { "corrupt",    take_corrupt,    ACTION,   CAN_CORRUPT },
  { "keep",       take_keep,       ACTION,   CAN_TEAR },
  { "lose",       take_lose,       ACTION,   REQUESTS },
  { "misdirect",  take_misdirect,  ACTION,   CAN_MISDIRECT },
  { "disconnect", take_disconnect, ACTION,   REQUESTS },
  { "shutdown",   take_shutdown,   ACTION,   ALL_OPS },
  { "call",       take_call,       ACTION,   ALL_OPS },
};

#define NR_KEYS (sizeof keys / sizeof keys[0])

/* A selector must be able to match one of the rule's operations, and an action
 * do something to all of them: what fires must have an effect.  (A rule for "any"
 * is for those to which its actions do something.)
 */
static void
check_ops (lua_State *L, const struct key *key, unsigned ops)
{
  unsigned others = ops & ~key->ops, op = 0;

  if (key->kind == SELECTOR || ops == REQUESTS ? (ops & key->ops) != 0 : others == 0)
    return;
  while (!(others >> op & 1))
    op++;
  luaL_error (L, key->kind == SELECTOR ? "fault: %s: no %s request has that"
                                       : "fault: %s: does nothing to op '%s'",
              key->name, op_names[op]);
}

/* Is this key in table 2, and not false? */
static bool
has_key (lua_State *L, const char *key)
{
  bool has;

  lua_getfield (L, 2, key);
  has = lua_toboolean (L, -1);
  lua_pop (L, 1);
  return has;
}

/* A request that fails is not performed, but for what is kept of it; one that
 * is lost is not performed either.
 */
static void
check_actions (lua_State *L)
{
  static const char *const against[][2] = {
    { "error", "disconnect" }, { "error", "lose" }, { "error", "misdirect" },
    { "error", "corrupt" }, { "disconnect", "lose" },
    { "disconnect", "misdirect" }, { "disconnect", "corrupt" },
    { "lose", "keep" }, { "lose", "misdirect" }, { "lose", "corrupt" },
  };

  for (size_t i = 0; i < sizeof against / sizeof against[0]; i++)
    if (has_key (L, against[i][0]) && has_key (L, against[i][1]))
      luaL_error (L, "fault: %s and %s contradict each other", against[i][0],
                  against[i][1]);
}

/* Without a count, the region reaches to the end of the disk. */
static void
check_region (lua_State *L, struct fault_spec *s)
{
  const uint64_t size = disk_size (disk_live ());

  if (!s->has_range)
    return;
  if (s->offset >= size)
    luaL_error (L, "fault: offset: the region begins past the end of the disk, "
                "which has %I bytes", (lua_Integer) size);
  if (s->count == 0)
    s->count = size - s->offset;
}

/* Fill in a rule from table 2, op first.  The values stay on the stack, for
 * SPEC points into them.
 */
static void
take_keys (lua_State *L, struct fault_spec *s)
{
  const char *names[NR_KEYS + 1] = { NULL };
  unsigned acts = 0;            /* on these operations */
  unsigned can = ALL_OPS;       /* have what the selectors look at */
  unsigned actions = 0;

  luaL_checkstack (L, 2 * (int) NR_KEYS + 10, NULL);
  for (size_t i = 0; i < NR_KEYS; i++)
    names[i] = keys[i].name;
  check_keys (L, 2, "fault", names);
  for (size_t i = 0; i < NR_KEYS; i++) {
    if (lua_getfield (L, 2, keys[i].name) == LUA_TNIL) {
      if (i == 0)
        luaL_error (L, "fault: op is missing, such as op = \"write\" (in "
                    "quotes)");
      lua_pop (L, 1);
      continue;
    }
    keys[i].take (L, keys[i].name, s);
    if (keys[i].kind == ACTION && !has_key (L, keys[i].name))
      continue;
    check_ops (L, &keys[i], s->ops);
    if (keys[i].kind == SELECTOR)
      can &= keys[i].ops;
    else {
      acts |= keys[i].ops;
      actions++;
    }
  }
  if (!acts)
    luaL_error (L, "fault: there is no action, such as error = \"EIO\" (in "
                "quotes)");
  s->ops &= acts & can;
  s->only_delays = s->has_delay_function && actions == 1;
  check_actions (L);
  check_region (L, s);
}

/*--------------------------------------------------------------------*/
/* Rules. */

static struct fault *
check_rule (lua_State *L)
{
  return *(struct fault **) luaL_checkudata (L, 1, "fault rule");
}

/* Make room for a rule on the stack, before there is anything to lose. */
static struct fault **
new_rule (lua_State *L)
{
  struct fault **p = lua_newuserdatauv (L, sizeof (void *), 0);

  *p = NULL;
  luaL_setmetatable (L, "fault rule");
  return p;
}

static int
rule_gc (lua_State *L)
{
  struct fault **p = lua_touserdata (L, 1);

  if (*p)
    fault_put (*p);
  *p = NULL;
  return 0;
}

static int
rule_off (lua_State *L)
{
  fault_set_on (check_rule (L), false);
  lua_settop (L, 1);
  return 1;
}

static int
rule_on (lua_State *L)
{
  fault_set_on (check_rule (L), true);
  lua_settop (L, 1);
  return 1;
}

static int
rule_release (lua_State *L)
{
  fault_release (check_rule (L));
  lua_settop (L, 1);
  return 1;
}

/* The functions of a rule that is gone are not needed any more. */
static int
rule_remove (lua_State *L)
{
  struct fault *f = check_rule (L);

  fault_remove (f);
  lua_getfield (L, LUA_REGISTRYINDEX, "rules");
  lua_pushnil (L);
  lua_rawseti (L, -2, (lua_Integer) fault_info (f).number);
  return 0;
}

static int
wait_done (lua_State *L, int status, lua_KContext times)
{
  struct fault_info info = fault_info (check_rule (L));

  (void) status;
  if ((lua_KContext) info.fired < times && info.removed)
    return luaL_error (L, "fault rule '%s' was removed before it fired",
                       info.name);
  if ((lua_KContext) info.fired < times)
    return luaL_error (L, "fault rule '%s' did not fire%s within %s%s (it matched "
                       "%I requests)", info.name,
                       info.fired ? " so often" : "",
                       luaL_tolstring (L, 2, NULL),
                       lua_type (L, 2) == LUA_TNUMBER ? " s" : "",
                       (lua_Integer) info.hits);
  lua_settop (L, 1);
  return 1;
}

/* rule:wait(time [, times]): until it has fired, or fired so many times. */
static int
rule_wait (lua_State *L)
{
  struct fault *f = check_rule (L);
  uint64_t ns = check_time (L, 2);
  lua_Integer times = luaL_optinteger (L, 3, 1);
  struct call *c = check_call (L, "rule:wait", true);

  luaL_argcheck (L, times >= 1, 3, "expected a whole number from 1 on");
  c->command = WAIT_FIRED;
  c->fault = f;
  c->times = (uint64_t) times;
  c->ns = ns;
  return lua_yieldk (L, 0, (lua_KContext) times, wait_done);
}

/* What stands for a rule in an answer of the control socket. */
static int
rule_tojson (lua_State *L)
{
  struct fault_info info = fault_info (check_rule (L));

  lua_createtable (L, 0, 4);
  lua_pushstring (L, info.name);
  lua_setfield (L, -2, "name");
  lua_pushinteger (L, (lua_Integer) info.hits);
  lua_setfield (L, -2, "hits");
  lua_pushinteger (L, (lua_Integer) info.fired);
  lua_setfield (L, -2, "fired");
  lua_pushboolean (L, info.on && !info.removed);
  lua_setfield (L, -2, "on");
  return 1;
}

static const luaL_Reg rule_methods[] = {
  { "off", rule_off },
  { "on", rule_on },
  { "release", rule_release },
  { "remove", rule_remove },
  { "wait", rule_wait },
  { NULL, NULL }
};

static const char *const rule_names[] = {
  "name", "hits", "fired", "off", "on", "release", "remove", "wait", NULL
};

static int
rule_newindex (lua_State *L)
{
  return luaL_error (L, "a rule can't be changed: remove it, and declare another "
                     "one");
}

static int
rule_index (lua_State *L)
{
  struct fault_info info = fault_info (check_rule (L));
  const char *name = luaL_checkstring (L, 2);

  for (const luaL_Reg *m = rule_methods; m->name; m++) {
    if (strcmp (name, m->name) == 0) {
      lua_pushcfunction (L, m->func);
      return 1;
    }
  }
  if (strcmp (name, "name") == 0)
    lua_pushstring (L, info.name);
  else if (strcmp (name, "hits") == 0)
    lua_pushinteger (L, (lua_Integer) info.hits);
  else if (strcmp (name, "fired") == 0)
    lua_pushinteger (L, (lua_Integer) info.fired);
  else
    return unknown_name (L, "a rule", name, rule_names);
  return 1;
}

/* rules, functions, number: rules[number] = functions */
static int
keep_functions (lua_State *L)
{
  lua_insert (L, 2);
  lua_rawset (L, 1);
  return 0;
}

/* fault {...} */
static int
fault_call (lua_State *L)
{
  static const char *const functions[] = { "when", "delay", "call", NULL };
  struct fault_spec s = { 0 };
  struct fault **rule;
  uint64_t since;
  int err;

  if (!lua_istable (L, 2))
    return luaL_error (L, "fault: expected a table, as in fault { op = \"read\", "
                       "error = \"EIO\" }");
  lua_settop (L, 2);
  rule = new_rule (L);
  take_keys (L, &s);
  lua_createtable (L, 0, 3);
  for (size_t i = 0; functions[i]; i++)
    if (lua_getfield (L, 2, functions[i]) == LUA_TFUNCTION)
      lua_setfield (L, -2, functions[i]);
    else
      lua_pop (L, 1);

  lua_pushcfunction (L, keep_functions);
  lua_insert (L, -2);
  lua_getfield (L, LUA_REGISTRYINDEX, "rules");
  lua_insert (L, -2);
  since = sys_now ();
  err = fault_add (&s, rule);
  host_excuse (since);
  if (err == EEXIST)
    return luaL_error (L, "fault: there is a rule '%s' already", s.name);
  if (err)
    return luaL_error (L, "fault: %s", strerror (err));
  lua_pushinteger (L, (lua_Integer) fault_info (*rule).number);
  if (lua_pcall (L, 3, 0, 0) != LUA_OK) {
    fault_remove (*rule);       /* without memory there is none */
    return lua_error (L);
  }
  lua_settop (L, 3);
  return 1;
}

/* fault.get (name) */
static int
fault_get_rule (lua_State *L)
{
  const char *name = luaL_tolstring (L, 1, NULL);
  struct fault **rule = new_rule (L);

  *rule = fault_get (name);
  if (!*rule)
    return luaL_error (L, "there is no fault rule '%s'", name);
  return 1;
}

/* fault.list () */
static int
fault_list (lua_State *L)
{
  size_t n = faults_list (NULL, 0), there;
  struct fault **rules = lua_newuserdatauv (L, (n + 1) * sizeof (void *), 0);

  lua_createtable (L, (int) n, 0);
  for (size_t i = 1; i <= n; i++) {
    new_rule (L);
    lua_rawseti (L, -2, (lua_Integer) i);
  }
  /* From here on nothing can fail. */
  there = faults_list (rules, n);
  for (size_t i = 0; i < n; i++) {
    if (i >= there)
      lua_pushnil (L);
    else {
      lua_rawgeti (L, -1, (lua_Integer) i + 1);
      *(struct fault **) lua_touserdata (L, -1) = rules[i];
    }
    lua_rawseti (L, -2, (lua_Integer) i + 1);
  }
  return 1;
}

static int
fault_clear (lua_State *L)
{
  faults_clear ();
  lua_newtable (L);
  lua_setfield (L, LUA_REGISTRYINDEX, "rules");
  return 0;
}

static const luaL_Reg fault_functions[] = {
  { "list", fault_list },
  { "get", fault_get_rule },
  { "clear", fault_clear },
  { NULL, NULL }
};

/*--------------------------------------------------------------------*/
/* What rules need done. */

uint64_t
rule_result (lua_State *L, const char *function)
{
  uint64_t ns = 0;

  if (strcmp (function, "delay") != 0)
    return lua_toboolean (L, -1) != 0;
  if (!lua_isnil (L, -1) && !to_time (L, -1, &ns))
    luaL_error (L, "expected a time, such as 2 or \"50ms\", or nil, got %s",
                luaL_tolstring (L, -1, NULL));
  return ns;
}

static int
rule_when (const struct fault *f, struct request *req)
{
  uint64_t fires = 0;
  int err = host_rule (f, "when", req, &fires);

  return err ? -err : fires != 0;
}

static int
rule_delay (const struct fault *f, struct request *req, uint64_t *ns)
{
  return host_rule (f, "delay", req, ns);
}

static int
rule_call (const struct fault *f, struct request *req)
{
  uint64_t unused;

  return host_rule (f, "call", req, &unused);
}

void
open_fault (lua_State *L)
{
  static const char *const names[] = { "list", "get", "clear", NULL };
  struct fault_callbacks callbacks = {
    .when = rule_when, .delay = rule_delay, .call = rule_call,
  };

  faults_start (&callbacks);
  lua_newtable (L);
  lua_setfield (L, LUA_REGISTRYINDEX, "rules");

  luaL_newmetatable (L, "fault rule");
  lua_pushcfunction (L, rule_gc);
  lua_setfield (L, -2, "__gc");
  lua_pushcfunction (L, rule_index);
  lua_setfield (L, -2, "__index");
  lua_pushcfunction (L, rule_newindex);
  lua_setfield (L, -2, "__newindex");
  lua_pushcfunction (L, rule_tojson);
  lua_setfield (L, -2, "__tojson");
  lua_pushboolean (L, 0);
  lua_setfield (L, -2, "__metatable");
  lua_pop (L, 1);

  luaL_newlib (L, fault_functions);
  make_strict (L, "fault", names, fault_call);
}
