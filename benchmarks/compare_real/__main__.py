"""Every strategy on every workload, with a real model as root and sub-model.

python benchmarks/compare_real MODEL.gguf
"""

import sys
from pathlib import Path

if not __package__:
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from benchmarks.compare_real.measure import main

main()
