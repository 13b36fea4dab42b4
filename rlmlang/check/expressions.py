"""Types of literals, names, lists, records, fields, texts, blocks and branches."""

from __future__ import annotations

import re

from rlmlang import limits
from rlmlang.check import habits
from rlmlang.check.advice import advice, short, whole
from rlmlang.check.checker import Checker, rule
from rlmlang.check.meant import condition_inside, item_with_most, value_itself
from rlmlang.check.report import listing, similar
from rlmlang.check.scope import Scope
from rlmlang.check.unify import FILE_FIELDS, has_field, hull, hull_of_items, is_data, item_of
from rlmlang.check.unknown import unknown_name
from rlmlang.check.written import BUILT_IN
from rlmlang.syntax.diagnostics import Fix
from rlmlang.syntax.nodes import (
    Bind,
    Block,
    Default,
    Expr,
    Fail,
    FieldAccess,
    FString,
    If,
    Index,
    Interpolation,
    ListExpr,
    Literal,
    Name,
    Otherwise,
    Record,
    RecordField,
    Slice,
    Unary,
    Unpack,
)
from rlmlang.types import (
    BOOL,
    DIR,
    FILE,
    FLOAT,
    INT,
    JSON,
    NEVER,
    NONE,
    TEXT,
    UNKNOWN,
    DictOf,
    Enum,
    ListOf,
    Optional,
    RecordOf,
    Tuple,
    Type,
    optional,
)

_SPEC = re.compile(r"(?:.?[<>=^])?([-+ ]?)(#?)(0?)(\d*)([,_]?)(?:\.(\d+))?([a-zA-Z%]?)", re.DOTALL)
_HOLE = re.compile(r"\{([A-Za-z_]\w*)\}")
_LITERAL_TYPES: dict[type, Type] = {str: TEXT, bool: BOOL, int: INT, float: FLOAT, type(None): NONE}


@rule(Literal)
def infer_literal(c: Checker, node: Literal) -> Type:
    if isinstance(node.value, str) and "{" in node.value and node not in c.templates:
        for hole in _HOLE.finditer(node.value):
            if c.scope.find(hole[1]) is not None:
                c.report.warn(
                    "missing-f",
                    node.span,
                    f"{hole[0]} is plain text here; {hole[1]} is not put in",
                    f'write an f before the text: f"… {hole[0]} …"',
                    f"f{node.span.text}" if node.span.text[0] in "\"'" else None,
                )
                break
    return _LITERAL_TYPES[type(node.value)]


@rule(Name)
def infer_name(c: Checker, node: Name) -> Type:
    variable = c.scope.find(node.name)
    if variable is None:
        unknown_name(c, node)
        return UNKNOWN
    variable.used = True
    if variable.hidden is not None:
        c.error("unknown-name", node.span, variable.hidden, "give it to the function as a parameter")
        return UNKNOWN
    c.tables.variables[node] = variable
    return c.facts.get((variable,), variable.type)


@rule(ListExpr)
def infer_list(c: Checker, node: ListExpr) -> Type:
    types = [c.infer(item) for item in node.items]
    if node in c.pairs:
        return Tuple(tuple(types))
    joined = hull_of_items(types)
    if joined is JSON and JSON not in types:
        for item, type_ in zip(node.items, types, strict=True):
            if not is_data(type_):
                c.error("type", item.span, f"a {type_} cannot stand in a list of mixed items", advice(item, type_, TEXT))
                return UNKNOWN
    return ListOf(joined)


@rule(Record)
def infer_record(c: Checker, node: Record) -> Type:
    fields: dict[str, Type] = {}
    unknown = False
    for part in node.items:
        if isinstance(part, RecordField) and part.span.start == part.value.span.start:
            c.short.add(part.value)
        given = c.infer(part.value)
        if isinstance(part, RecordField):
            fields[part.name] = given
        elif isinstance(given, RecordOf):
            for name, type_ in given.fields:
                before = fields.get(name)
                kept = before is not None and isinstance(type_, Optional)  # the spread may lack it
                fields[name] = (hull(before, type_) or JSON) if kept and before is not None else type_
        elif isinstance(given, Optional) and isinstance(given.item, RecordOf):
            c.error("optional", part.span, f"this may be none: it is {given}", f"write ...({short(part.value)} ?? {{…}}), or test it first")
            unknown = True
        else:
            unknown = True
            if given not in (UNKNOWN, NEVER):
                hint = "dicts are joined by their pairs: dict(items(a) + items(b))" if isinstance(given, DictOf) else None
                c.error("type", part.span, f"only a record can be spread, not {given}", hint)
    if len(fields) > limits.TYPE_FIELDS:
        c.error("limit", node.span, f"a record has at most {limits.TYPE_FIELDS} fields")
        return UNKNOWN
    return UNKNOWN if unknown else RecordOf(tuple(fields.items()))


@rule(FieldAccess)
def infer_field(c: Checker, node: FieldAccess) -> Type:
    if node.name == "files":
        c.expect_input(node.base, lambda t: t is DIR)
    base = c.infer(node.base)
    maybe = node.maybe and isinstance(base, Optional)
    if maybe and isinstance(base, Optional):
        base = base.item
    found = _field_of(c, node, base)
    if found is UNKNOWN:
        return UNKNOWN
    found = optional(found) if maybe else found
    path = c.path(node)
    return c.facts.get(path, found) if path is not None else found


def _field_of(c: Checker, node: FieldAccess, base: Type) -> Type:
    name, where = node.name, node.name_span
    if base in (UNKNOWN, NEVER):
        return UNKNOWN
    fields = dict(base.fields) if isinstance(base, RecordOf) else FILE_FIELDS if base is FILE else {}
    if name in fields:
        return fields[name]
    if isinstance(base, Optional):
        if isinstance(base.item, RecordOf) and base.item.get(name) is None:
            return _field_of(c, node, base.item)
        instead = f"write {short(node.base)}?.{name} (none where there is none), or test it first: if {short(node.base)} != none"
        maybe = Fix(node.span, f"{whole(node.base)}?.{name}", sure=False)
        c.error("optional", node.base.span, f"this may be none: it is {base}", instead, maybe)
        return UNKNOWN
    owner = short(node.base)
    close = similar(name, fields)
    hint = None if close else habits.field_hint(name, owner, base)
    if hint is None and base is JSON:
        hint = "json data is shown, compared and given to a model; ask for a type where it comes from: call … -> {…}"
    if hint is None and isinstance(base, (ListOf, Tuple)):
        item = item_of(base)
        if has_field(item, name):
            hint = f"each item has it: [x.{name} for x in {owner}], or {owner}[0].{name}"
    fix = None if close else habits.same_field(name, whole(node.base), base)
    guess = None if close is None else f"{whole(node.base)}.{close}"
    if fix is None and guess is None and (most := item_with_most(c, node.base, name)) is not None:
        hint, guess = f"the item itself comes of {most}", f"{most}.{name}"
    if hint is None and c.function_named(name) is not None:
        hint = f"{name} is a function: {owner}.{name}()"
        fix = fix or f"{whole(node.base)}.{name}()"
    if hint is None and base is TEXT and name == "text":
        hint, guess = f"it is a text itself: {owner}", value_itself(node.base, name, node in c.short)
    if hint is None and (base is TEXT or isinstance(base, Enum)):
        hint = f'a text has no fields; a model can say it, as in {{{name}: call "Which {name}?" on {owner}}}'
        asked = f'call "Which {name}?" on {whole(node.base)}'
        guess = f"{name}: {asked}" if node in c.short else f"({asked})"
    if hint is None and fields:
        hint = (f"did you mean {close}? " if close else "") + f"its fields are {listing(fields)}"
    if isinstance(base, DictOf) and hint is None:
        hint = fix = f'{whole(node.base)}["{name}"]'
        hint = f'the value of a key: {owner}["{name}"]'
    what = "a file" if base is FILE else "a dir" if base is DIR else "this record" if isinstance(base, RecordOf) else str(base)
    if fix is not None and node in c.short:
        fix = f"{name}: {fix}"
    meant = fix or guess
    c.error("unknown-field", where, f"{what} has no field {name}", hint, Fix(node.span, meant, sure=meant is fix) if meant else None)
    return UNKNOWN


@rule(Index)
def infer_index(c: Checker, node: Index) -> Type:
    base, index = c.infer(node.base), c.infer(node.index)
    if base in (UNKNOWN, NEVER):
        return UNKNOWN
    if isinstance(base, Optional):
        c.optional_misused(node.base, base)
        return UNKNOWN
    if isinstance(base, RecordOf) and (isinstance(node.index, Literal) or c.as_dict(node.base, base) is None):
        return _field_by_text(c, node, base)
    if isinstance(base, (DictOf, RecordOf)):
        found = c.as_dict(node.base, base)
        fits_key = c.expect(node.index, index, TEXT, f"a dict's keys are texts, not {index}")
        return found.value if fits_key and found is not None else UNKNOWN
    if not (base is TEXT or isinstance(base, (Enum, ListOf, Tuple))):
        hint = "ask for a type where it comes from: call … -> [text]" if base is JSON else None
        fix = None
        if isinstance(node.index, Literal) and isinstance(name := node.index.value, str):
            fix = Fix(node.span, value_itself(node.base, name, node in c.short), sure=False)
        c.error("type", node.base.span, f"only a list or a text has positions, not {base}", hint, fix)
        return UNKNOWN
    if not c.expect(node.index, index, INT, f"a position is an int, not {index}"):
        return UNKNOWN
    if isinstance(base, Tuple):
        return _item_of_tuple(c, node, base)
    return base.item if isinstance(base, ListOf) else TEXT


def _field_by_text(c: Checker, node: Index, base: RecordOf) -> Type:
    name = node.index.value if isinstance(node.index, Literal) else None
    if not isinstance(name, str):
        c.error(
            "type",
            node.index.span,
            "a record's field is named in the program",
            f"write {short(node.base)}.name, or make a dict of its names and values: dict(items({short(node.base)}))",
        )
        return UNKNOWN
    found = base.get(name)
    if found is None:
        close = similar(name, [n for n, _ in base.fields])
        hint = f"did you mean {close}?" if close else f"its fields are {listing(n for n, _ in base.fields)}"
        c.error("unknown-field", node.index.span, f"this record has no field {name}", hint, guess=f'"{close}"' if close else None)
        return UNKNOWN
    return found


def _item_of_tuple(c: Checker, node: Index, base: Tuple) -> Type:
    index, sign = node.index, 1
    if isinstance(index, Unary) and index.op == "-":
        index, sign = index.operand, -1
    if isinstance(index, Literal) and isinstance(index.value, int):
        at = sign * index.value
        if -len(base.items) <= at < len(base.items):
            return base.items[at]
        c.error("index", node.index.span, f"there is no position {at}: the list has {len(base.items)} items")
        return UNKNOWN
    return item_of(base)


@rule(Slice)
def infer_slice(c: Checker, node: Slice) -> Type:
    base = c.infer(node.base)
    for bound in (node.start, node.stop):
        if bound is not None:
            given = c.infer(bound)
            c.expect(bound, given, INT, f"a position is an int, not {given}")
    if base in (UNKNOWN, NEVER):
        return base
    if base is TEXT or isinstance(base, Enum):
        return TEXT
    if isinstance(base, (ListOf, Tuple)):
        return ListOf(item_of(base), base.most if isinstance(base, ListOf) else None)
    if isinstance(base, Optional):
        c.optional_misused(node.base, base)
    else:
        hint = f"write {short(node.base)}.items(), or .keys(), or .values(), which are lists" if isinstance(base, DictOf) else None
        c.error("type", node.base.span, f"only a list or a text has positions, not {base}", hint)
    return UNKNOWN


@rule(FString)
def infer_fstring(c: Checker, node: FString) -> Type:
    for part in node.parts:
        if isinstance(part, Interpolation):
            _check_interpolation(c, part, c.infer(part.value))
    return TEXT


def _check_interpolation(c: Checker, part: Interpolation, given: Type) -> None:
    if not is_data(given):
        c.error("type", part.value.span, f"{given} cannot be written into a text", advice(part.value, given, TEXT))
        return
    if part.spec is None or given in (UNKNOWN, NEVER):
        return
    spec = _SPEC.fullmatch(part.spec)
    if spec is None:
        c.error("format", part.span, f"{part.spec} is no format", "as in Python: {x:.2f}, {n:,}, {name:<20}")
        return
    if isinstance(given, Optional):
        c.optional_misused(part.value, given)
        return
    sign, alternate, _zero, width, comma, precision, kind = spec.groups()
    if max(int(width[:9] or 0), int((precision or "0")[:9])) > limits.FORMAT_WIDTH:
        c.error("format", part.span, f"a width or precision is at most {limits.FORMAT_WIDTH:,}")
        return
    numeric = given in (INT, FLOAT)
    if given is INT:
        allowed = "bcdeEfFgGnoxX%"
    elif given is FLOAT:
        allowed = "eEfFgGn%"
    else:
        allowed = "s" if given is TEXT or isinstance(given, Enum) else ""
    if kind and kind not in allowed:
        hint = f"write {{round({short(part.value)}):{part.spec}}}" if given is FLOAT and kind == "d" else None
        if given is TEXT and kind in "bcdeEfFgGnoxX%":
            hint = "make it a number first: float(…)"
        c.error("format", part.span, f"the format {part.spec} is not for {given}", hint)
    elif not numeric and (sign or alternate or comma):
        c.error("format", part.span, f"the format {part.spec} is for numbers, not for {given}")
    elif given is INT and precision and not kind:
        c.error("format", part.span, f"the format {part.spec} is for float, not for int", f"write {{x:{part.spec}f}}")
    elif not numeric and not (given is TEXT or isinstance(given, Enum)):
        c.error(
            "format", part.span, f"a format is for numbers and texts, not for {given}", f"write {{str({short(part.value)}):{part.spec}}}"
        )


@rule(Block)
def infer_block(c: Checker, node: Block) -> Type:
    outer, c.scope = c.scope, Scope(c.scope)
    try:
        for binding in node.bindings:
            bind(c, binding)
        return c.infer(node.value)
    finally:
        c.scope = outer


def bind(c: Checker, node: Bind | Unpack) -> None:
    """Types the value of a binding and binds its names."""
    if isinstance(node, Bind) and _declared_again(c, node):
        return
    given = c.infer(node.value)
    if isinstance(node, Bind):
        c.bind(node.name, given, node.name_span, "binding", node.value)
        return
    if isinstance(node.value, ListExpr) and len(node.value.items) == len(node.names):
        types: tuple[Type, ...] = tuple([c.tables.types[item] for item in node.value.items])
    elif isinstance(node.value, ListExpr):
        given = Tuple(tuple([c.tables.types[item] for item in node.value.items]))
        types = take_apart(c, given, node.names, node.value)
    else:
        types = take_apart(c, given, node.names, node.value)
    bound = [c.bind(name, type_, span, "binding") for name, type_, span in zip(node.names, types, node.name_spans, strict=True)]
    for variable in bound:
        variable.reaches = node.value in c.tables.effects
        variable.together = tuple(bound)


def _declared_again(c: Checker, node: Bind) -> bool:
    """`rows = [text]` where the data are bound to `rows` already: a declaration, as it seems; says so."""
    if c.scope.find(node.name) is None or not _is_type(c, node.value):
        return False
    message = f"this is a type, and no value; {node.name} is bound already"
    c.error("unknown-name", node.value.span, message, "leave this line out", Fix(node.span, ""))
    return True


def _is_type(c: Checker, node: Expr) -> bool:
    if isinstance(node, ListExpr):
        return len(node.items) == 1 and _is_type(c, node.items[0])
    if isinstance(node, Record):
        return bool(node.items) and all(isinstance(part, RecordField) and _is_type(c, part.value) for part in node.items)
    return isinstance(node, Name) and c.scope.find(node.name) is None and (node.name in BUILT_IN or node.name in c.types)


def take_apart(c: Checker, given: Type, names: tuple[str, ...], node: Expr) -> tuple[Type, ...]:
    """The types of `names` when a value of type `given` is taken apart into them. Only a list can be; its length is
    looked at when it runs."""
    unknown: tuple[Type, ...] = (UNKNOWN,) * len(names)
    if given in (UNKNOWN, NEVER):
        return unknown
    if isinstance(given, Tuple):
        if len(given.items) == len(names):
            return given.items
        c.error("unpack", node.span, f"{len(names)} names cannot take {len(given.items)} items")
        return unknown
    if isinstance(given, ListOf):
        if given.most is not None and given.most < len(names):
            c.error("unpack", node.span, f"{len(names)} names cannot take a list of at most {given.most} items")
            return unknown
        return (given.item,) * len(names)
    if isinstance(given, RecordOf):
        hint = f"name one value and read its fields: x.{given.fields[0][0]}" if given.fields else None
        c.error("unpack", node.span, f"a record cannot be taken apart into {len(names)} names", hint)
    elif isinstance(given, DictOf):
        c.error("unpack", node.span, f"a dict cannot be taken apart into {len(names)} names", "it has keys(d), values(d) and items(d)")
    else:
        c.error("unpack", node.span, f"only a list can be taken apart into {len(names)} names, not {given}")
    return unknown


def _joined(c: Checker, left: Expr, a: Type, right: Expr, b: Type) -> Type | None:
    """The type of a value that is one of two. A literal word beside words is one more word."""
    if isinstance(a, Enum) and isinstance(right, Literal) and isinstance(right.value, str):
        return hull(a, Enum((right.value,)))
    if isinstance(b, Enum) and isinstance(left, Literal) and isinstance(left.value, str):
        return hull(Enum((left.value,)), b)
    if isinstance(a, DictOf) and c.conforms(right, b, a):
        return a
    if isinstance(b, DictOf) and c.conforms(left, a, b):
        return b
    return hull(a, b)


@rule(If)
def infer_if(c: Checker, node: If) -> Type:
    mark = c.report.mark()
    c.condition(node.condition)
    unknown = {d.span.text for d in c.report.since(mark) if d.code == "unknown-name"}
    inside = condition_inside(node, unknown) if unknown else None
    if inside is not None:
        c.report.rollback(mark)
        message = "this speaks of items that are gone through elsewhere"
        hint = "a condition on items stands where they are gone through: [… for x in xs if …]"
        c.error("unknown-name", node.condition.span, message, hint, Fix(node.span, inside, sure=False))
        return c.infer(node.then)
    then = c.infer_if(c.shown(node.condition, True), node.then)
    orelse = c.infer_if(c.shown(node.condition, False), node.orelse)
    joined = _joined(c, node.then, then, node.orelse, orelse)
    if joined is None:
        hint = "make both the same type: str(…) for a text, none where there is nothing"
        c.error("branches", node.orelse.span, f"one branch is {then}, the other {orelse}", hint)
        return UNKNOWN
    return joined


@rule(Otherwise)
def infer_otherwise(c: Checker, node: Otherwise) -> Type:
    value, fallback = c.infer(node.value), c.infer(node.fallback)
    joined = _joined(c, node.value, value, node.fallback, fallback)
    if joined is None:
        hint = "the fallback has the type of what it stands for, or is none"
        c.error("branches", node.fallback.span, f"this is {fallback}, but stands for {value}", hint)
        return value
    return joined


@rule(Default)
def infer_default(c: Checker, node: Default) -> Type:
    left = c.infer(node.left)
    right = c.infer(node.right)
    if left is JSON:
        return JSON if is_data(right) else UNKNOWN
    if left is NONE:
        return right
    if isinstance(left, Optional):
        left = left.item
    elif left not in (UNKNOWN, NEVER):
        hint = "`otherwise` is for what may fail" if node.left in c.tables.effects else "leave `??` and what follows out"
        c.report.warn("useless-default", node.right.span, f"this is never used: the left side is {left}, never none", hint)
    joined = _joined(c, node.left, left, node.right, right)
    if joined is None:
        c.error("branches", node.right.span, f"this is {right}, but stands for {left}")
        return left
    return joined


@rule(Fail)
def infer_fail(c: Checker, node: Fail) -> Type:
    given = c.infer(node.message)
    c.expect(node.message, given, TEXT, f"`fail` takes a text, not {given}")
    return NEVER
