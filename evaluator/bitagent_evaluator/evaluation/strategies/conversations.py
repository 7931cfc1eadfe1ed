"""Conversations: several turns, whose calls are executed on simulated systems (BFCL multi-turn).

All conversations of a run advance together, in waves: each wave encodes the next prompt of every conversation, has the
engine answer them as one batch, parses the calls, executes them in a sandboxed child and adds the results to the
conversations. So the engine always sees as many prompts as there are conversations, and prefix caching saves it what
they repeat. A response is recorded when its conversation is over; an interrupted conversation is started again.

A conversation has room for its first prompt and, in each turn, for `TURN_TOKENS` and one more answer, within the
limits of model and run. This is several times what the longest reference calls and results need, and keeps the engine
from planning for a limit of a hundred thousand tokens that is never reached. The room depends on the task, the model
and the run alone, never on the other tasks. A conversation that outgrows it, or on which the template raises half-way,
ends there; its further turns are unanswered.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bitagent_crds.results import Response
from bitagent_crds.task_set import Task
from bitagent_evaluator.chat_templates.render import MAX_PROMPT_CHARACTERS
from bitagent_evaluator.engines.base import Completion, CompletionRequest, Engine
from bitagent_evaluator.evaluation.strategies.base import (
    TEMPLATE_REFUSED,
    GenerationStrategy,
    PromptEncoder,
    ScoringOptions,
    partition_prompts,
)
from bitagent_evaluator.evaluation.strategies.dialogue import Dialogue, detect_capabilities
from bitagent_evaluator.parsing import AnswerError, parse_answer
from bitagent_evaluator.parsing.render import executable_calls
from bitagent_evaluator.prompts.tokenizer import EncodedPrompt, TemplateError
from bitagent_evaluator.scoring.multi_turn.simulation import Runaway, Simulation

TURN_TOKENS, LONG_TURN_TOKENS = 4_096, 16_384
"""Room for the calls and results of one turn, in tokens.

The second is for systems full of irrelevant content, whose listing alone has 20,000 tokens.
"""
MAX_CHARACTERS = MAX_PROMPT_CHARACTERS * 3 // 4
"""Maximum number of characters of messages and functions.

The rest is for what a template may add before a prompt is refused, which would be held against the model.
"""
_BATCH_PROMPTS, _BATCH_CHARACTERS = 64, 1 << 20
"""Maximum size of one request to the tokenizer, because each has its own limits of time and characters."""

_log = logging.getLogger(__name__)


@dataclass
class HeldConversation:
    """A conversation, and its response so far."""

    task: Task
    dialogue: Dialogue
    room: int
    """Maximum number of tokens of prompt and answer together."""
    text: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    aborted: bool = False
    """Whether it ended before its last turn did."""

    @property
    def over(self) -> bool:
        """Whether nothing more is asked."""
        return self.aborted or self.dialogue.finished

    def abort(self, reason: str = "length") -> None:
        """End the conversation early: by default because it, or its calls, exceeded a limit."""
        self.aborted, self.finish_reason = True, reason

    def add_completion(self, text: str, completion: Completion) -> None:
        """Add an answer of the model."""
        self.text, self.finish_reason = text, completion.finish_reason
        self.completion_tokens += completion.completion_tokens

    def response(self) -> Response:
        """Return the response. A last turn without an answer was not reached and is left out."""
        turns = self.dialogue.turns if self.dialogue.turns[-1] else self.dialogue.turns[:-1]
        return Response(
            id=self.task.id,
            text=self.text,
            finish_reason=self.finish_reason,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            turns=turns,
        )


class ConversationStrategy(GenerationStrategy):
    """Tasks of several turns."""

    def __init__(self, tasks: Sequence[Task], encoder: PromptEncoder, options: ScoringOptions) -> None:
        """Encode the first prompt of each conversation."""
        self._capabilities = detect_capabilities(tasks[0], encoder)
        self._holder = ConversationHolder(encoder)
        encoded = self._holder.encode([Dialogue(task, self._capabilities) for task in tasks])
        self._prompts, self.refused = partition_prompts(tasks, encoded)
        self._tasks = [task for task in tasks if encoder.answer_limit(self._prompts.get(task.id, []))]
        wished = {task.id: len(self._prompts[task.id]) + turn_room(task, encoder.max_tokens) for task in self._tasks}
        rooms = {task_id: min(encoder.token_limit, room) for task_id, room in wished.items()}
        allowed = most_room(encoder)
        self._rooms = {task_id: min(allowed, room) for task_id, room in rooms.items()}
        self._cut_to = allowed if self._rooms != rooms else 0
        self.task_ids = [task.id for task in self._tasks]
        self.over_limit = encoder.over_limit(self._prompts)
        unasked = [task_id for task_id, prompt in self._prompts.items() if not encoder.answer_limit(prompt)]
        self.too_long = [task_id for task_id in unasked if task_id not in self.over_limit]
        self.sequence_lengths = [self._rooms[task_id] for task_id in self.task_ids]

    def fingerprint(self) -> Iterator[Sequence[int]]:
        """Yield how results are shown, the run's bound where it cuts, and the first prompts; the rest follows."""
        yield [int(self._capabilities.functions_as_tools), int(self._capabilities.tool_role)]
        if self._cut_to:
            yield [self._cut_to]
        yield from self._prompts.values()

    def run(self, engine: Engine, answered: frozenset[str], record: Callable[[list[Response]], None]) -> None:
        """Hold every conversation that has no response yet."""
        active = [
            HeldConversation(task, Dialogue(task, self._capabilities), self._rooms[task.id])
            for task in self._tasks
            if task.id not in answered
        ]
        with Simulation() as simulation:
            self._holder.hold(active, engine, simulation, lambda ended: record([each.response() for each in ended]))


class ConversationHolder:
    """Holds conversations for one model, all at once."""

    def __init__(self, encoder: PromptEncoder) -> None:
        self._encoder = encoder

    def hold(
        self,
        active: Sequence[HeldConversation],
        engine: Engine,
        simulation: Simulation,
        ended: Callable[[list[HeldConversation]], None],
    ) -> None:
        """Hold conversations with different tasks to their end; pass them to `ended` when they are over.

        One whose request the engine ended is not passed on, because it cannot count any more.
        """
        while active:
            by_id = {conversation.task.id: conversation for conversation in active}
            requests = self._next_requests(active)
            ended([conversation for conversation in active if conversation.over])
            unanswered = {request.key for request in requests}
            for completions in engine.generate(requests, self._encoder.stop_ids):
                unanswered -= {completion.key for completion in completions}
                texts = self._encoder.tokenizer.decode([completion.token_ids for completion in completions])
                for completion, text in zip(completions, texts, strict=True):
                    self._advance(by_id[completion.key], completion, text, simulation)
                answered_now = [by_id[completion.key] for completion in completions]
                ended([conversation for conversation in answered_now if conversation.over])
            active = [c for c in active if not c.over and c.task.id not in unanswered]

    def _next_requests(self, active: Sequence[HeldConversation]) -> list[CompletionRequest]:
        """Return the requests of the next wave.

        Aborts conversations that have no room for another prompt, or on which the model's template raises.
        """
        requests: list[CompletionRequest] = []
        encoded = self.encode([conversation.dialogue for conversation in active])
        for conversation, tokens in zip(active, encoded, strict=True):
            if isinstance(tokens, TemplateError):
                conversation.abort(TEMPLATE_REFUSED)
                _log.warning("conversation %s ends: %s", conversation.task.id, tokens.message)
                continue
            limit = min(self._encoder.answer_limit(tokens), conversation.room - len(tokens))
            if limit <= 0:
                conversation.abort()
                continue
            conversation.prompt_tokens += len(tokens)
            requests.append(CompletionRequest(conversation.task.id, tokens, limit))
        return requests

    def _advance(
        self, conversation: HeldConversation, completion: Completion, text: str, simulation: Simulation
    ) -> None:
        conversation.add_completion(text, completion)
        dialogue, calls = conversation.dialogue, self._calls(text)
        dialogue.add_answer(text, calls)
        if calls:
            try:
                results = simulation.execute(dialogue.conversation, dialogue.executed)
            except Runaway:
                conversation.abort()
                return
            # No prompt can show more, and what hundreds of conversations hold would fill the machine's memory.
            if sum(map(len, results)) > MAX_CHARACTERS:
                conversation.abort()
            else:
                dialogue.add_tool_results(results)

    def _calls(self, text: str) -> list[str]:
        """Return the calls of an answer as scorers read them; an answer that cannot be parsed has none."""
        try:
            return executable_calls(parse_answer(text, self._encoder.format.syntaxes).calls or [])
        except AnswerError:
            return []

    def encode(self, dialogues: Sequence[Dialogue]) -> list[EncodedPrompt]:
        """Return the next prompt of each, in order; without tokens for a dialogue that is too large."""
        encoded: list[EncodedPrompt] = [[] for _ in dialogues]
        for indices in _batches([dialogue.characters for dialogue in dialogues]):
            prompts = [self._encoder.format.build_prompt(dialogues[index].task) for index in indices]
            for index, prompt in zip(indices, self._encoder.encode(prompts), strict=True):
                encoded[index] = prompt
        return encoded


def most_room(encoder: PromptEncoder) -> int:
    """Return the maximum number of tokens of prompt and answer together that model and run allow."""
    if encoder.max_prompt_tokens is None:
        return encoder.token_limit
    return min(encoder.token_limit, encoder.max_prompt_tokens + encoder.max_tokens)


def turn_room(task: Task, max_tokens: int) -> int:
    """Return the room for the turns of a conversation, in tokens."""
    conversation = task.conversation
    if conversation is None:
        return 0
    tokens = LONG_TURN_TOKENS if conversation.long_context else TURN_TOKENS
    return len(conversation.turns) * (tokens + max_tokens)


def _batches(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Yield batches of indices within the limits of one request, without those of sizes above MAX_CHARACTERS."""
    batch: list[int] = []
    characters = 0
    for index, size in enumerate(sizes):
        if size > MAX_CHARACTERS:
            continue
        if len(batch) == _BATCH_PROMPTS or characters + size > _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
        batch.append(index)
        characters += size
    if batch:
        yield batch
