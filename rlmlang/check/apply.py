"""Types of `f(x, y)`: which function, which of its signatures, which argument for which parameter.

The first signature that fits is taken. Arguments are typed once, before; lambdas after, when the signature says what they are given.
A parameter of a built-in named `record` takes a record (or json), one named `x` of type json takes only json: what is
not known until it runs, not what is known to be something else.
"""

from __future__ import annotations

from attrs import frozen

from rlmlang.builtins import lookup
from rlmlang.builtins.declare import Builtin, Parameter, Signature
from rlmlang.check import habits
from rlmlang.check.advice import advice, converted, likely, short, whole
from rlmlang.check.checked import Callee, Function
from rlmlang.check.checker import Checker, rule
from rlmlang.check.dicts import looked_up, note_entries, of_wrong_keys, taken_as
from rlmlang.check.meant import in_one_list
from rlmlang.check.report import listing, similar
from rlmlang.check.unify import Bindings, fits, hull, hull_of_items, item_of, match, orderable, substitute
from rlmlang.check.unknown import unknown_function
from rlmlang.syntax.diagnostics import Fix
from rlmlang.syntax.nodes import Apply, Argument, Expr, Filter, Lambda, Literal, Name
from rlmlang.types import DIR, FLOAT, JSON, NEVER, NONE, TEXT, UNKNOWN, DictOf, FunctionOf, ListOf, Optional, RecordOf, Tuple, Type, Var


@frozen(eq=False)
class _Misplaced:
    """Arguments that do not go with a signature."""

    message: str
    at: Argument | None = None
    hint: str | None = None


Placement = list[tuple[Parameter, Argument | None]]


@rule(Apply)
def infer_apply(c: Checker, node: Apply) -> Type:
    if node.method and node.name == "files":
        c.expect_input(node.args[0].value, lambda t: t is DIR)
    callee = lookup("dict") if node.braces else c.function_named(node.name)
    if callee is None:
        unknown_function(c, node)
        return UNKNOWN
    c.tables.callees[node] = callee
    if isinstance(callee, Function):
        _note_call(c, callee, node)
    elif node.name == "format" and node.args and isinstance(node.args[0].value, Literal):
        c.templates.add(node.args[0].value)
    entries = note_entries(c, node.args) if isinstance(callee, Builtin) and callee.name == "dict" else []
    signatures = signatures_of(callee)
    given = _types_of_arguments(c, node, signatures)
    if (meant := of_wrong_keys(c, entries)) is not None:
        return meant
    fitting = _fitting(c, node, signatures, given)
    if fitting is None:
        _complain(c, node, callee, signatures, given)
        return UNKNOWN
    signature, placement, bound = fitting
    c.tables.arguments[node] = tuple([None if a is None else a.value for _, a in placement])
    for parameter, argument in placement:
        if isinstance(parameter.type, FunctionOf) and argument is not None and not _check_function(c, argument, parameter.type, bound):
            return UNKNOWN
    if UNKNOWN in given.values() and len({str(s.result) for s in signatures}) > 1:
        return UNKNOWN
    return _sharpened(callee, placement, given) or substitute(signature.result, bound)


def _note_call(c: Checker, callee: Function, node: Apply | Name) -> None:
    if c.current is not None and callee is c.current:
        c.own_calls.append(node)
        if callee.node.depth is None:
            hint = (
                f"say how deep it may go: fn {callee.node.name}(…) -> {'T' if callee.result is UNKNOWN else callee.result} depth 5 {{ … }}"
            )
            span = node.name_span if isinstance(node, Apply) else node.span
            c.error("recursion", span, f"{callee.node.name} calls itself, but does not say how deep", hint)
    if callee.effectful:
        c.reaches = True


def signatures_of(callee: Callee) -> tuple[Signature, ...]:
    """The signatures of a function; a declared one has one."""
    if isinstance(callee, Builtin):
        return callee.signatures
    written = callee.node.params
    params = [Parameter(n, t, None if p.default is None else "…") for (n, t), p in zip(callee.params, written, strict=True)]
    return (Signature(tuple(params), callee.result),)


# ---- which argument goes where ----


def _place(signature: Signature, args: tuple[Argument, ...]) -> Placement | _Misplaced:
    """The argument of each parameter, in order; a variadic's further ones after."""
    params = signature.params
    placed: list[Argument | None] = [None] * len(params)
    more: Placement = []
    position = 0
    for argument in args:
        if argument.name is None:
            if position < len(params):
                placed[position] = argument
            elif signature.variadic:
                more.append((params[-1], argument))
            else:
                return _Misplaced(_arity(params, len(args)), argument)
            position += 1
            continue
        at = next((i for i, p in enumerate(params) if p.name == argument.name), None)
        if at is None:
            close = similar(argument.name, [p.name for p in params])
            names = listing(p.name for p in params)
            hint = f"did you mean {close}?" if close else f"its parameters are {names}" if params else "it takes no arguments"
            return _Misplaced(f"has no parameter {argument.name}", argument, hint)
        if placed[at] is not None:
            return _Misplaced(f"is given {argument.name} twice", argument)
        placed[at] = argument
    for parameter, found in zip(params, placed, strict=True):
        if found is None and parameter.default is None:
            if signature.variadic and parameter is params[-1] and len(params) > 1:
                continue
            return _Misplaced(f"lacks {parameter.name}: it {_arity(params, len(args))}")
    return [*zip(params, placed, strict=True), *more]


def _arity(params: tuple[Parameter, ...], given: int) -> str:
    least = sum(p.default is None for p in params)
    wanted = str(least) if least == len(params) else f"{least} to {len(params)}"
    return f"takes {wanted} argument{'' if wanted == '1' else 's'}, not {given}"


def _types_of_arguments(c: Checker, node: Apply, signatures: tuple[Signature, ...]) -> dict[Argument, Type]:
    """Types of the arguments, but of lambdas and of names that stand for a function."""
    given: dict[Argument, Type] = {}
    for argument in node.args:
        value = argument.value
        if isinstance(value, Lambda):
            continue
        if isinstance(value, Name) and _stands_for_function(c, node, argument, value, signatures):
            continue
        given[argument] = c.infer(value)
    return given


def _stands_for_function(c: Checker, node: Apply, argument: Argument, value: Name, signatures: tuple[Signature, ...]) -> bool:
    wanted = False
    for signature in signatures:
        placement = _place(signature, node.args)
        if not isinstance(placement, _Misplaced):
            wanted = wanted or any(a is argument and isinstance(p.type, FunctionOf) for p, a in placement)
    return wanted and c.function_named(value.name) is not None


def _fitting(
    c: Checker, node: Apply, signatures: tuple[Signature, ...], given: dict[Argument, Type]
) -> tuple[Signature, Placement, Bindings] | None:
    """The first signature that takes these arguments, with the variables that they bind."""
    placements = [(s, p) for s in signatures if not isinstance(p := _place(s, node.args), _Misplaced)]
    callee = c.tables.callees.get(node)
    if isinstance(callee, Builtin):
        wanted = {a: [p.type for _, placed in placements for p, other in placed if other is a] for a in given}
        given = {a: taken_as(c, callee, node.args, a, t, wanted[a]) for a, t in given.items()}
    for signature, placement in placements:
        bound: Bindings = {}
        if all(_takes(c, p, a, given, bound) for p, a in placement) and _ordered(bound):
            return signature, placement, bound
    return None


def _takes(c: Checker, parameter: Parameter, argument: Argument | None, given: dict[Argument, Type], bound: Bindings) -> bool:
    wanted = parameter.type
    if argument is None:  # an order that no key gives must be that of the items, which another signature says
        return not (isinstance(wanted, FunctionOf) and isinstance(wanted.result, Var) and wanted.result.name.startswith("O"))
    if argument not in given:
        if not isinstance(wanted, FunctionOf):
            return False
        value = argument.value
        return not isinstance(value, Lambda) or len(value.params) == len(wanted.params)
    type_ = given[argument]
    if wanted is JSON and type_ not in (UNKNOWN, NEVER):
        if parameter.name == "record" and not (type_ is JSON or isinstance(type_, RecordOf)):
            return False
        if parameter.name == "x" and type_ is not JSON:
            return False
    if parameter.default == "none" and type_ is NONE:
        return True
    return match(wanted, type_, bound) or c.conforms(argument.value, type_, wanted)


def _ordered(bound: Bindings) -> bool:
    return all(orderable(t) for name, t in bound.items() if name.startswith("O"))


# ---- functions as arguments ----


def _check_function(c: Checker, argument: Argument, wanted: FunctionOf, bound: Bindings) -> bool:
    """Types a lambda, or finds the signature of a named function, for a parameter that takes a function; binds what it gives."""
    params = [substitute(p, bound) for p in wanted.params]
    value = argument.value
    if isinstance(value, Lambda):
        result = c.infer_lambda(value, params)
        where: Expr = value.body
    elif isinstance(value, Name) and value not in c.tables.types:
        found = _result_of_named(c, value, params)
        if found is None:
            return False
        result, where = found, value
    else:
        return True
    if not match(wanted.result, result, bound) or not _ordered(bound):
        needs = "numbers or texts, which have an order" if isinstance(wanted.result, Var) else str(wanted.result)
        hint = f"give a default: {short(where)} ?? 0" if isinstance(result, Optional) else advice(where, result, TEXT)
        c.error("type", where.span, f"this is to give {needs}, not {result}", hint, looked_up(c, where))
        return False
    return True


def _result_of_named(c: Checker, name: Name, params: list[Type]) -> Type | None:
    callee = c.function_named(name.name)
    if callee is None:
        return None
    c.tables.callees[name] = callee
    if isinstance(callee, Function):
        _note_call(c, callee, name)
    for signature in signatures_of(callee):
        needed = sum(p.default is None for p in signature.params)
        if not needed <= len(params) <= len(signature.params) and not signature.variadic:
            continue
        bound: Bindings = {}
        if all(match(p.type, t, bound) for p, t in zip(signature.params, params, strict=False)) and _ordered(bound):
            return substitute(signature.result, bound)
    shown = ", ".join(str(p) for p in params)
    c.error("type", name.span, f"{name.name} does not take ({shown})", f"write a lambda: x => {name.name}(…)")
    return None


# ---- what is wrong ----


def _complain(c: Checker, node: Apply, callee: Callee, signatures: tuple[Signature, ...], given: dict[Argument, Type]) -> None:
    """Why no signature takes the arguments: what is wrong with the one at fault, or what was given and what is accepted."""
    for argument in node.args:  # what stands in a lambda has its mistakes, too
        if isinstance(argument.value, Lambda):
            c.infer_lambda(argument.value, [UNKNOWN] * len(argument.value.params))
    placements = [(s, p) for s in signatures if not isinstance(p := _place(s, node.args), _Misplaced)]
    if not placements:
        misplaced = _place(signatures[0], node.args)
        if isinstance(misplaced, _Misplaced):
            several = len(signatures) > 1
            hint = habits.argument_hint(node.name, misplaced.at.name if misplaced.at else None)
            hint = hint or (f"it is {_written(callee)}" if several or misplaced.hint is None else misplaced.hint)
            message = misplaced.message
            if several and (misplaced.at is None or misplaced.at.name is None):
                message = f"does not take {len(node.args)} argument{'' if len(node.args) == 1 else 's'}"
            one = in_one_list(node)
            fix = None if one is None else Fix(node.span, one, sure=False)
            c.error("arguments", misplaced.at.span if misplaced.at else node.name_span, f"{node.name} {message}", hint, fix)
        return
    for argument, found in given.items():
        if isinstance(found, Optional) and _fitting(c, node, signatures, {**given, argument: found.item}) is not None:
            if isinstance(argument.value, Expr):
                c.optional_misused(argument.value, found)
            return
    if _names_field(c, node, placements, given) or _lacks_order(c, node, given):
        return
    _signature, placement = _nearest(c, placements, given)
    for parameter, placed in placement:
        bound: Bindings = {}
        _bind_others(placement, placed, given, bound)
        if placed is not None and not (_takes(c, parameter, placed, given, bound) and _ordered(bound)):
            _complain_of(c, node, callee, signatures, parameter, placed, given, bound)
            return
    shown = ", ".join(str(t) for t in given.values())
    c.error("arguments", node.name_span, f"{node.name} does not take ({shown})", f"it is {_written(callee)}")


def _by_field(node: Apply, value: Expr, given: dict[Argument, Type]) -> str:
    """What to write where a function is wanted and something else given: a field's name, as other languages take it."""
    type_ = given.get(node.args[0])
    item = item_of(type_) if isinstance(type_, (ListOf, Tuple)) else None
    name = value.value if isinstance(value, Literal) else None
    if isinstance(item, RecordOf) and isinstance(name, str) and item.get(name) is not None:
        return f"write x => x.{name}"
    return f"write a lambda: {node.name}(…, x => …)"


def _names_field(c: Checker, node: Apply, placements: list[tuple[Signature, Placement]], given: dict[Argument, Type]) -> bool:
    """Reports `sorted(rows, key="size")`."""
    if not node.args or not isinstance(given.get(node.args[0]), (ListOf, Tuple)):
        return False
    for _, placement in placements:
        for parameter, argument in placement:
            if argument is not None and isinstance(parameter.type, FunctionOf) and given.get(argument) is TEXT:
                value = argument.value
                if isinstance(value, Expr):
                    c.error("arguments", value.span, f"{node.name} takes a function here, not text", _by_field(node, value, given))
                    return True
    return False


def _lacks_order(c: Checker, node: Apply, given: dict[Argument, Type]) -> bool:
    """Reports `sorted(records)` and the like."""
    if node.name not in ("sorted", "max", "min", "argmax", "argmin") or not node.args or any(a.name == "key" for a in node.args):
        return False
    argument = node.args[0]
    type_ = given.get(argument)
    if not isinstance(type_, (ListOf, Tuple)) or orderable(item_of(type_)) or isinstance(argument.value, Lambda):
        return False
    item = item_of(type_)
    name = short(argument.value)
    hint = f"say by what: {node.name}({name}, key=x => …)"
    if isinstance(item, Optional) and orderable(item.item):
        hint = f"leave out what is none: {node.name}([x for x in {name} if x != none])"
    c.error("arguments", argument.value.span, f"numbers and texts have an order, {item} has none", hint)
    return True


def _nearest(c: Checker, placements: list[tuple[Signature, Placement]], given: dict[Argument, Type]) -> tuple[Signature, Placement]:
    """The signature that takes the most arguments."""

    def taken(candidate: tuple[Signature, Placement]) -> int:
        bound: Bindings = {}
        placed = [(p, a) for p, a in candidate[1] if a is not None]
        functions = sum(isinstance(p.type, FunctionOf) and isinstance(a.value, Lambda) for p, a in placed)
        return functions + sum(_takes(c, p, a, given, bound) for p, a in placed)

    return max(placements, key=taken)


def _bind_others(placement: Placement, but: Argument | None, given: dict[Argument, Type], bound: Bindings) -> None:
    for parameter, argument in placement:
        if argument is but:
            return
        if argument in given:
            match(parameter.type, given[argument], bound)


def _complain_of(
    c: Checker,
    node: Apply,
    callee: Callee,
    signatures: tuple[Signature, ...],
    parameter: Parameter,
    argument: Argument,
    given: dict[Argument, Type],
    bound: Bindings,
) -> None:
    value = argument.value
    if isinstance(value, Lambda):
        if isinstance(parameter.type, FunctionOf):
            count = len(parameter.type.params)
            message = f"{node.name} gives its function {count} argument{'s' if count > 1 else ''}, not {len(value.params)}"
            c.error("arguments", value.span, message)
        else:
            instead = habits.function_given_hint(node.name, [short(a.value) for a in node.args], value)
            c.error("arguments", value.span, f"{node.name} takes no function here", instead or f"it is {_written(callee)}")
        return
    type_ = given.get(argument, UNKNOWN)
    wanted = substitute(parameter.type, bound)
    if isinstance(type_, FunctionOf) or isinstance(parameter.type, FunctionOf):
        c.error("arguments", value.span, f"{node.name} takes a function here, not {type_}", _by_field(node, value, given))
        return
    accepted = _accepted(signatures, parameter, wanted)
    missing = _missing_fields(type_, wanted)
    message = f"{node.name} takes {accepted} as {parameter.name}, not {type_}"
    others = bound.get(parameter.type.name, type_) if isinstance(parameter.type, Var) else type_
    if hull(others, type_) is None:
        message = f"{node.name}: {others} and {type_} do not go together"
    if missing:
        message = f"{node.name}: the record for {parameter.name} lacks {listing(missing)}"
    hint = habits.wrong_argument_hint(node.name, type_, short(value)) or advice(value, type_, wanted)
    fix: Fix | str | None = habits.same_argument(node.name, type_, value.span.text) or converted(value, type_, wanted)
    if node.name == "sum" and isinstance(value, Filter) and isinstance(type_, ListOf) and not fits(type_.item, FLOAT):
        hint, fix = "how many there are is len([…])", Fix(node.span, f"len({_in_brackets(value)})")  # what Python's generators are used for
    if node.name == "flatten" and isinstance(type_, ListOf) and not isinstance(type_.item, (ListOf, Tuple, Var)):
        hint, fix = f"it is flat already: {short(value)}", Fix(node.span, whole(value))
    hint = hint or (f"it is {_written(callee)}" if len(signatures) > 1 else None)
    c.error("type", value.span, message, hint, fix, likely(value, type_, wanted))


def _in_brackets(node: Filter) -> str:
    """The text of a filter as a list, which in an argument may lack its brackets."""
    text = node.span.text
    return text if text.startswith(("[", "filter")) else f"[{text}]"


def _missing_fields(given: Type, wanted: Type) -> list[str]:
    if not isinstance(given, RecordOf) or not isinstance(wanted, RecordOf):
        return []
    return [n for n, t in wanted.fields if given.get(n) is None and not isinstance(t, Optional)]


def _accepted(signatures: tuple[Signature, ...], parameter: Parameter, wanted: Type) -> str:
    """What may stand for a parameter, in all signatures where it is the same one by position."""
    if len(signatures) == 1 and not isinstance(parameter.type, (Var, ListOf)):
        return str(wanted)
    at = next((i for s in signatures for i, p in enumerate(s.params) if p is parameter), 0)
    kinds = [_kind(s.params[at]) for s in signatures if at < len(s.params)]
    return " or ".join(dict.fromkeys(k for k in kinds if k != "json")) or "json"


def _kind(parameter: Parameter) -> str:
    """What a parameter takes, in words where it is of a variable type."""
    type_ = parameter.type
    if type_ is JSON and parameter.name == "record":
        return "a record"
    if isinstance(type_, Var):
        return "a number or text" if type_.name.startswith("O") else "anything"
    if isinstance(type_, ListOf) and isinstance(type_.item, Var):
        return "a list of numbers or texts" if type_.item.name.startswith("O") else "a list"
    if isinstance(type_, ListOf) and isinstance(type_.item, ListOf) and isinstance(type_.item.item, Var):
        return "a list of lists"
    return str(type_)


def _written(callee: Callee) -> str:
    """How a function is written, for a hint."""
    if isinstance(callee, Builtin):
        return " or ".join(callee.texts[:4])
    params = ", ".join(
        f"{n}: {t}{'' if p.default is None else ' = …'}" for (n, t), p in zip(callee.params, callee.node.params, strict=True)
    )
    return f"{callee.node.name}({params}) -> {callee.result}"


def _sharpened(callee: Callee, placement: Placement, given: dict[Argument, Type]) -> Type | None:
    """The result of `get values items` on a record whose fields are known, which no signature can say."""
    if not isinstance(callee, Builtin) or callee.name not in ("dict", "get", "values", "items"):
        return None
    if callee.name == "dict":
        return DictOf(NEVER) if ListOf(NEVER) in given.values() else None
    whole = placement[0][1]
    record = given.get(whole) if whole is not None else None
    if not isinstance(record, RecordOf):
        return None
    item = hull_of_items([t for _, t in record.fields])
    if callee.name == "values":
        return ListOf(item)
    if callee.name == "items":
        return ListOf(Tuple((TEXT, item)))
    at, default = placement[1][1], placement[2][1] if len(placement) > 2 else None
    if at is None or not isinstance(at.value, Literal) or not isinstance(at.value.value, str):
        return None
    found = record.get(at.value.value)
    if not isinstance(found, Optional):
        return found
    return hull(found.item, NONE if default is None else given[default])
