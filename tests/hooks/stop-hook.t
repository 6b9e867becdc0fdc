#!/usr/bin/env bash
# on.stop runs when nbdkit ends, after the last client has left, in the reverse order
# of scripts.  It may use the disk, finds files as the script did, can't hold up the
# end, and does not run when the start failed.
# The commands of --run are for other shells.
# shellcheck disable=SC2016
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

cat >one.lua <<'LUA'
function on.close() print "said: close" end
function on.stop()
  print("said: one", disk:read(0, 5))
  disk:save "saved.img"
end
LUA
cat >two.lua <<'LUA'
function on.stop() print "said: two" error "oops" end
function on.stop() print("said: three", pcall(sleep, 0)) end
LUA

# said: what the server has said.
said () { grep ^said: log; }

serve size=1M hooks=one.lua hooks=two.lua
python 'h.pwrite(b"hello", 0)'
await grep -q "said: close" log
is "$(said)" "said: close" "not before the end"
stopped
is "$(said)" "said: close
said: three	false	sleep can't be used in on.stop: nothing happens any more
said: two
said: one	hello" "the last declared is the first, and one that fails harms no other"
like "$(cat log)" "error: on.stop: two.lua:1: oops" "its error is told"
is "$(head -c 5 saved.img)" hello "what it has saved"

# A client that is still there holds up nbdkit, and so the hook.  (One that is idle
# may be sent away: so this one waits for an answer, in a way that nothing ends.)
mkfifo fifo
serve size=1M lua='function on.read() print "begun" io.open("fifo"):read() print "said: read" end
                   function on.stop() print "said: stop" end'
python 'h.pread(1, 0)' &
client=$!
begun 1
kill "$server"
echo >fifo
ended "$client" "$server"
is "$(said)" "said: read
said: stop" "after the last client has left"

# A server in the background has gone to /.
rm -f saved.img
daemon size=1M hooks=one.lua
end "$server"
check "a relative name in the background" [ -s saved.img ]

# A directory that has gone is no reason to do nothing.  (The commands of --run do not
# work under tsan.)
if [ "$WATCH" != tsan ]; then
    mkdir gone
    (cd gone && "${watch[@]}" nbdkit -f -P pid "$SO" -U sock size=1M \
        lua="function on.stop() disk:save '$scratch/other.img' end" --run 'until [ -s pid ]; do sleep 0.02; done; rm -r "$PWD"' >../log 2>&1)
    like "$(cat log)" "error: on.stop: relative names of files are those of /: .*gone: No such file" "the directory has gone"
    check "and the hook has run" [ -s other.img ]
fi

# It can't run without end.
for code in 'while true do end' 'while true do pcall(function() while true do end end) end'; do
    serve size=1M hook-timeout=0.05 lua="function on.stop() $code end"
    stopped_at_once "$code"
    like "$(cat log)" "error: on.stop: stopped, because it ran for 0.05 seconds" "$code: and it is said"
done
for code in 'hang()' 'fault.list()[1]:wait(1)' 'coroutine.yield()'; do
    serve size=1M lua="fault { op = 'read', error = 'EIO', optional = true }
                       function on.stop() $code print 'said: more' end"
    stopped
    is "$(said)" "" "$code: can't wait"
    like "$(cat log)" "error: on.stop: " "$code: and it is said"
done

# From the control socket too.
serve size=1M control=ctl.sock
"$TOP/memctl" ctl.sock 'function on.stop() print("said: stop", disk.size) end' >/dev/null
stopped
is "$(said)" "said: stop	1048576" "set at run time"
serve size=1M control=ctl.sock lua='function on.stop() print "said: stop" end'
"$TOP/memctl" ctl.sock 'on.stop = nil'
stopped
is "$(said)" "" "taken away at run time"

# Not when the start fails, early or late.
mkdir directory
for wrong in 'lua=error "oops"' nonsense=1 control=directory log=directory; do
    nbdkit_run -U sock size=1M lua='function on.stop() print "said: stop" end' "$wrong" \
        --run true >log 2>&1
    is "$? $(said)" "1 " "not when the start failed: $wrong"
done
# A hook that takes the others away takes no other function's place; fail is told.
serve 1M lua='function other() print "WRONG" end
on.stop = function() print "outer" end
on.stop = function() on.stop = nil on.write = other end'
stop
is "$(grep -c 'WRONG\|outer' log)" 0 "on.stop = nil"
serve 1M lua='function on.stop() fail "EIO" end'
stop
like "$(cat log)" 'error: on.stop: failed with EIO' "fail"
done_testing
