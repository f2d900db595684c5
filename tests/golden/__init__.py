"""Golden evidence. One thread a library, whatever is imported first: digits depend on how a product
is shared out.
"""

import os

for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ[f"{_library}_NUM_THREADS"] = "1"
