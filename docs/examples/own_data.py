# %% [markdown]
# # Your own data
#
# Each hospital's patients are in a table of their own, one file for each hospital. Nothing is
# sent anywhere, and no value of a patient is shown or recorded. These three tables are made up,
# so that the example runs everywhere: whether a patient comes back depends on age, stays and a
# laboratory value, with much noise, and the hospitals differ in size.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

SIZES = {"north": 320, "east": 160, "south": 120}

rng = np.random.default_rng(7)
folder = TemporaryDirectory()
for hospital, n_patients in SIZES.items():
    age = rng.integers(20, 90, n_patients)
    stays = rng.poisson(1.5, n_patients)
    creatinine = rng.gamma(5.0, 0.25, n_patients).round(2)
    risk = 0.05 * (age - 55) + 0.8 * (stays - 1.5) + 1.2 * (creatinine - 1.25)
    back = rng.random(n_patients) < 1 / (1 + np.exp(-risk))
    frame = pl.DataFrame(
        {
            "age": age,
            "stays": stays,
            "creatinine": creatinine,
            "readmitted": np.where(back, "yes", "no"),
        }
    )
    frame.write_csv(Path(folder.name) / f"{hospital}.csv")
sorted(path.name for path in Path(folder.name).iterdir())

# %% [markdown]
# The column that the model learns to predict is named, and its value for patients with the
# condition. One of the three hospitals is hostile.

# %%
from sim.api import compare

ROUNDS = 20
SEEDS = 3

found = compare(
    {
        "consortium": "csv",
        "consortium.path": folder.name,
        "consortium.label": "readmitted",
        "consortium.positive": "yes",
        "model": "logistic",
        "training.rounds": ROUNDS,
        "adversary.n_hostile": 1,
    },
    attacks=["sign_flip", "analytic_inversion"],
    defenses=["none", "median", "secagg"],
    seeds=SEEDS,
    workers=1,
)
print(found)
folder.cleanup()

# %% [markdown]
# What each hospital pays for a defense with nobody attacking, with its number of records:

# %%
found.figures()["hospital_costs"]

# %% [markdown]
# The evidence marks these data as not public, so reconstructed records appear in figures and
# reports as scores alone:

# %%
{record.public for record in found.records}
