"""The places of a model's layers in the vector of its parameters."""

from sim.errors import RefusedError
from sim.types import Layout


def first_layer(layout: Layout, n_features: int, title: str) -> tuple[slice, slice]:
    """The places of weight and bias of the linear layer that reads the records, in the vector.

    They have the shapes (n_out, n_features) and (n_out,).

    Raises:
        RefusedError: there is no such layer, which ``title`` needs.
    """
    if len(layout) > 1:
        (name, shape), following = layout[:2]
        bias = f"{name.removesuffix('weight')}bias"
        if len(shape) == 2 and shape[1] == n_features and following == (bias, shape[:1]):
            end = shape[0] * n_features
            return slice(0, end), slice(end, end + shape[0])
    raise RefusedError(
        f"layout={shown(layout)}: {title} needs a first linear layer on {n_features} features,"
        " with a bias"
    )


def shown(layout: Layout) -> str:
    """The first two parameters of a layout, as errors state them."""
    return ", ".join([*(f"{name} {shape}" for name, shape in layout[:2]), "..."])
