#!/usr/bin/env bash
# memctl --top: where standard output is no terminal, lines with tabs, flushed each
# time; and an error where the server ends or the command line is wrong.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh

memctl=$TOP/memctl
# nbdkit before 1.34 serves several requests of a connection at the same time only
# if a script mentions sleep.
serve size=1M control=ctl.sock lua='local _ = sleep
fault { op = "flush", delay = "20ms", name = "slow\tone" }
fault { op = "read", nth = 2, error = "EIO", name = "second" }
fault { op = "trim", hang = true, name = "stuck" }'

# Lines come as long as it runs, one for each operation that came and each rule.
timeout 600 "$memctl" --top -d 0.05 ctl.sock >lines 2>err &
top=$!
await_from $top memctl grep -q 'rule:stuck' lines
is "$(head -1 lines)" $'time\top\treq/s\tbytes/s\terr/s\tp50_s\tp99_s\tmax_s\trequests\terrors\twaiting' "the head"
is "$(grep -vc rule: lines)" 1 "no line of an operation that never came"
cat >requests.py <<'PY'
from clients import *
for i in range(4): outcome(h.pread, 1000, 0)
for i in range(10): h.flush()
hanging = h.aio_trim(512, 0)
def has(text):
    return any(l.endswith("\n") and text in l for l in open("lines"))
until(lambda: has("trim\t0\t0\t0\t0\t0\t0\t0\t0\t1"))
until(lambda: has("flush\t0\t0\t0\t0\t0\t0\t10\t0\t0"))
Client()("fault.get [[stuck]]:release()")
finish(h, [hanging])
until(lambda: has("\t1\t0\t0\n") and "trim" in open("lines").read())
lines = [l.rstrip("\n").split("\t") for l in open("lines") if l.endswith("\n")][1:]
print("fields", {len(l) for l in lines})
print("order", list(dict.fromkeys(l[1] for l in lines if not l[1].startswith("rule"))),
      list(dict.fromkeys(l[1] for l in lines if l[1].startswith("rule"))))
import re
print("times", all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", l[0]) for l in lines))
flushes = [l for l in lines if l[1] == "flush" and float(l[2]) > 0]
# Percentiles are right to a factor of two, in order, and seconds.
print("latency", len(flushes) > 0, all(0.01 < float(l[5]) <= float(l[6]) <= float(l[7]) for l in flushes),
      all(float(l[7]) >= 0.02 for l in flushes))
reads = [l for l in lines if l[1] == "read"]
print("bytes", any(float(l[3]) > 0 and float(l[2]) > 0 for l in reads), {l[8]: l[9] for l in reads}["4"])
last = {l[1]: l[8:] for l in lines}
print("rules", last["rule:second"], last["rule:slow?one"], max(l[10] for l in lines if l[1] == "rule:stuck"))
PY
is "$(python - <requests.py)" "fields {11}
order ['read', 'flush', 'trim'] ['rule:slow?one', 'rule:second', 'rule:stuck']
times True
latency True True True
bytes True 1
rules ['4', '1', '0'] ['10', '10', '0'] 1" "what the lines say" || tail -5 lines | tell
kill $top
{ wait $top; } 2>/dev/null

is "$("$memctl" --top -n 3 -d 0.02 ctl.sock | grep -c rule:second)" 3 "-n: so many times"
"$memctl" --top -d 0.02 ctl.sock | head -1 >/dev/null
is "${PIPESTATUS[0]}" 141 "a reader that goes ends it, silently"
"$memctl" --top -n 1 -d 0.02 ctl.sock >/dev/full 2>err
is "$? $(cat err)" "1 memctl: standard output: No space left on device" "lines that can't be written"

# Wrong ways to call it.
for args in '--top -n 0 ctl.sock' '--top -n' '--top -n -1 ctl.sock' '--top -d 0 ctl.sock' '--top -d x ctl.sock' '-n 1 ctl.sock 1' \
        '--top ctl.sock 1' '--top --stop ctl.sock' '--top'; do
    read -ra words <<<"$args"
    "$memctl" "${words[@]}" >out 2>err
    is "$? $(cat out) $(grep -c '^memctl: .*; try memctl --help$' err)" "1  1" "refused: memctl $args"
done
"$memctl" --top "$sock" >out 2>err
is "$? $(grep -o 'this is the socket of the disk' err)" "2 this is the socket of the disk" "refused: the socket of the disk"
control=ctl.sock "$memctl" --top -n 1 -d 0.02 >out
is "$? $(grep -c rule:second out)" "0 1" "the socket from \$control"

# The server's end.
timeout 600 "$memctl" --top -d 0.02 ctl.sock >end 2>err &
top=$!
await_from $top memctl grep -q rule: end
stopped
wait $top
is "$? $(cat err)" "2 memctl: ctl.sock: the server has ended, or closed the connection" "the end of the server is said"
done_testing
