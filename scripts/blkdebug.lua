-- QEMU's blkdebug: errors that depend on events and a state, and breakpoints.
-- nbdkit ./memory.so size=1G hooks=scripts/blkdebug.lua inject-error.0.event=write_aio inject-error.0.once=on
-- inject-error.N.KEY= for N = 0, 1, ... and KEY event, state, errno, sector, once, iotype, immediately (which makes no
-- difference); set-state.N.KEY= for KEY event, state, new_state.  There is no config=FILE.
-- Events: read_aio; write_aio, pwritev, pwritev_done: a write; pwritev_zero, pwritev_done: a zero; flush_to_os,
-- flush_to_disk; none: the start.  Not those of images with metadata.  As in QEMU, an event makes its errors active, in
-- place of those that are; a request of any type (or of iotype=) gets the first active one, also much later.
-- As in qemu-io, with control=: blkdebug.break_at(EVENT, TAG), .wait_break(TAG), .resume(TAG), .remove_break(TAG).

local params = require "lib.params"
local events = { read_aio = "read", write_aio = "write", pwritev = "write", pwritev_zero = "zero",
                 pwritev_done = { "write", "zero" }, flush_to_os = "flush", flush_to_disk = "flush", none = {} }
local iotypes = { read = "read", write = "write", ["write-zeroes"] = "zero", discard = "trim", flush = "flush" }
local errnos = { ["1"] = "EPERM", ["5"] = "EIO", ["12"] = "ENOMEM", ["22"] = "EINVAL", ["28"] = "ENOSPC" }
local happens = { read = { "read_aio" }, write = { "write_aio", "pwritev" }, zero = { "pwritev_zero" }, trim = {},
                  flush = { "flush_to_os", "flush_to_disk" } }

-- The rules as the parameters have them; the state, and which of the errors are active.
local errors, states, state, active = {}, {}, 1, {}

local function happen(name)
  local old, new = state, nil
  local function concerns(rule) return rule.event == name and (rule.state == 0 or rule.state == old) end
  for _, e in ipairs(errors) do
    if concerns(e) and not e.gone then
      new = new or {}
      new[#new + 1] = e
    end
  end
  active = new or active
  for i = #states, 1, -1 do
    if concerns(states[i]) then state = states[i].new_state end
  end
end

-- The error that a request meets, or false.
local function meet(req)
  for _, name in ipairs(happens[req.op]) do happen(name) end
  local met = false
  for i, e in ipairs(active) do
    local place = e.sector and e.sector * 512
    if (not place or req.offset <= place and place < req.offset + req.count) and (e.iotype or req.op) == req.op then
      met, e.gone = e, e.once
      if e.once then table.remove(active, i) end
      break
    end
  end
  if req.op == "write" or req.op == "zero" then happen "pwritev_done" end
  return met
end

-- Each error is a fault rule.  The first one that is asked about a request decides for all, and the last one forgets.
local decided = {}
local function is_met(e, req)
  local key = req.op .. req.n
  if decided[key] == nil then decided[key] = meet(req) end
  local met = decided[key]
  if e == errors[#errors] then decided[key] = nil end
  return met == e
end

local function read_rules(kind, list, read)
  while param[kind .. "." .. #list .. ".event"] do
    local name = kind .. "." .. #list
    params.choice(name .. ".event", events)
    list[#list + 1] = { event = param[name .. ".event"], state = params.number(name .. ".state", 0) }
    read(list[#list], name)
  end
end
read_rules("set-state", states, function(s, name) s.new_state = params.number(name .. ".new_state", 1, 1) end)
read_rules("inject-error", errors, function(e, name)
  e.sector, e.once = params.number(name .. ".sector"), params.flag(name .. ".once", false)
  e.iotype = params.choice(name .. ".iotype", iotypes)
  params.flag(name .. ".immediately")
  fault { name = name, op = { "read", "write", "zero", "trim", "flush" },
          when = function(req) return is_met(e, req) end, error = params.choice(name .. ".errno", errnos, "EIO") }
end)
happen "none"

local function wrong(tag, what) error(("tag=%s: %s"):format(tag, what), 0) end
local function breakpoint(tag)
  local ok, rule = pcall(fault.get, "breakpoint " .. tostring(tag))
  return ok and rule or wrong(tag, "there is no breakpoint with this tag")
end
blkdebug = object("blkdebug", {
  wait_break = function(tag) breakpoint(tag):wait(1e9) end,
  remove_break = function(tag) breakpoint(tag):remove() end,    -- which lets the request go on
})
function blkdebug.break_at(event, tag)
  local op = params.of { event = tostring(event) }.choice("event", events)
  if type(tag) ~= "string" then wrong(tag, 'expected a name, such as "A"') end
  fault { op = op, name = "breakpoint " .. tag, times = 1, hang = true }
end
function blkdebug.resume(tag)
  if breakpoint(tag).fired == 0 then wrong(tag, "no request waits at this breakpoint") end
  blkdebug.remove_break(tag)
end
