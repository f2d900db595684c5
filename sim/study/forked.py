"""The modules that workers share: imported by the process that they are forked from.

Python does not search for cycles meanwhile, which takes a sixth of the time: libraries that are
imported make many objects and drop none. Later searches leave these out, so that workers do not
copy the memory that they are in.
"""

from __future__ import annotations

import gc
from importlib import import_module

from sim.names import SHARED

_before = gc.isenabled()
gc.disable()
for _name in SHARED:
    import_module(_name)
gc.freeze()
if _before:
    gc.enable()
