#!/usr/bin/env bash
# allocator=malloc has all memory from the start and keeps it; with mlock=true
# it is locked, in a daemon too, or there is a plain error.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh nbdinfo

# status FIELD PID: kilobytes, from /proc.
status () { awk -v field="$1:" '$1 == field { print $2 }' "/proc/$2/status"; }
# at_least KILOBYTES GOT NAME
at_least ()
{
    [ "$2" -ge "$1" ]
    ok $? "$3" || echo "# got $2 kB, expected $1 kB or more"
}
[ -r /proc/self/status ] || skip_all "there is no /proc"

serve size=64M allocator=malloc
alive "a server with 64 MiB starts"
at_least 65536 "$(status VmRSS "$server")" "all memory is there at the start"
is "$(nbdinfo --map "$uri" | awk '{ print $1, $2, $3 }')" "0 67108864 0" "all is data"
python - >out <<'PY'
data = bytes(range(256)) * 4096
for offset in 0, 12345678, (64 << 20) - len(data):
    h.pwrite(data, offset)
    assert h.pread(len(data), offset) == data, offset
h.zero(3 << 20, 1 << 20)
h.pwrite(data, 1 << 20)
h.trim(500000, (1 << 20) + 300000)
got = h.pread(len(data), 1 << 20)
assert got[:300000] == data[:300000] and got[800000:] == data[800000:]
h.zero(500000, (1 << 20) + 300000)
assert h.pread(500000, (1 << 20) + 300000) == bytes(500000)
h.zero(64 << 20, 0)
assert not any(h.pread(64 << 20, 0)), "zeroed"
h.trim(64 << 20, 0)
PY
is "$(cat out)" "" "data is written, zeroed and trimmed"
at_least 65536 "$(status VmRSS "$server")" "zero and trim give nothing back"
is "$(nbdinfo --map "$uri" | awk '{ print $1, $2, $3 }')" "0 67108864 0" "all is still data"
stopped

serve size=1000001 allocator=malloc
is "$(python 'h.pwrite(b"end", 999998); print(h.pread(3, 999998).decode())')" end "a size of no whole page"
stopped
serve size=0 allocator=malloc
is "$(nbdinfo --size "$uri")" 0 "a disk of no bytes"
stopped

# Locked into RAM: 4 MiB is within the usual limits.
limit=$(ulimit -l)
if [ "$WATCH" = asan ] || [ "$WATCH" = tsan ]; then
    skip "mlock=true" "$WATCH makes mlock do nothing"
elif [ "$limit" != unlimited ] && [ "$limit" -lt 6000 ]; then
    skip "mlock=true" "ulimit -l is $limit"
else
    serve size=4M allocator=malloc,mlock=true
    alive "a server with locked memory starts"
    at_least 4096 "$(status VmLck "$server")" "with mlock=true memory is locked"
    is "$(python 'h.pwrite(b"x" * 4096, 4096); h.zero(4096, 4096); print(h.pread(4096, 4096) == bytes(4096))')" \
       True "data is written and zeroed"
    at_least 4096 "$(status VmLck "$server")" "memory stays locked"
    stopped

    check "a daemon starts" daemon size=4M allocator=malloc,mlock=true
    is "$(nbdinfo --size "$uri")" 4194304 "and serves"
    at_least 4096 "$(status VmLck "$server")" "its memory is locked, too"
    end "$server"
fi

# Sanitizers and valgrind need more address space than that.
if [ -z "$WATCH" ]; then
    (ulimit -v 500000; timeout 60 nbdkit -f -U sock "$SO" size=1G allocator=malloc) \
        >out 2>&1 </dev/null
    is $? 1 "too little memory ends nbdkit"
    like "$(cat out)" 'error: allocator=malloc.*Cannot allocate memory' "with a message that says so"
    is "$(wc -l <out)" 1 "of one line"
else
    skip "too little memory ends nbdkit" "not under $WATCH"
fi

# Root may lock as much as it likes.
unprivileged=()
if [ "$(id -u)" -eq 0 ]; then
    unprivileged=(setpriv --reuid=65534 --regid=65534 --clear-groups)
    chmod 755 .
fi
mkdir -m 777 public
name="a limit that is too low is a plain error"
if [ "$WATCH" = asan ] || [ "$WATCH" = tsan ]; then
    skip "$name" "$WATCH makes mlock do nothing"
elif ! "${unprivileged[@]}" test -r "$SO" 2>/dev/null; then
    skip "$name" "an unprivileged user can't be had, or can't read the plugin"
elif ! (ulimit -l 64) 2>/dev/null; then
    skip "$name" "ulimit -l can't be changed"
else
    (
        ulimit -l 64
        timeout 60 "${unprivileged[@]}" "${watch[@]}" nbdkit -f -U public/sock \
            "$SO" size=16M allocator=malloc,mlock=true
    ) >out 2>&1 </dev/null
    is $? 1 "a limit that is too low ends nbdkit"
    like "$(cat out)" 'error: allocator=malloc.*lock.*ulimit -l' "with a message that names it"
    is "$(wc -l <out)" 1 "of one line"
fi
done_testing
