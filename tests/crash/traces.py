"""Traces: what happens to disks, in one line each, and what must be seen then.

    World     does each operation to the models; says how the test program is asked to
              do it, and what that must answer
    random_trace   makes one up
    shrink    takes away what a failure does not need

An operation is a tuple, whose first member is the method of World that does it.  One
that makes no sense, because what it rests on was taken away, is left out.
"""

import random
import struct
from math import prod

from model import Disk, Refused, Request, image_ids

# The data of requests: a slice that depends on a tag and on the offset.
TABLE = bytes((i * 2654435761 & 0xFFFFFFFF) >> 24 for i in range(65536))
MANY = 1 << 12                      # states, of which all are compared
CRASH = "crash/"
POINT = CRASH + "now/"


def data_of(tag, offset, count):
    at = (tag * 1009 + offset) % 32768
    return TABLE[at:at + count]


class Nonsense(Exception):
    """This operation can't be done here."""


class World:
    """All disks, connections and requests.  Each operation returns the lines that ask for
    it, and what is answered; images are counted."""

    def __init__(self):
        self.live = None
        self.snapshots = {}
        self.states = {}                # by name: [disk, connections]
        self.connections = {}           # by handle: (name, disk)
        self.requests = {}              # by handle: (request, disk, connection)
        self.images = 0

    def do(self, operation):
        """None: nonsense."""
        try:
            return getattr(self, operation[0])(*operation[1:])
        except Nonsense:
            return None

    # Disks and connections.

    def disk(self, sectors, sector, short, atomic, history=True):
        """SHORT bytes are missing in the last sector."""
        if self.live:
            raise Nonsense
        size = sectors * sector - short
        self.live = Disk([bytes(min(sector, size - at)) for at in range(0, size, sector)],
                         sector, atomic, history=history)
        return f"disk {size} {sector} {atomic} {int(history) << 30}", b""

    def find(self, name):
        """The disk of this name; a new one, if it is a state that nobody holds."""
        if name == "":
            return self.live
        if name in self.snapshots:
            return self.snapshots[name]
        if name in self.states:
            return self.states[name][0]
        outer, crash, step = name.rpartition(CRASH)
        of = self.outer(outer)
        point, slash, choice = step.partition("/")
        if not crash or not slash or not of:
            raise Refused(name)
        cached = choice.endswith("+cache")
        image = of.moment(point).image(choice.removesuffix("+cache"))
        return Disk(image, of.sector, of.atomic, cached, of.history)

    def outer(self, name):
        """The disk whose states begin with NAME: with a cache, and held."""
        if name == "":
            return self.live
        held = self.states.get(name.removesuffix("/"))
        return held[0] if held and name.endswith("/") and held[0].cached else None

    def open(self, handle, name):
        if not self.live or handle in self.connections:
            raise Nonsense
        line = f"open {handle} {name}"
        try:
            disk = self.find(name)
        except Refused:
            return line, b"\1"
        self.connections[handle] = name, disk
        if name.startswith(CRASH):
            self.states.setdefault(name, [disk, 0])[1] += 1
        return line, b"\0"

    def close(self, handle):
        if handle not in self.connections or any(c == handle for _, _, c in self.requests.values()):
            raise Nonsense
        name, _ = self.connections.pop(handle)
        if name in self.states:
            self.states[name][1] -= 1
            if self.states[name][1] == 0:
                del self.states[name]
        return f"close {handle}", b""

    # Requests.

    def enter(self, r, handle, op, offset=0, count=0, fua=False):
        if handle not in self.connections or r in self.requests:
            raise Nonsense
        disk = self.connections[handle][1]
        if op != "flush" and (count < 1 or offset + count > disk.size):
            raise Nonsense
        data = data_of(r, offset, count) if op == "write" else None
        request = Request(op, handle, offset, count, fua, data)
        self.requests[r] = request, disk, handle
        disk.enter(request)
        return f"enter {r} {handle} {op} {offset} {count} {int(fua)}", b""

    def apply(self, r, *pieces):
        """PIECES are pairs of start and count; none: the whole request."""
        if r not in self.requests:
            raise Nonsense
        request, disk, _ = self.requests[r]
        if any(start + count > request.count for start, count in pieces):
            raise Nonsense
        done = disk.apply(request, pieces or None)
        words = "".join(f" {start} {count}" for start, count in pieces)
        return f"apply {r}{words}", b"\0" if done else b"\1"

    def leave(self, r, outcome):
        if r not in self.requests:
            raise Nonsense
        request, disk, _ = self.requests.pop(r)
        succeeds = disk.leave(request, outcome)
        return f"leave {r} {outcome}", b"\0" if succeeds else b"\1"

    def read(self, handle):
        """Read all of a disk."""
        if handle not in self.connections:
            raise Nonsense
        _, disk = self.connections[handle]
        line = f"read {handle}"
        if not disk.power:
            return line, b"\1"
        return line, b"\0" + image_ids(disk.contents())

    # The live disk from inside.

    def medium(self, op, offset, count, tag):
        if not self.live or count < 1 or offset + count > self.live.size:
            raise Nonsense
        self.live.medium_write(offset, count,
                               data_of(tag, offset, count) if op == "write" else None)
        return f"medium {op} {offset} {count} {tag}", b""

    def snapshot(self, name):
        if not self.live or name in self.snapshots:
            raise Nonsense
        self.snapshots[name] = Disk(self.live.contents(), self.live.sector, cached=False)
        return f"snapshot {name}", b""

    def revert(self, name):
        if name not in self.snapshots:
            raise Nonsense
        self.live.medium_becomes(dict(enumerate(self.snapshots[name].contents())))
        return f"revert {name}", b""

    def cut(self, choice):
        if not self.live or not self.live.power:
            raise Nonsense
        line = f"cut {choice}"
        try:
            self.live.cut(choice)
        except Refused:
            return line, b"\1"
        return line, b"\0"

    def on(self):
        if not self.live or self.live.power:
            raise Nonsense
        self.live.power_on()
        return "on", b""

    def mark(self, text):
        if not self.live or not self.live.history:
            raise Nonsense
        self.live.mark(text)
        return f"mark {text}", b""

    def points(self):
        if not self.live:
            raise Nonsense
        return "points", "".join(p + "\n" for p in self.live.points()).encode() + b"\n"

    def replay(self):
        """The server ends; another one replays the history."""
        if not self.live or not self.live.history:
            raise Nonsense
        self.live.replay()
        self.snapshots, self.states, self.connections, self.requests = {}, {}, {}, {}
        return "replay", b""

    def unflushed(self):
        if not self.live:
            raise Nonsense
        return "unflushed", struct.pack("<III", *self.live.unflushed())

    # States.

    def image(self, name):
        """Open a state, read it, and close it."""
        line = f"image {name}"
        if not self.live:
            raise Nonsense
        try:
            disk = self.find(name)
        except Refused:
            return line, b"\1"
        self.images += 1
        return line, b"\0" + image_ids(disk.contents())

    def all_states(self, outer, point="now"):
        """All of state-I, if they are not too many, and one more, which is refused."""
        disk = self.outer(outer)
        try:
            disk = disk and disk.moment(point)
        except Refused:
            raise Nonsense
        names = f"{outer}{CRASH}{point}/state-"
        if not disk or not 0 < disk.states() <= MANY \
                or any(name.startswith(names) for name in self.states):
            raise Nonsense
        self.images += disk.states()
        return f"states {names} {disk.states()}", disk.states_ids() + b"\1"


class Maker:
    """Makes a trace up, and does it to a world, to know what makes sense.  If it is
    SEQUENTIAL, each request is over before another one enters."""

    def __init__(self, seed, sequential=False):
        self.random = random.Random(seed)
        self.sequential = sequential
        self.whole = True               # was the last request applied whole?
        self.world = World()
        self.trace = []
        self.last = 0               # handle, of a connection or a request
        self.disk = None            # its parameters

    def add(self, *operation):
        if self.world.do(operation):
            self.trace.append(operation)

    def new(self):
        self.last += 1
        return self.last

    def make(self, steps):
        r = self.random
        sector = r.choice((512, 512, 512, 4096))
        atomic = r.choice((0, 0, 0, 1, 2, 4)) * sector
        short = r.choice((0, 0, 1, 100, sector - 1))
        self.disk = r.randint(4, 8), sector, short, atomic, r.random() < 0.8
        self.add("disk", *self.disk)
        self.add("open", self.new(), "")
        # Few flushes make many states.
        self.durable = r.choice((0.02, 0.05, 0.1, 0.2))
        kinds = (self.request, 30), (self.go_on, 30), (self.flush, 60 * self.durable), \
            (self.connect, 4), (self.close, 2), (self.medium, 1), (self.snapshot, 1), \
            (self.power, 1.5), (self.look, 10), (self.mark, 1)
        for _ in range(steps):
            off = not self.world.live.power and r.random() < 0.2
            (self.power if off else r.choices(*zip(*kinds))[0])()
        self.look()
        if not self.sequential and r.random() < 0.3:
            self.add("replay")
            for _ in range(6):
                self.look()
        return self.trace

    # Connections.

    def connection(self):
        """One of those that there are, most often to the live disk."""
        all_of = list(self.world.connections)
        live = [c for c in all_of if self.world.connections[c][0] == ""]
        if not all_of:
            self.add("open", self.new(), "")
            return self.last
        return self.random.choice(live if live and self.random.random() < 0.6 else all_of)

    def outer(self):
        """The beginning of the names of states of some disk with a cache."""
        caches = [n + "/" for n, (d, _) in self.world.states.items() if d.cached]
        return self.random.choice([""] + caches) if self.random.random() < 0.6 else ""

    def connect(self):
        r = self.random
        if len(self.world.connections) > 6:
            return self.close()
        names = [""] + list(self.world.snapshots) + list(self.world.states)
        if r.random() < 0.6:
            name = self.state(self.outer()) + r.choice(("", "+cache", "+cache"))
        else:
            name = r.choice(names)
        if len(name) < 300:
            self.add("open", self.new(), name)

    def close(self):
        if len(self.world.connections) > 1:
            self.add("close", self.random.choice(list(self.world.connections)))

    # Requests.

    def range(self, disk):
        r = self.random
        sector, size = disk.sector, disk.size
        first = r.randrange(len(disk.sectors))
        offset = first * sector
        count = min(r.choice((1, 1, 1, 2, 2, 3, 4, 8)) * sector, size - offset)
        kind = r.random()
        if kind < 0.3:                  # bytes inside
            offset += r.randrange(min(sector, size - offset))
            count = min(r.choice((1, 10, 100, sector)), size - offset)
        elif kind < 0.4:                # any
            offset = r.randrange(size)
            count = r.randint(1, size - offset)
        return offset, count

    def request(self):
        """A write, zero or trim, often from beginning to end."""
        r = self.random
        handle = self.connection()
        disk = self.world.connections[handle][1]
        request = self.new()
        self.add("enter", request, handle, r.choice(("write", "write", "write", "zero", "trim")),
                 *self.range(disk), r.random() < 2 * self.durable)
        if r.random() < 0.6:
            self.add("apply", request)
            self.add("leave", request, "ok")
        while self.sequential and request in self.world.requests:
            self.go_on()

    def flush(self):
        request = self.new()
        self.add("enter", request, self.connection(), "flush")
        if self.random.random() < 0.5:
            self.add("leave", request, "ok")
        elif self.sequential:
            self.go_on()

    def go_on(self):
        """Apply one that is under way, or let it leave."""
        r = self.random
        if not self.world.requests:
            return self.request()
        handle = r.choice(list(self.world.requests))
        request = self.world.requests[handle][0]
        if request.op == "flush":
            outcomes = ("ok",) * 5 + ("fail", "lie", "lose", "others")
            self.add("leave", handle, r.choice(outcomes))
        elif not request.numbers and r.random() < 0.7 \
                or not self.sequential and r.random() < 0.05:
            pieces = self.pieces(request)
            self.whole = not pieces
            self.add("apply", handle, *pieces)
        else:
            lies = request.op == "write" and request.fua and r.random() < 0.3 \
                and (self.whole or not self.sequential)     # no rule can be both
            failed = not request.numbers or r.random() < 0.1
            self.add("leave", handle, "fail" if failed else "lie" if lies else "ok")

    def pieces(self, request):
        """Seldom: a few parts of a request."""
        r = self.random
        if request.op != "write" or r.random() < 0.8:
            return []
        starts = [r.randrange(request.count) for _ in range(r.randint(1, 3))]
        return [(s, r.randint(1, request.count - s)) for s in sorted(starts)]

    # The rest.

    def medium(self):
        self.add("medium", self.random.choice(("write", "zero")), *self.range(self.world.live),
                 self.new())

    def snapshot(self):
        if self.world.snapshots and self.random.random() < 0.4:
            self.add("revert", self.random.choice(list(self.world.snapshots)))
        elif len(self.world.snapshots) < 3:
            self.add("snapshot", f"s{self.new()}")

    def power(self):
        if self.world.live.power:
            self.add("cut", self.choice(""))
        else:
            self.add("on")

    # States.

    def listed(self, disk):
        """A LIST, most often of what is pending."""
        r = self.random
        pending = sorted(disk.pending())
        items = []
        for _ in range(r.choice((1, 1, 2, 3))):
            n = r.choice(pending) if pending and r.random() < 0.97 else r.randint(0, disk.last + 1)
            last = n + 1 if n + 1 in pending or r.random() < 0.1 else n
            a = disk.applied.get(n)
            if a is None or a.atomic and r.random() < 0.9:
                items.append(f"{n}-{last}" if last > n else f"{n}")
                continue
            low = r.randrange(a.sectors)
            high = r.randint(low, a.sectors - (r.random() < 0.95))
            items.append(r.choice((f"{n}", f"{n}-{last}", f"{n}:{low}", f"{n}:{low}-{high}")))
        return ",".join(items)

    def mark(self):
        self.add("mark", self.random.choice("abc"))

    def point(self, outer):
        """A moment of the disk whose states begin with OUTER: seldom one that there is not."""
        r = self.random
        moments = list(self.world.outer(outer).moments)
        if not moments or r.random() < 0.4:
            return "now"
        return r.choice(moments) if r.random() < 0.95 \
            else r.choice(("end", "0", "1000", "flush-0", "before-flush-999", "cut-9", "mark-d", "before-0"))

    def state(self, outer):
        """The name of some state, without +cache."""
        point = self.point(outer)
        disk = self.world.outer(outer)
        try:
            disk = disk.moment(point)
        except Refused:
            pass
        return f"{outer}{CRASH}{point}/{self.choice_of(disk)}"

    def choice(self, outer):
        """Some CHOICE for what is now."""
        return self.choice_of(self.world.outer(outer))

    def choice_of(self, disk):
        r = self.random
        kind = r.choice(("none", "all", "lose", "lose", "only", "only", "prefix", "reqs",
                         "sectors", "sectors", "sectors", "state"))
        if kind in ("none", "all"):
            return kind
        if kind in ("lose", "only"):
            return f"{kind}-{self.listed(disk)}"
        if kind == "prefix":
            return f"prefix-{r.randint(0, disk.last + 2)}"
        if kind == "state":
            return f"state-{r.randrange(prod(len(s.V) + 1 for s in disk.sectors) + 1)}"
        return f"{kind}-{r.choice((r.randrange(10), r.getrandbits(64)))}"

    def look(self):
        """Compare all states of this moment, and some by other names."""
        outer = self.outer()
        self.add("all_states", outer)
        point = self.point(outer)
        if point != "now":
            self.add("all_states", outer, point)
        for _ in range(self.random.randint(1, 8)):
            self.add("image", self.state(outer))
        self.add("read", self.connection())
        self.add("unflushed")
        if self.random.random() < 0.2:
            self.add("points")


def random_trace(seed, steps=60, sequential=False):
    return Maker(seed, sequential).make(steps)


def play(trace):
    """Do a trace to a new world.  The operations that make sense, with lines and answers;
    and how many images they compare."""
    world = World()
    played = []
    for operation in trace:
        done = world.do(operation)
        if done:
            played.append((operation, *done))
    return played, world.images


def shrink(trace, fails):
    """A short part of a trace that fails, too."""
    size = len(trace) // 2
    while size:
        at = 0
        while at < len(trace):
            shorter = trace[:at] + trace[at + size:]
            if fails(shorter):
                trace = shorter
            else:
                at += size
        size = size // 2
    return trace
