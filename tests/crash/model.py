"""What a disk with a volatile write cache may hold after a power cut.

This is the model against which the C code is compared, so it shares nothing with
it, and is as plain as can be: each sector is a durable content and a list of
versions.  R1 to R12 are the rules of the crash model.

    Disk     one such disk: requests enter, are applied and leave; images of choices
    Request  one on its way

Contents are bytes, one object for each version of each sector.
"""

import re
import struct
from copy import copy
from itertools import product
from math import prod
from zlib import crc32

MASK = (1 << 64) - 1


def mix(n):
    """One step of splitmix64."""
    n = (n + 0x9E3779B97F4A7C15) & MASK
    n = ((n ^ n >> 30) * 0xBF58476D1CE4E5B9) & MASK
    n = ((n ^ n >> 27) * 0x94D049BB133111EB) & MASK
    return n ^ n >> 31


def draw(seed, x):
    return mix((mix(seed) + x) & MASK)


# Of points that suffice at the same moment, the first kind names it.
KINDS = "flush", "change", "FUA", "cut", "mark", "end"


class Refused(Exception):
    """There is no such state."""


class Request:
    """A request on its way.  It is dead if the power was cut since it entered."""

    def __init__(self, op, conn, offset=0, count=0, fua=False, data=None):
        self.op, self.conn, self.fua, self.data = op, conn, fua, data
        self.offset, self.count = offset, count
        self.numbers = []           # one for each time it was applied
        self.covers = frozenset()   # flush: what was complete when it entered
        self.dead = False
        self.doomed = False         # flush: another one has failed and lost data


class Sector:
    """D is what is durable; V the versions that are not, as [number, content]."""

    __slots__ = "D", "V"

    def __init__(self, content):
        self.D = content
        self.V = []

    def newest(self):
        return self.V[-1][1] if self.V else self.D

    def settle(self, i):
        """Version I becomes durable; it and the older ones leave."""
        self.D = self.V[i][1]
        del self.V[:i + 1]

    def chosen(self, wanted):
        """The newest version of a request that is wanted, or D."""
        for number, content in reversed(self.V):
            if wanted(number):
                return content
        return self.D


class Applied:
    """What is known of a request by its number."""

    def __init__(self, request, first, sectors, atomic):
        self.conn = request.conn
        self.first, self.sectors = first, sectors   # the range that it covers
        self.atomic = atomic
        self.complete = False


class Disk:
    """CONTENTS are the sectors.  Without a cache all is durable at once."""

    def __init__(self, contents, sector=512, atomic=0, cached=True, history=True):
        self.sector, self.atomic, self.cached = sector, atomic, cached
        self.sectors = [Sector(c) for c in contents]
        self.size = sum(map(len, contents))
        self.applied = {}           # by number, of those that are pending
        self.last = 0               # number
        self.under_way = []         # requests, in the order of their entry
        self.power = True
        self.history = history and cached
        self.moments = {}           # as it was then, by point
        self.flushes = self.cuts = self.changes = 0
        self.marks = {}             # how many of each text
        self.time = 0               # so many things have happened
        self.sufficing = []         # points: time, how much it is preferred, name
        self.each = None            # a list: all moments, if they are wanted
        self.over = None            # the time at which the recording ended, or None

    # The past.

    def now(self):
        """A copy, of what a cut depends on."""
        then = copy(self)
        then.sectors = [copy(s) for s in self.sectors]
        for s in then.sectors:
            s.V = list(s.V)
        return then

    def keep(self, point, then=None):
        if self.history and self.over is None:
            self.moments[point] = then or self.now()

    def suffices(self, kind, name):
        """Now is a moment that is worth a cut: something durable is about to change."""
        if self.history and self.over is None:
            self.sufficing.append((self.time, KINDS.index(kind), name))

    def happens(self):
        """Something is about to happen that a cut depends on."""
        if self.each is not None:
            self.each.append(self.now())
        self.time += 1

    def changes_otherwise(self):
        """What is durable changes, or is lost, through no request."""
        self.changes += 1
        self.keep(f"before-change-{self.changes}")
        self.suffices("change", f"before-change-{self.changes}")
        self.happens()

    def points(self):
        """The points that suffice, in order: one of each moment."""
        if not self.history:
            return ["now"]
        best = {}
        end = self.time if self.over is None else self.over
        for time, kind, name in self.sufficing + [(end, KINDS.index("end"), "end")]:
            best[time] = min(best.get(time, (kind, name)), (kind, name), key=lambda b: b[0])
        return [name for _, (_, name) in sorted(best.items())]

    def moment(self, point):
        """The disk at a point; Refused: there is none."""
        if point == "now" or point == "end" and self.history and self.over is None:
            return self
        if point == "0" and self.history and "0" not in self.moments:
            return self.moment("end")
        if point not in self.moments:
            raise Refused(point)
        return self.moments[point]

    def replay(self):
        """The history is saved, and served again: it is over, and all is durable."""
        self.keep("end")
        self.over = self.time if self.over is None else self.over
        self.power = True
        self.under_way = []
        self.set_durable(dict(enumerate(self.contents())))

    def mark(self, text):
        n = self.marks[text] = self.marks.get(text, 0) + 1
        self.happens()
        self.suffices("mark", f"mark-{text}" + (f"#{n}" if n > 1 else ""))
        self.keep(f"mark-{text}#{n}")
        if n == 1:
            self.keep(f"mark-{text}")

    # What is there.

    def contents(self):
        return [s.newest() for s in self.sectors]

    def pending(self):
        """The numbers of those that have a version in some V."""
        return {number for s in self.sectors for number, _ in s.V}

    def touched(self, offset, count):
        """The sectors of a range, with the part of each: index, start, end, position
        in the range."""
        end = offset + count
        while offset < end:
            i, start = divmod(offset, self.sector)
            part = min(end - offset, self.sector - start)
            yield i, start, start + part, count - (end - offset)
            offset += part

    def change(self, new, offset, count, data):
        """Add what a range holds then to the contents in NEW, by sector.  No DATA: zeroes."""
        for i, start, end, at in self.touched(offset, count):
            old = new[i] if i in new else self.sectors[i].newest()
            piece = data[at:at + end - start] if data else bytes(end - start)
            new[i] = old[:start] + piece + old[end:]

    # Requests.

    def enter(self, request):
        request.dead = not self.power
        if request.op == "flush":
            request.covers = frozenset(n for n in self.pending() if self.applied[n].complete)
        self.under_way.append(request)

    def is_atomic(self, request):
        return bool(self.atomic) and request.count <= self.atomic \
            and request.offset // self.atomic == (request.offset + request.count - 1) // self.atomic

    def number(self, request):
        """Give a request that is applied its (next) number."""
        self.last += 1
        first = request.offset // self.sector
        end = (request.offset + request.count - 1) // self.sector + 1
        self.applied[self.last] = Applied(request, first, end - first, self.is_atomic(request))
        request.numbers.append(self.last)

    def apply(self, request, pieces=None):
        """Apply a request, or only some pieces of it (start, count).  False: it can't be."""
        if request.dead:
            return False
        if request.op == "flush":
            return True
        if pieces is None:
            pieces = [(0, request.count)]
        new = {}
        for start, count in pieces:
            data = request.data and request.data[start:start + count]
            self.change(new, request.offset + start, count, data)
        if new and self.cached and self.last == 0:
            self.keep("0")
        if new and self.cached:
            self.happens()
            self.number(request)
        for i, content in new.items():
            if self.cached:
                self.sectors[i].V.append([self.last, content])
            else:
                self.sectors[i].D = content
        return True

    def leave(self, request, outcome):
        """A request is complete.  OUTCOME is "ok", "fail", "lie" (it succeeds and does not
        what it promises), "lose" (it fails and drops what it should have kept) or "others"
        (it keeps only what came over its own connection).  Does it succeed?"""
        self.under_way.remove(request)
        if request.dead:
            return False
        before = self.now()
        if request.op == "flush" and outcome == "lose":
            self.changes_otherwise()
        succeeds = self.leave_alive(request, outcome)
        for n in request.numbers:
            self.keep(f"before-{n}", before)
            self.keep(f"{n}")
        if request.fua and succeeds and request.numbers:
            self.suffices("FUA", f"before-{request.numbers[0]}")
        if request.op == "flush" and succeeds:
            self.flushes += 1
            self.suffices("flush", f"before-flush-{self.flushes}")
            self.keep(f"before-flush-{self.flushes}", before)
            self.keep(f"flush-{self.flushes}")
        if request.op == "flush" or request.numbers:
            if self.each is not None:
                self.each.append(before)
            self.time += 1
        return succeeds

    def leave_alive(self, request, outcome):
        for n in request.numbers:
            if n in self.applied:
                self.applied[n].complete = True
        if request.op == "flush":
            return self.leave_flush(request, outcome)
        if outcome == "ok" and request.fua:
            for s in self.sectors:
                self.settle_newest(s, request.numbers)
        self.forget()
        return outcome in ("ok", "lie")

    def leave_flush(self, request, outcome):
        if outcome == "lose":
            self.drop(request)
        if request.doomed or outcome in ("fail", "lose"):
            return False
        if outcome == "lie":
            return True
        covers = request.covers
        if outcome == "others":
            covers = {n for n in covers if n in self.applied and self.applied[n].conn == request.conn}
        for s in self.sectors:
            self.settle_newest(s, covers)
        self.forget()
        return True

    @staticmethod
    def settle_newest(sector, numbers):
        for i in reversed(range(len(sector.V))):
            if sector.V[i][0] in numbers:
                sector.settle(i)
                return

    def drop(self, flush):
        """R8: a flush fails and loses what it covers; the others under way fail, too."""
        for s in self.sectors:
            s.V = [v for v in s.V if v[0] not in flush.covers]
        for other in self.under_way:
            if other.op == "flush" and self.cached:
                other.doomed = True
        self.forget()

    def forget(self):
        """Of what is not pending, only requests that are under way matter."""
        keep = self.pending()
        for r in self.under_way:
            keep.update(r.numbers)
        self.applied = {n: a for n, a in self.applied.items() if n in keep}

    # Power, and the medium.

    def cut(self, choice):
        """Cut the power.  Refused: nothing happens."""
        image = self.image(choice)
        self.cuts += 1
        self.keep(f"cut-{self.cuts}")
        self.suffices("cut", f"cut-{self.cuts}")
        self.happens()
        self.set_durable(dict(enumerate(image)))
        for r in self.under_way:
            r.dead = True
        self.power = False

    def power_on(self):
        self.power = True

    def set_durable(self, new):
        for i, content in new.items():
            self.sectors[i].D = content
            self.sectors[i].V = []
        self.forget()

    def medium_write(self, offset, count, data):
        """R11; zeroes, if DATA is None."""
        new = {}
        self.change(new, offset, count, data)
        self.medium_becomes(new)

    def medium_becomes(self, new):
        self.changes_otherwise()
        self.set_durable(new)

    def unflushed(self):
        """How many requests, sectors and bytes a cut could lose."""
        volatile = [s for s in self.sectors if s.V]
        return len(self.pending()), len(volatile), sum(len(s.D) for s in volatile)

    # States.

    def image(self, choice):
        """The contents that a CHOICE leaves."""
        if choice == "none":
            return [s.D for s in self.sectors]
        if choice == "all":
            return self.contents()
        kind, _, rest = choice.partition("-")
        if kind in ("lose", "only"):
            return self.image_list(kind, self.parse_list(rest))
        if kind not in ("prefix", "reqs", "sectors", "state") or not re.fullmatch("[0-9]+", rest):
            raise Refused(choice)
        number = int(rest)
        if number > MASK:
            raise Refused(choice)
        return getattr(self, "image_" + kind)(number)

    def parse_list(self, text):
        """The pairs (number, sector) of a LIST."""
        pairs = set()
        pending = self.pending()
        for item in text.split(","):
            m = re.fullmatch(r"([0-9]+)(?:-([0-9]+)|:([0-9]+)(?:-([0-9]+))?)?", item)
            if not m:
                raise Refused(text)
            first, last, low, high = (x and int(x) for x in m.groups())
            last = first if last is None else last
            if last < first or last > self.last or not pending.issuperset(range(first, last + 1)):
                raise Refused(text)
            for n in range(first, last + 1):
                pairs.update((n, i) for i in self.listed(n, low, high))
        return pairs

    def listed(self, n, low, high):
        """Sectors LOW to HIGH of request N; all of them, if there is no LOW."""
        a = self.applied[n]
        if low is None:
            low, high = 0, a.sectors - 1
        elif a.atomic:
            raise Refused("a sector of an atomic request alone")
        high = low if high is None else high
        if high < low or high >= a.sectors:
            raise Refused("no such sector")
        return range(a.first + low, a.first + high + 1)

    def image_list(self, kind, pairs):
        only = kind == "only"
        return [s.chosen(lambda n, i=i: ((n, i) in pairs) == only)
                for i, s in enumerate(self.sectors)]

    def image_prefix(self, number):
        return [s.chosen(lambda n: n <= number) for s in self.sectors]

    def image_reqs(self, seed):
        return [s.chosen(lambda n: draw(seed, n) & 1) for s in self.sectors]

    def image_sectors(self, seed):
        lost = {n for n in self.pending() if self.applied[n].atomic and not draw(seed, n) & 1}
        left = [[v for v in s.V if v[0] not in lost] for s in self.sectors]
        # 0 is D, 1 the oldest.
        picked = [draw(seed, i) % (len(V) + 1) for i, V in enumerate(left)]
        self.raise_atomic(left, picked)
        return [left[i][p - 1][1] if p else s.D
                for i, (s, p) in enumerate(zip(self.sectors, picked))]

    def raise_atomic(self, left, picked):
        """R6a: where one sector shows a version of an atomic request, the others show that
        one or a later one."""
        numbers = [[n for n, _ in V] for V in left]
        atomic = sorted({n for V in numbers for n in V if self.applied[n].atomic})
        changed = True
        while changed:
            changed = False
            for n in atomic:
                where = {i: V.index(n) + 1 for i, V in enumerate(numbers) if n in V}
                if any(picked[i] == at for i, at in where.items()):
                    for i, at in where.items():
                        if picked[i] < at:
                            picked[i] = at
                            changed = True

    def states(self):
        """How many states state-I can name; 0: an atomic request is pending."""
        if any(self.applied[n].atomic for n in self.pending()):
            return 0
        return prod(len(s.V) + 1 for s in self.sectors)

    def image_state(self, number):
        if number >= self.states():
            raise Refused("state", number)
        image = []
        for s in self.sectors:
            number, digit = divmod(number, len(s.V) + 1)
            image.append(s.V[digit - 1][1] if digit else s.D)
        return image

    def legal(self, image):
        """Is this an image that R6 and R6a allow?  Slow."""
        return any(image == [s.V[p - 1][1] if p else s.D for s, p in zip(self.sectors, picked)]
                   for picked in self.all_picked())

    def all_picked(self):
        """Each choice of a version for each sector, as legal as it must be."""
        V = [s.V for s in self.sectors]
        for picked in product(*[range(len(v) + 1) for v in V]):
            raised = list(picked)
            self.raise_atomic(V, raised)
            if raised == list(picked):
                yield picked

    # What the test program prints.

    def states_ids(self):
        """All images as it prints them: state 0 first, the last sector of each first."""
        ids = [[identify(s.D)] + [identify(c) for _, c in s.V] for s in reversed(self.sectors)]
        return b"".join(map(b"".join, product(*ids)))


known = {}


def identify(content):
    """Four bytes that stand for the content of a sector."""
    try:
        return known[content]
    except KeyError:
        if len(known) > 100000:
            known.clear()
        return known.setdefault(content, struct.pack("<I", crc32(content)))


def image_ids(contents):
    return b"".join(map(identify, reversed(contents)))
