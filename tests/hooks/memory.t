#!/usr/bin/env bash
# Scripts that want more than lua-memory fail, and nothing else does.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

# hog NAME HOOK: run that hook several times, with others in between.
hog ()
{
    serve size=1M lua-memory=8M lua="$2
function on.write(req) req.data = req.data:upper() end"
    is "$(python 'from clients import *
c = connect()
print(*[outcome(h.pread, 512, 0) for i in range(3)], outcome(c.pwrite, b"x" * 100000, 512), c.pread(1, 512))')" \
       "EIO EIO EIO ok bytearray(b'X')" "$1" || tail -5 log | sed 's/^/# /'
    like "$(cat log)" 'not enough memory|resulting string too large|too many' "$1: the log says why"
    [ -n "$WATCH" ] || ok $(($(awk '/^VmHWM/ { print $2 }' "/proc/$server/status") > 100000)) "$1: the memory stays small"
    stopped
}
on='function on.read(req) if req.offset > 0 then return end'
hog "string.rep" "$on return ('x'):rep(1 << 30) end"
hog "string.rep, more than there can be" "$on return ('x'):rep(1 << 60) end"
hog "a table" "$on local t = {} for i = 1, 1 << 40 do t[i] = i end end"
hog "strings" "$on local s = 'x' while true do s = s .. s end end"
hog "many objects" "$on local t = {} while true do t = {t} end end"
hog "without collection" "collectgarbage 'stop' $on local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end"
hog "table.concat" "$on return table.concat({('x'):rep(1 << 20), ('y'):rep(1 << 20), ('x'):rep(1 << 20)}, ('z'):rep(1 << 22)) end"
hog "coroutines" "$on local t = {} while true do t[#t + 1] = coroutine.create(print) end end"
hog "disk:read" "$on while true do disk:read(0, 1 << 20) t = {t, disk:read(0, 1 << 20) .. #(t or '')} end end"

# Garbage does not count against the limit.
serve size=64M lua-memory=24M lua='collectgarbage "stop"
function on.read(req) for i = 1, 100 do local s = ("x"):rep(1 << 20) .. i end end
function on.write(req) req.data = "y" .. req.data:sub(2) end'
is "$(python 'from clients import *
print(*[outcome(h.pread, 512, 0) for i in range(3)], *[outcome(h.pwrite, b"x" * (4 << 20), i << 22) for i in range(8)])')" \
   "ok ok ok ok ok ok ok ok ok ok ok" "garbage is collected when memory is short" || tail -3 log | sed 's/^/# /'
stopped

# If a script keeps too much, all hooks fail until it lets go of that.
serve size=1M lua-memory=8M lua='
local kept = {}
function on.read(req) for i = 1, 1 << 40 do kept[i] = i .. ("x"):rep(1000) end end
function on.flush() kept = {} end'
is "$(python 'from clients import *
print(outcome(h.pread, 1, 0), outcome(h.pwrite, b"x", 0))
for i in range(20): outcome(h.flush)
print(outcome(h.flush))')" "EIO ok
ok" "what a script keeps"
stopped

# Programs that nbdkit --run starts do not run with the sanitizer.
[ "$WATCH" != tsan ] || done_testing

is "$(nbdkit_run -U - 1M lua-memory=1K lua='' --run : 2>&1; echo $?)" \
   $'nbdkit: error: lua-memory: too little even to start Lua\n1' "far too little to start"
like "$(nbdkit_run -U - 1M lua-memory=15K lua='' --run : 2>&1; echo "status $?")" 'not enough memory' "a bit too little"
# With each amount in between, the script fails or works, and nothing crashes.
for ((k = 16; k < 40; k += 3)); do
    # shellcheck disable=SC2016 # nbdkit sets uri
    nbdkit_run -U - 1M lua-memory=${k}K lua='function on.read(req) error(req.n) end' \
        --run 'nbdsh -u "$uri" -c "
for i in range(5):
    try: h.pread(1, 0)
    except nbd.Error as e: assert e.errno == \"EIO\""' >out 2>&1
    echo $?
done | sort -u | tr '\n' ' ' >statuses
like "$(cat statuses)" '^(0 |1 |0 1 )$' "little memory of any amount"
done_testing
