#!/usr/bin/env bash
# Many machines, which are this one twice: GNU parallel runs the parts of a run, is killed in
# the middle, and goes on; the results are those of a single run.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need parallel dd jq
fuse_needed
mkdir -p "$scratch/.parallel"
touch "$scratch/.parallel/will-cite"
export PARALLEL_HOME=$scratch/.parallel

cat >work.sh <<'SH'
for i in 1 2 3 4 5 6; do
    printf "record $i" | dd of="$disk" bs=4096 seek=$i conv=notrunc 2>>dd.err && echo "ack $i"
done
SH
cat >check.sh <<'SH'
sleep 0.02
for i in $(cat "$acked"); do
    dd if="$image" bs=4096 skip=$i count=1 2>>dd.err | grep -aq "record $i" || { echo "record $i is gone"; exit 1; }
done
SH
torture () { disktorture --size 1M --workload "sh work.sh" --check "sh check.sh" "$@"; }
# causes FILE: what a run has told of them, wherever it was.
causes () { sed -n '/FAILED/,$ { s/--out [a-z]* //; p }' "$1"; }
results () { jq -r '[.name, .outcome, .digest, .reason] | join(" ")' "$1"/results*.jsonl | sort -u; }

torture list >all 2>/dev/null
cp -r disktorture.out single            # one history: acknowledgements come a little late
torture --out single >single.txt
<all tr ' ' '\n' | xargs -n 10 >names
lines=$(wc -l <names)
check "there are many parts: $lines" [ "$lines" -gt 8 ]
run () { parallel --sshlogin 1/:,1/: -j 2 --workdir . --joblog log "$@" disktorture check :::: names; }
run >run.txt 2>&1 &
await_from $! parallel grep -q disktorture log
pkill -KILL -P $! 2>/dev/null
kill -KILL $!
wait $! 2>/dev/null
check "killed in the middle" [ "$(wc -l <log)" -lt "$((lines + 1))" ]
run --resume-failed
is $? 0 "it goes on"
is "$(results disktorture.out)" "$(results single)" "and finds what a single run does"
disktorture report >report.txt
is "$? $(causes report.txt)" "1 $(causes single.txt)" "and the same causes"

# As a job of an array has it.
rm disktorture.out/results*
for i in $(seq "$lines"); do
    SLURM_ARRAY_TASK_ID=$i
    disktorture check "$(sed -n "${SLURM_ARRAY_TASK_ID}p" names)"
done
is "$(results disktorture.out)" "$(results single)" "each line by itself"
disktorture report >/dev/null
is "$(left)" "" "nothing is left behind"
done_testing
