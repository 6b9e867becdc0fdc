#!/usr/bin/env bash
# req.data is what is stored, and what the client gets.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >data.lua <<'LUA'
disk:write(0, "disk")
local writes = {
  function(req) req.data = "swap" end,
  function(req) req.data = req.data:reverse() print(req.data) req:run() end,
  function(req) req.data = "1111" req.data = "2222" collectgarbage() req:run() collectgarbage() end,
  function(req) req.data = "lost" req:skip() end,
  function(req) req.data = "bad" end,
  function(req) req.data = "too long" end,
  function(req) req.data = 1234 end,
  function(req) req.data = nil end,
  function(req) req:run() req.data = "late" end,
  function(req) req.data = "fail" fail "EPERM" end,
  function(req) req.data = "slow" sleep "1ms" collectgarbage() end,
}
function on.write(req) writes[req.n](req) end
local reads = {
  function(req) print(req.data) end,
  function(req) print(req:run(), req.data) end,
  function(req) req:run() req.data = req.data:upper() print(req.data) end,
  function(req) req.data = "mine" print(req.data) end,
  function(req) req.data = "mine" req:run() print(req.data) end,
  function(req) req:run() req.data = "bad" end,
  function(req) req:run() req.data = false end,
  function(req) req:run() req.data = "kept" req:skip() print(req.data) end,
  function(req) req.data = "mine" fail "EPERM" end,
  function(req) req:skip() print((req.data:gsub("\0", "0"))) end,
  function(req) req:run() disk:write(0, "DISK") print(req.data, req:run()) disk:write(0, "disk") end,
}
function on.read(req) reads[req.n](req) end
LUA
cat >data.py <<'PY'
from clients import *
for i in range(11):
    o = outcome(h.pwrite, b"abcd", 0 if i in (5, 6, 9) else 8192 + i * 4)
    print(o, end=" ")
print()
for i in range(11):
    got = []
    o = outcome(lambda: got.append(h.pread(4, 0)))
    print(o if o != "ok" else got[0].replace(b"\0", b"0").decode(), end=" ")
print()
PY
serve size=1M hooks=data.lua lua='function on.flush() print((disk:read(8192, 44):gsub("\0", "0"))) end'
is "$(python "$(cat data.py)")" "ok ok ok ok EIO EIO EIO EIO EIO EPERM ok 
disk disk DISK mine disk EIO EIO kept EPERM 0000 DISK " "what the client sees" ||
    sed 's/^/# /' log
python 'h.flush()'
is "$(tail -1 log)" "swapdcba2222$(printf '0%.0s' {1..20})abcd0000slow" "what is stored"
is "$(grep -v '^nbdkit\|^	\|^stack' log | sed '$d')" "dcba
nil
disk	disk
DISK
mine
disk
kept
0000
disk	DISK" "what the hook sees"
like "$(cat log)" 'data\.lua:7: req\.data: expected 4 bytes, got 3' "too short"
like "$(cat log)" 'data\.lua:8: req\.data: expected 4 bytes, got 8' "too long"
like "$(cat log)" 'data\.lua:9: req\.data: expected a string, got number' "a number"
like "$(cat log)" 'data\.lua:10: req\.data: expected a string, got nil' "nil"
like "$(cat log)" 'data\.lua:11: req\.data: .* performed already' "after the write"
stopped

# A skipped read gives zeroes, not what a failed read has left in the buffer.
serve size=1M lua='function on.read(req) print(req:run()) req:skip() end
function on.read(req) fail "ENOMEM" end'
is "$(python 'print(h.pwrite(b"secret" * 100, 0), any(h.pread(600, 0)))')" "None False" "skip after a failed read gives zeroes"
is "$(cat log)" $'nil\tENOMEM' "the failure is seen by name"
stopped

# A function of a rule, and its strings, may be gone when the request is performed.
serve size=1M lua='fault { op = "write", call = function(req) req.data = ("x"):rep(req.count) end }'
python 'try: h.pwrite(b"a" * 512, 0)
except nbd.Error as e: print(e.errno)
print(h.pread(512, 0) == bytes(512))' >got
is "$(cat got)" $'EIO\nTrue' "a function of a rule can't set req.data"
like "$(cat log)" "a hook can change a request, but the function of a rule can.t" "... and is told so"
stopped
done_testing
