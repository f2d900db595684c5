# %% [markdown]
# # A published breakdown point
#
# Blanchard, El Mhamdi, Guerraoui and Stainer, *Machine Learning with Adversaries: Byzantine
# Tolerant Gradient Descent* (2017), show in their Lemma 1 that no linear combination of updates
# withstands a single hostile participant, and that Krum withstands f of n where n > 2f + 2. Yin,
# Chen, Ramchandran and Bartlett, *Byzantine-Robust Distributed Learning: Towards Optimal
# Statistical Rates* (2018), show that the coordinate-wise median withstands any number below
# half.
#
# The attack is that of the experiments of the first paper: hostile hospitals send Gaussian noise
# with a standard deviation of 200 in every coordinate. Twelve hospitals, 0 to 6 of them hostile.

# %%
from sim.api import compare

HOSTILE = [0, 1, 2, 3, 4, 5, 6]
ROUNDS = 20
SEEDS = 3

found = compare(
    "consortium=heart12",
    {"training.rounds": ROUNDS, "adversary.n_hostile": HOSTILE, "attack.gaussian.std": 200.0},
    attacks=["gaussian"],
    defenses=["none", "median", "krum"],
    seeds=SEEDS,
    workers=1,
)

# %%
import polars as pl

lowest = (
    found.results.filter(attack="gaussian")
    .pivot("n_hostile", index="defense", values="auroc", aggregate_function="min")
    .with_columns(pl.selectors.float().round(3))
)
lowest

# %% [markdown]
# The lowest AUROC of the three seeds, by the number of hostile hospitals; null where a run is
# refused, because the rule cannot keep its promise with so many, or where its model has no finite
# scores.

# %%
found.figures()["breakdown"]

# %% [markdown]
# A square marks the largest number for which a rule is defined.
#
# ## What to take from it
#
# With a single hostile hospital the average of the updates is already lost: over the seeds its
# model is no better than guessing. The median holds with up to five hostile hospitals of twelve,
# and Krum with up to four, as the papers have it; with more of them the tool refuses to run the
# rule. Other attacks stay closer to the honest updates and may do harm below these numbers: the
# papers bound how far a rule is moved, not what a move does to a model.
