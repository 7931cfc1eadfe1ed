"""The sketch of a model's answers on one task set, by which models of one round are compared.

An answer counts by the calls that are read from it, and by letters and digits alone: the same calls in another layout
or syntax, with a comment, an argument that no scorer looks at, or signs that no scorer compares are the same answer. A
tokenizer of a copier's own could add these to each answer of a copied model. Other answers count by the letters and
digits of their texts, without thoughts.

Wrong answers are compared apart. One that a model gives to several tasks, such as "none of these functions", says
nothing about where the model comes from, and is left out.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bitagent_crds.results import Response, Verdict
from bitagent_crds.sketches import ANSWER_BITS, MISTAKE_HASHES, AnswerSketch
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax, parse_answer

_THOUGHT_END = "</think>"
_READ_MAX = 8192
"""Characters of an answer that is read for its calls; a longer one counts by its text."""
_WORD = (1 << 64) - 1


def answer_sketch(
    responses: Mapping[str, Response],
    verdicts: Sequence[Verdict],
    *,
    task_set_digest: str,
    tasks: Mapping[str, Task],
    syntaxes: Sequence[AnswerSyntax] = (),
) -> str:
    """Return the sketch.

    `responses` and `tasks` are by the task's id; `verdicts` has one for each task of the set. Answers are read in
    `syntaxes` beside BFCL's own.
    """
    texts = {each.id: _normalised(responses.get(each.id), tasks.get(each.id), syntaxes) for each in verdicts}
    hashes = {id_: _hash(task_set_digest, id_, text) for id_, text in texts.items()}
    counts = Counter(texts.values())
    wrong = [hashes[verdict.id] for verdict in verdicts if not verdict.passed and counts[texts[verdict.id]] == 1]
    order = sorted(hashes, key=lambda id_: _hash(task_set_digest, id_, ""))
    return AnswerSketch(_bits(hashes, order), bytes(_minima(wrong))).encode()


def _normalised(response: Response | None, task: Task | None, syntaxes: Sequence[AnswerSyntax]) -> str:
    if response is None:
        return ""
    steps = [step for turn in response.turns for step in turn] or [response.text]
    return "\n".join(_of_step(step, task, syntaxes) for step in steps)


def _of_step(text: str, task: Task | None, syntaxes: Sequence[AnswerSyntax]) -> str:
    if task is not None and len(text) <= _READ_MAX:
        calls = parse_answer(text, syntaxes, task.language, task.functions, task.variation).calls
        if calls:
            return "calls " + _of_value(calls)
    return _plain(text.rpartition(_THOUGHT_END)[2])


def _of_value(value: Any) -> str:
    if isinstance(value, dict):
        members = sorted(f"{_plain(str(name))}={_of_value(each)}" for name, each in value.items() if name is not None)
        return "{" + ",".join(members) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_of_value, value)) + "]"
    return _plain(value) if isinstance(value, str) else repr(value)


def _plain(text: str) -> str:
    return "".join(character for character in text if character.isalnum()).casefold()


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
