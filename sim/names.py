"""Objects and modules that the simulator finds by name: it must not import what runs in hospitals
or on the aggregator.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

CLIENT_APP: Final = "clients.app.simulated_app"  # the Flower app of simulated hospitals
TOGETHER: Final = "clients.app.together"  # answers many messages at once
ACCOUNTS: Final = "clients.dp_sgd.SPENT"  # what accountants have answered so far
CHAIN: Final = "aggregators.pipeline.Chain"  # steps, a rule and a server optimizer in a row
# runs on Flower's simulation, whose libraries need not be installed
RAY: Final = "sim.federation.engines.ray.serve"
# modules that workers share: imported before they are forked, by the one of PRELOADED
SHARED: Final = ("sim.study.run", "clients.app")
PRELOADED: Final = ("sim.study.forked",)


def named(name: str) -> object:
    """The object of a dotted name; its module is imported."""
    module, _, attribute = name.rpartition(".")
    found: object = getattr(import_module(module), attribute)
    return found
