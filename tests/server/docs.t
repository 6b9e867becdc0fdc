#!/usr/bin/env bash
# The examples of README.md and the man page do what they show, and the
# scripts shown are those in scripts/.
. "$(dirname "$0")/../lib/lib.sh"
need nbdcopy nbdinfo nbdsh qemu-io python3 jq
[ -z "$WATCH" ] || skip_all "the examples run unwatched"

# As on a terminal: what a client prints stands between what the server says.
export PYTHONUNBUFFERED=1

ln -s "$SO" memory.so
ln -s "$TOP/memctl" .
cp -r "$TOP/README.md" "$TOP/LICENSE" "$TOP/scripts" .

python3 "$TOP/tests/lib/examples.py" README.md readme
python3 "$TOP/tests/lib/examples.py" "$TOP/nbdkit-memory-plugin.pod" pod

for cmd in ./*.cmd; do
    example=${cmd%.cmd}
    timeout 60 bash "$cmd" >got 2>&1
    # Which of the server's threads it was is chance.
    sed -i -E "s,memory(\.|\[)[0-9]+\]?:,memory[1]:," got
    is "$(cat got)" "$(cat "$example.out")" "$(head -1 "$cmd" | cut -c1-70)"
done

# The Lua block that opens with a script's name is that script.
sed -n 's/^-- \(scripts\/.*\.lua\)$/\1/p' README.md | while read -r name; do
    sed -n "/^-- ${name//\//\\/}$/,/^\`\`\`/p" README.md | sed '1d;$d' >shown
    grep -v '^--' "$TOP/$name" | sed '1{/^$/d}' >real
    cmp shown real || echo "$name"
done >different
is "$(cat different)" "" "the scripts in README.md are those in scripts/"
done_testing
