#!/usr/bin/env bash
# Every wrong parameter ends nbdkit with one line that names the parameter and
# says what is expected; every right one is taken.
. "$(dirname "$0")/../lib/lib.sh"
need nbdinfo

# wrong LINES REGEX PARAMETER...: nbdkit fails with at most LINES lines on standard
# error, and the first one matches.
wrong ()
{
    local lines=$1 expected=$2 status name
    shift 2
    name=${*//$'\n'/ }
    timeout 60 "${watch[@]}" nbdkit -f -U sock "$SO" "$@" >out 2>err </dev/null
    status=$?
    [ "$status" -eq 1 ] && [ ! -s out ] && [ "$(wc -l <err)" -le "$lines" ] \
        && head -1 err | grep -Eq -- "$expected"
    if ok $? "refused: ${name:-no parameters}"; then
        return
    fi
    echo "# status $status, expected $lines line(s): $expected"
    sed 's/^/# got: /' out err
}

refused () { wrong 1 "$@"; }

# accepted SIZE PARAMETER...: the disk has that size, and there is no message.
accepted ()
{
    local expected=$1
    shift
    is "$(serve "$@"; nbdinfo --size "$uri"; stop; cat log)" "$expected" "accepted: $*"
}

# Each start takes more than a second under valgrind.
numbers=(foo -1 '' 1Z 9223372036854775808)
[ "$WATCH" = valgrind ] ||
    numbers+=(+1 18446744073709551616 99999999999999999999999999 8E 1M1 1MM
              1MiB ' 1M' '1M ' 0x1000 1e6 1.5G M)
for number in "${numbers[@]}"; do
    refused 'size=.*number of bytes' "size=$number"
done
refused 'size=x: .*given twice, first as size=1M' size=1M size=x
refused 'size=1M: .*given twice' 1M size=1M
refused 'seed=0: .*given twice' size=1M seed=0 seed=0 lua=
refused 'control=b: .*given twice' size=1M control=a control=b
[ "$WATCH" = valgrind ] || {
    refused 'log=b: .*given twice' size=1M log=a log=b
    refused 'allocator=sparse: .*given twice' size=1M allocator=malloc allocator=sparse
    refused 'hook-timeout=2: .*given twice' size=1M hook-timeout=1 hook-timeout=2
    refused 'lua-memory=2M: .*given twice' size=1M lua-memory=1M lua-memory=2M
}
refused 'size=.*number of bytes' foo
refused 'size parameter is missing.*size=1G'
refused 'size parameter is missing' allocator=sparse
refused 'allocator=foo.*sparse.*malloc' size=1M allocator=foo
refused 'allocator=.*sparse.*malloc' size=1M allocator=
refused 'allocator=zstd.*not supported' size=1M allocator=zstd
refused 'allocator=zstd.*not supported' size=1M allocator=zstd,level=3
refused 'allocator=malloc,mlock=maybe.*mlock=true' size=1M allocator=malloc,mlock=maybe
refused 'allocator=malloc,mlock=:.*mlock=true' size=1M allocator=malloc,mlock=
refused 'allocator=malloc,mlocked:.*mlock=true' size=1M allocator=malloc,mlocked
refused 'allocator=malloc,lock=1:.*mlock=true' size=1M allocator=malloc,lock=1
refused 'siez=1.*size' siez=1
refused 'siez=1.*size' size=1M siez=1
refused 'alocator=malloc.*allocator' size=1M alocator=malloc
refused 'xyzzy=1.*unknown' size=1M xyzzy=1
refused 'hooks.*/nonexistent.*No such file' size=1M hooks=/nonexistent
# A name of no file here is that of a ready-made script.  (A watched plugin is in a
# folder without them.)
[ ! -d "$(dirname "$SO")/scripts" ] || refused "hooks=dm-flaky: there is no such file, and no dm-flaky.lua in $TOP/.*scripts or in .*share/nbdkit-memory-plugin/scripts; did you mean hooks=dm-flakey\\?" size=1M hooks=dm-flaky
refused 'hooks=xyzzy: there is no such file, and no xyzzy.lua in .*/scripts$' size=1M hooks=xyzzy
[ ! -d "$(dirname "$SO")/scripts" ] || refused 'hooks=dm-flakey.lua: No such file or directory; for the ready-made script, write hooks=dm-flakey$' size=1M hooks=dm-flakey.lua
refused 'hooks=xyzzy.lua: No such file or directory$' size=1M hooks=xyzzy.lua
refused 'hooks=./dm-flakey: No such file' size=1M hooks=./dm-flakey
refused 'hooks=: No such file' size=1M hooks=
refused 'lua.*syntax error near' size=1M 'lua=syntax error here'
# Errors of running scripts may say more: where they were called from.
wrong 9 'lua:1:.*nosuchfunction' size=1M 'lua=nosuchfunction()'
wrong 9 'lua:2: boom' size=1M $'lua=\nerror("boom")'

sizes=(0:0 65536:64k 9223372036854775807:9223372036854775807)
[ "$WATCH" = valgrind ] ||
    sizes+=(1:1 512:512b 512:1s 1536:3S 65536:64K 1048576:1m 1048576:1M
            1073741824:1g 1099511627776:1T 1125899906842624:1p
            1152921504606846976:1E 8070450532247928832:7e)
for size in "${sizes[@]}"; do
    accepted "${size%:*}" "size=${size#*:}"
done
accepted 1073741824 1G
accepted 1048576 size=1M allocator=sparse
accepted 1048576 allocator=sparse 1M
accepted 1048576 allocator=malloc size=1M
accepted 1048576 size=1M seed=0 lua= lua='assert(param.seed == "0")'
echo 'n = (n or 0) + 1' >count.lua
accepted 1048576 size=1M hooks=count.lua hooks=count.lua lua='assert(n == 2)'
accepted 1048576 size=1M allocator=malloc,mlock=false
[ "$WATCH" = valgrind ] || for no in f No off 0; do
    accepted 1048576 size=1M "allocator=malloc,mlock=$no"
done
# The scripts beside the plugin.
mkdir -p tree/scripts
cp "$SO" tree/memory.so
echo 'assert(not one) one = true' >tree/scripts/mine.lua
if can_run; then
    for plugin in tree/memory.so ./tree/memory.so "$PWD/tree/memory.so"; do
        is "$("${watch[@]}" nbdkit -U - "$plugin" size=1M hooks=mine lua='assert(one)' --run true 2>&1)" "" "$plugin has its own scripts"
    done
    echo 'assert(not one) two = true' >mine
    is "$("${watch[@]}" nbdkit -U - tree/memory.so size=1M hooks=mine lua='assert(two)' --run true 2>&1)" "" "a file here comes first"
    rm mine
    mkdir mine
    is "$("${watch[@]}" nbdkit -U - tree/memory.so size=1M hooks=mine lua='assert(one)' --run true 2>&1)" "" "a directory here does not"
fi
limit=$(ulimit -l)
if [ "$limit" = unlimited ] || [ "$limit" -ge 4096 ]; then
    accepted 1048576 size=1M allocator=malloc,mlock=true
else
    skip "accepted: allocator=malloc,mlock=true" "ulimit -l is $limit"
fi
done_testing
