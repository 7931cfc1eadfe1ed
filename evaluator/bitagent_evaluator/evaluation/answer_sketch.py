"""The sketch of a model's answers on one task set, by which models of one round are compared.

Texts count without white space and quotation marks, and without thoughts, so that the same call in another layout is
the same answer. Wrong answers are compared apart. One that a model gives to several tasks, such as "none of these
functions", says nothing about where the model comes from, and is left out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from bitagent_crds.results import Response, Verdict
from bitagent_crds.sketches import ANSWER_BITS, MISTAKE_HASHES, AnswerSketch

_THOUGHT_END = "</think>"
_IGNORED = str.maketrans("", "", "'\"`")
_WORD = (1 << 64) - 1


def answer_sketch(responses: Mapping[str, Response], verdicts: Sequence[Verdict], *, task_set_digest: str) -> str:
    """Return the sketch. `responses` are by the task's id; `verdicts` has one for each task of the set."""
    texts = {verdict.id: _normalised(responses.get(verdict.id)) for verdict in verdicts}
    hashes = {id_: _hash(task_set_digest, id_, text) for id_, text in texts.items()}
    counts = Counter(texts.values())
    wrong = [hashes[verdict.id] for verdict in verdicts if not verdict.passed and counts[texts[verdict.id]] == 1]
    order = sorted(hashes, key=lambda id_: _hash(task_set_digest, id_, ""))
    return AnswerSketch(_bits(hashes, order), bytes(_minima(wrong))).encode()


def _normalised(response: Response | None) -> str:
    if response is None:
        return ""
    steps = [step for turn in response.turns for step in turn] or [response.text]
    return "\n".join("".join(step.rpartition(_THOUGHT_END)[2].translate(_IGNORED).split()) for step in steps)


def _hash(*parts: str) -> int:
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode(errors="surrogatepass")
        digest.update(len(content).to_bytes(8) + content)
    return int.from_bytes(digest.digest())


def _bits(hashes: Mapping[str, int], order: Sequence[str]) -> bytes:
    """Return a bit of one task's hash each. A set of fewer tasks gives several bits for each task."""
    value = 0
    for i in range(ANSWER_BITS):
        bit = hashes[order[i % len(order)]] >> (i // len(order)) if order else 0
        value = value << 1 | bit & 1
    return value.to_bytes(ANSWER_BITS // 8)


def _minima(hashes: Sequence[int]) -> Iterator[int]:
    """Yield a byte of the smallest value under each hash function; nothing for an empty set."""
    for i in range(MISTAKE_HASHES if hashes else 0):
        # Multiplication by an odd number permutes the words, in another order for each function.
        factor, offset = _hash("factor", str(i)) & _WORD | 1, _hash("offset", str(i)) & _WORD
        least = min(hashes, key=lambda value: ((value & _WORD) * factor + offset) & _WORD)
        yield least >> 128 & 0xFF
