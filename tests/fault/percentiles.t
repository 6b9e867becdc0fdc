#!/usr/bin/env bash
# delay = { p50 = ..., p99 = ... } draws delays of that distribution, the same for a seed.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/fault.sh"
need nbdsh python3

# delays SEED: of 300 reads and a write, as the log has them; the first ten are in
# "some", and in "shares" is how many of the reads are in which part.
delays ()
{
    serve size=1M log=the.log seed="$1" lua='fault { op = "read", name = "r", delay = { p50 = "1us", p90 = 0.000002, p100 = "1ms" } }
fault { op = "write", name = "w", delay = { p50 = "1us" } }'
    python 'for i in range(300): h.pread(1, i)
h.pwrite(b"x", 0)'
    stop
    read_log the.log 'all = [l["did"]["delay"] for l in lines if "did" in l and l["rule"] == "r"]
low, mid, high = sum(d <= 1e-6 for d in all), sum(1e-6 < d <= 2e-6 for d in all), sum(2e-6 < d <= 1e-3 for d in all)
print(len(all), 100 < low < 200, 80 < mid < 170, 8 < high < 70, max(all) > 1e-4, [l["did"]["delay"] <= 1e-6 for l in lines if "did" in l and l["rule"] == "w"])
print(all[:10])' >"delays.$1"
}
delays 1
is "$(head -1 delays.1)" "300 True True True True [True]" "delays of each part"
mv delays.1 before
delays 1
is "$(cat delays.1)" "$(cat before)" "the same once more"
delays 2
[ "$(tail -1 delays.2)" != "$(tail -1 before)" ]
ok $? "others with another seed"

refused "fault: delay has no 'p98'; did you mean 'p9" 'fault { op = "read", delay = { p98 = "1ms" } }'
refused "fault: delay: p99 is shorter" 'fault { op = "read", delay = { p50 = "2ms", p99 = "1ms" } }'
refused 'fault: delay: "2" has no unit: write "2ms" or "2s"' 'fault { op = "read", delay = { p50 = "2" } }'
refused 'fault: delay: "100" has no unit: write "100ms" or "100s"' 'fault { op = "read", delay = { "50ms", "100" } }'
refused 'fault: delay: "0.5" has no unit' 'fault { op = "read", delay = "0.5" }'
refused 'fault: delay: expected a time, .* got "soon"' 'fault { op = "read", delay = "soon" }'
refused 'fault: delay: expected a time, \{least, most\}, \{p50 = time' 'fault { op = "read", delay = {} }'
refused 'fault: p: expected a probability, .* got 5$' 'fault{op = "read", p=5, error = "EIO"}'
done_testing
