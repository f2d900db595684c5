"""Somebody who trusts no code of ours works a verdict out again from the files of its folder.

Only ``evidence.jsonl``, the design, the catalog's data and printed tables are taken for true; from
our packages nothing is imported. ``complaints`` names what the verdict, the register and the page
state otherwise. Its statistics are those that docs/threats.md describes, written here plainly.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from scipy import stats

ROOT = Path(__file__).parents[1]
TABLES = yaml.safe_load((ROOT / "tests" / "threats" / "sp800_30.yaml").read_text(encoding="utf-8"))
DATA = ROOT / "threats" / "data"
THREATS = {
    one["id"]: one
    for one in yaml.safe_load((DATA / "catalog.yaml").read_text(encoding="utf-8"))
    if one["id"].startswith("THR-")
}
POWERS = {
    one["name"]: one["powers"]
    for one in yaml.safe_load((DATA / "powers.yaml").read_text(encoding="utf-8"))
    if not {"records", "trips"} & one.keys()  # made for images, or a protocol: no named design's
}
LEVELS = ["very_low", "low", "moderate", "high", "very_high"]
HIGHER_IS_HARM = {
    "rounds_skipped",
    "backdoor_success",
    "reconstruction_rate",
    "brier",
    "epsilon",
    "membership_auc",
    "property_found",
    "attribute_accuracy",
    "source_accuracy",
    "class_disclosed",
    "evasion_success",
    "extraction_agreement",
}
SAME = 1e-9
Run = dict[str, Any]
Node = dict[str, Any]
beta = cache(stats.beta.ppf)  # quantiles, of which the same are asked for thousands of times
student_t = cache(stats.t.ppf)


class Folder:
    """The files of a validation, and its runs by attack, defense and seed."""

    def __init__(self, place: Path) -> None:
        self.design = read(place / "design.json")["design"]
        self.verdict = read(place / "verdict.json")
        self.register = read(place / "register.json")
        self.page = (place / "report" / "index.html").read_text(encoding="utf-8")
        with (place / "results.csv").open(encoding="utf-8", newline="") as file:
            self.results = list(csv.DictReader(file))
        self.lines = (place / "evidence.jsonl").read_bytes().splitlines(keepends=True)
        self.runs = [json.loads(line) for line in self.lines]
        self.by_id = {run["run"]: run for run in self.runs}
        self.table = {(run["attack"], run["defense"], run["seed"]): run for run in self.runs}
        stacks = {one["id"]: one["defense"] for one in self.design["stacks"]}
        self.label = (stacks | {"undefended": "none"})[self.design["declared"]]
        self.adversaries = {one["id"]: one for one in self.design["adversaries"]}

    def cell(self, attack: str, defense: str) -> dict[int, Run]:
        return {run["seed"]: run for run in self.runs
                if (run["attack"], run["defense"]) == (attack, defense)}  # fmt: skip

    def counted(self, attack: str, defense: str) -> list[int]:
        """Seeds with both controls, in which the attack did something with and without defense."""
        return [
            seed
            for seed, run in sorted(self.cell(attack, defense).items())
            if ("none", defense, seed) in self.table
            and (other := self.table.get((attack, "none", seed))) is not None
            and other["engagement"]["attack_engaged"]
            and run["engagement"]["attack_engaged"]
        ]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def outcome(run: Run, metric: str, hospital: str | None = None) -> Node | None:
    key = metric, hospital
    found = [one for one in run["outcomes"] if (one["metric"], one["subject"]) == key]
    return found[0] if found else None


def value(run: Run, metric: str, hospital: str | None = None) -> float | None:
    found = outcome(run, metric, hospital)
    return None if found is None else found["value"]


# Bounds


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """One-sided 95 % bounds of a rate."""
    lower = beta(0.05, k, n - k + 1) if k else 0.0
    upper = beta(0.95, k + 1, n - k) if k < n else 1.0
    return float(lower), float(upper)


def korn_graubard(counts: list[float], sizes: list[int], alpha: float) -> float:
    """The upper bound of a rate whose trials share seeds."""
    if len(sizes) < 2:
        return 1.0
    shares = [k / n for k, n in zip(counts, sizes, strict=True)]
    seeds = len(shares)
    mean = sum(shares) / seeds
    spread = sum((one - mean) ** 2 for one in shares) / (seeds - 1) / seeds
    n = sum(sizes)
    alike = n if spread <= 1e-15 else min(n, mean * (1 - mean) / spread)
    few = student_t(1 - alpha, n - 1) / student_t(1 - alpha, seeds - 1)
    effective = alike * few**2
    hits = min(effective, mean * effective)
    if effective - hits <= SAME:
        return 1.0
    return float(beta(1 - alpha, hits + 1, effective - hits))


def mean_share(counts: list[int], sizes: list[int]) -> float:
    return sum(k / n for k, n in zip(counts, sizes, strict=True)) / len(sizes)


def upper_rate(counts: list[int], sizes: list[int], alpha: float) -> float:
    """The largest of the bounds of these counts and of all smaller ones that vary most."""
    order = sorted(range(len(counts)), key=lambda i: -counts[i] / sizes[i])
    counts, sizes = [counts[i] for i in order], [sizes[i] for i in order]
    best = 0.0
    for total in range(sum(counts) + 1):
        left, filled = total, []
        for count in counts:
            filled.append(float(min(count, left)))
            left -= min(count, left)
        best = max(best, korn_graubard(filled, sizes, alpha))
    return best


def lower_rate(counts: list[int], sizes: list[int], alpha: float) -> float:
    return 1 - upper_rate([n - k for k, n in zip(counts, sizes, strict=True)], sizes, alpha)


def student(values: list[float], alpha: float, low: float, high: float) -> tuple[float, float]:
    """Lower and upper one-sided bound of a mean."""
    n = len(values)
    if n < 2:
        return low, high
    mean = sum(values) / n
    error = math.sqrt(sum((one - mean) ** 2 for one in values) / (n - 1) / n)
    half = float(student_t(1 - alpha, n - 1)) * error
    return max(low, mean - half), min(high, mean + half)


# Criteria


def control_of(criterion: Node) -> tuple[str, str | None]:
    """With what a metric is compared: a run without the attack, without the defense, or a rate of
    the same run.
    """
    for one in THREATS[criterion["threat"]]["metrics"]:
        if one["metric"] == criterion["metric"]:
            return one["control"], one.get("beside")
    return ("undefended" if criterion["metric"] == "reconstruction_rate" else "attack_free"), None


def before(folder: Folder, run: Run, criterion: Node, hospital: str | None) -> float | None:
    control, beside = control_of(criterion)
    if beside:
        return value(run, beside, hospital)
    key = ("none", run["defense"]) if control == "attack_free" else (run["attack"], "none")
    other = folder.table.get((*key, run["seed"]))
    return None if other is None else value(other, criterion["metric"], hospital)


def series(folder: Folder, criterion: Node, attack: str, hospital: str | None) -> list[float]:
    """Figures by seed, of which a larger one is worse; a lost figure is the worst there is."""
    metric = criterion["metric"]
    is_loss = criterion["loss_at_most"] is not None
    sign = 1 if metric in HIGHER_IS_HARM else -1
    found = []
    for seed in folder.counted(attack, folder.label):
        run = folder.table[attack, folder.label, seed]
        after = value(run, metric, hospital)
        if is_loss:
            first = before(folder, run, criterion, hospital)
            if first is not None:
                found.append(1.0 if after is None else sign * (after - first))
        elif after is not None:
            found.append(sign * after)
        elif value(folder.table["none", folder.label, seed], metric, hospital) is not None:
            found.append(1.0 if sign > 0 else 0.0)
    return found


def reach(criterion: Node) -> tuple[float, float]:
    if criterion["loss_at_most"] is not None:
        return -1.0, 1.0
    if criterion["at_least"] is not None:
        return -1.0, 0.0
    return 0.0, math.inf if criterion["metric"] == "epsilon" else 1.0


def limit_of(criterion: Node) -> float:
    """The limit, turned as the figures are."""
    if criterion["at_least"] is not None:
        return -float(criterion["at_least"])
    limit = criterion["at_most"]
    return float(criterion["loss_at_most"] if limit is None else limit)


def doubtful(folder: Folder, criterion: Node, attack: str, n_figures: int) -> bool:
    """Whether the runs of an attack decide nothing, whatever their figures are."""
    cell = folder.cell(attack, folder.label)
    seeds = folder.counted(attack, folder.label)
    runs = [cell[seed] for seed in seeds]
    idle = any(not run["engagement"]["attack_engaged"] for run in cell.values())
    if folder.label != "none":
        idle |= any(not run["engagement"]["defense_engaged"] for run in cell.values())
    nothing = False
    if control_of(criterion)[0] == "undefended" and folder.label != "none":
        rates = [outcome(folder.table[attack, "none", s], criterion["metric"]) for s in seeds]
        nothing = not any(one and one["value"] for one in rates)
    known = [outcome(run, criterion["metric"]) for run in runs]
    n_trials = sum(one["n"] or 1 for one in known if one and one["value"] is not None)
    few = n_figures < (criterion["min_seeds"] or len(runs))
    few |= n_trials < (criterion["min_trials"] or 0)
    return idle or nothing or few or len(seeds) < 3


def judged(folder: Folder, criterion: Node, attack: str, n_tests: int) -> Node:
    """What one attack shows of a criterion."""
    alpha = criterion["alpha"]
    metric = criterion["metric"]
    runs = [folder.table[attack, folder.label, s] for s in folder.counted(attack, folder.label)]
    limit = limit_of(criterion)
    if criterion["over"] == "rate" and criterion["loss_at_most"] is None:
        known = [one for run in runs if (one := outcome(run, metric)) and one["value"] is not None]
        sizes = [one["n"] for one in known]
        counts = [round(one["value"] * one["n"]) for one in known]
        upper = upper_rate(counts, sizes, alpha)
        lower = lower_rate(counts, sizes, alpha / n_tests)
        figures = [(mean_share(counts, sizes), lower, upper)]
        n = len(sizes)
    else:
        hospitals: list[str | None] = [None]
        if criterion["over"] == "worst_hospital":
            hospitals = [one["hospital"] for one in next(iter(folder.table.values()))["hospitals"]]
        figures, n = [], 0
        for hospital in hospitals:
            if not (values := series(folder, criterion, attack, hospital)):
                continue
            low, high = reach(criterion)
            if criterion["over"] == "worst_seed":
                figures.append((max(values),) * 3)
            else:
                mean = sum(values) / len(values)
                lower = student(values, alpha / n_tests, low, high)[0]
                figures.append((mean, lower, student(values, alpha, low, high)[1]))
            n = len(values)
    figure, lower, upper = max(figures, key=lambda one: (one[2], one[0]))
    result = "met" if upper <= limit else "inconclusive"
    if any(one[1] > limit for one in figures):
        result = "not_met"
    if doubtful(folder, criterion, attack, n):
        result = "inconclusive"
    if criterion["at_least"] is not None:
        figure, lower, upper = -figure, -upper, -lower
    return {"figure": figure, "lower": lower, "upper": upper, "outcome": result}


def attacks_of(folder: Folder, threat: str, adversary: str) -> list[str]:
    """The attacks of a threat that the adversary has the powers for."""
    has = set(folder.adversaries[adversary]["powers"])
    return [
        attack
        for attack in THREATS[threat]["attacks"]
        if any(set(way) <= has for way in POWERS.get(attack, ()))
    ]


def criteria(folder: Folder) -> Iterator[str]:
    stated = {one["id"]: one for one in folder.verdict["criteria"]}
    results = []
    for criterion in folder.design["acceptance"]:
        one = stated[criterion["id"]]
        wanted = attacks_of(folder, criterion["threat"], criterion["adversary"])
        ran = [name for name in wanted if folder.cell(name, folder.label)]
        if sorted(tried["attack"] for tried in one["tried"]) != sorted(ran):
            yield f"{criterion['id']}: tried {len(one['tried'])} attacks, the evidence has {ran}"
        n_tests = len(ran)
        if criterion["over"] == "worst_hospital":
            n_tests = sum(folder.runs[0]["n_hospitals"] for _ in ran)
        found = {name: judged(folder, criterion, name, n_tests) for name in ran}
        for tried in one["tried"]:
            for key, mine in found[tried["attack"]].items():
                if not same(tried[key], mine):
                    where = f"{criterion['id']} under {tried['attack']}: {key}"
                    yield f"{where} is {mine}, stated {tried[key]}"
        outcomes = {mine["outcome"] for mine in found.values()}
        result = "not_met" if "not_met" in outcomes else "met"
        if result == "met" and (outcomes != {"met"} or len(ran) < len(wanted)):
            result = "inconclusive"
        if one["outcome"] != result:
            yield f"{criterion['id']} is {result}, stated {one['outcome']}"
        results.append(result)
    whole = "not_met" if "not_met" in results else "inconclusive"
    whole = "met" if set(results) == {"met"} else whole
    if folder.verdict["outcome"] != whole:
        yield f"the design is {whole}, stated {folder.verdict['outcome']}"


def same(one: Any, other: Any) -> bool:
    if isinstance(other, float) and one is not None:
        return bool(abs(one - other) <= SAME)
    return bool(one == other)


# Statements and rows


def measured_of(threat: str, cell: dict[int, Run]) -> Node:
    """The first metric of a threat that its runs have."""
    every: list[Node] = THREATS[threat]["metrics"]
    for one in every:
        if any(value(run, one["metric"]) is not None for run in cell.values()):
            return one
    return every[0]


def statements(folder: Folder) -> Iterator[str]:
    stacks = {one["id"]: one["defense"] for one in folder.design["stacks"]} | {"undefended": "none"}
    for one in folder.register["statements"]:
        claim = one["claim"]
        defense = stacks[claim["stack"]]
        attack = claim["attack"]
        seeds = folder.counted(attack, defense)
        cell = folder.cell(attack, defense)
        metric = measured_of(claim["threat"], cell)
        runs = [folder.table[attack, defense, seed] for seed in seeds]
        drop = runs[0]["config"]["report"]["material_drop"]
        name = f"statement {one['id']} on {attack} with {defense}"
        alone = metric["control"] == "undefended"  # hostile hospitals take no part in it
        if alone and not metric.get("beside"):
            known = [rate for run in runs if (rate := outcome(run, metric["metric"]))]
            counts = [round(rate["value"] * rate["n"]) for rate in known]
            sizes = [rate["n"] for rate in known]
            mine = {
                "lower": lower_rate(counts, sizes, 0.05),
                "upper": upper_rate(counts, sizes, 0.05),
                "rate": mean_share(counts, sizes),
            }
            worst = {}
            if metric["metric"] == "reconstruction_rate":
                worst["privacy"] = mine["upper"] * scope(folder, runs[0])
        else:
            lost = losses(folder, metric, runs)
            none = sum(loss is None for loss in lost)
            unknown = none if metric.get("beside") else 0  # else all of the score is lost
            hits = none - unknown + sum(one is not None and one >= drop - SAME for one in lost)
            n = len(lost)
            mine = {
                "lower": clopper_pearson(hits, n)[0],
                "upper": clopper_pearson(hits + unknown, n)[1],
                "rate": hits / n,
            }
            worst = {}
            for kind in () if alone else ("integrity", "availability"):
                scale = folder.design["impact"][kind]["metric"]
                asked = [{"metric": scale, "control": "attack_free"}]
                if kind == "integrity" and metric["metric"] != "rounds_skipped":
                    asked.append(metric)
                worst[kind] = max(quantile(losses(folder, other, runs)) for other in asked)
        for key, figure in mine.items():
            if not same(one[key], float(figure)):
                yield f"{name}: {key} is {figure}, stated {one[key]}"
        for magnitude in one["magnitudes"]:
            figure = worst.pop(magnitude["kind"])
            held = math.inf if magnitude["value"] is None else magnitude["value"]
            if held != figure and not same(held, float(figure)):
                yield f"{name}: {magnitude['kind']} is {figure}, stated {held}"
            scale = folder.design["impact"][magnitude["kind"]]
            level = next((key for key in LEVELS[:4] if figure <= scale[key]), "very_high")
            if magnitude["level"] != level:
                yield f"{name}: {magnitude['kind']} is {level}, stated {magnitude['level']}"
        if worst:
            yield f"{name}: no magnitude of {sorted(worst)} is stated"


def losses(folder: Folder, metric: Node, runs: list[Run]) -> list[float | None]:
    sign = 1 if metric["metric"] in HIGHER_IS_HARM else -1
    found: list[float | None] = []
    for run in runs:
        after = value(run, metric["metric"])
        first = (
            value(run, metric["beside"])
            if metric.get("beside")
            else value(folder.table["none", run["defense"], run["seed"]], metric["metric"])
        )
        if first is not None:
            found.append(None if after is None else sign * (after - first))
    return found


def quantile(lost: list[float | None]) -> float:
    """The loss at the 0.95 quantile, of two neighbors the higher; a lost figure is the worst."""
    ordered = sorted(math.inf if one is None else one for one in lost)
    return ordered[math.ceil(0.95 * (len(ordered) - 1) - SAME)] if ordered else -math.inf


def scope(folder: Folder, run: Run) -> int:
    sets = [one["records"] for one in folder.design["assets"] if one["class"] == "phi_dataset"]
    if sets and None not in sets:
        return int(sum(sets))
    return int(sum(one["n_train"] + one["n_test"] for one in run["hospitals"]))


def bin_of(share: float) -> str:
    """The level of a share by the printed bins: 0-4, 5-20, 21-79, 80-95, 96-100."""
    starts = [int(text.split("-")[0]) for text in TABLES["bins"].values()]
    return LEVELS[max(place for place, start in enumerate(starts) if share >= start / 100)]


def looked_up(table: str, row: str, column: str) -> str:
    words = {level: level.replace("_", " ").title() for level in LEVELS}
    found: str = TABLES[table][words[row]][LEVELS.index(column)]
    return found.lower().replace(" ", "_")


def rows(folder: Folder) -> Iterator[str]:
    known = {one["id"]: one for one in folder.register["statements"]}
    for row in folder.register["rows"]:
        if row["kind"] != "threat" or row["adversary"] == "anybody":
            continue
        ours = [known[id_] for id_ in row["evidence"]]
        begun = folder.adversaries[row["adversary"]]["initiation"]["level"]
        sides = {"initial": "undefended", "adjusted": folder.design["declared"]}
        for state, stack in sides.items():
            of_it = [one for one in ours if one["claim"]["stack"] == stack]
            expected = risks(of_it, begun) if of_it else None
            if row[state] != expected:
                yield f"row {row['id']}: {state} is {expected}, stated {row[state]}"
        adjusted = [one for one in ours if one["claim"]["stack"] == sides["adjusted"]]
        if row["grade"] != max((one["grade"] for one in adjusted), default="E0"):
            yield f"row {row['id']}: its grade {row['grade']} does not follow"
        if row["magnitudes"] != largest(adjusted):
            yield f"row {row['id']}: its magnitudes do not follow"
        stood_on = {source["run"] for one in ours for source in one["runs"] + one["controls"]}
        if {source["run"] for source in row["sources"]} != stood_on:
            yield f"row {row['id']}: its runs are not those of its statements"
        green = row["status"] == "measured" and row["adjusted"] is not None
        green = green and row["adjusted"]["upper"]["risk"] in ("very_low", "low")
        if (row["color"] == "green") != green:
            yield f"row {row['id']}: its color {row['color']} does not follow"
        if row["status"] == "measured" and not row["evidence"]:
            yield f"row {row['id']}: measured without evidence"


def largest(ours: list[Node]) -> list[Node]:
    """Of each kind of impact the largest magnitude; one without a value is the largest."""
    found: dict[str, Node] = {}
    for magnitude in (each for one in ours for each in one["magnitudes"]):
        held = found.setdefault(magnitude["kind"], magnitude)
        values = [math.inf if one["value"] is None else one["value"] for one in (held, magnitude)]
        if values[1] > values[0]:
            found[magnitude["kind"]] = magnitude
    return list(found.values())


def risks(ours: list[Node], begun: str) -> Node:
    """The levels of the worst attack, by the upper and by the lower bounds."""
    known = (m["level"] for one in ours for m in one["magnitudes"])
    impact = max(known, key=LEVELS.index, default="very_high")  # nobody states how much it harms
    found = {}
    for side in ("upper", "lower"):
        adverse = max((bin_of(one[side]) for one in ours), key=LEVELS.index)
        likelihood = looked_up("G-5", begun, adverse)
        found[side] = {
            "adverse": adverse,
            "likelihood": likelihood,
            "impact": impact,
            "risk": looked_up("I-2", likelihood, impact),
        }
    return found


# Ways from a row to its lines, and from the page to all of them


def chained(folder: Folder) -> Iterator[str]:
    """Each line ends with the hash of the line before and its own, over all bytes before it."""
    previous = "0" * 64
    hashes = {}
    size = 0
    for line, run in zip(folder.lines, folder.runs, strict=True):
        content = line[: line.rindex(b', "hash": "')]
        own = hashlib.sha256(content).hexdigest()
        if (run["previous"], run["hash"]) != (previous, own):
            yield f"run {run['run']}: the chain does not hold"
        previous = own
        size += len(line)
        hashes[run["run"]] = own
    stated = folder.verdict["evidence"]
    if (stated["hash"], stated["bytes"], stated["runs"]) != (previous, size, len(folder.runs)):
        yield "the verdict names another end of the evidence"
    every = [("row", one["id"], one["sources"]) for one in folder.register["rows"]]
    for one in folder.register["statements"]:
        every.append(("statement", one["id"], one["runs"] + one["controls"]))
    for one in folder.verdict["criteria"]:
        every += [("criterion", one["id"], tried["runs"]) for tried in one["tried"]]
    for kind, id_, sources in every:
        for source in sources:
            if hashes.get(source["run"]) != source["line"]:
                yield f"{kind} {id_}: no line of the run {source['run']} with its hash"


def tabled(folder: Folder) -> Iterator[str]:
    """``results.csv`` has the figures of the evidence."""
    for row in folder.results:
        run = folder.by_id[row["run"]]
        for metric in ("auroc", "worst_hospital_auroc", "reconstruction_rate", "brier"):
            figure = value(run, metric)
            if (float(row[metric]) if row[metric] else None) != figure:
                yield f"run {row['run']}: {metric} is {figure}, results.csv has {row[metric]}"
    if {row["run"] for row in folder.results} != folder.by_id.keys():
        yield "results.csv has other runs than the evidence"


def linked(folder: Folder) -> Iterator[str]:
    """Every row is on the page, with links that exist to its statements and all its runs."""
    ids = set(re.findall(r'\sid="([^"]+)"', folder.page))
    missing = set(re.findall(r'href="#([^"]+)"', folder.page)) - ids
    if missing:
        yield f"links of the page lead nowhere: {sorted(missing)[:5]}"
    for one in folder.register["rows"]:
        if one["id"] not in ids:
            yield f"row {one['id']} is not on the page"
            continue
        anchor = f"row-{one['threat']}-{one['adversary']}"
        section = part(folder.page, one["id"] if one["kind"] == "conflict" else anchor)
        wanted = [f"run-{source['run']}" for source in one["sources"]]
        for id_ in [*wanted, *one["evidence"]]:
            if f'href="#{id_}"' not in section:
                yield f"row {one['id']}: no link to {id_}"
        for id_ in one["evidence"]:
            runs = next(s for s in folder.register["statements"] if s["id"] == id_)["runs"]
            text = part(folder.page, id_)
            if any(f'href="#run-{source["run"]}"' not in text for source in runs):
                yield f"statement {id_}: a run has no link"
    for run in folder.runs:
        if f"run-{run['run']}" not in ids or f'title="{run["hash"]}"' not in folder.page:
            yield f"run {run['run']} is not on the page with its hash"


def part(page: str, id_: str) -> str:
    """The text of the page from an id to the next block that has one of its kind."""
    start = page.index(f'id="{id_}"')
    ends = [page.find(mark, start + 1) for mark in ('<div class="row', "<h3", "<h2")]
    return page[start : min((end for end in ends if end > 0), default=len(page))]


def complaints(place: Path) -> list[str]:
    """What the files of a validation state that does not follow from its evidence."""
    folder = Folder(place)
    looks = (chained, tabled, criteria, statements, rows, linked)
    return [text for look in looks for text in look(folder)]


if __name__ == "__main__":
    import sys

    for given in sys.argv[1:]:
        found = complaints(Path(given))
        whole = Folder(Path(given))
        n_tried = sum(len(one["tried"]) for one in whole.verdict["criteria"])
        print(
            f"{given}: {len(whole.verdict['criteria'])} criteria, {n_tried} attacks judged,"
            f" {len(whole.register['statements'])} statements, {len(whole.register['rows'])} rows,"
            f" {len(whole.runs)} lines: {len(found)} complaints"
        )
        print(*found[:20], sep="\n")
