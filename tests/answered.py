"""Result sets for the sentences at the top of a page, each with what must and must not stand there.

Attacks and defenses have names that are in no list of titles; figures are inputs, not measurements.
``worst`` and the like are parts of the sentence on that; ``act`` of the rows to act on; ``never``
stands nowhere at the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.evidence import Membership, RunRecord, outcome, roc
from tests.records import (
    make_hospitals,
    make_inversion,
    make_isolation,
    make_privacy,
    make_record,
    with_outcomes,
)
from tests.studies import ALONE, STUDIES, losses

Texts = tuple[str, ...]
HARMLESS: Texts = ("no harm", "harmless", "withstands", "safe", "protects")
SEES_UPDATES = {
    "party": "the aggregator",
    "before": {"single update": "sees"},
    "after": {"single update": "sees"},
}
SMALL = (0.001, 0.0, 0.002)
SOURCE = {"_target_": "attacks.inference.source_inference.SourceInference", "party": "aggregator"}


@dataclass(frozen=True)
class Case:
    """Records, the manifest's part that matters, and texts that must and must not be there."""

    records: Sequence[RunRecord]
    refused: Sequence[dict[str, Any]] = ()
    asked: Texts = ()
    worst: Texts = ()
    read: Texts = ()
    pays: Texts = ()
    open: Texts = ()
    act: Texts = ()
    whose: Texts = ()
    never: Texts = ()


def marked(
    name: str,
    by_defense: dict[str, tuple[float, ...]],
    false_trigger: float = 0.05,
    n: int = 400,
) -> list[RunRecord]:
    """A backdoor of so much success by defense and seed, on ``n`` marked records, and controls."""
    controls = [
        make_record(defense=d, seed=s, figures={"auroc": ALONE[s % 3]})
        for d, values in by_defense.items()
        for s in range(len(values))
    ]
    return controls + [
        make_record(
            attack=name,
            defense=d,
            seed=s,
            figures={"auroc": ALONE[s % 3]},
            backdoor=(value, false_trigger, n),
        )
        for d, values in by_defense.items()
        for s, value in enumerate(values)
    ]


def inverted(
    found: dict[str, int], n: int = 8, n_shuffled: int = 0, attack: str = "peek"
) -> list[RunRecord]:
    """So many of ``n`` records recovered in each of three seeds, by defense, and controls."""
    runs = [make_record(defense=d, seed=s) for d in found for s in range(3)]
    for d, k in found.items():
        inversion = make_inversion(k, n, n_shuffled=n_shuffled, attack=attack)
        runs += [
            make_record(attack=attack, defense=d, seed=s, inversion=inversion) for s in range(3)
        ]
    return runs


def asked_of(shift: float, seeds: int = 3, party: str = "aggregator") -> list[RunRecord]:
    """A membership inference whose scores of members are higher by ``shift``, and controls."""
    runs = [make_record(seed=s) for s in range(seeds)]
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        members = sorted(rng.normal(shift, 1, 200).tolist())
        others = sorted(rng.normal(0, 1, 200).tolist())
        record = make_record(attack="ask", seed=seed)
        held = Membership(
            attack="ask", party=party, rounds=[], members=members, others=others, bounds=[]
        )
        null = outcome("membership_auc_null", 0.5, 200)
        area = outcome("membership_auc", roc.auc(members, others), 400)
        outcomes = (*record.outcomes, area, null)
        runs.append(record.model_copy(update={"membership": held, "outcomes": outcomes}))
    return runs


def sourced(values: tuple[float, ...]) -> list[RunRecord]:
    """An inference of which hospital a record is of, beside guessing, and controls."""
    runs = [make_record(seed=s) for s in range(len(values))]
    for seed, value in enumerate(values):
        record = make_record(attack="whence", seed=seed)
        config = {**record.config, "attack": [["whence", SOURCE]]}
        found = [("source_accuracy", value), ("source_accuracy_alone", 0.2)]
        more = [outcome(metric, of, 100) for metric, of in found]
        runs.append(with_outcomes(record.model_copy(update={"config": config}), more))
    return runs


def priced(changes: dict[str, float], spread: float = 0.001) -> list[RunRecord]:
    """Nobody attacks; ``wall`` changes each hospital's Brier score by so much, and by seed more."""
    facts = make_hospitals([])
    runs = [make_record(seed=s) for s in range(3)]
    for seed in range(3):
        each = {
            one.hospital: 0.15 + 0.01 * i + changes.get(one.hospital, 0.0) + spread * seed
            for i, one in enumerate(facts)
        }
        runs.append(make_record(defense="wall", seed=seed, of_hospitals={"brier": each}))
    return runs


def renamed(records: Sequence[RunRecord], **changes: Any) -> list[RunRecord]:
    """The records with these fields changed."""
    return [record.model_copy(update=changes) for record in records]


def one_wall(
    lost: tuple[float | None, ...], held: tuple[float | None, ...] = SMALL
) -> list[RunRecord]:
    """``shove`` takes so much AUROC with no defense, and under ``wall``."""
    return losses({("shove", "none"): lost, ("shove", "wall"): held})


SHOVED = (0.3, 0.31, 0.29)
CASES: dict[str, Case] = {
    "nothing at all": Case(
        STUDIES["nothing"](),
        asked=("1 simulated run with 1 seed asks how good the model is with nobody attacking",),
        worst=("nothing is known about harm",),
        read=("not known; with no defense it sees every hospital's update",),
        pays=("No defense was run",),
        open=("one seed decides nothing", "23 of 23 threats"),
        never=("harms", "lost 0.05", "Run more seeds"),
    ),
    "all harmed": Case(
        STUDIES["all harmed"](),
        worst=(
            "AUROC falls to 0.533 on average, from 0.900",
            "3 of 3 seeds lost 0.05 or more, how far on average is not decided",
            "whether any defense helps is not decided",
        ),
        act=("nothing tried is shown to hold it",),
        never=("best defense tried", "only defense tried"),
    ),
    "one harmed, one defense holds it": Case(
        losses(
            {("shove", "none"): SHOVED, ("tug", "none"): SMALL}
            | {("shove", "wall"): SMALL, ("tug", "wall"): SMALL}
        ),
        worst=(
            "With no defense, shove does most harm: AUROC falls to 0.600 on average, from 0.900",
            "with wall, the only defense tried, AUROC is 0.899",
            "no loss of 0.05 or more is shown there",
        ),
        act=("shove", "What helped: no loss of 0.05 of AUROC or more is shown under wall"),
        never=("tug does", "tug: "),
    ),
    "nothing harmed": Case(
        one_wall(SMALL),
        worst=(
            "no loss of 0.05 of AUROC or more is shown under shove: no seed lost that much",
            "end at \N{MINUS SIGN}0.003 at the lowest",
            "whether any defense helps is not decided",
        ),
        open=("attacks that were not tried may do more",),
        never=("does most harm", "Harm is shown"),
    ),
    "only the worst seed harmed": Case(
        losses({("shove", "none"): (0.0, 0.4, 0.0)}),
        worst=(
            "is not decided with 3 seeds",
            "changes by \N{MINUS SIGN}0.400 in the worst seed, and 1 of 3 seeds lost",
        ),
        act=("Run more seeds",),
        never=("no loss", "does most harm", "Harm is shown"),
    ),
    "only the worst seed harmed under a defense": Case(
        STUDIES["bimodal"](),
        worst=(
            "no seed lost that much",
            "harm is not decided, where",
            "took 0.700 of AUROC in the worst seed (1 of 3 seeds",
        ),
        never=("the only defense tried", "does better than none"),
    ),
    "two defenses tie": Case(
        STUDIES["ties"](),
        worst=(
            "no best defense is shown, though",
            "does better than none: the AUROC under the worst attack of",
            "is not distinguished",
        ),
        never=("the best defense tried", "the only defense tried"),
    ),
    "a defense ties with none": Case(
        one_wall((0.02, 0.3, 0.01), (0.3, 0.01, 0.02)),
        worst=("is not decided: the AUROC under the worst attack of no defense (0.790) and wall",),
        never=("does better than none", "What helped"),
    ),
    "every defense worse than none": Case(
        one_wall(SMALL, SHOVED),
        worst=(
            "no defense tried does better than none",
            "under wall harm is shown, where shove took 0.310",
        ),
        act=("only under a defense | shove", "With no defense no loss of 0.05 of AUROC or more"),
        never=("What helped", "is shown to hold it"),
    ),
    "the best defense is harmed too": Case(
        one_wall((0.4, 0.41, 0.39), (0.2, 0.21, 0.19)),
        worst=("with wall, the only defense tried, AUROC is 0.700", "harm is shown there too"),
        act=("no defense and under wall. None of the defenses tried is shown to hold it.",),
        never=("What helped",),
    ),
    "a backdoor with untouched AUROC": Case(
        STUDIES["backdoor only"](),
        worst=(
            "puts 92 % of marked patients into the attacker's class",
            "(5 % without the attack), which AUROC does not show",
            "puts 5.3 % there",
        ),
        act=("The backdoor is shown to work with no defense",),
        never=("does most harm", "AUROC falls"),
    ),
    "a backdoor that is not decided": Case(
        marked("stain", {"none": (0.9, 0.05, 0.05)}),
        worst=(
            "stain works as a backdoor with no defense is not decided with 3 seeds (+85.0 points",
        ),
        never=("No material success", "shown to work"),
    ),
    "a backdoor that works beside a larger one that is not decided": Case(
        marked("stain", {"none": (0.9, 0.05, 0.05)})
        + [one for one in marked("blot", {"none": (0.2, 0.2, 0.21)}) if one.attack == "blot"],
        worst=("Blot puts 20 % of marked patients into the attacker's class",),
        open=("harm is not decided in 1 of 2 pairs",),
        never=("stain works as a backdoor",),
    ),
    "a backdoor that AUROC judges too": Case(
        [
            with_outcomes(one, [outcome("auroc", 0.5, 100)]) if one.attack == "stain" else one
            for one in marked("stain", {"none": (0.9, 0.91, 0.9)})
        ],
        open=("the one attack on the model is decided",),
        never=("of 2 pairs",),
    ),
    "a backdoor that does nothing": Case(
        marked("stain", {"none": (0.05, 0.05, 0.06)}),
        worst=("No material success of stain as a backdoor is shown, interval included",),
        never=("puts",),
    ),
    "a backdoor no defense holds": Case(
        marked("stain", {"none": (0.9, 0.92, 0.91), "wall": (0.8, 0.82, 0.81)}),
        worst=("under wall stain puts 81 % there.",),
        act=("None of the defenses tried is shown to hold it",),
        never=("What helped",),
    ),
    "a backdoor that reaches about as much under a defense": Case(
        marked("stain", {"none": (0.9, 0.92, 0.91), "wall": (0.95, 0.8, 0.9)}),
        worst=("under wall stain puts 88 % there, which is not shown to be less",),
    ),
    "two defenses against a backdoor, not distinguished": Case(
        marked(
            "stain",
            {"none": (0.9, 0.92, 0.91), "wall": (0.5, 0.52, 0.5), "moat": (0.53, 0.5, 0.52)},
        ),
        worst=(
            "under wall, where the worst backdoor has least success beyond false triggers (not"
            " distinguished from moat), stain puts 51 % there.",
        ),
    ),
    "one seed left no AUROC": Case(
        STUDIES["undefined"](),
        worst=("is not decided with 3 seeds", "left no AUROC in 1 seed"),
        never=("does most harm", "no seed lost"),
    ),
    "no seed left an AUROC": Case(
        one_wall((None, None, None)),
        worst=("in none of 3 seeds is the model left with an AUROC",),
        act=("What helped",),
        never=("not decided",),
    ),
    "no defense left an AUROC": Case(
        one_wall((0.3, None, 0.3), (None, 0.1, 0.1)),
        worst=(
            "2 of 2 seeds lost 0.05 or more, 1 more have no AUROC",
            "under every defense tried some attack left a model without an AUROC",
        ),
        act=("None of the defenses tried",),
        never=("the only defense tried", "What helped"),
    ),
    "training broke down": Case(
        STUDIES["broken down"](),
        worst=("AUROC falls to 0.100 on average",),
        never=("nothing is known",),
    ),
    "rounds were skipped": Case(
        STUDIES["skipped"](),
        act=("before anything else is read | Training failed with nobody attacking",),
        open=("harm is not decided in 1 of 2 pairs",),
    ),
    "huge intervals": Case(
        one_wall((0.06, 0.8, 0.06), (0.0, 0.5, 0.0)),
        worst=(
            "3 of 3 seeds lost 0.05 or more, how far on average is not decided",
            "whether that is harm is not decided",
        ),
        act=("Not decided under wall",),
        never=("What helped", "no loss"),
    ),
    "one seed": Case(
        losses({("shove", "none"): (0.5,), ("shove", "wall"): (0.0,)}, controls=(0.9,)),
        worst=("is not decided with 1 seed", "with one seed no order of defenses is settled"),
        pays=("under wall",),
        open=("one seed decides nothing",),
        never=("does most harm", "the only defense tried", "What helped"),
    ),
    "no attack": Case(
        [make_record(defense=d, seed=s) for d in ("none", "wall") for s in range(3)],
        asked=("what wall costs when nobody attacks",),
        worst=("No attack that changes the model was tried",),
        open=("23 of 23 threats",),
        never=("does better", "AUROC falls", "adapted"),
    ),
    "no defense": Case(
        losses({("shove", "none"): SHOVED}),
        asked=("with no defense.",),
        worst=("no defense was run",),
        act=("no defense was tried | shove", "No defense was run against it"),
        never=("best defense", "helps", "nothing tried"),
    ),
    "no control without the attack": Case(
        [make_record(attack="shove", seed=s, figures={"auroc": 0.4}) for s in range(3)],
        worst=("What shove costs the model with no defense is not known",),
        act=("Run the controls",),
        never=("does most harm", "no loss", "Run more seeds"),
    ),
    "a single attacked run": Case(
        [make_record(attack="shove", figures={"auroc": 0.4})],
        worst=("is not known",),
        open=("one seed decides nothing",),
        act=("Run the controls",),
        never=("does most harm", "AUROC falls"),
    ),
    "a single defended run": Case(
        [make_record(defense="wall", privacy=make_privacy())],
        read=("wall (ε = 8.00) holds the advantage",),
        pays=("Which hospital pays for a defense is not known",),
        never=("does better",),
    ),
    "attacked only under a defense": Case(
        [one for one in one_wall(SHOVED) if (one.attack, one.defense) != ("shove", "none")],
        worst=("No attack was run without a defense", "no loss of 0.05 or more is shown there"),
        never=("With no defense,",),
    ),
    "only reading": Case(
        STUDIES["reconstruction only"](),
        worst=("nothing is known about harm",),
        read=(
            "recovered 24 of 24 attacked records with no defense (100 %)",
            "recovered none, and a true share of up to 14 % would still fit",
        ),
        act=("a defense tried helps", "none was recovered under"),
        never=("no attack that reads",),
    ),
    "reading no more than from shuffled updates": Case(
        inverted({"none": 2}, n_shuffled=2),
        read=("no more than from shuffled updates, so that nothing is shown to be read",),
        never=("Patient records were recovered",),
    ),
    "reading found nothing": Case(
        inverted({"none": 0, "wall": 0}),
        read=("recovered 0 of 24 attacked records with no defense", "up to 14 % would still fit"),
        never=("Patient records were recovered", "cannot"),
    ),
    "reading with no defense": Case(
        inverted({"none": 8}),
        act=("no defense was tried | peek", "attacked ones. No defense was run against it."),
        never=("nothing tried", "Under each defense"),
    ),
    "reading under every defense": Case(
        inverted({"none": 8, "wall": 4}),
        read=("the most under a defense: peek recovered 12 of 24",),
        act=("a defense tried helps", "fewer were recovered under wall (50 %), yet some"),
    ),
    "reading of as much under every defense": Case(
        inverted({"none": 8, "wall": 8}),
        act=("nothing tried is shown to hold it", "Under each defense tried some were recovered"),
        never=("What helped",),
    ),
    "reading not shown to be less under a defense": Case(
        inverted({"none": 1, "wall": 0}),
        read=("under wall peek recovered none, and a true share of up to 14 % would still fit",),
        act=(
            "nothing tried is shown to hold it | peek",
            "None was recovered under wall (up to 14 % would still fit); not distinguished from",
        ),
        never=("What helped",),
    ),
    "reading of as much under several defenses": Case(
        inverted({"none": 8, "wall": 4, "moat": 4}),
        read=("peek recovered 12 of 24 attacked records under wall (50 %), as many as under moat",),
    ),
    "two that read, each stopped by another defense": Case(
        inverted({"none": 8, "wall": 0, "moat": 4})
        + [one for one in inverted({"wall": 3, "moat": 0}, attack="pry") if one.attack == "pry"],
        read=("under wall peek recovered none", "under moat pry recovered none"),
        never=("under wall and under moat", "pry recovered none under wall"),
    ),
    "single updates that no sum hides": Case(
        [
            make_record(),
            make_record(attack="gang", isolation=make_isolation(5, attack="gang", error=0.0)),
            make_record(defense="wall"),
            make_record(
                attack="gang",
                defense="wall",
                access=[SEES_UPDATES],
                isolation=make_isolation(5, attack="gang", error=0.0),
            ),
        ],
        read=("With no defense and under wall the aggregator is sent each update by itself",),
        never=("No attack that reads", "worked out", "nothing tried is shown to hold it"),
    ),
    "single updates taken out of sums": Case(
        [
            make_record(),
            make_record(defense="sums"),
            make_record(
                attack="gang",
                defense="sums",
                isolation=make_isolation(2, attack="gang", error=0.0),
            ),
        ],
        read=("Gang worked out 2 of 5 single updates of honest hospitals under sums",),
        act=("Single updates of honest hospitals were worked out",),
    ),
    "membership shown": Case(
        asked_of(1.0),
        read=("Ask, by the aggregator, tells who was trained on with an AUC of 0.782",),
        act=("no defense was tried | ", "It is shown to tell who was trained on"),
        never=("more than guessing is not decided", "nothing tried"),
    ),
    "membership not decided": Case(
        asked_of(0.05),
        read=("whether that is more than guessing is not decided",),
        act=("Run more seeds", "Whether records are recognized is not decided in 1 of 1 pair;"),
        never=("It is shown to tell",),
    ),
    "membership in one seed": Case(
        asked_of(1.0, seeds=1),
        read=("whether that is more than guessing is not decided",),
        open=("one seed decides nothing",),
        never=("It is shown to tell",),
    ),
    "source of records": Case(
        sourced((0.6, 0.62, 0.61)),
        read=("0.610 with no defense beside 0.200 without the attack",),
        act=(
            "no defense was tried | ",
            "It is shown to do more than what needs no attack, with no defense",
        ),
        never=("nothing tried", "whether that is more is not decided", "No attack that reads"),
    ),
    "source of records not decided": Case(
        sourced((0.2, 0.4, 0.1)), read=("whether that is more is not decided",)
    ),
    "only differential privacy": Case(
        [make_record(seed=s) for s in range(3)]
        + [make_record(defense="noise", seed=s, privacy=make_privacy()) for s in range(3)],
        worst=("nothing is known about harm",),
        read=("noise (ε = 8.00) holds the advantage of any test of who was in the training",),
        never=("anonymous", "no one can"),
    ),
    "secure aggregation refuses a rule": Case(
        losses({("shove", "none"): SHOVED}),
        refused=[
            {
                "attack": "shove",
                "defense": "sums+krum",
                "n_hostile": None,
                "part": "defense",
                "reason": "Krum needs n_rows >= 5, and a sum has 1",
            }
        ],
        worst=("no defense was run",),
        open=("1 pair of attack and defense did not run, as not defined in this design",),
    ),
    "own data": Case(
        renamed(one_wall(SHOVED), public=False, provenance="own", data_source="own"),
        whose=("Your data: records of the consortium's own patients",),
        never=("no patient of yours",),
    ),
    "own data of older evidence": Case(
        renamed(one_wall(SHOVED), public=False),
        whose=("Not public, so take them for your own patients",),
        never=("no patient of yours",),
    ),
    "synthetic data": Case(
        renamed(one_wall(SHOVED), provenance="synthetic"),
        whose=("Made up by a program, no patient of anybody",),
        never=("Your data",),
    ),
    "published data": Case(
        renamed(one_wall(SHOVED), provenance="published", data_source="UCI X"),
        whose=("Published research data, no patient of yours (UCI X)",),
        never=("Your data",),
    ),
    "a mix of data": Case(
        [
            *renamed([make_record()], provenance="published", data_source="UCI X"),
            *renamed([make_record(seed=1)], provenance="own", public=False, data_source="own"),
        ],
        whose=(
            "These runs mix data of different kinds",
            "Published research data, no patient of yours (UCI X)",
            "Your data",
        ),
    ),
    "unequal seeds": Case(
        [
            one
            for one in one_wall(SHOVED, (0.0, 0.4, 0.0))
            if (one.attack, one.defense, one.seed) != ("shove", "wall", 1)
        ],
        worst=("lowest of 2 seeds 0.890",),
    ),
    "a defense that met fewer attacks": Case(
        losses(
            {("shove", "none"): SHOVED, ("tug", "none"): (0.2, 0.21, 0.19)}
            | {("shove", "wall"): SMALL}
        ),
        worst=("it met 1 of 2 attacks",),
        act=("no defense was tried | tug", "a defense tried helps | shove"),
    ),
    "two attacks do the same harm": Case(
        losses({("shove", "none"): SHOVED, ("tug", "none"): SHOVED}),
        worst=("shove and tug do most harm",),
    ),
    "an attack that helps the model": Case(
        one_wall((-0.05, -0.06, -0.04)),
        worst=("end at +0.025 at the lowest",),
        never=("does most harm", "Harm is shown"),
    ),
    "the attack did nothing": Case(
        [
            one
            if one.attack == "none"
            else one.model_copy(
                update={"engagement": one.engagement.model_copy(update={"attack_engaged": False})}
            )
            for one in one_wall(SMALL)
        ],
        worst=("In no run did the attack do anything, so that nothing is known about harm",),
        open=("harm is not decided in 2 of 2 pairs",),
        act=("shove did nothing", "give it other values"),
        never=("Run more seeds", "no loss", "What helped"),
    ),
    "the defense did nothing": Case(
        [
            one
            if one.defense == "none"
            else one.model_copy(
                update={"engagement": one.engagement.model_copy(update={"defense_engaged": False})}
            )
            for one in one_wall(SHOVED)
        ],
        worst=("what a defense changes is not known",),
        act=("wall did nothing",),
        never=("What helped", "the only defense tried"),
    ),
    "an attack that adapts": Case(
        [
            one.model_copy(update={"adaptive": one.attack != "none"})
            for one in one_wall(SHOVED, (0.2, 0.21, 0.19))
        ],
        worst=("harm is shown there too",),
        never=("no attacker adapted",),
    ),
    "many attacks and defenses": Case(
        losses(
            {
                (f"a{i:02}", d): (0.3 - 0.009 * i,) * 2 + (0.3 - 0.009 * i + 0.001,)
                for i in range(30)
                for d in ("none", *(f"d{j}" for j in range(4)))
            }
        ),
        asked=("a00, a01, a02 and 27 more",),
        worst=("d1 (0.600) and 2 more",),
        open=("each of 150 pairs",),
    ),
    "hostile names": Case(
        losses({("<script>alert('x')</script>", "none"): SHOVED, ("[x]", "{{ 7 * 7 }}"): SMALL}),
        worst=(
            "<script>alert('x')</script> does most harm",
            "with {{ 7 * 7 }}, the only defense tried",
        ),
    ),
    "one hospital pays": Case(
        priced({"hospital_3": 0.1}),
        pays=("costs one hospital most: the Brier score (lower is better) of hospital_3 changes",),
        never=("not distinguished",),
    ),
    "every hospital pays alike": Case(
        priced({f"hospital_{i}": 0.1 for i in range(6)}),
        pays=("no hospital is shown to pay most", "not distinguished from"),
        never=("costs one hospital most",),
    ),
    "no hospital pays": Case(
        priced({}, spread=0.0),
        pays=("no hospital's mean Brier score (lower is better) rose by 0.001 or more under wall",),
        never=("costs one hospital",),
    ),
    "a price that is not decided": Case(
        priced({"hospital_3": 0.03}, spread=-0.02),
        pays=("whether it is a rise at all is not decided with 3 seeds",),
    ),
}
