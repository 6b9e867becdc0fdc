#!/usr/bin/env bash
# fail gives the client each error that NBD can carry, and no others.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >fail.lua <<'LUA'
names = {"EPERM", "EIO", "ENOMEM", "EINVAL", "ENOSPC", "ESHUTDOWN", "EROFS", "EDQUOT", "EFBIG", "ENOTSUP"}
function on.write(req) fail(names[req.offset + 1]) end
function on.read(req)
  local ok, e = pcall(fail, names[req.offset + 1])
  print(ok, tostring(e))
  error(e)
end
local notsup
function on.zero(req)
  if not notsup then notsup = select(2, pcall(fail, "ENOTSUP")) end
  error(notsup)
end
function on.trim() error(notsup) end
function on.cache() fail("EPREM") end
function on.flush() fail() end
LUA
serve size=1M hooks=fail.lua
is "$(python 'from clients import *
print(*[outcome(h.pwrite, b"x", i) for i in range(10)])
print(*[outcome(h.pread, 1, i) for i in range(9)])')" \
   "EPERM EIO ENOMEM EINVAL ENOSPC ESHUTDOWN EPERM ENOSPC ENOSPC EIO
EPERM EIO ENOMEM EINVAL ENOSPC ESHUTDOWN EPERM ENOSPC ENOSPC" "what the client sees"
like "$(cat log)" '^false	EDQUOT$' "pcall catches it, and tostring names it"
like "$(cat log)" 'fail: only a fast zero may fail with ENOTSUP' "ENOTSUP is refused for a write"
is "$(python 'from clients import *
print(outcome(h.zero, 512, 0, nbd.CMD_FLAG_FAST_ZERO))
# This one would make nbdkit abort.
print(outcome(h.zero, 512, 0), outcome(h.trim, 512, 0), outcome(h.pwrite, b"x", 1))')" \
   $'ENOTSUP\nEIO EIO EIO' "ENOTSUP of a fast zero, and what is left of it for others"
is "$(python 'from clients import *; print(outcome(h.cache, 512, 0), outcome(h.flush))')" "EIO EIO" "a wrong name is a mistake"
like "$(cat log)" "on\.cache: .*fail\.lua:14: .*'EPREM'; did you mean 'EPERM'" "with the nearest"
like "$(cat log)" "on\.flush: .*fail\.lua:15: bad argument #1 to 'fail'" "none too"
alive "the server is alive"
stopped
done_testing
