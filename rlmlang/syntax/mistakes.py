"""What to say of a syntax error: the place, what is wrong in plain words, and what to write instead.

Lark says where it stopped and what it could have taken; the rest is knowledge of what people and models write out of habit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lark import Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from rlmlang.syntax.diagnostics import Diagnostic
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
    "**": "spread a record with three dots: {...r, a: 2}",
    "*": "lists are joined with +: xs + ys",
    "|": "alternatives of words stand only in types; or is written or",
    ":": "blocks stand in braces: if C { A } else { B }, map x in xs { E }",
    "as": "a name is bound with name = E",
    "from": "from stands in fold only: fold acc, x in xs from INIT { … }",
    "=": "values never change: bind a new name, or make a new record {...r, field: value}",
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
    "?": "a choice is written A if C else B; a default for none is x ?? y",
    "“": 'quotes are straight: "…"',
    "”": 'quotes are straight: "…"',
    "‘": "quotes are straight: '…'",
    "’": "quotes are straight: '…'",
}
_AUGMENTED = re.compile(r"[A-Za-z_]\w*\s*(\+|-|\*|/|//|%|\*\*)=")
_LEXEME = re.compile(r"[A-Za-z_]\w*|\d[\w.]*|==|!=|<=|>=|=>|->|&&|\|\||\+\+|--|\*\*|//|\?\.|\?\?|\"[^\"\n]*\"?|'[^'\n]*'?|[^\n]")
_FIRST_WORD = re.compile(r"[ \t]*([A-Za-z_]\w*)")
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


def explain(error: UnexpectedInput, source: Source, last: Token | None, open_brackets: Sequence[Token]) -> Diagnostic:
    """The diagnostic for Lark's error. `last` is the token before it, `open_brackets` those not yet closed."""
    text = source.text
    if isinstance(error, UnexpectedToken):
        token = error.token
        at = token.start_pos if token.start_pos is not None else len(text) - 1
        end = token.end_pos if token.end_pos is not None else at
        expected = set(error.accepts or error.expected)
    else:
        assert isinstance(error, UnexpectedCharacters)
        at, expected = error.pos_in_stream, set(error.allowed or ())
        end, token = at + 1, None
    kind = "$END" if token is not None and token.type == "$END" else token.type if token is not None else ""
    if kind == "$END":
        at = end = max(0, len(text.rstrip()) if text.strip() else 0)
    if token is not None and kind in ("_NL", "_COMMA", "_RPAR", "_RSQB", "_RBRACE") and token.startswith(("\n", "#")):
        # these tokens see to the newlines before them; point at what they are
        at, end = (at, at + 1) if kind == "_NL" else (end - 1, end)
    if token is not None and kind not in ("$END", "_NL"):
        # where the text fits no token here, Lark takes any that fits somewhere, such as the inside of an f-string
        lexeme = _LEXEME.match(text, at)
        end = min(end, lexeme.end()) if lexeme else at + 1
        kind = "" if kind.startswith(("TEXT_", "FORMAT", "QUOTES")) else kind
        kind = "_NL" if text[at] == "\n" else kind
    found = text[at:end] if kind not in ("$END", "_NL") else ""
    span = Span(source, at, max(at, min(end, at + 80)))
    line_start = source.line_starts[source.position(at)[0] - 1]
    word = _FIRST_WORD.match(text, line_start)
    in_fstring = any(name.startswith("TEXT_") for name in expected)

    if in_fstring:
        message = "this f-string has no closing quote, or a brace in it stands alone"
        return Diagnostic("unclosed-text", message, span, hint="braces in an f-string that are no {value} are doubled: {{ }}")
    if (token is None and text[at] in "\"'") or (found[:1] in ("'", '"') and found.count(found[0]) == 1):
        return Diagnostic(
            "unclosed-text",
            "this text has no closing quote on its line",
            span,
            hint='a text of several lines stands between three quotes: """…"""',
        )
    if (
        word
        and word[1] in _STATEMENTS
        and (word.end() >= at or (last is not None and (last.start_pos or 0) >= line_start and word[1] not in ("from", "with", "match")))
    ):
        here = Span(source, word.start(1), word.end(1))
        return Diagnostic(
            "python-habit" if word[1] not in ("else",) else "syntax", f"`{word[1]}` starts no statement", here, hint=_STATEMENTS[word[1]]
        )
    if augmented := _AUGMENTED.match(text, line_start + len(text[line_start:at]) - len(text[line_start:at].lstrip())):
        name = augmented[0].split(augmented[1])[0].strip()
        return Diagnostic(
            "python-habit", "values never change", span, hint=f"bind the name again: {name} = {name} {augmented[1]} …, or use fold or sum"
        )
    if token is None or (kind == "" and not found.strip().isidentifier() and found.strip() not in _TOKENS):
        char = text[at]
        shown = char if char.isprintable() else char.encode("unicode_escape").decode()
        doubled = text[at : at + 2]
        span = Span(source, at, at + (2 if doubled in ("&&", "||") else 1))
        hint = _CHARACTERS.get(char) or ("names are made of the letters a to z, digits and _" if char.isalpha() else None)
        return Diagnostic("syntax", f"`{doubled if doubled in ('&&', '||') else shown}` cannot stand here", span, hint=hint)
    if open_brackets and kind in ("$END", "_NL", "EQUAL", "NAME"):
        opener = open_brackets[-1]
        line = source.position(opener.start_pos or 0)[0]
        if kind in ("$END", "_NL") or line < source.position(at)[0]:
            here = Span(source, opener.start_pos or 0, (opener.start_pos or 0) + 1)
            wanted = _wanted(expected)
            return Diagnostic("unclosed-bracket", f"`{opener[:1]}` is not closed", here, hint=f"expected {wanted}" if wanted else None)
    hint = _TOKENS.get(found.strip())
    wanted = _wanted(expected)
    if not hint and wanted:
        hint = f"expected {wanted}"
    if kind in ("$END", "_NL"):
        before = f" after `{last}`" if last is not None and last.strip() and len(last) < 60 else ""
        return Diagnostic("syntax", f"the statement is not finished{before}", span, hint=hint)
    shown = found if len(found) <= 60 else found[:57] + "…"
    return Diagnostic("syntax", f"`{shown}` cannot stand here", span, hint=hint)


def _wanted(expected: set[str]) -> str:
    """What could have stood there, where that is short enough to help."""
    names = sorted(_EXPECTED[name] for name in expected if name in _EXPECTED)
    if not names or len(expected) > 8:
        return ""
    shown = [name if name.startswith(("a ", "the ")) else f"`{name}`" for name in names]
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + " or " + shown[-1]
