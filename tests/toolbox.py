"""Attacks that the Adversarial Robustness Toolbox computes, which need not be installed."""

from __future__ import annotations

from importlib.util import find_spec

HAS_ART = find_spec("art") is not None
OF_ART = {"evasion", "extraction"}  # names of their configurations
