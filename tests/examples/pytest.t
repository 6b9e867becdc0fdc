#!/usr/bin/env bash
# examples/test_copy.py passes, and fails if the fault does not happen; the man page and
# README.md show it.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/helper.sh"
need python3 nbdcopy pgrep
need_pytest

cp "$TOP/examples/test_copy.py" .
pytest test_copy.py
is $? 0 "it passes" || tell <report
like "$(cat report)" "3 passed" "all of it"

# As its comment says.
sed -i 's/"--flush", //' test_copy.py
pytest test_copy.py
like "$(cat report)" "1 failed, 2 passed" "without a flush, one fails"
like "$(cat report)" 'op = "flush".* never fired' "... because a rule never fired"
nothing_left "no process and no file is left"

sed -n '/^def test_full/,/^$/p' "$TOP/examples/test_copy.py" | sed '/^$/d' >shown
is "$(sed -n '/^def test_full/,/^```/p' "$TOP/README.md" | sed '/^```/d')" "$(cat shown)" "README.md shows it"
is "$(sed -n 's/^ \(def test_full\)/\1/;/^def test_full/,/^$/p' "$TOP/nbdkit-memory-plugin.pod" | sed 's/^ //;/^$/d')" \
    "$(cat shown)" "the man page shows it"
done_testing
