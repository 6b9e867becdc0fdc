/* spec.c - reading fault {...}: its keys, and which of them go together. */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "disk/crash.h"
#include "disk/disk.h"
#include "lib/text.h"
#include "lua/host.h"
#include "lua/method.h"
#include "lua/spec.h"

/* A key of fault {...}.  TAKE finds its value on top of the stack, and leaves it
 * there.  A selector can match only some operations (OPS), an action does something
 * only to some.
 */
struct key {
  const char *name;
  enum { SELECTOR, ACTION } kind;
  unsigned ops;
  size_t has;                   /* where the spec has a bool to set; 0: nowhere */
  void (*take) (lua_State *L, const struct key *key, struct fault_spec *s);
  size_t field;                 /* where the value goes; TAKE knows its type */
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
bytes (lua_State *L, const char *key)
{
  uint64_t n = 0;

  if (!to_bytes (L, -1, &n))
    wrong (L, key, "bytes, such as 512 or \"4K\"");
  return n;
}

static uint64_t
whole (lua_State *L, const char *key, lua_Integer least)
{
  if (!lua_isinteger (L, -1) || lua_tointeger (L, -1) < least)
    wrong (L, key, least ? "a whole number from 1 on"
                         : "a whole number from 0 on");
  return (uint64_t) lua_tointeger (L, -1);
}

/* A C string, so that it can't have a zero byte. */
static const char *
string (lua_State *L, const char *key)
{
  size_t len;

  if (lua_type (L, -1) != LUA_TSTRING)
    wrong (L, key, "a string");
  if (strlen (lua_tolstring (L, -1, &len)) != len)
    luaL_error (L, "fault: %s: has a zero byte in it", key);
  return lua_tostring (L, -1);
}

static bool
boolean (lua_State *L, const char *key)
{
  if (!lua_isboolean (L, -1))
    wrong (L, key, "true or false");
  return lua_toboolean (L, -1);
}

static uint64_t
nanoseconds (lua_State *L, const char *key)
{
  uint64_t ns = 0;

  if (lacks_unit (L, -1))
    luaL_error (L, "fault: %s: \"%s\" has no unit: write \"%sms\" or \"%ss\", or a "
                "number for seconds", key, lua_tostring (L, -1),
                lua_tostring (L, -1), lua_tostring (L, -1));
  if (!to_time (L, -1, &ns))
    wrong (L, key, "a time, such as 2 or \"50ms\"");
  return ns;
}

/*--------------------------------------------------------------------*/
/* Keys whose value is kept in one field as it is. */

static void *
field (struct fault_spec *s, const struct key *key)
{
  return (char *) s + key->field;
}

static void
take_bytes (lua_State *L, const struct key *key, struct fault_spec *s)
{
  *(uint64_t *) field (s, key) = bytes (L, key->name);
}

static void
take_from_0 (lua_State *L, const struct key *key, struct fault_spec *s)
{
  *(uint64_t *) field (s, key) = whole (L, key->name, 0);
}

static void
take_from_1 (lua_State *L, const struct key *key, struct fault_spec *s)
{
  *(uint64_t *) field (s, key) = whole (L, key->name, 1);
}

static void
take_time (lua_State *L, const struct key *key, struct fault_spec *s)
{
  *(uint64_t *) field (s, key) = nanoseconds (L, key->name);
}

static void
take_string (lua_State *L, const struct key *key, struct fault_spec *s)
{
  *(const char **) field (s, key) = string (L, key->name);
}

static void
take_boolean (lua_State *L, const struct key *key, struct fault_spec *s)
{
  *(bool *) field (s, key) = boolean (L, key->name);
}

static void
take_probability (lua_State *L, const struct key *key, struct fault_spec *s)
{
  if (!to_probability (L, -1, field (s, key)))
    wrong (L, key->name, "a probability, such as 0.01, \"1%\" or \"1:100\"");
}

/* The function stays in the table: the field says that there is one. */
static void
take_function (lua_State *L, const struct key *key, struct fault_spec *s)
{
  if (!lua_isfunction (L, -1))
    wrong (L, key->name, "a function");
  *(bool *) field (s, key) = true;
}

/*--------------------------------------------------------------------*/
/* Other selectors. */

#define ALL_OPS ((1u << (OP_OPEN + 1)) - 1)
#define REQUESTS (ALL_OPS & ~OP (OPEN))

/* The operations that are called NAME; 0: none is. */
static unsigned
named_ops (const char *name)
{
  if (strcmp (name, "any") == 0)
    return REQUESTS;
  for (unsigned i = 0; i <= OP_OPEN; i++)
    if (strcmp (name, op_names[i]) == 0)
      return 1u << i;
  return 0;
}

/* Raise the error that none is, with the nearest name, or how to name several. */
static void
wrong_op (lua_State *L, const char *name)
{
  const char *names[OP_OPEN + 3] = { NULL };
  luaL_Buffer b;

  for (unsigned i = 0; i <= OP_OPEN; i++)
    names[i] = op_names[i];
  names[OP_OPEN + 1] = "any";
  if (strcspn (name, ",*| ") == strlen (name) && strcmp (name, "all") != 0
      && text_nearest (name, names))
    unknown_name (L, "fault: op", name, names);
  luaL_buffinit (L, &b);
  for (unsigned i = 0; i <= OP_OPEN; i++) {
    luaL_addstring (&b, op_names[i]);
    luaL_addstring (&b, ", ");
  }
  luaL_pushresult (&b);
  luaL_error (L, "fault: op has no '%s', but %s\"any\" for all requests, and lists "
              "such as { \"read\", \"write\" }", name, lua_tostring (L, -1));
}

static unsigned
op_bit (lua_State *L)
{
  const char *name = string (L, "op");
  const unsigned ops = named_ops (name);

  if (!ops)
    wrong_op (L, name);
  return ops;
}

/* One operation, or a list. */
static void
take_op (lua_State *L, const struct key *key, struct fault_spec *s)
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
take_count (lua_State *L, const struct key *key, struct fault_spec *s)
{
  s->count = bytes (L, key->name);
  if (s->count == 0)
    wrong (L, key->name, "at least one byte");
}

/* Any bytes. */
static void
take_data (lua_State *L, const struct key *key, struct fault_spec *s)
{
  if (lua_type (L, -1) != LUA_TSTRING)
    wrong (L, key->name, "a string");
  s->data = lua_tolstring (L, -1, &s->data_len);
}

static void
take_seq (lua_State *L, const struct key *key, struct fault_spec *s)
{
  s->seq = string (L, key->name);
  if (s->seq[strspn (s->seq, "x-")] != '\0' || !strchr (s->seq, 'x'))
    wrong (L, key->name, "a pattern of x (fires) and - (does not)");
}

/* The name of a rule without one is its number. */
static void
take_name (lua_State *L, const struct key *key, struct fault_spec *s)
{
  s->name = string (L, key->name);
  if (*s->name == '\0')
    wrong (L, key->name, "a name of at least one character");
  if (s->name[strspn (s->name, "0123456789")] == '\0')
    wrong (L, key->name, "a name that is no number");
}

static void
take_mark (lua_State *L, const struct key *key, struct fault_spec *s)
{
  s->mark = string (L, key->name);
  if (*s->mark == '\0' || strlen (s->mark) > 256)
    wrong (L, key->name, "the text of a mark, 1 to 256 bytes");
}

/*--------------------------------------------------------------------*/
/* Other actions. */

static void
take_error (lua_State *L, const struct key *key, struct fault_spec *s)
{
  s->error = check_errno (L, string (L, key->name));
  /* nbdkit aborts when anything but a fast zero fails with it. */
  if (s->error == ENOTSUP)
    wrong (L, key->name, "an error that any request may have");
}

/* { p50 = time, p99 = time, ... }: a distribution. */
static void
take_percentiles (lua_State *L, const struct key *key, struct fault_spec *s)
{
  static const char *const names[MAX_POINTS + 1] = {
    "p50", "p90", "p95", "p99", "p999", "p9999", "p100", NULL
  };
  static const double shares[MAX_POINTS] = {
    0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 1
  };

  check_keys (L, lua_absindex (L, -1), "fault: delay", names);
  for (size_t i = 0; names[i]; i++) {
    lua_pushstring (L, names[i]);
    if (lua_rawget (L, -2) != LUA_TNIL) {
      const uint64_t ns = nanoseconds (L, key->name);

      if (ns < s->delay_max)
        luaL_error (L, "fault: delay: %s is shorter than what is before it",
                    names[i]);
      s->delay_max = ns;
      s->points[s->nr_points++] = (struct fault_point) { shares[i], ns };
    }
    lua_pop (L, 1);
  }
}

/* { least, most } */
static void
take_limits (lua_State *L, const struct key *key, struct fault_spec *s)
{
  lua_rawgeti (L, -1, 1);
  s->delay = nanoseconds (L, key->name);
  lua_rawgeti (L, -2, 2);
  s->delay_max = nanoseconds (L, key->name);
  lua_pop (L, 2);
  if (s->delay_max < s->delay)
    luaL_error (L, "fault: delay: the second time is shorter");
}

/* A time, { least, most }, percentiles, or a function that gives a time. */
static void
take_delay (lua_State *L, const struct key *key, struct fault_spec *s)
{
  if (lua_isfunction (L, -1))
    s->has_delay_function = true;
  else if (!lua_istable (L, -1))
    s->delay = nanoseconds (L, key->name);
  else if (lua_rawlen (L, -1) == 2)
    take_limits (L, key, s);
  else {
    if (lua_rawlen (L, -1) == 0)
      take_percentiles (L, key, s);
    if (s->nr_points == 0)
      luaL_error (L, "fault: delay: expected a time, {least, most}, {p50 = time, p99 "
                  "= time} or a function");
  }
}

/* Read the list of { offset, count } on top of the stack into RANGES.  False: it is
 * none.
 */
static bool
to_ranges (lua_State *L, struct fault_range *ranges, size_t n)
{
  bool ok = true;

  for (size_t i = 0; i < n && ok; i++) {
    ok = lua_rawgeti (L, -1, (lua_Integer) i + 1) == LUA_TTABLE;
    if (ok) {
      lua_rawgeti (L, -1, 1);
      lua_rawgeti (L, -2, 2);
      ok = to_bytes (L, -2, &ranges[i].offset)
        && to_bytes (L, -1, &ranges[i].count);
      lua_pop (L, 2);
    }
    lua_pop (L, 1);
  }
  return ok;
}

bool
to_parts (lua_State *L, struct parts *p)
{
  const bool list = lua_istable (L, -1);
  const size_t n = list ? lua_rawlen (L, -1) : 1;

  luaL_checkstack (L, 5, NULL);
  p->half = lua_type (L, -1) == LUA_TSTRING
    && strcmp (lua_tostring (L, -1), "half") == 0;
  p->ranges = lua_newuserdatauv (L, (n + 1) * sizeof *p->ranges, 0);
  p->n = n ? n : 1;
  p->ranges[0] = (struct fault_range) { 0, 0 };
  lua_insert (L, -2);
  return list ? to_ranges (L, p->ranges, n)
    : p->half || to_bytes (L, -1, &p->ranges[0].count);
}

/* What keep takes, or a function that gives it. */
static void
take_keep (lua_State *L, const struct key *key, struct fault_spec *s)
{
  struct parts p;

  if (lua_isfunction (L, -1)) {
    s->has_keep_function = true;
    return;
  }
  if (!to_parts (L, &p))
    wrong (L, key->name, PARTS_EXPECTED " or a function");
  s->keep_half = p.half;
  s->keep = p.half ? NULL : p.ranges;
  s->nr_keep = p.half ? 0 : p.n;
}

/* Bytes, forwards or backwards. */
static void
take_misdirect (lua_State *L, const struct key *key, struct fault_spec *s)
{
  const char *text = lua_type (L, -1) == LUA_TSTRING ? lua_tostring (L, -1)
                                                     : NULL;
  uint64_t n = 0;

  if (lua_isinteger (L, -1))
    s->misdirect = lua_tointeger (L, -1);
  else if (text && text_size (text + (*text == '-'), &n))
    s->misdirect = *text == '-' ? -(int64_t) n : (int64_t) n;
  if (s->misdirect == 0)
    wrong (L, key->name, "a distance other than 0, such as 512 or \"-1M\"");
}

static void
take_stale (lua_State *L, const struct key *key, struct fault_spec *s)
{
  snapshot_to_name (L, -1);     /* which a rule shows, too */
  s->stale = string (L, key->name);
  if (*s->stale == '\0')
    wrong (L, key->name, "the name of a snapshot");
}

/* Does the live disk have a volatile cache, without which WHAT does nothing? */
static void
need_cache (lua_State *L, const char *what)
{
  if (!disk_cuts (disk_live ()))
    luaL_error (L, "fault: %s: needs a volatile cache: start the server with "
                "write-cache=volatile", what);
}

/* true, false, or "others". */
static void
take_lose (lua_State *L, const struct key *key, struct fault_spec *s)
{
  if (lua_type (L, -1) != LUA_TSTRING || strcmp (lua_tostring (L, -1), "others") != 0) {
    if (!lua_isboolean (L, -1))
      wrong (L, key->name, "true, false or \"others\"");
    s->lose = lua_toboolean (L, -1);
    return;
  }
  if (s->ops != OP (FLUSH))
    luaL_error (L, "fault: lose = \"others\" is for op = \"flush\"");
  need_cache (L, "lose = \"others\"");
  s->lose_others = true;
}

/* The choice stays on the stack. */
static void
take_cut (lua_State *L, const struct key *key, struct fault_spec *s)
{
  struct crash_cut cut;

  need_cache (L, key->name);
  to_cut (L, "fault: cut", &cut);
  s->cut = cut.choice;
  s->cut_torn = cut.torn;
  s->cut_bad = cut.bad;
}

static void
take_disconnect (lua_State *L, const struct key *key, struct fault_spec *s)
{
  s->disconnect = boolean (L, key->name);
  if (s->disconnect && !request_can_cut ())
    nbdkit_error ("fault: disconnect: this nbdkit can't cut a connection (1.34 "
                  "and newer can): the request fails with ESHUTDOWN instead");
}

/*--------------------------------------------------------------------*/
/* The keys. */

#define REGION (REQUESTS & ~OP (FLUSH))  /* requests that have one */

/* Where a member of a spec is, which the compiler checks to be of that type. */
#define FIELD(type, member) \
  (offsetof (struct fault_spec, member) \
   + 0 * sizeof ((type *) NULL == &((struct fault_spec *) NULL)->member))

#define HAS(what) FIELD (bool, has_##what)

#define BYTES(member) take_bytes, FIELD (uint64_t, member)
#define FROM_0(member) take_from_0, FIELD (uint64_t, member)
#define FROM_1(member) take_from_1, FIELD (uint64_t, member)
#define TIME(member) take_time, FIELD (uint64_t, member)
#define STRING(member) take_string, FIELD (const char *, member)
#define BOOLEAN(member) take_boolean, FIELD (bool, member)
#define CHANCE(member) take_probability, FIELD (double, member)
#define FUNCTION(member) take_function, FIELD (bool, member)
#define SPECIAL(function) function, 0

/* The language of fault {...} in one table, in the order of the man page, in which
 * rules are shown.  op comes first, because the others are checked against it.
 */
static const struct key keys[] = {
  { "op",         SELECTOR, ALL_OPS,       0,           SPECIAL (take_op) },
  { "offset",     SELECTOR, REGION,        HAS (range), BYTES (offset) },
  { "count",      SELECTOR, REGION,        HAS (range), SPECIAL (take_count) },
  { "conn",       SELECTOR, ALL_OPS,       0,           FROM_1 (conn) },
  { "export",     SELECTOR, ALL_OPS,       0,           STRING (export_name) },
  { "fua",        SELECTOR, CHANGES,       HAS (fua),   BOOLEAN (fua) },
  { "data",       SELECTOR, OP (WRITE),    0,           SPECIAL (take_data) },
  { "mark",       SELECTOR, ALL_OPS,       0,           SPECIAL (take_mark) },
  { "from",       SELECTOR, ALL_OPS,       0,           TIME (from) },
  { "to",         SELECTOR, ALL_OPS,       0,           TIME (to) },
  { "when",       SELECTOR, ALL_OPS,       0,           FUNCTION (has_when) },
  { "nth",        SELECTOR, ALL_OPS,       0,           FROM_1 (nth) },
  { "every",      SELECTOR, ALL_OPS,       0,           FROM_1 (every) },
  { "after",      SELECTOR, ALL_OPS,       0,           FROM_0 (after) },
  { "seq",        SELECTOR, ALL_OPS,       0,           SPECIAL (take_seq) },
  { "p",          SELECTOR, ALL_OPS,       HAS (p),     CHANCE (p) },
  { "times",      SELECTOR, ALL_OPS,       0,           FROM_1 (times) },
  { "optional",   SELECTOR, ALL_OPS,       0,           BOOLEAN (optional) },
  { "name",       SELECTOR, ALL_OPS,       0,           SPECIAL (take_name) },
  { "delay",      ACTION,   ALL_OPS,       0,           SPECIAL (take_delay) },
  { "hang",       ACTION,   ALL_OPS,       0,           BOOLEAN (hang) },
  { "call",       ACTION,   ALL_OPS,       0,           FUNCTION (has_call) },
  { "shutdown",   ACTION,   ALL_OPS,       0,           BOOLEAN (shutdown) },
  { "disconnect", ACTION,   REQUESTS,      0,           SPECIAL (take_disconnect) },
  { "error",      ACTION,   ALL_OPS,       0,           SPECIAL (take_error) },
  { "lose",       ACTION,   REQUESTS,      0,           SPECIAL (take_lose) },
  { "misdirect",  ACTION,   CAN_MISDIRECT, 0,           SPECIAL (take_misdirect) },
  { "keep",       ACTION,   CAN_TEAR,      0,           SPECIAL (take_keep) },
  { "stale",      ACTION,   CAN_BE_STALE,  0,           SPECIAL (take_stale) },
  { "corrupt",    ACTION,   CAN_CORRUPT,   0,           FROM_1 (corrupt) },
  { "cut",        ACTION,   REQUESTS,      0,           SPECIAL (take_cut) },
};

#define NR_KEYS (sizeof keys / sizeof keys[0])

bool
spec_has_key (const char *name, size_t len)
{
  for (const struct key *key = keys; key < keys + NR_KEYS; key++)
    if (strlen (key->name) == len && memcmp (key->name, name, len) == 0)
      return true;
  return false;
}

/* A selector must be able to match one of the rule's operations, and an action must
 * do something to all of them, because a rule that fires must have an effect.  (A
 * rule for "any" is for the operations to which its actions do something.)
 */
static void
check_ops (lua_State *L, const struct key *key, unsigned ops)
{
  unsigned others = ops & ~key->ops, op = 0;

  if (key->kind == SELECTOR || ops == REQUESTS ? (ops & key->ops) != 0
                                               : others == 0)
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

/* A flush that fails may lose what is volatile. */
static bool
can_drop (const struct fault_spec *s)
{
  return s->ops == OP (FLUSH) && s->lose && disk_cuts (disk_live ());
}

/* A request that fails is not performed, except for what is kept of it; one that
 * is lost is not performed either.
 */
static void
check_actions (lua_State *L, const struct fault_spec *s)
{
  static const char *const against[][2] = {
    { "error", "lose" }, { "disconnect", "lose" },      /* unless it can drop */
    { "error", "disconnect" }, { "error", "misdirect" }, { "error", "corrupt" },
    { "disconnect", "misdirect" }, { "disconnect", "corrupt" },
    { "lose", "keep" }, { "lose", "misdirect" }, { "lose", "corrupt" },
    { "error", "stale" }, { "disconnect", "stale" }, { "lose", "stale" },
    { "error", "cut" }, { "lose", "cut" }, { "disconnect", "cut" },
  };

  for (size_t i = can_drop (s) ? 2 : 0; i < sizeof against / sizeof against[0]; i++)
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

/* The time from FROM to TO must not be empty. */
static void
check_time_span (lua_State *L, const struct fault_spec *s)
{
  if (lua_getfield (L, 2, "to") != LUA_TNIL && s->to <= s->from)
    luaL_error (L, "fault: to: expected a later time than from, counted from the "
                "same moment");
  lua_pop (L, 1);
}

/* Take the value of a key, if it is there.  False: there is none, or an action that
 * is false.
 */
static bool
take_key (lua_State *L, const struct key *key, struct fault_spec *s)
{
  if (lua_getfield (L, 2, key->name) == LUA_TNIL) {
    lua_pop (L, 1);
    return false;
  }
  key->take (L, key, s);
  if (key->has)
    *(bool *) ((char *) s + key->has) = true;
  return key->kind == SELECTOR || has_key (L, key->name);
}

/* Take all keys, and keep the operations that the selectors can match and to which
 * an action does something.
 */
static void
take_keys (lua_State *L, struct fault_spec *s)
{
  unsigned can = ALL_OPS, acts = 0, actions = 0;
  struct rule_text text = { .len = 0 };

  for (const struct key *key = keys; key < keys + NR_KEYS; key++) {
    const bool there = take_key (L, key, s);

    if (key == keys && !there)
      luaL_error (L, "fault: op is missing, such as op = \"write\" (in quotes)");
    if (!there)
      continue;
    if (strcmp (key->name, "name") != 0)        /* it is always shown beside */
      describe_key (L, &text, key->name);
    check_ops (L, key, s->ops);
    if (key->kind == SELECTOR)
      can &= key->ops;
    else {
      acts |= key->ops;
      actions++;
    }
  }
  if (!acts)
    luaL_error (L, "fault: there is no action, such as error = \"EIO\" or "
                "cut = \"none\" (in quotes)");
  s->ops &= acts & can;
  s->only_function = actions == 1
    && (s->has_delay_function || s->has_keep_function);
  s->text = describe_push (L, &text);
  s->where = describe_place (L);
}

/* Raise an error if there is a key that other tools have, or a value without one. */
static void
check_slips (lua_State *L)
{
  static const char *const slips[][2] = {
    { "err", "error" }, { "errno", "error" }, { "size", "count" },
    { "len", "count" }, { "length", "count" }, { "probability", "p" },
    { "latency", "delay" }, { "sleep", "delay" },
  };
  static const char *const parts[] = { "torn", "bad" };

  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    lua_pushstring (L, parts[i]);
    if (lua_rawget (L, 2) != LUA_TNIL)
      luaL_error (L, "fault: %s is a part of cut: write cut = { \"none\", %s = true }",
                  parts[i], parts[i]);
    lua_pop (L, 1);
  }
  for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
    lua_pushstring (L, slips[i][0]);
    if (lua_rawget (L, 2) != LUA_TNIL)
      luaL_error (L, "fault has no '%s'; did you mean '%s'?", slips[i][0],
                  slips[i][1]);
    lua_pop (L, 1);
  }
  if (lua_rawgeti (L, 2, 1) == LUA_TSTRING && named_ops (lua_tostring (L, -1)))
    luaL_error (L, "fault: \"%s\" has no name before it; did you mean op = \"%s\"?",
                lua_tostring (L, -1), lua_tostring (L, -1));
  lua_pop (L, 1);
}

void
take_spec (lua_State *L, struct fault_spec *s)
{
  const char *names[NR_KEYS + 1] = { NULL };

  luaL_checkstack (L, 2 * (int) NR_KEYS + 10, NULL);
  for (size_t i = 0; i < NR_KEYS; i++)
    names[i] = keys[i].name;
  check_slips (L);
  check_keys (L, 2, "fault", names);
  take_keys (L, s);
  check_actions (L, s);
  check_region (L, s);
  check_time_span (L, s);
}
