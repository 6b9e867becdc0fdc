"""Disks that fail as you wish, for tests: nbdkit with nbdkit-memory-plugin.

    from nbdkit_memory import Disk

    with Disk("64M") as d:
        subprocess.run(["mkfs.myfs", d.uri], check=True)
        with d.fault(op="write", nth=3, error="ENOSPC") as rule:
            ...                     # what is tested, with d.uri or d.socket
        # Here the rule is gone.  If it never fired: AssertionError.

A disk ends with its block, and also when the test is killed: a process or a
socket is never left behind.  Needs nbdkit, and no other Python module.  For
pytest, there is the fixture `disk` of pytest_nbdkit_memory.

memory.so is that of the environment variable NBDKIT_MEMORY_SO, or of the source
tree in which this file is, or where `make install` has put it.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

__all__ = ["Disk", "Error", "Lua", "Rule", "lua"]


class Error(Exception):
    """The server did not start or has ended, or a chunk of Lua failed."""


class Lua(str):
    """A value that is Lua already, such as Lua("function(req) … end")."""


def lua(value):
    """Give a value as Lua source: None, bool, int, float, str, bytes, path, list,
    tuple, dict or Lua.  Strings are quoted, whatever is in them."""
    if isinstance(value, Lua):
        return str(value)
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if isinstance(value, (bytes, bytearray)):
        return '"' + "".join(map(_character, value)) + '"'
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(map(lua, value)) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{_key(k)}] = {lua(v)}" for k, v in value.items()) + "}"
    raise TypeError(f"a {type(value).__name__} can't become a value of Lua")


def _integer(value):
    if not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{value} is no integer of Lua: it needs more than 64 bits")
    # The minus sign of the least one would stand before a number that is too large.
    return "math.mininteger" if value == -(1 << 63) else format(value, "d")


def _float(value):
    if value != value:
        return "(0/0)"
    if value in (float("inf"), float("-inf")):
        return "math.huge" if value > 0 else "-math.huge"
    return float.hex(value)


def _character(byte):
    plain = 32 <= byte < 127 and byte not in b'"\\'
    return chr(byte) if plain else f"\\{byte:03}"


def _key(key):
    if key is None or key != key:
        raise ValueError(f"{key} can't be a key of a table in Lua")
    return lua(key)


# A shell starts the server, and ends with its exit status.  Meanwhile it reads a pipe from
# this process: a line asks the server to end.  When this process goes, however it does, the
# pipe is closed, and then nothing may stay behind, even for clients that are still connected.
_GUARD = """
exec 3<&0 </dev/null
"$@" 3<&- & server=$!
exec >/dev/null 2>&1
{ while read -r end; do kill $server; done; rm -rf "$0"; kill -KILL $server; } <&3 3<&- & reader=$!
exec 3<&-
wait $server; status=$?
kill $reader
exit $status
"""


def _find_plugin():
    """The path of memory.so."""
    given = os.environ.get("NBDKIT_MEMORY_SO")
    if given:
        return os.path.abspath(given)
    here = os.path.dirname(os.path.realpath(__file__))
    installed = "lib/nbdkit-memory-plugin/memory.so"
    places = [os.path.join(here, "memory.so"), os.path.join(here, "..", "memory.so"),
              os.path.join(here, "../../..", installed),
              os.path.join("/usr/local", installed), os.path.join("/usr", installed)]
    for place in places:
        if os.path.exists(place):
            return os.path.normpath(place)
    raise Error("there is no memory.so: set NBDKIT_MEMORY_SO, or build it.  Not found: "
                + ", ".join(map(os.path.normpath, places)))


def _parameters(parameters):
    """The arguments KEY=VALUE: a list is a parameter given several times."""
    for key, value in parameters.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            text = ("true" if one else "false") if isinstance(one, bool) else os.fsdecode(
                one if isinstance(one, (bytes, os.PathLike)) else str(one))
            yield f"{key}={text}"


class Rule:
    """A fault rule, which Disk.fault has declared.  As a context manager it is
    removed at the end of the block, which is an AssertionError if it never fired.

    text, where    what the server says of it: its keys, and where it was declared
    """

    def __init__(self, disk, name, keys, text, where):
        self.disk, self.name, self.keys = disk, name, keys
        self.text, self.where = text, where

    def __repr__(self):
        return f"<Rule {self.name}: {self.text}>"

    def __str__(self):
        return "fault { " + ", ".join(f"{k} = {lua(v)}" for k, v in self.keys.items()) + " }"

    def _call(self, what, timeout=60):
        __tracebackhide__ = True
        return self.disk.run(f"fault.get({lua(self.name)}){what}", timeout=timeout)

    @property
    def hits(self):
        """How many requests it has matched."""
        return self._counts()[0]

    @property
    def fired(self):
        """For how many requests it has fired."""
        return self._counts()[1]

    @property
    def first(self):
        """When it fired first, as in Lua, or None.  An Error if it is gone."""
        return self._call(".first")

    @property
    def last(self):
        """When it fired last, as in Lua, or None.  An Error if it is gone."""
        return self._call(".last")

    def off(self):
        """It does nothing, and counts nothing."""
        self._call(":off()")

    def on(self):
        """It is at work again."""
        self._call(":on()")

    def release(self):
        """What hangs in it goes on."""
        self._call(":release()")

    def wait(self, seconds, times=1):
        """Return when it has fired so many times, or raise Error after SECONDS."""
        __tracebackhide__ = True
        try:
            self._call(f":wait({lua(seconds)}, {lua(times)})", timeout=seconds + 60)
        except Error as e:
            # As it was written: its name may be one that the user has never seen.
            raise Error(str(e).replace(f"fault rule '{self.name}'", str(self))) from None

    def remove(self):
        """It is gone, and what hangs in it goes on.  No error if that was so before."""
        return self.disk._each_rule(
            f"if r.name == {lua(self.name)} then found = {{ r.hits, r.fired }}; r:remove() end")

    def _counts(self):
        """Its hits and fired; also when it or the server is gone: the log has them."""
        try:
            found = self.disk._each_rule(
                f"if r.name == {lua(self.name)} then found = {{ r.hits, r.fired }} end")
        except Error:
            found = None
        return found or self._logged()

    def _logged(self):
        for line in reversed(self.disk.log()):
            if line.get("rule") == self.name and "fired" in line and "op" not in line:
                return [line["matched"], line["fired"]]
        raise Error(f"{self}: the server has ended, and did not say how often it fired:\n"
                    + self.disk.messages)

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        __tracebackhide__ = True
        try:
            hits, fired = self.remove() or self._logged()
        except Error:
            if failed:
                return
            hits, fired = self._logged()    # a rule with shutdown, perhaps
        if not failed and fired == 0 and not self.keys.get("optional"):
            raise AssertionError(f"{self} never fired (it matched {hits} requests)")


class Disk:
    """A disk, and the nbdkit that serves it.

    SIZE is as on nbdkit's command line ("64M").  Keyword arguments are parameters
    KEY=VALUE of the plugin, the scripts and the filters; a list is a parameter given
    several times: hooks=["a.lua", "b.lua"]; names that are no Python names:
    **{"hook-timeout": 5}.  OPTIONS are nbdkit's own, such as ["-r"].

    uri, socket    where clients find it
    control        its control socket, for memctl
    pid            the process that serves
    """

    def __init__(self, size, *, options=(), **parameters):
        plugin = _find_plugin()
        self.folder = tempfile.mkdtemp(prefix="nbdkit-memory-")
        self.socket = os.path.join(self.folder, "disk")
        self.control = str(parameters.pop("control", os.path.join(self.folder, "control")))
        self._log_file = str(parameters.pop("log", os.path.join(self.folder, "log")))
        self.uri = self.export("")
        self._rules, self._declared = 0, {}
        # When it has ended, these hold what its files held.
        self._messages = self._log = None
        try:
            self._start([*options, plugin, f"size={size}", f"control={self.control}",
                         f"log={self._log_file}", *_parameters(parameters)])
            # The first answer says that all is ready.
            self.run("return true")
            with open(os.path.join(self.folder, "pid"), encoding="ascii") as f:
                self.pid = int(f.read())
        except BaseException:
            self.stop()
            raise

    def _start(self, arguments):
        with open(os.path.join(self.folder, "messages"), "wb") as messages:
            nbdkit = shutil.which("nbdkit", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")
            if not nbdkit:
                raise Error("nbdkit is not installed")
            # A session of its own: Ctrl-C is for the test, which then ends the server.
            self._server = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, self.folder, nbdkit, "-f", "-U", self.socket,
                 "-P", os.path.join(self.folder, "pid"), *arguments],
                stdin=subprocess.PIPE, stdout=messages, stderr=messages, start_new_session=True)

    def export(self, name):
        """The URI of an export: "" is the disk, others are snapshots."""
        return (f"nbd+unix:///{urllib.parse.quote(name, safe='')}"
                f"?socket={urllib.parse.quote(self.socket)}")

    def run(self, chunk, timeout=60):
        """Run a chunk of Lua in the server, and give its result: what JSON makes of
        it, or None.  If the chunk fails, raise Error with the server's message."""
        __tracebackhide__ = True    # in pytest's reports: they show the caller's line
        line = chunk.encode("utf-8", "surrogateescape")
        line = line.replace(b"\r\n", b"\n").replace(b"\n", b"\r") + b"\n"
        try:
            answer = self._ask(line, timeout)
        except socket.timeout:
            raise Error(f"no answer after {timeout} s: {chunk}") from None
        except OSError as e:
            answer = str(e)
        if not isinstance(answer, dict):
            if not hasattr(self, "pid"):
                raise Error(f"nbdkit did not start: {self.messages or answer}")
            # Until it has said, and logged, all that it has to say.
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                pass                # it lives; perhaps it has too many clients
            raise Error(f"nbdkit does not answer: {self.messages or answer}")
        if "error" in answer:
            raise Error(answer["error"])
        return answer.get("result")

    def _ask(self, line, timeout):
        deadline = time.monotonic() + timeout
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            self._connect(s, deadline)
            try:
                s.sendall(line)
            except BrokenPipeError:
                pass                # the answer may say why
            with s.makefile("rb") as f:
                answer = f.readline()
        return json.loads(answer) if answer.endswith(b"\n") else "no answer"

    def _connect(self, s, deadline):
        """The socket is there when the scripts have run."""
        while True:
            try:
                return s.connect(self.control)
            except (FileNotFoundError, ConnectionRefusedError):
                if (hasattr(self, "pid") or self._server.poll() is not None
                        or time.monotonic() > deadline):
                    raise
                time.sleep(0.01)

    def fault(self, **keys):
        """Declare a rule: the keys are those of fault { … }.  In a `with`, it is gone
        at the end of the block, which raises AssertionError if it never fired, unless
        it is optional; otherwise it is there until the disk ends.  from_ is the key
        from, which is a word of Python."""
        __tracebackhide__ = True
        if "from_" in keys:
            if "from" in keys:
                raise TypeError("from and from_ are the same key")
            keys = {"from" if k == "from_" else k: v for k, v in keys.items()}
        self._rules += 1
        name = keys.get("name", f"python {self._rules}")
        text, where = self.run(f"local r = fault({lua({**keys, 'name': name})}) "
                               "return { r.text, r.where }")
        self._declared[name] = Rule(self, name, keys, text, where)
        return self._declared[name]

    def _each_rule(self, what):
        """Run Lua for each rule r, and give `found`."""
        return self.run(f"local found; for _, r in ipairs(fault.list()) do {what} end "
                        "return found")

    @property
    def messages(self):
        """What nbdkit and the scripts have written to standard error."""
        if self._messages is not None:
            return self._messages
        with open(os.path.join(self.folder, "messages"), encoding="utf-8", errors="replace") as f:
            return f.read().rstrip("\n")

    def log(self):
        """The fault log: a list of dicts, with all that has happened up to now."""
        if self._log is None:
            try:
                self._write_log()
            except Error:
                pass                # it has ended, and all is written
        return [line for line in self._read_log()
                if not str(line.get("rule", "")).startswith("python log ")]

    def _read_log(self):
        if self._log is not None:
            return self._log
        with open(self._log_file, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    def _write_log(self):
        """Wait until the log's thread has written all: it does so in order, and the end
        of a rule is a line."""
        self._rules += 1
        name = f"python log {self._rules}"
        self.run(f"fault({lua(dict(name=name, op='open', delay=0, optional=True))}):remove()")
        deadline = time.monotonic() + 60
        while not any(line.get("rule") == name for line in self._read_log()):
            if time.monotonic() > deadline:
                raise Error("the fault log is not written")
            time.sleep(0.01)

    def check(self):
        """Raise AssertionError if a rule that is there now has never fired, except those
        that are optional.  (If the server has ended: one that was there at the end, or a
        hook that was never called.)"""
        __tracebackhide__ = True
        try:
            complaints = list(self._complaints())
        except Error:
            complaints = re.findall(
                r"^nbdkit: .*?error: ((?:fault rule|hooks?) .* never (?:fired|called).*)",
                self.messages, re.MULTILINE)
        if complaints:
            raise AssertionError("\n".join(complaints))

    def _complaints(self):
        unfired = self._each_rule("""
            local known, optional = pcall(function() return r.optional end)
            found = found or {}
            if r.fired == 0 then found[#found + 1] = { r.name, r.hits, optional or not known } end
            """) or []
        for name, hits, optional in unfired:
            rule = self._declared.get(name)
            # Where a server can't tell, its messages say at the end what scripts declared.
            if not (rule.keys.get("optional") if rule else optional):
                yield f"{rule or 'fault rule ' + name} never fired (it matched {hits} requests)"

    def stop(self, timeout=30):
        """End the server, and wait for that.  nbdkit waits for clients that do nothing
        but are connected: after TIMEOUT seconds it is killed, and this raises Error.  So
        it does if the server had crashed."""
        if self._messages is not None:
            return
        status = self._finish(timeout) if hasattr(self, "_server") else 0
        log = self._read_log() if os.path.exists(self._log_file) else []
        self._messages, self._log = self.messages, log
        shutil.rmtree(self.folder, ignore_errors=True)
        if status is None:
            raise Error(f"nbdkit did not end in {timeout} s: is a client still connected?\n"
                        + self._messages)
        if status != 0 and hasattr(self, "pid"):
            raise Error(f"nbdkit has ended with {status}: {self._messages}")

    def _finish(self, timeout):
        """Its exit status, or None if it did not end in time."""
        try:
            self._server.stdin.write(b"\n")
            self._server.stdin.flush()
        except BrokenPipeError:
            pass                    # it has ended
        try:
            status = self._server.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
            status = None
        try:
            self._server.stdin.close()
        except BrokenPipeError:
            pass
        return status

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        __tracebackhide__ = True
        try:
            self.stop()
        except Error:
            if not failed:
                raise
        if not failed:
            self.check()
