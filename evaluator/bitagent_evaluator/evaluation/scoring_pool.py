"""Score answers in other processes while the engine still generates.

An engine in this process needs its interpreter, and a thread that scores would take time from it. So answers go to
sandboxes, as many as the work is worth (`pool_size`): a verdict on a plain Python answer takes a tenth of a
millisecond, and a process takes a second to start. Most task sets are therefore scored at the end, in this process;
hundreds of conversations, whose calls are executed, are not.

Each sandbox holds one scorer and scores its answers one after the other. A thread per sandbox takes the next answers
from a common queue, so that a slow answer delays no other. Verdicts do not depend on the number of processes.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Sequence
from typing import Self

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import PromptFormatName
from bitagent_crds.results import Response, Verdict
from bitagent_crds.task_forms import SEVERAL_STEPS, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing import AnswerSyntax
from bitagent_evaluator.prompts import prompt_format
from bitagent_evaluator.sandbox.process import InputFault, Sandbox, SandboxUnavailable
from bitagent_evaluator.sandbox.protocol import Limits
from bitagent_evaluator.scoring.scorers import score
from bitagent_evaluator.support.faults import InfrastructureFault

PYTHON_MICROSECONDS, SOURCE_MICROSECONDS, CONVERSATION_MICROSECONDS = 100, 4_000, 5_000
"""Time of a verdict: on a Python answer, on one in Java or JavaScript (through another sandbox), on a conversation."""
MICROSECONDS_PER_WORKER = 2_000_000
"""Work that is worth one more process."""

_WORKER = "bitagent_evaluator.scoring.worker:ScorerWorker"
LIMITS = Limits(memory_bytes=4 << 30, cpu_seconds=30.0, answer_bytes=32 << 20, processes=True)
"""Built-in scorers take an eighth of a gigabyte; one of an installed package may hold a small model. Processes are
allowed, because scorers execute calls and compare Java in sandboxes of their own, which have narrower limits."""
_CPU_SECONDS_PER_ANSWER = 10.0
"""Twice of what a scorer's own sandbox gives to an answer, so that its limit is the one that is reached."""
_BATCH = 32
"""Most answers of one request."""


def pool_size(tasks: Sequence[Task], cores: int) -> int:
    """Return the number of processes for scoring: one for each two seconds of work, at most one a core; 0 for none."""
    return min(cores, sum(_microseconds(task) for task in tasks) // MICROSECONDS_PER_WORKER)


def _microseconds(task: Task) -> int:
    if task.expects in SEVERAL_STEPS:
        return CONVERSATION_MICROSECONDS
    return PYTHON_MICROSECONDS if task.language is Language.PYTHON else SOURCE_MICROSECONDS


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0))


class ScoringPool:
    """Scores one model's answers. A context manager, which ends its processes."""

    def __init__(self, tasks: Sequence[Task], format_name: PromptFormatName, scorer: str, *, workers: int) -> None:
        """Start the processes. `format_name` is the prompt format in use, never Auto, which raises ValueError."""
        self._tasks = tasks
        self._by_id = {task.id: task for task in tasks}
        self._scorer = scorer
        self._syntaxes = [AnswerSyntax(name) for name in prompt_format(format_name).syntaxes]
        self._queue: queue.SimpleQueue[tuple[Task, Response] | None] = queue.SimpleQueue()
        self._submitted: set[str] = set()
        self._verdicts: dict[str, Verdict] = {}
        self._failure: str = ""
        arguments = [scorer, *self._syntaxes]
        self.sandboxes = [Sandbox(_WORKER, LIMITS, arguments=arguments) for _ in range(workers)]
        self._threads = [threading.Thread(target=self._serve, args=(each,), daemon=True) for each in self.sandboxes]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for sandbox in self.sandboxes:
            sandbox.kill()
        self._finish()
        for sandbox in self.sandboxes:
            sandbox.close()

    def submit(self, responses: Sequence[Response]) -> None:
        """Queue responses for scoring and return at once. Of two responses to one task the first counts."""
        if not self.sandboxes:
            return
        for response in responses:
            task = self._by_id.get(response.id)
            if task is not None and task.id not in self._submitted:
                self._submitted.add(task.id)
                self._queue.put((task, response))

    def verdicts(self, responses: Sequence[Response]) -> list[Verdict]:
        """Return one verdict per task, in the order of the tasks, once all `responses` are scored.

        Raises InfrastructureFault if a process was lost.
        """
        if not self.sandboxes:
            return score(self._tasks, responses, scorer=self._scorer, syntaxes=self._syntaxes)
        self.submit(responses)
        self._finish()
        if self._failure:
            raise InfrastructureFault(Reason.CRASHED, self._failure)
        missing = [task for task in self._tasks if task.id not in self._submitted]
        verdicts = self._verdicts | {verdict.id: verdict for verdict in score(missing, [], scorer=self._scorer)}
        return [verdicts[task.id] for task in self._tasks]

    def _finish(self) -> None:
        """Wait until each thread has emptied the queue or lost its process."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, sandbox: Sandbox) -> None:
        """Run one sandbox's thread: score what is queued, some answers at a time."""
        while batch := self._take():
            try:
                verdicts = _score(sandbox, batch)
            except (InputFault, SandboxUnavailable) as error:
                ids = ", ".join(task.id for task, _ in batch)
                self._failure = self._failure or f"a process that scores answers was lost at one of {ids}: {error}"
                return
            self._verdicts.update((verdict.id, verdict) for verdict in verdicts)

    def _take(self) -> list[tuple[Task, Response]]:
        """Wait for the first item; return what is queued, up to a batch. Empty once the queue has ended."""
        taken: list[tuple[Task, Response]] = []
        try:
            while len(taken) < _BATCH:
                item = self._queue.get(block=not taken)
                if item is None:
                    if taken:  # The end is for the next call.
                        self._queue.put(None)
                    break
                taken.append(item)
        except queue.Empty:
            pass
        return taken


def _score(sandbox: Sandbox, batch: Sequence[tuple[Task, Response]]) -> list[Verdict]:
    blobs = {
        "tasks": "\n".join(task.model_dump_json() for task, _ in batch).encode(),
        "responses": "\n".join(response.model_dump_json() for _, response in batch).encode(),
    }
    answer = sandbox.call({}, blobs, extra_cpu_seconds=len(batch) * _CPU_SECONDS_PER_ANSWER)
    return [Verdict.model_validate(verdict) for verdict in answer["verdicts"]]
