"""The powers that the runs of a cell used, and whether an adversary has declared them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sim.evidence.written import count
from sim.names import CLEAR
from sim.types import LEVELS, Level
from threats import named
from threats.catalog import Catalog
from threats.powers import Power
from threats.system import Adversary

# from most to least: whoever sees more can work out what is less
SEEING: Final[tuple[Power, ...]] = ("see_individual_updates", "see_group_sums", "see_aggregate")
# powers of hospitals, of which a coalition has as many as it has members
OF_HOSPITALS: Final[frozenset[Power]] = frozenset(
    {"modify_update", "control_training_data", "control_labels", "enrol_nodes"}
)


def hides_updates(config: Mapping[str, object]) -> bool:
    """Whether secure aggregation hides single updates in runs of this configuration."""
    secagg = config.get("secagg")
    target = secagg.get("_target_", CLEAR) if isinstance(secagg, Mapping) else CLEAR
    return bool(target != CLEAR)


def powers_used(
    attacks: Sequence[str], config: Mapping[str, object], adversary: Adversary, catalog: Catalog
) -> tuple[Power, ...]:
    """Powers that these attacks use in runs of this configuration.

    Of the alternatives of an attack, those that ``adversary`` declares count first. An attack that
    looks at updates sees single ones wherever nothing hides them.
    """
    hidden = hides_updates(config)
    used = list[Power]()
    for name in attacks:
        ways = catalog.attack(name).powers
        if len(ways) > 1 and set(ways[0]) & set(SEEING):
            shown = [way for way in ways if ("see_individual_updates" in way) != hidden]
            ways = tuple(shown) if hidden else ways[:1]
        declared = [way for way in ways if set(way) <= set(adversary.powers)]
        used += (declared or ways)[0]
    return tuple(dict.fromkeys(used))


def beyond(
    attacks: Sequence[str],
    config: Mapping[str, object],
    n_hostile: int,
    adversary: Adversary,
    catalog: Catalog,
    *,
    baseline: bool = False,
) -> str | None:
    """The reason why runs of ``attacks`` use more than an adversary declares; None if they do not.

    ``baseline``: runs without the declared defense, in which whoever sees sums would see single
    updates: that is no power of the adversary but the lack of a control.
    """
    known = {attack.name for attack in catalog.attacks}
    if unknown := [name for name in attacks if name not in known]:
        return f"no threat claims {', '.join(unknown)}, and nobody stated the powers that it uses"
    declared = set(adversary.powers)
    if baseline and declared & set(SEEING):
        declared.add(SEEING[0])
    used = powers_used(attacks, config, adversary, catalog)
    missing = [power for power in used if power not in declared]
    if missing:
        return f"it takes the power to {named.powers(missing)}, which {adversary.id} lacks"
    if set(used) & OF_HOSPITALS and n_hostile > adversary.coalition_max:
        most = adversary.coalition_max
        hostile = count(n_hostile, "hospital is", "hospitals are")
        return f"{hostile} hostile, and {adversary.id} declares at most {most}"
    granted = knowledge(config)
    if "modify_update" in used and LEVELS.index(granted) > LEVELS.index(adversary.knowledge):
        may = f"{adversary.id} is declared to know {named.knows(adversary.knowledge)}"
        return f"the attack may know {named.knows(granted)}, and {may}"
    return None


def knowledge(config: Mapping[str, object]) -> Level:
    """The most that hostile hospitals of a run may know."""
    adversary = config.get("adversary")
    found = adversary.get("knowledge", "own") if isinstance(adversary, Mapping) else "own"
    return next((level for level in LEVELS if level == found), "updates_and_rule")
