#!/usr/bin/env bash
# A rule cuts the power at the request that it chooses: cut=CHOICE, or a table as for
# disk:cut.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
rule = lambda spec: control(f"fault {{ {spec} }}")
def again():
    control("fault.clear() disk:power_on()")

fresh()
rule("""op = "flush", nth = 3, cut = "none", name = "third" """)
for letter in "ABC":
    write(h, letter)
    last = flush(h)
same("a cut at the third flush: it fails", last, "ESHUTDOWN")
same("no power", outcome(h.pread, 1, 0), "ESHUTDOWN")
same("the rule has fired once", control("fault.get([[third]]).fired"), 1)
again()
row("what the second flush made durable is there", "B")

fresh()
rule("""op = "flush", cut = "all", times = 1 """)
write(h, "A")
flush(h)
again()
row("all", "A")

fresh()
write(h, "AB")
rule(f"""op = "write", offset = 1024, cut = "lose-{number(1)}:1" """)
same("a cut at a W", write(h, "C", 2), "ESHUTDOWN")
again()
numbered(-1)
row("LIST; the W that met the rule was performed", "A", "o", "C")

fresh()
rule("""op = "write", cut = "none", times = 1 """)
same("a cut at another W", write(h, "C", 2), "ESHUTDOWN")
again()
row("which was under way, as it is not answered")

fresh()
write(h, "AB")
rule("""op = "read", cut = "state-1", times = 1 """)
same("a cut at a read", outcome(h.pread, 512, 0), "ESHUTDOWN")
again()
row("is as any other", "A")

fresh()
rule("""op = "flush", cut = { "none", torn = true, bad = true }, times = 1, name = "table" """)
write(h, "A")
flush(h)
same("its text says all of it", control("fault.get([[table]]).text"),
     """op="flush" times=1 cut={ "none", bad=true, torn=true }""")
again()
row("a table")

said = lambda spec: control(f"select(2, pcall(fault, {{ {spec} }}))")
for spec in ("""op = "flush", cut = "some" """, """op = "flush", cut = 3 """,
             """op = "flush", cut = { "none", tron = true } """, """op = "flush", cut = { torn = true } """):
    same("refused: " + spec, isinstance(said(spec), str), True)
for part in "torn", "bad":
    says(f"{part} beside cut", said(f"""op = "flush", cut = "none", {part} = true """),
         "part of cut: write cut = { \"none\", " + part + " = true }$")
says("beside the choice", control("select(2, pcall(disk.cut, disk, [[none]], { torn = true }))"), "one argument, such as")
'
stopped

# A script that cuts needs the cache.
for code in 'disk:cut "none"' 'fault { op = "flush", cut = "none" }'; do
    like "$(nbdkit_run -U refused.sock size=1M lua="$code" --run true 2>&1)" 'write-cache=volatile' \
        "without a cache: $code"
done
done_testing
