"""Memory that one evaluation needs, by the model's shape and the round's bounds; and how much a round allows.

The need is a minimal batch: weights in the engine's number format, keys and values of one sequence of the longest
prompt and answer, and the largest intermediate results of one step. It follows from facts that a fetch Job reads from
headers, so a round decides before it uses a GPU, and an evaluation that runs out of memory decides by the same numbers
whose fault that is: the model's if it needs more than the round allows, else that of a machine that is smaller than the
round promises.

A round allows `maxMemoryBytes`, or else what the most demanding model of a known shape needs that has as many
parameters as the round admits. The cache of known models is at most a constant times parameters^(2/3): a dense decoder
of L layers of width d with full attention has 12 L d^2 parameters and a cache of 2 L d numbers per token, which is
parameters^(2/3) times 0.38 (L / d)^(1/3). See docs/decisions/011.
"""

from __future__ import annotations

from dataclasses import dataclass

from bitagent_crds.evalround import Admission
from bitagent_crds.evaluation import BuiltinScorer, Evaluation, LossParameters, RunSpec, longest_answer
from bitagent_crds.jobs import MemoryLimits
from bitagent_crds.minermodel import DType, EngineChoices, MemoryShape

CACHE_PER_PARAMETERS = 1 / 8
"""Largest cache of one token, in numbers, as a multiple of parameters^(2/3).

Full attention with layers 28 times as wide as they are many comes to that. The widest of the known models are at 0.083
(Qwen1.5 0.5B and 4B, Qwen3 0.6B, Phi-3 mini).
"""
SMALL_CACHE_NUMBERS = 1 << 14
"""A cache that no model is refused for, in numbers per token: half a gigabyte for 16,384 tokens at 16 bits."""
STEP_TOKENS, STEP_SEQUENCES = 8192, 256
"""Tokens and sequences that an engine on a GPU computes in one step, by default."""
LOSS_STEP_TOKENS = 1024
"""Tokens in one step that measures losses; the logits of all of them are held, and their logarithms."""
_LOGIT_BYTES = 4


@dataclass(frozen=True)
class MemoryNeed:
    """Memory of one evaluation in bytes, over all its devices."""

    weights: int
    cache: int
    """Keys and values of one sequence."""
    step: int
    """Largest intermediate results of one step."""

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return self.weights + self.cache + self.step

    @property
    def in_words(self) -> str:
        """The need and its parts."""
        parts = f"weights {gib(self.weights)}, key-value cache {gib(self.cache)}, one step {gib(self.step)}"
        return f"{gib(self.total)} ({parts})"


def gib(size: int) -> str:
    """Return a number of bytes for a message."""
    return f"{size / (1 << 30):.2f} GiB"


def limits_of(admission: Admission) -> MemoryLimits:
    """Return the parts of a round's admission that bound memory."""
    return MemoryLimits(max_parameters=admission.max_parameters, max_memory_bytes=admission.max_memory_bytes)


def number_bytes(shape: MemoryShape, choices: EngineChoices, run: Evaluation | RunSpec) -> int:
    """Return the size of one number in the engine: 4 bytes for losses and where it is chosen, else the checkpoint's.

    Kernels for quantised weights compute in 16 bits only.
    """
    if shape.packed_bytes:
        return 2
    if run.scorer == BuiltinScorer.LOSS or choices.dtype is DType.FLOAT32:
        return 4
    return shape.number_bytes if choices.dtype is DType.AUTO else 2


def longest_sequence(run: Evaluation | RunSpec) -> int | None:
    """Return the most tokens of prompt and answer together that the run asks of any model; None if it has no bound."""
    answer = longest_answer(run)
    if run.scorer == BuiltinScorer.LOSS:
        parameters = (run.loss or LossParameters()).settled()
        if parameters.sequence_length is not None:
            return parameters.sequence_length
        answer = parameters.reference_bytes or 0  # A text has no more tokens than bytes, with any sound tokenizer.
    return None if run.max_prompt_tokens is None else run.max_prompt_tokens + answer


def memory_need(shape: MemoryShape, choices: EngineChoices, run: Evaluation | RunSpec) -> MemoryNeed:
    """Return what the evaluation of a model needs."""
    allowed = min(shape.positions, choices.max_model_length or shape.positions)
    tokens = min(allowed, longest_sequence(run) or allowed)
    size = number_bytes(shape, choices, run)
    losses = run.scorer == BuiltinScorer.LOSS
    step_tokens, logits = (LOSS_STEP_TOKENS, 2 * LOSS_STEP_TOKENS) if losses else (STEP_TOKENS, STEP_SEQUENCES)
    return MemoryNeed(
        weights=shape.numbers * size + shape.packed_bytes,
        cache=cache_numbers(shape, tokens, STEP_TOKENS) * size,
        step=step_tokens * 2 * shape.layer_width * size + logits * shape.vocabulary * _LOGIT_BYTES,
    )


def cache_numbers(shape: MemoryShape, tokens: int, step_tokens: int) -> int:
    """Return how many numbers the keys and values of one sequence of `tokens` are.

    A layer with a window keeps those of the window and of one step, which an engine computes before it drops any.
    """
    kept = min(tokens, shape.window + step_tokens)
    windowed = min(shape.windowed_numbers, shape.cache_numbers)
    return (shape.cache_numbers - windowed) * tokens + windowed * kept


def known_cache_numbers(parameters: int) -> int:
    """Return the largest cache of one token, in numbers, of a known shape with so many parameters."""
    return max(SMALL_CACHE_NUMBERS, int(CACHE_PER_PARAMETERS * parameters ** (2 / 3)))


def excess(
    shape: MemoryShape, parameters: int, choices: EngineChoices, run: Evaluation | RunSpec, limits: MemoryLimits
) -> str:
    """Return why a model of so many parameters needs more memory than the round allows; empty if it does not.

    Without `maxMemoryBytes` the shape alone decides, in the model's own number format: its weights and one sequence are
    compared with those of a known shape of `maxParameters`, or of its own number of parameters if the round has no
    limit.
    """
    need = memory_need(shape, choices, run)
    if limits.max_memory_bytes is not None:
        if need.total <= limits.max_memory_bytes:
            return ""
        return f"it needs at least {need.in_words}; the round allows {gib(limits.max_memory_bytes)}"
    reference = parameters if limits.max_parameters is None else limits.max_parameters
    size = number_bytes(shape, choices, run)
    tokens = longest_sequence(run) or shape.positions
    allowed = (reference + known_cache_numbers(reference) * tokens) * size
    if need.weights + need.cache <= allowed:
        return ""
    return (
        f"it needs at least {need.in_words}: one token takes {shape.cache_numbers:,} numbers of the cache, and a known "
        f"shape of {reference:,} parameters takes at most {known_cache_numbers(reference):,}"
    )
