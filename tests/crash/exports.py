"""A sequential trace, done to a real server; what its exports show is compared with the
model.  For nbdsh: exports.py is run with PLAN, the seed of the trace, in the environment.

    python3 exports.py SEED     prints the parameters of the server
"""

import os
import sys

from model import image_ids
import traces

STEPS = 100


def plan(seed):
    return traces.random_trace(seed, STEPS, sequential=True)


def parameters(trace):
    _, sectors, sector, short, atomic, history = trace[0]
    return f"size={sectors * sector - short} write-cache=volatile sector={sector}" \
        + (f" atomic={atomic}" if atomic else "") + (" history=1G" if history else "")


def quoted(data):
    """A string of Lua."""
    return '"' + "".join(f"\\x{b:02x}" for b in data) + '"'


class Server:
    """Does operations to the real server; each answers as in World."""

    def __init__(self, world, connect, control):
        self.world, self.connect, self.control = world, connect, control
        self.connections = {}
        self.coming = {}                # by handle: [enter's words, parts that are applied]
        self.sector = self.size = 0

    def ids(self, h):
        """All of a disk."""
        data = h.pread(self.size, 0)
        return b"\0" + image_ids([bytes(data[at:at + self.sector])
                                  for at in range(0, self.size, self.sector)])

    def attempt(self, call, *args):
        """The answer of what gives one, or fails."""
        try:
            return call(*args)
        except (nbd.Error, RuntimeError):
            return b"\1"

    # As in World.

    def disk(self, sectors, sector, short, atomic, history):
        self.sector, self.size = sector, sectors * sector - short
        return b""

    def open(self, handle, name):
        def make():
            self.connections[handle] = self.connect(name)
            return b"\0"
        return self.attempt(make)

    def close(self, handle):
        self.connections.pop(handle).shutdown()
        return b""

    def enter(self, r, *words):
        self.coming[r] = words, []
        return b""

    def apply(self, r, *pieces):
        self.coming[r][1].extend(pieces or [(0, self.coming[r][0][3])])
        return None                     # what it answers is known when it leaves

    def leave(self, r, outcome):
        (handle, op, *rest), parts = self.coming.pop(r)
        offset, count, fua = rest or (0, 0, False)      # of a flush: none
        rule = self.rule(op, count, parts, outcome)
        name = self.connections[handle].get_export_name()
        if rule:
            export = f", export={quoted(name.encode())}" if name else ""
            self.control(f'fault{{op="{op}", times=1, {rule}{export}}}')
        answer = self.attempt(self.send, r, self.connections[handle], op, offset, count, fua)
        if rule:
            self.control("fault.clear()")
        return answer

    @staticmethod
    def rule(op, count, parts, outcome):
        """What makes a request end so; None: nothing."""
        if op == "flush":
            return {"ok": None, "fail": 'error="EIO"', "lie": "lose=true",
                    "lose": 'error="EIO", lose=true', "others": 'lose="others"'}[outcome]
        if outcome == "lie":
            return "fua=true, lose=true"
        keep = ", ".join(f"{{{start}, {n}}}" for start, n in parts)
        words = [] if parts == [(0, count)] and outcome == "ok" or not parts else [f"keep={{{keep}}}"]
        return ", ".join(words + ['error="EIO"'] * (outcome == "fail"))

    def send(self, r, h, op, offset, count, fua):
        flags = nbd.CMD_FLAG_FUA if fua else 0
        if op == "flush":
            h.flush()
        elif op == "write":
            h.pwrite(traces.data_of(r, offset, count), offset, flags)
        else:
            getattr(h, op)(count, offset, flags)
        return b"\0"

    def read(self, handle):
        return self.attempt(self.ids, self.connections[handle])

    def medium(self, op, offset, count, tag):
        data = quoted(traces.data_of(tag, offset, count)) if op == "write" else count
        self.control(f"disk:{op}({offset}, {data})")
        return b""

    def snapshot(self, name):
        self.control(f'disk:snapshot("{name}")')
        return b""

    def revert(self, name):
        self.control(f'disk:revert("{name}")')
        return b""

    def cut(self, choice):
        return self.attempt(lambda: self.control(f'disk:cut("{choice}")') and b"" or b"\0")

    def on(self):
        self.control("disk:power_on()")
        return b""

    def mark(self, text):
        self.control(f'disk:mark("{text}")')
        return b""

    def points(self):
        names = self.control("local t = {} for s in disk:states { how = [[random]], count = 1 } do"
                             " t[#t + 1] = s.name end return t")
        return "".join(n.split("/")[1] + "\n" for n in names).encode() + b"\n"

    def unflushed(self):
        u = self.control("disk:stats().unflushed")
        return traces.struct.pack("<III", u["requests"], u["sectors"], u["bytes"])

    def image(self, name):
        def show():
            h = self.connect(name)
            ids = self.ids(h)
            h.shutdown()
            return ids
        return self.attempt(show)

    def all_states(self, outer, point="now"):
        """By one read each."""
        name = f"{outer}{traces.CRASH}{point}/state-"
        n = self.world.outer(outer).moment(point).states()
        return b"".join(self.image(name + str(i))[1:] for i in range(n)) + self.image(name + str(n))


def states(world, outer, point="now"):
    return world.outer(outer).moment(point).states()


def compare(seed, most, connect, control):
    """How many images were the same, or what differs.  Where there are more than MOST
    states, only single ones are compared."""
    trace = plan(seed)
    world = traces.World()
    server = Server(world, connect, control)
    lines = []
    for operation in trace:
        if operation[0] == "all_states" and states(world, *operation[1:]) > most:
            continue
        done = world.do(operation)
        if done is None:
            continue
        line, wanted = done
        lines.append(line)
        got = getattr(server, operation[0])(*operation[1:])
        if got is not None and got != wanted:
            return "\n".join(lines) + f"\n{seed}: got {got[:400].hex()}, not {wanted[:400].hex()}"
    return world.images


if __name__ == "__main__" and "PLAN" not in os.environ:
    print(parameters(plan(sys.argv[1])))
