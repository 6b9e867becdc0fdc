#!/usr/bin/env bash
# The examples of README.md and the man page do what they show, and the
# scripts shown are those in scripts/.
#
# An example is a line that starts with "$ " (in the README within a console
# block), with its continuations, and the output that follows it.
. "$(dirname "$0")/lib.sh"
need nbdcopy nbdinfo qemu-io
[ -z "$WATCH" ] || skip_all "the examples run unwatched"

ln -s "$SO" memory.so
cp -r "$TOP/README.md" "$TOP/LICENSE" "$TOP/scripts" .

# One example a file: the command in N.cmd, what it should print in N.out.
split ()
{
    awk -v name="$1" '
        function command(line) { print line > file ".cmd"; more = line ~ /\\$/ }
        more           { command($0); next }
        /^ *\$ /       { file = name "." ++n; sub(/^ *\$ /, ""); printf "" > file ".out"; command($0); next }
        /^(```.*)?$/   { file = ""; next }
        file           { if (name == "pod") sub(/^ /, ""); print > file ".out" }'
}
awk '/^```console/ { shown = 1 } shown; /^```$/ { shown = 0 }' README.md | split readme
grep -E '^($| )' "$TOP/nbdkit-memory-plugin.pod" | split pod

for cmd in ./*.cmd; do
    example=${cmd%.cmd}
    bash "$cmd" >got 2>&1
    # Which of the server's threads it was is chance.
    sed -i "s/memory\.[0-9]*:/memory.1:/" got
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
