"""Run code on a fault log: read_log.py FILE CODE.

Its lines are the list every.  The list lines has those about faults and at the end
of rules alone: not the first and the last, nor results and declarations.
"""

import json
import sys

every = []
with open(sys.argv[1], "rb") as f:
    for line in f:
        every.append(json.loads(line.decode("utf-8")))
        if not line.endswith(b"}\n"):
            print("not a line:", line)

lines = [l for l in every if not l.keys() & {"start", "stop", "result", "declared"}]


def show(l):
    """Print a line without what is different each time."""
    l = {k: v for k, v in l.items() if k not in ("time", "t", "seq", "req")}
    print(json.dumps(l, separators=(",", ":")))


exec(sys.argv[2])
