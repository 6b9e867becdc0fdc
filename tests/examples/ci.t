#!/usr/bin/env bash
# examples/github-actions.yml: its commands build and install the plugin and run a test,
# here with the packages that there are.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/helper.sh"
need python3 nbdcopy git make gcc
need_pytest
git -C "$TOP" rev-parse HEAD >rev 2>&1 || skip_all "not a git repository"

# The packages are among those that setup installs, and names of programs stand for what
# can't run here.
yml=$TOP/examples/github-actions.yml
packages=$(sed -n '/apt-get install/,/^ *- name/{/- name/d;s/.*recommends//;p}' "$yml" | tr -d "\\\\")
for p in $packages; do
    grep -qw -- "$p" "$TOP/setup" || echo "$p"
done >unknown
is "$(cat unknown)" "" "its packages are known to setup"

mkdir bin
printf '#!/bin/sh\nexec "$@"\n' >bin/sudo
printf '#!/bin/sh\necho "apt-get $%s" >>apt.log\n' 1 >bin/apt-get
chmod +x bin/*
# All that stands under "run: |".
awk '/^ *run: \|/ { run = 1; match($0, /[^ ]/); depth = RSTART; next }
     run { match($0, /[^ ]/); if (RSTART <= depth) run = 0; else print }' "$yml" |
    sed "s,/usr/local,$scratch/local,; s,install\$,install PREFIX=$scratch/local," >steps
is "$(grep -c . steps)" 7 "its commands"

mkdir tests
cp "$TOP/examples/test_copy.py" tests
# The plugin is this tree, with what is not committed.
mkdir source
(cd "$TOP" && git ls-files -co --exclude-standard | tar cf - -T -) | tar xf - -C source
git -C source init -q
git -C source add .
git -C source -c user.name=t -c user.email=t@example.org commit -qm all
unset NBDKIT_MEMORY_SO SO BUILD MFLAGS
export CFLAGS=-O0 MAKEFLAGS=-j2
PATH=$scratch/bin:$PATH PLUGIN=file://$scratch/source PYTHONPATH=$scratch/local/share/nbdkit-memory-plugin/python \
    bash -e steps >out 2>&1
is $? 0 "they succeed" || tell <out
like "$(cat out)" "3 passed" "the test ran, with what is installed"
is "$(tr '\n' ' ' <apt.log)" "apt-get update apt-get install " "packages first"
done_testing
