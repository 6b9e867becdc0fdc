#!/usr/bin/env bash
# The power fails again while ext4 recovers: what was promised before stays.  What --setup has
# written is on the disk before anything is cut.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need jq
mount_needed

cat >work.sh <<'SH'
for i in 1 2 3; do
    mkdir "$dir/d$i" && echo "content $i" >"$dir/d$i/f" && sync -f "$dir" && echo "ack $i"
done
SH
cat >check.sh <<'SH'
for i in $(cat "$acked"); do
    grep -qx "content $i" "$dir/d$i/f" || { echo "lost: $i"; exit 1; }
done
SH
torture () { disktorture --size 8M --mount ext4 --workload "sh work.sh" --check "sh check.sh" --recuts 2 >"$1" 2>&1; }
# shellcheck disable=SC2016
acked='cat "$acked"'
torture out
is $? 0 "nothing is lost"
like "$(cat out)" "recut 2   while crash/[^ ]* recovers; in disktorture.out/recut-2
recorded  [0-9]+ writes" "two states are cut again while they recover"
for n in 1 2; do
    found=disktorture.out/recut-$n
    name=$(sed -n "s/^recut $n   while \(.*\) recovers.*/\1/p" out)
    is "$(jq -r .outcome $found/results.jsonl | sort | uniq)" good "recut $n: all are good"
    check "recut $n: there are many" [ "$(wc -l <$found/results.jsonl)" -gt 4 ]
    is "$(sed -n 's/^ack //p' $found/promised)" \
        "$(disktorture show "$name" -- sh -c "$acked" | tail -n +2)" "recut $n: what was promised before"
    name=$(jq -r .name $found/results.jsonl | head -1)
    like "$(disktorture --out $found show "$name" </dev/null)" "good$" "recut $n: shown again"
done
torture again
is "$? $(grep -c 'by an earlier run' again)" "0 3" "started again, all three go on"
like "$(disktorture --size 1M --workload true --check true --recuts 1 2>&1)" "--recuts needs --mount" "without a file system"

# shellcheck disable=SC2016 # disktorture sets them
disktorture --size 1M --out setup --setup 'echo prepared | dd of="$disk" conv=notrunc status=none' \
    --workload 'for i in 1 2; do echo $i | dd of="$disk" bs=4096 seek=$i conv=notrunc status=none; done' \
    --check 'head -c 8 "$image" | grep -q prepared' >out 2>&1
is "$? $(tail -1 out)" "0 good      no state failed" "--setup need not sync"
is "$(left)" "" "nothing is left behind"
done_testing
