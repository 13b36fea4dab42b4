"""`chunks`: a fixed map and merge. Each piece of the data is asked for what bears on the question, the notes are merged.

As LangChain's MapReduceDocumentsChain is documented: map over the documents, collapse what came of it while it is too long for one
prompt, then reduce. The maps are calls of the sub-model; the last merge, which answers, is the root model's.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from rlmlang.compare.files import Files
from rlmlang.compare.programs import arrow, bound_of, data_bytes, models, session_of, whole_text, with_question
from rlmlang.compare.strategy import Asked, Attempt
from rlmlang.syntax.strings import quote

CHUNK_CHARS: Final = 8_000  # of a piece: some 2,000 tokens, so that small models read it too
_PROGRAM: Final = """\
input question: text
input data: text

fn collapsed(notes: text) -> text depth 8 {{
  notes if len(notes) <= {room} else collapsed("\\n\\n".join([
    call f"These are notes on a question. Merge them, and keep what helps to answer it.\\n\\nQuestion: {{question}}" on part
    for part in chunks(notes, {room})
  ]))
}}

notes = [
  call f"Note all that this piece of the data says that helps to answer the question.\\n\\nQuestion: {{question}}" on piece
  for piece in chunks(data, {size})
]
merged = collapsed("\\n\\n".join(notes))
task = f"Answer the question from these notes on all pieces of the data.\\n\\nQuestion: {{question}}"
answer call task on merged{type} with {{model: {root}}}
"""


@frozen
class Chunks:
    """One program, whatever the question."""

    name: str = "chunks"
    help: str = "a fixed map over pieces, then a merge"

    def attempt(self, asked: Asked) -> Attempt:
        root, sub = models(asked)
        room = max(1_000, min(data_bytes(root, asked.question), data_bytes(sub, asked.question)) // 4)  # a character has four bytes at most
        values = {"room": room, "size": min(CHUNK_CHARS, room), "type": arrow(asked), "root": quote(root.name)}
        program = _PROGRAM.format(**values)
        session = session_of(asked, program, {"question": asked.question, "data": whole_text(Files.of(asked.contexts))}, self.name)
        last = max(session.compiled.sites.values(), key=lambda site: site.span.start)
        return Attempt(
            session,
            lambda site, level: site is last,
            program=lambda answer: with_question(program, asked.question),
            bound=lambda: bound_of(session),
        )


STRATEGY = Chunks()
