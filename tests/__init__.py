"""Tests, in folders named as what they test; ``whole`` holds tests of the project as a whole."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
