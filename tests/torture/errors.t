#!/usr/bin/env bash
# disktorture --errors: each request fails in each way; the scripts are those of the manual.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need dd
fuse_needed
scripts record.sh records.sh
is "$(wc -l <record.sh) $(wc -l <records.sh)" "5 5" "the scripts of the manual page"

# torture ARGUMENTS: run it; its output is in the file out.
torture ()
{
    disktorture --size 1M --timeout 60 --out found "$@" >out 2>&1 </dev/null
}
run=(--errors --workload "sh record.sh" --check "sh records.sh")

torture "${run[@]}"
is $? 1 "a workload that ignores errors"
like "$(cat out)" "errors    6 requests \(3 writes, 3 flushes\), 24 runs
tried     24 of 24 runs .*
the disk said so .*
the disk lied  *silent loss 9
FAILED    [0-9]+ runs" "silent loss; a lie is not counted"
is "$(grep -c '"outcome":"silent loss","legal":true,"hit":"write [0-9]*+8"' found/errors.jsonl)" 9 \
    "each write in each way, and what was hit"
is "$(wc -l <found/errors.jsonl)" 24 "a result for each run"
like "$(grep '"name":"flush/3/EIO"' found/errors.jsonl)" '"outcome":"silent loss"' \
    "what a failed flush left in the cache is gone after a cut"
names () { sed 's/^{"name":"//; s/".*//' found/errors.jsonl; }
names >order
like "$(disktorture --out found show write/8192#1/EIO 2>&1; echo $?)" "^silent loss
   EIO of write 8192\+8: what was acknowledged after the fault is not there\.
   last: record 2 is gone
   again: disktorture --out found show write/8192#1/EIO
1$" "one shown again"
like "$(disktorture --out found show write/8192#9/EIO 2>&1)" "^not reached" "one that does not come up"

rm -r found
torture "${run[@]}" --seed 1
is "$(names | sort | cksum)" "$(sort order | cksum)" "another seed: the same runs"
check "in another order" sh -c '! cmp -s order other' "$(names >other)"
run+=(--ways "EIO,lost")
rm -r found
torture "${run[@]}"
like "$(cat out)" "tried     9 of 9 runs" "--ways"

# It goes on where it was stopped.
head -5 found/errors.jsonl >some
printf '{"name":"flush' >>some
cp some found/errors.jsonl
torture "${run[@]}"
like "$(cat out)" "tried     9 of 9 runs .*\(5 by an earlier run\)" "goes on"
is "$(wc -l <found/errors.jsonl)" 9 "and tries none twice"
torture "${run[@]}" --hardening
like "$(cat out)" "silent loss   3 runs   a lie" "--hardening counts lies"

# Whoever looks at errors promises nothing.
sed -i '/dd of/s/$/ \&\&/' record.sh
rm -r found
torture "${run[@]}"
is $? 0 "a workload that looks at errors" || tell <out
like "$(cat out)" "good      no run failed in which the disk said what it did" "no failure"

# What was there before.
cat >before.sh <<'SH'
printf "record 1" | dd of="$disk" bs=4096 seek=1 conv=notrunc,fsync && echo "ack 1"
printf "spoiled!" | dd of="$disk" bs=4096 seek=1 conv=notrunc,fsync || exit
printf "record 1" | dd of="$disk" bs=4096 seek=1 conv=notrunc,fsync
SH
rm -r found
torture --errors --ways EIO --workload "sh before.sh; exit 0" --check "sh records.sh"
is $? 1 "a workload that spoils"
like "$(cat out)" "  damage   [0-9]+ runs?   legal
   EIO of .*: what was acknowledged before the fault is gone or wrong" "damage"
rm -r found
# shellcheck disable=SC2016
torture --errors --ways EIO --workload "sh record.sh" --check "sh records.sh" --setup 'head -c 64K /dev/urandom | dd of="$disk" conv=notrunc'
is "$? $(grep -c '"hit":"write [0-9]*+8"' found/errors.jsonl)" "0 3" "what prepares the disk is not hit"

# shellcheck disable=SC2016
half='case $(head -c 8K "$image" | tr -dc x | wc -c) in 0|8192) ;; *) echo half; exit 1 ;; esac'
rm -r found
# shellcheck disable=SC2016
torture --errors --ways EIO,EIO-torn --workload 'head -c 8K /dev/zero | tr "\0" x | dd of="$disk" bs=8K iflag=fullblock conv=notrunc,fsync; echo ack 1' --check "$half"
is "$(grep '"last\|"half"' found/errors.jsonl | grep -c 'name":"write/0#1/EIO-torn"') $(grep -c '"half"' found/errors.jsonl)" "1 1" \
    "EIO-torn stores half of a write"

# What does not come at once, or not again.
cat >seldom.sh <<'SH'
n=$(cat n)
echo $((n + 1)) >n
test $((n % 2)) = 1 || printf x | dd of="$disk" bs=4096 conv=notrunc,fsync
SH
echo 0 >n
rm -r found
torture --errors --ways EIO --workload "cd '$scratch' && sh seldom.sh; exit 0" --check true
is "$(grep -c '"outcome":"survived"' found/errors.jsonl)" 2 "what comes up every other time is reached"
cat >once.sh <<'SH'
printf "record 1" | dd of="$disk" bs=4096 seek=1 conv=notrunc,fsync || { test ! -e seen && touch seen; } || exit
echo "ack 1"
SH
rm -r found
torture --errors --ways EIO --workload "cd '$scratch' && sh once.sh; exit 0" --check "sh records.sh"
like "$? $(grep '"not repeated"' found/errors.jsonl)" '^0 .*"name":"[a-z]' "a failure that does not come again is none"

# What was promised before the workload is a promise like any other.
cat >spoil.sh <<'SH'
printf "spoiled!" | dd of="$disk" bs=4096 seek=1 conv=notrunc,fsync || exit
printf "record 1" | dd of="$disk" bs=4096 seek=1 conv=notrunc,fsync
SH
echo "ack 1" >promised
rm -r found
torture --errors --ways EIO --promised promised --workload "sh spoil.sh; exit 0" --check "sh records.sh"
is $? 1 "a workload that spoils what was promised before"
like "$(cat out)" "  damage   [0-9]+ runs?   legal" "is told of its damage"

# Hangs, and deaths.
rm -r found
disktorture --size 1M --timeout 1 --out found --errors --ways EIO --workload "sh record.sh; dd if=\"\$disk\" bs=4096 skip=1 count=1 | grep -aq 'record 1' || sleep 1000" --check true >out 2>&1 </dev/null
like "$(cat out)" "  hang   1 run   legal
   EIO of write 4096.8: the workload or the check does not end.
   last: the workload does not end" "a workload that hangs"
rm -r found
torture --errors --ways EIO --workload "sh record.sh; dd if=\"\$disk\" bs=4096 skip=1 count=1 | grep -aq 'record 1' || kill -SEGV \$\$" --check true
like "$(cat out)" "  crash   1 run   legal" "one that dies"

rm -r found
# shellcheck disable=SC2016
disktorture --size 1M --timeout 1 --out found --errors --ways EIO --check true >out 2>&1 </dev/null \
    --workload 'sleep 2; printf x | dd of="$disk" bs=4096 conv=notrunc,fsync'
is "$? $(grep -c '"hang"\|"not reached"' found/errors.jsonl)" "0 0" \
    "a workload that takes longer than --timeout on a healthy disk is no hang" || tell <out

# refused TEXT NAME ARGUMENTS
refused ()
{
    local text=$1 name=$2
    shift 2
    like "$(disktorture --out found "$@" 2>&1; echo $?)" "^disktorture: $text.*
2$" "$name"
}
refused "write/1/EIO: expected a name such as" "a name without its number" show write/1/EIO
refused "flush/0/EIO: requests are counted from 1" "number 0" show flush/0/EIO
refused "write/4096#1/EOI: expected a name such as" "another way" show write/4096#1/EOI
refused "flush/1/torn: a flush can't fail in this way" "a flush that is torn" show flush/1/torn
refused "--ways EOI: expected EIO" "no way" --workload true --check true --errors --ways EIO,EOI
refused "--ways : expected EIO" "no ways" --workload true --check true --errors --ways ""
refused "show write/4096#1/EIO ls: expected nothing" "a command" show write/4096#1/EIO -- ls
refused "--hardening needs --errors" "--hardening alone" --workload true --check true --hardening
refused "--errors does not go with --junit" "JUnit" --workload true --check true --errors --junit x
refused "--errors: only one run at a time" "--jobs" --workload true --check true --errors --jobs 2
is "$(left)" "" "nothing is left behind"

if ! can_mount; then
    skip "SQLite on ext4" "$why"
elif ! command -v sqlite3 >/dev/null; then
    skip "SQLite on ext4" "no sqlite3"
else
    rm -r found
    # shellcheck disable=SC2016
    disktorture --size 16M --mount ext4 --timeout 60 --out found --errors --ways EIO \
        --workload 'echo one >"$dir/one"; echo ack one; echo ack two' \
        --check 'test ! -s "$acked" || test "$(cat "$dir/one")" = one || { echo gone; false; }' >out 2>&1 </dev/null
    like "$(cat found/errors.jsonl)" '"outcome":"never asked","legal":true' "what was never synced"
    is "$(grep -c '"outcome":"\(late\|silent\) loss"\|"damage"' found/errors.jsonl)" 0 "no other loss"
    is "$(grep -c 'held back' out)" 0 "words before all writes are not held back"
    scripts work.sh check.sh
    rm -r found
    disktorture --size 16M --mount ext4 --timeout 60 --out found --errors --budget 15s \
        --workload "sh work.sh" --check "sh check.sh" >out 2>&1 </dev/null
    check "SQLite on ext4: runs, of which none is unreadable" \
        sh -c 'grep -q "\"outcome\":\"survived\"" found/errors.jsonl && ! grep unreadable found/errors.jsonl'
    is "$(left)" "" "nothing is left behind"
fi
done_testing
