"""All supported architectures by name, and what docs list of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bitagent_crds.conditions import Reason
from bitagent_evaluator.models.validation.architectures.dense import DENSE
from bitagent_evaluator.models.validation.architectures.family import Architecture
from bitagent_evaluator.models.validation.architectures.layout import Layout
from bitagent_evaluator.models.validation.architectures.mixtures import MIXTURES
from bitagent_evaluator.models.validation.files import quote, require

ARCHITECTURES: Mapping[str, Architecture] = {architecture.name: architecture for architecture in (*DENSE, *MIXTURES)}
"""Architectures by name."""


def find_architecture(config: Mapping[str, Any]) -> Architecture:
    """Return the architecture of a configuration.

    Refuses an unknown one (UnsupportedArchitecture), and one with the `model_type` of another (BadConfig).
    """
    named = config.get("architectures")
    remedy = _remedy(named)
    what = f"the architecture {quote(named)}" if named else "no architecture"
    known = isinstance(named, list) and len(named) == 1 and isinstance(named[0], str) and named[0] in ARCHITECTURES
    require(
        known,
        Reason.UNSUPPORTED_ARCHITECTURE,
        f"config.json names {what}{remedy}; supported: {', '.join(sorted(ARCHITECTURES))}",
    )
    architecture = ARCHITECTURES[config["architectures"][0]]
    require(
        config.get("model_type") == architecture.model_type,
        Reason.BAD_CONFIG,
        f"config.json: model_type {quote(config.get('model_type'))} does not go with {architecture.name}, whose is "
        f"{quote(architecture.model_type)}",
    )
    return architecture


_NO_CAUSAL_LM = re.compile(r"(\w+?)(Model|For(SequenceClassification|TokenClassification|QuestionAnswering|Embedding))")
"""Classes of transformers without a head that predicts tokens."""


def _remedy(named: object) -> str:
    """Return what to do about `architectures` of a configuration; empty if that cannot be said."""
    names = [str(name) for name in named] if isinstance(named, list) else []
    if isinstance(named, str) and named in ARCHITECTURES:
        return f"; write it as a list, [{quote(named)}]"
    if len(names) > 1 and any(name in ARCHITECTURES for name in names):
        return "; name one of them alone"
    if any(name.endswith("ForConditionalGeneration") for name in names):
        return "; of a multimodal model save the language model as a model of its own"
    for found in filter(None, map(_NO_CAUSAL_LM.fullmatch, names)):
        return f"; that has no head for the next token: save the {found[1]}ForCausalLM that was trained"
    return "" if named else '; write "architectures": [NAME] as in the config.json of the base model'


def architecture_of(config: Mapping[str, Any]) -> Architecture:
    """Return the architecture of a checked configuration."""
    return ARCHITECTURES[config["architectures"][0]]


def layout_of(config: Mapping[str, Any]) -> Layout:
    """Return the layout of a checked configuration's architecture."""
    return architecture_of(config).layout


def family_rows() -> list[tuple[str, ...]]:
    """Return the table of families for the docs: a row of headings, and one for each architecture.

    Columns: models, architecture, `model_type`, whether it is a mixture of experts, methods of quantisation. vLLM
    computes quantised experts on GPUs only, where none has been tried.
    """
    headings = ("Models", "Architecture", "model_type", "Mixture", "Quantisation")
    return [headings, *map(_family_row, ARCHITECTURES.values())]


def _family_row(architecture: Architecture) -> tuple[str, ...]:
    methods = ", ".join(architecture.quantizations) or "none"
    return (
        architecture.family,
        architecture.name,
        architecture.model_type,
        "yes" if architecture.mixture else "no",
        f"{methods} (on GPUs only; untested)" if architecture.mixture else methods,
    )
