"""Dotted names of objects that the simulator finds at run time, because it may not import them.

They run in hospitals or on the aggregator.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

CLIENT_APP: Final = "clients.app.simulated_app"  # the Flower app of simulated hospitals
TOGETHER: Final = "clients.app.together"  # answers many messages at once
ACCOUNTS: Final = "clients.accounting.ANSWERS"  # what accountants have answered so far
CHAIN: Final = "aggregators.pipeline.Chain"  # steps, a rule and a server optimizer in a row
CLEAR: Final = "aggregators.secagg.clear.Clear"  # secure aggregation that hides nothing
GROUPS: Final = "aggregators.secagg.groups.Groups"  # secure aggregation in groups
MEAN: Final = "aggregators.rules.mean.Mean"  # the rule of a run without a defense
RAY: Final = "sim.federation.engines.ray.serve"  # its libraries need not be installed
SHADOWS: Final = "clients.shadows.trained"  # federations of an attacker's own making
SHADOW_UPDATES: Final = "clients.shadows.updates"  # hospitals of an attacker, in one round
TRACKED: Final = "reports.tracked"  # the process that hands finished runs to MLflow
SHARED: Final = ("sim.study.run", "clients.app")  # modules that workers share
PRELOADED: Final = ("sim.study.forked",)  # imports those of SHARED before workers are forked


def named(name: str) -> object:
    """The object of a dotted name; its module is imported."""
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)
