"""Run code on a fault log: read_log.py FILE CODE."""

import json
import sys

lines = []
with open(sys.argv[1], "rb") as f:
    for line in f:
        lines.append(json.loads(line.decode("utf-8")))
        if not line.endswith(b"}\n"):
            print("not a line:", line)


def show(l):
    """Print a line without what is different each time."""
    l = {k: v for k, v in l.items() if k not in ("time", "seq")}
    print(json.dumps(l, separators=(",", ":")))


exec(sys.argv[2])
