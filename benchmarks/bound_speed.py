"""How long the bound of the worst programs takes: `python benchmarks/bound_speed.py`. Each is within the limits of
source text.

Prints milliseconds of processor time, the best of three, with and without inputs; exit code 1 if one takes more than `--most` (50).
`--files N` makes a folder of N files in a temporary directory and times `rlm cost` of it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rlmlang.check import Checked, check
from rlmlang.cost import bound
from rlmlang.lm.request import Model
from rlmlang.syntax import parse

MODEL = Model("m", "http://127.0.0.1/v1", "m", input_price=1, output_price=1)
WORDS = ["a", "b", "c"]


def doubled(lines: int, first: str) -> str:
    body = "".join(f"x{i} = x{i - 1} + x{i - 1}\n" for i in range(1, lines))
    return f'input t: text\nx0 = {first}\n{body}answer call "Data." on len(x{lines - 1})\n'


def products(lines: int) -> str:
    names = [f"i{i}" for i in range(12)]
    head = "".join(f"input {name}: [text]\n" for name in names)
    body = "x0 = 1\n" + "".join(f"x{i} = x{i - 1} * len({names[i % 12]}) + len({names[(i * 7) % 12]})\n" for i in range(1, lines))
    return f'{head}{body}answer [call f"echo {{i}}" for i in range(x{lines - 1})]\n'


def nested(depth: int, source: str) -> str:
    names = [f"a{i}" for i in range(depth)]
    loops = " ".join(f"for {name} in {source}" for name in names)
    return f'input xs: [text]\nanswer [call f"echo {"".join("{" + name + "}" for name in names)}" {loops}]\n'


def deep_record(depth: int) -> str:
    body = "".join(f"x{i} = {{a: x{i - 1}, b: x{i - 1}}}\n" for i in range(1, depth))
    return f'input t: text\nx0 = call "a" on t\n{body}answer call "Data." on x{depth - 1}\n'


def wide(fields: int) -> str:
    type_ = ", ".join(f"f{i}: text" for i in range(fields))
    read = 'read = map r in rows {{...r, mood: call "a" on r -> bool}}'
    return f'input rows: [{{{type_}}}]\n{read}\nanswer [call "b" on r for r in read]\n'


def branches(lines: int) -> str:
    body = "".join(
        f'x{i} = if (call f"{i}" on x{i - 1} -> bool) {{ x{i - 1} + "a" }} else {{ call "b" on x{i - 1} }}\n' for i in range(1, lines)
    )
    return f"input t: text\nx0 = t\n{body}answer x{lines - 1}\n"


def functions(count: int) -> str:
    body = "".join(f"fn f{i}(x: text) -> text {{ f{i - 1}(x + x) + f{i - 1}(x) }}\n" for i in range(1, count))
    return f'input t: text\nfn f0(x: text) -> text {{ call "upper" on x }}\n{body}answer f{count - 1}(t)\n'


def joined(holes: int) -> str:
    return f'input t: text\nanswer call f"{"".join("{t}" for _ in range(holes))}"\n'


def long(lines: int) -> str:
    body = "".join(f'x{i} = call "a" on x{i - 1}\n' for i in range(1, lines))
    return f"input t: text\nx0 = t\n{body}answer x{lines - 1}\n"


RECURSIVE = """input t: text
input k: int = 4000
fn f(x: text) -> text depth 50 {
  if len(x) <= k { call "a" on x } else { f(x[:len(x) // 2]) + f(join([call "c" on p for p in chunks(x, k)], "")) + f(x) }
}
answer f(t)
"""
FOLDED = """input xs: [text]
input ys: [text]
answer fold acc, x in xs from [] { fold own, y in ys from acc { own + [{x, y, z: call "a" on {own, x, y}}] } }
"""

PROGRAMS: dict[str, Callable[[], str]] = {
    "texts doubled, 1,000 lines": lambda: doubled(1_000, "t"),
    "replies doubled, 1,000 lines": lambda: doubled(1_000, 'call "a" on t'),
    "lists doubled, 1,000 lines": lambda: doubled(1_000, '[call "a" on t]'),
    "products of 12 sizes, 700 lines": lambda: products(700),
    "8 nested maps": lambda: nested(8, "xs"),
    "8 nested maps of chunks": lambda: nested(8, "chunks(join(xs, ''), 10)"),
    "3 nested maps of known lists": lambda: nested(3, "range(50)"),
    "nested records, 9 deep": lambda: deep_record(9),
    "a record of 400 texts": lambda: wide(400),
    "450 branches": lambda: branches(450),
    "100 functions, each twice the one before": lambda: functions(100),
    "recursion, 50 deep, three ways": lambda: RECURSIVE,
    "nested folds": lambda: FOLDED,
    "a text of 4,900 holes": lambda: joined(4_900),
    "1,600 calls, one after another": lambda: long(1_600),
}


def checked_of(text: str) -> Checked:
    checked = check(parse(text))
    if checked.errors:
        raise SystemExit(f"{checked.errors[0].message}\n{text[:500]}")
    return checked


def milliseconds(checked: Checked, given: bool) -> float:
    """The best of three."""
    values = {"t": "It was said again. " * 500, "k": 4_000, **{v.name: WORDS for v in checked.inputs if v.name not in ("t", "k")}}
    if any(str(v.type) not in ("text", "int", "[text]") for v in checked.inputs):
        values["rows"] = []
    inputs = {v.name: values[v.name] for v in checked.inputs} if given else None
    times = []
    for _ in range(3):
        start = time.process_time()
        bound(checked, lambda _: MODEL, inputs)
        times.append(time.process_time() - start)
    return 1_000 * min(times)


def of_folder(files: int) -> float:
    """Seconds that `rlm cost` of a folder takes, wall, with the start of Python."""
    with tempfile.TemporaryDirectory() as folder:
        for i in range(files):
            place = Path(folder, "repo", f"d{i % 300}")
            if i < 300:
                place.mkdir(parents=True)
            (place / f"f{i}.py").write_bytes(b"x" * (i % 500))
        program = Path(folder, "p.rlm")
        program.write_text('input repo: dir\nanswer [call f"What is in {f.path}?" on f.text for f in repo.files("**/*.py")]\n')
        start = time.perf_counter()
        command = [sys.executable, "-m", "rlmlang", "cost", str(program), f"repo={folder}/repo", "--model", "script:none", "--memo", "off"]
        Path(folder, "none").write_text('{"reply": "x"}\n')
        done = subprocess.run([*command[:-4], "--model", f"script:{folder}/none", "--memo", "off"], capture_output=True, text=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(done.stderr)
        return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=float, default=50.0, help="milliseconds")
    parser.add_argument("--files", type=int, default=0)
    args = parser.parse_args()
    slowest = 0.0
    print(f"{'milliseconds':42} {'inputs':>8} {'formulas':>9}")
    for name, make in PROGRAMS.items():
        checked = checked_of(make())
        given, unknown = milliseconds(checked, True), milliseconds(checked, False)
        slowest = max(slowest, given, unknown)
        print(f"{name:42} {given:8.1f} {unknown:9.1f}", flush=True)
    if args.files:
        print(f"rlm cost of a folder of {args.files:,} files: {of_folder(args.files):.2f} s")
    return int(slowest > args.most)


if __name__ == "__main__":
    raise SystemExit(main())
