"""Way `losses`: nothing is generated; each task's reference text is measured after its prompt.

Cut and measured as the Nous finetuning subnet did it: prompt and reference together are at most `sequence_length` tokens, what is beyond is
left out from the end, and the loss is the mean over what is left of the reference, in nats per token. The token that ends an answer belongs
to the reference: a model that does not know when to stop pays for it. Three things differ from the subnet's code, because there the tokenizer
was the competition's own, and here it is the model's:

- Prompt and reference are tokenized apart and their ids joined, so that no token spans both.
- After the reference comes one token, the end token that the tokenizer names, and not whatever the template writes there: a template could
  make up for bad answers with text that is easy to predict.
- A tokenizer that loses text is refused: what is not in the ids costs nothing.

Loss per token compares models that share a tokenizer; a competition should say which one.

A prompt that leaves no room for the reference, and a sequence that is longer than the model takes, are not asked.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from bitagent_crds.conditions import Reason
from bitagent_crds.results import Response, Task
from bitagent_evaluator.engine.interface import Engine
from bitagent_evaluator.engine.prompt_losses import LossEngine, Passage
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.formats import Chat, RawPrompt
from bitagent_evaluator.runs.asking.way import Asked
from bitagent_evaluator.runs.asking.wording import Wording, by_task

MEASURED = "measured"
"""Finish reason of a response that was not generated."""
_CHARACTERS_PER_TOKEN = 16
"""Of a reference more than this per token of the sequence is never read: texts come to about four, and an endless one must not be tokenized."""


class Losses:
    """See the module."""

    def __init__(self, tasks: Sequence[Task], wording: Wording, asked: Asked) -> None:
        """Write all prompts and references. Tasks without a reference are left alone: there is nothing to ask."""
        tasks = [task for task in tasks if task.reference]
        length = asked.loss.sequence_length
        written = wording.write([_without_empty_tools(wording.format.chat(task)) for task in tasks])
        prompts, self.refused = by_task(tasks, written)
        tasks = [task for task in tasks if task.id in prompts]
        references = _references([task.reference or "" for task in tasks], wording, length)
        passages = [
            Passage(key, (prompt + reference)[:length], len(prompt))
            for (key, prompt), reference in zip(prompts.items(), references, strict=True)
        ]
        limit = wording.token_limit
        self.passages = [p for p in passages if 0 < p.start < len(p.token_ids) <= limit]
        self.ids = [passage.key for passage in self.passages]
        asked_for = frozenset(self.ids)
        self.too_long = [passage.key for passage in passages if passage.key not in asked_for]
        self.sequences = [len(passage.token_ids) for passage in self.passages]

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """Prompts and references as they are measured, after the cut."""
        for passage in self.passages:
            yield passage.token_ids[: passage.start]
            yield passage.token_ids[passage.start :]

    def ask(self, engine: Engine, answered: frozenset[str], keep: Callable[[list[Response]], None]) -> None:
        """Every reference that has no loss yet."""
        if not isinstance(engine, LossEngine):
            message = f"{type(engine).__name__} measures no losses: scorer Loss needs an engine that shows the probabilities of given text"
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, message)
        missing = {passage.key: passage for passage in self.passages if passage.key not in answered}
        for measured in engine.losses(list(missing.values())):
            keep([_response(missing[found.key], found.loss) for found in measured])


def _response(passage: Passage, loss: float) -> Response:
    return Response(
        id=passage.key,
        text="",
        finish_reason=MEASURED,
        prompt_tokens=passage.start,
        completion_tokens=0,
        loss=loss,
        loss_tokens=len(passage.token_ids) - passage.start,
    )


def _references(texts: Sequence[str], wording: Wording, length: int) -> list[list[int]]:
    """The token ids of references, each with the token that ends an answer. Raises ModelFault for a tokenizer that loses text."""
    read = [text[: length * _CHARACTERS_PER_TOKEN] for text in texts]
    encoded = wording.writer.encode(read)
    wording.check(encoded)
    for text, back in zip(read, wording.writer.read(encoded, special_tokens=True), strict=True):
        if _essence(text) != _essence(back):
            message = f"the tokenizer does not keep all of a reference text, which begins {text[:60]!r}: a loss over its tokens says nothing"
            raise ModelFault(Reason.BAD_TOKENIZER, message)
    end = [] if wording.end_id is None else [wording.end_id]
    wording.check([end])
    return [ids + end if text == whole else ids for ids, text, whole in zip(encoded, read, texts, strict=True)]


def _essence(text: str) -> str:
    """What a tokenizer must keep: not the way in which characters are composed, and no white space, which some add at the beginning."""
    return "".join(unicodedata.normalize("NFKC", text).split())


def _without_empty_tools(prompt: Chat | RawPrompt) -> Chat | RawPrompt:
    """A chat without functions has no tools: to some templates an empty list of them is still an announcement."""
    return replace(prompt, tools=prompt.tools or None) if isinstance(prompt, Chat) else prompt
