"""The runs whose evidence is recorded: words of the command line, and nothing else.

``COMMANDS`` are run as they stand, so that many runs train in lockstep. ``BY_HOSPITAL`` are the
words of single runs of which every hospital is asked through its own Flower app.
"""

from collections.abc import Mapping
from typing import Final

ALONE = "seeds=1 workers=1"
SMALL = (
    "consortium=synthetic consortium.n_hospitals=9 consortium.n_records=40 consortium.n_features=4"
    " model.hidden=[6,3]"
)

COMMANDS: Final[Mapping[str, str]] = {
    # attacks on a hospital's records and on its training
    "poison": (
        f"compare consortium=heart12 training.rounds=3 {ALONE} defenses=[none]"
        " attacks=[label_flip,clean_label,edge_case,feature_noise,constrain]"
    ),
    "backdoors": (
        f"compare consortium=breast8 training.rounds=4 aggregator=median {ALONE} defenses=[none]"
        " attacks=[backdoor,distributed_backdoor,[backdoor,model_replacement],"
        "[backdoor,neurotoxin]]"
    ),
    # attacks on updates: searching ones, of each level of knowledge, against a rule that bounds
    # what they find
    "byzantine": (
        f"compare consortium=heart12 training.rounds=3 aggregator=trimmed_mean {ALONE}"
        " defenses=[none]"
        " attacks=[aggregation_tailored,alie,alie_optimized,fang,fang_krum,free_rider,gaussian,"
        "ipm,ipm_optimized,mimic,min_max,min_sum,model_replacement,neurotoxin,random,sign_flip,sybil]"
    ),
    "knowing_colluders": (
        f"compare {SMALL} training.rounds=4 adversary.knowledge=colluders aggregator=median {ALONE}"
        " defenses=[none] attacks=[alie,min_max,mimic,sign_flip,ipm]"
    ),
    "knowing_updates": (
        f"compare {SMALL} training.rounds=4 adversary.knowledge=updates adversary.n_hostile=3"
        f" aggregator=krum {ALONE} defenses=[none] attacks=[alie,min_sum,fang_krum,mimic]"
    ),
    "knowing_own": (
        f"compare {SMALL} training.rounds=6 adversary.knowledge=own adversary.first_round=2"
        f" adversary.every=2 adversary.placement=largest {ALONE} defenses=[none]"
        " attacks=[sign_flip,[sign_flip,label_flip]]"
    ),
    "faults": (
        f"compare consortium=breast8 model=logistic training.rounds=5 {ALONE} defenses=[none]"
        " attacks=[dropout,straggler,replay,malformed,inflated_count,honest_absence,"
        "[honest_absence,sign_flip]]"
    ),
    # what the aggregator sees; record-level privacy by noise and by target
    "inversion": (
        "compare consortium=heart4 training.rounds=3 training.batch_size=8 training.local_steps=1"
        f" {ALONE} dp.target_epsilon=null dp.noise_multiplier=0.8"
        " defenses=[secagg,dp_record] attacks=[analytic_inversion]"
    ),
    "private": (
        "compare consortium=synthetic consortium.n_hospitals=4 consortium.n_records=60"
        f" adversary.n_hostile=1 training.rounds=3 {ALONE} defenses=[dp_record]"
        " attacks=[label_flip]"
    ),
    # rules and steps, those that remember earlier rounds too
    "defenses": (
        f"compare {SMALL} training.rounds=4 adversary.n_hostile=1 {ALONE} attacks=[alie]"
        " defenses=[bulyan,flame,krum,rlr,arc_nnm_trimmed_mean,momentum_centered_clipping,"
        "secagg+norm_bounding]"
    ),
    # optimizers of the server and of the hospitals, data
    "adam": (
        "compare consortium=heart4 training.rounds=3 training.optimizer=adam training.lr=0.01"
        f" training.proximal=0.1 server_optimizer=fedadam {ALONE} defenses=[none,trimmed_mean]"
        " attacks=[label_flip]"
    ),
    "digits": (
        f"compare consortium=digits training.rounds=3 {ALONE} defenses=[none] attacks=[label_flip]"
    ),
}

RULES = (
    "caf", "clipped_clustering", "dnc", "foolsgold", "fltrust", "geometric_median", "mda", "meamed",
    "monna", "multi_krum", "rfa", "sign_majority", "signguard", "smea", "weak_dp",
)  # fmt: skip
NEEDED = dict.fromkeys(("fltrust", "monna"), " aggregator.root=hospital_1")

BY_HOSPITAL: Final[Mapping[str, str]] = {
    "plain": "consortium=heart4 training.rounds=3",
    "logistic": (
        "consortium=breast8 model=logistic training.rounds=3 attack=[sign_flip] aggregator=krum"
    ),
    "searching": f"{SMALL} training.rounds=4 attack=[alie_optimized] aggregator=median",
    "several": (
        f"{SMALL} training.rounds=4 attack=[sign_flip,label_flip] steps=[momentum,nnm]"
        " aggregator=trimmed_mean"
    ),
    "summed": f"{SMALL} training.rounds=4 attack=[label_flip] secagg=sum",
    "private": (
        f"{SMALL} training.rounds=3 attack=[sign_flip] dp=record dp.target_epsilon=null"
        " dp.noise_multiplier=1.0"
    ),
    "backdoor": "consortium=heart4 training.rounds=3 attack=[backdoor]",
    "faults": f"{SMALL} training.rounds=4 attack=[straggler,honest_absence]",
    "count_as_hostile": (
        f"{SMALL} training.rounds=4 attack=[dropout] server.absent=count_as_hostile"
        " aggregator=trimmed_mean"
    ),
    "inversion": (
        "consortium=heart4 training.rounds=2 training.batch_size=4 training.local_steps=1"
        " attack=[analytic_inversion]"
    ),
    "adam_proximal": (
        f"{SMALL} training.rounds=3 training.optimizer=adam training.lr=0.01 training.proximal=0.1"
    ),
    "all_steps": (
        f"{SMALL} training.rounds=4 attack=[alie]"
        " steps=[momentum,bucketing,clip_to_median,normalize]"
    ),
    # with a defense, its distance from a mean of 0 would be rounding
    "zero": f"{SMALL} training.rounds=4 attack=[zero]",
    "fedavgm": f"{SMALL} training.rounds=4 attack=[sign_flip] server_optimizer=fedavgm",
    "fedyogi": (
        f"{SMALL} training.rounds=4 attack=[sign_flip] server_optimizer=fedyogi aggregator=median"
    ),
    "fedadagrad": f"{SMALL} training.rounds=4 server_optimizer=fedadagrad",
    **{
        rule: (
            f"{SMALL} training.rounds=4 adversary.n_hostile=2 attack=[sign_flip]"
            f" aggregator={rule}{NEEDED.get(rule, '')}"
        )
        for rule in RULES
    },
}
