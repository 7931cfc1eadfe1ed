"""Supported architectures, as data: the tensors that a checkpoint must have follow from them and the configuration.

    layout      names and shapes of the tensors of a layer
    family      one architecture: layout, members of the configuration with their bounds
    dense       decoders with one MLP in a layer
    mixtures    decoders with experts
    registry    all of them by name

All are decoders: embeddings, blocks of attention and gated MLPs, a final norm, a head. An architecture is added only if
its list of tensors is certain: a missing layer, which an engine fills with noise, must not pass.
"""

from bitagent_evaluator.models.validation.architectures.family import Architecture, Members, Rope, Windows
from bitagent_evaluator.models.validation.architectures.layout import (
    ExpectedTensors,
    Layout,
    QkNorm,
    head_dim,
    key_value_heads,
)
from bitagent_evaluator.models.validation.architectures.registry import (
    ARCHITECTURES,
    architecture_of,
    family_rows,
    find_architecture,
    layout_of,
)

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ExpectedTensors",
    "Layout",
    "Members",
    "QkNorm",
    "Rope",
    "Windows",
    "architecture_of",
    "family_rows",
    "find_architecture",
    "head_dim",
    "key_value_heads",
    "layout_of",
]
