"""Figures in a document, where a script puts them: what stands between `<!-- figures: NAME -->` and `<!-- end -->` is written anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path


def fill(path: Path, sections: Mapping[str, str]) -> None:
    """Writes each section of the document for which there are figures. Raises KeyError where it has no such section."""
    text = path.read_text("utf-8")
    for name, figures in sections.items():
        section = re.search(rf"(<!-- figures: {re.escape(name)} -->\n).*?(<!-- end -->)", text, re.S)
        if section is None:
            raise KeyError(f"{path} has no section for the figures {name}")
        before, after = text[: section.end(1)], text[section.start(2) :]
        text = f"{before}\n{figures.strip()}\n\n{after}"
    path.write_text(text, "utf-8")
