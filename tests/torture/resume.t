#!/usr/bin/env bash
# A run of disktorture that was stopped goes on, in parts and by several processes, and finds
# what a single one does; one that was started in another way is refused.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need dd jq
fuse_needed

cat >work.sh <<'SH'
for i in 1 2 3 4 5 6; do
    printf "record $i" | dd of="$disk" bs=4096 seek=$i conv=notrunc 2>>dd.err && echo "ack $i"
done
SH
cat >check.sh <<'SH'
echo checked >>checks
sleep "$(cat slow)"
for i in $(cat "$acked"); do
    dd if="$image" bs=4096 skip=$i count=1 2>>dd.err | grep -aq "record $i" || { echo "record $i is gone"; exit 1; }
done
SH
echo 0 >slow
torture () { disktorture --size 1M --workload "sh work.sh" --check "sh check.sh" "$@" 2>&1 </dev/null; }
# causes FILE: what a run has told of them, wherever it was.
causes () { sed -n '/FAILED/,$ { s/--out [a-z]* //; p }' "$1"; }
# results DIR: what was found, in order of names.
results () { jq -r '[.name, .outcome, .digest, .reason] | join(" ")' "$1"/results*.jsonl | sort; }

# Acknowledgements come a little late, differently in each run: all have one history.
torture --out single list >said
for out in jobs killed budget; do
    cp -r single "$out"
done
like "$(cat said)" "^recorded  6 writes" "list records"
torture --out single >single.txt
is $? 1 "a single run"
all=$(wc -l <single/results.jsonl)
check "has many states" [ "$all" -gt 40 ]

torture --out jobs --jobs 3 >jobs.txt
is "$(results jobs)" "$(results single)" "three at once"
is "$(causes jobs.txt)" "$(causes single.txt)" "and the same causes"

# Killed in the middle.
echo 0.05 >slow
rm -f checks
torture --out killed >/dev/null &
pid=$!
await_from "$pid" disktorture test -s killed/results.jsonl
pkill -KILL -P "$pid" -x disktorture || kill -KILL "$pid"
wait "$pid" 2>/dev/null
before=$(wc -l <killed/results.jsonl)
check "not all: $before" [ "$before" -lt "$all" ]
printf '{"name":"crash/end/all","outcome":"bro' >>killed/results.jsonl
echo 0 >slow
rm -f checks
torture --out killed >killed.txt
is "$(results killed)" "$(results single)" "it goes on"
n=$(wc -l <checks)
check "with the rest alone, and a few to find the least that must be lost: $n" [ "$n" -lt "$((all - before + 20))" ]
like "$(cat killed.txt)" "\($before by an earlier run\)" "and says so"
is "$(causes killed.txt)" "$(causes single.txt)" "the same causes"

# A budget.
echo 0.3 >slow
torture --out budget --budget 1s >budget.txt &
await_from $! disktorture grep -q crashes budget.txt
like "$(torture --out budget; echo $?)" "^disktorture: --out budget: another run is at work there
2$" "two runs at once"
wait $!
like "$(cat budget.txt)" "the budget is used up: start it again to go on" "a budget"
echo 0 >slow
torture --out budget >/dev/null
is "$(results budget)" "$(results single)" "and on after it"

# Parts.
mkdir parts
cp single/history single/run.json parts/
disktorture --out parts list >names
is "$(tr ' ' '\n' <names | sort)" "$(jq -r .name single/results.jsonl | sort)" "list has all names"
is "$(awk 'NF > 50' names | wc -l)" 0 "no more than 50 in a line"
xargs -P 2 -L 1 disktorture --out parts check <names
is "$(results parts)" "$(results single)" "each part is checked"
disktorture --out parts check "$(head -1 names)"
disktorture report --out parts --junit junit.xml >parts.txt
is "$? $(causes parts.txt)" "1 $(causes single.txt)" "the report: doubles count once"
disktorture --out parts report parts/results-*.jsonl >files.txt
is "$(cat files.txt)" "$(cat parts.txt)" "of the files that are named"
python3 - <<'PY' >xml
import xml.etree.ElementTree as x
t = x.parse("junit.xml").getroot()
print(t.tag, int(t.get("tests")) == len(t), t.get("failures"), len(t.findall("testcase/failure")))
PY
is "$(cat xml)" "testsuite True 1 1" "--junit"

# Other runs.
like "$(torture --out single --seed 7; echo $?)" "single holds a run with another --seed: remove it, or say --out DIR
2$" "another seed"
like "$(torture --out single --sector 512)" "holds a run with another --sector" "another sector"
echo "# changed" >>check.sh
like "$(torture --out single)" "holds a run with another check script" "a script that has changed"
like "$(disktorture --out single check crash/none/all 2>&1; echo $?)" "crash/none/all: this run has no such point; disktorture list prints all names .*
2$" "a name that is none"
like "$(disktorture --out nothing report 2>&1)" "nothing/run.json: No such file .*: first run disktorture" "no run"
is "$(left)" "" "nothing is left behind"
done_testing
