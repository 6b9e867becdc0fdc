"""The fixture `disk` for pytest: a disk that fails as you wish, one for each test.

In conftest.py:  pytest_plugins = ["pytest_nbdkit_memory"]

    @pytest.mark.disk("1G", seed=3)     # the arguments of Disk; without a size: 64M
    def test_full(disk):
        disk.fault(op="write", nth=3, error="ENOSPC")
        ...                             # what is tested, with disk.uri

The test fails if a rule never fired, except optional ones; a hook that was never
called is an error at its end.  When it fails, its
report has these rules and the server's messages.
"""

import pytest

from nbdkit_memory import Disk


def pytest_configure(config):
    config.addinivalue_line("markers", "disk(size, **parameters): the disk of the fixture `disk`")


@pytest.fixture
def disk(request):
    """A Disk of nbdkit_memory; the test fails if one of its rules never fired."""
    marker = request.node.get_closest_marker("disk")
    args, keys = (marker.args, marker.kwargs) if marker else ((), {})
    d = Disk(*args, **(keys if args else {"size": "64M", **keys}))
    request.node.nbdkit_memory = d, []
    yield d
    d.stop()
    # The server itself knows all rules.  A test that failed or was skipped may have come to
    # its end before they could fire.
    if not request.node.nbdkit_memory[1]:
        d.check()


# After the test itself, and only if that has not failed.
@pytest.hookimpl(trylast=True)
def pytest_runtest_call(item):
    __tracebackhide__ = True
    if hasattr(item, "nbdkit_memory"):
        item.nbdkit_memory[0].check()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    if hasattr(item, "nbdkit_memory") and not report.passed:
        d, not_passed = item.nbdkit_memory
        not_passed.append(report.when)
        if report.failed and report.when == "call":
            try:
                d.check()
            except AssertionError as e:
                report.sections.append(("rules that never fired", str(e)))
        if d.messages:
            report.sections.append(("messages of nbdkit", d.messages))
