"""Sentences on what a stated epsilon does not cover, for ``explain``, evidence, report and docs."""

from __future__ import annotations

SIZES = {
    "replace": (
        "The number of a hospital's records. Neighbors are two sets of equally many records of"
        " which one record differs. Noise, steps and sampling rate are computed from the exact"
        " number of training records, so that number is taken to be public."
    ),
    "add_remove": (
        "The agreed number of records. Neighbors are two sets of records of which one has one"
        " record more. Noise, steps and sampling rate follow from the number that all agreed on;"
        " it has to be agreed on without looking at how many records there are. This simulation"
        " itself holds all records: what explain prints of the data, the seconds that a run took,"
        " and the fingerprint of the data are not protected."
    ),
}
OTHERS = (
    (
        "Tuning. Rounds, learning rate, clipping norm or defense chosen by looking at results on"
        " the same patients."
    ),
    (
        "Scaling. The means and standard deviations that standardize the fields are computed from"
        " all training records without noise."
    ),
    "Patients with records in several hospitals. The epsilons of those hospitals add up for them.",
    (
        "Several runs. Epsilon covers one run. Runs of one seed draw the same noise, so that a"
        " comparison is paired; whoever sees two of them can subtract the noise."
    ),
    (
        "Whoever knows the seed. In this simulation a hospital's key, and with it the noise,"
        " follows from the seed of the run. No message holds it; a deployment has to draw noise in"
        " the hospital, from a source that nobody else knows."
    ),
    "Test patients. Scores, curves and the choice of a model by them carry no noise.",
)


TAKING_PART = {
    "zero_out": (
        "Whether a hospital takes part. Neighbors are two runs, in one of which a hospital's"
        " updates are zero; that it is asked, and counted in the mean, is public."
    ),
    "replace": (
        "Whether a hospital takes part. Neighbors are two runs with as many hospitals, one of which"
        " has other updates; that it is asked is public."
    ),
}
BY_PLACE = {
    "server": (
        "The aggregator. It sees updates, or their sum, without noise, and is trusted to add the"
        " noise and to show nothing else.",
        "Record counts, where hospitals are weighed by them: they are public.",
    ),
    "distributed": (
        "Hospitals that collude beyond the stated share. Each can subtract its own part of the"
        " noise, also one that follows the protocol.",
    ),
    "hospital": ("Record counts. Each message states its hospital's number without noise.",),
}
LIMITED = (
    "Numbers of limited precision. The noise is drawn as numbers of 32 or 64 bits, whose lowest"
    " digits are not those of real numbers (Mironov 2012)."
)


def updates_not_covered(relation: str, place: str) -> tuple[str, ...]:
    """The sentences for privacy of whole updates whose noise is added at ``place``."""
    tuning, _, _, several, seed, test = OTHERS
    limited = () if place == "distributed" else (LIMITED,)
    return TAKING_PART[relation], *BY_PLACE[place], tuning, several, seed, test, *limited


def not_covered(relation: str) -> tuple[str, ...]:
    """The sentences for privacy of this ``relation`` between neighbors."""
    return SIZES[relation], *OTHERS
