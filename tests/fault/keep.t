#!/usr/bin/env bash
# keep as a function says for each request which part of it is stored; "half" is the
# first half.
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
h.pwrite(b"abc", 256 << 10); h.cache(1, 256 << 10)
print(look(256 << 10, 3), outcome(h.pwrite, b"abcd", 320 << 10), look(320 << 10, 4))')" ".......... ..xx.. .. True
aa...
b.b..
.....
ddd..
.....
-----
EIO EIO EIO EIO EIO ok ENOSPC
a.. EIO ab.." "what is stored"
stopped
like "$(cat log)" 'fault rule wrong: keep: .*expected bytes, .*"half", a list of \{offset, count\}, or nil, got hlaf' "a wrong answer"
is "$(read_log the.log 'for l in lines:
    if l.get("rule") == "limbo": show(l)' | sed 's/"text".*"where"/"where"/')" \
'{"rule":"limbo","op":"write","offset":4090,"count":100,"conn":1,"did":{"keep":[[0,6]]}}
{"rule":"limbo","op":"write","offset":8192,"count":100,"conn":1,"did":{"keep":[[0,0]]}}
{"rule":"limbo","where":"keep.lua:1","matched":4,"fired":2}' "one that keeps all does not fire"

refused 'keep: expected bytes, .* got "haf"' 'fault { op = "write", keep = "haf" }'
refused "keep: does nothing to op 'read'" 'fault { op = "read", keep = "half" }'
done_testing
