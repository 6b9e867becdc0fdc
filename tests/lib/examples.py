#!/usr/bin/env python3
"""Cut the examples out of a document.

    examples.py DOCUMENT PREFIX

An example is a line that starts with "$ " (in Markdown within a console
block, in POD within a verbatim paragraph), as many more lines as make it a
whole shell command, and the output that follows.  Writes the command to
PREFIX.NNN.cmd and the output to PREFIX.NNN.out.
"""

import subprocess
import sys

def verbatim(text, pod):
    """The lines that may be examples; None between blocks."""
    shown = False
    for line in text.splitlines():
        if pod:
            yield line[1:] if line.startswith(" ") else None
        elif line.startswith("```"):
            shown = line == "```console"
            yield None
        else:
            yield line if shown else None

def is_whole(command):
    r = subprocess.run(["bash", "-n"], input=command, capture_output=True,
                       text=True)
    return r.returncode == 0 and not r.stderr and not command.endswith("\\\n")

def main(document, prefix):
    n = 0
    command, output = "", None
    with open(document, encoding="utf-8") as f:
        lines = list(verbatim(f.read(), document.endswith(".pod")))
    for line in lines + [None]:
        if command and output is None and line is not None:
            command += line + "\n"
        elif line is not None and line.startswith("$ "):
            command, output = line[2:] + "\n", None
            n += 1
        elif command and line is not None:
            output += line + "\n"
        else:
            command, output = "", None
            continue
        if output is None and is_whole(command):
            output = ""
        if output is not None:
            for suffix, content in (("cmd", command), ("out", output)):
                with open(f"{prefix}.{n:03}.{suffix}", "w",
                          encoding="utf-8") as f:
                    f.write(content)

main(*sys.argv[1:])
