"""The assets of a visibility table, which hospitals would rather not show, in its order."""

from typing import Final

RECORDS: Final = "records"
UPDATE: Final = "single update"
GROUP: Final = "group sum"
SUM: Final = "sum of all"
MODEL: Final = "common model"
COUNTS: Final = "record counts"
METRICS: Final = "metrics"
ASSETS: Final = (RECORDS, UPDATE, GROUP, SUM, MODEL, COUNTS, METRICS)
