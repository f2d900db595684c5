"""The powers that an adversary may have, and where in a system somebody can use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

AssetClass = Literal[
    "phi_dataset",
    "label_set",
    "model_update",
    "group_sum",
    "global_model",
    "keys",
    "round_log",
    "predictions",
    "metrics",
]
Role = Literal["hospital_client", "aggregator", "data_store", "user", "key_service", "other"]
Place = Literal[Role, "flow"]  # what a threat strikes: a component of a role, or a flow
Power = Literal[
    "see_individual_updates",
    "see_group_sums",
    "see_aggregate",
    "see_global_model",
    "modify_broadcast",
    "modify_update",
    "control_training_data",
    "control_labels",
    "query_api",
    "white_box_model",
    "network_on_path",
    "enrol_nodes",
    "drop_nodes",
]
# power: roles of components at which somebody has it, and assets whose holder has it
FITS: Final[Mapping[Power, tuple[frozenset[Role], frozenset[AssetClass]]]] = {
    "see_individual_updates": (frozenset({"aggregator"}), frozenset({"model_update"})),
    "see_group_sums": (frozenset({"aggregator"}), frozenset({"group_sum", "model_update"})),
    "see_aggregate": (
        frozenset({"aggregator", "hospital_client"}),
        frozenset({"global_model", "group_sum", "model_update"}),
    ),
    "see_global_model": (
        frozenset({"aggregator", "hospital_client", "user"}),
        frozenset({"global_model"}),
    ),
    "modify_broadcast": (frozenset({"aggregator"}), frozenset()),
    "modify_update": (frozenset({"hospital_client"}), frozenset()),
    "control_training_data": (
        frozenset({"hospital_client", "data_store"}),
        frozenset({"phi_dataset"}),
    ),
    "control_labels": (
        frozenset({"hospital_client", "data_store"}),
        frozenset({"phi_dataset", "label_set"}),
    ),
    "query_api": (frozenset({"user", "other", "hospital_client"}), frozenset({"predictions"})),
    "white_box_model": (
        frozenset({"aggregator", "hospital_client"}),
        frozenset({"global_model"}),
    ),
    "network_on_path": (frozenset({"other"}), frozenset()),
    "enrol_nodes": (
        frozenset({"aggregator", "hospital_client", "key_service", "other"}),
        frozenset(),
    ),
    "drop_nodes": (frozenset({"aggregator", "hospital_client", "other"}), frozenset()),
}
