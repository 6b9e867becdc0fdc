#!/usr/bin/env bash
# from and to: a rule matches and counts between two times after its declaration only.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh

# The first is not over, and the second begins, only after all tests; the third is
# over when it is looked at, and the last begins when that is.
cat >time.lua <<'LUA'
local function rule(spec) spec.op, spec.error = "read", "EIO" return fault(spec) end
local now, later = rule { to = "100m", nth = 2, name = "now" }, rule { from = "100m", name = "later", optional = true }
local over, begun
function on.flush()
  over, begun = rule { offset = 512, to = "20ms", name = "over", optional = true }, rule { offset = 512, from = 0.02, name = "begun" }
  sleep(0.02)
end
function on.cache() print(now.hits, later.hits, over.hits, begun.hits) end
LUA
serve size=1M hooks=time.lua
is "$(python 'from clients import *
print(outcome(h.pread, 1, 0), outcome(h.pread, 1, 0), outcome(h.pread, 1, 0))
h.flush()
print(outcome(h.pread, 1, 512))
h.cache(1, 0)')" "ok EIO ok
EIO" "requests in time"
like "$(cat log)" "^4	0	0	1$" "and what counts"
stopped

refused 'to: expected a later time than from' 'fault { op = "read", from = 2, to = "2s", error = "EIO" }'
refused 'to: expected a later time than from' 'fault { op = "read", to = 0, error = "EIO" }'
refused 'from: expected a time' 'fault { op = "read", from = -1, error = "EIO" }'
refused 'to: "5" has no unit: write "5ms" or "5s"' 'fault { op = "read", to = "5", error = "EIO" }'
done_testing
