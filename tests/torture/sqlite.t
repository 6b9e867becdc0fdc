#!/usr/bin/env bash
# disktorture on SQLite: FULL loses the last commit that it acknowledged, EXTRA loses none.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need sqlite3
mount_needed
scripts work.sh check.sh
is "$(wc -l <work.sh) $(wc -l <check.sh)" "5 4" "the scripts of the manual page"
is "$(cat work.sh check.sh | cksum)" "$(grep -hv "^# shellcheck" "$TOP"/examples/{work,check}.sh | cksum)" \
    "are in examples/, too"

# tortured NAME STATUS: run it with that mode of SQLite; what it prints is in the file NAME.
tortured ()
{
    sed -i "s/\"[a-z= ;]*insert/\"pragma synchronous=$1; insert/" work.sh
    disktorture --size 16M --mount ext4 --workload "sh work.sh" --check "sh check.sh" --out "out-$1" >"$1" 2>&1
    is $? "$2" "synchronous=$1: exit status"
    cat "$1" >&2
}

tortured full 1
like "$(cat full)" "^recorded  [0-9]+ writes, [0-9]+ flushes, 5 marks, .*
crashes   [0-9]+ points, [0-9]+ by requests, [0-9]+ torn, [0-9]+ different
checked   ([0-9]+) of .*
FAILED    [0-9]+ states, 1 cause

1  the check says no .* legal   \[A: nothing is lost.*
.*After \"ack .\", power is cut .*\.  Nothing that the disk had is lost\.
   check: lost: [1-5]
   again: disktorture .*show crash/" "what it says"
name=$(sed -n 's/.*again: disktorture .*show //p' full)
is "$(disktorture --out out-full show "$name" </dev/null | tail -1)" "$(sed -n 's/.*check: lost/broken: lost/p' full)" "shown again"
# shellcheck disable=SC2016 # the command gets them
is "$(disktorture --out out-full show "$name" -- sh -c 'ls "$dir" | grep db; cat "$image" | wc -c' | tail -2 | xargs)" \
    "db-journal 16777216" "a command can look at it"
python3 - <<'PY' >results.txt
import json
lines = [json.loads(line) for line in open("out-full/results.jsonl")]
print(len(lines) > 20, {line["outcome"] for line in lines}, len({line["name"] for line in lines}) == len(lines))
PY
is "$(tr -d "'" <results.txt | sed 's/good, broken/broken, good/')" "True {broken, good} True" "each result is kept"
sed -i "s, 3 4 5,," work.sh
tortured extra 0
like "$(cat extra)" "good      no state failed" "synchronous=extra: none failed"
is "$(left)" "" "nothing is left behind"
done_testing
