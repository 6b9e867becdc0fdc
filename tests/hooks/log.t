#!/usr/bin/env bash
# A hook that fails all the time does not flood the log: each place is reported once,
# and then counted.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# flood NAME LINES SCRIPT: a thousand reads leave at most LINES lines.
flood ()
{
    serve size=1M lua-memory=8M lua="$3"
    python 'from clients import *
cs = [connect() for i in range(4)]
print(*{outcome(c.pread, 1, 0) for i in range(250) for c in cs})' >out
    is "$(cat out)" "${4:-EIO}" "$1: the requests"
    stopped
    ok $(($(wc -l <log) > $2)) "$1: few lines" || { wc -l <log; head -20 log; } | sed 's/^/# /'
}
flood "errors" 20 'function on.read(req) error("oops " .. req.n) end'
is "$(grep -c 'traceback' log)" 1 "one traceback"
is "$(grep -o 'lua:1: oops [0-9]*.*' log)" "lua:1: oops 1
lua:1: oops 10 (10 times so far)
lua:1: oops 100 (100 times so far)
lua:1: oops 1000 (1000 times so far)" "counted"
like "$(cat log)" '^nbdkit: .*lua:1 .on.read.: .*1000 times$' "and summed up at the end"
flood "errors in two places" 40 'function on.read(req)
  if req.n % 2 == 0 then error "even" end
  error "odd"
end'
like "$(cat log)" 'lua:2: even$' "the one"
like "$(cat log)" 'lua:3: odd$' "and the other"
flood "errors that are tables" 20 'function on.read(req) error {} end'
flood "memory" 20 'function on.read(req) local t = {} while true do t[#t + 1] = ("x"):rep(1 << 20) .. #t end end'
flood "errors in __gc" 20 'function on.read(req) setmetatable({}, {__gc = function() error "in gc" end}) collectgarbage() end' ok
flood "errors in __tostring" 20 'local t = setmetatable({}, {__tostring = function() error "oops" end})
function on.read(req) error(t) end'
flood "yields" 20 'function on.read(req) coroutine.yield() end'
# Each seems to be a different place.
flood "errors in made-up chunks" 700 'function on.read(req) load("error(5)", "=chunk" .. req.n)() end'
flood "errors without a place" 700 'on.read = error'
done_testing
