"""What audits of private training show at full size: 1000 canaries in a hospital of heart4.

``make privacy`` runs these and prints what they find.
"""

from __future__ import annotations

import pytest

from sim.evidence.audits import Audit, is_refuted
from tests.sim.inference.test_auditing import WEAK, audited, chosen

VA = ("consortium=heart4", "audit.hospital=va")

__all__ = ["chosen"]


def shown(title: str, found: list[Audit]) -> None:
    one = [round(audit.bounds.one_run, 2) for audit in found]
    f_dp = [round(audit.bounds.f_dp, 2) for audit in found]
    exceeding = sum(audit.exceeds for audit in found)
    print(f"\n{title}: {exceeding} of {len(found)} exceed; one-run {one}, f-DP form {f_dp}")


@pytest.mark.slow
@pytest.mark.parametrize("claim", [1.0, 3.4, 8.0])
def test_honest_training_exceeds_its_claim_in_at_most_one_of_20_seeds(claim: float) -> None:
    found = audited(*VA, f"dp.target_epsilon={claim}", "seeds=20", "audit.trained=together")
    shown(f"claim {claim:g}, noise as claimed", found)
    assert len(found) == 20
    assert sum(audit.exceeds for audit in found) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("relation", [(), ("dp.relation=add_remove", "dp.nominal_records=120")])
def test_a_tenth_of_the_noise_is_caught_at_a_claim_of_3_4_by_the_one_run_audit(
    relation: tuple[str, ...],
) -> None:
    found = audited(*VA, *WEAK, *relation, "+dp.share=0.1", "dp.target_epsilon=3.4", "seeds=3")
    shown(f"claim 3.4, a tenth of the noise {' '.join(relation)}", found)
    assert all(audit.bounds.one_run > 3.4 for audit in found)
    assert is_refuted(found)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.1, 0.0])
def test_too_little_noise_is_caught_at_a_claim_of_8_by_the_f_dp_form_alone(share: float) -> None:
    found = audited(*VA, *WEAK, f"+dp.share={share:g}", "dp.target_epsilon=8", "seeds=3")
    shown(f"claim 8, {share:g} of the noise", found)
    assert all(audit.bounds.f_dp > 8 > audit.bounds.one_run for audit in found)
