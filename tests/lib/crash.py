"""For tests of the volatile write cache, which run in nbdsh: from crash import *

A disk is shown as one letter for each sector that has the same byte everywhere ("0" for
zeroes), and in brackets for others: "oA[o100A412]".

What each sector may become is written as "o 1:A 2:B": o is durable, and requests 1 and
2 of this trace have written A and B over it.  A trace begins with fresh(), and its
requests are numbered from 1 in the order in which they were applied.  What the choices
must give follows from that by the words of the model, in chosen().
"""

import itertools
import re

from clients import *

SECTOR = 512
FUA = nbd.CMD_FLAG_FUA

# Requests that had a number before this trace, and in it.
before = used = 0


def sector_size(size):
    """The disk has sectors of this size, instead of 512 bytes."""
    global SECTOR
    SECTOR = size


def show(data):
    """A disk in letters."""
    text = ""
    for i in range(0, len(data), SECTOR):
        runs = [(chr(byte or ord("0")), len(list(group)))
                for byte, group in itertools.groupby(data[i:i + SECTOR])]
        if len(runs) == 1:
            text += runs[0][0]
        else:
            text += "[" + "".join(f"{letter}{n}" for letter, n in runs) + "]"
    return text


def disk(c):
    """What a connection shows of all of its disk."""
    return show(c.pread(c.get_size(), 0))


# Names.

def state(choice, point="now"):
    """A connection to a state."""
    c = nbd.NBD()
    c.set_full_info(True)
    c.set_export_name(f"crash/{point}/{choice}")
    c.connect_unix(os.environ["sock"])
    return c


def leave(*connections):
    """Close connections, and wait until the server has noticed.  It counts: one that was
    left to be closed by Python just before, as that of disk(state("all")), is taken for them."""
    left = control("disk:stats().connections") - len(connections)
    for c in connections:
        c.shutdown()
    until(lambda: control("disk:stats().connections") <= left)


def image(choice, point="now"):
    """What a state shows.  Nobody else has it open, or it is an older one."""
    c = state(choice, point)
    try:
        return disk(c)
    finally:
        leave(c)


def words(choice, point="now"):
    """What the server says that a state is."""
    c = state(choice, point)
    try:
        return c.get_export_description()
    finally:
        leave(c)


def refusal(name, connect=connect):
    """The sentence with which a name is refused, or None."""
    said = len(log())
    try:
        leave(connect(name))
        return None
    except nbd.Error:
        sentences = re.findall("error: (.*)", log()[said:])
        return " / ".join(sentences) or "refused without a word"


def refused(choice):
    return refusal(choice, state)


# Requests.

def fresh(letter="o"):
    """A disk of one letter, all durable; numbers begin at 1 again."""
    global before, used
    before += used
    used = 0
    control(f'disk:fill(0, disk.size, "{letter}")')


def number(n):
    """The server's number for the n-th request of this trace."""
    return before + n


def numbered(n):
    """So many more requests, or less, got a number than were sent."""
    global used
    used += n


def letters(text):
    """A sector for each letter; bytes stay as they are."""
    if isinstance(text, bytes):
        return bytearray(text)
    return bytearray(b"".join(c.encode() * SECTOR for c in text))


def send(c, op, what="A", sector=0, fua=False, offset=None):
    """Send a request, and give its cookie.  WHAT is letters or bytes to write, or the
    number of sectors to zero or trim."""
    if op == "flush":
        return c.aio_flush()
    numbered(1)
    offset = sector * SECTOR if offset is None else offset
    flags = FUA if fua else 0
    if op == "write":
        return c.aio_pwrite(nbd.Buffer.from_bytearray(letters(what)), offset, flags=flags)
    return getattr(c, "aio_" + op)(what * SECTOR, offset, flags=flags)


def write(c, what="A", sector=0, fua=False, offset=None):
    return finish(c, [send(c, "write", what, sector, fua, offset)])[0]


def zero(c, count=1, sector=0, fua=False):
    return finish(c, [send(c, "zero", count, sector, fua)])[0]


def trim(c, count=1, sector=0, fua=False):
    return finish(c, [send(c, "trim", count, sector, fua)])[0]


def flush(c):
    return finish(c, [send(c, "flush")])[0]


# Requests that are held at a gate, before they are applied or after it.

GATES = """
planned, arrived, open = {}, {}, {}
function gate(op, name, where, err)
  planned[op] = { name = name, where = where, err = err }
end
local function pass(name)
  arrived[name] = true
  while not open[name] do sleep "1ms" end
end
local function around(req)
  local plan = planned[req.op]
  planned[req.op] = nil
  if not plan then return end
  if plan.where == "before" then pass(plan.name) end
  req:run()
  if plan.where == "after" then pass(plan.name) end
  if plan.err then fail(plan.err) end
end
on.write, on.zero, on.trim, on.flush = around, around, around, around
"""


class Held:
    """A request that waits in its hook, "before" it is applied or "after" it.

    If ERROR is given, it fails with that when it is let go.  The server must have been
    started with a script that mentions sleep, so that nbdkit serves requests at the
    same time."""

    gates = 0

    def __init__(self, where, c, op, *args, error=None, **kwargs):
        if not Held.gates:
            control(GATES)
        Held.gates += 1
        self.name, self.c = Held.gates, c
        error = f'"{error}"' if error else "nil"
        control(f'gate("{op}", {self.name}, "{where}", {error})')
        self.cookie = send(c, op, *args, **kwargs)
        until(lambda: (c.poll(0), control(f"arrived[{self.name}]"))[1])

    def go(self):
        """Let it go; its outcome."""
        control(f"open[{self.name}] = true")
        return finish(self.c, [self.cookie])[0]


def failing(c, op, *args, error="EIO", **kwargs):
    """A request that its hook fails after it was performed."""
    return Held("after", c, op, *args, error=error, **kwargs).go()


# What the model says.

def mix(n):
    n = (n + 0x9E3779B97F4A7C15) % 2**64
    n = (n ^ n >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    n = (n ^ n >> 27) * 0x94D049BB133111EB % 2**64
    return n ^ n >> 31


def draw(seed, x):
    return mix((mix(seed) + x) % 2**64)


def versions(sector):
    """"o 1:A" as [(0, "o"), (1, "A")]; numbers are the server's."""
    durable, *rest = sector.split()
    pairs = (v.split(":") for v in rest)
    return [(0, durable)] + [(number(int(n)), content) for n, content in pairs]


def newest(sector, has):
    """The newest version of a request for which HAS is true, or what is durable."""
    return [content for n, content in sector if n == 0 or has(n)][-1]


def chosen(choice, sectors):
    """What a choice makes of sectors, as versions() gives them."""
    kind, _, value = choice.partition("-")
    if kind == "none":
        return [s[0][1] for s in sectors]
    if kind == "all":
        return [s[-1][1] for s in sectors]
    if kind in ("lose", "only"):
        listed = {int(n) for n in value.split(",")}
        return [newest(s, lambda n: (n in listed) == (kind == "only")) for s in sectors]
    value = int(value)
    if kind == "prefix":
        return [newest(s, lambda n: n <= value) for s in sectors]
    if kind == "reqs":
        return [newest(s, lambda n: draw(value, n) % 2 == 1) for s in sectors]
    if kind == "sectors":
        return [s[draw(value, i) % len(s)][1] for i, s in enumerate(sectors)]
    picks = []
    for s in sectors:                               # state-I
        picks.append(s[value % len(s)][1])
        value //= len(s)
    return picks


def choices(sectors):
    """All states, and some of the other choices."""
    states = 1
    for s in sectors:
        states *= len(s)
    numbers = sorted({n for s in sectors for n, _ in s} - {0})
    names = ["none", "all"] + [f"state-{i}" for i in range(states)]
    names += [f"{kind}-{seed}" for kind in ("reqs", "sectors") for seed in (0, 1, 2**64 - 1)]
    names += [f"prefix-{n}" for n in [0, *numbers, number(used + 1)]]
    names += [f"{kind}-{n}" for kind in ("lose", "only") for n in numbers]
    if numbers:
        names += [f"{kind}-{','.join(map(str, numbers))}" for kind in ("lose", "only")]
    return states, names


def differences(sectors):
    """What is wrong, if after a cut there can't be exactly these."""
    sectors = [versions(s) for s in sectors]
    states, names = choices(sectors)
    connections = []
    for name in names:
        expected = "".join(chosen(name, sectors))
        try:
            c = state(name)
            connections.append(c)
            got = disk(c)
        except nbd.Error as e:
            got = str(e)
        if got != expected:
            yield f"{name}: got {got}, expected {expected}"
        if len(connections) == 100:
            leave(*connections)
            connections = []
    leave(*connections)
    sentence = refused(f"state-{states}")
    if not sentence or not re.search(rf"\b{states}\b", sentence):
        yield f"state-{states}: {sentence}, expected a refusal that says {states}"


# Results, read by rows() in crash.sh.

def result(name, problems):
    print("not ok" if problems else "ok", name)
    for p in problems[:20]:
        print("#", p.replace("\n", " "))


def row(name, *sectors):
    """After a cut of the power now, exactly these states are possible; sectors that are
    not given hold what was there before the trace."""
    have = control("disk.size") // SECTOR
    sectors += ("o",) * (have - len(sectors))
    result(name, list(differences(sectors)))


def same(name, got, expected):
    """Two values are the same."""
    result(name, [] if got == expected else [f"got {got!r}, expected {expected!r}"])


def says(name, sentence, pattern):
    """A refusal has this to say."""
    found = sentence and re.search(pattern, sentence)
    result(name, [] if found else [f"got {sentence!r}, expected {pattern!r}"])
