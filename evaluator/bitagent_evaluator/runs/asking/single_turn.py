"""Way `single_turn`: one prompt, one answer; all prompts in one batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from bitagent_crds.results import Response, Task
from bitagent_evaluator.engine.interface import Engine, Prompt
from bitagent_evaluator.runs.asking.way import Asked
from bitagent_evaluator.runs.asking.wording import Wording, by_task


class SingleTurn:
    """See the module."""

    def __init__(self, tasks: Sequence[Task], wording: Wording, asked: Asked) -> None:
        """Write all prompts."""
        self._wording = wording
        written, self.refused = by_task(tasks, wording.write([wording.format.chat(task) for task in tasks]))
        self.prompts = [Prompt(key, ids, room) for key, ids in written.items() if (room := wording.room(ids))]
        self.ids = [prompt.key for prompt in self.prompts]
        self.too_long = [key for key, ids in written.items() if not wording.room(ids)]
        self.sequences = [len(prompt.token_ids) + prompt.max_tokens for prompt in self.prompts]

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """The prompts."""
        return (prompt.token_ids for prompt in self.prompts)

    def ask(self, engine: Engine, answered: frozenset[str], keep: Callable[[list[Response]], None]) -> None:
        """Every prompt that has no answer yet."""
        missing = [prompt for prompt in self.prompts if prompt.key not in answered]
        prompt_tokens = {prompt.key: len(prompt.token_ids) for prompt in missing}
        for answers in engine.generate(missing, self._wording.stop_ids):
            texts = self._wording.writer.read([answer.token_ids for answer in answers])
            keep(
                [
                    Response(
                        id=answer.key,
                        text=text,
                        finish_reason=answer.finish_reason,
                        prompt_tokens=prompt_tokens[answer.key],
                        completion_tokens=answer.completion_tokens,
                    )
                    for answer, text in zip(answers, texts, strict=True)
                ]
            )
