#!/usr/bin/env bash
# Full stacks and empty memory: errors, also where one coroutine works on another
# one, which nothing protects then.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >stacks.lua <<'LUA'
local N = 600000                        -- more than half of what a stack holds
local function many() return table.unpack({}, 1, N) end

-- A coroutine that is suspended with N values.
local function full()
  local co = coroutine.create(function(...) coroutine.yield() return 1 end)
  coroutine.resume(co, many())
  return co
end
local function wrapped()
  local f = coroutine.wrap(function(...) while true do coroutine.yield() end end)
  f(many())
  return f
end
local function over() return 1 + over() end
local function overflown()
  local co = coroutine.create(over)
  coroutine.resume(co)
  return co
end
-- Call F where the caller's own stack is nearly full.
local function tight(f)
  return (function(...) return f() end)(table.unpack({}, 1, 990000))
end

local cases = {
  { "wrap", function() return wrapped()(many()) end },
  { "wrap, as before", function() local f = wrapped() pcall(f, many()) return (f()) end },
  { "wrap in another", function() local f = wrapped() return coroutine.wrap(function(...) return f(...) end)(many()) end },
  { "several", function()
      local all = {}
      for i = 1, 3 do all[i] = wrapped() end
      for i = 1, 3 do pcall(all[i], many()) end
      return pcall(all[1])
    end },
  { "resume", function() return coroutine.resume(full(), many()) end },
  { "close", function() return coroutine.close(full()) end },
  { "status", function() return coroutine.status(full()), coroutine.isyieldable(full()) end },
  { "traceback", function() return (debug.traceback(full()):gsub("\n.*", "")) end },
  { "getinfo", function() return debug.getinfo(full(), 1, "S").what, debug.getinfo(full(), over, "S").what end },
  { "lines", function() return debug.getinfo(full(), 1, "L") end },
  { "lines of a function", function() return type(debug.getinfo(over, "L").activelines) end },
  { "itself", function() local f f = coroutine.wrap(function(...) return f(many()) end) return f() end },
  { "itself resumed", function() return coroutine.wrap(function() return coroutine.resume(coroutine.running(), many()) end)() end },
  { "overflow in wrap", function() return coroutine.wrap(over)() end },
  { "overflow, resumed", function() return coroutine.resume(overflown()) end },
  { "overflow, closed", function() return coroutine.close(overflown()) end },
  { "overflow, traced", function() return (debug.traceback(overflown(), "m"):gsub("\n.*", "")) end },
  { "overflow in __close", function()
      local co = coroutine.create(function()
        local x <close> = setmetatable({}, { __close = over })
        coroutine.yield(many())
      end)
      coroutine.resume(co)
      return coroutine.close(co)
    end },
  { "overflow in __tostring", function()
      return coroutine.wrap(function(...) error(setmetatable({}, { __tostring = over })) end)(many())
    end },
  { "overflow in a handler", function() return coroutine.wrap(function() return (xpcall(over, over)) end)() end },
  { "error in a handler", function() return coroutine.wrap(function() return (xpcall(error, function(m) error(m) end)) end)() end },
  { "tight: yield", function() return tight(coroutine.wrap(function() coroutine.yield(many()) end)) end },
  { "tight: results", function() return tight(coroutine.wrap(function() return table.unpack({}, 1, 900000) end)) end },
  { "tight: error", function() return tight(coroutine.wrap(function() error "x" end)) end },
  { "tight: dead", function() return tight(function() local f = coroutine.wrap(function() end) return pcall(f) and pcall(f) end) end },
  { "C: metamethods", function()
      local t = {} setmetatable(t, { __index = function(t, k) return t[k + 1] end })
      return t[1]
    end },
  { "C: gsub", function() local function f() return (("x"):gsub(".", f)) end return f() end },
  { "C: coroutines", function() local function f() return coroutine.wrap(f)() end return f() end },
  { "C: resume", function() local function f() return select(2, coroutine.resume(coroutine.create(f))) end return f() end },
  { "C: __close", function()
      local n = 0
      local function f()
        n = n + 1
        pcall(coroutine.wrap(function() local x <close> = setmetatable({}, { __close = f }) error "x" end))
      end
      f()
      return n > 10
    end },
  { "C: parser", function() return load(("("):rep(1000)) end },
}

function run()
  for _, case in ipairs(cases) do
    local got = table.pack(pcall(case[2]))
    for i = 1, math.min(got.n, 5) do
      local _, text = pcall(tostring, got[i])
      got[i] = text:gsub("[%w.=]+:%d+: ", ""):gsub("error in (.*)overflow.*", "overflow")
        :gsub("stack overflow%s*%(.*", "stack overflow"):gsub(" near .*", ""):gsub("\n.*", "")
    end
    print(case[1] .. ": " .. (got.n > 5 and "many" or table.concat(got, ", ", 1, got.n)))
  end
end
run()
function on.read() run() end
LUA
serve hooks=stacks.lua size=1M control=ctl.sock hook-timeout=100
cp log got.load
python 'print(h.pread(1, 0))' >client.out
tail -n +$(($(wc -l <got.load) + 1)) log >got.hook
cp log all
"$TOP/memctl" ctl.sock 'run()'
tail -n +$(($(wc -l <all) + 1)) log >got.chunk
stopped
is "$(cat got.load)" "wrap: false, too many arguments to resume
wrap, as before: true, nil
wrap in another: false, stack overflow
several: true, true
resume: true, false, too many arguments to resume
close: true, true
status: true, suspended, true
traceback: true, stack traceback:
getinfo: true, Lua, Lua
lines: false, debug.getinfo: no option L with another coroutine; give the function alone
lines of a function: true, table
itself: false, too many arguments to resume
itself resumed: true, false, too many arguments to resume
overflow in wrap: false, stack overflow
overflow, resumed: true, false, cannot resume dead coroutine
overflow, closed: true, false, stack overflow
overflow, traced: true, m
overflow in __close: true, false, stack overflow
overflow in __tostring: false, stack overflow
overflow in a handler: true, false
error in a handler: true, false
tight: yield: false, too many results to resume
tight: results: false, too many results to resume
tight: error: false, x
tight: dead: true, false
C: metamethods: false, C stack overflow
C: gsub: false, C stack overflow
C: coroutines: false, C stack overflow
C: resume: true, C stack overflow
C: __close: true, true
C: parser: true, nil, C stack overflow" "while the script loads"
is "$(cat client.out)" "bytearray(b'\\x00')" "the hook has come to its end"
is "$(cat got.hook)" "$(cat got.load)" "in a hook"
is "$(cat got.chunk)" "$(cat got.load)" "in a chunk"
done_testing
