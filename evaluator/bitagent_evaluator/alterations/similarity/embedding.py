"""The interface of embeddings and their registry."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from bitagent_evaluator.registry import Registry

EMBEDDINGS = Registry(
    what="embedding",
    group="bitagent.embeddings",
    builtin={"MiniLM": "bitagent_evaluator.alterations.similarity.minilm:MiniLM"},
)

Vector = npt.NDArray[np.float64]


class Embedding(Protocol):
    """Texts as vectors. Made without arguments; loading may take a second."""

    version: str
    """Name and version of the model, for provenance: two embeddings of one version give the same decisions."""

    def vector(self, text: str) -> Vector:
        """The text's embedding, of length 1. Pure: a text has one vector, whatever else is embedded."""
        ...


def similarity(a: Vector, b: Vector) -> str:
    """Cosine similarity as a decimal of four places: what is compared with bounds, and what is recorded, are the same number."""
    return f"{float(np.dot(a, b)):.4f}"
