"""What a root model is told about its turn: diagnostics with the fix spelled out, the bound against what is left, what was shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from rlmlang.check.checked import Checked
from rlmlang.cost import Bound
from rlmlang.cost.weight import heaviest_loop, share
from rlmlang.errors import RlmError
from rlmlang.lm.render import fence_for
from rlmlang.quantity import INFINITE, Formula, Quantity
from rlmlang.run.nesting import Share
from rlmlang.solve.prompt import written
from rlmlang.syntax import nodes as n
from rlmlang.syntax.diagnostics import Diagnostic, plural, printable, render_all
from rlmlang.types import ListOf, Type

_ERRORS: Final = 6  # of one program: more would only push out what matters
_SITES: Final = 6
_NAMES: Final = 40
_LINKS: Final = 10  # bindings and filters followed to find out where a list comes from
_NANO: Final = 1_000_000_000
NO_PROGRAM: Final = "There was no program in your reply, so nothing was run. Write one. To finish, the program ends with: answer EXPR"
SAME_PROGRAM: Final = (
    "This is the program of the turn before, so it was not run again. Write another one: correct what was said above, look at something "
    "else, or end with: answer EXPR"
)


def status(turn: int, turns: int, calls: int, left: Share, *, wrong: bool = False) -> str:
    """`Turn 2 of 8. Left: 87 calls, 120,000 tokens, $1.20.`, and what is to be written now. `wrong`: the last program was."""
    parts = [plural(calls if left.requests is None else min(calls, left.requests or calls), "call")]
    if left.tokens:
        parts.append(plural(left.tokens, "token"))
    if left.nanodollars:
        parts.append(f"${left.nanodollars / _NANO:,.4f}".rstrip("0").rstrip("."))
    last = " This is the last turn: end with `answer`, with the best that there is." if turn == turns else ""
    task = "Write the whole program again, with that put right." if wrong else "Write the next program."
    return f"Turn {turn} of {turns}. Left: {', '.join(parts)}.{last} {task}"


def mended(diagnostics: Sequence[Diagnostic]) -> str:
    """What was put right in the program, as it stands above."""
    if not diagnostics:
        return ""
    lines = [f"- {printable(d.message)} ({printable(d.hint)})" if d.hint else f"- {printable(d.message)}" for d in diagnostics[:_ERRORS]]
    return "\n".join(["Your program was put right before it was run; it stands above as it was run.", *lines, "", ""])


def errors(diagnostics: Sequence[Diagnostic]) -> str:
    """The program was not run."""
    wrong = [d for d in diagnostics if d.severity == "error"]
    more = f"\n\n… and {len(wrong) - _ERRORS} more errors" if len(wrong) > _ERRORS else ""
    return f"The program has errors; nothing of it was run.\n\n{render_all(wrong[:_ERRORS])}{more}"


def guess(instead: str | None) -> str:
    """What may have been meant by a program with errors, and has none."""
    if instead is None:
        return ""
    return f"\n\nThis has no errors; write it, if it is what you meant:\n{written(instead)}"


def refusal(reasons: Sequence[str], checked: Checked, bound: Bound, calls: int) -> str:
    """The program would take more than is left: its plan, and the change that helps most."""
    lines = [f"The program was not run: {'; '.join(reasons)}.", "", "Its plan:"]
    sites = sorted(bound.sites, key=lambda s: -_number(s.figures["calls"].most))
    for site in sites[:_SITES]:
        part = share(site, bound)
        much = "" if part is None else f", {100 * part:.0f} % of the cost"
        text = printable(" ".join(site.node.span.text.split()), 100)
        lines.append(f"  line {site.node.span.line}: at most {_calls(site.figures['calls'].most)}{much}: {text}")
    if len(sites) > _SITES:
        lines.append(f"  … and {len(sites) - _SITES} more places")
    lines += ["", _cheapest(checked, bound, calls)]
    return "\n".join(lines)


def unfit(errors: Sequence[str]) -> str:
    """What some calls would send does not fit the model that is to read it."""
    return "The program was not run: " + printable("; ".join(errors[:_ERRORS]))


def _cheapest(checked: Checked, bound: Bound, calls: int) -> str:
    """What to change: the loop that makes most of the bound, and how."""
    loop = heaviest_loop(checked, bound)
    if loop is None:
        solves = [site for site in bound.sites if isinstance(site.node, n.Solve)]
        if solves:
            return (
                f"Change line {solves[0].node.span.line}: give the solve fewer calls, as in: with {{calls: {max(1, calls // len(solves))}}}"
            )
        return "Ask less of a model, or hand it smaller pieces."
    line, over = loop.node.span.line, printable(loop.over, 60)
    asks = f"Change line {line}, which asks for each item of {over}, {_calls(loop.calls)} in all"
    if loop.calls == INFINITE or _from_reply(loop.node, checked):
        return f"{asks}: give the list in the reply a length, as in -> [text; 10]; or take the first ones: {over}[:10]."
    fits = max(1, calls // max(1, loop.each))
    ways = [
        f"take fewer: {over}[:{fits}]",
        "leave out by code what need not be asked about",
        f"ask about several at once: batch({over}, 10)",
    ]
    if any(isinstance(site.node, n.Solve) for site in bound.sites):
        ways.append("give each solve fewer calls: with {calls: 5}")
    return f"{asks}: {'; or '.join(ways)}."


def _from_reply(loop: n.Node, checked: Checked) -> bool:
    """Whether a reply gives the list that a loop goes through, as long as it likes."""
    assert isinstance(loop, (n.Map, n.Filter, n.Reduce, n.Fold, n.First))
    source: n.Expr = loop.source
    bound = {s.name: s.value for s in checked.program.statements if isinstance(s, n.Bind)}
    for _ in range(_LINKS):
        if isinstance(source, n.Name) and source.name in bound:
            source = bound.pop(source.name)
        elif isinstance(source, n.Filter):
            source = source.source
    type_ = checked.types.get(source)
    return isinstance(source, (n.Call, n.Solve)) and isinstance(type_, ListOf) and type_.most is None


def _calls(q: Quantity) -> str:
    return "any number of calls" if q == INFINITE or isinstance(q, Formula) else plural(round(q), "call")


def _number(q: Quantity) -> float:
    return math.inf if isinstance(q, Formula) else float(q)


def failure(error: RlmError, *, kept: bool) -> str:
    """The program failed while it ran."""
    where = f" in line {error.span.line}" if error.span is not None else ""
    hint = f"\nhint: {printable(error.hint)}" if error.hint else ""
    rest = "Its bindings are kept." if kept else "Nothing of it is bound."
    return f"The program failed{where}: {printable(error.message)}{hint}\n{rest}"


NOTHING_SHOWN: Final = "The program was run and showed nothing; to see something, end with an expression."


def shown(preview: str) -> str:
    """What the last expression showed, between fences."""
    fence = fence_for([preview])
    return f"The program was run and showed:\n{fence}\n{preview}\n{fence}"


def wrong_answer(message: str) -> str:
    """The answer is not what was asked for."""
    return f"The program was run, but its answer is no answer to this question: {message}. Answer again, with a value of that type."


def names(types: Mapping[str, Type]) -> str:
    """The variables that are bound now."""
    shown_names = list(types.items())[-_NAMES:]
    listed = "; ".join(f"{printable(name, 60)}: {printable(str(type_), 120)}" for name, type_ in shown_names)
    return f"Bound now: {listed}" if listed else "Nothing is bound."
