#!/usr/bin/env bash
# What make install has put somewhere works there: disktorture finds the plugin.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/torture.sh"
need make dd
fuse_needed

check "make install" make -C "$TOP" -s install DESTDIR="$scratch/root" PREFIX=/usr
bin=$scratch/root/usr/bin
# shellcheck disable=SC2016 # disktorture sets them
"$bin/disktorture" --size 1M --check 'grep -q x "$image" || test ! -s "$acked"' \
    --workload 'echo x | dd of="$disk" conv=notrunc,fsync status=none; echo ack 1' >out 2>&1
is "$? $(tail -1 out)" "0 good      no state failed" "disktorture runs where it is installed" || tell <out
like "$("$bin/memctl" --help)" "^usage: memctl" "so does memctl"
cp "$bin/disktorture" .
is "$(./disktorture --size 1M --workload true --check true --out none 2>&1; echo $?)" \
    "disktorture: memory.so, the plugin, is neither beside disktorture, in $PWD, nor in ../lib/nbdkit-memory-plugin
2" "alone it says what is missing"
for page in man1/nbdkit-memory-plugin.1lua man7/nbdkit-memory-crash.7 man1/disktorture.1; do
    check "$page" test -s "$scratch/root/usr/share/man/$page"
done
is "$(left)" "" "nothing is left behind"
done_testing
