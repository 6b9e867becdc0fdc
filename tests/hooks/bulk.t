#!/usr/bin/env bash
# pattern makes the bytes that belong to an offset, and flip changes bits: so many
# as the probability says, the same ones when all is repeated, and in a part of the
# data the same as in the whole.
. "$(dirname "$0")/../lib/lib.sh"
[ "$WATCH" != tsan ] || skip_all "what nbdkit --run starts does not bear the sanitizer, and there is one thread"
need nbdsh

cat >lib.lua <<'LUA'
lib = {}
-- How many bits are 1.
local ones = {}
for i = 0, 255 do
  local n = 0
  for bit = 0, 7 do n = n + (i >> bit & 1) end
  ones[i] = n
end
function lib.ones(data)
  local n = 0
  for i = 1, #data do n = n + ones[data:byte(i)] end
  return n
end
-- Is N within six times the standard deviation of how many of COUNT bits that have probability P are 1?
function lib.near(n, count, p) return math.abs(n - count * p) <= 6 * math.sqrt(count * p * (1 - p)) end
zeroes, ff = ("\0"):rep(65536), ("\xff"):rep(65536)
LUA

# runs NAME: the script on standard input finds all as it should be.
runs ()
{
    cat >script.lua
    nbdkit_run -U - size=1M hooks=lib.lua hooks=script.lua --run : >out 2>&1
    is "$? $(cat out)" "0 " "$1"
}

runs "pattern: offsets" <<'LUA'
local function offsets(offset, count)
  local t = {}
  for o = offset & ~7, offset + count, 8 do t[#t + 1] = string.pack(">I8", o) end
  return table.concat(t):sub(offset % 8 + 1, offset % 8 + count)
end
for _, o in ipairs { 0, 1, 7, 8, 65535, 1 << 52, (1 << 52) + 3, math.maxinteger - 20 } do
  for count = 0, 20 do assert(pattern(o, count) == offsets(o, count), o) end
end
assert(pattern("4K", "1M") == offsets(4096, 1 << 20))
assert(pattern(math.maxinteger, 0) == "")
LUA

runs "pattern: what disk:random stores" <<'LUA'
disk:random(0, disk.size, 7)
for _, r in ipairs { { 0, 65536 }, { 1, 100 }, { 77777, 12345 }, { 13, 1 }, { disk.size - 3, 3 } } do
  assert(pattern(r[1], r[2], 7) == disk:read(r[1], r[2]))
end
assert(pattern(0, 4096, 8) ~= disk:read(0, 4096) and pattern(0, 64) ~= pattern(0, 64, 0))
LUA

runs "pattern: faster than Lua" <<'LUA'
local function cost(f)
  local start = os.clock()
  f()
  return os.clock() - start
end
local slow = cost(function()
  local t = {}
  for o = 0, (1 << 20) - 8, 8 do t[#t + 1] = string.pack(">I8", o) end
  return table.concat(t)
end)
assert(cost(function() pattern(0, 1 << 20) end) < slow / 2)
LUA

runs "flip: so many bits" <<'LUA'
for i, p in ipairs { 1e-5, 0.001, 0.009, 0.01, 0.02, 0.1, 0.3, 0.5, 0.75, 0.999 } do
  local n = 0
  for seed = 1, 16 do n = n + lib.ones(flip(zeroes, p, { offset = i * 65536, seed = seed })) end
  assert(lib.near(n, 16 * 65536 * 8, p), p .. " " .. n)
end
assert(flip(zeroes, 0, { offset = 0 }) == zeroes and flip(zeroes, 1, { offset = 0 }) == ff)
assert(flip("", 1, { offset = 0 }) == "" and flip("\xa5", "100%", { offset = 0 }) == "\x5a")
LUA

runs "flip: each bit as often as the others" <<'LUA'
for _, p in ipairs { 0.005, 0.2 } do
  local places = {}
  for seed = 1, 4000 do
    local bits = string.unpack("<I8", flip(zeroes:sub(1, 8), p, { offset = 0, seed = seed }))
    for b = 0, 63 do places[b] = (places[b] or 0) + (bits >> b & 1) end
  end
  for b = 0, 63 do assert(lib.near(places[b], 4000, p), p .. " " .. b .. " " .. places[b]) end
end
LUA

runs "flip: a part is as the whole" <<'LUA'
math.randomseed(1)
for _, p in ipairs { 0.0005, 0.03, 1 } do
  for _, stuck in ipairs { false, 1 } do
    local how = { seed = 3, stuck = stuck or nil }
    how.offset = 12345
    local whole = flip(zeroes, p, how)
    for _ = 1, 100 do
      local from, count = math.random(0, 60000), math.random(0, 5000)
      how.offset = 12345 + from
      assert(flip(zeroes:sub(from + 1, from + count), p, how) == whole:sub(from + 1, from + count))
    end
    how.offset, how.seed = 12345, 4
    assert(p == 1 and not stuck or flip(zeroes, p, how) ~= whole)
  end
end
assert(flip(zeroes, 0.1, { offset = 0 }) == flip(zeroes, 0.1, { offset = 0, seed = 0 }), "the default is seed=")
LUA

runs "flip: stuck bits are 0 or 1" <<'LUA'
for _, p in ipairs { 0.005, 0.1, 1 } do
  local how = { offset = 0, stuck = 1 }
  local high, low = flip(zeroes, p, how), flip(ff, p, how)
  assert(lib.near(lib.ones(high), 65536 * 8, p / 2) and lib.near(65536 * 8 - lib.ones(low), 65536 * 8, p / 2), p)
  for i = 1, 65536 do assert(high:byte(i) & ~low:byte(i) == 0) end
  assert(flip(high, p, how) == high)
end
LUA

runs "flip: wrong arguments" <<'LUA'
local function wrong(expected, ...)
  local ok, err = pcall(...)
  assert(not ok and err:find(expected, 1, true), err)
end
wrong("string expected", flip)
wrong("string expected", flip, 5, 1)
wrong("expected a probability", flip, "x")
wrong("expected a probability", flip, "x", 2)
wrong("expected a probability", flip, "x", "1:0")
wrong("table expected", flip, "x", 1, 5)
wrong("flip has no 'ofset'; did you mean 'offset'?", flip, "x", 1, { ofset = 1 })
wrong('flip: stuck: expected a probability, such as 0.5 or "50%", got 2', flip, "x", 1, { offset = 1, stuck = 2 })
wrong("flip: offset: expected bytes", flip, "x", 1, { offset = "x" })
wrong("flip: seed: expected a whole number, got x", flip, "x", 1, { offset = 1, seed = "x" })
wrong("flip without an offset is for hooks", flip, "x", 1)
wrong("flip with stuck below 1 is for hooks", flip, "x", 1, { offset = 1, stuck = 0.5 })
wrong("expected bytes", pattern, "x", 1)
wrong("expected bytes", pattern, 1, "x")
wrong("number expected", pattern, 1)
wrong("past the end", pattern, math.maxinteger, 1)
wrong("number expected", pattern, 0, 8, "x")
wrong("not enough memory", pattern, 0, 1 << 30)
wrong("not enough memory", pattern, 0, math.maxinteger)
LUA

# By luck: other bits in each request, the same ones when all is repeated.
cat >luck.lua <<'LUA'
function on.read(req)
  local data = req:run()
  if req.offset == 0 then req.data = flip(data, 0.01)
  elseif req.offset == 4096 then req.data = flip(data, 0.01, { offset = 0, stuck = 1 })
  else req.data = flip(data, 0.01, { offset = 0, stuck = 0.5 }) end
end
LUA
cat >client.py <<'PY'
zero, again = [h.pread(4096, 0) for i in range(3)], [h.pread(4096, 4096) for i in range(3)]
some = [h.pread(4096, 8192) for i in range(3)]
def different(list): return len(set(map(bytes, list)))
print(different(zero), different(again), different(some))
# What is stuck half of the time is among what is always stuck.
print(all(not a & ~b for s in some for a, b in zip(s, again[0])))
import hashlib
print(hashlib.sha256(b"".join(zero + again + some)).hexdigest())
PY
luck ()
{
    serve size=1M hooks=luck.lua "$@"
    python "$(cat client.py)"
    stop
}
luck >one
is "$(head -2 one)" "3 1 3
True" "by luck"
is "$(luck seed=0)" "$(cat one)" "the same when all is repeated"
[ "$(luck seed=1)" != "$(cat one)" ]
ok $? "another seed, other bits"
done_testing
