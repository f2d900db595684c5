"""The starter: a commented design, and patients of three hospitals who are made up for it."""

from __future__ import annotations

import csv
import io
import math
from datetime import date, timedelta
from importlib import resources
from typing import Final

import numpy as np

from sim.seeds import stream

DESIGN: Final = "design.yaml"
PATIENTS: Final = "made_up_patients.csv"
COLUMNS: Final = (
    "hospital",
    "patient",
    "admitted",
    "age",
    "sex",
    "smoker",
    "systolic_bp",
    "creatinine",
    "readmitted",
)
# patients, and their mean age
HOSPITALS: Final = {"harbor": (110, 58.0), "north": (280, 64.0), "river": (210, 71.0)}
MISSING: Final = {"systolic_bp": ("", 0.06), "creatinine": ("NA", 0.10), "smoker": ("", 0.04)}
SMOKERS: Final = ("never", "former", "current")
FIRST_DAY: Final = date(2024, 1, 1)


def files() -> dict[str, bytes]:
    """The files that ``wardround init`` writes, by name: the design, and its records."""
    design = resources.files(__package__) / "data" / "starter.yaml"
    return {DESIGN: design.read_bytes(), PATIENTS: patients()}


def patients() -> bytes:
    """A table of patients who do not exist, the same on every call, with gaps and dates.

    Whether somebody is readmitted depends on age, creatinine, blood pressure and smoking.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for hospital, (n_patients, age) in HOSPITALS.items():
        rng = stream(0, "starter", hospital)
        for number in range(n_patients):
            row = {"hospital": hospital, "patient": f"{hospital[0].upper()}-{number:04}"}
            row |= _patient(rng, age)
            row |= {key: sign for key, (sign, share) in MISSING.items() if rng.random() < share}
            table.writerow([row[column] for column in COLUMNS])
    return text.getvalue().encode()


def _patient(rng: np.random.Generator, mean_age: float) -> dict[str, str]:
    age = min(95.0, max(18.0, rng.normal(mean_age, 12)))
    smoker = int(rng.integers(len(SMOKERS)))
    pressure = rng.normal(125 + 0.2 * (age - 60), 14)
    creatinine = math.exp(rng.normal(0.006 * (age - 60), 0.25))
    risk = (
        0.05 * (age - 66) + 3.0 * (creatinine - 1.05) + 0.03 * (pressure - 126) + 0.8 * (smoker - 1)
    )
    return {
        "admitted": (FIRST_DAY + timedelta(days=int(rng.integers(700)))).isoformat(),
        "age": f"{age:.0f}",
        "sex": "FM"[int(rng.integers(2))],
        "smoker": SMOKERS[smoker],
        "systolic_bp": f"{pressure:.0f}",
        "creatinine": f"{creatinine:.2f}",
        "readmitted": "yes" if rng.random() < 1 / (1 + math.exp(-risk)) else "no",
    }
