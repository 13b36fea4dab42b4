"""How the formatter writes the forms: choices, calls of models, maps and their like, comprehensions."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from rlmlang.syntax import nodes as n
from rlmlang.syntax.format_expressions import KEYWORDS, Writer, applied, arguments, record_item
from rlmlang.syntax.layout import EMPTY, HARD, SOFT, SPACE, Choice, Doc, Group, Indent, Text, concat, group, headed, indent
from rlmlang.syntax.precedence import CHOICE, EXPR, FENCED, POSTFIX, SUM, TEST, WIDE, is_bracketed, is_many, level

if TYPE_CHECKING:
    from rlmlang.syntax.formatter import Braces, Formatter


def _choice_or_block(f: Formatter, node: n.If, tail: bool) -> Doc:
    return _if_block(f, node) if node.block else _choice(f, node)


def _choice(f: Formatter, node: n.If) -> Doc:
    """`A if C else B if D else E`"""
    start, rest = _alternative(f, node), []
    here: n.Expr = node
    while isinstance(here, n.If) and not here.block:
        paired = isinstance(here.then, n.If) and isinstance(here.orelse, n.If)  # both in parentheses, or it reads badly
        here = here.orelse
        rest += [f.comments.gap(here.span.start, SPACE), Text("else ")]
        if isinstance(here, n.If) and level(here) == CHOICE and not paired:
            rest.append(_alternative(f, here))
            continue
        rest.append(f.expr(here, FENCED) if paired else f.expr(here, CHOICE))
        break
    return group(start, indent(*rest))


def _alternative(f: Formatter, node: n.If) -> Doc:
    """`A if C`"""
    bracketed = isinstance(node.then, n.If)
    then = f.expr(node.then, FENCED) if bracketed else f.expr(node.then, WIDE if is_many(node.then) else TEST)
    return concat(then, headed(" if", f.lead(node.condition), f.expr(node.condition, TEST)))


def _if_block(f: Formatter, node: n.If) -> Doc:
    heads: list[Doc] = []
    branches: list[Braces] = []
    here: n.Expr = node
    before: Doc = EMPTY
    while isinstance(here, n.If) and here.block:
        lead = f.lead(here.condition)
        head = _header("if", here.condition, lead, f.expr(here.condition, _condition(here.condition)))
        heads.append(concat(before, head, " "))
        branches.append(f.braces(here.then))
        value = here.then.value if isinstance(here.then, n.Block) else here.then
        brace = f.comments.closer(value.span.end, "}")
        before = concat(f.comments.gap(f.comments.at_else(brace), Text(" ")), "else ")
        here = here.orelse
    heads.append(before)
    branches.append(f.braces(here))

    def written(line: Doc) -> Doc:
        return concat(*(part for head, branch in zip(heads, branches, strict=True) for part in (head, branch.doc(line))))

    if len(branches) > 2 or branches[0].forced or not _is_plain(node.then):
        return Group(written(SPACE))
    # a plain value in front stays on the line of its condition: `if done { xs[0] } else {`
    guard = concat(Group(concat(heads[0], branches[0].doc(SPACE))), heads[1], branches[1].doc(HARD))
    return Choice((guard,)) if branches[1].forced else Choice((Group(written(SPACE)), guard))


def _otherwise(f: Formatter, node: n.Otherwise, tail: bool) -> Doc:
    value = f.expr(node.value, WIDE if level(node) == WIDE else EXPR)
    comments = f.comments.doc(node.fallback.span.start)
    is_skip = isinstance(node.fallback, n.Name) and node.fallback.name == "skip"
    fallback = f.expr(node.fallback, FENCED) if is_skip else f.expr(node.fallback, CHOICE)
    if comments is not None:
        return concat(value, " otherwise", indent(comments, HARD, fallback))
    own_lines = fallback.forced or isinstance(node.fallback, (n.ListExpr, n.Record, n.Map, n.Filter))
    return concat(value, " otherwise", *([" ", fallback] if own_lines else [group(indent(SPACE, fallback))]))


def _sub_call(f: Formatter, node: n.Call | n.Solve, tail: bool) -> Doc:
    word = "call" if isinstance(node, n.Call) else "solve"
    more = bool(node.data or node.type or node.options)
    parts = [headed(word, f.lead(node.prompt), f.expr(node.prompt, TEST, tail=tail or more))]
    if node.data:
        follows = tail or bool(node.type or node.options)
        parts += [Text(" "), _data(f, node, follows)]
    if node.type:
        parts += [Text(" "), headed("->", f.lead(node.type), f.type_(node.type))]
    if node.options:
        end = f.comments.closer(node.options[-1].span.end, "}")
        parts += [Text(" with "), f.listed("{", node.options, partial(record_item, f), "}", end)]
    return concat(*parts)


def _data(f: Formatter, node: n.Call | n.Solve, tail: bool) -> Doc:
    data = node.data
    if data[0].name:
        return concat("on ", f.listed("{", data, partial(record_item, f), "}", f.comments.closer(data[-1].value.span.end, "}")))
    parts: list[Doc] = []
    for at, datum in enumerate(data, 1):
        apart = isinstance(datum.value, (n.Call, n.Solve)) or (isinstance(datum.value, n.Record) and len(data) == 1)
        lead = f.lead(datum)
        written = f.expr(datum.value, FENCED if apart else TEST, tail=tail or at < len(data))
        if at == 1:
            parts.append(headed("on", lead, written))
        else:
            parts += [Text(","), SPACE if lead is None else concat(lead, HARD), written]
    return group(indent(*parts))


def _map(f: Formatter, node: n.Map, tail: bool) -> Doc:
    if is_bracketed(node):
        return _comprehension(f, node)
    names = node.target[0] if node.position is None else f"{node.position}, {node.target[0]}"
    return concat(
        _header(f"map {names} in", node.source, f.lead(node.source), f.expr(node.source, TEST)),
        " ",
        f.block(node.body),
        _skip(node),
    )


def _filter(f: Formatter, node: n.Filter, tail: bool) -> Doc:
    if len(node.target) > 1 or KEYWORDS.intersection(node.target):
        return concat(_functional(f, node, "filter", node.target, node.condition, node.source), _skip(node))
    if is_bracketed(node):
        return _comprehension(f, node)
    return concat(
        _header(f"filter {node.target[0]} in", node.source, f.lead(node.source), f.expr(node.source, TEST)),
        " ",
        f.block(node.condition),
        _skip(node),
    )


def _reduce(f: Formatter, node: n.Reduce, tail: bool) -> Doc:
    names = (node.left, node.right)
    if node.initial or KEYWORDS.intersection(names):
        return _functional(f, node, "reduce", names, node.body, node.source, *([node.initial] if node.initial else []))
    return concat(
        _header(f"reduce {', '.join(names)} in", node.source, f.lead(node.source), f.expr(node.source, TEST)),
        " ",
        f.block(node.body),
    )


def _fold(f: Formatter, node: n.Fold, tail: bool) -> Doc:
    names = (node.accumulator, node.item)
    if KEYWORDS.intersection(names):
        return _functional(f, node, "fold", names, node.body, node.source, node.initial)
    source = _header(f"fold {', '.join(names)} in", node.source, f.lead(node.source), f.expr(node.source, TEST))
    start = _header(" from", node.initial, f.lead(node.initial), f.expr(node.initial, TEST))
    return concat(source, start, " ", f.block(node.body))


def _functional(f: Formatter, node: n.Expr, name: str, params: tuple[str, ...], body: n.Expr, *others: n.Expr) -> Doc:
    """`reduce((a, b) => E, xs)`, where the other spellings cannot say it."""
    function = n.Argument(body.span, n.Lambda(body.span, params, body))
    return concat(name, arguments(f, [function, *(n.Argument(other.span, other) for other in others)], node.span.end))


def _first(f: Formatter, node: n.First, tail: bool) -> Doc:
    head = concat("first ", f.expr(node.count, POSTFIX), f" {node.item} in")
    source = headed(head, f.lead(node.source), f.expr(node.source, TEST))
    lead = f.lead(node.condition)
    return concat(source, headed(" where", lead, f.expr(node.condition, TEST, tail=tail)))


def _fail(f: Formatter, node: n.Fail, tail: bool) -> Doc:
    return headed("fail", f.lead(node.message), f.expr(node.message, TEST, tail=tail))


def _apply(f: Formatter, node: n.Apply, tail: bool) -> Doc:
    pairs = node.args[0].value if node.braces else None
    return _comprehension(f, pairs, braces=True) if isinstance(pairs, n.Map) else applied(f, node)


def _entry(f: Formatter, entry: n.Expr, skip: bool) -> Doc:
    """`K: V` of a dict."""
    assert isinstance(entry, n.ListExpr)
    key, value = entry.items
    written = f.expr(key, SUM if _is_key(key) else FENCED)
    return concat(written, ": ", _skipped(f, value) if skip else f.expr(value, EXPR))


def _is_key(node: n.Expr) -> bool:
    """Whether it may stand bare before a colon."""
    if isinstance(node, n.Binary):
        return node.op in ("+", "-") and _is_key(node.left)
    if isinstance(node, n.FieldAccess):
        return not node.maybe and _is_key(node.base)
    if isinstance(node, (n.Index, n.Slice)):
        return _is_key(node.base)
    if isinstance(node, n.Apply):
        first = node.args[0].value if node.method else None
        return not node.braces and (not isinstance(first, n.Expr) or _is_key(first))
    return isinstance(node, (n.Name, n.FString)) or (isinstance(node, n.Literal) and isinstance(node.value, str))


def _skipped(f: Formatter, element: n.Expr) -> Doc:
    """`E otherwise skip` within a comprehension."""
    written = f.expr(element, FENCED) if isinstance(element, (n.Map, n.Filter)) else f.expr(element, EXPR)
    return concat(written, " otherwise skip")


def _comprehension(f: Formatter, node: n.Map | n.Filter, braces: bool = False) -> Doc:
    """`[E for x in XS if C for y in YS]`, in which a map within a map and the filters below them are clauses; with `braces`,
    `{K: V for …}`."""
    loops: list[tuple[tuple[str, ...], n.Expr, list[n.Expr]]] = []
    here: n.Expr = node
    while True:
        conditions: list[n.Expr] = []
        source = here
        element: n.Expr | None = None
        if isinstance(here, n.Map):
            source, element = here.source, here.body
        assert isinstance(here, (n.Map, n.Filter))
        # `[x for x in xs if c]` is the filter alone, so a map of x to itself keeps its filter apart
        itself = isinstance(element, n.Name) and (element.name,) == here.target
        while isinstance(source, n.Filter) and source.target == here.target and not itself and (source is here or _is_clause(source)):
            conditions.append(source.condition)
            source = source.source
        loops.append((here.target, source, conditions[::-1]))
        if not (isinstance(here, n.Map) and here.flatten):
            break
        here = here.body
    place = f.comments.gap(f.comments.inside(here.span.start) if element is None else element.span.start, SOFT)
    inner_skip = (here is not node or braces) and isinstance(here, n.Map) and here.skip
    parts: list[Doc] = [place]
    if element is None:
        parts.append(Text(here.target[0]))
    elif braces:
        parts.append(_entry(f, element, inner_skip))
    elif inner_skip:
        parts.append(_skipped(f, element))
    else:
        parts.append(f.expr(element, WIDE))
    for target, source, conditions in loops:
        parts.append(f.comments.gap(source.span.start, SPACE))
        parts.append(headed(f"for {', '.join(target)} in", f.lead(source), f.expr(source, TEST)))
        for condition in conditions:
            parts.append(f.comments.gap(condition.span.start, SPACE))
            parts.append(concat("if ", f.expr(condition, _condition(condition))))
    if len(loops) == 1 and loops[0][2]:
        parts[1:4] = [group(*parts[1:4])]
    end = f.comments.closing(node.span.end, SOFT)
    if braces:
        return group("{", indent(*parts), end, "}")
    return concat(group("[", indent(*parts), end, "]"), _skip(node))


def _header(head: str, node: n.Expr, lead: Doc | None, written: Doc) -> Doc:
    """The same before a block, its lines of operators further in than the block's."""
    whole = headed(head, lead, written)
    return Indent(whole) if isinstance(node, (n.Binary, n.Logic, n.Default, n.Compare, n.If)) else whole


def _condition(node: n.Expr) -> int:
    """How loose a condition may be: a call with several data stands bare."""
    return WIDE if is_many(node) else TEST


def _skip(node: n.Map | n.Filter) -> str:
    return " otherwise skip" if node.skip else ""


def _is_clause(node: n.Filter) -> bool:
    return node.comprehension and not isinstance(node.condition, n.Block) and not node.skip


def _is_plain(node: n.Expr) -> bool:
    while isinstance(node, (n.FieldAccess, n.Index)):
        node = node.base
    return isinstance(node, (n.Name, n.Literal))


FORMS: Final[dict[type[n.Expr], Writer]] = {
    n.If: _choice_or_block,
    n.Otherwise: _otherwise,
    n.Call: _sub_call,
    n.Solve: _sub_call,
    n.Map: _map,
    n.Filter: _filter,
    n.Reduce: _reduce,
    n.Fold: _fold,
    n.First: _first,
    n.Fail: _fail,
    n.Apply: _apply,
}
