"""Memories: the official systems to which a model writes what it will have forgotten.

The package's modules need three others that are not installed here, or that create folders when they are imported: a
decorator, a search by BM25+, and helpers for files. The memory that searches by vectors needs two more: the model
all-MiniLM-L6-v2 (sentence-transformers, which needs torch) and an index (faiss). They are loaded as private copies with
substitutes; the model is that of `support.embedding`, computed with numpy. What a memory holds is kept in memory, never
in files.
"""

from __future__ import annotations

import functools
import importlib.util
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from bfcl_eval.constants.default_prompts import (
    MEMORY_AGENT_SETTINGS,
    MEMORY_BACKEND_INSTRUCTION_CORE_ARCHIVAL,
    MEMORY_BACKEND_INSTRUCTION_UNIFIED,
)
from bfcl_eval.constants.executable_backend_config import BACKEND_PATH_PREFIX, CLASS_FILE_PATH_MAPPING

from bitagent_crds.task_forms import MemoryBackend

if TYPE_CHECKING:  # the sandbox in which calls are executed starts faster without pydantic
    from bitagent_crds.task_set import Memory

_STATE: Mapping[MemoryBackend, tuple[str, ...]] = {
    MemoryBackend.KV: ("core_memory", "archival_memory"),
    MemoryBackend.REC_SUM: ("memory",),
    MemoryBackend.VECTOR: ("core_memory", "archival_memory"),
}
"""Attributes of a system that are its content."""
_K1, _B, _DELTA = 1.5, 0.75, 1
"""Parameters of BM25+ as the leaderboard uses it."""


def system_name(backend: MemoryBackend) -> str:
    """Return the name of a memory's system, by which a conversation names it."""
    return f"MemoryAPI_{backend}"


MEMORY_SYSTEMS: Mapping[str, MemoryBackend] = {system_name(backend): backend for backend in MemoryBackend}
"""The memories by the names of their systems."""
MEMORY_SCENARIOS: tuple[str, ...] = tuple(MEMORY_AGENT_SETTINGS)
"""The scenarios of which the package has conversations."""


def memory_message(memory: Memory, shown: str) -> str:
    """Return the official system message that begins a conversation; `shown` is the memory's `shown_content`."""
    layout = _LAYOUTS[memory.backend]
    return layout.format(scenario_setting=MEMORY_AGENT_SETTINGS[memory.scenario], memory_content=shown)


_LAYOUTS: Mapping[MemoryBackend, str] = {
    MemoryBackend.KV: MEMORY_BACKEND_INSTRUCTION_CORE_ARCHIVAL,
    MemoryBackend.REC_SUM: MEMORY_BACKEND_INSTRUCTION_UNIFIED,
    MemoryBackend.VECTOR: MEMORY_BACKEND_INSTRUCTION_CORE_ARCHIVAL,
}


def open_memory(name: str, content: Mapping[str, Any]) -> Any:
    """Return the official system of this name with a content, as `content_of` returned it; {} is an empty memory."""
    memory, backend = _class(name)(), MEMORY_SYSTEMS[name]
    for attribute in _STATE[backend]:
        if attribute not in content:
            continue
        if backend is MemoryBackend.VECTOR:
            getattr(memory, attribute).load_from_snapshot(content[attribute])
        else:
            setattr(memory, attribute, content[attribute])
    return memory


def content_of(name: str, memory: Any) -> dict[str, Any]:
    """Return the content of a system, as JSON types."""
    backend = MEMORY_SYSTEMS[name]
    parts = {attribute: getattr(memory, attribute) for attribute in _STATE[backend]}
    if backend is not MemoryBackend.VECTOR:
        return parts
    exported = {attribute: store.export() for attribute, store in parts.items()}
    return {
        attribute: {**export, "store": {str(number): text for number, text in export["store"].items()}}
        for attribute, export in exported.items()
    }


def shown_content(memory: Any) -> str:
    """Return what a model is shown of a memory at the beginning of a conversation."""
    return str(memory._dump_core_memory_to_context())


class BM25Plus:
    """Scores of texts for a query by BM25+, as the package `rank-bm25` computes them."""

    def __init__(self, corpus: Sequence[Sequence[str]]) -> None:
        """`corpus` are the words of each text. Raises ZeroDivisionError without texts, as the package does."""
        self._counts = [Counter(words) for words in corpus]
        self._lengths = [len(words) for words in corpus]
        self._mean_length = sum(self._lengths) / len(corpus)
        texts_with = Counter(word for counts in self._counts for word in counts)
        self._weights = {word: math.log((len(corpus) + 1) / count) for word, count in texts_with.items()}

    def get_scores(self, query: Sequence[str]) -> list[float]:
        """Return the score of each text for the words of a query."""
        scores = [0.0] * len(self._counts)
        for word in query:
            weight = self._weights.get(word, 0)
            for index, (counts, length) in enumerate(zip(self._counts, self._lengths, strict=True)):
                norm = _K1 * (1 - _B + _B * length / self._mean_length)
                scores[index] += weight * (_DELTA + counts[word] * (_K1 + 1) / (norm + counts[word]))
        return scores


@functools.cache
def _class(name: str) -> Any:
    base = f"{BACKEND_PATH_PREFIX}.memory_api_metaclass"
    unused = dict.fromkeys(("get_directory_structure_by_id", "is_first_memory_prereq_entry", "is_memory_prereq"))
    stand_ins: dict[str, dict[str, Any]] = {"overrides": {"final": lambda method: method}, "bfcl_eval.utils": unused}
    with _substituted(stand_ins):
        known = {base: vars(_private_copy(base)), "rank_bm25": {"BM25Plus": BM25Plus}}
    if MEMORY_SYSTEMS[name] is MemoryBackend.VECTOR:
        from bitagent_evaluator.scoring.multi_turn.vectors import substitutes

        known |= {module: dict(members) for module, members in substitutes().items()}
    with _substituted(known):
        return getattr(_private_copy(CLASS_FILE_PATH_MAPPING[name]), name)


def _private_copy(name: str) -> ModuleType:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{name} is missing: install bitagent[benchmark]", name=name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def _substituted(modules: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """Replace modules while others are loaded; sys.modules is as before afterwards."""
    originals = {name: sys.modules.get(name) for name in modules}
    for name, members in modules.items():
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(members)
    try:
        yield
    finally:
        for name, original in originals.items():
            if original is None:
                del sys.modules[name]
            else:
                sys.modules[name] = original
