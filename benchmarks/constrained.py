"""Whether all that a model writes under the exported grammar parses: `python benchmarks/constrained.py [--samples 200]`.

The embedded model at temperature 1, in-process. Exit code 1 if a sample does not parse; what no grammar of this kind can say (a field
twice, a limit) does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from test_grammar import BEYOND, complaints, constrained_samples


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200)
    written = asyncio.run(constrained_samples(parser.parse_args().samples))
    wrong = [text for text in written if not complaints(text) <= BEYOND]
    for text in wrong:
        print(f"{text}\n---")
    print(f"{len(written)} samples, {len(set(written))} different, {len(wrong)} do not parse")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
