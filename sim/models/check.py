"""The check before round 1 of the network that a model returns on the consortium's records."""

from __future__ import annotations

from functools import lru_cache

from sim.models.mlp import FullyConnected
from sim.models.network import Network, on_no_device
from sim.returned import wrong
from sim.untrusted import described, type_name

SMALL = 1_000_000  # parameters
CLOSE = 1e-3  # relative difference that comes from the order of sums in float32


def network(plugin: object, value: object, n_features: int) -> Network:
    """The network of a model on records of ``n_features`` features, with one logit a record.

    It is a value: networks of equal fields are equal. Raises ``PluginError`` for anything else.
    Layers of the project's own are not tried: that needs torch, which takes a second to load.
    """
    if not isinstance(value, Network):
        raise wrong(plugin, f"an object of type {type_name(type(value))}", "Network")
    if type(value).__hash__ is None or type(value).__eq__ is object.__eq__:
        raise wrong(plugin, f"a {type_name(type(value))} that is no value", "a frozen dataclass")
    tried = not (type(value) is FullyConnected and value.works_on(n_features))
    refusal = _refusal(value, n_features) if tried else None
    if refusal is not None:
        raise wrong(plugin, *refusal)
    return value


@lru_cache(maxsize=256)
def _refusal(found: Network, n_features: int) -> tuple[str, str] | None:
    """What is wrong with a network, and what was expected; None if nothing is.

    Three records of zeros are tried. A large network has no memory and computes nothing meanwhile;
    a small one does, for torch takes a second to load what the other way needs.
    """
    import torch
    from torch.func import vmap

    module = on_no_device(found)
    if next(module.buffers(), None) is not None:
        return "a network with buffers", "one whose only state is its parameters"
    if not found.layout or not all(parameter.requires_grad for parameter in module.parameters()):
        return f"a network of {len(found.layout)} parameters", "parameters, all of them trained"
    zero = torch.zeros((), device="cpu" if found.n_params <= SMALL else "meta")
    parameters = {name: zero.expand(shape) for name, shape in found.layout}
    records = zero.expand(3, n_features)
    try:
        logits = found.apply(parameters, records)
    except RuntimeError as error:  # torch's word for shapes that do not fit
        return f"a network that fails: {described(str(error))}", f"one for {n_features} features"
    try:
        vmap(found.apply, in_dims=(None, 0))(parameters, records[None])
    except RuntimeError as error:  # the word of vmap for draws, and for operations that it lacks
        failed = f"a network that fails in a batch of models: {described(str(error))}"
        return failed, "one that torch.func.vmap can take, without dropout"
    shape = tuple(logits.shape)
    return None if shape == (3,) else (f"outputs of shape {shape}", "shape (3,) for 3 records")


@lru_cache(maxsize=256)
def mixes_records(found: Network, n_features: int) -> bool:
    """Whether what a network gives for a record depends on the others of its batch.

    Three random records are tried together and alone.
    """
    import torch

    if type(found) is FullyConnected:
        return False
    draws = torch.Generator().manual_seed(0)
    parameters = {name: torch.randn(shape, generator=draws) for name, shape in found.layout}
    records = torch.randn((3, n_features), generator=draws)
    try:
        together = found.apply(parameters, records)
        alone = torch.cat([found.apply(parameters, record[None]) for record in records])
    except (RuntimeError, ValueError):  # of layers that a single record is too few for
        return True
    return not torch.allclose(together, alone, rtol=CLOSE, atol=CLOSE * float(together.abs().max()))
