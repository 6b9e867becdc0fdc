#!/usr/bin/env bash
# scripts/nbdkit-evil.lua: about so many bits are wrong, and which ones depends
# on nothing but what it should.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/script.sh"

# wrong(data): the numbers of its bits that are 1.
lib='def wrong(data): return [i * 8 + b for i, x in enumerate(data) if x for b in range(8) if x >> b & 1]
M = 1 << 20
def read(count=M, offset=0): return wrong(h.pread(count, offset))
'
serve "${usage[@]}"
sees "$lib
one, again = read(), read()
print(20 < len(one) < 65, one == again)
part = wrong(b''.join(h.pread(3000, o) for o in range(0, M - 3000, 3000)))
print(part == [b for b in one if b < M // 3000 * 3000 * 8])
h.pwrite(bytes(M), 0); print(read() == one)
h.pwrite(b'\xff' * M, 0); low = sorted(set(range(8 * M)) - set(read()))
print(20 < len(low) < 65, not set(low) & set(one))
print([b - 8 * M for b in read(M, M)] != one)" "True True
True
True
True True
True" "stuck bits stay where they are, high or low"
stopped

bits ()
{
    script size=64M "$@"
    nbdsh -u "$uri" -c "$lib
print(read()[:10])"
    stop
}
is "$(bits evil-probability=1:100000)" "$(bits evil=stuck-bits evil-probability=0.00001 seed=0)" "the same seed, the same bits"
is "$(bits evil-probability=1/100000)" "$(bits evil-probability=0.001%)" "a probability, however it is written"
[ "$(bits evil-probability=1:100000 evil-seed=1)" != "$(bits evil-probability=1:100000)" ]
ok $? "another seed, other bits"

script size=64M evil-probability=1:10000 evil-stuck-probability=50%
sees "$lib
reads = [len(read()) for i in range(3)]
print(all(140 < n < 280 for n in reads), len({str(read()) for i in range(4)}))" \
    "True 4" "bits that are stuck half of the time"
stopped

script size=64M evil=stuck-wires evil-probability=1:100000
sees "$lib
one = read()
print(20 < len(one) < 65, one == read(M, 5 * M), read(M // 2, 77) == [b for b in one if b < 4 * M])" \
    "True True True" "stuck wires are the same in each request"
stopped

script size=64M evil=cosmic-rays evil-probability=1:100000
sees "$lib
reads = [read() for i in range(5)]
print(all(50 < len(r) < 125 for r in reads), len(set(map(str, reads))))
small = [len(read(512, o)) for o in range(0, 4 * M, 512)]
print(230 < sum(small) < 440, max(small) < 5)
print(read()[:5], file=open('first', 'w'))" \
    "True 5
True True" "cosmic rays hit other bits each time"
stopped
script size=64M evil=cosmic-rays evil-probability=1:100000
sees "$lib
for i in range(5): read()
print(read()[:5])" "$(cat first)" "but the same ones when all is repeated"
stopped

script size=64M evil=cosmic-rays evil-probability=1
sees "print(h.pread(512, 0) == b'\xff' * 512)" True "every bit"
stopped
# Of any size, within hook-timeout= and lua-memory=.
every="$lib
for size in M, 64 * M:
    h.pwrite(bytes(size), 0); high = h.pread(size, 0)
    h.pwrite(b'\xff' * size, 0); low = h.pread(size, 0)
    print(size // M, high == low, sum(bin(b).count('1') for b in high[:M]) / (8 * M))
"
script size=64M evil=cosmic-rays evil-probability=1
sees "$every" "1 False 1.0
64 False 1.0" "every bit of large requests"
stopped
for mode in stuck-bits stuck-wires; do
    script size=64M evil=$mode evil-probability=1
    is "$(nbdsh -u "$uri" -c "$every" | cut -c 1-10)" "1 True 0.5
64 True 0." "every bit of large requests: $mode"
    stopped
done

script size=64M evil-probability=0
sees "print(h.pread(512, 0) == bytes(512))" True "no bit"
stopped

for words in cosmic:cosmic-rays stuck:stuck-bits stuck-bit:stuck-bits stuck-wire:stuck-wires; do
    is "$(bits evil=${words%:*} evil-probability=1:1000)" "$(bits evil-mode=${words#*:} evil-probability=1:1000)" \
       "another word: $words"
done

refused 'evil=rays: expected cosmic, cosmic-rays, stuck, stuck-bit, stuck-bits, stuck-wire' evil=rays
refused 'evil-probability=2: expected a probability' evil-probability=2
refused 'evil-stuck-probability=x: expected a probability' evil-stuck-probability=x
for p in 1: 1:abc 1:2:100 10%%; do
    refused "evil-probability=$p: expected a probability" evil-probability=$p
done
refused 'evil-seed=x: expected a whole number' evil-seed=x
done_testing
