#!/usr/bin/env bash
# The examples of README.md and the manual do what they show, README.md has the
# scripts in scripts/, and CONTRIBUTING.md each source file.
. "$(dirname "$0")/../lib/lib.sh"
need nbdcopy nbdinfo nbdsh qemu-io python3 jq
[ -z "$WATCH" ] || skip_all "the examples run unwatched"

# As on a terminal: the client's output stands between the server's messages.
export PYTHONUNBUFFERED=1

ln -s "$SO" memory.so
ln -s "$TOP/memctl" "$TOP/python" "$TOP/shell" .
cp -r "$TOP/README.md" "$TOP/LICENSE" "$TOP/scripts" .

python3 "$TOP/tests/lib/examples.py" README.md readme
python3 "$TOP/tests/lib/examples.py" "$TOP/nbdkit-memory-plugin.pod" pod
python3 "$TOP/tests/lib/examples.py" "$TOP/docs/nbdkit-memory-crash.pod" crash

for cmd in ./*.cmd; do
    example=${cmd%.cmd}
    # That needs FUSE: tests/proof/cut-readme.t runs it.
    ! grep -q nbdfuse "$cmd" || continue
    timeout 60 bash "$cmd" >got 2>&1
    # The number of the server's thread is chance.
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

# The tables of scripts have each of them once, and nothing else.
sed -n 's/^| .\([^/ ]*\.lua\). |.*/\1/p' README.md | sort >listed
is "$(cat listed)" "$(cd scripts && printf '%s\n' *.lua)" "README.md lists the scripts in scripts/"

# in_tree FOLDER: the words that CONTRIBUTING.md has for a folder, as far as the
# next one.
in_tree ()
{
    sed -n "/^    $1\//,/^    [^ ]*\/ \|^$/{/^    $1\//p;/^      /p}" "$TOP/CONTRIBUTING.md" |
        tr -cs '[:alnum:]_' '\n'
}
for folder in lua fault disk report control lib; do
    for file in "$TOP/$folder"/*.[ch]; do
        name=${file##*/}
        in_tree $folder | grep -qx "${name%.*}" || echo "$folder/$name"
    done
done >missing
is "$(cat missing)" "" "CONTRIBUTING.md names each source file"
done_testing
