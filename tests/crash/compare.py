"""Compare the C code of disk/ with the model: traces first of the table, then random
ones, until so many images were the same.

    compare.py MACHINE SEED IMAGES
"""

import subprocess
import sys
import tempfile

import rows
import traces

BATCH = 200


class Run:
    """The test program at work on some traces."""

    def __init__(self, machine, many):
        self.traces = many
        played = [traces.play(trace) for trace in many]
        self.played = [p for p, _ in played]
        self.images = sum(images for _, images in played)
        self.output = tempfile.TemporaryFile()
        self.errors = tempfile.TemporaryFile()
        with tempfile.TemporaryFile("w+") as lines:
            lines.writelines(line + "\n" for p in self.played for _, line, _ in p)
            lines.seek(0)
            self.process = subprocess.Popen([machine], stdin=lines, stdout=self.output,
                                            stderr=self.errors)

    def wait(self):
        """The number of the first trace that differs, with the number of the operation, and
        both answers.  None: all are the same."""
        status = self.process.wait()
        self.output.seek(0)
        got = self.output.read()
        wanted = b"".join(answer for p in self.played for _, _, answer in p)
        if got == wanted and status == 0:
            return None
        at = 0
        for t, p in enumerate(self.played):
            for i, (_, _, answer) in enumerate(p):
                if got[at:at + len(answer)] != answer:
                    return t, i, got[at:at + len(answer)], answer
                at += len(answer)
        # It has ended too early, or said too much.
        return len(self.traces) - 1, len(self.played[-1]) - 1, got[at:], b""

    def said(self):
        self.errors.seek(0)
        return f"{self.errors.read().decode(errors='replace')}(exit {self.process.returncode})"


def show_ids(answer):
    return " ".join(answer[i:i + 4].hex() for i in range(0, len(answer), 4))


def show_answer(line, got, wanted, sectors):
    """Where two answers differ, and how."""
    if line.startswith("states "):
        size = 4 * sectors
        i = next((i for i in range(0, len(wanted), size) if got[i:i + size] != wanted[i:i + size]), 0)
        return f"state {i // size}: {show_ids(got[i:i + size])}, not {show_ids(wanted[i:i + size])}" \
            " (the last sector first)"
    return f"{got[:1].hex()} {show_ids(got[1:])}, not {wanted[:1].hex()} {show_ids(wanted[1:])}"


def report(machine, name, trace):
    """Show the shortest trace that fails."""
    trace = traces.shrink(trace, lambda t: Run(machine, [t]).wait() is not None)
    run = Run(machine, [trace])
    differs = run.wait()
    print(f"{name} differs:")
    if differs is None:
        print("but not when it is repeated alone")
        return
    _, i, got, wanted = differs
    for _, line, _ in run.played[0][:i + 1]:
        print("  " + line)
    sectors = trace[0][1] if trace else 1
    print(show_answer(run.played[0][i][1], got, wanted, sectors))
    print(run.said())


def batches(seed):
    """All traces, in lists, with their names."""
    yield [(row[0], rows.trace(row)) for row in rows.ROWS]
    n = 0
    while True:
        yield [(f"trace {seed}.{i}", traces.random_trace(f"{seed}.{i}"))
               for i in range(n, n + BATCH)]
        n += BATCH


def main():
    machine, seed, goal = sys.argv[1], sys.argv[2], int(sys.argv[3])
    images = 0
    before = None
    for batch in batches(seed):
        # It works on one batch while the next one is made.
        run = Run(machine, [trace for _, trace in batch])
        if before:
            differs = before[0].wait()
            if differs:
                report(machine, *before[1][differs[0]])
                raise SystemExit(1)
            images += before[0].images
        if images >= goal:
            run.process.kill()
            run.process.wait()
            break
        before = run, batch
    print(images, "images are the same")


if __name__ == "__main__":
    main()
