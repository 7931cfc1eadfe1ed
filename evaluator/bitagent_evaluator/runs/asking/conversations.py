"""Way `conversations`: several turns, whose calls are executed on simulated systems (BFCL multi-turn).

All conversations go on at once, in waves: every wave writes the next prompt of each, has the engine answer them as one batch, reads the calls, executes
them in a bounded child and takes the results into the conversations. So the engine always sees as many prompts as there are conversations, and
prefix caching spares it what they repeat. A response is kept when its conversation is over: one that was interrupted is asked anew.

A conversation has room for its first prompt and, in each turn, `TURN_TOKENS` and one more answer, as far as the model's limit goes. This is several times
what the longest reference calls and results take, and keeps the engine from planning for a limit of a hundred thousand tokens that nobody reaches. The room
depends on the task and the model alone, never on the other tasks. A conversation that outgrows it ends there; its further turns are unanswered.
So does one that the template raises on half-way.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bitagent_crds.results import Response, Task
from bitagent_evaluator.answers import AnswerError, normalise
from bitagent_evaluator.engine.interface import Answer, Engine, Prompt
from bitagent_evaluator.rendering.prompts import Refusal, Written
from bitagent_evaluator.rendering.template import MAX_PROMPT_CHARACTERS
from bitagent_evaluator.runs.asking.dialogue import Dialogue
from bitagent_evaluator.runs.asking.manner import manner_of
from bitagent_evaluator.runs.asking.way import TEMPLATE_REFUSED, Asked
from bitagent_evaluator.runs.asking.wording import Wording, by_task
from bitagent_evaluator.scoring.multi_turn.calls import executable
from bitagent_evaluator.scoring.multi_turn.simulation import Runaway, Simulation

TURN_TOKENS, LONG_TURN_TOKENS = 4_096, 16_384
"""Room for the calls and results of one turn; the second where the systems are full of irrelevant content, whose listing alone has 20,000 tokens."""
MAX_CHARACTERS = MAX_PROMPT_CHARACTERS * 3 // 4
"""Most characters of messages and functions: the rest is what a template may add before a prompt is refused, which would be held against the model."""
_BATCH_PROMPTS, _BATCH_CHARACTERS = 64, 1 << 20
"""Prompts are written in batches of these sizes, because each has its own allowance of time and characters."""

_log = logging.getLogger(__name__)


@dataclass
class _Course:
    """A conversation with what it cost so far."""

    task: Task
    dialogue: Dialogue
    room: int
    """Most tokens of prompt and answer together."""
    text: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    ended: bool = False
    """Whether it ended before its last turn did."""

    @property
    def over(self) -> bool:
        return self.ended or self.dialogue.finished

    def end(self, reason: str = "length") -> None:
        """End it before its time: it has outgrown its room or its calls their limits, or `reason` says what else."""
        self.ended, self.finish_reason = True, reason

    def take(self, text: str, answer: Answer) -> None:
        self.text, self.finish_reason = text, answer.finish_reason
        self.completion_tokens += answer.completion_tokens

    def response(self) -> Response:
        """A turn in which nothing was said was not reached."""
        turns = self.dialogue.turns if self.dialogue.turns[-1] else self.dialogue.turns[:-1]
        return Response(
            id=self.task.id,
            text=self.text,
            finish_reason=self.finish_reason,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            turns=turns,
        )


class Conversations:
    """See the module."""

    def __init__(self, tasks: Sequence[Task], wording: Wording, asked: Asked) -> None:
        """Write the first prompt of each conversation."""
        self._wording = wording
        self._manner = manner_of(tasks[0], wording)
        self._prompts, self.refused = by_task(tasks, self._write([Dialogue(task, self._manner) for task in tasks]))
        self._tasks = [task for task in tasks if wording.room(self._prompts.get(task.id, []))]
        self._rooms = {
            task.id: min(wording.token_limit, len(self._prompts[task.id]) + _turn_room(task, wording.max_tokens))
            for task in self._tasks
        }
        self.ids = [task.id for task in self._tasks]
        self.too_long = [key for key, prompt in self._prompts.items() if not wording.room(prompt)]
        self.sequences = [self._rooms[task_id] for task_id in self.ids]

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """How results are shown, and the first prompts; the rest follows from the answers."""
        yield [int(self._manner.functions_as_tools), int(self._manner.tool_role)]
        yield from self._prompts.values()

    def ask(self, engine: Engine, answered: frozenset[str], keep: Callable[[list[Response]], None]) -> None:
        """Every conversation that has no response yet."""
        going_on = [
            _Course(task, Dialogue(task, self._manner), self._rooms[task.id])
            for task in self._tasks
            if task.id not in answered
        ]
        with Simulation() as simulation:
            while going_on:
                courses = {course.task.id: course for course in going_on}
                prompts = self._next_prompts(going_on)
                keep([course.response() for course in going_on if course.over])
                for answers in engine.generate(prompts, self._wording.stop_ids):
                    texts = self._wording.writer.read([answer.token_ids for answer in answers])
                    for answer, text in zip(answers, texts, strict=True):
                        self._go_on(courses[answer.key], answer, text, simulation)
                    keep([courses[answer.key].response() for answer in answers if courses[answer.key].over])
                going_on = [course for course in going_on if not course.over]

    def _next_prompts(self, going_on: Sequence[_Course]) -> list[Prompt]:
        """The prompts of the next wave; ends the conversations that have no room for one, or that the model's template does not go on with."""
        prompts: list[Prompt] = []
        for course, tokens in zip(going_on, self._write([course.dialogue for course in going_on]), strict=True):
            if isinstance(tokens, Refusal):
                course.end(TEMPLATE_REFUSED)
                _log.warning("conversation %s ends: %s", course.task.id, tokens.message)
                continue
            room = min(self._wording.max_tokens, course.room - len(tokens)) if tokens else 0
            if room <= 0:
                course.end()
                continue
            course.prompt_tokens += len(tokens)
            prompts.append(Prompt(course.task.id, tokens, room))
        return prompts

    def _go_on(self, course: _Course, answer: Answer, text: str, simulation: Simulation) -> None:
        course.take(text, answer)
        calls = self._calls(text)
        course.dialogue.answer(text, calls)
        if calls:
            try:
                course.dialogue.hear(simulation.execute(course.dialogue.conversation, course.dialogue.executed))
            except Runaway:
                course.end()

    def _calls(self, text: str) -> list[str]:
        """The calls of an answer as scorers will read them; none where there are none, or none that can be read."""
        try:
            return executable(normalise(text, self._wording.format.syntaxes))
        except AnswerError:
            return []

    def _write(self, dialogues: Sequence[Dialogue]) -> list[Written]:
        """The next prompt of each, in order; one without tokens of a dialogue that is too large to be written."""
        written: list[Written] = [[] for _ in dialogues]
        for places in _batches([dialogue.characters for dialogue in dialogues]):
            chats = [self._wording.format.chat(dialogues[place].task) for place in places]
            for place, prompt in zip(places, self._wording.write(chats), strict=True):
                written[place] = prompt
        return written


def _turn_room(task: Task, max_tokens: int) -> int:
    conversation = task.conversation
    if conversation is None:
        return 0
    tokens = LONG_TURN_TOKENS if conversation.long_context else TURN_TOKENS
    return len(conversation.turns) * (tokens + max_tokens)


def _batches(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Places of what can be written, in batches that are small enough."""
    batch: list[int] = []
    characters = 0
    for place, size in enumerate(sizes):
        if size > MAX_CHARACTERS:
            continue
        if len(batch) == _BATCH_PROMPTS or characters + size > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
        batch.append(place)
        characters += size
    if batch:
        yield batch
