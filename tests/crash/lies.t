#!/usr/bin/env bash
# Only faults make a disk lie: a flush or a FUA that is not done, and a flush that covers
# only its own connection.
. "$(dirname "$0")/../lib/lib.sh"
. "$TOP/tests/lib/crash.sh"

cached 4K
rows '
other = connect()
rule = lambda spec: control(f"fault {{ {spec} }}")
clear = lambda: control("fault.clear()")

fresh()
write(h, "A")
rule("""op = "flush", lose = true, times = 1 """)
same("a flush that lies", flush(h), "ok")
row("W, a flush that lies", "o 1:A")
says("a state that shows it says so", words("none"), "; a lie$")
says("one that does not is legal", words("all"), "; legal$")
flush(h)
row("then an honest one", "A")
says("and all is well again", words("none"), "; legal$")
clear()

fresh()
write(h, "A")
rule("""op = "write", fua = true, lose = true, times = 1 """)
same("a FUA that lies", write(h, "B", fua=True), "ok")
same("readers see it", disk(other), "Booooooo")
row("W(A), W(B) with a FUA that lies", "o 1:A 2:B")
says("a state that shows it says so, again", words("none"), "; a lie$")
flush(other)
row("a flush covers it", "B")
clear()

for op in "zero", "trim":
    fresh()
    rule(f"""op = "{op}", fua = true, lose = true, times = 1 """)
    call = zero if op == "zero" else trim
    same(f"a {op} whose FUA lies", call(h, 1, fua=True), "ok")
    row("is volatile", "o 1:0")
    clear()

fresh()
rule("""op = "write", fua = false, lose = true, times = 1 """)
same("a W without FUA that is lost", write(h, "A"), "ok")
numbered(-1)
row("was never applied")
clear()

fresh()
write(h, "A")
write(other, "B", 1)
write(other, "C")
rule("""op = "flush", lose = "others" """)
same("a flush that covers only its own connection", flush(h), "ok")
row("W(A), W(B) and W(C) on another", "A 3:C", "o 2:B")
says("what it should have covered is lost by a lie, and a write was lost before", words("none"),
     "; a lie; faults had altered 1 of the acknowledged writes$")
flush(other)
row("the other connection flushes, too", "C", "B")
clear()

fresh()
write(other, "A")
write(h, "B")
rule("""op = "flush", lose = "others", times = 1 """)
flush(h)
row("what is beneath its own versions goes", "B")
clear()

said = lambda spec: control(f"select(2, pcall(fault, {{ {spec} }}))")
for spec in ("""op = "write", lose = "others" """, """op = "flush", lose = "other" """,
             """op = "flush", lose = "others", error = "EIO" """, """op = "write", error = "EIO", lose = true """):
    same("refused: " + spec, isinstance(said(spec), str), True)

fresh()
for times, (op, spec) in enumerate((
        ("write", "lose = true"), ("write", "keep = {{ 0, 10 }}"), ("write", "misdirect = 512"),
        ("write", "corrupt = 1"), ("zero", "lose = true")), 2):
    rule(f"""op = "{op}", {spec}, times = 1 """)
    write(h, "A") if op == "write" else h.zero(512, 0)
    clear()
    says(f"{op} with {spec} was altered", words("all"), f"; legal; faults had altered {times} of the acknowledged writes$")
    says("the other states say so, too", words("none"), f" altered {times} ")
for op, spec in (("write", """error = "EIO", keep = {{ 0, 10 }} """), ("trim", "lose = true"), ("flush", "lose = true")):
    rule(f"""op = "{op}", {spec}, times = 1 """)
    same("it fails, or is honest", op == "write", {"write": lambda: write(h, "A"), "trim": lambda: h.trim(512, 0), "flush": lambda: flush(h)}[op]() not in (None, "ok"))
    clear()
    says(f"{op} with {spec} was not", words("none"), " altered 6 ")
held = connect("crash/now/all+cache")
says("nor do the states of a state forget", words("all+cache/crash/now/none"), " altered 6 ")
'
stopped
done_testing
