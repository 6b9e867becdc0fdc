#!/usr/bin/env bash
# disktorture without a file system: the workload has $disk, the check $image.  What is wrong
# on the command line, with the workload or with the check is said in one line.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need dd
fuse_needed

# torture ARGUMENTS: run it; its output is in the file out.
torture ()
{
    rm -rf found
    disktorture --size 1M --out found "$@" >out 2>&1 </dev/null
}

cat >work.sh <<'SH'
for i in 1 2 3; do
    printf "record $i" | dd of="$disk" bs=4096 seek=$i conv=notrunc$SYNC 2>dd.err && echo "ack $i"
done
SH
cat >check.sh <<'SH'
for i in $(cat "$acked"); do
    dd if="$image" bs=4096 skip=$i count=1 2>dd.err | grep -aq "record $i" || { echo "record $i is gone"; exit 1; }
done
SH
work="sh work.sh" check="sh check.sh"
SYNC=,fsync torture --workload "$work" --check "$check"
is "$? $(tail -1 out)" "0 good      no state failed" "each record is synced"
is "$(grep -c 'held back' out)" 0 "words between writes are not held back"
for seed in 1 2; do
    # Without marks, which come a little late, two recordings are the same.
    SYNC='' disktorture --size 1M --seed $seed --out seed-$seed --workload "$work >said" --check true >out 2>&1
    disktorture --out seed-$seed list | tr ' ' '\n' >names-$seed
    disktorture --out seed-$seed list | tr ' ' '\n' | cmp - names-$seed || echo differ >>differ
done
is "$(sort names-1 | cksum)" "$(sort names-2 | cksum)" "each seed has the same names"
check "in another order" sh -c '! cmp -s names-1 names-2'
check "which is always the same" test ! -e differ
SYNC='' torture --workload "$work" --check "$check"
is $? 1 "none is"
like "$(cat out)" "After \"ack [123]\", power is cut just then\.  Request [123], a write of 8 bytes at [0-9]*, is lost\.  Everything else reaches the disk\.
   check: record [123] is gone" "what is lost"
like "$(cat out)" "B: whole requests" "and its class"
like "$(cat found/results.jsonl)" '"outcome":"broken","class":"[BC]"' "in the results, too"
is "$(grep -c 'again: disktorture .*show crash/' out)" "$(sed -n 's/.* \([0-9]*\) cause.*/\1/p' out)" "each cause can be shown again"

# refused TEXT NAME ARGUMENTS
refused ()
{
    local text=$1 name=$2
    shift 2
    torture "$@"
    is "$? $(wc -l <out)" "2 1" "$name: one line"
    like "$(cat out)" "^disktorture: $text" "$name: says why"
}
refused "--check is missing" "no check" --workload true
refused "--check is missing" "no check in a list" --workload true list
refused "--oracle set needs --check" "an oracle that reads nothing" --workload true --oracle set --mount fuse2fs
refused "--fsck needs --mount" "a file system to mend" --workload true --check true --fsck true
refused "--jobs 1001: expected a whole number from 1 to 1000" "too many jobs" --workload true --check true --jobs 1001
refused "--workload is missing" "no workload" --check true
refused "--size 1Q: expected" "a size" --size 1Q --workload true --check true
refused "--sector 1: expected 512 or 4096" "a sector" --sector 1 --workload true --check true
refused "--mount zfs: expected ext4, xfs, btrfs or fuse2fs" "a file system" --mount zfs --workload true --check true
refused "--timeout 0: expected a time" "a timeout" --timeout 0 --workload true --check true
refused "--seed x: expected" "a seed" --seed x --workload true --check true
refused "frobnicate: expected show, list, check, report" "a word" --workload true --check true frobnicate
refused "the workload fails on a healthy disk \(exit status 3\)" "a workload that fails" --workload "exit 3" --check true
refused "--setup failed: no way" "a setup that fails" --setup "echo no way; false" --workload true --check true
refused "--setup failed: y" "one that writes too much" --setup "yes" --workload true --check true
# shellcheck disable=SC2016
refused "what the workload writes does not fit into the history of 100K: make it shorter, or say --history SIZE" \
    "a history that is full" --history 100K --workload 'for i in 1 2 3 4 5 6 7 8; do head -c 60K /dev/zero | dd of="$disk" conv=notrunc,fsync status=none; done; echo ack 1' --check true
refused "--history 0: expected a number of bytes" "a history of nothing" --history 0 --workload true --check true
torture --workload "echo ack 1" --check true
is "$? $(tail -1 out)" "2 disktorture: the workload has changed nothing on the disk" "a workload that writes nothing"
refused "--promised nothing: No such file" "no promises" --promised nothing --workload true --check true
refused "found/run.json: No such file" "nothing to show" show crash/end/none
SYNC=,fsync torture --workload "$work" --check "echo no; false"
is "$? $(tail -1 out)" "2 disktorture: the check fails on what the workload has left, with no power cut at all (broken): no" \
    "a check that always fails"
SYNC=,fsync torture --timeout 3 --workload "$work" --check "test -s \"\$acked\" || exec sleep 100; test ! -e stop" 
like "$(cat out)" "the check does not end.*
.*
   check: it took longer than 3 s" "a check that hangs"
SYNC=,fsync torture --workload "echo begin 1; $work" --check "test -s \"\$acked\" || kill -SEGV \$\$"
like "$(cat out)" "the check dies of a signal" "one that crashes"
cp out crashed
SYNC=,fsync torture --workload "$work" --check "$check"
SYNC=,fsync disktorture --size 1M --out found --workload "$work" --check "$check" >out 2>&1
like "$? $(cat out)" "checked   [0-9]* of [0-9]*   \([0-9]* by an earlier run\)
good" "what an earlier run has found stays"
SYNC='' disktorture --size 1M --out "a b" --workload "$work" --check "$check" >out 2>&1
like "$(cat out)" "again: disktorture --out 'a b' show crash/" "a directory with a space"
bash -c "$(sed -n 's/.*again: //p' out | head -1)" >shown 2>&1
like "$?: $(cat shown)" "^1: After .*is lost.*
broken: record [123] is gone" "is shown again by the command as it is printed"
name=$(sed -n 's/.*again: disktorture .*show //p' crashed)
like "$(disktorture --out found show "$name" -- no-such-command 2>&1; echo $?)" "
no-such-command: No such file or directory
127$" "a command that is not there"
like "$(disktorture --help)" "^usage: disktorture .*--workload COMMAND" "help"
printf 'ack \377 9\nack x\n' >bytes
SYNC=,fsync torture --promised bytes --workload "$work" --check "test \"\$(head -2 \"\$acked\" | od -c)\" = \"\$(sed 's/ack //' $scratch/bytes | od -c)\""
is "$? $(cmp bytes found/promised 2>&1)" "0 " "what was promised is kept byte for byte"
# shellcheck disable=SC2016
SYNC=,fsync torture --workload "memctl \"\$control\" 'disk:mark(\"ack 0\\n1\")'; $work" --check 'head -1 "$acked" | grep -qx "0 1" || test ! -s "$acked"'
is "$? $(tail -1 out)" "0 good      no state failed" "a mark of two lines is one promise"
SYNC=,fsync torture --workload "$work | cat >said; cat said" --check "$check"
like "$(cat out)" "each \"ack X\" came after the last write: is the output of the workload held back" "words that come too late"
# shellcheck disable=SC2016
SYNC=,fsync torture --workload 'SYNC=,fsync; memctl "$control" "disk:mark([[ack 0]])"; '"printf x | dd of=\"\$disk\" bs=4096 conv=notrunc,fsync 2>>dd.err" --check true
is "$(grep -cE "acknowledges nothing|held back" out)" 0 "a mark by memctl is an acknowledgement"
refused "--out out: Not a directory" "a file as --out" --workload true --check true --out out
refused "--junit /none/x.xml: No such file" "a file that can't be written" --workload true --check true --junit /none/x.xml
SYNC=,fsync torture --workload "$work" --check "exit 5"
like "$(cat out)" "the check fails on what the workload has left, .*: exit status 5" "a check that says nothing"
SYNC=,fsync torture --workload "$work" --check "exit 77"
like "$(cat out)" "the check says that it does not apply .exit status 77." "one that never applies"
echo stale >j.xml
disktorture --out found --junit j.xml list >list.out 2>&1
is "$(cat j.xml)" stale "what has no results leaves JUnit's file alone"
torture --workload "exit 3" --check true --junit j.xml
like "$(cat j.xml)" "<error message=.it did not come to its end" "a run that fails has no results of another"
echo stale >j.xml
SYNC=,fsync disktorture --size 1M --seed 7 --out found --workload "$work" --check "$check" >out 2>&1
SYNC=,fsync disktorture --size 1M --seed 8 --out found --workload "$work" --check "$check" --junit j.xml >out 2>&1
like "$(cat out)" "holds a run with another --seed" "a run that is refused"
like "$(cat j.xml)" "<error message=.it did not come to its end" "JUnit's file is of this run"
echo 0 >calls
SYNC=,fsync torture --workload "$work" --check "n=\$(cat $scratch/calls); echo \$((n + 1)) >$scratch/calls; test \$n = 1 && echo no && exit 1; exit 0"
like "$(cat out)" "a second check of the same state says otherwise" "a check that is not reliable"
# shellcheck disable=SC2016
PATH=${PATH#"$TOP:"} "$TOP/disktorture" --size 1M --out path --check true >out 2>&1 </dev/null \
    --workload 'printf x | dd of="$disk" bs=4096 conv=notrunc,fsync 2>dd.err; memctl "$control" "disk:mark([[ack 0]])"'
is "$? $(grep -c 'held back\|nothing can be' out)" "0 0" "memctl is found beside disktorture; one word is not held back"
printf 'ack 1\nack 9\n' >promised
SYNC=,fsync torture --promised promised --workload "printf 'record 9' | dd of=\"\$disk\" bs=4096 seek=9 conv=notrunc,fsync 2>>dd.err; $work" --check "$check"
is $? 1 "what was promised before"
like "$(cat out)" "After \"ack 9\", power is cut .*
   check: record [19] is gone" "is gone"
# shellcheck disable=SC2016
SYNC=,fsync torture --workload "$work" \
    --check 'test "$(nbdcopy "$uri" - | cksum)" = "$(cksum <"$image")" || { echo "$uri"; exit 1; }'
is "$? $(tail -1 out)" "0 good      no state failed" "the check has each state as \$uri, too"
cat >uri.sh <<'SH'
nbdsh -u "$uri" -c 'h.pwrite(b"y" * 4096, 0); h.flush(); assert h.pread(1, 0) == b"y"' || exit
# The server notes a little later that the client has left.
until test "$(nbdcopy "$uri" - | cksum)" = "$(cksum <"$image")"; do sleep 0.01; done
SH
torture --workload "$work" --check "sh $scratch/uri.sh"
is "$? $(tail -1 out)" "0 good      no state failed" "what is written there goes with its client"
is "$(left)" "" "nothing is left behind"
done_testing
