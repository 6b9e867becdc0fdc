#!/usr/bin/env bash
# With sector=4096, sectors of 4096 bytes become one version or another as a whole.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 16K sector=4096
rows '
sector_size(4096)
B, C = b"B" * 512, b"C" * 512

fresh()
write(h, "ABCD")
row("one W over 4 sectors", "o 1:A", "o 1:B", "o 1:C", "o 1:D")

fresh()
write(h, B, offset=512)
write(h, C, offset=2048)
row("W of 512 bytes carry their neighbours", "o 1:[o512B512o3072] 2:[o512B512o1024C512o1536]")

fresh()
write(h, B, offset=512)
write(h, C, offset=2048, fua=True)
row("FUA of 512 bytes makes those durable, too", "[o512B512o1024C512o1536]")

fresh()
write(h, B + B, offset=4096 - 512)
row("512 bytes in each of two sectors", "o 1:[o3584B512]", "o 1:[B512o3584]")
zero(h, 1, 0)
row("zeroes over one of them", "o 1:[o3584B512] 2:0", "o 1:[B512o3584]")
'
stopped

# A last sector that is short.
cached 9000 sector=4096
rows '
fresh()
size = h.get_size()
h.pwrite(b"A" * size, 0)
numbered(1)
sector_size(9000)
same("a short last sector", [image(f"state-{i}") for i in range(8)], [
    "o", "[A4096o4904]", "[o4096A4096o808]", "[A8192o808]",
    "[o8192A808]", "[A4096o4096A808]", "[o4096A4904]", "A"])
says("is one of three", refused("state-8"), r"\b8\b")
'
stopped
done_testing
