"""The threat register: a row a threat, attack and defense, with its runs or the reason for none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from sim.evidence import Conflict, RunRecord, Statement, sentence, statement
from sim.evidence.protection import epsilon
from sim.types import Node
from threats.catalog import Catalog, Fact, Measured, Shown, Status, Threat
from threats.cells import Cell, cells
from threats.findings import doubts, finding, omissions, shown, stated


class Row(Fact):
    """One row of the register, on a threat or on a conflict between controls.

    ``finding`` is a sentence with its figure, empty where nothing was measured; ``reason`` limits
    or explains it. ``attacks`` are the attacks run together, or those never run; ``defense`` is
    None where the row is about no particular one. ``metric``: the metric that ``finding`` states.
    ``shown``: what the runs show, None without runs; a row that is measured may show harm.
    ``runs`` are the attacked runs behind the row, ``controls`` the runs to compare them with.
    ``adaptive``: the attack knew the defense in every run.
    """

    kind: Literal["threat", "conflict"]
    id: str
    name: str
    plain: str
    status: Status
    attacks: tuple[str, ...] = ()
    defense: str | None = None
    consortium: str | None = None
    metric: str | None = None
    shown: Shown | None = None
    finding: str = ""
    reason: str = ""
    adaptive: bool | None = None
    runs: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    stride: tuple[str, ...] = ()
    linddun: tuple[str, ...] = ()
    owasp: tuple[str, ...] = ()
    atlas: tuple[str, ...] = ()
    nist_aml: tuple[str, ...] = ()
    hipaa: tuple[str, ...] = ()
    ai_rmf: tuple[str, ...] = ()
    aisvs: tuple[str, ...] = ()
    mitigations: tuple[str, ...] = ()


# what a row repeats of its threat
_OWN: Final = (
    "id",
    "name",
    "plain",
    "stride",
    "linddun",
    "owasp",
    "nist_aml",
    "ai_rmf",
    "aisvs",
    "mitigations",
)


def register(records: Sequence[RunRecord], catalog: Catalog) -> list[Row]:
    """The rows of every threat of ``catalog``, in its order, then of each recorded conflict."""
    tested = cells(records)
    names = {record.defense for record in records}
    defenses = sorted(names, key=lambda name: (name != "none", name))
    rows: list[Row] = []
    for threat in catalog.threats:
        rows += _threat_rows(threat, tested, defenses, catalog)
    return rows + _conflict_rows(records, catalog)


def _threat_rows(
    threat: Threat, tested: list[Cell], defenses: list[str], catalog: Catalog
) -> list[Row]:
    ours = [cell for cell in tested if set(cell.attacks) & set(threat.attacks)]
    ran = {(cell.attack, cell.defense) for cell in ours}
    names = dict.fromkeys(cell.attack for cell in ours)
    pairs = [(name, defense) for name in names for defense in defenses]
    gaps = [pair for pair in pairs if pair not in ran]
    never = tuple(name for name in threat.attacks if not any(name in cell.attacks for cell in ours))
    rows = [_tested(cell, stated(cell, threat.metrics)) for cell in ours]
    rows += [_untested(threat, tuple(name.split("+")), defense) for name, defense in gaps]
    if never or not threat.attacks:
        rows.append(_untested(threat, never, None))
    facts = _facts(threat, catalog)
    return [Row(**facts, **row) for row in rows]


def _tested(cell: Cell, measured: Measured) -> Node:
    reasons = doubts(cell, measured)
    adaptive = all(run.adaptive for run in cell.runs.values())
    first = next(iter(cell.runs.values()))
    undefended = () if cell.defense == "none" else _ids(cell.undefended)
    return {
        "status": "inconclusive" if reasons else "measured",
        "attacks": cell.attacks,
        "defense": cell.defense,
        "consortium": first.consortium,
        "metric": measured.metric,
        "shown": shown(cell, measured),
        "finding": finding(cell, measured),
        "reason": "; ".join(reasons or [*omissions(cell, measured), *_limits(cell, adaptive)]),
        "adaptive": adaptive,
        "runs": _ids(cell.runs),
        "controls": _ids(cell.attack_free) + undefended,
    }


def _untested(threat: Threat, attacks: tuple[str, ...], defense: str | None) -> Node:
    return {
        "status": threat.untested.status,
        "reason": threat.untested.reason,
        "attacks": attacks,
        "defense": defense,
    }


def _limits(cell: Cell, adaptive: bool) -> list[str]:
    limits = []
    first = next(iter(cell.runs.values()))
    if first.privacy is not None:
        limits.append(f"trained with record-level privacy: {statement(first.privacy)}")
    limits += [
        f"with privacy, \N{GREEK SMALL LETTER EPSILON} = {epsilon(one.epsilon)}: {sentence(one)}"
        for one in _weakest([run.statements for run in cell.runs.values()])
    ]
    if len(cell.attacks) > 1:
        limits.append("the attacks ran together and their effects are not distinguished")
    if cell.defense != "none" and not adaptive:
        limits.append("the attack did not adapt to the defense; one that does may achieve more")
    return limits


def _weakest(stated: Sequence[Sequence[Statement]]) -> Sequence[Statement]:
    """The statements of units beyond records, of the seed that spends the most."""
    beyond = [[one for one in of if one.unit != "record"] for of in stated]
    return max(beyond, key=lambda of: [one.epsilon for one in of])


def _facts(threat: Threat, catalog: Catalog) -> Node:
    pin = catalog.taxonomies.atlas.release
    techniques = (f"{one.id}@{pin}{' (near)' * (one.fit == 'near')}" for one in threat.atlas)
    provisions = (f"{one.cite} ({one.relevance})" for one in threat.hipaa)
    return {
        "kind": "threat",
        **{key: getattr(threat, key) for key in _OWN},
        "atlas": tuple(techniques),
        "hipaa": tuple(provisions),
    }


def _conflict_rows(records: Sequence[RunRecord], catalog: Catalog) -> list[Row]:
    controls = {clash.id: clash.mitigations for clash in catalog.conflicts}
    found: dict[tuple[str, str], list[tuple[Conflict, str]]] = {}
    for record in records:
        for conflict in record.conflicts:
            found.setdefault((conflict.id, record.defense), []).append((conflict, record.run))
    return [
        Row(
            kind="conflict",
            id=name,
            name=seen[0][0].between,
            plain=seen[0][0].text,
            status="literature_only",
            defense=defense,
            reason="follows from how the two work; no figure is claimed",
            runs=tuple(run for _, run in seen),
            mitigations=controls.get(name, ()),
        )
        for (name, defense), seen in found.items()
    ]


def _ids(runs: Mapping[int, RunRecord]) -> tuple[str, ...]:
    return tuple(runs[seed].run for seed in sorted(runs))
