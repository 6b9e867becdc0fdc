#!/usr/bin/env bash
# A script fills the disk, and its hooks make requests fail.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >faults.lua <<'LUA'
disk:write(510, "\x55\xaa")
function on.read(req)
  if req.offset == 4096 then fail "EIO" end
end
function on.write(req)
  if req.data:find("secret", 1, true) then fail "EPERM" end
end
LUA
serve size=1G hooks=faults.lua

is "$(python 'print(h.pread(2, 510).hex())')" 55aa "the script's bytes are on the disk"
like "$(python 'h.pread(512, 4096)')" 'Input/output error' "a read fails with EIO"
like "$(python 'h.pwrite(b"a secret", 0)')" 'Operation not permitted' "a write fails with EPERM"
is "$(python 'h.pwrite(b"harmless", 0); print(h.pread(8, 0).decode())')" harmless "others pass"
stop
is $? 0 "the server ends in good order"
done_testing
