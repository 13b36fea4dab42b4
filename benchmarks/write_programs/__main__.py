"""How well a real model writes programs, in rlmlang and in Python.

python benchmarks/write_programs MODEL.gguf
"""

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.write_programs.measure import main

main()
