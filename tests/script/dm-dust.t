#!/usr/bin/env bash
# scripts/dm-dust.lua: bad blocks come, are found, and go, by memctl and by writes.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

serve "${usage[@]}"
sees 'K = 4096
print(ctl("dust.listbadblocks()"), r(60 * K), w(60 * K), ctl("dust.queryblock(60)"))
ctl("dust.enable()")
print(r(60 * K), r(61 * K - 1, 1), r(61 * K), r(59 * K, K), r(59 * K, K + 1), t(h.cache, 512, 60 * K))
print(w(60 * K + 512), r(60 * K, K), ctl("dust.listbadblocks()"))
print(ctl("dust.addbadblock(1, 2)"), [w(K) for i in range(3)], r(K))
print(ctl("dust.addbadblock(2)"), ctl("dust.addbadblock(2)"), ctl("dust.countbadblocks()"))
print(ctl("dust.disable()"), r(2 * K), w(2 * K), ctl("dust.enable()"), r(2 * K))
print(ctl("dust.removebadblock(2)"), ctl("dust.removebadblock(2)"), r(2 * K))
ctl("dust.quiet()")
for n in 5, 6, 7: ctl("dust.addbadblock(%d)" % n)
print(t(h.zero, 2 * K, 5 * K), ctl("dust.listbadblocks()"), r(7 * K), t(h.trim, K, 7 * K), r(7 * K))
print(ctl("dust.clearbadblocks()"), ctl("dust.countbadblocks()"), r(67 * K))
ctl("dust.addbadblock(1)"); ctl("dust.addbadblock(2, 1)")
print(w(0, 3 * K), ctl("dust.listbadblocks()"), w(0, 3 * K), ctl("dust.listbadblocks()"))
print(ctl("dust.addbadblock(262144)"), ctl("dust.queryblock([[x]])"))
print(ctl("dust.addbadblock()"), ctl("dust.removebadblock(-1)"))
print(ctl("dust.addbadblock(7, [[x]])"), ctl("dust.addbadblock(7, -1)"), ctl("dust.listbadblocks()"))' \
"[60, 67] ok ok True
EIO EIO ok ok EIO EIO
ok ok [67]
None ['EIO', 'EIO', 'ok'] ok
None block 2 is bad already 2
None ok ok None EIO
None block 2 is not bad ok
ok [7, 67] EIO ok ok
None 0 ok
EIO [1, 2] ok []
block=262144: expected a whole number from 0 to 262143 block=x: expected a whole number from 0 to 262143
block=nil: expected a whole number from 0 to 262143 block=-1: expected a whole number from 0 to 262143
count=x: expected a whole number from 0 on count=-1: expected a whole number from 0 on []" "all its messages"
is "$(grep dust log)" "dm-dust: bad	60
dm-dust: bad	67
dm-dust: bad	1
dm-dust: bad	2
dm-dust: removed	2" "and what it says"
stopped

script size=1000 addbadblock=1 enable=true
sees 'print(r(0), r(512, 488))' "ok EIO" "a short last block"
stopped

refused 'blksz=x: expected bytes' blksz=x
refused 'blksz=256: expected a power of two from 512 to 1G' blksz=256
refused 'blksz=4095: expected a power of two' blksz=4095
refused 'blksz=2147483648: expected a power of two' blksz=2G
refused 'addbadblock=2048: expected a whole number from 0 to 2047' addbadblock=2048
refused 'addbadblock=x: expected a whole number' addbadblock=1,x
refused 'enable=x: expected true' enable=x
done_testing
