"""Figures in documents, where a script puts them: what stands between `<!-- figures: NAME -->` and `<!-- end -->` is written anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_DOCS = Path(__file__).parents[2] / "docs"
DOCUMENTS = (_DOCS / "argument.md", _DOCS / "measured.md")


def fill(sections: Mapping[str, str], documents: Sequence[Path] = DOCUMENTS) -> None:
    """Writes each section for which there are figures, in the document that has it. Raises KeyError where none has."""
    texts = {path: path.read_text("utf-8") for path in documents}
    for name, figures in sections.items():
        marks = re.compile(rf"(<!-- figures: {re.escape(name)} -->\n).*?(<!-- end -->)", re.S)
        found = next(((path, section) for path, text in texts.items() if (section := marks.search(text))), None)
        if found is None:
            raise KeyError(f"no document has a section for the figures {name}")
        path, section = found
        texts[path] = f"{texts[path][: section.end(1)]}\n{figures.strip()}\n\n{texts[path][section.start(2) :]}"
    for path, text in texts.items():
        path.write_text(text, "utf-8")
