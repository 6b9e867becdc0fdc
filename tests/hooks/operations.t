#!/usr/bin/env bash
# The hook of each operation can ignore, fail, skip and perform it, fail after it,
# sleep and hang.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >steps.lua <<'LUA'
-- What to do is the request's number.
local steps = {
  function() end,
  function() fail "EPERM" end,
  function(req) req:skip() end,
  function(req) print(req.op, req:run()) end,
  function(req) req:run() fail "ENOSPC" end,
  function(req) sleep "1ms" req:run() sleep(0.001) end,
  function(req) req:run() req:run() end,
  function(req) req:run() req:skip() end,
  function(req) error "oops" end,
  function(req) print(req.op, "hangs") hang() print("NEVER") end,
}
for _, op in ipairs {"read", "write", "flush", "trim", "zero", "extents", "cache"} do
  on[op] = function(req) steps[req.n](req) end
end
disk:fill(0, disk.size, "d")
LUA
cat >steps.py <<'PY'
from clients import *
page = 4096
ops = {"read": lambda c, o: c.pread(4, o), "write": lambda c, o: c.pwrite(b"new!", o),
       "flush": lambda c, o: c.flush(), "trim": lambda c, o: c.trim(page, o),
       "zero": lambda c, o: c.zero(page, o), "cache": lambda c, o: c.cache(page, o),
       "extents": lambda c, o: got.append(extents(c, 2 * page, o))}
hangs = {"read": lambda c: c.aio_pread(nbd.Buffer(4), 0), "write": lambda c: c.aio_pwrite(nbd.Buffer(4), 0),
         "flush": lambda c: c.aio_flush(), "trim": lambda c: c.aio_trim(page, 0),
         "zero": lambda c: c.aio_zero(page, 0), "cache": lambda c: c.aio_cache(page, 0),
         "extents": lambda c: c.aio_block_status(page, 0, lambda *a: 0)}
h = connect()
for i, (op, call) in enumerate(ops.items()):
    got = []
    print(op, *[outcome(lambda: got.append(call(h, (i * 20 + step) * page))) for step in range(9)])
    if op == "read":
        print(*[g.decode().replace("\0", "0") for g in got])
    if op == "extents":
        print(*[g for g in got if g])
    c = connect()
    cookie = hangs[op](c)
    until(lambda: f"{op}\thangs" in log())
    if c.aio_command_completed(cookie):
        print("did not hang")
PY
serve size=1M hooks=steps.lua lua='function on.close(c)
  local t = {}
  for page = 20, 20 * 7 - 1 do t[#t + 1] = disk:read(page * 4096, 1) end
  if c.id == 1 then print("disk " .. table.concat(t):gsub("\0", "0")) end
end'
usual="ok EPERM ok ok ENOSPC ok ok ok EIO"
is "$(python "$(cat steps.py)")" "read $usual
dddd 0000 dddd dddd dddd dddd
write $usual
flush $usual
trim $usual
zero $usual
cache $usual
extents $usual
[(8192, 0)] [(8192, 0)] [(8192, 0)] [(8192, 0)] [(8192, 0)] [(8192, 0)]" "what the client sees"
until grep -q '^disk' log; do sleep 0.02; done
dots=dddddddddddd
is "$(grep '^disk' log)" \
   "disk nddnnnnnd${dots::11}ddddddddd${dots::11}0dd00000d${dots::11}0dd00000d${dots::11}ddddddddd${dots::11}ddddddddd${dots::11}" \
   "what became of the disk"
is "$(grep -a $'\t' log | grep -av hangs | grep -v '^	' | sort)" "cache	true
extents	true
flush	true
read	dddd
trim	true
write	true
zero	true" "what req:run returns"
is "$(grep -c NEVER log)" 0 "what hangs does not go on"
stopped
done_testing
