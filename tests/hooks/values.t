#!/usr/bin/env bash
# seconds(x) and probability(x) read what users write, as all of the plugin does:
# one text is the same time, or probability, or error, wherever it stands.
. "$(dirname "$0")/../lib/lib.sh"
[ "$WATCH" != tsan ] || skip_all "what nbdkit --run starts does not bear the sanitizer, and there is one thread"

# says CODE EXPECTED NAME: what a script prints.  It has t(f, ...), which is what
# f returns, or its error.
says ()
{
    is "$(nbdkit_run -U - size=1M lua="$t$1" x=50 --run : 2>&1)" "$2" "$3"
}
t='local _ = param.x
local function t(f, ...)
  local ok, result = pcall(f, ...)
  print(ok and math.type(result) or "error", result)
end '

says 't(seconds, 2) t(seconds, 0.1) t(seconds, "50ms") t(seconds, "1.5us") t(seconds, "1.5\u{3BC}s") t(seconds, "1.5\u{B5}s")
      t(seconds, "3ns") t(seconds, "1m") t(seconds, "1e-3") t(seconds, "0.29")' \
"float	2.0
float	0.1
float	0.05
float	1.5e-06
float	1.5e-06
float	1.5e-06
float	3e-09
float	60.0
float	0.001
float	0.29" "seconds"
says 'print(seconds(param.x) == 50, seconds("0.1") == 0.1, seconds(0.29) == 0.29, bytes(param.x))' "true	true	true	50" \
    "a parameter is text"
says 't(probability, 1) t(probability, 0.25) t(probability, "0.1") t(probability, "1e-1") t(probability, "10%")
      t(probability, "1:10") t(probability, "1/10") t(probability, "0")' \
"float	1.0
float	0.25
float	0.1
float	0.1
float	0.1
float	0.1
float	0.1
float	0.0" "probability"

says 'for _, x in ipairs {"", "soon", "-1", "1 s", "1e", "0x10", "1h", "10%", "9200000000", -1, 0/0, 1/0, 9e9, true, {}} do
        local ok, message = pcall(seconds, x)
        print(ok, (message:gsub("0x%x+", "0x"):gsub("%-?nan", "nan")))
      end
      t(seconds) t(seconds, nil)' \
"$(for got in '""' '"soon"' '"-1"' '"1 s"' '"1e"' '"0x10"' '"1h"' '"10%"' '"9200000000"' -1 nan inf 9000000000.0 true 'table: 0x'; do
    echo "false	bad argument #1 to 'seconds' (expected a time, such as 2 or \"50ms\", got ${got/0x10/0x})"
done
for got in 'no value' nil; do
    echo "error	bad argument #1 to 'seconds' (expected a time, such as 2 or \"50ms\", got $got)"
done)" "what is no time is an error that says what was expected, and got"
says 'for _, x in ipairs {"", "x", "1:", "1:abc", "1:2:100", "10%%", "1:0", "0:0", "2:1", "101%", "1.1", "-1", "nan", "inf", "1:2%",
                          "0x1p0", 1.5, -1, 0/0, true} do
        local ok, message = pcall(probability, x)
        print(ok, (message:gsub("%-?nan", "nan")))
      end
      t(probability)' \
"$(for got in '""' '"x"' '"1:"' '"1:abc"' '"1:2:100"' '"10%%"' '"1:0"' '"0:0"' '"2:1"' '"101%"' '"1.1"' '"-1"' '"nan"' '"inf"' \
              '"1:2%"' '"0x1p0"' 1.5 -1 nan true; do
    echo "false	bad argument #1 to 'probability' (expected a probability, such as 0.01, \"1%\" or \"1:100\", got $got)"
done
echo "error	bad argument #1 to 'probability' (expected a probability, such as 0.01, \"1%\" or \"1:100\", got no value)")" \
    "what is no probability is an error"

# The same texts elsewhere.
says 'for _, p in ipairs {"1:", "1:abc", "1:2:100", "10%%", "0x1p0"} do
        print((pcall(fault, { op = "read", p = p, error = "EIO", optional = true })), (pcall(disk.bad, disk, { p = p })))
      end
      for _, p in ipairs {"1/10", "1e-1", "10%"} do
        print((pcall(fault, { op = "read", p = p, error = "EIO", optional = true })), (pcall(disk.bad, disk, { p = p, count = "1K" })))
      end' \
"$(for _ in 1 2 3 4 5; do echo "false	false"; done; for _ in 1 2 3; do echo "true	true"; done)" "fault and disk:bad agree"
says 'for _, d in ipairs {"1h", "1e", "0x10", "1e-3", "1ns", "1\u{B5}s", "1e-3s"} do
        print((pcall(fault, { op = "read", delay = d, optional = true })))
      end' \
"false
false
false
false
true
true
true" "a delay, which needs its unit"
for timeout in 1h 1e 0x10 -1 0; do
    like "$(nbdkit_run -U - size=1M lua='' hook-timeout=$timeout --run : 2>&1)" "^nbdkit: error: hook-timeout=$timeout: expected a time" \
        "hook-timeout=$timeout"
done
is "$(nbdkit_run -U - size=1M lua='' hook-timeout=5e8ns --run : 2>&1)" "" "hook-timeout=5e8ns"

# A script may change the locale, and the parsers do not mind.
comma=$(locale -a 2>/dev/null | grep -m1 -E '^(de|fr|es|it)_')
[ -z "$comma" ] || says "os.setlocale('$comma') print(seconds('0.5') == 1/2, probability('0.5') == 1/2, pcall(seconds, '0,5') == false)" \
    "true	true	true" "whatever the locale"
done_testing
