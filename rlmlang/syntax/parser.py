"""Text -> tree. Lark's LALR parser is driven token by token, so that nesting is refused before any tree exists, comments are kept, and
an error in one statement does not hide those in the next.

It does not: resolve names, know types, or touch files.
"""

from __future__ import annotations

import re

from lark import Token, UnexpectedInput
from lark.utils import TextSlice

from rlmlang import limits
from rlmlang.errors import ProgramError
from rlmlang.syntax.build import Builder
from rlmlang.syntax.diagnostics import Diagnostic
from rlmlang.syntax.mistakes import explain
from rlmlang.syntax.nodes import Comment, Program
from rlmlang.syntax.source import Source, Span, universal
from rlmlang.syntax.tables import parser

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_COMMENT = re.compile(r"#[^\n]*")
_OPENERS = {"LPAR": ")", "LSQB": "]", "LBRACE": "}"}
_CLOSERS = {"_RPAR": ")", "_RSQB": "]", "_RBRACE": "}"}
_WITH_NEWLINES = frozenset({"_NL", "_COMMA", *_CLOSERS})
_NO_WORDS = frozenset({"NAME", "TEXT_A", "TEXT_B", "TEXT_AAA", "TEXT_BBB", "FORMAT_SPEC"})
_WORD_GOES_ON = re.compile(r"[A-Za-z0-9_]+")
_NEXT_STATEMENT = re.compile(r"\n(?=[^\s)\]}#\"'])")  # a line with a quote in front rather ends a text


def parse(text: str, name: str = "<text>") -> Program:
    """The tree of a program. `name` is what diagnostics call it.

    Raises ProgramError with every syntax error found (at most `limits.ERRORS`).
    """
    source = _source(text, name)
    errors: list[Diagnostic] = []
    program = _attempt(source, 0, errors)
    start = 0
    while program is None and len(errors) < limits.ERRORS:
        # what went wrong is known; look for more in the statements after it
        again = _NEXT_STATEMENT.search(source.text, max(start, errors[-1].span.start))
        if again is None or errors[-1].code in ("limit", "not-a-program"):
            break
        start = again.end()
        if _attempt(source, start, errors) is not None:
            break
    if errors or program is None:
        raise ProgramError(tuple(errors[: limits.ERRORS]))
    return program


def _source(text: str, name: str) -> Source:
    """Universal newlines, no byte-order mark, a newline at the end; refuses what no program may hold."""
    if len(text) > limits.SOURCE_CHARS:
        short = Source(name, text[:200])
        message = f"the program has {len(text):,} characters; at most {limits.SOURCE_CHARS:,} are allowed"
        raise ProgramError((Diagnostic("limit", message, Span(short, 0, 0), hint="data belongs into an input, not into the program"),))
    text = universal(text)
    source = Source(name, text)
    if bad := _FORBIDDEN.search(text):
        code = f"\\u{ord(bad[0]):04x}"
        message = f"the character {code} may not stand in a program"
        hint = f'write it as the escape "{code}" in a text' if not 0xD800 <= ord(bad[0]) <= 0xDFFF else None
        raise ProgramError((Diagnostic("bad-character", message, Span(source, bad.start(), bad.end()), hint=hint),))
    return source


def _attempt(source: Source, start: int, errors: list[Diagnostic]) -> Program | None:
    """Parses from `start` on; adds the error met and returns None, or returns the tree."""
    text = source.text
    interactive = parser().parse_interactive(TextSlice(text, start, len(text)) if start else text)
    state = interactive.parser_state
    open_brackets: list[Token] = []
    comments: list[Comment] = []
    last: Token | None = None
    try:
        for token in interactive.lexer_thread.lex(state):  # type: ignore[no-untyped-call]
            kind = token.type
            if kind in _WITH_NEWLINES and "#" in token:
                at = token.start_pos or 0
                comments += [Comment(Span(source, at + m.start(), at + m.end()), m[0].rstrip()) for m in _COMMENT.finditer(token)]
            if token.isalpha() and kind not in _NO_WORDS and (rest := _WORD_GOES_ON.match(text, token.end_pos or 0)):
                # where no name may stand, the lexer takes the `if` of `ifb` for a keyword: words end where their letters do
                token = Token("NAME", token + rest[0], token.start_pos, token.line, token.column, end_pos=rest.end())
            state.feed_token(token)
            if kind in _OPENERS:
                open_brackets.append(token)
                if len(open_brackets) > limits.BRACKET_DEPTH:
                    where = Span(source, token.start_pos or 0, token.end_pos or 0)
                    errors.append(Diagnostic("limit", f"brackets are nested more than {limits.BRACKET_DEPTH} deep", where))
                    return None
            elif kind in _CLOSERS:
                if open_brackets:
                    open_brackets.pop()
            elif kind == "NAME" and len(token) > limits.NAME_CHARS:
                where = Span(source, token.start_pos or 0, token.end_pos or 0)
                errors.append(Diagnostic("limit", f"a name has more than {limits.NAME_CHARS} characters", where))
                return None
            last = token
        tree = interactive.feed_eof(last)  # type: ignore[no-untyped-call]
    except UnexpectedInput as error:
        errors.append(explain(error, source, last, open_brackets))
        return None
    if not tree.children and not start and not errors:
        errors.append(
            Diagnostic("empty-program", "there is no program here", Span(source, 0, 0), hint='the shortest one is: answer "hello"')
        )
        return None
    builder = Builder(source, tuple(comments))
    program = builder.program(tree)
    errors += builder.errors
    return None if builder.errors else program
