"""The figures of docs/argument.md: measured with scripted models, and by arithmetic where it says so.

python benchmarks/argument [--write]
"""

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.argument.figures import main

main()
