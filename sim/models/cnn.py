"""Convolutional networks on images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim import limits
from sim.errors import InputError, one_of, whole
from sim.models.network import Network
from sim.types import ImageSchema, Schema

if TYPE_CHECKING:
    from torch import nn

ACTIVATIONS = ("relu", "sigmoid")


@dataclass(frozen=True)
class Convolutional(Network):
    """Convolutions with an activation after each, then one linear layer.

    ``image`` has channels, height and width. An image is padded with zeros by half a kernel, so
    that a convolution of stride 1 keeps its size and one of stride 2 halves it, rounded up.
    """

    image: tuple[int, int, int]
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    kernel: int
    activation: str

    def build(self) -> nn.Sequential:
        from torch import nn

        activation = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[self.activation]
        layers: list[nn.Module] = [nn.Unflatten(1, self.image)]
        n_channels, height, width = self.image
        for n_out, stride in zip(self.channels, self.strides, strict=True):
            layers.append(nn.Conv2d(n_channels, n_out, self.kernel, stride, self.kernel // 2))
            layers.append(activation())
            n_channels = n_out
            height = -(-height // stride)
            width = -(-width // stride)
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(n_channels * height * width, 1))


@dataclass(frozen=True)
class CNN:
    """Convolutional network in the form of LeNet without pooling (LeCun et al., 1998).

    Args:
        channels: outputs of each convolution.
        strides: of each convolution; 2 halves the image.
        kernel: pixels of a convolution's side, odd.
        activation: relu or sigmoid.
    """

    channels: list[int]
    strides: list[int]
    kernel: int
    activation: str

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

    def __call__(self, schema: Schema) -> Convolutional:
        """The network on images of this schema. Raises ``InputError`` for records that are none."""
        if not isinstance(schema, ImageSchema):
            expected = (
                "expected a consortium of images, and the records of this one are rows of a table"
            )
            raise InputError("model", "CNN", expected)
        return Convolutional(
            (schema.channels, schema.height, schema.width),
            tuple(self.channels),
            tuple(self.strides),
            self.kernel,
            self.activation,
        )
