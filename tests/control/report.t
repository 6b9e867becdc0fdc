#!/usr/bin/env bash
# memctl --report LOG: one page about a fault log, which is true, has no script, asks for
# nothing, and stays small whatever the log holds.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh python3

memctl=$TOP/memctl

# text PAGE: what it says, without markup, on one line.
text ()
{
    python3 -c 'import html, re, sys
t = re.sub(r"(?s)<style>.*?</style>|<svg.*?</svg>", "", open(sys.argv[1], encoding="utf-8").read())
t = re.sub(r"</(p|h1|h2|tr|li|title)>", "|", re.sub(r"</t[dh]>", " ", t))
print(re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", t))))' "$1"
}

# make_log: make a log of lines such as: 0.5 "rule":"x",...
make_log ()
{
    awk '{ t = $1; sub(/^[^ ]* /, "")
           printf "{\"time\":\"2026-11-25T23:48:13.203040Z\",\"t\":%s,\"seq\":%d,%s}\n", t, NR, $0 }'
}

start='"start":{"version":"0.1.0","size":1048576,"sector":512,"seed":7}'
stop='"stop":{"read":{"requests":9,"errors":2},"write":{"requests":1,"errors":0},"connections_total":2}'
# rule NAME REST, counts NAME MATCHED FIRED REST: the first and the last line of a rule.
rule () { echo "\"rule\":\"$1\",\"text\":\"op=read\",\"where\":\"lua:1\",\"declared\":true"; }
counts () { echo "\"rule\":\"$1\",\"text\":\"op=read\",\"where\":\"lua:1\",\"matched\":$2,\"fired\":$3${4-}"; }
# fault RULE OP OFFSET DID
fault () { echo "\"rule\":\"$1\",\"req\":1,\"op\":\"$2\",\"offset\":$3,\"count\":512,\"conn\":1,\"did\":{$4}"; }

# report NAME: the page of the log on standard input, as the text of a page in $said.
report ()
{
    cat >the.log
    "$memctl" --report -o page.html the.log >out 2>&1 || { tell <out; return 1; }
    said=$(text page.html)
}

# also TEXT: the page has it, too.
also ()
{
    case $said in
    *"$1"*) ok 0 "says: $1" ;;
    *) ok 1 "says: $1" || tell <<<"$said" ;;
    esac
}

# says SENTENCE: the same of one of the table in verdict.c, which nothing else here has.
sentences=0
says ()
{
    also "$1"
    sentences=$((sentences + 1))
}

# says_not SENTENCE
says_not ()
{
    case $said in
    *"$1"*) ok 1 "does not say: $1" || tell <<<"$said" ;;
    *) ok 0 "does not say: $1" ;;
    esac
}

#---------------------------------------------------------------------
# One log of each kind.

report < <({ echo "0 $start"; echo "1 $stop"; } | make_log)
says 'No fault happened, and no rule asked for one.'
says_not 'Note:'
like "$said" 'from 2026-11-25 23:48:13 UTC\| for 1\.00 s\| a disk of 1M, seed 7\| 10 requests, of which 2 failed\| the log is complete' "the facts"

report < <({ echo "0 $start"; echo "0 $(rule x)"; echo "1 $(counts x 9 0 ',"never_fired":true')"; echo "1 $stop"; } | make_log)
says 'No fault happened. '
says '1 rule never fired: x.'
like "$said" 'x ?op=read 9 0 0.00 % never fired' "the row of a rule that never fired"

report < <({ echo "0 $start"; echo "0.5 $(fault x read 4096 '"error":"EIO"')"
    echo '0.6 "req":1,"result":"EIO","latency":0.0012'
    echo "1 $(counts x 4 1)"; echo "1 $stop"; } | make_log)
says '1 fault in 1.00 s: 1 error.'
says 'The rule fired.'
says 'A bar is the number of faults in 8.93 µs. '
says 'The fault came after 500 ms; the log goes on to 1.00 s.'
says 'All faults came within a short part of the 1.00 s of the log, so only that part is shown.'
says 'A cell is 512 of the disk during 8.93 µs.'
says 'All were at offset 4K.'
says 'Only this part of the disk, which has 1M, is shown: there was none elsewhere.'
says 'For the clients, these requests ended with EIO (1). The slowest took 1.20 ms.'
like "$said" 'A x ?op=read 4 1 25.00 % error EIO 500 ms 500 ms' "the row of a rule that fired"
like "$said" '0.500000 A x read 4096 512 1 error EIO EIO after 1.20 ms' "the row of a fault"

# Many, early and late, and at two ends of the disk.
report < <({ echo "0 $start"; for i in 1 2 3; do
        echo "0.1 $(fault a read 0 '"delay":0.002,"error":"EIO"')"
        echo "9.9 $(fault b write 1048064 '"keep":[[0,512]]')"; done
    echo "0.1 $(fault b read 0 '')"; echo "5 $(fault c flush 0 '"hang":true')"
    echo '5.1 "rule":"c","req":1,"op":"flush","offset":0,"count":0,"conn":1,"did":{"ended":"released"}'
    echo "10 $(counts a 6 3)"; echo "10 $(counts b 4 4)"; echo "10 $(counts c 2 1)"
    echo "10 $(counts d 0 0 ',"optional":true')"; echo "10 $stop"; } | make_log)
also '8 faults in 10.0 s: 3 errors, 3 delays, 1 hang and 3 requests done in part.'
says 'Each rule fired, except 1 optional rule: d.'
says 'The first fault came after 100 ms, the last one after 9.90 s.'
says 'Most came from 89.3 ms to 179 ms: 4 of 8.'
says 'There was none from 179 ms to 5.00 s.'
says 'In 1 cell several of them fired; it has the letter of the one that fired least in all.'
says 'Most were from 0 to 32K: 4 of 7.'
says '1 fault has no place, such as those of flushes.'
says 'Waiting ended before its time: released (1).'
says '3 delays: half of them up to 2.00 ms, 90 % up to 2.00 ms, 99 % up to 2.00 ms, at most 2.00 ms; 6.00 ms together.'
says_not 'never fired'
says_not 'Note:'

# As many all the time, everywhere.
report < <({ echo "0 $start"; for ((i = 0; i < 448; i++)); do
        echo "0.$((1000 + i * 2)) $(fault a read $((i % 64 * 16384)) '"error":"EIO"')"; done
    echo "0.19 $(counts a 448 448)"; } | make_log | sed 's/"t":0.1/"t":0./; s/"t":0.9/"t":0.09/')
says 'They came all the time: at most '
says 'They were in all these parts of the disk: at most 14 in 32K.'
like "$said" 'All 448|The first 100 of 448' "how many are shown"

says_not 'Only this part of the disk'
says_not 'There was none from'

# A rule with more faults comes first, though it was declared later; a hang that has ended is
# none; and lines that were dropped are not missing.
report < <({ echo "0 $start"; echo "0.1 $(fault few read 0 '"hang":true')"
    echo '0.2 "rule":"few","req":1,"op":"read","offset":0,"count":512,"conn":1,"did":{"ended":"released"}'
    for i in 1 2 3 4 5 6 7 8 9; do echo "0.$i $(fault many read $((i * 100000)) '')"; done; } | make_log |
    sed 's/"seq":12/"seq":15/; 11a {"dropped":3}')
like "$said" 'A many .*B few ' "the rule with the most faults is the first"
says_not 'when the log ends'
says_not 'There was none from'
says_not 'Only this part of the disk'
also '3 lines were lost while the server ran'
says_not 'missing: the numbers'

# What is wrong with a log.
{ { echo '0 "req":1,"result":"ok"'; echo "2 $(rule x)"; echo "2 $(rule y)"; echo "3 $(fault x write 0 '"hang":true,"delay":1')"
    echo "4 $stop"; } | make_log | sed '1d;/stop/d'; echo 'nbdkit: hello'; echo '{"dropped":5}'; printf '{"time":"2026'; } >bad.log
report <bad.log
says '1 rule has not fired as far as the log goes: y.'
says 'The log ends within a line, which is left out.'
says 'The log has no last line: the server still runs, or was killed. So it is not known how many requests each rule matched.'
says 'The log has no first line: its beginning has been cut off.'
says '5 lines were lost while the server ran'
says '1 line is not of a fault log, and left out; the first is line 4.'
says 'At least 1 request hangs when the log ends.'
says 'One request was delayed, by 1.00 s.'
says_not 'the log is complete'
says_not 'missing: the numbers'

report < <({ echo "0 $start"; echo "1 $(fault x read 0 '')"; echo "1 $stop"; echo "0 $start"; echo '1 "t":1'; echo '1 "t":1'
    echo "1 $(counts y 3 2)"; echo "1 $(counts z 3 0 ',"optional":true')"
    echo "1 $(counts v 3 0)"; echo "1 $stop"; } | make_log | sed '5,6d')
says '2 lines are missing: the numbers of lines have gaps. Has somebody taken lines out?'
says 'The log has 2 runs of a server. This is about the last one.'
says 'These rules fired more or less often than the log has lines of it: y.'
also '1 rule never fired: v. 1 optional rule did not fire: z.'
says_not 'x'

report < <({ echo "0 $start"; for ((i = 0; i < 1002; i++)); do echo "1 $(counts "r$i" 1 1)"; done; } | make_log)
says 'There are too many rules: those after the first 1000 count as one, "others".'
says '951 more are not shown. They fired 950 times together.'

is "$sentences" "$(grep -c '^  { SAY_' "$TOP/control/verdict.c")" "each sentence has a log here"

#---------------------------------------------------------------------
# A real server, with names that would like to be more.

cat >hostile.lua <<'LUA'
fault { op = "read", offset = 0, count = 512, error = "EIO", name = "</script><img src=x onerror=alert(1)>" }
fault { op = "write", delay = "1ms", name = "\u{202E}txt.exe\27[31m\xff" }
fault { op = "flush", error = "EIO", name = '" onload="x' }
fault { op = "trim", error = "EIO", name = "never" }
LUA
serve size=1M log=real.log hooks=hostile.lua
python '
for i in range(30): h.pwrite(b"x" * 512, i * 512)
for i in range(3):
    try: h.pread(512, 0)
    except nbd.Error: pass
try: h.flush()
except nbd.Error: pass'
"$memctl" --report real.log >running.html
said=$(text running.html)
also 'The log has no last line'
stopped
check "a page of a real log" "$memctl" --report -o real.html real.log
said=$(text real.html)
also '34 faults in'
also ': 4 errors and 30 delays. 1 rule never fired: never.'
also '</script><img src=x onerror=alert(1)>'
also '\u202Etxt.exe\x1B[31mÿ'
says_not 'Note:'
is "$(grep -c -e '<script' -e '<img' -e $'\033' -e $'\xe2\x80\xae' real.html)" 0 "nothing of it is markup or hidden"
is "$(grep -o 'href=[^ >]*\|src=[^ >&]*\|url(\|@import\|https\?:' real.html | sort -u)" "src=x" "the page asks for nothing"
"$memctl" --report - <real.log >stdin.html
is "$(text stdin.html)" "$(text real.html | sed 's/real\.log/standard input/g')" "the same from standard input"
# shellcheck disable=SC2002
is "$(cat real.log | "$memctl" --report - | cmp - stdin.html 2>&1)" "" "and from a pipe"

#---------------------------------------------------------------------
# What is no log, or can't be.

# refused PATTERN ARGUMENTS: memctl says that in one line, and exits with 1.
refused ()
{
    local pattern=$1 out
    shift
    out=$("$memctl" "$@" 2>&1 >/dev/null)
    is "$? $(wc -l <<<"$out")" "1 1" "refused: $*"
    like "$out" "^memctl: $pattern" "and says why: $pattern"
}
: >empty.log
echo 'int main;' >main.c
refused 'none.log: No such file' --report none.log
refused 'empty.log: it is empty' --report empty.log
refused 'standard input: it is no fault log' --report - <main.c
refused 'main.c: it is no fault log' --report main.c
refused '.: Is a directory' --report .
refused 'real.log: it is the log itself' --report real.log -o real.log
refused 'none/x: No such file' --report real.log -o none/x
refused '--report: which LOG' --report
refused '--report: which LOG' --report real.log real.log
refused '-o is for --report' -o x --status
refused '-o: expected' --report real.log -o
refused '--stop, --status, --top and --report are four' --report --stop
if [ -e /dev/full ]; then
    "$memctl" --report real.log >/dev/full 2>out
    is "$? $(cat out)" "1 memctl: standard output: No space left on device" "a full disk"
fi
echo old >page.html
"$memctl" --report empty.log -o page.html 2>/dev/null
is "$(cat page.html)" "old" "a page stays as it is where there is no new one"

#---------------------------------------------------------------------
# A large log.

python3 - >large.log <<'PY'
import json
def line(t, **more):
    line.seq += 1
    print(json.dumps({"time": "2026-11-25T23:48:13.203040Z", "t": t, "seq": line.seq, **more}))
line.seq = 0
line(0, start={"version": "0.1.0", "size": 1 << 30, "sector": 512, "seed": 0})
for i in range(100000):
    line(i / 1000, rule=f"rule {i % 17}", req=i, op="read" if i % 3 else "write", conn=1, count=4096,
         offset=i * 7919 % 262144 * 4096, did={"error": "EIO"} if i % 2 else {"delay": i / 1e6})
    line(i / 1000, req=i, result="EIO" if i % 2 else "ok", latency=i / 1e6)
PY
check "200,000 lines have a page" "$memctl" --report large.log -o large.html
head -20001 large.log >tenth.log
# In processor time, of which ten times the lines take ten times as much.
ratio=$(python3 - "$memctl" <<'PY'
import os, subprocess, sys
def seconds(log):
    before = os.times()
    subprocess.run([sys.argv[1], "--report", log, "-o", "other.html"], check=True)
    after = os.times()
    return after.children_user - before.children_user + after.children_system - before.children_system
tenth = sum(seconds("tenth.log") for _ in range(10)) / 10
print(round(seconds("large.log") / max(tenth, 0.001)))
PY
)
size=$(wc -c <large.html)
echo "# $size bytes, $ratio times the time of a tenth of the lines"
ok $((size > 300000)) "of less than 300 KB"
ok $((ratio > 40)) "in time that grows with the lines" || echo "$ratio times" | tell
said=$(text large.html)
also '100000 faults in 100 s: 50000 errors and 50000 delays.'
like "$said" '50000 delays: half of them up to (49|50)\.. ms, 90 % up to (89|90)\.. ms' "delays are told to 1 %"
also 'The first 100 of 100000'

#---------------------------------------------------------------------
# The style: what is text can be read on its ground, in light, dark and print; and the
# colours in the pictures are those of the light page.
is "$(python3 - "$TOP/lib/page.css" "$TOP/lib/page.c" <<'PY'
import re, sys
css, source = (open(name, encoding="utf-8").read() for name in sys.argv[1:])
def light(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return sum(w * (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4)
               for w, c in zip((0.2126, 0.7152, 0.0722), parts))
def contrast(a, b):
    a, b = sorted((light(a), light(b)))
    return (b + 0.05) / (a + 0.05)
palettes = [dict(re.findall(r"--(\w+): (#\w{6});", block)) for block in re.findall(r":root \{(.*?)\}", css, re.S)]
print(len(palettes), *(len(p) for p in palettes))
for p in palettes:
    pairs = [(text, ground) for text in ("t", "dim", "link") for ground in ("bg", "card")]
    pairs += [("on", f"k{i}") for i in range(8)] + [(f"k{i}", "bg") for i in range(8)]
    print([(a, b, contrast(p[a], p[b])) for a, b in pairs if contrast(p[a], p[b]) < 4.5])
for name, colour in re.findall(r'\{ "(\w+)", "(#\w+)" \}', source):
    if palettes[0][name] != colour:
        print(name, colour)
PY
)" "2 16 16
[]
[]" "contrast and colours"

#---------------------------------------------------------------------
# A browser.
if ! command -v chromium >/dev/null; then
    skip "in a browser" "chromium is not installed"
    done_testing
fi
# browse OPTIONS: chromium without a window; what it says goes to the file console.
browse ()
{
    timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$scratch/browser" \
        --enable-logging=stderr --v=0 "$@" 2>console
}
browse --dump-dom "file://$scratch/real.html" >dom.html
like "$(cat dom.html)" '<bdi>&lt;/script&gt;&lt;img src=x onerror=alert\(1\)&gt;</bdi>' "a browser has the name as text"
is "$(grep -c -e '<script' -e '<img' dom.html) $(grep -c 'CONSOLE' console)" "0 0" "and nothing to complain about"
for mode in 1:light 0:dark; do
    browse --window-size=1280,1800 --blink-settings="preferredColorScheme=${mode%:*}" \
        --screenshot="$scratch/${mode#*:}.png" "file://$scratch/real.html" >/dev/null
done
ok $(($(wc -c <light.png) < 20000 || $(wc -c <dark.png) < 20000)) "it draws the page"
ok "$(cmp -s light.png dark.png && echo 1 || echo 0)" "in light and dark"
done_testing
