"""How long the command line takes to start: `rlm check` of a 100-line program, and `rlm --help`.

    python benchmarks/startup.py [--rounds N]

Beside them: Python alone, Python that imports what no check can do without (lark, attrs), and the check as a library. Each is a process
of its own; the processes take turns, the best of all rounds counts. As in an installation, Python finds all modules compiled.
Commands that are not installed are left out.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Spent, best, table, timed, verdict

_STAGE = """
# Stage {n}: which of these texts matter, and why?
found_{n} = [x for x in texts if call f"Is this about {{topic}} ({n})?" on x -> bool]
notes_{n} = map x in found_{n} {{
  role = call "What is it for?" on x -> "core" | "rest"
  {{role, length: len(x), first: first(lines(x)) otherwise ""}}
}}
longest_{n} = max([note.length for note in notes_{n}]) otherwise 0
words_{n} = [w.lower() for x in found_{n} for w in words(x) if len(w) > 3]
"""
_STAGES = 10


def program() -> str:
    """A program of about 100 lines."""
    stages = "".join(_STAGE.format(n=n) for n in range(_STAGES))
    kept = ", ".join(f"longest_{n}, words_{n}: len(words_{n})" for n in range(_STAGES))
    return f'input texts: [text]\ninput topic: text = "billing"\n{stages}\nanswer {{{kept}}}\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.rlm"
        path.write_text(program())
        library = (
            "import sys; from pathlib import Path; from rlmlang.syntax import parse; from rlmlang.check import check; "
            "sys.exit(bool(check(parse(Path(sys.argv[1]).read_text(), 'program.rlm')).errors))"
        )
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import lark, attrs'": [sys.executable, "-c", "import lark, attrs"],
            "parse and check, as a library": [sys.executable, "-c", library, str(path)],
        }
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = folder
        rlm = shutil.which("rlm", path=str(Path(sys.executable).parent)) or shutil.which("rlm")
        if rlm:
            commands |= {"rlm check": [rlm, "check", str(path)], "rlm --help": [rlm, "--help"]}
        else:
            print("rlm is not installed: its commands are left out\n")

        def start(command: list[str]) -> Spent:
            return timed(lambda: subprocess.run(command, check=True, capture_output=True, env=environment))

        spent = best({name: lambda command=command: start(command) for name, command in commands.items()}, given.rounds)  # type: ignore[misc]
    floor = spent["python -c 'import lark, attrs'"].wall
    table(["", "ms", "times lark and attrs"], [[name, f"{s.wall * 1000:.0f}", f"{s.wall / floor:.2f}"] for name, s in spent.items()])
    what = "rlm check" if rlm else "parse and check, as a library"
    ratio = spent[what].wall / floor
    verdict(f"{what}, {program().count(chr(10))} lines, against importing lark and attrs", ratio, "4 or less", ratio <= 4)


if __name__ == "__main__":
    main()
