"""What page and terminal have to state of each study of ``tests.studies``, sentence by sentence."""

# ruff: noqa: E501

from __future__ import annotations

ANSWERS: dict[str, dict[str, tuple[str, ...]]] = {
    "breast7": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.997 (95 % interval 0.992 to 1.000 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Without a defense": (
            "sign_flip with no defense harms the model: in each of 3 seeds AUROC fell by at least 0.248 (3 of 3 lost 0.05 or more), the lowest seed ends at 0.050, the mean is 0.500 (mean change −0.497, 95 % interval −1.000 to +0.008): how much it costs on average is not decided with 3 seeds.",
            "For label_flip and alie no loss of 0.05 or more is shown: no seed lost that much, and the 95 % intervals of the mean change end at −0.002 at the lowest.",
            "Attacks that were not tried may do more.",
        ),
        "Under the defenses": (
            "Harm is shown under secagg (sign_flip: 3 of 3 seeds lost 0.05 or more, the largest change −0.948, the lowest AUROC 0.050).",
            "Not decided with 3 seeds under dp_record (sign_flip: 2 of 3 seeds lost 0.05 or more, the largest change −0.090, the lowest AUROC 0.904).",
            "Under trimmed_mean and median no attack tried is shown to cost 0.05 or more: no seed lost that much, and every interval of a mean loss ends below it.",
        ),
        "Best defense tried": (
            "No best defense is shown: trimmed_mean (AUROC 0.996 under sign_flip, its worst attack, lowest seed 0.992; with nobody attacking AUROC changes by −0.001, 95 % interval −0.003 to +0.001), median (AUROC 0.995 under sign_flip, its worst attack, lowest seed 0.991; with nobody attacking AUROC changes by −0.003, 95 % interval −0.011 to +0.005) and dp_record (AUROC 0.934 under sign_flip, its worst attack, lowest seed 0.904; with nobody attacking AUROC changes by −0.005, 95 % interval −0.012 to +0.001; it spends ε = 3.00) are not told apart with 3 seeds.",
            "Worse than trimmed_mean, told apart seed by seed: no defense (AUROC lower by 0.496 on average, a difference of −0.248 in the closest seed) and secagg (AUROC lower by 0.496 on average, a difference of −0.248 in the closest seed).",
        ),
        "Backdoors": (
            "backdoor with no defense: 17 % of marked patients are put into the attacker's class, 1 % in the same run without the attack; beyond false triggers +16.3 points (95 % interval −20.6 to +53.2), in 3 of 3 seeds by 5 % of marked patients or more: it is shown to work, and how well on average is not decided with 3 seeds.",
        ),
        "Best against backdoors": (
            "No best defense is shown: median (backdoor, its worst backdoor, reaches 2.1 % of marked patients, +1.0 points beyond false triggers, 95 % interval −5.2 to +7.2: whether it works is not decided with 3 seeds; with nobody attacking AUROC changes by −0.003, 95 % interval −0.011 to +0.005), trimmed_mean (backdoor, its worst backdoor, reaches 2.6 % of marked patients, +1.6 points beyond false triggers, 95 % interval −5.0 to +8.1: whether it works is not decided with 3 seeds; with nobody attacking AUROC changes by −0.001, 95 % interval −0.003 to +0.001) and dp_record (backdoor, its worst backdoor, reaches 10 % of marked patients, +4.2 points beyond false triggers, 95 % interval −8.2 to +16.5: whether it works is not decided with 3 seeds; with nobody attacking AUROC changes by −0.005, 95 % interval −0.012 to +0.001; it spends ε = 3.00) are not told apart with 3 seeds.",
            "Worse than median, told apart seed by seed: no defense (+16.3 points beyond false triggers, +6.2 points against it in the closest seed) and secagg (+16.3 points beyond false triggers, +6.2 points against it in the closest seed).",
        ),
        "Largest price": (
            "With nobody attacking, the largest change of a hospital was seen under dp_record: the Brier score (lower is better) of hospital_1 changes by +0.040 (95 % interval −0.026 to +0.128 over 3 seeds); it is not told apart from hospital_6, hospital_7 and 4 more.",
            "Whether it is a rise at all is not decided with 3 seeds.",
        ),
        "Records recovered": (
            "analytic_inversion recovered 0 of 1,195 attacked records with no defense (0 %; 95 % interval 0 % to 0.31 %) from what the aggregator sees in round 1.",
            "Under secagg, dp_record, median and trimmed_mean none was recovered; a true share of up to 0.42 % would still fit, and other attacks may do better.",
        ),
        "Privacy spent": (
            "dp_record spends ε = 3.00 (at hospital_2, the most of any hospital), which holds the advantage of any test of who was in the training data to at most 91 %.",
        ),
    },
    "backdoors": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.888 (95 % interval 0.869 to 0.908 over 4 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Backdoors": (
            "backdoor with no defense: 95 % of marked patients are put into the attacker's class, 6.3 % in the same run without the attack; beyond false triggers +89.0 points (95 % interval +83.8 to +94.2), in 4 of 4 seeds by 5 % of marked patients or more: it is shown to work.",
        ),
        "Best against backdoors": (
            "Of the defenses tried, krum (backdoor, its worst backdoor, reaches 13 % of marked patients, +1.5 points beyond false triggers, 95 % interval −4.5 to +7.5: whether it works is not decided with 4 seeds; with nobody attacking AUROC changes by −0.020, 95 % interval −0.037 to −0.003; a round uses the updates of 1 of 12 hospitals) does best and is told apart from every other.",
            "Worse than krum, told apart seed by seed: trimmed_mean (+34.7 points beyond false triggers, +21.3 points against it in the closest seed), signguard (+84.3 points beyond false triggers, +78.0 points against it in the closest seed) and no defense (+89.0 points beyond false triggers, +82.0 points against it in the closest seed).",
        ),
        "Largest price": (
            "With nobody attacking, the largest change of a hospital was seen under krum: the Brier score (lower is better) of switzerland_2 changes by +0.072 (95 % interval +0.021 to +0.124 over 4 seeds); it is not told apart from switzerland_1, cleveland_2 and 3 more.",
        ),
    },
    "all harmed": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.900 (95 % interval 0.875 to 0.925 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Without a defense": (
            "sign_flip with no defense harms the model: in each of 3 seeds AUROC fell by at least 0.060 (3 of 3 lost 0.05 or more), the lowest seed ends at 0.070, the mean is 0.533 (mean change −0.367, 95 % interval −0.925 to +0.125): how much it costs on average is not decided with 3 seeds.",
            "alie with no defense harms the model: in each of 3 seeds AUROC fell by at least 0.100 (3 of 3 lost 0.05 or more), the lowest seed ends at 0.770, the mean is 0.790 (mean change −0.110, 95 % interval −0.135 to −0.085).",
            "Attacks that were not tried may do more.",
        ),
        "Under the defenses": (
            "Harm is shown under median (sign_flip: 3 of 3 seeds lost 0.05 or more, the largest change −0.840, the lowest AUROC 0.070).",
        ),
        "Best defense tried": (
            "No best defense is shown: no defense (AUROC 0.533 under sign_flip, its worst attack, lowest seed 0.070) and median (AUROC 0.533 under sign_flip, its worst attack, lowest seed 0.070; with nobody attacking AUROC changes by 0.000, 95 % interval 0.000 to 0.000) are not told apart with 3 seeds.",
            "No defense at all is among them: whether any of them helps is not decided.",
        ),
    },
    "one harmed": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.900 (95 % interval 0.875 to 0.925 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Without a defense": (
            "sign_flip with no defense harms the model: in each of 3 seeds AUROC fell by at least 0.290 (3 of 3 lost 0.05 or more), the lowest seed ends at 0.600, the mean is 0.600 (mean change −0.300, 95 % interval −0.325 to −0.275).",
            "For alie no loss of 0.05 or more is shown: no seed lost that much, and the 95 % intervals of the mean change end at −0.003 at the lowest.",
            "Attacks that were not tried may do more.",
        ),
        "Under the defenses": (
            "Under median no attack tried is shown to cost 0.05 or more: no seed lost that much, and every interval of a mean loss ends below it.",
        ),
        "Best defense tried": (
            "Of the defenses tried, median (AUROC 0.899 under sign_flip, its worst attack, lowest seed 0.888; with nobody attacking AUROC changes by 0.000, 95 % interval 0.000 to 0.000) does best and is told apart from every other.",
            "Worse than median, told apart seed by seed: no defense (AUROC lower by 0.299 on average, a difference of −0.288 in the closest seed).",
        ),
    },
    "bimodal": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.900 (95 % interval 0.875 to 0.925 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Without a defense": (
            "For fang_krum no loss of 0.05 or more is shown: no seed lost that much, and the 95 % intervals of the mean change end at −0.002 at the lowest.",
            "Attacks that were not tried may do more.",
        ),
        "Under the defenses": (
            "Not decided with 3 seeds under krum (fang_krum: 1 of 3 seeds lost 0.05 or more, the largest change −0.700, the lowest AUROC 0.210).",
        ),
        "Best defense tried": (
            "No best defense is shown: no defense (AUROC 0.900 under fang_krum, its worst attack, lowest seed 0.890) and krum (AUROC 0.667 under fang_krum, its worst attack, lowest seed 0.210; with nobody attacking AUROC changes by 0.000, 95 % interval 0.000 to 0.000) are not told apart with 3 seeds.",
            "No defense at all is among them: whether any of them helps is not decided.",
        ),
    },
    "ties": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.900 (95 % interval 0.875 to 0.925 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Without a defense": (
            "alie with no defense harms the model: in each of 3 seeds AUROC fell by at least 0.390 (3 of 3 lost 0.05 or more), the lowest seed ends at 0.500, the mean is 0.500 (mean change −0.400, 95 % interval −0.425 to −0.375).",
            "Attacks that were not tried may do more.",
        ),
        "Under the defenses": (
            "Not decided with 3 seeds under krum (alie: 0 of 3 seeds lost 0.05 or more, the largest change −0.030, the lowest AUROC 0.840) and median (alie: 0 of 3 seeds lost 0.05 or more, the largest change −0.030, the lowest AUROC 0.880).",
        ),
        "Best defense tried": (
            "No best defense is shown: median (AUROC 0.887 under alie, its worst attack, lowest seed 0.880; with nobody attacking AUROC changes by 0.000, 95 % interval 0.000 to 0.000) and krum (AUROC 0.867 under alie, its worst attack, lowest seed 0.840; with nobody attacking AUROC changes by −0.020, 95 % interval −0.020 to −0.020; a round uses the updates of 1 of 6 hospitals) are not told apart with 3 seeds.",
            "Worse than median, told apart seed by seed: no defense (AUROC lower by 0.387 on average, a difference of −0.380 in the closest seed).",
        ),
    },
    "backdoor only": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.900 (95 % interval 0.875 to 0.925 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Backdoors": (
            "backdoor with no defense: 92 % of marked patients are put into the attacker's class, 5 % in the same run without the attack; beyond false triggers +87.0 points (95 % interval +82.0 to +92.0), in 3 of 3 seeds by 5 % of marked patients or more: it is shown to work.",
        ),
        "Best against backdoors": (
            "Of the defenses tried, krum (backdoor, its worst backdoor, reaches 5.3 % of marked patients, +0.3 points beyond false triggers, 95 % interval −3.6 to +4.2: no material success is shown, interval included; with nobody attacking AUROC changes by 0.000, 95 % interval 0.000 to 0.000) does best and is told apart from every other.",
            "Worse than krum, told apart seed by seed: median (+35.0 points beyond false triggers, +25.0 points against it in the closest seed) and no defense (+87.0 points beyond false triggers, +85.0 points against it in the closest seed).",
        ),
    },
    "undefined": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.900 (95 % interval 0.875 to 0.925 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Without a defense": (
            "Not decided with 3 seeds: ipm (0 of 3 seeds lost 0.05 or more, the largest change 0.000, the lowest AUROC 0.890, 1 without a figure).",
            "Attacks that were not tried may do more.",
        ),
        "Under the defenses": (
            "Under median no attack tried is shown to cost 0.05 or more: no seed lost that much, and every interval of a mean loss ends below it.",
        ),
        "Best defense tried": ("Not ranked, because an attack left a model without an AUROC: no defense.",),
    },
    "skipped": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.900 (95 % interval 0.875 to 0.925 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Without a defense": (
            "For malformed no loss of 0.05 or more is shown: no seed lost that much, and the 95 % intervals of the mean change end at −0.002 at the lowest.",
            "Attacks that were not tried may do more.",
        ),
        "Under the defenses": (
            "Not decided with 2 seeds under krum (malformed: 1 of 2 seeds lost 0.05 or more, the largest change −0.100, the lowest AUROC 0.800).",
        ),
        "Best defense tried": (
            "No best defense is shown: no defense (AUROC 0.900 under malformed, its worst attack, lowest seed 0.890) and krum (AUROC 0.867 under malformed, its worst attack, lowest seed 0.800; with nobody attacking AUROC changes by 0.000, 95 % interval 0.000 to 0.000) are not told apart with 3 seeds.",
            "No defense at all is among them: whether any of them helps is not decided.",
        ),
    },
    "broken down": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.900 (95 % interval 0.875 to 0.925 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Without a defense": (
            "ipm with no defense harms the model: in each of 3 seeds AUROC fell by at least 0.800 (3 of 3 lost 0.05 or more), the lowest seed ends at 0.090, the mean is 0.100 (mean change −0.800, 95 % interval −0.800 to −0.800).",
            "Attacks that were not tried may do more.",
        ),
        "Under the defenses": (
            "Under median no attack tried is shown to cost 0.05 or more: no seed lost that much, and every interval of a mean loss ends below it.",
        ),
        "Best defense tried": (
            "Of the defenses tried, median (AUROC 0.900 under ipm, its worst attack, lowest seed 0.890; with nobody attacking AUROC changes by 0.000, 95 % interval 0.000 to 0.000) does best and is told apart from every other.",
            "Worse than median, told apart seed by seed: no defense (AUROC lower by 0.800 on average, a difference of −0.799 in the closest seed).",
        ),
    },
    "reconstruction only": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.850 (95 % interval 0.850 to 0.850 over 3 seeds): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
        "Records recovered": (
            "analytic_inversion recovered 24 of 24 attacked records with no defense (100 %; 95 % interval 86 % to 100 %) from what the aggregator sees in round 1.",
            "Under secagg none was recovered; a true share of up to 14 % would still fit, and other attacks may do better.",
        ),
    },
    "nothing": {
        "The model": (
            "With nobody attacking and no defense, the model's AUROC is 0.850 (one seed, no interval): in that share of pairs it gives a patient with the condition a higher risk than one without.",
        ),
    },
}

BROKEN: dict[str, tuple[str, ...]] = {
    "breast7": ("sign_flip with no defense and under secagg: seed 1, no better than guessing from round 34 on.",),
    "all harmed": ("sign_flip with no defense and under median: seed 1, no better than guessing from round 1 on.",),
    "bimodal": ("fang_krum under krum: seed 1, no better than guessing from round 1 on.",),
    "ties": ("alie with no defense: seeds 0 to 2, no better than guessing from round 1 on.",),
    "undefined": ("ipm with no defense: seed 1, AUROC is not defined at the end or in any round.",),
    "skipped": (
        "no attack under krum: seed 2, no round from round 1 on gave a new model, so that the figures are those of the untrained model.",
        "malformed under krum: seed 0, no new model in rounds 2 to 3 of 4.",
    ),
    "broken down": ("ipm with no defense: seeds 0 to 2, no better than guessing from round 3 on.",),
}

TERMINALS: dict[str, str] = {
    "breast7": """
Training broke down:
  sign_flip with no defense and under secagg: seed 1, no better than guessing
from round 34 on.

AUROC: mean [lowest seed] over 3 seeds; 1 of 7 hospitals hostile

defense           no attack           sign_flip               alie
no defense    0.997 [0.994]  0.500 [0.050] 3/3!  0.996 [0.994] 0/3
secagg        0.997 [0.994]  0.500 [0.050] 3/3!  0.996 [0.994] 0/3
dp_record     0.991 [0.989]  0.934 [0.904] 2/3?  0.992 [0.989] 0/3
median        0.994 [0.988]   0.995 [0.991] 0/3  0.996 [0.993] 0/3
trimmed_mean  0.996 [0.993]   0.996 [0.992] 0/3  0.996 [0.994] 0/3
                                                       analytic_
                                           backdoor   inversion:
defense              label_flip            (points)    recovered
no defense    0.996 [0.994] 0/3  +16.3 [+33.3] 3/3!          0 %
secagg        0.996 [0.994] 0/3  +16.3 [+33.3] 3/3!          0 %
dp_record     0.990 [0.988] 0/3    +4.2 [+6.2] 1/3?          0 %
median        0.995 [0.991] 0/3    +1.0 [+3.1] 0/3?          0 %
trimmed_mean  0.996 [0.993] 0/3    +1.6 [+3.1] 0/3?          0 %

n/m: n of m seeds lost 0.05 or more of AUROC to the attack
(points): success of the backdoor beyond false triggers, mean [most]; n of m
seeds with 5 or more
! harm is shown
? not decided with these seeds
no sign: no material loss shown within the interval
""",
    "backdoors": """
AUROC: mean [lowest seed] over 4 seeds; 3 of 12 hospitals hostile

                                       backdoor
defense           no attack            (points)
no defense    0.888 [0.878]  +89.0 [+92.7] 4/4!
signguard     0.887 [0.870]  +84.3 [+88.0] 4/4!
krum          0.869 [0.848]    +1.5 [+4.0] 0/4?
trimmed_mean  0.879 [0.863]  +34.7 [+41.3] 4/4!

(points): success of the backdoor beyond false triggers, mean [most]; n of m
seeds with 5 or more
! harm is shown
? not decided with these seeds
""",
    "all harmed": """
Training broke down:
  sign_flip with no defense and under median: seed 1, no better than guessing
from round 1 on.

AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

defense         no attack           sign_flip                alie
no defense  0.900 [0.890]  0.533 [0.070] 3/3!  0.790 [0.770] 3/3!
median      0.900 [0.890]  0.533 [0.070] 3/3!

n/m: n of m seeds lost 0.05 or more of AUROC to the attack
! harm is shown
""",
    "one harmed": """
AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

defense         no attack           sign_flip               alie
no defense  0.900 [0.890]  0.600 [0.600] 3/3!  0.899 [0.888] 0/3
median      0.900 [0.890]   0.899 [0.888] 0/3  0.899 [0.888] 0/3

n/m: n of m seeds lost 0.05 or more of AUROC to the attack
! harm is shown
no sign: no material loss shown within the interval
""",
    "bimodal": """
Training broke down:
  fang_krum under krum: seed 1, no better than guessing from round 1 on.

AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

defense         no attack           fang_krum
no defense  0.900 [0.890]   0.900 [0.890] 0/3
krum        0.900 [0.890]  0.667 [0.210] 1/3?

n/m: n of m seeds lost 0.05 or more of AUROC to the attack
? not decided with these seeds
no sign: no material loss shown within the interval
""",
    "ties": """
Training broke down:
  alie with no defense: seeds 0 to 2, no better than guessing from round 1 on.

AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

defense         no attack                alie
no defense  0.900 [0.890]  0.500 [0.500] 3/3!
krum        0.880 [0.870]  0.867 [0.840] 0/3?
median      0.900 [0.890]  0.887 [0.880] 0/3?

n/m: n of m seeds lost 0.05 or more of AUROC to the attack
! harm is shown
? not decided with these seeds
""",
    "backdoor only": """
AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

                                     backdoor
defense         no attack            (points)
no defense  0.900 [0.890]  +87.0 [+89.0] 3/3!
median      0.900 [0.890]  +35.0 [+45.0] 3/3!
krum        0.900 [0.890]     +0.3 [+1.0] 0/3

(points): success of the backdoor beyond false triggers, mean [most]; n of m
seeds with 5 or more
! harm is shown
no sign: no material loss shown within the interval
""",
    "undefined": """
Training broke down:
  ipm with no defense: seed 1, AUROC is not defined at the end or in any round.

AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

defense         no attack                  ipm
no defense  0.900 [0.890]  0.895 [0.890] 0/3?‡
median      0.900 [0.890]    0.900 [0.890] 0/3

n/m: n of m seeds lost 0.05 or more of AUROC to the attack
? not decided with these seeds
no sign: no material loss shown within the interval
‡ at least one seed left a model without an AUROC; mean and lowest are those of
the others
""",
    "skipped": """
Training broke down:
  no attack under krum: seed 2, no round from round 1 on gave a new model, so
that the figures are those of the untrained model.
  malformed under krum: seed 0, no new model in rounds 2 to 3 of 4.

AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

                                                   rounds
                                                without a
defense         no attack           malformed   new model
no defense  0.900 [0.890]   0.900 [0.890] 0/3
krum        0.900 [0.890]  0.867 [0.800] 1/2?     6 of 24

n/m: n of m seeds lost 0.05 or more of AUROC to the attack
? not decided with these seeds
no sign: no material loss shown within the interval
""",
    "broken down": """
Training broke down:
  ipm with no defense: seeds 0 to 2, no better than guessing from round 3 on.

AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

defense         no attack                 ipm
no defense  0.900 [0.890]  0.100 [0.090] 3/3!
median      0.900 [0.890]   0.900 [0.890] 0/3

n/m: n of m seeds lost 0.05 or more of AUROC to the attack
! harm is shown
no sign: no material loss shown within the interval
""",
    "reconstruction only": """
AUROC: mean [lowest seed] over 3 seeds; 1 of 6 hospitals hostile

                             analytic_
                            inversion:
defense         no attack    recovered
no defense  0.850 [0.850]        100 %
secagg      0.850 [0.850]          0 %
""",
    "nothing": """
AUROC; one seed decides nothing; 1 of 6 hospitals hostile

defense     no attack
no defense      0.850
""",
}
