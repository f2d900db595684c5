"""Convolutional networks on images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim import limits
from sim.errors import InputError, number, one_of, whole
from sim.models.network import Network, Parameters
from sim.types import ImageSchema, Schema

if TYPE_CHECKING:
    import torch
    from torch import nn

ACTIVATIONS = ("relu", "sigmoid")
MOST = 100.0  # of first weights


@dataclass(frozen=True)
class Convolutional(Network):
    """Convolutions with an activation after each, then one linear layer.

    ``image`` has channels, height and width. An image is padded with zeros by half a kernel, so
    that a convolution of stride 1 keeps its size and one of stride 2 halves it, rounded up. After
    each activation the largest of ``pool`` x ``pool`` pixels is taken; rows and columns left over
    are dropped. ``first``: the first weights and biases are uniform between plus and minus this.
    """

    image: tuple[int, int, int]
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    kernel: int
    activation: str
    pool: int = 1
    first: float | None = None

    def build(self) -> nn.Sequential:
        from torch import nn

        activation = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[self.activation]
        layers: list[nn.Module] = [nn.Unflatten(1, self.image)]
        n_channels, height, width = self.image
        for n_out, stride in zip(self.channels, self.strides, strict=True):
            layers.append(nn.Conv2d(n_channels, n_out, self.kernel, stride, self.kernel // 2))
            layers.append(activation())
            if self.pool > 1:
                layers.append(nn.MaxPool2d(self.pool))
            n_channels = n_out
            height = -(-height // stride) // self.pool
            width = -(-width // stride) // self.pool
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_channels * height * width, 1))

    def apply_together(self, parameters: Parameters, features: torch.Tensor) -> torch.Tensor:
        """Logits as of every network, by convolutions with a group of channels for each model.

        That is what ``vmap`` makes of them, without what it does beside them.
        """
        import torch
        from torch.nn import functional

        activation = {"relu": torch.relu, "sigmoid": torch.sigmoid}[self.activation]
        *convolutions, weight, bias = parameters.values()
        n, batch, _ = features.shape
        channels, height, width = self.image
        values = features.view(n, batch, channels, height, width).transpose(0, 1)
        values = values.reshape(batch, n * channels, height, width)
        layers = zip(convolutions[::2], convolutions[1::2], self.strides, strict=True)
        for kernels, biases, stride in layers:
            of_all = kernels.flatten(0, 1)
            values = functional.conv2d(
                values, of_all, biases.flatten(), stride, self.kernel // 2, groups=n
            )
            values = activation(values)
            if self.pool > 1:
                values = functional.max_pool2d(values, self.pool)
        flat = values.reshape(batch, n, -1).transpose(0, 1)
        return torch.baddbmm(bias[:, None], flat, weight.transpose(1, 2)).squeeze(2)

    def initialize(self, rng: np.random.Generator) -> NDArray[np.float32]:
        if self.first is None:
            return super().initialize(rng)
        return rng.uniform(-self.first, self.first, size=self.n_params).astype(np.float32)


@dataclass(frozen=True)
class CNN:
    """Convolutional network in the form of LeNet (LeCun et al., 1998).

    Args:
        channels: outputs of each convolution.
        strides: of each convolution; 2 halves the image.
        kernel: pixels of a convolution's side, odd.
        activation: relu or sigmoid.
        pool: side of the squares of which the largest pixel is taken after each activation; 1 for
            none.
        first: bound of the first weights and biases, which are uniform; torch's own without.
    """

    channels: list[int]
    strides: list[int]
    kernel: int
    activation: str
    pool: int = 1
    first: float | None = None

    def __post_init__(self) -> None:
        """Refuse no or too many layers, an even kernel, and an unknown activation."""
        n_layers = len(self.channels)
        whole(1, **{"len(channels)": n_layers})
        if n_layers >= limits.LAYERS:
            expected = f"expected at most {limits.LAYERS - 1}"
            raise InputError("channels", f"{n_layers:,} layers", expected)
        if len(self.strides) != n_layers:
            expected = f"expected one for each of {n_layers} layers"
            raise InputError("strides", self.strides, expected)
        for size in self.channels:
            whole(1, channels=size)
        for stride in self.strides:
            whole(1, strides=stride)
        whole(1, kernel=self.kernel)
        if self.kernel % 2 == 0:
            raise InputError("kernel", self.kernel, "expected an odd number")
        one_of(ACTIVATIONS, activation=self.activation)
        whole(1, pool=self.pool)
        if self.first is not None:
            number(0, MOST, open_low=True, first=self.first)

    def __call__(self, schema: Schema) -> Convolutional:
        """The network on images of this schema. Raises ``InputError`` for records that are none."""
        if not isinstance(schema, ImageSchema):
            expected = (
                "expected a consortium of images, and the records of this one are rows of a table"
            )
            raise InputError("model", "CNN", expected)
        sides = [schema.height, schema.width]
        for stride in self.strides:
            sides = [-(-side // stride) // self.pool for side in sides]
        if min(sides) < 1:
            expected = f"expected less for {schema.height} x {schema.width} pixels"
            raise InputError("model.pool", self.pool, expected)
        return Convolutional(
            (schema.channels, schema.height, schema.width),
            tuple(self.channels),
            tuple(self.strides),
            self.kernel,
            self.activation,
            self.pool,
            self.first,
        )
