# %% [markdown]
# # Your own rule
#
# `wardround new rule NAME DIR` writes a rule that works, in a package of your own, with its
# configuration and a test. It starts as the midmean: the mean of every coordinate over the rows
# between its quartiles. You would change the line that computes it.

# %%
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

folder = TemporaryDirectory()
mine = Path(folder.name)
new = ["-m", "sim.cli.command", "new", "rule", "midmean", folder.name]  # wardround new rule ...
subprocess.run([sys.executable, *new], check=True, capture_output=True)
print((mine / "own_midmean" / "midmean.py").read_text())

# %% [markdown]
# `plugins` names the package, and `config_dir` the folder with its configuration: nothing else of
# yours is ever imported. Two of the twelve hospitals are hostile.

# %%
from sim.api import compare

ROUNDS = 40
SEEDS = 3

sys.path.insert(0, folder.name)
given = {
    "consortium": "heart12",
    "training.rounds": ROUNDS,
    "plugins": ["own_midmean"],
    "workers": 1,
}
found = compare(
    given,
    {"adversary.n_hostile": 2},
    attacks=["sign_flip"],
    defenses=["none", "median", "midmean"],
    seeds=SEEDS,
    config_dir=mine / "conf",
)
found

# %%
found.figures()["tradeoff"]

# %% [markdown]
# With four hostile hospitals the rule would need 16 rows, and there are 12. A rule that cannot
# keep its promise is refused before anything runs:

# %%
from sim.errors import InputError

try:
    compare(
        given,
        {"adversary.n_hostile": 4},
        attacks=["none"],
        defenses=["midmean"],
        config_dir=mine / "conf",
    )
except InputError as error:
    print(error)
sys.path.remove(folder.name)
folder.cleanup()
