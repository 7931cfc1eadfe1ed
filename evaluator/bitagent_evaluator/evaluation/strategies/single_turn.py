"""Single turns: one prompt, one answer; all prompts in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bitagent_crds.results import Response
from bitagent_crds.task_set import Task
from bitagent_evaluator.engines.base import CompletionRequest, Engine
from bitagent_evaluator.evaluation.strategies.base import (
    GenerationStrategy,
    PromptEncoder,
    ScoringOptions,
    partition_prompts,
)


class SingleTurnStrategy(GenerationStrategy):
    """Tasks of one question each."""

    def __init__(self, tasks: Sequence[Task], encoder: PromptEncoder, options: ScoringOptions) -> None:
        """Encode all prompts."""
        self._encoder = encoder
        prompts, self.refused = partition_prompts(
            tasks, encoder.encode([encoder.format.build_prompt(task) for task in tasks])
        )
        self.over_limit = encoder.over_limit(prompts)
        prompts = {task_id: ids for task_id, ids in prompts.items() if task_id not in self.over_limit}
        limits = {task_id: encoder.answer_limit(ids) for task_id, ids in prompts.items()}
        self.requests = [
            CompletionRequest(task_id, ids, limits[task_id]) for task_id, ids in prompts.items() if limits[task_id]
        ]
        self.task_ids = [request.key for request in self.requests]
        self.too_long = [task_id for task_id, limit in limits.items() if not limit]
        self.sequence_lengths = [len(request.token_ids) + request.max_tokens for request in self.requests]

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """Yield the prompts."""
        return (request.token_ids for request in self.requests)

    def run(self, engine: Engine, answered: frozenset[str], record: Callable[[list[Response]], None]) -> None:
        """Generate an answer to every prompt that has none yet."""
        missing = [request for request in self.requests if request.key not in answered]
        prompt_tokens = {request.key: len(request.token_ids) for request in missing}
        for completions in engine.generate(missing, self._encoder.stop_ids):
            texts = self._encoder.tokenizer.decode([completion.token_ids for completion in completions])
            record(
                [
                    Response(
                        id=completion.key,
                        text=text,
                        finish_reason=completion.finish_reason,
                        prompt_tokens=prompt_tokens[completion.key],
                        completion_tokens=completion.completion_tokens,
                    )
                    for completion, text in zip(completions, texts, strict=True)
                ]
            )
