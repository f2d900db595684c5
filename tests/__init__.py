"""Tests, in folders named as what they test; ``whole`` holds tests of the project as a whole."""

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

# One thread of each library, before it is loaded, here and in the processes that tests start: the
# processes of tests share the cores, and threads that wait for each other take most of their time.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
