#!/usr/bin/env bash
# scripts/random.lua: random bytes, the same for the same seed.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"
need nbdcopy nbdinfo sha256sum

# content PARAMETER...: its checksum, into the file sum.
content ()
{
    script size=1000003 "$@"
    nbdcopy "$uri" - | sha256sum | cut -c1-16 >sum
    stop
}

serve "${usage[@]}"
is "$(nbdinfo --map "$uri" | awk '{ printf "%s+%s:%s ", $1, $2, $3 }')" \
   "0+67108864:0 67108864+1006632960:3 " "count=64M is data, the rest a hole"
python 'import zlib
data = h.pread(1 << 20, 63 << 20)
print(len(zlib.compress(data)) >= len(data), len(set(data)))' >out
is "$(cat out)" "True 256" "which can't be compressed"
stopped

content
is "$(cat sum)" f26bc71a3780cebb "without a seed, the content is always this"
content seed=0
is "$(cat sum)" f26bc71a3780cebb "0 is the default"
content seed=1
is "$(cat sum)" cabd602de569b083 "with a seed, it is that"
content count=0
is "$(cat sum)" "$(head -c 1000003 /dev/zero | sha256sum | cut -c1-16)" "count=0 is nothing"

refused 'random.lua: count=x: expected bytes' size=1M count=x
refused 'random.lua: count=2M: expected bytes up to' size=1M count=2M
refused 'seed.*x' size=1M seed=x
done_testing
