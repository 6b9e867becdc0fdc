#!/usr/bin/env bash
# Which requests a rule matches, and which it leaves alone.
. "$(dirname "$0")/../lib/lib.sh"
need nbdsh nbdinfo

# A region may reach past the end of the disk, and "any" is each operation to which
# at least one of the actions does something.
serve size=1M lua='fault { op = "read", offset = (1 << 20) - 1, count = math.maxinteger, error = "EIO", name = "end" }
fault { op = "any", corrupt = 1, times = 3, name = "any" }
fault { op = "any", keep = 0, delay = 0, after = 4, name = "keeps" }
function on.cache()
  print(fault.get("end").fired, fault.get("any").hits, fault.get("keeps").hits)
end'
python 'h.flush(); h.zero(512, 0); h.pwrite(b"\0" * 512, 512); a = h.pread(511, 512)
h.pwrite(b"x" * 512, 1024)
print(sum(bin(x).count("1") for x in a) in (0, 2), h.pread(512, 1024) == bytes(512))
try: h.pread(2, (1 << 20) - 2)
except nbd.Error as e: print(e.errno)
h.cache(1, 0)' >got
is "$(cat got)" $'True True\nEIO' "a region at the end, and operations that are left"
like "$(cat log)" "^1	5	7$" "... and what they matched"
stopped

# fua = false matches only requests that could have FUA.
serve size=1M lua='fault { op = "any", fua = false, error = "EIO" }'
is "$(python 'from clients import *
print(outcome(h.pread, 1, 0), outcome(h.flush), outcome(h.cache, 1, 0))
for f, *args in (h.pwrite, b"x", 0), (h.zero, 1, 0), (h.trim, 1, 0):
    print(outcome(f, *args), outcome(f, *args, nbd.CMD_FLAG_FUA))')" "ok ok ok
EIO ok
EIO ok
EIO ok" "requests that can't have FUA are not without it"
stopped

# Extents are given once if a rule lets the request pass.
serve size=1M lua='disk:write("64K", "x") fault { op = "extents", delay = "1ms", p = 1 }'
is "$(nbdinfo --map "$uri" | awk '{ print $1, $2 }')" "0 65536
65536 4096
69632 978944" "the map is that of the disk"
is "$(grep error log)" "" "... and nothing is wrong with it"
stopped
done_testing
