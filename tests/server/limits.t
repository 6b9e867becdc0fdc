#!/usr/bin/env bash
# Disks of the smallest and largest sizes work up to their last byte, and
# requests that NBD forbids get the errors it names, on a connection that
# lives on.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh nbdinfo

for size in 0 1 511 512 4095 4097 65537; do
    serve "size=$size"
    is "$(nbdinfo --size "$uri")" "$size" "a disk of $size bytes"
    python - >out <<'PY'
size = h.get_size()
if size > 0:
    data = bytes(i % 255 + 1 for i in range(size))
    h.pwrite(data, 0)
    assert h.pread(size, 0) == data, "all"
    h.pwrite(b"z", size - 1)
    assert h.pread(1, size - 1) == b"z", "last byte"
    h.trim(1, size - 1)
    h.zero(size, 0)
    assert h.pread(size, 0) == bytes(size), "zeroed"
h.flush()
PY
    is "$(cat out)" "" "$size bytes are written, read and zeroed"
    stopped
done

# The size needs no name, and may come with others in any order.
serve 1G
is "$(nbdinfo --size "$uri")" 1073741824 "nbdkit memory.so 1G"
stopped
serve allocator=sparse 1G
is "$(nbdinfo --size "$uri")" 1073741824 "the same after another parameter"
stopped

end=$((2**63 - 1))
serve size=$end
is "$(nbdinfo --size "$uri")" $end "a disk of 2^63-1 bytes"
python - >out <<'PY'
import os
end = (1 << 63) - 1
h = nbd.NBD()
h.set_strict_mode(0)
h.add_meta_context("base:allocation")
h.connect_uri(os.environ["uri"])
def extents(count, offset, flags=0):
    got = []
    h.block_status(count, offset,
                   lambda context, start, entries, err: got.extend(entries), flags)
    return list(zip(got[::2], got[1::2]))

def largest(offset):
    """The map of 0xffffffff bytes.  nbdkit 1.43.11 and newer stop at 0xffff0000."""
    got = extents(0xffffffff, offset)
    if sum(count for count, _ in got) == 0xffff0000:
        for count, kind in extents(0xffff, offset + 0xffff0000):
            if kind == got[-1][1]:
                got[-1] = got[-1][0] + count, kind
            else:
                got.append((count, kind))
    return got

print(largest(end - 0xffffffff))
h.pwrite(b"last", end - 4)
print(h.pread(6, end - 6))
print(largest(end - 0xffffffff))
print(extents(1, end - 1))
h.pwrite(b"x" * 300000, end - 300000)
print(extents(1 << 20, end - (1 << 20)))
h.zero(299999, end - 300000, nbd.CMD_FLAG_FAST_ZERO)
print(h.pread(2, end - 2))
h.trim(4095, end - 4095)
h.cache(4095, end - 4095)
h.trim(0xffffffff, end - 0xffffffff)
h.zero(0xffffffff, end - 0xffffffff)
print(h.pread(2, end - 2))
print(extents(1 << 20, end - (1 << 20)))
h.pwrite(b"x", 1 << 62)
print(h.pread(3, (1 << 62) - 1))
# Past the end by one, and where offset + count overflows.
for request in (lambda: h.pread(1, end), lambda: h.pread(2, end - 1),
                lambda: h.pread(1, 1 << 63), lambda: h.pread(512, (1 << 64) - 512),
                lambda: h.pread(512, (1 << 64) - 1), lambda: h.zero(0xffffffff, end - 1)):
    try:
        request()
        print("no error")
    except nbd.Error as error:
        print(error.errno in ("EINVAL", "ENOSPC"), end=" ")
PY
# From 1.43.11 on, nbdkit tells of no more than 4294901760 bytes at once.
most="[(4294967295, 3)]"
last="[(4294963200, 3), (4095, 0)]"
version=$(nbdkit --version | sed 's/^nbdkit //; s/ .*//')
if printf '%s\n' 1.43.11 "$version" | sort -CV; then
    most="[(4294901760, 3)]"
    last=$most
fi
is "$(cat out)" "$most
bytearray(b'\\x00\\x00last')
$last
[(1, 0)]
[(745473, 3), (303103, 0)]
bytearray(b'\\x00x')
bytearray(b'\\x00\\x00')
[(1048576, 3)]
bytearray(b'\\x00x\\x00')
True True True True True True " "its last bytes are read, written, zeroed, trimmed and mapped"
stopped

# Requests that NBD forbids.  Each is followed by a good request on the same connection.
# The protocol leaves open what happens to a request for no bytes.
serve size=1000000
python - >out <<'PY'
import os, raw_nbd
from raw_nbd import READ, WRITE, TRIM, WRITE_ZEROES, CACHE, BLOCK_STATUS
raw = raw_nbd.Raw(os.environ["sock"])
size = 1000000
M = 1 << 20

def report(name, *request, nothing=False):
    answer = raw.request(*request)
    if nothing and answer in ("done", "EINVAL", "ENOSPC"):
        answer = "answered"
    print(f"{name}: {answer}")
    if raw.request(READ, 0, 1) != "done":
        print("the connection is broken")

report("read past the end", READ, size - 1, 2)
report("write past the end", WRITE, size - 1, 2, b"xx")
report("trim past the end", TRIM, size - 1, 2)
report("zero past the end", WRITE_ZEROES, size - 1, 2)
report("cache past the end", CACHE, size - 1, 2)
report("read far away", READ, 1 << 63, 1)
report("write far away", WRITE, (1 << 64) - 1, 1, b"x")
report("zero far away", WRITE_ZEROES, (1 << 64) - 1, 1)
report("read nothing", READ, 0, 0, nothing=True)
report("write nothing", WRITE, 0, 0, nothing=True)
report("trim nothing", TRIM, 0, 0, nothing=True)
report("zero nothing", WRITE_ZEROES, 0, 0, nothing=True)
report("cache nothing", CACHE, 0, 0, nothing=True)
report("misaligned read", READ, 4095, 3)
report("misaligned write", WRITE, 4095, 3, b"abc")
report("misaligned trim", TRIM, 4097, 8191)
report("misaligned zero", WRITE_ZEROES, 4095, 4099)
report("read of 64 MiB", READ, 0, 64 * M)
report("write of 64 MiB", WRITE, 0, 64 * M, bytes(64 * M))
report("read of 4 GiB", READ, 0, 0xffffffff)
report("zero of 4 GiB", WRITE_ZEROES, 0, 0xffffffff)
report("trim of 4 GiB", TRIM, 0, 0xffffffff)
report("block status that was not negotiated", BLOCK_STATUS, 0, 4096)
report("unknown command", 99, 0, 4096)
report("unknown flag", READ, 0, 1, b"", 1 << 15)
PY
is "$(cat out)" "read past the end: EINVAL
write past the end: ENOSPC
trim past the end: EINVAL
zero past the end: ENOSPC
cache past the end: EINVAL
read far away: EINVAL
write far away: ENOSPC
zero far away: ENOSPC
read nothing: answered
write nothing: answered
trim nothing: answered
zero nothing: answered
cache nothing: answered
misaligned read: done
misaligned write: done
misaligned trim: done
misaligned zero: done
read of 64 MiB: EINVAL
write of 64 MiB: ENOSPC
read of 4 GiB: EINVAL
zero of 4 GiB: ENOSPC
trim of 4 GiB: EINVAL
block status that was not negotiated: EINVAL
unknown command: EINVAL
unknown flag: EINVAL" "what NBD forbids gets the error that it names"
alive "the server is alive"
stopped

# 64 MiB is the largest request that nbdkit takes.
serve size=256M
python - >out <<'PY'
import os, raw_nbd
from raw_nbd import READ, WRITE
M = 1 << 20
data = bytes(range(256)) * (64 * M // 256)
h.pwrite(data, 12345)
print(h.pread(64 * M, 12345) == data)
raw = raw_nbd.Raw(os.environ["sock"])
for count in 64 * M + 1, 128 * M, 0xffffffff:
    print(raw.request(READ, 0, count))
print(h.pread(64 * M, 12345) == data)
print(raw_nbd.Raw(os.environ["sock"]).request(WRITE, 0, 64 * M + 1, bytes(64 * M + 1)) != "done")
print(h.pread(64 * M, 12345) == data)
PY
is "$(cat out)" "True
ENOMEM
ENOMEM
EINVAL
True
True
True" "64 MiB are written and read at once, more is refused"
alive "the server is alive"
stopped
done_testing
