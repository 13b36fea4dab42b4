"""What to say of a syntax error: the place, what is wrong in plain words, and what to write instead.

Lark says where it stopped and what it could have taken; the rest is knowledge of what people and models write out of habit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from attrs import frozen
from lark import Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from rlmlang.syntax.diagnostics import Diagnostic, Fix
from rlmlang.syntax.source import Source, Span

# the first word of a statement -> what to write instead
_STATEMENTS = {
    "for": "there are no loops: write a comprehension [E for x in xs if C], or map x in xs { … }",
    "while": "there are no loops: every program ends. Write a map over a list, or fold acc, x in xs from INIT { … }",
    "def": "a function is written fn name(a: text) -> text { … }",
    "function": "a function is written fn name(a: text) -> text { … }",
    "import": 'there are no imports: built-in functions are always there, and use "./other.rlm" takes those of another file',
    "from": 'there are no imports: built-in functions are always there, and use "./other.rlm" takes those of another file',
    "class": "there are no classes: a record {a: 1, b: 2} holds fields, and type name = {a: int} names its type",
    "return": "a function's value is the last expression of its block; a program's result is answer EXPR",
    "print": "nothing is printed: end with answer EXPR, or with a bare expression to show it",
    "let": "a binding is written x = 1",
    "var": "a binding is written x = 1",
    "const": "a binding is written x = 1",
    "try": "a failure is taken by E otherwise F",
    "with": "there are no context managers; options of a call follow it: call … with {max_tokens: 200}",
    "async": "calls run in parallel by themselves",
    "await": "calls run in parallel by themselves",
    "global": "there are no global variables",
    "del": "nothing is deleted: values never change",
    "assert": 'write if C { E } else { fail "why" }',
    "raise": 'write fail "why"',
    "except": "a failure is taken by E otherwise F",
    "finally": "nothing needs to be tidied up: a program holds no resources",
    "elif": "write else if C { … }",
    "else": "else follows the closing brace of its if",
    "pass": "a block is never empty: its last expression is its value",
    "yield": "a map gives a list: [E for x in xs]",
    "switch": "write if … { … } else if … { … } else { … }",
    "match": "write if … { … } else if … { … } else { … }",
}
# a token at which the parser stopped -> what to write instead
_TOKENS = {
    "is": "write x == none, x != none",
    "lambda": "a lambda stands only as an argument: sorted(xs, key=lambda x: x.size); name it with fn instead",
    "=>": "a lambda stands only as an argument: sorted(xs, x => x.size); name it with fn instead",
    "then": "write if C { A } else { B }, or A if C else B",
    "of": "write for x in xs",
    "elif": "write else if C { … }",
    "**": "spread a record with three dots: {...r, a: 2}; dicts are joined by dict(items(a) + items(b))",
    "*": "lists are joined with +: xs + ys",
    "|": "alternatives of words stand only in types; or is written or",
    ":": "blocks stand in braces: if C { A } else { B }, map x in xs { E }",
    "as": "a name is bound with name = E",
    "//": "a comment starts with #",
    "from": "from stands in fold only: fold acc, x in xs from INIT { … }",
    "=": "values never change: bind a new name, make a new record {...r, field: value}, or all of a dict at once: {K: V for x in xs}",
}
_CHARACTERS = {
    "&": "and is written and",
    "|": "or is written or",
    "!": "not is written not; unequal is !=",
    ";": "statements end at the end of the line",
    "$": 'a text with values in it is written f"… {x} …"',
    "`": "texts stand in double quotes, or three for several lines",
    "\\": "a line goes on by itself after an operator, a comma or an opening bracket",
    "@": "there are no decorators",
    "→": "an arrow is written ->, with a minus sign and >",
    "≤": "at most is written <=",
    "≥": "at least is written >=",
    "≠": "unequal is !=",
    "×": "times is written *",
    "–": "minus is written -",
    "—": "minus is written -",
    "…": "a spread is written with three dots: ...",
    "\xa0": "this is a no-break space; write a plain one",
    "?": "a choice is written A if C else B; a default for none is x ?? y",
    "“": 'quotes are straight: "…"',
    "”": 'quotes are straight: "…"',
    "‘": "quotes are straight: '…'",
    "’": "quotes are straight: '…'",
}
_EXPECTED = {
    "_RPAR": ")",
    "_RSQB": "]",
    "_RBRACE": "}",
    "_COMMA": ",",
    "EQUAL": "=",
    "COLON": ":",
    "LBRACE": "{",
    "IN": "in",
    "ELSE": "else",
    "FROM": "from",
    "WHERE": "where",
    "IF": "if",
    "ON": "on",
    "NAME": "a name",
    "_NL": "the end of the line",
    "STRING": "a text",
    "INT": "a whole number",
}
_CONTINUED = "a line goes on after an operator or a keyword, not before it: put this at the end of the line above"
# the line with the place of the error marked by a NUL -> what to write instead
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), hint)
    for pattern, hint in (
        (r"^\s*\0([*/%.<>]|==|!=|\?\?|->)|^\s*(and|or|in|on|otherwise)\s+\0\S", _CONTINUED),
        (r"^\s*[A-Za-z_]\w*\0: *[\w\[{\"']", "a binding has no type: x = E; inputs, parameters and fields have one: input x: int = 3"),
        (r"^\s*input\s+\w+\s*\0=", "an input has a type: input x: int = 3"),
        (r"^\s*fn\b[^)]*\w\s*\0[,)=]", "every parameter has a type: fn f(a: text) -> text { … }"),
        (r"^\s*fn\b.*\)\s*\0:", "a function's result stands after an arrow: fn f(a: text) -> text { … }"),
        (r"^\s*fn\b.*\)[^{]*\0=", "a function's body is a block: fn f(a: text) -> text { … }"),
        (r",\s*\0,", "there is a comma too many"),
        (r"^\s*use\s+\0", 'the path is a text: use "./other.rlm"'),
        (r"\blambda\s+\0|\0=>", _TOKENS["=>"]),
        (r"\bwith\s+\0[^{]", 'options stand in braces: call … with {model: "small"}'),
        (r"\b(call|solve)\s*\([^()]*\0,", "a call is no function: call PROMPT on DATA -> TYPE with {…}"),
        (r"\b(call|solve)\b.*\0(on|->|with)\b", "the order is: call PROMPT on DATA -> TYPE with {…}"),
        (r"\b(call|solve)\b.*\0as\b", "the type that is asked for stands after an arrow: call PROMPT on DATA -> text"),
        (r"\0![rsa][}:]", "there are no conversions: {x} is written as str(x) writes it"),
        (r"\[[^\]]*:[^\]]*\0:", "slices have no step: xs[1:3]; reversed(xs) turns a list around"),
        (r"\0:=", "a name is bound on a line of its own: x = E"),
        (r"\{[^{}]*[\w\"']\s*\0=[^=]", "fields are written with a colon: {a: 1}"),
        (r"[\])\w]\s*\0=[^=]", _TOKENS["="]),
        (r"\{\s*\(\w[\w.]*\s*\0,", 'a key is one text: {f"{a} {b}": E for …}'),
        (r"\+\+\0|--\0", "values never change: bind the name again, x = x + 1, or use fold or sum"),
        (r"\d\.?\0\.+\d", "the numbers from 1 to 9 are range(1, 10)"),
        (r"<\0>", "unequal is !="),
        (r"[\"']\s*\0[fFrR]?[\"']", 'texts are joined with +, or put into one: f"{a} {b}"'),
        (r"\0/\*", "a comment starts with #, on each line"),
        (r"\[\s*\0in\b|\bnot\s+in\s+\0", "write x not in xs"),
        (r"=\s*\0[+*/<>]", "values never change: bind the name again, x = x + 1"),
    )
)
_AUGMENTED = re.compile(r"[A-Za-z_]\w*\s*(\+|-|\*|/|//|%|\*\*)=")
_LEXEME = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|==|!=|<=|>=|=>|->|:=|&&|\|\||\+\+|--|\*\*|//|\?\.|\?\?|\"[^\"\n]*\"?|'[^'\n]*'?|[^\n]")
_LAST = re.compile(r"(\w+|[^\w\s])\s*$")
_FIRST_WORD = re.compile(r"[ \t]*([A-Za-z_]\w*)")
# a line that is no statement at all -> what it is
_NO_PROGRAM: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"\s*(```|~~~)"), "this is Markdown, not a program", "leave out the lines with ```, and what stands outside of them"),
    (re.compile(r"@@ .*@@|\+\+\+ |diff --git "), "this is a diff, not a program", "give the whole program as it is to be"),
    (re.compile(r"\s*</?[A-Za-z][\w-]*>"), "this is a tag, not a program", "give the program alone, without anything around it"),
    (
        re.compile(r"\s*(#+ |[-*] |\d+[.)] )?(\*\*)?[A-Z][\w'’]*[,.:!]?(\s+[\w'’`\"()-]+[,.:;!?]*){2,}\s*$"),
        "this line is prose, not a program",
        "give the program alone; what explains it stands after a #",
    ),
)
_ITERATES = re.compile(r"(?:\s|#[^\n]*)*for\b")
_KEY = re.compile(r"\{(?:\s|#[^\n]*)*([^:\n]*[^:\s])")
_COMPUTED_NAME = re.compile(r"(?:[(\[][^,{}\n]*[)\]]|[\"'][^\"'\n]*[\"'])?\s*:")
_ALONE = re.compile(r"\{([^{}\n]{1,120})\}[ \t]*(?=#|\n|$)")  # all that stands between braces that end a line
_BEFORE_VALUE = re.compile(r"[ \t]*(?:answer\b|[A-Za-z_]\w*[ \t]*=)[ \t]*")
_FIELD: Final = 400  # characters of a field that are looked at
_BY_KEY = re.compile(r"\[[\"']([A-Za-z_]\w*)[\"']\]")
_PAIRS = "the names of fields are fixed; a dict with keys that are computed is {K: V for x in xs}, or dict([[K, V], [K, V]])"
_ENTRY = "a dict has one key and one value before its `for`: {K: V for x in xs}; a list of records is [{a: 1, b: 2} for x in xs]"
_GOES_ON = re.compile(r"(?:\s|#[^\n]*)*\n\s*([-+*/%.<>]|==|!=|\?\?|(?:and|or|in|not|on|otherwise|with)\b)")
_OPERAND = re.compile(r"[\w\"'(\[{]")
_BRACKETS = {")": "(", "]": "[", "}": "{"}


@frozen
class _Place:
    """Where the parser stopped: the offsets of what stands there (`found`, empty at an end), and what could have stood there."""

    source: Source
    start: int
    end: int
    ended: bool  # at the end of the line or of the program
    known: bool  # whether `found` is a token of the language
    expected: frozenset[str]

    @property
    def found(self) -> str:
        return "" if self.ended else self.source.text[self.start : self.end]

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, max(self.start, min(self.end, self.start + 80)))

    @property
    def line_start(self) -> int:
        return self.source.line_starts[self.source.position(self.start)[0] - 1]

    @property
    def line(self) -> str:
        return self.source.line_text(self.source.position(self.start)[0])

    @property
    def marked(self) -> str:
        """The line with a NUL at the place; of a long one, what is near."""
        column, line = self.start - self.line_start, self.line
        before = line[:column] if column <= 200 else "…" + line[column - 200 : column]
        return f"{before}\0{line[column : column + 200]}"

    def error(self, code: str, message: str, hint: str | None, span: Span | None = None, fix: Fix | None = None) -> Diagnostic:
        return Diagnostic(code, message, span or self.span, hint=hint, fix=fix)


def explain(error: UnexpectedInput, source: Source, last: Token | None, open_brackets: Sequence[Token]) -> Diagnostic:
    """The diagnostic for Lark's error. `last` is the token before it, `open_brackets` those not yet closed."""
    place = _place(error, source)
    return (
        _no_program(place)
        or _unclosed_text(place)
        or _habit(place, last, open_brackets)
        or _braces(place, open_brackets)
        or _open_bracket(place, open_brackets)
        or _closing(place, last, open_brackets)
        or _other(place)
    )


def _place(error: UnexpectedInput, source: Source) -> _Place:
    text = source.text
    if isinstance(error, UnexpectedCharacters):
        start = error.pos_in_stream or 0
        return _Place(source, start, start + 1, False, False, frozenset(error.allowed or ()))
    assert isinstance(error, UnexpectedToken)
    token, expected = error.token, frozenset(error.accepts or error.expected)
    start = token.start_pos if token.start_pos is not None else len(text) - 1
    end = token.end_pos if token.end_pos is not None else start
    if token.type == "$END":
        start = len(text.rstrip())
        return _Place(source, start, start, True, True, expected)
    if token.type == "_NL":
        return _Place(source, start, start + 1, True, True, expected)
    if token.type in ("_COMMA", "_RPAR", "_RSQB", "_RBRACE") and token.startswith(("\n", "#")):
        start = end - 1  # these tokens see to the newlines before them; point at what they are
    # where the text fits no token here, Lark takes any that fits somewhere, such as the inside of an f-string
    lexeme = _LEXEME.match(text, start)
    end = min(end, lexeme.end()) if lexeme else start + 1
    return _Place(source, start, end, text[start] == "\n", not token.type.startswith(("TEXT_", "FORMAT", "QUOTES")), expected)


def _no_program(place: _Place) -> Diagnostic | None:
    """Markdown, prose, a diff: what models write around programs."""
    for pattern, message, hint in _NO_PROGRAM:
        if pattern.match(place.line[:300]):
            start = place.line_start
            return place.error("not-a-program", message, hint, Span(place.source, start, start + min(len(place.line), 80)))
    return None


def _unclosed_text(place: _Place) -> Diagnostic | None:
    found = place.source.text[place.start : place.end]
    if any(name.startswith("TEXT_") for name in place.expected):
        message = "this f-string has no closing quote, or a brace in it stands alone"
        return place.error("unclosed-text", message, "braces in an f-string that are no {value} are doubled: {{ }}")
    if found[:1] in ("'", '"') and found.count(found[0]) == 1:
        hint = 'a text of several lines stands between three quotes: """…"""'
        return place.error("unclosed-text", "this text has no closing quote on its line", hint)
    return None


def _habit(place: _Place, last: Token | None, open_brackets: Sequence[Token]) -> Diagnostic | None:
    """A statement of another language, known by its first word; an assignment that changes a value."""
    text, start = place.source.text, place.line_start
    word = _FIRST_WORD.match(text, start)
    outside = [bracket for bracket in open_brackets if (bracket.start_pos or 0) < start]
    if word and word[1] in _STATEMENTS and (not outside or outside[-1] == "{"):
        within = last is not None and (last.start_pos or 0) >= (start if word[1] not in ("from", "with", "match") else word.start(1))
        second = not text[word.end() : place.start].strip()
        if word.end() >= place.start or second or (within and word[1] not in ("from", "with", "match")):
            here = Span(place.source, word.start(1), word.end(1))
            code = "syntax" if word[1] == "else" else "python-habit"
            return place.error(code, f"`{word[1]}` starts no statement", _STATEMENTS[word[1]], here)
    if augmented := _AUGMENTED.match(text, start + len(place.line) - len(place.line.lstrip())):
        name = augmented[0].split(augmented[1])[0].strip()
        hint = f"bind the name again: {name[:60]} = {name[:60]} {augmented[1]} …, or use fold or sum"
        return place.error("python-habit", "values never change", hint)
    return None


def _braces(place: _Place, open_brackets: Sequence[Token]) -> Diagnostic | None:
    """Between braces: a dict, a set, a value without a name, a record where a block is expected."""
    if not open_brackets or open_brackets[-1] != "{":
        return None
    text, expected = place.source.text, place.expected
    in_record = "_COMMA" in expected and "EQUAL" not in expected
    if "_RBRACE" in expected and (iterates := _ITERATES.match(text, place.start)):
        here = Span(place.source, iterates.end() - 3, iterates.end())
        if not in_record:
            return place.error("python-habit", "a block has no `for`", "a list stands in square brackets: [E for x in xs]", here)
        if "COLON" in expected:
            return place.error("python-habit", "there are no sets", "write unique([x for x in xs])", here)
        return place.error("python-habit", "a record has no `for`", _ENTRY, here)
    after_name = expected == {"COLON"} or (in_record and expected <= {"COLON", "DOT", "_COMMA", "_RBRACE"})
    after_key = "COLON" in expected and "_RBRACE" not in expected and "EQUAL" not in expected
    at_start = {"NAME", "STRING", "_RBRACE"} <= expected and "INT" not in expected and place.found != ","
    if "FOR" in expected and not expected & {"_COMMA", "_RBRACE"} and place.found in (",", "}"):
        start = _KEY.match(text, open_brackets[-1].start_pos or 0)
        here = Span(place.source, start.start(1), start.end(1)) if start else place.span
        return place.error("python-habit", "this is no name of a field", _PAIRS, here)
    if place.ended or place.found in ("=", "**", "*") or not (after_name or after_key or at_start):
        if place.found == ":" and "EQUAL" in expected:
            return place.error("syntax", "a block has no fields", "a record that is a block's value has braces of its own: { {a: 1} }")
        return None
    if _COMPUTED_NAME.match(text, place.start):
        return place.error("python-habit", "this is no name of a field", _PAIRS)
    if place.found[:1].isdigit():
        hint = f'write it as a text: {{"{place.found}": …}}; a dict by numbers has str(x) for a key'
        return place.error("python-habit", "the names of fields and the keys of dicts are texts", hint)
    opened = open_brackets[-1].start_pos or 0
    alone = _ALONE.match(text, opened)
    if alone and _last_part(alone[1]) == 0:
        value, whole = alone[1].strip(), Span(place.source, opened, alone.end(1) + 1)
        hint = f"write {value} without braces around it"
        is_all = _BEFORE_VALUE.fullmatch(text, text.rfind("\n", 0, opened) + 1, opened)  # else it may be a set: x in {"a"}
        return place.error("syntax", "these braces hold a value without a name", hint, fix=Fix(whole, value) if is_all else None)
    begins = opened + 1 + _last_part(text[opened + 1 : place.start])
    field = text[begins : begins + _FIELD]
    begins += len(field) - len(field.lstrip())
    name = _name_for(field)
    fix = Fix(Span(place.source, begins, begins), f"{name}: ", sure=False) if name else None
    return place.error("syntax", "this field has no name", "a field is written name: value, as in {total: len(xs)}", fix=fix)


def _name_for(text: str) -> str | None:
    """What a field may be called whose value begins `text`: as the function is that is called last, or the key that is looked up last."""
    name, before, depth = None, "", 0
    for lexeme in _LEXEME.finditer(text):
        part = lexeme[0]
        if depth == 0:
            if part in (",", "}"):
                return name
            key = _BY_KEY.match(text, lexeme.start())
            name = before if part == "(" and before.isidentifier() else key[1] if key else name
            if not (part in "([." or part.isspace() or part.isidentifier()):
                return None
        depth += (part in "([{") - (part in ")]}")
        before = part
    return None


def _last_part(text: str) -> int:
    """Where what follows the last comma or colon begins that stands in `text` outside of its brackets and texts; 0 where there is none."""
    depth = begins = 0
    for lexeme in _LEXEME.finditer(text):
        depth += (lexeme[0] in "([{") - (lexeme[0] in ")]}")
        if depth == 0 and lexeme[0] in (",", ":"):
            begins = lexeme.end()
    return begins


def _open_bracket(place: _Place, open_brackets: Sequence[Token]) -> Diagnostic | None:
    """A bracket that is still open where the statement ends, or where the next line starts a new one."""
    if place.ended and (goes_on := _GOES_ON.match(place.source.text, place.start)):
        here = Span(place.source, goes_on.start(1), goes_on.end(1))
        return place.error("syntax", f"`{goes_on[1]}` cannot start a line", _CONTINUED, here)
    if not open_brackets or not (place.ended or place.found[:1].isalpha() or place.found == "="):
        return None
    opener = open_brackets[-1]
    at = opener.start_pos or 0
    if not place.ended and place.source.position(at)[0] == place.source.position(place.start)[0]:
        return None
    return place.error("unclosed-bracket", f"`{opener[:1]}` is not closed", _expecting(place), Span(place.source, at, at + 1))


def _closing(place: _Place, last: Token | None, open_brackets: Sequence[Token]) -> Diagnostic | None:
    """A closing bracket that closes nothing, or a block that has no value."""
    opener = _BRACKETS.get(place.found)
    if opener is None or any(pattern.search(place.marked) for pattern, _ in _PATTERNS):
        return None
    if not open_brackets:
        return place.error("syntax", f"`{place.found}` closes nothing", "there is no bracket open here")
    at = open_brackets[-1].start_pos or 0
    if open_brackets[-1] != opener:
        line = place.source.position(at)[0]
        hint = f"the bracket open here is the `{open_brackets[-1]}` of line {line}" + (f"; {h}" if (h := _expecting(place)) else "")
        return place.error("syntax", f"`{place.found}` cannot stand here", hint)
    if place.found == "}" and last is not None and last.type == "LBRACE":
        return place.error("syntax", "this block is empty", "a block's last expression is its value: { x }")
    if place.found == "}" and "_NL" in place.expected and "_RBRACE" not in place.expected:
        return place.error("syntax", "this block has no value", "after its bindings, a block ends with an expression: its value")
    return None


def _other(place: _Place) -> Diagnostic:
    found = place.found
    marked = place.marked
    hint = next((hint for pattern, hint in _PATTERNS if pattern.search(marked)), None)
    if place.ended:
        before = _LAST.search(place.source.text, max(0, place.start - 80), place.start)
        after = f" after `{before[1]}`" if before else ""
        return place.error("syntax", f"the statement is not finished{after}", hint or _expecting(place))
    if found in ("&", "|") and marked[marked.index("\0") + 1 :].startswith(found * 2):
        found *= 2
    character = found[:1]
    hint = hint or _TOKENS.get(found) or _CHARACTERS.get(character)
    if hint is None and character.isalpha() and not character.isascii():
        return place.error("syntax", f"`{character}` cannot stand in a name", "names are made of the letters a to z, digits and _")
    if hint is None and place.known and _OPERAND.match(found) and not place.expected & {"NAME", "STRING"}:
        hint = _expecting(place) or f"an operator, a comma or a new line is missing before `{found[:40]}`"
    shown = found if len(found) <= 60 else found[:57] + "…"
    shown = shown if shown.isprintable() else shown.encode("unicode_escape").decode()
    quoted = "a backquote" if shown == "`" else f"`{shown}`"
    span = Span(place.source, place.start, place.start + 2) if found in ("&&", "||") else None
    return place.error("syntax", f"{quoted} cannot stand here", hint or _expecting(place), span)


def _expecting(place: _Place) -> str | None:
    """What could have stood there, where that is short enough to help."""
    names = sorted(_EXPECTED[name] for name in place.expected if name in _EXPECTED)
    if not names or len(place.expected) > 8:
        return None
    shown = [name if name.startswith(("a ", "the ")) else f"`{name}`" for name in names]
    return "expected " + (shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " or " + shown[-1])
