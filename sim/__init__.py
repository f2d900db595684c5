"""The simulator: a consortium design in, measured outcomes out.

Importing this package switches off everything in the dependencies that would contact the network:
Flower's telemetry, its update check and its run-time installs.
"""

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
os.environ["FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION"] = "1"
os.environ.setdefault("FLWR_LOG_LEVEL", "ERROR")

__version__ = "0.1.0"
