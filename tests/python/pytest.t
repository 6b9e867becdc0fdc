#!/usr/bin/env bash
# The fixture for pytest: a test fails if its rule never fired, unless it is optional, or
# the test has failed or was skipped.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/helper.sh"
need python3 qemu-io pgrep
need_pytest

cat >test_disk.py <<'PY'
import subprocess
import pytest

def read(disk):
    return subprocess.run(["qemu-io", "-f", "raw", "-r", "-c", "read -q 0 512", disk.uri]).returncode

@pytest.mark.disk("2M", seed=5)
def test_fires(disk):
    disk.fault(op="read", error="EIO")
    assert read(disk) == 1
    assert disk.run("return { disk.size, param.seed }") == [2 << 20, "5"]

def test_optional(disk):
    disk.fault(op="read", error="EIO", optional=True)
    assert disk.run("disk.size") == 64 << 20

@pytest.mark.disk(seed=7)
def test_no_size(disk):
    assert disk.run("return { disk.size, param.seed }") == [64 << 20, "7"]

@pytest.mark.disk(size="1M")
def test_size_by_name(disk):
    assert disk.run("disk.size") == 1 << 20

def test_wrong_rule(disk):
    disk.fault(op="wirte", error="EIO")

def test_never_fires(disk):
    disk.fault(op="write", error="EIO")
    assert read(disk) == 0

@pytest.mark.disk("1M", lua="fault { op = 'trim', error = 'EIO', name = 'script' }")
def test_script_never_fires(disk):
    assert read(disk) == 0

def test_fails_itself(disk):
    disk.fault(op="write", error="EIO")
    disk.run("print 'what the server said'")
    assert False, "my own failure"

def test_is_skipped(disk):
    disk.fault(op="write", error="EIO")
    pytest.skip("no reason")

@pytest.mark.xfail(strict=True)
def test_fails_as_expected(disk):
    disk.fault(op="write", error="EIO")
    assert False
PY
pytest --strict-markers -v -rA test_disk.py
is $? 1 "some tests fail"
results=$(sed -n 's/^test_disk.py::\(test_[a-z_]*\) \([A-Z]*\).*/\1 \2/p' report)
is "$results" "test_fires PASSED
test_optional PASSED
test_no_size PASSED
test_size_by_name PASSED
test_wrong_rule FAILED
test_never_fires FAILED
test_script_never_fires FAILED
test_fails_itself FAILED
test_is_skipped SKIPPED
test_fails_as_expected XFAIL" "each as it should"
like "$(cat report)" 'AssertionError: fault \{ op = "write", error = "EIO" \} never fired \(it matched 0' "the rule is named"
like "$(cat report)" 'AssertionError: fault rule script .*never fired' "... also one of a script"
like "$(sed -n '/test_fails_itself ___/,/^_____* test/p' report | tr -d '\n')" \
    'my own failure.*rules that never fired -*fault \{ op = "write"' "a test that fails itself has them in its report"
is "$(grep -c '^ERROR.*test_fails_itself' report)" 0 "... and no other failure"
like "$(sed -n '/messages of nbdkit/,/^$/p' report)" "what the server said" "the report has the server's messages"
wrong=$(sed -n '/test_wrong_rule ___/,/^_____* test/p' report)
like "$(tr -d '\n' <<<"$wrong")" '>  *disk.fault\(op="wirte"' "a mistake is shown at the line of the test"
is "$(grep -c 'nbdkit_memory\.py:' <<<"$wrong")" 0 "... and not in the module"
nothing_left "no process and no file is left"
done_testing
