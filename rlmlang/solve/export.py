"""The grammar in the formats of constrained decoders, all made from `grammar/rlm.lark`.

    lark         the grammar itself
    llguidance   for llguidance and what builds on it: every text that it takes parses
    gbnf         the same language in the notation of llama.cpp, which XGrammar reads too
    openai       the llguidance form as a custom tool of OpenAI's

What the constrained forms take is less than the parser does, in ways that cost a model nothing and keep a small one from going round in
circles: see `docs/grammar.md`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final, Literal, get_args

from rlmlang.lm.request import GRAMMAR_FORMATS, GRAMMAR_TOOL, GRAMMAR_TOOL_HELP, Model
from rlmlang.solve.flat import Body, Flat, Symbol, Terminal, annotated, ended, factored, right_recursive, shallow, spaced
from rlmlang.solve.restrict import for_turn, restricted
from rlmlang.syntax import tables

Format = Literal["lark", "llguidance", "gbnf", "openai"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
HEADER: Final = "%llguidance {}"  # by this llama.cpp and SGLang know that it is not their own notation

# what no program holds (see `syntax.parser`), for the inside of a class; no UTF-8 has surrogates
_NEVER = r"\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"
_HEX = "[0-9a-fA-F]"
_FOUR = f"([0-9a-ce-fA-CE-F]{_HEX}{{3}}|[dD][0-7]{_HEX}{{2}})"  # hex digits of a character, and of no half of one
_REST = "[A-Za-z0-9_]{0,40}"
_PARTS: Final = {  # shared, under these names; the regular expressions of terminals hold them as one character each
    "\ue000": ("BLANKS", r"[ \t]{0,40}"),
    "\ue001": ("SPACE", r"[ \t]{1,40}"),
    "\ue002": ("REST", _REST),
    "\ue003": ("EMPTY", r"(\n[ \t]{0,40}){1,3}"),
    "\ue004": ("COMMENT", r"#[^\n]{0,240}"),
    "\ue005": ("CODE", f"(u{_FOUR}|U(0000{_FOUR}|000[1-9a-fA-F]{_HEX}{{4}}|0010{_HEX}{{4}}))"),
}
_IN_A_TURN: Final = {
    "BLANKS": r"[ \t]{0,2}",
    "SPACE": r"[ \t]{1,2}",
    "EMPTY": r"(\n[ \t]{0,16}){1,2}",
}  # a small model fills lines with blanks
_LOOPS: Final = 8  # operators, steps (`.a`, `[0]`) and clauses in a row that a turn takes,
_MEMBERS: Final = 32  # parts of a list, pieces of a text and bindings of a block,
_CHOICES: Final = 4  # and `a if b else` one after another
_ANY_OF = re.compile(r"\[\^([^\]]*)\]\*")  # in the regular expression of a text
_FEW_DIGITS: Final = r"[0-9]{0,12}([^\g<1>0-9][0-9]{0,12})*"
_BLANKS, _SPACE, _NAME_REST, _EMPTY, _REMARK, _CODE = _PARTS
_GREAT = r"[0-9](\.[0-9]{1,15})?[eE][+-]?([1-2][0-9]{2}|30[0-7])"  # with longer exponents a float of few digits is none too large
_NARROWER: Final = (  # in the regular expressions of the grammar: what stands there, what the constrained forms have instead
    (r"((#[^\n]*)?\n[ \t]*)+", "\ue010"),
    (r"((#[^\n]*)?\n[ \t]*)*", "\ue010?"),
    (r",[ \t]*", f",{_BLANKS}"),
    (r"(_?[0-9])*", "(_?[0-9]){0,14}"),
    (r"[eE][+-]?[0-9]+", "[eE][+-]?[0-9]{1,2}"),
)


def grammar_text(format: Format) -> str:
    """The grammar in `format`: a text that ends with a newline. All but `lark` take most of a second the first time."""
    if format == "lark":
        return tables.grammar_text()
    if format == "gbnf":
        return _gbnf()
    if format == "llguidance":
        return f"{HEADER}\n\n{_lark()}"
    format_ = {"type": "grammar", "syntax": "lark", "definition": _lark()}
    tool = {"type": "custom", "name": GRAMMAR_TOOL, "description": GRAMMAR_TOOL_HELP, "format": format_}
    return json.dumps(tool, indent=2, ensure_ascii=False) + "\n"


def grammar_for(model: Model) -> str | None:
    """What `Request.grammar` is for a program of `model`, None where it takes no grammar: less than the exported forms take (`_flat`).

    But for the input of a tool, the program stands between fences, which is how models write programs: one that may not begin with a fence
    begins with what is likeliest after that, a word of prose, and goes on with prose that happens to fit the grammar.
    """
    if model.grammar is None:
        return None
    return _lark(turn=True) if GRAMMAR_FORMATS[model.grammar] == "lark" else _gbnf(turn=True)


@cache
def _flat(turn: bool) -> Flat:
    """The rules of any program; of one in a `turn`, which has no comments either: what a model may not write as code it writes as one,
    over and over."""
    flat = restricted(annotated(tables.parser()))
    return spaced(ended(for_turn(flat) if turn else flat))


# ---- what terminals are ----


@cache
def _patterns(turn: bool) -> dict[str, str]:
    """The regular expression of each terminal as the constrained forms have it, with the characters of `_PARTS`."""
    newlines = _EMPTY if turn else f"({_REMARK}?{_EMPTY}({_REMARK}{_EMPTY})*)"
    found = {"END": r"\n" if turn else rf"({_REMARK}\n?|\n)", "SPACE": _SPACE}
    found["NAME_STRING"] = "|".join(f"{quote}[A-Za-z_]{_NAME_REST}{quote}" for quote in "\"'")
    for terminal in tables.parser().terminals:
        text = terminal.pattern.to_regexp().replace("\n", r"\n").replace("\t", r"\t").replace("(.|\\n)", r"[^\ue00f]")
        if "RAW" not in terminal.name:  # escapes that stand for no character
            text = re.sub(r"\\\\(?:\.|\[\^\\n\])", lambda _: rf"\\([^uU\n]|{_CODE})", text)
            text = text.replace(r"\\[^\ue00f]", rf"\\([^uU]|{_CODE})")
        text = text.replace(r"[^\ue00f]", "[^]")
        if turn and '"' in text:  # a small model writes one zero after another
            text = _ANY_OF.sub(_FEW_DIGITS, text)
        for wide, narrow in _NARROWER:
            text = text.replace(wide, narrow.replace("\ue010", newlines))
        found[terminal.name] = f"({text}|{_GREAT})" if terminal.name == "FLOAT" else text
    return found


def _regexp(terminal: Terminal, turn: bool) -> str:
    """The regular expression of a terminal with its blanks."""
    if terminal.only:
        inner = f"({'|'.join(terminal.only)})"
    elif terminal.name == "NAME":
        inner = _name_but(terminal.barred)
    else:
        inner = re.escape(terminal.text) if terminal.text else _patterns(turn)[terminal.name]
    before = {"": "", "any": _BLANKS, "some": _SPACE}[terminal.before]
    return f"{before}({inner})" if before and "|" in inner else before + inner


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"


def _name_but(barred: Iterable[str], so_far: str = "") -> str:
    """A regular expression for what may follow `so_far` in a name that is none of `barred`; `for*` is all that begins so."""
    words = {word for word in barred if word.startswith(so_far)}
    if not words:
        return _NAME_REST if so_far else f"[A-Za-z_]{_NAME_REST}"
    nexts = sorted({word[len(so_far)] for word in words} - {""} if so_far not in words else {w[len(so_far)] for w in words if w != so_far})
    others = _class(set(_LETTERS + ("0123456789" if so_far else "")) - set(nexts))
    choices = [
        f"{others}{_NAME_REST}",
        *(letter + _name_but(words, so_far + letter) for letter in nexts if f"{so_far}{letter}*" not in words),
    ]
    return f"({'|'.join(choices)})" + ("?" if so_far and so_far not in words else "")


def _class(letters: set[str]) -> str:
    runs: list[list[str]] = []
    for letter in sorted(letters):
        if runs and ord(letter) == ord(runs[-1][-1]) + 1:
            runs[-1][1:] = [letter]
        else:
            runs.append([letter])
    return "[" + "".join(run[0] if len(run) == 1 else f"{run[0]}-{run[1]}" for run in runs) + "]"


# ---- notations ----

_TOKEN = re.compile(
    r"\\(?P<escaped>.)|(?P<set>\[\^?(?:\\.|[^\]\\])*\])|(?P<group>\(\?:|[()|])|(?P<times>[*+?]|\{[0-9]+,[0-9]*\}|\{[0-9]+\})|(?P<one>.)"
)


def _spell(regexp: str, shared: Callable[[str], str], literal: Callable[[str], str]) -> str:
    """`regexp` with its classes made explicit, its parts named by `shared` and its other characters written by `literal`, as many
    together as belong together."""
    out: list[str] = []
    run = ""
    for token in _TOKEN.finditer(regexp):
        kind, text = str(token.lastgroup), token[0]
        if kind == "escaped" or (kind == "one" and text not in _PARTS and text != "."):
            run += {"n": "\n", "t": "\t"}.get(text[1], text[1]) if kind == "escaped" else text
            continue
        if run:
            pieces = (run[:-1], run[-1]) if kind == "times" else (run,)
            out += [literal(piece) for piece in pieces if piece]
            run = ""
        if kind == "set":
            out.append(text[:-1] + _NEVER + "]" if text.startswith("[^") else text)
        elif kind == "one":
            out.append(shared(text) if text in _PARTS else f"[^\\n{_NEVER}]")
        else:
            out.append("(" if text == "(?:" else text)
    return "".join(out) + (literal(run) if run else "")


def _part(part: str, turn: bool) -> str:
    """The regular expression of a shared part."""
    name, text = _PARTS[part]
    return _IN_A_TURN.get(name, text) if turn else text


def _rust(regexp: str, turn: bool) -> str:
    """As llguidance reads it, all in one."""

    def literal(text: str) -> str:
        plain = "_ \"'#,:;<>=!%@~&`"
        return "".join("\\n" if c == "\n" else c if c.isalnum() or c in plain else "\\" + c for c in text)

    return _spell(regexp, lambda part: f"({_rust(_part(part, turn), turn)})", literal)


def _bnf(regexp: str) -> str:
    """As llama.cpp reads it, with the names of the parts."""

    def literal(text: str) -> str:
        return f" {json.dumps(text)}"

    return _spell(regexp, lambda part: f" {_PARTS[part][0].lower()}", literal).strip()


def _names(flat: Flat) -> dict[Symbol, str]:
    """A name for each symbol, after its name in the grammar, and numbered where there are several."""
    taken: dict[str, int] = {}
    names: dict[Symbol, str] = {}

    def name(symbol: Symbol, wanted: str) -> None:
        if symbol not in names:
            taken[wanted] = number = taken.get(wanted, 0) + 1
            names[symbol] = wanted if number == 1 else f"{wanted}_{number}"

    for nonterminal, bodies in flat.rules.items():
        name(
            nonterminal, re.sub(r"_(star|plus)_\d+$", "_more", str(nonterminal[0])).strip("_") + ("_" if nonterminal[0] == "after" else "")
        )
        for body in bodies:
            for symbol in body:
                if isinstance(symbol, Terminal):
                    name(
                        symbol,
                        (symbol.text if symbol.keyword else re.sub("^_+(ANON_)?", lambda m: "OP_" if m[1] else "", symbol.name)).upper(),
                    )
    return names


def _alternatives(bodies: Iterable[Body], name: Callable[[Symbol], str]) -> str:
    """`bodies` with what they begin with said once: a decoder follows each alternative on its own."""
    groups: dict[Symbol, list[Body]] = {}
    empty = False
    for body in bodies:
        if body:
            groups.setdefault(body[0], []).append(body[1:])
        else:
            empty = True
    parts = []
    for first, rests in groups.items():
        rest = _alternatives(rests, name) if any(rests) else ""
        parts.append(f"{name(first)} {rest}".rstrip())
    if not empty:
        return parts[0] if len(parts) == 1 else f"({' | '.join(parts)})"
    return f"({' | '.join(parts)})?" if parts else ""


def _outer(text: str) -> str:
    """Without the parentheses around the whole."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth and at < len(text) - 1:
            return text
    return text[1:-1]


@cache
def _lark(turn: bool = False) -> str:
    flat = _flat(turn)
    names = _names(flat)
    lines = [f"start: {names[flat.start]}"]
    for nonterminal, bodies in flat.rules.items():
        lines.append(f"{names[nonterminal]}: {_outer(_alternatives(bodies, names.__getitem__))}")
    lines.append("")
    for symbol, name in names.items():
        if isinstance(symbol, Terminal):
            lines.append(f"{name}: /{_rust(_regexp(symbol, turn), turn)}/")
    return "\n".join(lines) + "\n"


def _is_member(step: Body) -> bool:
    first, *rest = step
    if isinstance(first, Terminal):  # names are few: what is taken apart
        return first.name == "_COMMA" and not any(s[0] == "_name" if isinstance(s, tuple) else s.name == "NAME" for s in rest)
    return str(first[0]).startswith(("_part", "_binding"))


@cache
def _gbnf(turn: bool = False) -> str:
    """The grammar in llama.cpp's notation; of a `turn` with fences."""
    flat = factored(right_recursive(_flat(turn)))
    if turn:
        flat = shallow(flat, "_choice", _CHOICES)
    names = {
        symbol: name.lower().replace("_", "-") + ("-t" if isinstance(symbol, Terminal) else "") for symbol, name in _names(flat).items()
    }
    root = names[flat.start]
    lines = [rf'root ::= "```rlm\n" {root} "\n```"' if turn else f"root ::= {root}"]
    for nonterminal, bodies in flat.rules.items():
        steps = [body[:-1] for body in bodies if body and body[-1] == nonterminal]
        if turn and len(steps) == len(bodies) - 1 and () in bodies:
            most = _MEMBERS if all(_is_member(step) for step in steps) else _LOOPS
            lines.append(f"{names[nonterminal]} ::= ({_outer(_alternatives(steps, names.__getitem__))}){{0,{most}}}")
        else:
            lines.append(f"{names[nonterminal]} ::= {_outer(_alternatives(bodies, names.__getitem__))}")
    for symbol, name in names.items():
        if isinstance(symbol, Terminal):
            lines.append(f"{name} ::= {_bnf(_regexp(symbol, turn))}")
    written = "\n".join(lines)
    named = {name: _part(part, turn) for part, (name, _) in _PARTS.items() if name != "COMMENT" or " comment" in written}
    lines += [f"{name.lower()} ::= {_bnf(text)}" for name, text in named.items()]
    return "\n".join(lines) + "\n"
