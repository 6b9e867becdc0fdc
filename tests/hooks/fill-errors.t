#!/usr/bin/env bash
# If on.fill fails, or returns anything except content, the request that needs it fails
# and nothing changes.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >fill.lua <<'LUA'
local answers = {
  function() error "oops" end,
  function() error {} end,
  function() fail "ENOSPC" end,
  function(o, c) return ("x"):rep(c - 1) end,
  function(o, c) return ("x"):rep(c + 1) end,
  function(o, c) return 5 end,
  function(o, c) return false end,
  function(o, c) return disk:read(o, c) end,
  function(o, c) while true do end end,
  function(o, c) coroutine.yield(("x"):rep(c)) end,
  function(o, c) return nil end,
  function(o, c) sleep "1ms" return ("s"):rep(c) end,
  function(o, c) end,
  function(o, c) return ("r"):rep(c), "more" end,
}
function on.fill(offset, count)
  return answers[offset // 4096 % #answers + 1](offset, count)
end
function on.flush() print(select(2, pcall(disk.read, disk, 0, 1))) end
function on.cache(req) disk:write(req.offset + 1, "x") end
LUA
cat >fill.py <<'PY'
from clients import *
for what in (lambda o: h.pread(1, o), lambda o: h.pread(4096, o), lambda o: h.pwrite(b"y", o + 1), lambda o: h.zero(1, o + 2),
             lambda o: h.trim(1, o + 3)):
    print(*[outcome(what, i * 4096) for i in range(14)])
print(*[chr(h.pread(1, i * 4096 + 9)[0] or 48) for i in range(10, 14)])
print(*[outcome(h.pwrite, b"z" * 4096, i * 4096) for i in range(14)])
print(h.pread(4096 * 14, 0) == b"z" * 4096 * 14)
h.trim(4096, 14 * 4096)
print(outcome(h.pread, 1, 14 * 4096))
h.flush()
print(outcome(h.cache, 1, 16 * 4096), outcome(h.cache, 1, 17 * 4096), outcome(h.pread, 1, 16 * 4096))
PY
serve size=1M hooks=fill.lua hook-timeout=0.2
bad="EIO EIO ENOSPC EIO EIO EIO EIO EIO EIO EIO ok ok ok ok"
is "$(python "$(cat fill.py)")" "$bad
$bad
$bad
$bad
$bad
0 s 0 r
$(printf 'ok %.0s' {1..13})ok
True
ok
ENOSPC EIO ENOSPC" "each fails its request"
for what in "returned 4095 bytes, not 4096" "returned 4097 bytes, not 4096" "returned no string, but a number" \
            "returned no string, but a boolean" "fill\.lua:2: oops" "coroutine\.yield"; do
    like "$(cat log)" "$what" "the log: $what"
done
alive "the server is alive"
stopped

# A function that removes itself while it is needed.
serve size=1M lua='
function on.fill(_, count) on.fill = nil return ("x"):rep(count) end
disk:zero(1, 80000)'
is "$(python 'print(h.pread(1 << 20, 0) == bytes(1 << 20))')" True "while it is at work"
stopped

# While loading: the script fails.
like "$(nbdkit_run -U - 1M lua='function on.fill() error "oops" end disk:write(1, "x")' --run : 2>&1)" \
     '^nbdkit: error: lua:1: oops$' "while loading"
done_testing
