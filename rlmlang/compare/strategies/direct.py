"""`direct`: the question and all of the data in one prompt to the root model, cut at its window.

What every long-context benchmark takes as its baseline, and the RLM paper (arXiv:2512.24601) calls the base model: no decomposition at all.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from rlmlang.compare.files import Files
from rlmlang.compare.programs import arrow, bound_of, data_bytes, models, session_of, whole_text, with_question
from rlmlang.compare.strategy import Asked, Attempt
from rlmlang.syntax.strings import quote

_PROGRAM: Final = """\
input question: text
input data: text

answer call f"Answer the question from the data.\\n\\nQuestion: {{question}}" on data{type} with {{model: {root}}}
"""


@frozen
class Direct:
    """One call."""

    name: str = "direct"
    help: str = "everything in one prompt, cut at the window"

    def attempt(self, asked: Asked) -> Attempt:
        root, _ = models(asked)
        data = whole_text(Files.of(asked.contexts)).encode("utf-8", "replace")
        kept = data[: data_bytes(root, asked.question)].decode("utf-8", "ignore")
        program = _PROGRAM.format(type=arrow(asked), root=quote(root.name))
        session = session_of(asked, program, {"question": asked.question, "data": kept}, self.name)
        return Attempt(
            session,
            lambda site, level: True,
            alone=True,
            program=lambda answer: with_question(program, asked.question),
            bound=lambda: bound_of(session),
        )


STRATEGY = Direct()
