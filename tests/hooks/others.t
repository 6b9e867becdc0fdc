#!/usr/bin/env bash
# A hook can't use another hook's coroutine or request, either while that is at work or
# when it is over.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >others.lua <<'LUA'
local co, request, awake
local function try(...) print("tried", (select(2, pcall(...)))) end
function on.read(req)
  co, request = coroutine.running(), req
  req:run()
  print "asleep"
  while not awake do sleep "1ms" end
  print("woken", req.n)
end
function on.write(req)
  try(function() local ok, e = coroutine.resume(co) assert(ok, e) end)
  try(function() local ok, e = coroutine.close(co) assert(ok, e) end)
  try(function() request.data = ("x"):rep(request.count) end)
  try(function() request:skip() end)
  try(function() request:run() end)
  try(function() coroutine.wrap(function() request:run() end)() end)
  co, request = nil
  for i = 1, 4 do collectgarbage() end
end
function on.flush(req)
  for i = 1, 3 do collectgarbage() end
  if co then
    try(function() local ok, e = coroutine.resume(co) assert(ok, e) end)
    try(function() local ok, e = coroutine.close(co) assert(ok, e) end)
    try(function() return request.n end)
  end
  awake = true
end
LUA
cat >others.py <<'PY'
from clients import *
other = connect()
h.pwrite if False else None
cookie = h.aio_pread(nbd.Buffer(512), 0)
until(lambda: "asleep" in log())
print(outcome(other.pwrite, b"x", 512))
for i in range(10):
    other.flush()
print(*finish(h, [cookie]), outcome(h.pread, 1, 0), outcome(other.flush), outcome(h.pread, 1, 0))
PY
sed -i '/if False else None/d' others.py
serve size=1M hooks=others.lua
is "$(python "$(cat others.py)")" "ok
ok ok ok ok" "others are not disturbed" || tail -40 log | sed 's/^/# /'
is "$(grep -c ^tried log)" 9 "each try is an error"
is "$(grep -c '^tried	nil' log)" 0 "with a message" || grep '^tried' log | sed 's/^/# /'
stopped

# Another hook can't change the data of a write that is being stored.
serve size=64M lua='
local saved
function on.write(req)
  req.data = ("a"):rep(req.count)
  saved = req
  req:run()
end
function on.flush()
  for i = 1, 50 do
    pcall(function() saved.data = ("b"):rep(saved.count) end)
    collectgarbage()
  end
end'
is "$(python 'from clients import *
other = connect()
cookies = [h.aio_pwrite(nbd.Buffer(4 << 20), i << 22) for i in range(15)]
import threading
def flush():
    for i in range(10): other.flush()
t = threading.Thread(target=flush)
t.start()
print(*set(finish(h, cookies)))
t.join()
print(*{bytes(set(h.pread(4 << 20, i << 22))) for i in range(15)})')" "ok
b'a'" "nor the data of a write"
stopped
done_testing
