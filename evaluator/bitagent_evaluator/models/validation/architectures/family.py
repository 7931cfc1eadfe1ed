"""What is known of one architecture: its tensors, the members of its configuration and their bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from bitagent_evaluator.models.validation.architectures.layout import HEAD, ExpectedTensors, Layout, QkNorm

MULTIPLIER = (1e-4, 1e4)
"""Bounds of a factor of activations or logits; known ones are between 0.0078 and 256."""
SOFT_CAP = (1.0, 1e4)
"""Bounds of the numbers at which logits saturate; Gemma 2 has 30 and 50."""


class Windows(StrEnum):
    """Which layers may have the sliding window, in the engine's model."""

    NONE = "none"
    """There is none; engines would read one nevertheless, so its members are left out."""
    ALL = "all"
    """All layers, wherever there is a `sliding_window`."""
    ONE_KIND = "one kind"
    """All layers or none: other choices are refused (vLLM 0.32, models/qwen2.py)."""
    LAYERS = "layers"
    """Those that `layer_types` names."""


@dataclass(frozen=True)
class Rope:
    """Rotary positions of a family."""

    types: frozenset[str] = frozenset({"default", "linear", "dynamic", "yarn", "llama3"})
    """Allowed scalings."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of scalings, in this family only."""
    least_share: float = 1.0
    """Smallest share of a head that is rotated (`partial_rotary_factor`)."""
    by_layer_type: bool = False
    """Whether `rope_parameters` may have an object for each type of layer."""


@dataclass(frozen=True)
class Members:
    """Members of a configuration beyond those of all families, with their bounds.

    A null counts as a missing member, except for those where it means that there is none.
    """

    integers: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    numbers: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    """Those without which the tensors are unknown."""
    flag_per_layer: frozenset[str] = frozenset()
    """Lists with 0 or 1 for each layer."""
    layer_lists: frozenset[str] = frozenset()
    """Lists of numbers of layers."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names of members, which some writers use."""


SILU: Mapping[str, tuple[str, ...]] = {"hidden_act": ("silu",)}
GELU: Mapping[str, tuple[str, ...]] = {"hidden_activation": ("gelu_pytorch_tanh",)}


@dataclass(frozen=True)
class Architecture:
    """One supported architecture."""

    name: str
    """Class name, as in `architectures` of config.json."""
    model_type: str
    """The `model_type` that belongs to it; with another one an engine would build another model."""
    family: str
    """Models that use it."""
    layout: Layout = field(default_factory=Layout)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values that engines assume for members that a configuration lacks, as far as the tensors depend on them."""
    members: Members = field(default_factory=Members)
    activations: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: SILU)
    """Members with the MLP's activation, and their allowed values, the first of which is assumed."""
    windows: Windows = Windows.NONE
    default_window: int | None = None
    """Window that is assumed without a `sliding_window`."""
    full_every: int = 0
    """Without `layer_types`, every layer of this number sees everything, and the others have the window; 0: none does.
    """
    rope: Rope = field(default_factory=Rope)
    free_heads: bool = True
    """Whether `head_dim` may be other than `hidden_size` over the number of heads."""
    heads_divide: bool = False
    """Whether transformers refuses a configuration whose heads do not divide `hidden_size`, whatever `head_dim` is."""
    always_tied: bool = False
    """Whether the engine computes with the embeddings as head, whatever the configuration says."""
    float16: bool = True
    """Whether the engine computes in float16; its numbers are too small for the activations of some families."""
    tokens_beyond: frozenset[str] = frozenset()
    """Added tokens of the family's tokenizer that the vocabulary of its text models does not have."""
    quantizations: tuple[str, ...] = ("AWQ", "GPTQ", "compressed-tensors")
    """Methods of quantisation that are admitted; the engine has kernels for them."""

    @property
    def qk_norm(self) -> QkNorm:
        """Normalisation of queries and keys."""
        return self.layout.qk_norm

    @property
    def mixture(self) -> bool:
        """Whether its layers have experts."""
        return self.layout.experts is not None

    def expected_tensors(self, config: Mapping[str, Any]) -> ExpectedTensors:
        """Return the tensors of a checkpoint with this configuration, which must have been checked."""
        expected = self.layout.expected_tensors(config)
        if not self.always_tied:
            return expected
        return replace(expected, optional={name: expected.optional[name] for name in expected.optional if name != HEAD})
