#!/usr/bin/env bash
# Whose the request is that is lost: a file, the journal of ext4, or nobody's.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need debugfs jq dd
mount_needed

cat >work.sh <<'SH'
cd "$dir"
printf old >a\ file
printf x >between
printf old >count
sync
echo "begin new"
printf new | dd of=a\ file conv=notrunc status=none
printf new | dd of=count conv=notrunc status=none
sync
echo "ack new"
SH
cat >check.sh <<'SH'
cd "$dir"
grep -q new count || test ! -s "$acked" || exit 1
! grep -q new count || grep -q new a\ file || { echo "it is counted, and not there"; exit 1; }
SH
disktorture --size 8M --mount ext4 --workload "sh work.sh" --check "sh check.sh" >out
is $? 1 "it fails"
like "$(cat out)" "legal   \[B: whole requests\]
.*Request [0-9]+, a write of 4096 bytes at [0-9]+ \(/a file\), is lost\." "a file"

# sentence OFFSET: what show says of a state that loses a request there.
sentence ()
{
    disktorture show "$1" -- true | sed -n 's/.*\(Request .* is lost\).*/\1/p'
}
journal=
for name in $(jq -r .name disktorture.out/results.jsonl | sed -n 's,/only-\([0-9]*\)$,/lose-\1,p' | sort -u); do
    journal=$(sentence "$name" | grep -F "(the journal)") && break
done
like "$journal" "a write of [0-9]+ bytes at [0-9]+ \(the journal\), is lost" "the journal"
is "$(left)" "" "nothing is left behind"
done_testing
