"""What the official memory by vectors imports, without torch: the model of sentence-transformers, the index of faiss.

Vectors are those of all-MiniLM-L6-v2 in 32 bits. Similarities differ from those of torch by some 1e-6, which a model is
shown; which entries are found, and in which order, differs only where two are as similar as that.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import Any

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Each thread of numpy's libraries reserves address space, of which a sandbox has little."""
for _variable in _ONE_THREAD:
    os.environ.setdefault(_variable, "1")

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from bitagent_evaluator.support.embedding import CachedEmbedding, MiniLM  # noqa: E402

_DIMENSION = 384

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@functools.cache
def _embedding() -> CachedEmbedding:
    """Return the model, which is loaded with the first text. Calls are executed again with every step of a model."""
    return CachedEmbedding(MiniLM())


class SentenceTransformer:
    """The part of the class of sentence-transformers that is used."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        """Accept the one model that is here. Raises ValueError for another."""
        if name != "all-MiniLM-L6-v2":
            raise ValueError(f"no sentence transformer {name!r}: there is all-MiniLM-L6-v2")

    def get_sentence_embedding_dimension(self) -> int:
        """Return the length of a vector."""
        return _DIMENSION

    def encode(self, texts: Sequence[str], *, normalize_embeddings: bool) -> Floats:
        """Return the vectors of texts, each of length 1, one a row."""
        return np.asarray([_embedding().vector(text) for text in texts], dtype=np.float32)


class InnerProductIndex:
    """An index of vectors by number, searched by inner product: `IndexIDMap` of an `IndexFlatIP` in faiss."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Remove all vectors."""
        self._ids: list[int] = []
        self._rows: list[Floats] = []

    def add_with_ids(self, vectors: Floats, ids: Integers) -> None:
        """Add vectors, one a row."""
        self._ids += [int(number) for number in ids]
        self._rows += list(vectors)

    def remove_ids(self, ids: Integers) -> None:
        """Remove the vectors of these numbers."""
        gone = {int(number) for number in ids}
        kept = [place for place, number in enumerate(self._ids) if number not in gone]
        self._ids, self._rows = [self._ids[place] for place in kept], [self._rows[place] for place in kept]

    def search(self, queries: Floats, count: int) -> tuple[Floats, Integers]:
        """Return similarities and numbers of the nearest `count` vectors to each query, the nearest first.

        Missing ones have the number -1. Raises AssertionError for a count that is not positive, as faiss does.
        """
        if count <= 0:
            raise AssertionError
        scores = np.full((len(queries), count), np.finfo(np.float32).min, dtype=np.float32)
        numbers = np.full((len(queries), count), -1, dtype=np.int64)
        for row, query in enumerate(queries):
            found = np.asarray([float(np.dot(vector, query)) for vector in self._rows], dtype=np.float32)
            order = np.argsort(-found, kind="stable")[:count]
            scores[row, : len(order)] = found[order]
            numbers[row, : len(order)] = [self._ids[place] for place in order]
        return scores, numbers


def substitutes() -> Mapping[str, Mapping[str, Any]]:
    """Return the members of the two modules that are used, by the modules' names."""
    return {
        "sentence_transformers": {"SentenceTransformer": SentenceTransformer},
        "faiss": {
            "IndexFlatIP": lambda dimension: InnerProductIndex(),
            "IndexIDMap": lambda index: index,
        },
    }
