"""The page of a folder's audits, with its figure in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import polars as pl
from markupsafe import Markup

from reports import rendering
from reports.figures import style
from reports.figures.audits import audit_bounds
from reports.figures.style import Make
from reports.text import audits as words
from sim import files
from sim.evidence import audits
from sim.evidence.audits import Audit
from sim.evidence.manifest import manifest_of
from sim.evidence.one_run import ceiling

PAGE = "audit.html.j2"
FIGURE = "audit_bounds"


def write(folder: Path) -> Path:
    """The path of ``report/index.html``, written from the audits of ``folder``.

    Raises ``InputError`` if the folder holds no audits, or others than its manifest names.
    """
    read = audits.read(folder)
    svg = style.inline(partial(audit_bounds, table(read)), FIGURE)
    page = rendering.page(
        PAGE,
        first=read[0],
        audits=read,
        wording=words,
        refuted=audits.is_refuted(read),
        svg=Markup(svg),
        manifest=dict.fromkeys(("command", "commit")) | manifest_of(folder),
    )
    target = folder / "report" / "index.html"
    files.replace(target, page.encode())
    return target


def makers(folder: Path) -> Iterator[tuple[str, Make]]:
    """The function that makes each figure of the page, by file name. Raises as ``write`` does."""
    yield FIGURE, partial(audit_bounds, table(audits.read(folder)))


def table(found: Sequence[Audit]) -> pl.DataFrame:
    """One row a bound: seed, form, bound, claim, the most that the form can show, confidence."""
    rows = list[dict[str, object]]()
    for one in found:
        most = ceiling(one.n_canaries, one.guesses, one.delta, one.confidence)
        for form, bound, top in (
            ("one_run", one.bounds.one_run, most.one_run),
            ("f_dp", one.bounds.f_dp, most.f_dp),
        ):
            rows.append(
                {
                    "seed": one.seed,
                    "form": form,
                    "bound": bound,
                    "claim": one.claim,
                    "ceiling": top,
                    "confidence": one.confidence,
                }
            )
    return pl.DataFrame(rows)
