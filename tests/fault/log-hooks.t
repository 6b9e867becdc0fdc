#!/usr/bin/env bash
# log=FILE: what hooks change or fail leaves one line, and of a request that is
# tried again only how it came out in the end counts.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

cat >hooks.lua <<'LUA'
disk:bad("64K", 4096)
fault { op = "flush", times = 1, error = "EIO", name = "once" }
tries = 0
function on.read(req)
  local offset, data = req.offset, ("x"):rep(req.count)
  if offset == 0 then req:run() req.data = data end
  if offset == 1 then req.data = data req:run() end
  if offset == 2 then req:skip() end
  if offset == 3 then req:run() req:skip() end
  if offset == 4 then req.data = data fail "EPERM" end
  if offset == 5 then req.data = data error "oops" end
  if offset >= 64 << 10 then
    for i = 1, 7 do if select(2, req:run()) ~= "EIO" then return end tries = tries + 1 disk:heal(offset, offset == 64 << 10 and i == 3 and 1 or 0) end
    if offset == (64 << 10) + 512 then req.data = data end
    if offset == (64 << 10) + 1024 then fail "ENOSPC" end
  end
end
function on.write(req) req.data = ("y"):rep(req.count) end
function on.write(req) req:skip() end
function on.flush(req) if not req:run() then req:run() end end
LUA
serve size=1M log=hooks.log hooks=hooks.lua
is "$(python 'from clients import *
print(*[outcome(h.pread, 1, i) for i in range(6)], *[outcome(h.pread, 1, (64 << 10) + i * 512) for i in range(4)])
print(outcome(h.pwrite, b"abc", 0), outcome(h.flush))')" "ok ok ok ok EPERM EIO ok ok ENOSPC EIO
ok ok" "hooks that change, fail, skip and try again"
stop
is "$(read_log hooks.log 'for l in lines:
    if "did" in l: print(l.get("hook") or l.get("medium") or l.get("rule"), l["op"], l["offset"], l["did"])')" \
"read read 0 {'data': True}
read read 2 {'skip': True}
read read 4 {'error': 'EPERM'}
read read 5 {'error': 'EIO'}
read read 66048 {'data': True}
read read 66560 {'error': 'ENOSPC'}
disk:bad read 67072 {'error': 'EIO'}
write write 0 {'data': True}
write write 0 {'skip': True}
once flush 0 {'error': 'EIO'}" "each leaves one line, and what came out well none"
like "$(grep -c "error" log)" "^2$" "nbdkit's log has the mistake alone, and how often"
done_testing
