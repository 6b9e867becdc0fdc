"""Is it enough to cut at the points that suffice?  In random traces each state of each
moment must be a state of one of them.

    points.py SEED TRACES
"""

import sys

import traces

MOST = 3000                         # states of a moment, or the trace is left out


def possible(disk):
    """All states of a moment."""
    contents = [[s.D] + [c for _, c in s.V] for s in disk.sectors]
    return {tuple(c[p] for c, p in zip(contents, picked)) for picked in disk.all_picked()}


def count(disk):
    return traces.prod(len(s.V) + 1 for s in disk.sectors)


def missed(trace):
    """How many moments and points there are, and what is missed.  None: too many states."""
    world = traces.World()
    for operation in trace:
        world.do(operation)
        if world.live.each is None:
            world.live.each = []
    live = world.live
    moments = live.each + [live]
    if max(map(count, moments)) > MOST:
        return None
    points = live.points()
    seen = set().union(*(possible(live.moment(p)) for p in points))
    return len(moments), len(points), [i for i, m in enumerate(moments) if not possible(m) <= seen]


def main():
    seed, wanted = sys.argv[1], int(sys.argv[2])
    done = n = moments = points = 0
    while done < wanted:
        name = f"{seed}.{n}"
        n += 1
        trace = traces.random_trace(name, 30)
        result = trace[0][5] and missed(trace)      # with a history
        if not result:
            continue
        if result[2]:
            raise SystemExit(f"trace {name}: states of moments {result[2]} are missed")
        done += 1
        moments += result[0]
        points += result[1]
    print(f"{points} points suffice for {moments} moments")


if __name__ == "__main__":
    main()
