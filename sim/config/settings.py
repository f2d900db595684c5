"""The resolved configuration of one run as typed values: strict, frozen, nothing unknown in it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from sim.errors import InputError
from sim.training import Training, Values
from sim.types import Absent, Level, Node

ORDERED = ("attack", "steps")  # choices of several, in order


class Adversary(Values):
    """The adversary: how many hospitals are hostile, which, what they know, and when they attack.

    They attack in every ``every``-th round from ``first_round`` to ``last_round`` (None: to the
    end), and are honest in others.
    """

    n_hostile: int = Field(ge=0)
    placement: Literal["random", "largest", "smallest"]
    knowledge: Level
    first_round: int = Field(ge=1)
    last_round: int | None = Field(ge=1)
    every: int = Field(ge=1)

    def attacks_in(self, round_: int) -> bool:
        """Whether hostile hospitals attack in this round."""
        last = round_ if self.last_round is None else self.last_round
        return self.first_round <= round_ <= last and (round_ - self.first_round) % self.every == 0


class Server(Values):
    """The aggregator's limits on what hospitals report, and what a missing reply changes.

    An unusable reply counts as missing. ``absent``: see ``sim.design.quorum``. ``on_spent``: the
    consortium goes on without a hospital that has spent its budget, or ends.
    """

    max_records: int = Field(ge=1)
    weight_cap: float = Field(ge=1, allow_inf_nan=False)
    absent: Absent = "keep"
    on_spent: Literal["go_on", "end"] = "go_on"


class Policy(Values):
    """The least protection that ``hospitals`` accept, all of them if none is named.

    Null: what the plan promises, no more. ``dp``: whether records must be protected by record-level
    DP. ``max_epsilon``: the most that a record may lose over all rounds. ``secagg``: whether the
    aggregator must not see a hospital's update alone. ``least_group``: the fewest hospitals of a
    sum. ``no_imprint``: whether a model is refused whose first neurons look in one direction.
    """

    dp: bool | None = None
    max_epsilon: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    secagg: bool | None = None
    least_group: int | None = Field(default=None, ge=1)
    no_imprint: bool = False
    hospitals: list[str] = Field(default=[])

    @property
    def least(self) -> int:
        """The least number of hospitals of a sum that all accept."""
        return max(2 if self.secagg else 1, self.least_group or 1)


class Metrics(Values):
    """Limits of metrics.

    ``min_class_rows``: test patients of each class that a hospital's own AUROC needs.
    """

    min_class_rows: int = Field(ge=1)


class ReportOptions(Values):
    """Options of a report: who states it, what it may show, and the material loss of AUROC."""

    show_reconstructions: bool
    material_drop: float = Field(gt=0, le=1)
    by: str | None = Field(max_length=200)


class Named(Values):
    """A group that only has a name, or several names joined with ``+``."""

    name: str = Field(pattern=r"^[A-Za-z0-9_+-]{1,200}$")


class Engine(Values):
    """The place where hospitals run: in this process, or in Flower's simulation on Ray."""

    name: Literal["local", "ray"]


class Settings(Values):
    """The whole resolved configuration of one run; plug-ins are still nodes here."""

    seed: int = Field(ge=0, lt=2**63)
    consortium: Node
    model: Node
    training: Training
    adversary: Adversary
    attack: dict[str, Node]
    defense: Named
    aggregator: Node
    steps: dict[str, Node]
    server_optimizer: Node
    secagg: Node
    dp: Node | None
    hardening: Node | None = None
    engine: Engine
    device: Literal["auto", "cpu", "cuda"]
    server: Server
    policy: Policy = Policy()
    metrics: Metrics
    report: ReportOptions
    tracking: Node | None = None  # where finished runs are written as well; no part of a record
    plugins: dict[str, str] = Field(default={})  # packages of the user -> hash of their source

    @model_validator(mode="before")
    @classmethod
    def _fill_empty(cls, values: Any) -> Any:
        """Read an empty choice (attack=none, steps=none) as an empty mapping, and pairs as one."""
        return {**values, **{key: dict(values.get(key) or {}) for key in ORDERED}}


def first(error: ValidationError) -> InputError:
    """The first problem that pydantic found, as our error: key, value and what was expected."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"]
    expected = message[0].lower() + message[1:]
    if problem["type"] == "extra_forbidden":
        expected = "unknown key"
    if problem["type"] == "string_pattern_mismatch":
        expected = "expected a name of letters, digits, _, + and -"
    expected = expected.removeprefix("value error, ").replace("input should be", "expected")
    return InputError(key, problem.get("input"), expected.replace("field required", "required"))
