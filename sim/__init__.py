"""The simulator: a consortium design in, measured outcomes out.

Importing this package switches off everything in the dependencies that would contact the network: Flower's telemetry,
its update check and its run-time installs. It also asks numerical libraries for one thread a process, because the models are
small and other runs use the cores better. They read these variables when they are imported, so they are set here first.
"""

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
os.environ["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] = "1"
os.environ.setdefault("FLWR_LOG_LEVEL", "ERROR")
for _library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

__version__ = "0.1.0"
