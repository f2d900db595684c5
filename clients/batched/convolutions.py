"""Gradients of many convolutional networks at once, without automatic differentiation."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import conv2d, pad

from clients.batched.schedule import REGISTERS
from sim.models.cnn import Convolutional
from sim.models.store import named

ATEN = torch.ops.aten


class _Layer(NamedTuple):
    """A convolution of all models in a pass, with its activation and pooling.

    ``values``, ``active`` and ``pooled`` (batch, n * channels, height, width): before the
    convolution, after the activation and after pooling. ``kernels``: of all models. ``places``: the
    pixels that pooling took, None without pooling.
    """

    values: torch.Tensor
    kernels: torch.Tensor
    stride: int
    active: torch.Tensor
    pooled: torch.Tensor
    places: torch.Tensor | None


def gradients(
    network: Convolutional,
    weights: torch.Tensor,
    features: torch.Tensor,
    labels: torch.Tensor,
    share: torch.Tensor,
) -> torch.Tensor:
    """Gradient of each of n models' loss, (n, n_params), as ``general.gradients`` gives it.

    The convolutions of all models are one, with a group of channels for each model.
    """
    n, batch, _ = features.shape
    *parameters, weight, bias = named(network.layout, weights).values()
    channels, height, width = network.image
    values = features.reshape(n, batch, channels, height, width).transpose(0, 1)
    values = values.reshape(batch, n * channels, height, width)
    layers = list[_Layer]()
    of_layers = zip(parameters[::2], parameters[1::2], network.strides, strict=True)
    for kernels, biases, stride in of_layers:
        layers.append(_forward(network, values, kernels, biases, stride))
        values = layers[-1].pooled
    flat = values.reshape(batch, n, -1).transpose(0, 1)
    logits = torch.baddbmm(bias[:, None], flat, weight.transpose(1, 2))
    errors = (_sigmoid(logits) - labels[..., None]) * share[..., None]
    found = [errors.transpose(1, 2) @ flat, errors.sum(1)]
    slope = (errors @ weight).transpose(0, 1).reshape(values.shape)
    for layer in reversed(layers):
        slope, *of_layer = _backward(network, slope, layer, n, is_first=layer is layers[0])
        found = [*of_layer, *found]
    return torch.cat([part.reshape(n, -1) for part in found], 1)


def _forward(
    network: Convolutional,
    values: torch.Tensor,
    kernels: torch.Tensor,
    biases: torch.Tensor,
    stride: int,
) -> _Layer:
    of_all = kernels.flatten(0, 1)
    padding = network.kernel // 2
    active = conv2d(values, of_all, biases.flatten(), stride, padding, groups=len(kernels))
    active = active.relu_() if network.activation == "relu" else active.sigmoid_()
    if network.pool == 1:
        return _Layer(values, of_all, stride, active, active, None)
    side = [network.pool, network.pool]
    pooled, places = ATEN.max_pool2d_with_indices(active, side, side)
    return _Layer(values, of_all, stride, active, pooled, places)


def _backward(
    network: Convolutional, slope: torch.Tensor, layer: _Layer, n: int, *, is_first: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Derivatives by a layer's values (none of the first), its kernels and its biases."""
    if layer.places is not None:
        side = [network.pool, network.pool]
        form = (side, side, [0, 0], [1, 1], False)
        slope = ATEN.max_pool2d_with_indices_backward(slope, layer.active, *form, layer.places)
    if network.activation == "relu":
        slope = ATEN.threshold_backward(slope, layer.active, 0)
    else:
        slope = ATEN.sigmoid_backward(slope, layer.active)
    strides = [layer.stride, layer.stride]
    padding = [network.kernel // 2, network.kernel // 2]
    by_values, by_kernels, by_biases = ATEN.convolution_backward(
        slope,
        layer.values,
        layer.kernels,
        [len(layer.kernels)],
        strides,
        padding,
        [1, 1],
        False,
        [0, 0],
        n,
        [not is_first, True, True],
    )
    return by_values, by_kernels, by_biases


def _sigmoid(logits: torch.Tensor) -> torch.Tensor:
    """The sigmoid, computed in whole registers: a rest has other last digits."""
    whole = pad(logits.flatten(), (0, -logits.numel() % REGISTERS))
    return whole.sigmoid()[: logits.numel()].view(logits.shape)
