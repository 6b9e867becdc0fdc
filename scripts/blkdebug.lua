-- QEMU's blkdebug: errors that depend on events and a state, and breakpoints.
-- nbdkit ./memory.so size=1G hooks=scripts/blkdebug.lua inject-error.0.event=write_aio inject-error.0.once=on
-- inject-error.N.KEY= for N = 0, 1, ... and KEY event, state, errno, sector, once, iotype, immediately (which makes no
-- difference); set-state.N.KEY= for KEY event, state, new_state.  There is no config=FILE.
-- Events: read_aio; write_aio, pwritev: a write; pwritev_zero; flush_to_os, flush_to_disk; none: one of these, or a
-- trim.  Not pwritev_done, nor those of images with metadata.  An error hits the request whose event it is (QEMU's
-- also hits others, until the next event with a rule), or, with iotype=, one of that type.
-- As in qemu-io, with control=: blkdebug.break_at(EVENT, TAG), .wait_break(TAG), .resume(TAG), .remove_break(TAG).

local params = require "lib.params"
local state, events = 1, { read_aio = "read", write_aio = "write", pwritev = "write", pwritev_zero = "zero",
                           flush_to_os = "flush", flush_to_disk = "flush",
                           none = { "read", "write", "zero", "trim", "flush" } }
local iotypes = { read = "read", write = "write", ["write-zeroes"] = "zero", discard = "trim", flush = "flush" }
local errnos = { ["1"] = "EPERM", ["5"] = "EIO", ["12"] = "ENOMEM", ["22"] = "EINVAL", ["28"] = "ENOSPC" }

-- States first: what they are is looked at before any rule acts, but a rule that acts after an error does nothing.
for _, kind in ipairs { "set-state", "inject-error" } do
  local n = 0
  while param[kind .. "." .. n .. ".event"] do
    local name = kind .. "." .. n
    local only, sector = params.number(name .. ".state", 0), params.number(name .. ".sector")
    local rule = { name = name, op = params.choice(name .. ".event", events),
                   when = only ~= 0 and function() return state == only end or nil }
    if kind == "set-state" then
      local new_state = params.number(name .. ".new_state", 1, 1)
      rule.call = function() state = new_state end
    else
      rule.op = params.choice(name .. ".iotype", iotypes, rule.op)
      rule.error = params.choice(name .. ".errno", errnos, "EIO")
      rule.offset, rule.count = sector and sector * 512, sector and 1
      rule.times = params.flag(name .. ".once", false) and 1 or nil
      params.flag(name .. ".immediately")
    end
    fault(rule)
    n = n + 1
  end
end

local function wrong(tag, what) error(("tag=%s: %s"):format(tag, what), 0) end
local function breakpoint(tag)
  local ok, rule = pcall(fault.get, "breakpoint " .. tostring(tag))
  return ok and rule or wrong(tag, "there is no breakpoint with this tag")
end
blkdebug = { wait_break = function(tag) breakpoint(tag):wait(1e9) end,
             remove_break = function(tag) breakpoint(tag):remove() end }    -- which lets the request go on
function blkdebug.break_at(event, tag)
  local op = params.of { event = tostring(event) }.choice("event", events)
  if type(tag) ~= "string" then wrong(tag, 'expected a name, such as "A"') end
  fault { op = op, name = "breakpoint " .. tag, times = 1, hang = true }
end
function blkdebug.resume(tag)
  if breakpoint(tag).fired == 0 then wrong(tag, "no request waits at this breakpoint") end
  blkdebug.remove_break(tag)
end
