"""Many hospitals' local training at once, across hospitals and runs.

Claim: the same updates as ``clients.app.fit`` gives one hospital at a time, to float32 rounding:
the same batches, the same noise draws, the same arithmetic in another order. Hospitals may differ
in records, steps and noise; padding rows have weight 0, and a hospital that has made its steps is
left out of later ones, so nothing is changed by who trains beside it.

    n             models, one a job, in order of falling number of steps
    weights       (n, n_params): each in the order of the network's layout
    features      (n, batch, n_features)
    labels        (n, batch): 0 or 1
    share         (n, batch): weight of a record in its step, 0 for padding
    gradients     (n, n_params), with DP-SGD (n, batch, n_params) before they are clipped and added

``general`` trains any network, ``layers`` those of fully connected layers in a fraction of the
time.
"""

from clients.batched.dp import Noise
from clients.batched.engine import updates
from clients.batched.optimizers import Optimizer
from clients.batched.schedule import PROCESSOR, Job, padded

__all__ = ["PROCESSOR", "Job", "Noise", "Optimizer", "padded", "updates"]
