#!/usr/bin/env bash
# memctl --stop ends the server, and its exit code says whether each rule fired.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

memctl=$TOP/memctl

# stops STATUS OUT ERR NAME [ARGUMENT...]: what memctl --stop does.  ERR is an extended
# regular expression for all of standard error.
stops ()
{
    local status
    timeout 600 "$memctl" --stop "${@:5}" >out 2>err
    status=$?
    [ "$status" = "$1" ] && [ "$(cat out)" = "$2" ] && [[ $(cat err) =~ ^${3}$ ]]
    ok $? "$4" || { echo "exit $status"; cat out err; } | tell
}
heading='rule                             hits     fired'

serve size=1M control=ctl.sock
stops 0 "" "" "no rules" ctl.sock
ended "$server"
is $? 0 "the server has ended in good order"
check "the socket has gone" [ ! -e ctl.sock ]

serve size=1M control=ctl.sock lua='
    fault { op = "read", error = "EIO", name = "full" }
    fault { op = "write", nth = 9, delay = 0, name = "late" }
    fault { op = "trim", error = "EIO", optional = true }
    fault { op = "zero", error = "EIO", name = "odd\n\"hits\":7,\\" }'
python '
for i in range(3):
    h.pwrite(b"x", i)
try: h.pread(1, 0)
except nbd.Error: pass'
stops 1 "$heading
full                                1         1
late                                3         0   never fired
3                                   0         0
odd?\"hits\":7,\\                      0         0   never fired" \
    'memctl: fault rule late never fired \(it matched 3 requests\).memctl: fault rule odd\?"hits":7,\\ never fired \(it matched 0 requests\)' \
    "one did not fire: which" --timeout 100 ctl.sock
ended "$server"
is $? 0 "the server has ended in good order, too"

# The exit code of --run is what memctl says; the server has ended by itself.  (Under tsan, programs that
# the server starts do not work.)
for nth in 1 2; do
    [ "$WATCH" != tsan ] || continue
    "${watch[@]}" nbdkit -U - "$SO" size=1M control=- lua="fault { op = 'flush', nth = $nth, error = 'EIO' }" \
        --run "nbdsh -u \$uri -c 'try: h.flush()
except nbd.Error: pass'; $memctl --stop" >out 2>err
    is $? $((nth - 1)) "--run: the $nth. flush of one"
done

# The last words come after the log is closed.
serve size=1M control=ctl.sock log=log.json lua='
    fault { op = "read", error = "EIO", optional = true } function on.stop() print "said: stop" end'
timeout 600 "$memctl" --stop ctl.sock | { cat; cat log.json; cat log; } >out
is "$(grep -c '"rule":"1",.*"matched":0' out)" 1 "the log has all its lines by then"
is "$(grep -c 'said: stop' out)" 1 "on.stop has run by then"
ended "$server"

# Rules that a hook adds or removes at the end are told, too.
serve size=1M control=ctl.sock lua='fault { op = "read", error = "EIO" }
    function on.stop() fault.clear() fault { op = "read", error = "EIO", name = "last" } end'
stops 1 "$heading
last                                0         0   never fired" 'memctl: fault rule last never .*' "what on.stop did counts" ctl.sock
ended "$server"

# A client that stays.  (One that is idle may be sent away: so this one waits for an
# answer, in a way that nothing ends.)
mkfifo fifo
stays='function on.read() print "begun" io.open("fifo"):read() end'
serve size=1M control=ctl.sock lua="fault { op = 'read', error = 'EIO', optional = true } $stays"
python 'try: h.pread(1, 0)
except nbd.Error: pass' &
client=$!
begun 1
stops 2 "" "memctl: gave up after 0.2 s: 1 client of the disk is connected; the server ends when none is" \
    "a client stays: it gives up" --timeout=0.2 ctl.sock
# Two ask at once.
for i in 1 2; do
    timeout 600 "$memctl" --stop ctl.sock >"out.$i" 2>"err.$i" &
    stoppers[i]=$!
done
for i in 1 2; do
    await grep -qs . "err.$i"
    is "$(cat "err.$i")" "memctl: waiting: 1 client of the disk is connected" "after 5 s it says how many clients there are: $i"
done
# One that leaves before the end, and one that does not read, change nothing.
is "$(python3 - <<'PY'
from control import *
first, second, third = Control(), Control(), Control()
print(first("!stop"))
first.close()
for i in 1, 2: print(second("!stop"))
third.send(b"!stop\nstring.rep('x', 15 << 20)\n")
with open("fifo", "w") as f: f.write("\n")
PY
)" "{'connections': 1}
{'connections': 1}
{'connections': 1}" "the protocol"
for i in 1 2; do
    wait "${stoppers[i]}"
    is "$? $(cat "out.$i")" "0 $heading
1                                   1         1" "and goes on when the client has left: $i"
done
ended "$client" "$server"
is $? 0 "the server has ended in good order, whoever did not listen"

# The server dies.
if [ "$WATCH" != tsan ]; then
    # shellcheck disable=SC2016 # for the shell of os.execute
    serve size=1M control=ctl.sock lua='function on.stop() os.execute "kill -KILL $PPID" end'
    {
        stops 2 "" "memctl: ctl.sock: the server has ended without saying which rules fired" "the server dies" ctl.sock
        ended "$server"
    } 2>/dev/null
fi
serve size=1M control=ctl.sock
kill -KILL "$server"
{ ended "$server"; } 2>/dev/null
stops 2 "" "memctl: ctl.sock: Connection refused" "there is no server" ctl.sock
stops 2 "" "memctl: none.sock: No such file or directory" "there is no socket" none.sock
serve size=1M
stops 2 "" "memctl: .*: this is the socket of the disk, not the one of control=" "the socket of the disk" "$sock"
stopped
for wrong in 'ctl.sock 1' '--status ctl.sock' '--timeout' '--timeout=0 ctl.sock' '--timeout 1x ctl.sock' ''; do
    read -ra words <<<"$wrong"
    stops 1 "" "memctl: .*; try memctl --help" "refused: --stop $wrong" "${words[@]}"
done
done_testing
