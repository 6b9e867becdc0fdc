#!/usr/bin/env bash
# A hook that raises an error, of whatever type, fails its request with EIO;
# the log says where, and the server goes on.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >errors.lua <<'LUA'
disk:write(0, "disk")
local co = coroutine.create(function() end)
local ways = {
  function() error "a string" end,
  function() error() end,
  function() error(nil) end,
  function() error {} end,
  function() error(function() end) end,
  function() error(co) end,
  function() error(true) end,
  function() error(12.5) end,
  function() error(io.stderr) end,
  function(req) error(req) end,
  function() error(setmetatable({}, {__tostring = function() return "told" end})) end,
  function() error(setmetatable({}, {__tostring = function() error "in tostring" end})) end,
  function() error(setmetatable({}, {__tostring = function() return {} end})) end,
  function() error(setmetatable({}, {__tostring = function() coroutine.yield() end})) end,
  function() error(setmetatable({}, {__tostring = function() sleep(1) end})) end,
  function() error(setmetatable({}, {__name = "My type"})) end,
  function() local x = nil + 1 end,
  function() nothing() end,
  function() local a <close> = setmetatable({}, {__close = function() error "in close" end}) end,
  function() local a <close> = setmetatable({}, {__close = function() error "in close 2" end}) error "before close" end,
  function() local a <close> = setmetatable({}, {__close = function() fail "ENOSPC" end}) end,
  function() local a <close> = 5 end,
  function() coroutine.wrap(function() error "in a coroutine" end)() end,
  function() coroutine.wrap(function() fail "EPERM" end)() end,
  function() pcall(error, "caught") end,
  function() xpcall(error, error, "twice") error "after xpcall" end,
  function() table.sort({3, 2, 1}, function() error "in sort" end) end,
  function() ("x"):gsub("x", function() fail "EPERM" end) end,
  function() string.format("%d", "x") end,
  function() require "nowhere" end,
  function() load("syntax error")() end,
  function() assert(false) end,
  function() assert(nil, {}) end,
  function() os.exit(0) end,
  function() os.exit(true, true) end,
  function() local function f() return f() + 1 end f() end,
  function() local function f(s) return (s:gsub(".", f)) end f("x") end,
  function() error(("long "):rep(1 << 20)) end,
  function() error("many\nlines\n\0and a NUL %s %n") end,
  function() debug.traceback(co) debug.getinfo(1) pcall(debug.getregistry) error "after debug" end,
  function() setmetatable({}, {__gc = function() error "in gc" end}) collectgarbage() collectgarbage() end,
  function() setmetatable({}, {__gc = function() error {} end}) collectgarbage() collectgarbage() end,
  function() warn("@on") warn("a ", "warning") end,
}
ways_count = #ways
function on.read(req) local n = req.n if ways[n] then ways[n](req) end end
function on.write(req) req:run() error "after run" end
for _, op in ipairs {"flush", "trim", "zero", "extents", "cache", "open", "close", "fill"} do
  on[op] = function(c)
    if op == "open" and c.id == 1 or op == "fill" and c < 1 << 18 then return end
    error("error in on." .. op)
  end
end
print("ways", ways_count)
LUA
cat >errors.py <<'PY'
from clients import *
print(*[outcome(h.pread, 4, 0) for i in range(43)])
print(outcome(h.pwrite, b"done", 0), h.pread(4, 0))
print(*[outcome(f, 512, 0) for f in (h.trim, h.zero, h.cache)], outcome(h.flush), outcome(h.pread, 1, 1 << 19), outcome(connect))
PY
serve size=1M hooks=errors.lua
expected=$(for ((n = 1; n <= 43; n++)); do
    case $n in
    21) echo ENOSPC ;;
    24|28) echo EPERM ;;
    25|41|42|43) echo ok ;;
    *) echo EIO ;;
    esac
done | tr '\n' ' ')
is "$(python "$(cat errors.py)")" "${expected% }
EIO bytearray(b'done')
EIO EIO EIO EIO EIO ENOENT" "what the client sees"
is "$(head -1 log)" $'ways\t43' "all of them"
for what in 'on\.read: errors\.lua:4: a string' 'on\.read: .*told' 'on\.read: .*My type' 'on\.read: .*in tostring' \
            'errors\.lua:20: attempt to perform arithmetic' "errors\.lua:22: in close" "errors\.lua:23: before close" \
            'in a coroutine' 'after xpcall' 'in sort' 'nowhere' 'os\.exit' 'stack overflow' 'many' 'after debug' \
            'Lua warning: .*in gc' 'Lua warning: .*a warning' 'on\.write: errors\.lua:[0-9]*: after run' \
            'on\.(flush|trim): .*error in on\.' 'stack traceback' '	errors\.lua:4: in '; do
    like "$(tr '\0' 0 <log | cut -c -300)" "$what" "the log: $what"
done
ok "$(kill -0 "$server"; echo $?)" "the server is alive"
stopped

# All of these again and again, from many clients.
sed 's/^print.*//; s/^function on.read.*/function on.read(req) ways[(req.n - 1) % #ways + 1](req) end/' errors.lua |
    sed '/^function on.write/,$d' >again.lua
cat >again.py <<'PY'
from clients import *
cs = [connect() for i in range(8)]
cookies = [[c.aio_pread(nbd.Buffer(4), 0) for i in range(43)] for c in cs]
outcomes = [o for c, k in zip(cs, cookies) for o in finish(c, k)]
print(outcomes.count("ok"), outcomes.count("EIO"))
PY
serve size=1M hooks=again.lua
is "$(python "$(cat again.py)")" "$((4 * 8)) $((36 * 8))" "from many clients at once" || tail -3 log | cut -c -200 | sed 's/^/# /'
alive "the server is alive"
stopped
done_testing
