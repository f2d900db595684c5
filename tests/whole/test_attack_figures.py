"""The command that draws the documentation's figures of attacks makes each of them from evidence,
as a small PNG file.
"""

from pathlib import Path

import pytest

from docs.images.draw import KINDS, main
from sim import evidence
from sim.study.run import run_together
from tests import ROOT, federation

DOCS = ROOT / "docs"
SMALL = ("consortium=heart4", "model=logistic", "training.rounds=3", "adversary.last_round=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence of a comparison, and of inversions of sums of several sizes in a folder each."""
    root = tmp_path_factory.mktemp("evidence")
    compared = federation.plan(
        list(SMALL), [["backdoor", "model_replacement"], "replay"], ["median"], 2
    )
    words = (*SMALL, "attack=[analytic_inversion]", "training.local_steps=1")
    read = [
        federation.experiment(*words, f"training.batch_size={n}", f"secagg={s}")
        for n in (1, 4)
        for s in ("none", "sum")
    ]
    for record in run_together([*compared, *read]):
        kind = root / ("compared" if record.inversion is None else "inversion") / record.run
        kind.mkdir(parents=True)
        evidence.append(kind, record)
    return root


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_drawn_from_evidence(kind: str, folder: Path, tmp_path: Path) -> None:
    main(
        kind,
        str(folder / ("inversion" if kind == "inversion" else "compared")),
        str(tmp_path / "figure.png"),
    )
    made = (tmp_path / "figure.png").read_bytes()
    assert made.startswith(b"\x89PNG")
    assert len(made) < 150_000


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_in_the_documentation(kind: str) -> None:
    text = (DOCS / "attacks.md").read_text()
    name = "byzantine_heat_map" if kind == "heat_map" else f"attack_{kind}"
    assert f"images/{name}.png" in text
    assert (DOCS / "images" / f"{name}.png").stat().st_size < 150_000
