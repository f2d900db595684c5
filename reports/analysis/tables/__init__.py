"""Records of runs in, the frames that figures, page and terminal show out.

Seeds are the unit of every mean and interval; see ``pairs`` for how changes are taken.
"""

from reports.analysis.tables.hospitals import (
    clips,
    hospital_effects,
    hospital_scores,
    privacy_utility,
    spent,
    worst_hit,
)
from reports.analysis.tables.outcomes import (
    curves,
    fields,
    images,
    inversions,
    isolations,
    recovered_none,
    screened,
    tradeoff,
)
from reports.analysis.tables.pairs import (
    PAIRED,
    against,
    beside,
    gaps,
    over_seeds,
    paired,
    with_bounds,
)
from reports.analysis.tables.scores import CELL, cells, judged_by_auroc, runs, worst_attacks
from reports.analysis.tables.studies import (
    CURVE_COLUMNS,
    course,
    hostile_act,
    idle,
    material_drop,
    one_study,
    pooled,
    reads_only,
    why_undefined,
)

__all__ = [
    "CELL",
    "CURVE_COLUMNS",
    "PAIRED",
    "against",
    "beside",
    "cells",
    "clips",
    "course",
    "curves",
    "fields",
    "gaps",
    "hospital_effects",
    "hospital_scores",
    "hostile_act",
    "idle",
    "images",
    "inversions",
    "isolations",
    "judged_by_auroc",
    "material_drop",
    "one_study",
    "over_seeds",
    "paired",
    "pooled",
    "privacy_utility",
    "reads_only",
    "recovered_none",
    "runs",
    "screened",
    "spent",
    "tradeoff",
    "why_undefined",
    "with_bounds",
    "worst_attacks",
    "worst_hit",
]
