"""Types of the forms over lists: map, filter, reduce, fold, first."""

from __future__ import annotations

from rlmlang.check.advice import short, whole
from rlmlang.check.checker import Checker, Facts, rule
from rlmlang.check.expressions import take_apart
from rlmlang.check.meant import taken_in_twos
from rlmlang.check.scope import Scope
from rlmlang.check.unify import fits, hull, item_of
from rlmlang.syntax.diagnostics import Fix
from rlmlang.syntax.nodes import Binary, Expr, Filter, First, Fold, Map, Name, Reduce
from rlmlang.syntax.walk import walk
from rlmlang.types import DIR, FILE, FLOAT, INT, JSON, NEVER, TEXT, UNKNOWN, DictOf, Enum, ListOf, Optional, RecordOf, Tuple, Type

_TRIALS = 3  # folds within folds that may be typed twice: each doubles the work


def items_of(c: Checker, source: Expr) -> Type:
    """Types `source` as a list to go through, and gives the type of its items: of a dict, its keys."""
    c.expect_input(source, lambda t: isinstance(t, (ListOf, Tuple)))
    given = c.infer(source)
    if isinstance(given, (ListOf, Tuple)):
        return item_of(given)
    if given in (UNKNOWN, NEVER):
        return UNKNOWN
    if c.as_dict(source, given) is not None:
        return TEXT
    name = short(source)
    if isinstance(given, Optional):
        if isinstance(given.item, (ListOf, Tuple)):
            c.error("optional", source.span, f"this may be none: it is {given}", f"give a default: {name} ?? []")
            return UNKNOWN
        if isinstance(given.item, DictOf):
            c.optional_misused(source, given)
            return UNKNOWN
        given = given.item
    hint = fix = guess = None
    if given is TEXT or isinstance(given, Enum):
        hint = f"cut it first: lines({name}), words({name}), or chunks({name}, 4000)"
        guess = f"lines({source.span.text})"
    elif given is INT:
        hint, fix = f"write range({name})", f"range({source.span.text})"
    elif given is DIR:
        hint, fix = f'write {name}.files("**/*")', f'{whole(source)}.files("**/*")'
    elif given is FILE:
        hint = f"write lines({name}.text), or chunks({name}.text, 4000)"
    elif isinstance(given, RecordOf):
        lists = [n for n, t in given.fields if isinstance(t, (ListOf, Tuple))]
        hint = f"write {name}.{lists[0]}" if lists else f"write items({name}) for its names and values"
    elif given is JSON:
        hint = "ask for a list where it comes from: call … -> [text]"
    c.error("not-a-list", source.span, f"only a list has items to go through, not {given}", hint, fix, guess)
    return UNKNOWN


def _scope_of(c: Checker, node: Map | Filter, item: Type) -> Scope:
    target = node.target
    if len(target) == 1:
        types: tuple[Type, ...] = (item,)
    elif isinstance(item, RecordOf):
        fields = [n for n, _ in item.fields]
        example = f"for x in {short(node.source)}, then x.{fields[0]}" if fields else None
        guess = taken_in_twos(target, node.source)
        c.error(
            "unpack", node.source.span, f"its items are records; they cannot be taken apart into {', '.join(target)}", example, guess=guess
        )
        types = (UNKNOWN,) * len(target)
    else:
        if item is FILE or item is TEXT or isinstance(item, Enum):
            of = c.tables.types.get(node.source)
            if of is not None and len(target) == 2 and c.as_dict(node.source, of) is not None:
                hint, fix = (
                    f"write for {', '.join(target)} in {short(node.source)}.items()",
                    Fix(node.source.span, f"{whole(node.source)}.items()"),
                )
                c.error("unpack", node.source.span, "going through a dict gives its keys", hint, fix)
                return c.names_for(target, (UNKNOWN,) * 2, node.span)
            hint = f"for the position as well: for {', '.join(target)} in enumerate({short(node.source)})"
            message = f"its items are {item}; they cannot be taken apart into {', '.join(target)}"
            c.error("unpack", node.source.span, message, hint, guess=taken_in_twos(target, node.source))
            item = UNKNOWN
        types = take_apart(c, item, target, node.source)
    return c.names_for(target, types, node.span)


@rule(Map)
def infer_map(c: Checker, node: Map) -> Type:
    scope = _scope_of(c, node, items_of(c, node.source))
    if node.position is not None:
        scope.names[node.position] = c.names_for((node.position,), (INT,), node.span).names[node.position]
    body = c.infer_in(scope, node.body)
    if not node.flatten:
        return ListOf(body)
    return ListOf(item_of(body)) if isinstance(body, (ListOf, Tuple)) else UNKNOWN


@rule(Filter)
def infer_filter(c: Checker, node: Filter) -> Type:
    item = items_of(c, node.source)
    scope = _scope_of(c, node, item)
    given = c.tables.types[node.source]
    most = given.most if isinstance(given, ListOf) else None
    return ListOf(_kept(c, node.target, scope, item, node.condition), most)


def _kept(c: Checker, target: tuple[str, ...], scope: Scope, item: Type, condition: Expr) -> Type:
    """Types a condition on items, and gives the type of those that pass: what it has shown not to be none, is not."""
    outer, c.scope = c.scope, scope
    try:
        c.condition(condition)
        facts = c.shown(condition, True)
    finally:
        c.scope = outer
    if not facts:
        return item
    narrowed = [_narrowed(scope, name, facts) for name in target]
    if len(target) == 1:
        return narrowed[0]
    return Tuple(tuple(narrowed)) if isinstance(item, Tuple) and len(item.items) == len(target) else item


def _narrowed(scope: Scope, name: str, facts: Facts) -> Type:
    variable = scope.names[name]
    found = facts.get((variable,), variable.type)
    if isinstance(found, RecordOf):
        fields = tuple([(n, facts.get((variable, n), t)) for n, t in found.fields])
        return RecordOf(fields) if fields != found.fields else found
    return found


@rule(First)
def infer_first(c: Checker, node: First) -> Type:
    count = c.infer(node.count)
    c.expect(node.count, count, INT, f"`first` takes how many as an int, not {count}")
    item = items_of(c, node.source)
    scope = c.names_for((node.item,), (item,), node.span)
    return ListOf(_kept(c, (node.item,), scope, item, node.condition))


@rule(Reduce)
def infer_reduce(c: Checker, node: Reduce) -> Type:
    item = items_of(c, node.source)
    if node.initial is not None:
        initial = c.infer(node.initial)
        joined = hull(item, initial)
        if joined is None:
            hint = f"a value that grows item by item: fold total, x in {short(node.source)} from {short(node.initial)} {{ … }}"
            c.error("type", node.initial.span, f"the value for an empty list is {initial}, its items are {item}", hint)
        else:
            item = joined
    return _stepped(c, node, (node.left, node.right), item, None)


@rule(Fold)
def infer_fold(c: Checker, node: Fold) -> Type:
    item = items_of(c, node.source)
    return _stepped(c, node, (node.accumulator, node.item), c.infer(node.initial), item)


def _stepped(c: Checker, node: Reduce | Fold, names: tuple[str, str], state: Type, item: Type | None) -> Type:
    """The type that a body keeps: found from where it starts, widened once if the body says so (`fold all, x in xs from []
    { all + [x] }`)."""
    mark, variables = c.report.mark(), len(c.variables)
    c.trials += 1
    body = c.infer_in(_two(c, node, names, state, item), node.body)
    c.trials -= 1
    if isinstance(node, Reduce) and isinstance(state, RecordOf) and body is UNKNOWN and _only_operands(c, mark):
        c.report.rollback(mark)
        c.error("operands", node.body.span, f"reduce makes one item of two, and these are records: {state}", _adds_up(node), _as_sum(node))
        return UNKNOWN
    if c.conforms(node.body, body, state) and state is not NEVER:
        return state if body is not NEVER or state is not UNKNOWN else body
    wider = hull(state, body)
    if wider is None and isinstance(node, Fold) and isinstance(body, DictOf) and c.conforms(node.initial, state, body):
        wider = body
    if wider is not None and c.trials < _TRIALS:
        c.report.rollback(mark)
        del c.variables[variables:]
        c.trials += 1
        body = c.infer_in(_two(c, node, names, wider, item), node.body)
        c.trials -= 1
        state = wider
    if not fits(body, state) and not c.conforms(node.body, body, state):
        what = "merges items that are" if isinstance(node, Reduce) else f"keeps {names[0]}, which is"
        hint, fix = "the value has the same type at every step", None
        if isinstance(node, Reduce) and body in (INT, FLOAT):
            hint, fix = _adds_up(node), _as_sum(node)
        c.error("type", node.body.span, f"this {what} {state}, but gives {body}", hint, fix)
    return state


def _adds_up(node: Reduce) -> str:
    """What to write instead of a reduce that was to add up: its own sum, where its body says what is added."""
    xs, added = short(node.source), _added(node)
    if added is not None and short(added) != "x":
        return f"to add up, write sum({short(added)} for {node.right} in {xs})"
    return f"to add up, write sum([… for x in {xs}]), or fold total, x in {xs} from 0 {{ total + … }}"


def _as_sum(node: Reduce) -> Fix | None:
    added = _added(node)
    return None if added is None else Fix(node.span, f"sum({added.span.text} for {node.right} in {node.source.span.text})")


def _added(node: Reduce) -> Expr | None:
    """What is added for each item, where the body is a sum of what there is so far and something of the item."""
    body = node.body
    if not isinstance(body, Binary) or body.op != "+":
        return None
    names = {name.name for name in walk(body.right) if isinstance(name, Name)}
    return body.right if node.right in names and node.left not in names else None


def _only_operands(c: Checker, mark: int) -> bool:
    """Whether what was found wrong since `mark` is what operators were given, and nothing else."""
    found = c.report.since(mark)
    return bool(found) and all(d.code == "operands" for d in found)


def _two(c: Checker, node: Reduce | Fold, names: tuple[str, str], state: Type, item: Type | None) -> Scope:
    return c.names_for(names, (state, state if item is None else item), node.span)
