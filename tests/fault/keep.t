#!/usr/bin/env bash
# keep as a function says for each request which part of it is stored; "half" is the
# first half, in sectors.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

# The disk is good below 4K only.
cat >keep.lua <<'LUA'
fault { op = { "write", "zero" }, count = "64K", name = "limbo", keep = function(req)
  local good = 4096 - req.offset
  if good < req.count then return math.max(good, 0) end
end }
fault { op = "write", offset = "64K", count = "64K", name = "answers", keep = function(req)
  return ({ a = "half", b = { { 0, 1 }, { "2", 1 } }, c = {}, d = "3", e = 0 })[req.data:sub(1, 1)]
end }
fault { op = "write", offset = "128K", count = "64K", name = "wrong", keep = function(req)
  return ({ a = "hlaf", b = -1, c = { 1 }, d = true, e = error })[req.data]
end }
fault { op = "write", offset = "192K", count = "64K", name = "fails", keep = function() fail "ENOSPC" end }
fault { op = "any", offset = "256K", count = "64K", name = "any", delay = 0, keep = function() return "half" end }
fault { op = "write", offset = "320K", name = "torn", error = "EIO", keep = function() return "half" end }
fault { op = "open", name = "last", error = "EIO", optional = true, after = 1 }
LUA
serve size=1M log=the.log hooks=keep.lua
is "$(python 'from clients import *
def look(offset, n): return h.pread(n, offset).decode().replace("\0", ".")
h.pwrite(b"x" * 100, 0); h.pwrite(b"x" * 100, 4090); h.pwrite(b"x" * 100, 8192); h.zero(8, 4086)
print(look(4084, 10), look(4092, 6), look(8192, 2), look(0, 100) == "x" * 100)
for i, c in enumerate("abcde-"):
    h.pwrite((c * 5).encode(), (64 << 10) + i * 512)
    print(look((64 << 10) + i * 512, 5))
print(*[outcome(h.pwrite, c.encode(), 128 << 10) for c in "abcde-"], outcome(h.pwrite, b"x", 192 << 10))
def ends(offset, n): return look(offset, n).rstrip(".").count("a")
h.pwrite(b"a" * 1500, 256 << 10); h.cache(1, 256 << 10)
print(ends(256 << 10, 1500), outcome(h.pwrite, b"a" * 2048, 320 << 10), ends(320 << 10, 2048))')" ".......... ..xx.. .. True
.....
b.b..
.....
ddd..
.....
-----
EIO EIO EIO EIO EIO ok ENOSPC
512 EIO 1024" "what is stored"
stopped
like "$(cat log)" 'fault rule wrong \(keep.lua:[0-9]+\): keep: .*expected bytes, .*"half", a list of \{offset, count\}, or nil, got hlaf' "a wrong answer"
is "$(read_log the.log 'for l in lines:
    if l.get("rule") == "limbo": show(l)' | sed 's/"text".*"where"/"where"/')" \
'{"rule":"limbo","op":"write","offset":4090,"count":100,"conn":1,"did":{"keep":[[0,6]]}}
{"rule":"limbo","op":"write","offset":8192,"count":100,"conn":1,"did":{"keep":[[0,0]]}}
{"rule":"limbo","where":"keep.lua:1","matched":4,"fired":2}' "one that keeps all does not fire"

# Half, in sectors, of requests that begin within one, too; and of the disk's sectors.
cat >half.py <<'PY'
from clients import *
def kept(offset, count):
    h.zero(65536, 0); h.pwrite(b"a" * count, offset)
    return h.pread(65536, 0).count(b"a")
print(*[kept(0, n) for n in (1, 511, 512, 1023, 1024, 1535, 1536, 2048, 4096, 8192, 12288, 12289, 16384)])
print(*[kept(o, 4096) for o in (256, 511, 512, 513, 2048, 2560)], kept(256, 512), kept(511, 2))
PY
serve size=64K lua='fault { op = "write", keep = "half" }'
is "$(python "$(cat half.py)")" "0 0 0 0 512 512 512 1024 2048 4096 6144 6144 8192
1792 1537 2048 2047 2048 2048 256 1" "sectors of 512 bytes"
stopped
serve size=64K write-cache=volatile sector=4096 lua='fault { op = "write", keep = function() return "half" end }'
is "$(python "$(cat half.py)")" "0 0 0 0 0 0 0 0 0 4096 4096 4096 8192
0 0 0 0 2048 1536 0 0" "sectors of 4096 bytes"
stopped

refused 'keep: expected bytes, .* got "haf"' 'fault { op = "write", keep = "haf" }'
refused "keep: does nothing to op 'read'" 'fault { op = "read", keep = "half" }'
done_testing
