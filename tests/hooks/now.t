#!/usr/bin/env bash
# now() is the time since the start, in seconds: it never goes back, and passes as
# the time of sleep does.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >now.lua <<'LUA'
local first, times = now(), {}
for i = 1, 1000 do
  local t = now()
  assert(math.type(t) == "float" and math.abs(t * 1e6 - math.floor(t * 1e6 + 0.5)) < 1e-3, t)
  assert(t >= (times[i - 1] or first))
  times[i] = t
end
assert(first >= 0 and first < 600, first)
function on.read()
  local start, slept = now(), nil
  assert(start >= times[1000])
  sleep "50ms"
  slept = now() - start
  print(slept >= 0.05 and slept < 600)
end
LUA
serve size=1M hooks=now.lua
is "$(python 'h.pread(512, 0)')" "" "a hook reads the clock"
stopped
is "$(cat log)" true "in microseconds, and not back"
done_testing
