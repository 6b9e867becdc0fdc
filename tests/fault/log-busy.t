#!/usr/bin/env bash
# log=FILE under load: each fault has a line, and the lines are in order.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

random_work 100000 5000
serve size=1M log=load.log lua='fault { op = "read", delay = 0.000001, name = "slow" }'
cat >load.py <<'PY'
from clients import *
def client():
    c = connect()
    for n in range(int(os.environ["WORK"]) // 8):
        while c.aio_in_flight() >= 16:
            c.poll(-1)
        c.aio_pread(nbd.Buffer(1), n % 4096, completion=lambda _: 1)
    while c.aio_in_flight():
        c.poll(-1)
children = []
for i in range(8):
    child = os.fork()
    if child == 0:
        client()
        os._exit(0)
    children.append(child)
print({os.waitpid(c, 0)[1] for c in children})
PY
is "$(python - <load.py)" "{0}" "eight clients, $WORK faults"
stopped
is "$(read_log load.log 'last = lines.pop()
print(len(lines), [l["seq"] for l in every] == list(range(1, len(every) + 1)),
      sorted(l["time"] for l in every) == [l["time"] for l in every]
      and sorted(l["t"] for l in every) == [l["t"] for l in every],
      len({l["conn"] for l in lines}), all(l["did"] for l in lines))
show(last)')" "$((WORK / 8 * 8)) True True 8 True
{\"rule\":\"slow\",\"text\":\"op=\\\"read\\\" delay=1e-06\",\"where\":\"lua:1\",\"matched\":$((WORK / 8 * 8)),\"fired\":$((WORK / 8 * 8))}" "as many lines, in order"
done_testing
