#!/usr/bin/env bash
# The examples of disktorture(1), as they are written there.  (sqlite.t has the first one.)
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need nbdsh dd "${CC:-cc}"
fuse_needed

# example WORDS: the command of the manual that has them, without the space before it.
example () { grep -m 1 "^ disktorture.*$1" "$TOP/docs/disktorture.pod"; }
# failed CLASS TEXT: what the run in the file out has found.
failed ()
{
    like "$(cat out)" "FAILED    [0-9]+ states, 1 cause" "$2: fails"
    like "$(cat out)" "\[$1: " "$2: class"
}

scripts nbd-work.sh nbd-check.sh
eval "$(example nbd-work.sh)" >out 2>&1
is $? 1 "an NBD client"
failed B "an NBD client"
like "$(cat out)" "Request [0-9]+, a write of 512 bytes at (4096|8192|12288), is lost\.  Everything else reaches the disk\.
   check: record [123] is missing" "what is lost"
sed -i "s/^    h.pwrite(b\"count/    h.flush()\n&/" nbd-work.sh
is "$(grep -c flush nbd-work.sh)" 2 "with one more flush"
eval "$(example nbd-work.sh) --out second" >out 2>&1
is "$? $(tail -1 out)" "0 good      no state failed" "it is right"

can_mount || { skip "what is mounted" "$why"; done_testing; }
scripts save.c save-check.sh
"${CC:-cc}" -o save save.c
eval "$(example save-check.sh) --out third --jobs 2" >out 2>&1
is $? 1 "a program of twenty lines"
failed A "a program of twenty lines"
sed -i 's/^    printf ("ack/    int dir = open (".", O_RDONLY);\n    if (fsync (dir) == -1 || close (dir) == -1)\n      return 1;\n&/' save.c
"${CC:-cc}" -o save save.c
eval "$(example save-check.sh) --out fourth --jobs 2" >out 2>&1
is "$? $(tail -1 out)" "0 good      no state failed" "with the directory synced it is right"

# What only prints what is left.
if command -v sqlite3 >/dev/null; then
    scripts work.sh
    # It goes over two lines.  Before there is a table, nothing can be found.
    sed -n '/^ disktorture.*--oracle set/,/^$/p' "$TOP/docs/disktorture.pod" >words.txt
    like "$(cat words.txt)" "work.sh --oracle set" "the command with --oracle"
    sed -i '/--check/s/$/ --out fifth --jobs 2/' words.txt
    eval "$(cat words.txt)" >out 2>&1
    is $? 1 "--oracle set"
    like "$(cat out)" "lost what was acknowledged   [0-9]+ states" "its title"
    like "$(cat out)" "   check: lost: 1" "its reason"
fi
is "$(left)" "" "nothing is left behind"
done_testing
