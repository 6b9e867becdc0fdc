#!/usr/bin/env bash
# The same name on the same history is the same image, on any machine and in any run,
# and one more request changes no other draw.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

images='
# The first number of splitmix64 from the seed 0, as published.
assert mix(0) == 0xE220A8397B1DCDAF
for i in range(20):
    h.pwrite(bytes([97 + i]) * (512 * (1 + i % 3)), 512 * (i * 5 % 13))
names = [f"{kind}-{seed}" for kind in ("sectors", "reqs") for seed in (0, 1, 77, 2**64 - 1)]
images = {name: image(name) for name in names}
for name in names:
    print(name, images[name])
'
for run in first second; do
    cached 8K seed=$RANDOM
    python "from crash import *
$images" >$run
    stopped
done
is "$(cat first)" "$(cat second)" "two servers with other seeds="
is "$(grep -cE '^(sectors|reqs)-[0-9]+ [a-t0]{16}$' first)" 8 "they are images"

cached 8K
is "$(python "from crash import *
$images
print(*[name for name in names if image(name) != images[name]])
h.pwrite(b'Z' * 512, 15 * 512)
print(*[name for name in names if image(name)[:15] != images[name][:15]], 'end')")" \
    "$(cat first)

end" "opened again, and with one more request"
stopped
done_testing
