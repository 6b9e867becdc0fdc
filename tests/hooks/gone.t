#!/usr/bin/env bash
# What is left of our userdata after their finalizers have run: errors.  Lua runs
# the finalizers of younger objects first, so an older one may still hold them.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# Each class of userdata that has a finalizer, or a name by which methods know
# their objects, needs a case: below, or a reason here.
#   fault rule  below
#   request     below; it has no finalizer, but its request ends
#   guard       safe.c's own: no script gets one, and it has no methods
#   share of bad sectors  medium.c's own: no script gets one
#   (no name)   a file of image.c: no script gets one
classes=$(cd "$TOP" && grep -hoE '(new_class|luaL_newmetatable|luaL_checkudata|luaL_setmetatable) \(L, ([0-9], )?"[^"]+"' lua/*.c |
    grep -o '"[^"]*"' | sort -u | tr -d '"')
is "$classes" "fault rule
guard
request
share of bad sectors" "the classes"
is "$(cd "$TOP" && grep -l '"__gc")' lua/*.c | xargs -n1 basename | tr '\n' ' ')" "fault.c image.c safe.c snapshot.c " "those with finalizers"

cat >gone.lua <<'LUA'
-- The names that an object has, in the words of its error.
local function names(object)
  local _, message = pcall(function() return object["?"] end)
  local all = {}
  for name in message:match("but (.*)"):gmatch("%w+") do all[#all + 1] = name end
  return all
end

-- Use an object that is gone in every way.  LIVE is another one.
function use(object, live, where)
  local errors = {}
  local function try(what, f, ...)
    local ok, message = pcall(f, ...)
    message = ok and "no error" or tostring(message):gsub("^.-:%d+: ", "")
    errors[message] = errors[message] or {}
    table.insert(errors[message], what)
  end
  for _, name in ipairs(names(live)) do
    try("." .. name, function() return object[name] end)
    local ok, method = pcall(function() return live[name] end)
    if ok and type(method) == "function" then
      try(name .. "()", method, object, 1)
      try(name .. "(1, 1)", method, object, 1, 1)
    end
  end
  try("=", function() object.on = 1 end)
  try("?", function() return object["?"] end)
  for message, what in pairs(errors) do print(where .. ": " .. message .. ": " .. table.concat(what, " ")) end
  tostring(object)
end

function rule(name)
  return fault { op = "read", after = 10, name = name, error = "EIO", optional = true }
end
live = rule "live"

-- An older object, whose finalizer has the younger one.
function older(where)
  local t = setmetatable({}, { __gc = function(t) use(t.rule, live, where) dead = t.rule end })
  t.rule = rule(where)
  return t
end
older "collected"
collectgarbage() collectgarbage()
kept = older "at the end"
function on.read(r)
  local t = setmetatable({}, { __gc = function(t) use(t.rule, live, "a hook") end })
  t.rule = rule "hook"
  t = nil
  collectgarbage() collectgarbage()
  old = r
end
function on.flush(r) use(old, r, "a request that is over") end
LUA
serve hooks=gone.lua size=1M control=ctl.sock
python 'h.pread(1, 0); h.flush()' >client.out
is "$("$TOP/memctl" ctl.sock dead 2>&1)" "memctl: this rule is gone" "its JSON"
is "$("$TOP/memctl" ctl.sock '{ 1, dead }' 2>&1)" "memctl: this rule is gone" "in a table"
is "$("$TOP/memctl" ctl.sock 'dead:wait(600)' 2>&1)" "memctl: control:1: this rule is gone" "it is not waited for"
is "$("$TOP/memctl" ctl.sock 'fault.get("collected").name')" '"collected"' "the rule itself lives on"
stopped
is "$(sort log)" "a hook: a rule can't be changed: remove it, and declare another one: =
a hook: this rule is gone: .name .text .where .state .hits .fired .optional .hanging .delay .sum .first .last .last .request .off off() off(1, 1) .on on() on(1, 1) .release release() release(1, 1) .remove remove() remove(1, 1) .wait wait() wait(1, 1) ?
a request that is over: this request is over: .op .offset .count .fua .fast .conn .export .n .data .run run() run(1, 1) .skip skip() skip(1, 1) = ?
at the end: a rule can't be changed: remove it, and declare another one: =
at the end: this rule is gone: .name .text .where .state .hits .fired .optional .hanging .delay .sum .first .last .last .request .off off() off(1, 1) .on on() on(1, 1) .release release() release(1, 1) .remove remove() remove(1, 1) .wait wait() wait(1, 1) ?
collected: a rule can't be changed: remove it, and declare another one: =
collected: this rule is gone: .name .text .where .state .hits .fired .optional .hanging .delay .sum .first .last .last .request .off off() off(1, 1) .on on() on(1, 1) .release release() release(1, 1) .remove remove() remove(1, 1) .wait wait() wait(1, 1) ?" "each use is an error"
done_testing
