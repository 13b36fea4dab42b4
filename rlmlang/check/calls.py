"""Types of `call` and `solve`: what is asked, what is handed over, what comes back, and the options."""

from __future__ import annotations

from rlmlang.check.advice import advice
from rlmlang.check.checker import Checker, rule
from rlmlang.check.report import listing, similar
from rlmlang.check.written import read_reply_type
from rlmlang.limits import BATCH_ITEMS
from rlmlang.syntax.nodes import Call, Expr, Literal, RecordField, Solve, Unary
from rlmlang.types import INT, NONE, TEXT, Type

_CALL_OPTIONS = ("model", "max_tokens", "temperature", "sample", "system", "batch")
_SOLVE_OPTIONS = ("depth", "calls", "turns", "model")
_ELSEWHERE = {
    "n": "ask several times: [call … with {sample: i} for i in range(n)]",
    "seed": "write sample: i; each number is a sample of its own",
    "temp": "write temperature",
    "max_output_tokens": "write max_tokens",
    "tokens": "write max_tokens",
    "schema": "ask for a type: call … -> {name: text}",
    "format": "ask for a type: call … -> {name: text}",
    "system_prompt": "write system",
    "batch_size": "write batch",
    "max_depth": "write depth",
    "max_calls": "write calls",
    "max_turns": "write turns",
}


@rule(Call)
def infer_call(c: Checker, node: Call) -> Type:
    return _infer(c, node, _CALL_OPTIONS)


@rule(Solve)
def infer_solve(c: Checker, node: Solve) -> Type:
    return _infer(c, node, _SOLVE_OPTIONS)


def _infer(c: Checker, node: Call | Solve, options: tuple[str, ...]) -> Type:
    word = "call" if isinstance(node, Call) else "solve"
    prompt = c.infer(node.prompt)
    hint = None
    if not c.conforms(node.prompt, prompt, TEXT) and not node.data:
        hint = f'say what to do, and put the data behind `on`: {word} "…" on …'
    c.expect(node.prompt, prompt, TEXT, f"the instruction is a text, not {prompt}", hint=hint)
    names: set[str] = set()
    for datum in node.data:
        c.infer(datum.value)
        if datum.name is not None:
            if datum.name in names:
                c.error("duplicate-name", datum.span, f"two data are named {datum.name}")
            names.add(datum.name)
    reply = TEXT if node.type is None else read_reply_type(c, node.type, schema=isinstance(node, Call))
    if reply is NONE:
        c.error("reply-type", node.span if node.type is None else node.type.span, "a reply that is always none says nothing", "write text?")
    seen: set[str] = set()
    for option in node.options:
        if option.name in seen:
            c.error("bad-option", option.span, f"the option {option.name} is given twice")
        seen.add(option.name)
        _check_option(c, option, options, word)
        if option.name == "batch" and not node.data:
            hint = f'put what differs from item to item behind `on`: {word} "…" on x with {{batch: 20}}'
            c.error("bad-option", option.span, "calls that share a request differ in their data, and this one has none", hint)
    c.tables.reply_types[node] = reply
    c.reaches = True
    return reply


def _check_option(c: Checker, option: RecordField, known: tuple[str, ...], word: str) -> None:
    name, value = option.name, option.value
    if name not in known:
        close = similar(name, known)
        hint = _ELSEWHERE.get(name) or (f"did you mean {close}?" if close else f"options of {word} are {listing(known)}")
        c.error("bad-option", option.span, f"{word} has no option {name}", hint)
        c.infer(value)
        return
    given = c.infer(value)
    number = _number(value)
    if name == "model":
        if not (isinstance(value, Literal) and isinstance(value.value, str) and value.value):
            hint = "so that no text or reply can choose which model is paid; use `if` for two models"
            c.error("bad-option", value.span, 'model is the name itself, as in {model: "small"}', hint)
    elif name == "temperature":
        if number is None or not 0 <= number <= 2:
            c.error("bad-option", value.span, "temperature is a number from 0 to 2, as in {temperature: 0.7}")
    elif name == "sample":
        c.expect(value, given, INT, f"sample is an int, not {given}", "bad-option", advice(value, given, INT))
    elif name == "system":
        c.expect(value, given, TEXT, f"system is a text, not {given}", "bad-option", advice(value, given, TEXT))
    elif not isinstance(number, int) or number < 1:
        c.error("bad-option", value.span, f"{name} is a whole number from 1 up, as in {{{name}: 200}}", "it stands in the cost bound")
    elif name == "batch" and number > BATCH_ITEMS:
        c.error("bad-option", value.span, f"batch is at most {BATCH_ITEMS}: of more items in one request a model loses count")


def _number(node: Expr) -> int | float | None:
    """The number that a literal is; None for all else."""
    if isinstance(node, Unary) and node.op == "-" and isinstance(node.operand, Literal):
        inner = _number(node.operand)
        return None if inner is None else -inner
    if isinstance(node, Literal) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    return None
