/* fault.c - the function fault, and the rules that it gives.
 *
 * A rule's functions stay in Lua: rules[number] = { when = f, delay = f,
 * keep = f, call = f }.  The rules below know only the number, and ask for a
 * function by it.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chance.h"
#include "lib/sys.h"
#include "lua/host.h"
#include "lua/spec.h"
#include "report/log.h"

/*--------------------------------------------------------------------*/
/* Rules. */

/* A finalizer of an older object may still have one whose own has run. */
static struct fault *
check_rule (lua_State *L)
{
  struct fault *f = *(struct fault **) luaL_checkudata (L, 1, "fault rule");

  if (!f)
    luaL_error (L, "this rule is gone");
  return f;
}

/* The rule whose METHOD was called, perhaps without it. */
static struct fault *
check_rule_self (lua_State *L, const char *method)
{
  if (!luaL_testudata (L, 1, "fault rule"))
    luaL_error (L, "call it as rule:%s, with a colon", method);
  return check_rule (L);
}

/* Push a rule object that is empty, so that memory can't be missing later. */
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
  fault_set_on (check_rule_self (L, "off()"), false);
  lua_settop (L, 1);
  return 1;
}

static int
rule_on (lua_State *L)
{
  fault_set_on (check_rule_self (L, "on()"), true);
  lua_settop (L, 1);
  return 1;
}

static int
rule_release (lua_State *L)
{
  fault_release (check_rule_self (L, "release()"));
  lua_settop (L, 1);
  return 1;
}

/* A rule that is removed needs its functions no more. */
static int
rule_remove (lua_State *L)
{
  struct fault *f = check_rule_self (L, "remove()");

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
  if ((lua_KContext) info.fired < times && info.over)
    return luaL_error (L, "fault rule '%s' did not fire%s, and its time is over (it "
                       "matched %I requests)", info.name,
                       info.fired ? " so often" : "", (lua_Integer) info.hits);
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

/* rule:wait(time [, times]): until it has fired, or has fired that many times. */
static int
rule_wait (lua_State *L)
{
  struct fault *f = check_rule_self (L, "wait(time)");
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

/* Push when a rule has fired, in seconds of now(), or nil: never. */
static void
push_when (lua_State *L, uint64_t ns)
{
  const uint64_t us = ns / 1000;

  if (ns)
    lua_pushnumber (L, (lua_Number) us / 1e6);
  else
    lua_pushnil (L);
}

/* The request for which it fired last, or nil. */
static void
push_hit (lua_State *L, const struct fault_info *info)
{
  const struct fault_hit *hit = &info->hit;

  if (!info->last) {
    lua_pushnil (L);
    return;
  }
  lua_createtable (L, 0, 5);
  set_string (L, "op", op_names[hit->op]);
  set_integer (L, "offset", hit->offset);
  set_integer (L, "count", hit->count);
  set_integer (L, "conn", hit->conn);
  set_integer (L, "number", hit->number);
}

/* What only some rules have, to the table on top of the stack. */
static void
add_rare (lua_State *L, const struct fault_info *info)
{
  if (info->optional) {
    lua_pushboolean (L, true);
    lua_setfield (L, -2, "optional");
  }
  if (info->hanging) {
    lua_pushinteger (L, (lua_Integer) info->hanging);
    lua_setfield (L, -2, "hanging");
  }
  if (info->delayed) {
    lua_pushnumber (L, (lua_Number) info->delayed / 1e9);
    lua_setfield (L, -2, "delay_sum");
  }
  push_when (L, info->first);
  lua_setfield (L, -2, "first");
  push_when (L, info->last);
  lua_setfield (L, -2, "last");
  push_hit (L, info);
  lua_setfield (L, -2, "last_request");
}

/* A table that represents a rule in an answer of the control socket. */
static int
rule_tojson (lua_State *L)
{
  struct fault_info info = fault_info (check_rule (L));

  lua_createtable (L, 0, 11);
  add_rare (L, &info);
  lua_pushstring (L, info.name);
  lua_setfield (L, -2, "name");
  lua_pushstring (L, info.text);
  lua_setfield (L, -2, "text");
  lua_pushstring (L, info.where);
  lua_setfield (L, -2, "where");
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
  "name", "text", "where", "state", "hits", "fired", "optional", "hanging",
  "delay_sum", "first", "last", "last_request", "off", "on", "release", "remove", "wait", NULL
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
  else if (strcmp (name, "state") == 0)
    lua_pushstring (L, info.removed ? "removed" : info.on ? "on" : "off");
  else if (strcmp (name, "text") == 0)
    lua_pushstring (L, info.text);
  else if (strcmp (name, "where") == 0)
    lua_pushstring (L, info.where);
  else if (strcmp (name, "hits") == 0)
    lua_pushinteger (L, (lua_Integer) info.hits);
  else if (strcmp (name, "fired") == 0)
    lua_pushinteger (L, (lua_Integer) info.fired);
  else if (strcmp (name, "optional") == 0)
    lua_pushboolean (L, info.optional);
  else if (strcmp (name, "hanging") == 0)
    lua_pushinteger (L, (lua_Integer) info.hanging);
  else if (strcmp (name, "delay_sum") == 0)
    lua_pushnumber (L, (lua_Number) info.delayed / 1e9);
  else if (strcmp (name, "first") == 0)
    push_when (L, info.first);
  else if (strcmp (name, "last") == 0)
    push_when (L, info.last);
  else if (strcmp (name, "last_request") == 0)
    push_hit (L, &info);
  else
    return unknown_name (L, "a rule", name, rule_names);
  return 1;
}

/* With the arguments rules, functions, number: rules[number] = functions */
static int
keep_functions (lua_State *L)
{
  lua_insert (L, 2);
  lua_rawset (L, 1);
  return 0;
}

/* Push the functions of table 2, by name. */
static void
push_functions (lua_State *L)
{
  static const char *const functions[] = { "when", "delay", "keep", "call", NULL };

  lua_createtable (L, 0, 4);
  for (size_t i = 0; functions[i]; i++)
    if (lua_getfield (L, 2, functions[i]) == LUA_TFUNCTION)
      lua_setfield (L, -2, functions[i]);
    else
      lua_pop (L, 1);
}

/* fault {...} */
static int
fault_call (lua_State *L)
{
  struct fault_spec s = { 0 };
  struct fault **rule;
  uint64_t since;
  int err;

  if (!lua_istable (L, 2))
    return luaL_error (L, "fault: expected a table, as in fault { op = \"read\", "
                       "error = \"EIO\" }");
  lua_settop (L, 2);
  rule = new_rule (L);
  take_spec (L, &s);
  lua_pushcfunction (L, keep_functions);
  lua_getfield (L, LUA_REGISTRYINDEX, "rules");
  push_functions (L);
  since = sys_now ();
  err = fault_add (&s, rule);
  host_excuse (since);
  if (err == EEXIST && (*rule = fault_get (s.name)))
    return luaL_error (L, "fault: there is a rule '%s' already (%s)", s.name,
                       fault_info (*rule).where);
  if (err)
    return luaL_error (L, "fault: %s", strerror (err));
  lua_pushinteger (L, (lua_Integer) fault_info (*rule).number);
  if (lua_pcall (L, 3, 0, 0) != LUA_OK) {
    fault_remove (*rule);       /* there is no memory for its functions */
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
/* The functions of rules. */

/* One at work, on a request. */
struct rule_call {
  struct call call;
  struct fault_info info;
  const char *function;         /* "when", "delay", "keep" or "call" */
  uint64_t result;              /* is it true, or, of delay, nanoseconds */
  struct fault_range *ranges;   /* of keep: from malloc, or NULL */
  size_t nr_ranges;
};

static int
always_false (lua_State *L)
{
  (void) L;
  return 0;
}

/* Push the function, which may have gone with its rule. */
static void
push_rule_function (lua_State *L, const struct rule_call *r)
{
  lua_getfield (L, LUA_REGISTRYINDEX, "rules");
  if (lua_rawgeti (L, -1, (lua_Integer) r->info.number) == LUA_TTABLE)
    lua_getfield (L, -1, r->function);
  else
    lua_pushcfunction (L, always_false);
  lua_replace (L, -3);
  lua_pop (L, 1);
}

/* The req stays below, because the call points to it. */
static int
rule_push (lua_State *L, struct call *c)
{
  hook_number (c->req);         /* no hook may have seen it */
  if (c->req->op == OP_OPEN)
    push_conn (L, c->req->conn);
  else
    push_req (L, c);
  push_rule_function (L, (const struct rule_call *) c);
  lua_pushvalue (L, -2);
  return 1;
}

/* What delay returned. */
static void
take_time (lua_State *L, struct rule_call *r)
{
  if (!lua_isnil (L, -1)
      && (lacks_unit (L, -1) || !to_time (L, -1, &r->result)))
    luaL_error (L, "expected a time, such as 2 or \"50ms\", or nil, got %s",
                luaL_tolstring (L, -1, NULL));
}

/* What keep returned. */
static void
take_parts (lua_State *L, struct rule_call *r)
{
  struct parts p;

  if (lua_isnil (L, -1))
    return;
  if (!to_parts (L, &p))
    luaL_error (L, "expected " PARTS_EXPECTED ", or nil, got %s",
                luaL_tolstring (L, -1, NULL));
  if (p.half)
    p.ranges[0] = fault_half (r->call.req);
  r->ranges = malloc (p.n * sizeof *p.ranges);
  if (!r->ranges) {
    luaL_error (L, "out of memory");
    return;
  }
  memcpy (r->ranges, p.ranges, p.n * sizeof *p.ranges);
  r->nr_ranges = p.n;
}

static void
rule_done (lua_State *L, struct call *c)
{
  struct rule_call *r = (struct rule_call *) c;

  if (strcmp (r->function, "delay") == 0)
    take_time (L, r);
  else if (strcmp (r->function, "keep") == 0)
    take_parts (L, r);
  else
    r->result = lua_toboolean (L, -1) != 0;
}

static void
rule_title (const struct call *c, char *title, size_t size)
{
  const struct rule_call *r = (const struct rule_call *) c;

  snprintf (title, size, "fault rule %.200s (%.70s): %s", r->info.name, r->info.where,
            r->function);
}

/* The call of a rule has its line in the fault log already. */
static int
rule_failed (struct call *c)
{
  const struct rule_call *r = (const struct rule_call *) c;
  const int err = error_code (c);

  if (log_wanted () && strcmp (r->function, "call") != 0)
    log_error ("rule", r->info.name, c->req, err);
  return err;
}

static const struct call_kind rule_kind = {
  .push = rule_push, .results = 1, .done = rule_done, .title = rule_title,
  .failed = rule_failed, .wait = call_wait, .gone = call_gone,
};

/* Run a function of a rule on a request.  0, with what it returned in *R, or an errno
 * code.  Without the lock held.
 */
static int
run_rule (struct rule_call *r, const struct fault *f, const char *function,
          struct request *req)
{
  int err;

  *r = (struct rule_call) {
    .call = { .kind = &rule_kind, .req = req },
    .info = fault_info (f), .function = function,
  };
  /* Each of its functions has luck of its own. */
  r->call.asked = fault_asked (f);
  r->call.part = *function == 'w' ? 0 : *function == 'd' ? 1
    : *function == 'c' ? 2 : 3;
  r->call.place = chance_mix (r->info.hash) ^ (r->call.part << 8 | req->op);
  err = call_run_alone (&r->call);
  if (r->call.cut && log_wanted ())
    log_cut ("rule", r->info.name, req, call_why_cut (&r->call));
  return err;
}

static int
rule_when (const struct fault *f, struct request *req)
{
  struct rule_call r;
  int err = run_rule (&r, f, "when", req);

  return err ? -err : r.result != 0;
}

static int
rule_delay (const struct fault *f, struct request *req, uint64_t *ns)
{
  struct rule_call r;
  int err = run_rule (&r, f, "delay", req);

  *ns = r.result;
  return err;
}

static int
rule_keep (const struct fault *f, struct request *req,
           struct fault_range **ranges, size_t *n)
{
  struct rule_call r;
  int err = run_rule (&r, f, "keep", req);

  *ranges = r.ranges;
  *n = r.nr_ranges;
  return err;
}

static int
rule_call (const struct fault *f, struct request *req)
{
  struct rule_call r;

  return run_rule (&r, f, "call", req);
}

void
open_fault (lua_State *L)
{
  static const char *const names[] = { "list", "get", "clear", NULL };
  struct fault_callbacks callbacks = {
    .when = rule_when, .delay = rule_delay, .keep = rule_keep,
    .call = rule_call,
  };

  faults_start (&callbacks);
  lua_newtable (L);
  lua_setfield (L, LUA_REGISTRYINDEX, "rules");

  new_class (L, "fault rule", rule_index, rule_newindex, 0);
  lua_pushcfunction (L, rule_gc);
  lua_setfield (L, -2, "__gc");
  lua_pushcfunction (L, rule_tojson);
  lua_setfield (L, -2, "__tojson");
  lua_pop (L, 1);

  luaL_newlib (L, fault_functions);
  make_strict (L, "fault", names, fault_call);
}
