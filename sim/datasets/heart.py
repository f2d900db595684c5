"""The four hospitals of the UCI heart-disease data, each as one site or dealt into several."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from importlib.resources import files
from io import BytesIO

import numpy as np
import polars as pl
from numpy.typing import NDArray

from sim.datasets.table import Rows, Site, Table, consortium, deal, split
from sim.errors import InputError, number, one_of, whole
from sim.seeds import stream
from sim.types import Consortium

HOSPITALS = {
    "cleveland": "Cleveland",
    "hungary": "Hungary",
    "switzerland": "Switzerland",
    "va": "VA Long Beach",
}

UNITS = {
    "age": "years",
    "trestbps": "mm Hg",
    "chol": "mg/dl",
    "thalach": "beats/min",
    "oldpeak": "mm",
    "ca": "vessels",
}
LEVELS = {
    "sex": ("female", "male"),
    "cp": ("typical angina", "atypical angina", "non-anginal", "asymptomatic"),
    "fbs": ("false", "true"),
    "restecg": ("normal", "st-t abnormality", "lv hypertrophy"),
    "exang": ("false", "true"),
    "slope": ("upsloping", "flat", "downsloping"),
    "thal": ("normal", "fixed defect", "reversible defect"),
}
FIELDS = (
    "age", "sex", "cp", "trestbps", "chol", "fbs", "restecg", "thalach", "exang", "oldpeak",
    "slope", "ca", "thal",
)  # fmt: skip
ZERO_IS_MISSING = ("trestbps", "chol")
SOURCE = "UCI Heart Disease, doi:10.24432/C52P4X, CC BY 4.0"


@dataclass(frozen=True)
class HeartDisease:
    """Heart disease yes or no (``num > 0``) from 13 clinical fields of 920 patients.

    The data are those of Janosi et al. (1989). ``sites``: real hospital -> how many sites its
    patients are dealt to, both classes evenly. A hospital of one site keeps its name; others are
    numbered, ``cleveland_1``. Every site has both classes in training, or the split is refused.
    ``leave_out`` names fields that are not used.
    """

    sites: Mapping[str, int]
    test_fraction: float = 0.3
    leave_out: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not self.sites:
            raise InputError("sites", "{}", f"expected at least one of {', '.join(HOSPITALS)}")
        sites = {f"sites[{place}]": name for place, name in enumerate(self.sites)}
        one_of(tuple(HOSPITALS), **sites)
        whole(1, **{f"sites.{name}": count for name, count in self.sites.items()})
        number(0, 0.9, open_low=True, test_fraction=self.test_fraction)
        one_of(FIELDS, **{f"leave_out[{place}]": name for place, name in enumerate(self.leave_out)})
        if set(self.leave_out) == set(FIELDS):
            raise InputError("leave_out", "all fields", "expected at least one field to stay")

    def __call__(self, seed: int) -> Consortium:
        """The consortium of this seed, named ``heart`` and its number of sites."""
        source, hospital_of = _source()
        table = replace(source, fields=source.fields.drop(self.leave_out))
        sites = list[Site]()
        for hospital, parts in self.sites.items():
            rows = np.flatnonzero(hospital_of == HOSPITALS[hospital])
            sites += self._sites(hospital, parts, table, rows, seed)
        return consortium(f"heart{len(sites)}", table, sites, public=True, provenance="published")

    def _sites(
        self, hospital: str, parts: int, table: Table, rows: Rows, seed: int
    ) -> Iterator[Site]:
        rng = stream(seed, "split", hospital)
        for place, part in enumerate(deal(rows, table.labels, parts, rng), start=1):
            train, test = split(part, table.labels, self.test_fraction, rng)
            if len(np.unique(table.labels[train])) < 2:
                expected = "expected sites that train on both classes: fewer sites or test patients"
                raise InputError(f"sites.{hospital}", parts, expected)
            name = hospital if parts == 1 else f"{hospital}_{place:0{len(str(parts))}d}"
            yield Site(name, hospital, train, test)


@cache
def _source() -> tuple[Table, NDArray[np.object_]]:
    raw = (files(__package__) / "data" / "heart_disease_uci.csv").read_bytes()
    frame = pl.read_csv(BytesIO(raw), infer_schema=False).with_columns(
        pl.col(*UNITS, "num").cast(pl.Float64)
    )
    fields = frame.select(FIELDS).with_columns(pl.col(ZERO_IS_MISSING).replace(0.0, None))
    labels = (frame["num"] > 0).cast(pl.Float32).to_numpy()
    table = Table(fields, labels, LEVELS, UNITS, sha256(raw).hexdigest(), SOURCE)
    return table, frame["hospital"].to_numpy()
