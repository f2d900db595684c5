"""Checks for figures that no run can have measured: out of range, or contradicting others."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from sim.evidence import roc
from sim.evidence.images import LEAST_MSE
from sim.evidence.metrics import ANY, METRICS, POSITIVE, SHARE, SIMILARITY, Range

if TYPE_CHECKING:
    from sim.evidence.records import RunRecord

# of figures that describe a run; those of outcomes are in ``METRICS``
RANGES: Final[Mapping[str, Range]] = {
    **dict.fromkeys(
        (
            "sample_rate",
            "delta",
            "target",
            "shortened",
            "advantage",
            "tpr_at_1fpr",
            "tpr_at_01fpr",
            "right",
            "certainty",
            "guess",
            "shuffled",
            "random",
            "typical",
            "surest",
            "least_sure",
            "false_positives",
            "true_positives",
            "bound",
            "lowest",
            "highest",
            "allowed",
        ),
        SHARE,
    ),
    **dict.fromkeys(("n_hospitals", "n_hostile", "n_train", "n_test", "n_test_positive"), POSITIVE),
    **dict.fromkeys(("n", "n_guesses", "records_in_row", "steps", "nominal_records"), POSITIVE),
    **dict.fromkeys(("seed", "rounds", "round", "skipped_rounds", "seconds"), POSITIVE),
    **dict.fromkeys(("clip", "deviation", "epsilon"), POSITIVE),
    **dict.fromkeys(("target_epsilon", "noise_multiplier", "max_grad_norm"), POSITIVE),
    **dict.fromkeys(("radius", "median_length", "longest", "replies", "needed"), POSITIVE),
    "mse": Range(LEAST_MSE, 1.0),
    "ssim": SIMILARITY,
    "not_finite_from": Range(1.0, math.inf),
    **dict.fromkeys(("members", "others"), ANY),  # scores
    "limit": Range(-1.0, math.inf),  # of a rule that is not defined at all
    "pixels": ANY,  # in the units of the images
    "value": ANY,  # by its metric
}
PATIENTS: Final = (
    "auroc", "auprc", "accuracy", "sensitivity_at_90_specificity", "brier", "worst_hospital_auroc",
)  # fmt: skip
# outcome -> the detail of a record that is there if and only if the outcome is
NEEDS: Final[Mapping[str, str]] = {
    "epsilon": "privacy",
    "backdoor_success": "backdoor",
    "false_trigger_rate": "backdoor",
    "reconstruction_rate": "inversion",
    "updates_recovered": "isolation",
    "membership_auc": "membership",
}
PIXEL: Final = re.compile(r"pixel_(\d{1,6})_(\d{1,6})(?:_(\d{1,6}))?", re.ASCII)
OF_SCORES: Final = (  # outcomes that follow from the scores of a membership inference
    "membership_auc", "membership_advantage", "membership_tpr_at_1fpr", "membership_tpr_at_01fpr",
)  # fmt: skip
# of configurations, where they have them: mappings, those that are never null, and lists of pairs
PARTS: Final = (
    *("adversary", "aggregator", "consortium", "defense", "engine", "metrics", "model"),
    *("policy", "report", "secagg", "server", "server_optimizer", "training"),
)
ALWAYS: Final = ("adversary", "defense", "report")
PAIRS: Final = ("attack", "steps")
CURVE = ("round", "hospital", "metric", "value")
SHARES_BY_ROUND = {"auroc", "brier", "accuracy", "backdoor"}
LARGEST = 2**63  # of whole numbers; seeds are below it


def implausible(record: RunRecord) -> tuple[str, str] | None:
    """The first figure that no run can have: its key and what was expected; None without one."""
    looks = (
        *(_ranges, _outcomes, _curve, _contradictions, _values, _details),
        *(_images, _fields, _gallery, _membership),
    )
    return next((found for look in looks for found in look(record)), None)


def _ranges(record: RunRecord) -> Iterator[tuple[str, str]]:
    for key, value in _numbers(record, ""):
        yield from _within_range(key, value, RANGES.get(key.rpartition(".")[2], ANY))


def _within_range(key: str, value: float, range_: Range) -> Iterator[tuple[str, str]]:
    if isinstance(value, int) and abs(value) >= LARGEST:
        yield key, "expected a whole number of less than 64 bits"
    elif not math.isfinite(value) or not range_.low <= value <= range_.high:
        yield key, _expected(*range_)


def _outcomes(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Outcomes that are unknown, repeated, or not as the table of metrics has them."""
    names = {one.hospital for one in record.hospitals}
    counts = Counter((one.metric, one.subject) for one in record.outcomes)
    for one in record.outcomes:
        key = f"outcomes.{one.metric}" + ("" if one.subject is None else f".{one.subject}")
        metric = METRICS.get(one.metric)
        if metric is None:
            yield key, "expected a metric that the table of metrics has"
            return
        if one.value is not None:
            yield from _within_range(key, one.value, metric.range)
        if one.scope not in metric.scopes or (one.scope == "consortium") != (one.subject is None):
            yield key, f"expected an outcome of {' or '.join(metric.scopes)}, and whose it is"
        if one.scope == "hospital" and one.subject not in names:
            yield key, "expected one of the run's hospitals"
        if counts[one.metric, one.subject] > 1:
            yield key, "expected it once"
        if (one.value is None) != bool(one.undefined):
            yield key, "expected a value, or the reason why it is not defined"
        if one.n is None and metric.counted:
            yield f"{key}.n", f"expected the number of {metric.counted}"
        if one.n is not None and not metric.counted:
            yield f"{key}.n", "expected none"
        if one.n == 0 and one.value is not None:
            yield f"{key}.n", f"expected at least one of the {metric.counted}, or no value"
        if (one.unit, one.basis) != (metric.unit, metric.basis):
            yield key, f"expected the unit {metric.unit} and the basis {metric.basis}"


def _expected(low: float, high: float) -> str:
    if math.isinf(low):
        return "expected a finite number"
    most = "" if math.isinf(high) else f" and at most {min(1.0, high):g}"
    return f"expected a number of at least {max(0.0, low):g}{most}"


def _numbers(part: BaseModel, prefix: str) -> Iterator[tuple[str, int | float]]:
    """Every number in a piece of evidence by its dotted key, but for configuration and curve.

    The ``value`` of an outcome goes by its metric: see ``_outcomes``.
    """
    for name, value in part.__dict__.items():
        for item in value if type(value) in (list, tuple) else (value,):
            if type(item) in (int, float):
                yield f"{prefix}{name}", item
            elif isinstance(item, BaseModel):
                yield from _numbers(item, f"{prefix}{name}.")


def _curve(record: RunRecord) -> Iterator[tuple[str, str]]:
    columns = record.curve
    if not columns:
        return
    if sorted(columns) != sorted(CURVE) or len({len(column) for column in columns.values()}) != 1:
        yield "curve", f"expected the columns {', '.join(CURVE)}, equally long"
        return
    rounds = columns["round"]
    values = [value for value in columns["value"] if value is not None]
    # types by set, which takes a fraction of the time: a curve has thousands of entries
    if not {*map(type, rounds)} <= {int} or not _within(rounds, 0, record.rounds):
        yield "curve.round", f"expected whole numbers from 0 to {record.rounds}"
    if not {*map(type, columns["hospital"] + columns["metric"])} <= {str}:
        yield "curve", "expected names of hospitals and metrics"
    elif not ({*map(type, values)} <= {int, float} and all(map(math.isfinite, values))):
        yield "curve.value", "expected finite numbers"
    elif set(columns["metric"]) <= SHARES_BY_ROUND and not _within(values, 0, 1):
        yield "curve.value", "expected numbers of at least 0 and at most 1"


def _within(values: Sequence[float], low: float, high: float) -> bool:
    return not values or (min(values) >= low and max(values) <= high)


def _values(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Whether the values of the configuration that reports read have their form."""
    report = record.config.get("report")
    drop = report.get("material_drop") if isinstance(report, Mapping) else None
    if type(drop) not in (int, float):
        yield "config.report", "expected material_drop, a number, among its values"
    config = record.config
    for key in PARTS:
        if not isinstance(config.get(key, {}), Mapping) and (key in ALWAYS or config[key]):
            yield f"config.{key}", "expected a mapping of its values"
    for key in PAIRS:
        pairs = config.get(key, [])
        if not isinstance(pairs, list) or not all(map(_is_pair, pairs)):
            yield f"config.{key}", "expected pairs of a name and its values"
    if "defense" in config and not _is_text(config["defense"], "name"):
        yield "config.defense", "expected name, a text, among its values"
    if not isinstance(config.get("plugins") or {}, Mapping | list):
        yield "config.plugins", "expected packages"
    attacks = config.get("attack", [])
    pairs = [pair for pair in attacks if _is_pair(pair)] if isinstance(attacks, list) else []
    schedules = [config.get("adversary", {}), *(values for _, values in pairs)]
    for key in ("first_round", "every", "last_round"):
        stated = [one[key] for one in schedules if isinstance(one, Mapping) and key in one]
        if not all(_is_round(value) or (key == "last_round" and value is None) for value in stated):
            yield f"config.adversary.{key}", "expected a whole number of at least 1"


def _is_pair(found: object) -> bool:
    """Whether this is a list of a name and a mapping."""
    if not isinstance(found, list) or len(found) != 2:
        return False
    return isinstance(found[0], str) and isinstance(found[1], Mapping)


def _is_text(node: object, key: str) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get(key), str)


def _is_round(value: object) -> bool:
    return type(value) is int and value >= 1


def _contradictions(record: RunRecord) -> Iterator[tuple[str, str]]:
    for key, place, value in _repeated(record.config):
        if getattr(record, key) != value:
            yield key, f"expected {value!r:.60}, which is config.{place}"
    if len(record.hostile) != record.n_hostile:
        yield "hostile", f"expected as many names as n_hostile={record.n_hostile}"
    if len(record.hospitals) != record.n_hospitals:
        yield "hospitals", f"expected n_hospitals={record.n_hospitals} of them"
    for one in record.hospitals:
        if one.n_test_positive > one.n_test:
            yield "n_test_positive", f"expected at most n_test={one.n_test}"
    numbers = [
        *record.skipped_rounds,
        *(lost.round for lost in record.screened),
        *(share.round for share in record.unopened),
    ]
    if not all(1 <= number <= record.rounds for number in numbers):
        yield "round", f"expected at most rounds={record.rounds}"
    tested = {one.hospital: one.n_test for one in record.hospitals}
    for found in record.outcomes:
        of = record.n_test if found.subject is None else tested.get(found.subject)
        if found.metric in PATIENTS and found.n != of:
            yield f"outcomes.{found.metric}.n", f"expected n_test={of}"
    skipped = record.outcome("rounds_skipped")
    n_skipped = len(record.skipped_rounds)
    share = n_skipped / max(record.rounds, 1)
    if skipped is not None and (skipped.value, skipped.n) != (share, record.rounds):
        yield "outcomes.rounds_skipped", f"expected {n_skipped} of {record.rounds} rounds"


def _details(record: RunRecord) -> Iterator[tuple[str, str]]:
    """What outcomes have to agree with: other outcomes, and the details of what was measured."""
    for metric, detail in NEEDS.items():
        if (record.outcome(metric) is None) != (getattr(record, detail) is None):
            yield f"outcomes.{metric}", f"expected it together with {detail}"
    for metric, extreme, word in (("epsilon", max, "largest"), ("auroc", min, "smallest")):
        of_all = "worst_hospital_auroc" if metric == "auroc" else metric
        own = [one for one in record.outcomes if one.metric == metric and one.subject]
        each = [one.value for one in own if one.value is not None]
        lost = metric == "auroc" and record.value("auroc") is None and record.value(of_all) is None
        if record.value(of_all) != extreme(each, default=None) and not lost:
            yield f"outcomes.{of_all}", f"expected the {word} {metric} of the hospitals"
    noised = record.noised
    if noised is not None:
        columns = (noised.round, noised.clip, noised.deviation)
        if len({len(column) for column in columns}) != 1:
            yield "noised", "expected columns that are equally long"
        if not _within(noised.round, 1, record.rounds):
            yield "noised.round", f"expected whole numbers from 1 to {record.rounds}"
    recovered = record.outcome("updates_recovered")
    if recovered is not None and recovered.value is not None:
        n_honest = record.n_hospitals - record.n_hostile
        if recovered.n != n_honest:
            yield "outcomes.updates_recovered.n", f"expected {n_honest} honest hospitals"
        elif not (recovered.value * n_honest + 1e-9) % 1 < 1e-6:
            yield "outcomes.updates_recovered", f"expected a whole number of {n_honest} hospitals"
    rate = record.outcome("reconstruction_rate")
    if rate is None or record.inversion is None or rate.value is None or rate.n is None:
        return
    if not math.isclose(rate.value * rate.n, record.n_recovered, abs_tol=1e-6):
        yield "outcomes.reconstruction_rate", f"expected a whole number of n={rate.n} records"
    if rate.n != sum(record.inversion.records_in_row):
        expected = "expected as many as inversion.records_in_row has"
        yield "outcomes.reconstruction_rate.n", expected


def _images(record: RunRecord) -> Iterator[tuple[str, str]]:
    """What the scores of images have to agree with: their number, and the outcomes made of them."""
    images = None if record.inversion is None else record.inversion.images
    if images is None:
        if record.has("image_psnr"):
            yield "outcomes.image_psnr", "expected it together with inversion.images"
        return
    n = len(images.hospital)
    parts = (images.guess, images.shuffled, images.mean_color, images.random)
    lengths = {len(scores) for part in parts for scores in (part.mse, part.ssim)}
    if lengths != {n} or n != record.n_attacked:
        yield "inversion.images", "expected as many scores of each kind as attacked records"
        return
    if not set(images.hospital) <= {one.hospital for one in record.hospitals}:
        yield "inversion.images.hospital", "expected the run's hospitals"
    if sum(images.is_recovered) != record.n_recovered:
        yield "outcomes.reconstruction_rate", "expected the share of inversion.images recovered"
    means = {
        "image_mse": images.guess.mse,
        "image_psnr": images.guess.psnr,
        "image_ssim": images.guess.ssim,
        "image_gain": images.gain,
    }
    for metric, values in means.items():
        stated = record.value(metric)
        if n and (stated is None or not math.isclose(stated, sum(values) / n, abs_tol=1e-6)):
            yield f"outcomes.{metric}", "expected the mean of inversion.images"


def _fields(record: RunRecord) -> Iterator[tuple[str, str]]:
    """What the scores of rows have to agree with: their number, and the outcomes made of them."""
    scores = None if record.inversion is None else record.inversion.fields
    if scores is None:
        if record.has("feature_accuracy"):
            yield "outcomes.feature_accuracy", "expected it together with inversion.fields"
        return
    n = len(scores.hospital)
    parts = (scores.guess, scores.shuffled, scores.random, scores.typical)
    lengths = {len(of) for part in parts for of in (part.right, part.exact, part.singled_out)}
    if lengths != {n} or not n or n != record.n_attacked:
        yield "inversion.fields", "expected as many scores of each kind as attacked records"
        return
    if not set(scores.hospital) <= {one.hospital for one in record.hospitals}:
        yield "inversion.fields.hospital", "expected the run's hospitals"
    means = {
        f"{metric}{ending}": sum(of) / n
        for ending, part in (("", scores.guess), ("_shuffled", scores.shuffled))
        for metric, of in (
            ("feature_accuracy", part.right),
            ("exact_match_rate", part.exact),
            ("singled_out_rate", part.singled_out),
        )
    }
    means["feature_gain"] = means["feature_accuracy"] - scores.baseline
    for metric, value in means.items():
        stated = record.value(metric)
        if stated is None or not math.isclose(stated, value, abs_tol=1e-6):
            yield f"outcomes.{metric}", "expected the mean of inversion.fields"
    for part in parts:
        if any(exact != (right == 1) for exact, right in zip(part.exact, part.right, strict=True)):
            yield "inversion.fields.exact", "expected it where all fields are right, and only there"


def _gallery(record: RunRecord) -> Iterator[tuple[str, str]]:
    """Whether attacked records that a page may show are of the run's hospitals and can be drawn."""
    found = record.inversion
    if found is None:
        return
    if not {one.hospital for one in found.gallery} <= {one.hospital for one in record.hospitals}:
        yield "inversion.gallery.hospital", "expected the run's hospitals"
    if found.pixels is None:
        return
    if not found.pixels[0] < found.pixels[1]:
        yield "inversion.pixels", "expected the least and the largest value"
    for one in found.gallery:
        shown = (one.truth, one.guess, one.baseline)
        if not all(_is_image(cells) for cells in shown if cells is not None):
            yield "inversion.gallery", "expected a number for each pixel of an image"


def _is_image(cells: Mapping[str, str]) -> bool:
    """Whether there is one number for each pixel of an image, and nothing else."""
    places = [found for name in cells if (found := PIXEL.fullmatch(name)) is not None]
    try:
        for text in cells.values():
            float(text)
    except ValueError:
        return False
    sizes = [1 + max(int(found[axis] or 0) for found in places) for axis in (1, 2, 3) if places]
    return len(places) == len(cells) == math.prod(sizes)


def _membership(record: RunRecord) -> Iterator[tuple[str, str]]:
    """What the scores of a membership inference have to agree with: the outcomes made of them."""
    found = record.membership
    if found is None:
        return
    members = found.members
    others = found.others
    if members != sorted(members) or others != sorted(others):
        yield "membership", "expected scores in their order"
    n = len(members)
    n_all = n + len(others)
    given = dict[str, tuple[float, int]]()
    if members and others:
        given = {
            "membership_auc": (roc.auc(members, others), n_all),
            "membership_advantage": (roc.advantage(members, others), n_all),
            "membership_tpr_at_1fpr": (roc.true_positives(members, others, 0.01), n),
            "membership_tpr_at_01fpr": (roc.true_positives(members, others, 0.001), n),
        }
    for metric in OF_SCORES:
        stated = record.outcome(metric)
        if stated is None or stated.value is None:
            continue
        value, counted = given.get(metric, (math.nan, 0))
        if stated.n != counted or not math.isclose(stated.value, value, abs_tol=1e-9):
            yield f"outcomes.{metric}", "expected what the scores of membership give"
    for one in found.bounds:
        if not given:
            yield "membership.bounds", "expected none without scores"
            return
        reached = roc.true_positives(members, others, one.false_positives)
        if not one.lowest <= one.true_positives or not math.isclose(one.true_positives, reached):
            yield "membership.bounds", "expected what the scores of membership give"
        if one.exceeded != (one.lowest > one.allowed):
            yield "membership.bounds.exceeded", "expected whether lowest is above allowed"


def _repeated(config: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """What a record repeats of its configuration: its key, the configuration's, and the value."""
    plain = {
        "seed": "seed",
        "defense": "label",
        "n_hostile": "adversary.n_hostile",
        "rounds": "training.rounds",
    }
    for key, dotted in plain.items():
        value: Any = config
        for part in dotted.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is not None:
            yield key, dotted, value
    if isinstance(config.get("attack"), list):
        names = [pair[0] for pair in config["attack"] if isinstance(pair, list) and pair]
        yield "attack", "attack", "+".join(map(str, names)) or "none"
