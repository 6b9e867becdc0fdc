"""Does a copy notice errors of the disk, and work once they are over?

    NBDKIT_MEMORY_SO=./memory.so PYTHONPATH=python pytest -p pytest_nbdkit_memory examples
"""

import os
import subprocess

import pytest


@pytest.fixture
def image(tmp_path):
    # Random, because nbdcopy does not write zeroes: it sends requests to zero, or nothing.
    path = tmp_path / "image"
    path.write_bytes(os.urandom(1 << 20))
    return path


def copy(image, disk):
    return subprocess.run(["nbdcopy", "--flush", image, disk.uri]).returncode == 0


def test_full(disk, image):
    with disk.fault(op="write", nth=3, error="ENOSPC"):
        assert not copy(image, disk)
    assert copy(image, disk)


# Without --flush, this fails for "flush": the rule never fired.
@pytest.mark.disk("1G", seed=1)
@pytest.mark.parametrize("op", ["write", "flush"])
def test_error(disk, image, op):
    disk.fault(op=op, times=1, error="EIO")
    assert not copy(image, disk)
    assert copy(image, disk)
