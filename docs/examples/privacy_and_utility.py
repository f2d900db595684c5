# %% [markdown]
# # A privacy-utility curve
#
# Record-level differential privacy (DP-SGD in each hospital) is tried with several budgets: the
# smaller epsilon, the stronger the promise that the model shows nothing of a single record, and
# the more noise. Twelve hospitals, nobody attacks.

# %%
from sim.api import compare, together

BUDGETS = [1.0, 2.0, 4.0, 8.0, 16.0]
ROUNDS = 40
SEEDS = 3

private = [
    compare(
        "consortium=heart12",
        {"training.rounds": ROUNDS, "dp.target_epsilon": budget},
        attacks=["none"],
        defenses=["dp_record"],
        seeds=SEEDS,
        workers=1,
    )
    for budget in BUDGETS
]
found = together(*private)

# %% [markdown]
# Hyperparameters are columns of `frame()`, so a curve is one grouping. Runs without privacy have
# no budget.

# %%
import polars as pl

curve = (
    found.frame()
    .group_by("dp.target_epsilon")
    .agg(
        pl.col("auroc").mean(),
        lowest=pl.col("auroc").min(),
        highest=pl.col("auroc").max(),
        runs=pl.len(),
    )
    .sort("dp.target_epsilon", nulls_last=True)
)
curve.with_columns(pl.selectors.float().round(3))

# %%
from matplotlib.figure import Figure

spent = curve.drop_nulls("dp.target_epsilon")
free = curve.filter(pl.col("dp.target_epsilon").is_null())
figure = Figure(figsize=(5, 3), layout="constrained")
axes = figure.subplots()
axes.fill_between(
    spent["dp.target_epsilon"], spent["lowest"], spent["highest"], alpha=0.25, label="all seeds"
)
axes.plot(spent["dp.target_epsilon"], spent["auroc"], "o-", label="mean")
axes.axhline(free["auroc"].item(), color="black", lw=1, ls="--", label="without privacy")
axes.set(
    xscale="log", xlabel="epsilon of a record, over all rounds", ylabel="AUROC on test patients"
)
axes.set_xticks(BUDGETS, [f"{budget:g}" for budget in BUDGETS])
axes.minorticks_off()
axes.legend()
figure

# %% [markdown]
# Utility alone is half of it: `attacks=["lira"]` measures what the model tells of its training
# records under each budget.
