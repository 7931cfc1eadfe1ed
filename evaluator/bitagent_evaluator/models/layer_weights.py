"""The matrices of one layer in one form, however its family names, joins or divides them.

Fused projections are taken apart. The experts of a mixture become one MLP with the neurons of all of them, in which the
order of the experts does not matter more than that of neurons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bitagent_evaluator.models.dequantization import Matrix, linear_weight
from bitagent_evaluator.models.validation.architectures import Layout, find_architecture, head_dim, key_value_heads
from bitagent_evaluator.models.validation.config import reduce_config
from bitagent_evaluator.models.validation.quantization import find_method, packed_bits
from bitagent_evaluator.models.values import Floats, StoredTensor


@dataclass(frozen=True)
class Packing:
    """How linear weights are stored: `bits` and `method` of the configuration's quantisation."""

    bits: int = 4
    method: str = ""


@dataclass(frozen=True)
class Shape:
    """What is needed of a checked configuration to read its layers."""

    layers: int
    heads: int
    key_value_heads: int
    head_dim: int
    qk_norm: bool
    layout: Layout
    config: Mapping[str, Any]
    packing: Packing


def shape_of(config: Mapping[str, Any]) -> Shape:
    """Return what is needed of the configuration. Raises Refused if it is not one that is supported."""
    architecture = find_architecture(config)
    known = reduce_config(config, architecture)
    method = find_method(config)
    return Shape(
        layers=known["num_hidden_layers"],
        heads=known["num_attention_heads"],
        key_value_heads=key_value_heads(known),
        head_dim=head_dim(known),
        qk_norm=bool(architecture.qk_norm),
        layout=architecture.layout,
        config=known,
        packing=Packing(packed_bits(config), method.name if method is not None else ""),
    )


@dataclass(frozen=True)
class LayerWeights:
    """The matrices of one layer, each of shape (outputs, inputs)."""

    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    gate: Matrix
    up: Matrix
    down: Matrix


def layer_weights(tensors: Mapping[str, StoredTensor], layer: int, shape: Shape) -> LayerWeights | None:
    """Return the matrices of a layer; None if a weight is not stored in a known way."""
    layout, config, packing = shape.layout, shape.config, shape.packing
    prefix = f"model.layers.{layer}."

    def stored(name: str) -> Matrix | None:
        return linear_weight(tensors, f"{prefix}{name}.", bits=packing.bits, method=packing.method)

    queries, keys = config["num_attention_heads"] * head_dim(config), key_value_heads(config) * head_dim(config)
    if layout.fused_qkv:
        attention = _parts(stored("self_attn.qkv_proj"), (queries, keys, keys))
    else:
        attention = [stored(f"self_attn.{name}_proj") for name in "qkv"]
    attention.append(stored("self_attn.o_proj"))
    experts = layout.experts
    if experts is not None and experts.in_layer(config, layer):
        blocks = [f"{experts.block}.experts.{number}" for number in range(config[experts.count])]
        gates, ups, downs = ([stored(f"{block}.{name}") for block in blocks] for name in experts.projections)
        if experts.shared:
            shared = f"{experts.block}.shared_expert"
            gates, ups, downs = (
                [*parts, stored(f"{shared}.{name}_proj")]
                for parts, name in ((gates, "gate"), (ups, "up"), (downs, "down"))
            )
        mlp = [_joined(gates, axis=0), _joined(ups, axis=0), _joined(downs, axis=1)]
    elif layout.fused_gate_up:
        inner = config["intermediate_size"]
        mlp = [*_parts(stored("mlp.gate_up_proj"), (inner, inner)), stored("mlp.down_proj")]
    else:
        mlp = [stored(f"mlp.{name}_proj") for name in ("gate", "up", "down")]
    found = [matrix for matrix in (*attention, *mlp) if matrix is not None]
    return LayerWeights(*found) if len(found) == len(attention) + len(mlp) else None


@dataclass(frozen=True)
class _Part:
    """Some outputs of a matrix."""

    whole: Matrix
    start: int
    stop: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.stop - self.start, self.whole.shape[1]

    def rows(self, start: int, stop: int) -> Floats:
        return self.whole.rows(self.start + start, self.start + stop)

    def columns(self, start: int, stop: int) -> Floats:
        return self.whole.columns(start, stop)[self.start : self.stop]


def _parts(whole: Matrix | None, sizes: tuple[int, ...]) -> list[Matrix | None]:
    """Return the parts of a fused projection, one after the other."""
    if whole is None:
        return [None] * len(sizes)
    stops = np.cumsum(sizes).tolist()
    return [_Part(whole, stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]


@dataclass(frozen=True)
class _Joined:
    """Matrices one after the other: their outputs (axis 0) or their inputs (axis 1)."""

    parts: tuple[Matrix, ...]
    axis: int

    @property
    def shape(self) -> tuple[int, ...]:
        total = sum(part.shape[self.axis] for part in self.parts)
        other = self.parts[0].shape[1 - self.axis]
        return (total, other) if self.axis == 0 else (other, total)

    def rows(self, start: int, stop: int) -> Floats:
        return self._along(0, start, stop)

    def columns(self, start: int, stop: int) -> Floats:
        return self._along(1, start, stop)

    def _along(self, axis: int, start: int, stop: int) -> Floats:
        found, at = [], 0
        for part in self.parts:
            low, high = start, stop
            if axis == self.axis:
                low, high = max(start - at, 0), min(stop - at, part.shape[axis])
                at += part.shape[axis]
            if low < high:
                found.append(part.rows(low, high) if axis == 0 else part.columns(low, high))
        joined: Floats = np.concatenate(found, axis=self.axis)
        return joined


def _joined(parts: list[Matrix | None], *, axis: int) -> Matrix | None:
    known = tuple(part for part in parts if part is not None)
    return _Joined(known, axis) if len(known) == len(parts) else None
