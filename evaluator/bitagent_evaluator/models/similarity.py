"""The similarity sketch of a model: properties of its layers that do not depend on how the same function is written.

What can be exchanged without a change of the function: neurons of an MLP, attention heads, the scale and sign of an up
projection against those of its down projection, any basis of a head's values, scales inside queries and keys, the
weight of a norm against the matrices that read its output, the basis and scale of the hidden state. Weights that read
the hidden state are therefore multiplied by their norm's weight; each property is then a norm, an angle or a trace
that is the same in any basis (such as Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits", use for
heads), as a ratio where a scale is free, and summed over neurons or heads.

The cost is that of reading the weights once. Layers beyond MAX_LAYERS are left out evenly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from bitagent_crds.sketches import MAX_NUMBERS, STEP, WeightsSketch
from bitagent_evaluator.models.dequantization import Matrix
from bitagent_evaluator.models.digests import read_config, used_tensors
from bitagent_evaluator.models.layer_weights import LayerWeights, Shape, layer_weights, shape_of
from bitagent_evaluator.models.values import Floats, StoredTensor
from bitagent_evaluator.sandbox.protocol import Refused

MAX_LAYERS = 63
MAX_PROPERTIES = 12
_NEURONS = 512
"""Neurons of an MLP that are read at once."""
_THREADS = 2
_SILENT = 1e-6
"""A layer whose output is smaller than this share of the usual layer's adds nothing and is left out."""
_SMALLEST, _LARGEST = 1e-30, 1e30
"""Squares of norms beyond these are computed again from scaled weights: scales that cancel may be extreme."""


@dataclass(frozen=True)
class _Layer:
    """Properties of one layer."""

    values: tuple[float, ...]
    """The most telling first."""
    size: float
    """Size of what the layer adds to the hidden state."""


def similarity_sketch(model_dir: Path) -> str | None:
    """Return the sketch of a model's weights; None if the architecture or its quantisation is not a known one.

    Raises Refused if a header is malformed, and OSError if a file cannot be read.
    """
    tensors = used_tensors(model_dir)
    try:
        shape = shape_of(read_config(model_dir))
    except Refused:
        return None
    count = shape.layers
    chosen = range(count) if count <= MAX_LAYERS else [i * count // MAX_LAYERS for i in range(MAX_LAYERS)]
    with threadpool_limits(1), ThreadPoolExecutor(_THREADS, thread_name_prefix="similarity") as pool:
        try:
            layers = list(pool.map(lambda index: _layer(tensors, index, shape), chosen))
        except (KeyError, IndexError, ValueError):
            return None  # Tensors that the configuration does not describe: the model was not checked.
    found = [layer for layer in layers if layer is not None]
    finite = [layer for layer in found if math.isfinite(layer.size)]
    usual = median(layer.size for layer in finite) if finite else 0.0
    heard = [layer for layer in finite if layer.size > usual * _SILENT]
    if len(found) < len(layers) or not heard:
        return None
    width = min(MAX_PROPERTIES, MAX_NUMBERS // len(heard))
    return WeightsSketch(tuple(tuple(map(_step, layer.values[:width])) for layer in heard)).encode()


def _step(value: float) -> int:
    return round(value / STEP) % round(1 / STEP) if math.isfinite(value) else 0


def _layer(tensors: Mapping[str, StoredTensor], layer: int, shape: Shape) -> _Layer | None:
    """Return the properties of a layer; None if a weight is not stored in a known way."""
    weights = layer_weights(tensors, layer, shape)
    if weights is None:
        return None
    first, second = (_norm(tensors, layer, name, shape) for name in shape.layout.read_by or (None, None))
    with np.errstate(all="ignore"):
        heads = _attention(weights, first, shape)
        neurons = _mlp(weights.gate, weights.up, weights.down, second)
        values = (
            heads.output_trace,
            neurons.up_down,
            heads.query_norm,
            neurons.gate_norm,
            heads.query_trace,
            neurons.gate_down,
            float(np.log(heads.output_norm / neurons.output_norm)),
            neurons.gate_up,
            heads.output_spread,
            neurons.spread,
            heads.query_spread,
            neurons.trace,
        )
    return _Layer(tuple(float(each) for each in values), float(heads.output_norm + neurons.output_norm))


def _norm(tensors: Mapping[str, StoredTensor], layer: int, name: str | None, shape: Shape) -> Floats:
    """Return what a norm multiplies by; 1 without a norm."""
    if name is None:
        return np.ones(1, np.float32)
    stored = tensors[f"model.layers.{layer}.{name}.weight"].vector()
    weight: Floats = stored + np.float32(shape.layout.norm_offset)
    return weight


@dataclass(frozen=True)
class _Attention:
    output_trace: float
    """Sum of the traces of the heads' value-output maps, over the sum of their norms."""
    output_norm: float
    """Mean norm of these maps."""
    output_spread: float
    """Logarithm of the quadratic mean of their norms over the mean."""
    query_trace: float
    query_norm: float
    """Logarithm of the mean norm of the heads' query-key forms."""
    query_spread: float


def _attention(weights: LayerWeights, norm: Floats, shape: Shape) -> _Attention:
    query, key, value, output = weights.query, weights.key, weights.value, weights.output
    size, share = shape.head_dim, shape.heads // shape.key_value_heads
    circuits = []
    for group in range(shape.key_value_heads):
        keys, of_keys = _scaled(key.rows(group * size, (group + 1) * size) * norm)
        values, of_values = _scaled(value.rows(group * size, (group + 1) * size) * norm)
        key_products, value_products = keys @ keys.T, values @ values.T
        for head in range(group * share, (group + 1) * share):
            queries, of_queries = _scaled(query.rows(head * size, (head + 1) * size) * norm)
            outputs, of_outputs = _scaled(np.ascontiguousarray(output.columns(head * size, (head + 1) * size).T))
            forms, maps = of_queries * of_keys, of_outputs * of_values
            query_form = _circuit(queries, keys, key_products, forms)
            if shape.qk_norm:  # The norm of each query and key takes their scale away.
                scale = np.linalg.norm(queries * of_queries[:, None]) * np.linalg.norm(keys * of_keys[:, None])
                query_form = query_form / (scale or 1.0)
            circuits.append((*_circuit(outputs, values, value_products, maps), *query_form))
    output_traces, output_norms, query_traces, query_norms = np.array(circuits).T
    return _Attention(
        output_trace=output_traces.sum() / output_norms.sum(),
        output_norm=output_norms.mean(),
        output_spread=float(np.log(np.sqrt(np.mean(output_norms**2)) / output_norms.mean())),
        query_trace=query_traces.sum() / query_norms.sum(),
        query_norm=float(np.log(query_norms.mean())),
        query_spread=float(np.log(np.sqrt(np.mean(query_norms**2)) / query_norms.mean())),
    )


def _scaled(rows: Floats) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Return the rows with 1 as their largest number, and their scales."""
    scales = np.abs(rows).max(axis=1).astype(np.float64)
    scales[scales == 0] = 1.0
    scaled: Floats = (rows / scales[:, None]).astype(np.float32)
    return scaled, scales


def _circuit(a: Floats, b: Floats, products: Floats, scales: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return trace and norm of the matrix that is the sum of scales[i] * outer(a[i], b[i]); products are b @ b.T."""
    trace = (np.einsum("ij,ij->i", a, b) * scales).sum()
    square = ((a @ a.T) * products.astype(np.float64) * scales[:, None] * scales).sum()
    return np.array([trace, np.sqrt(max(0.0, float(square)))])


@dataclass(frozen=True)
class _Mlp:
    """Means over the neurons, weighted so that a neuron without output does not count."""

    output_norm: float
    """Mean norm of a neuron's up and down weights."""
    gate_norm: float
    """Logarithm of the mean norm of the gate weights."""
    up_down: float
    """Logarithm of the mean angle (absolute cosine) between up and down weights."""
    gate_down: float
    gate_up: float
    spread: float
    """Logarithm of the number of neurons that share the output."""
    trace: float
    """Trace of the map from up to down weights, over the sum of its neurons' norms."""


def _mlp(gate: Matrix, up: Matrix, down: Matrix, norm: Floats) -> _Mlp:
    count = gate.shape[0]
    measured = np.concatenate(
        [_neurons(gate, up, down, norm, start, min(count, start + _NEURONS)) for start in range(0, count, _NEURONS)],
        axis=1,
    )
    gates, ups, downs, gate_up, gate_down, up_down = measured
    outputs = ups * downs
    strengths = gates * outputs
    total = float(outputs.sum())
    return _Mlp(
        output_norm=total / count,
        gate_norm=float(np.log(strengths.sum() / total)),
        up_down=float(np.log(np.abs(up_down).sum() / total)),
        gate_down=float(np.log((np.abs(gate_down) * ups).sum() / strengths.sum())),
        gate_up=float(np.log((np.abs(gate_up) * downs).sum() / strengths.sum())),
        spread=float(np.log(strengths.sum() ** 2 / (strengths**2).sum())),
        trace=float(up_down.sum() / total),
    )


def _neurons(gate: Matrix, up: Matrix, down: Matrix, norm: Floats, start: int, stop: int) -> Any:
    """Return norms of gate, up and down weights, and their three inner products, of shape (6, neurons)."""
    gates, ups = gate.rows(start, stop) * norm, up.rows(start, stop) * norm
    downs = np.ascontiguousarray(down.columns(start, stop).T)
    products = _products(gates, ups, downs)
    extreme = not np.isfinite(products).all() or products[:3].min() < _SMALLEST or products[:3].max() > _LARGEST
    if extreme:
        (gates, g), (ups, u), (downs, d) = _scaled(gates), _scaled(ups), _scaled(downs)
        products = _products(gates, ups, downs) * np.array([g * g, u * u, d * d, g * u, g * d, u * d])
    products[:3] = np.sqrt(products[:3])
    return products


def _products(gates: Floats, ups: Floats, downs: Floats) -> Any:
    pairs = ((gates, gates), (ups, ups), (downs, downs), (gates, ups), (gates, downs), (ups, downs))
    return np.array([np.einsum("ij,ij->i", a, b) for a, b in pairs], dtype=np.float64)
