"""An assessment in the formats of others: OSCAL, SARIF and CycloneDX.

Each export follows from the assessment, so that the same evidence gives the same bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sim import files
from sim.evidence import Chain
from threats.assessment import Assessment
from threats.catalog import Catalog
from threats.exports import cyclonedx, oscal, sarif
from threats.exports.values import content
from threats.system import Design

FOLDER: Final = "exports"
OSCAL: Final = "assessment-results.oscal.json"
SARIF: Final = "results.sarif"
CYCLONEDX: Final = "bom.cdx.json"


def write(
    folder: Path, design: Design, assessment: Assessment, catalog: Catalog, chain: Chain
) -> None:
    """Write all exports into a folder of their own: each file whole or not at all."""
    place = folder / FOLDER
    files.leftovers(place)
    documents = {
        OSCAL: oscal.document(design, assessment, catalog),
        SARIF: sarif.document(design, assessment, catalog),
        CYCLONEDX: cyclonedx.document(design, assessment, catalog, chain),
    }
    for name, document in documents.items():
        files.replace(place / name, content(document))
