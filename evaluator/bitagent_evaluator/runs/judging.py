"""Judging beside generating: processes that judge answers while the engine still works on the next ones.

An engine in this process needs its interpreter; judging in a thread would take from it what it gives. So answers go to processes of their
own, as many as the work is worth (see `judges_for`): a verdict on a plain Python answer takes a tenth of a millisecond, and a process costs
a second of imports. Most task sets are therefore judged at the end, here; hundreds of conversations, whose calls are executed, are not.

Each process holds one scorer and judges its answers one after the other; a thread per process takes the next answer from a common queue,
so that a slow answer holds up nobody else. Verdicts do not depend on how many processes there are.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import IO, Self, cast

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Expects, Language, Response, Task, Verdict
from bitagent_evaluator.faults import InfrastructureFault
from bitagent_evaluator.runs.readable import readable
from bitagent_evaluator.scoring import score, scorer

PYTHON_MICROSECONDS, SOURCE_MICROSECONDS, CONVERSATION_MICROSECONDS = 100, 4_000, 5_000
"""What a verdict takes: on a Python answer, on one in Java or JavaScript (through a child process), on a conversation."""
MICROSECONDS_PER_JUDGE = 2_000_000
"""Work that is worth one more process."""
_AT_ONCE = 16
"""Answers that are given to a process together; their verdicts must fit into a pipe."""


def judges_for(tasks: Sequence[Task], cores: int) -> int:
    """How many processes judge the answers to these tasks: one for each two seconds of work, at most one a core; 0 means none but this."""
    return min(cores, sum(_microseconds(task) for task in tasks) // MICROSECONDS_PER_JUDGE)


def _microseconds(task: Task) -> int:
    if task.expects is Expects.STATE:
        return CONVERSATION_MICROSECONDS
    return PYTHON_MICROSECONDS if task.language is Language.PYTHON else SOURCE_MICROSECONDS


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0))


class Judging:
    """Judges one model's answers. A context manager; processes start with it."""

    def __init__(self, tasks: Sequence[Task], used: PromptFormat, scorer_name: str, *, judges: int) -> None:
        self._tasks = tasks
        self._by_id = {task.id: task for task in tasks}
        self._used, self._scorer = used, scorer_name
        self._queue: queue.SimpleQueue[tuple[Task, Response] | None] = queue.SimpleQueue()
        self._handed: set[str] = set()
        self._verdicts: dict[str, Verdict] = {}
        self._failure: str = ""
        self._judges = [_Judge(used, scorer_name) for _ in range(judges)]
        self._threads = [threading.Thread(target=self._serve, args=(judge,), daemon=True) for judge in self._judges]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for judge in self._judges:
            judge.stop()
        for _thread in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def hand(self, responses: Sequence[Response]) -> None:
        """Have these judged; returns at once. Of two responses to one task the first counts."""
        if not self._judges:
            return
        for response in responses:
            task = self._by_id.get(response.id)
            if task is not None and task.id not in self._handed:
                self._handed.add(task.id)
                self._queue.put((task, response))

    def verdicts(self, responses: Sequence[Response]) -> list[Verdict]:
        """One verdict per task, in the order of the tasks, when all `responses` are judged. Raises InfrastructureFault for a lost process."""
        if not self._judges:
            return score(self._tasks, readable(self._tasks, responses, self._used), scorer=self._scorer)
        self.hand(responses)
        for _thread in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        if self._failure:
            raise InfrastructureFault(Reason.INFRASTRUCTURE_FAULT, self._failure)
        unanswered = {
            v.id: v for v in score([t for t in self._tasks if t.id not in self._handed], [], scorer=self._scorer)
        }
        return [self._verdicts.get(task.id) or unanswered[task.id] for task in self._tasks]

    def _serve(self, judge: _Judge) -> None:
        """One process's thread: takes what waits, a few answers at a time, until told to stop."""
        going = True
        while going:
            taken = self._take()
            going = taken[-1] is not None
            items = [item for item in taken if item is not None]
            try:
                for (task, _), verdict in zip(items, judge.judge(items), strict=True):
                    self._verdicts[task.id] = verdict
            except (OSError, ValueError) as error:
                ids = ", ".join(task.id for task, _ in items)
                self._failure = self._failure or f"the process that judges answers was lost at one of {ids}: {error}"
                return

    def _take(self) -> list[tuple[Task, Response] | None]:
        """What waits, at least one item; None, which ends a thread, comes last."""
        taken = [self._queue.get()]
        while taken[-1] is not None and len(taken) < _AT_ONCE:
            try:
                taken.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return taken


class _Judge:
    """The near side of one process."""

    def __init__(self, used: PromptFormat, scorer_name: str) -> None:
        command = [sys.executable, "-P", "-m", __name__, used.value, scorer_name]
        # In a group of its own, Ctrl-C reaches the parent alone, which says what it means and ends this one.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, process_group=0)

    def judge(self, items: Sequence[tuple[Task, Response]]) -> list[Verdict]:
        """One verdict each. Raises OSError or ValueError when the process is gone."""
        stdin, stdout = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        for item in items:
            pickle.dump(item, stdin, protocol=pickle.HIGHEST_PROTOCOL)
        stdin.flush()
        return [Verdict.model_validate_json(stdout.readline()) for _ in items]

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def main() -> int:
    """The far side: `PROMPT_FORMAT SCORER` on the command line, tasks with responses on stdin, a verdict a line on stdout.

    What comes in is this program's own and comes as pickles; what goes out was made beside a model's text and goes as JSON.
    """
    used, name = PromptFormat(sys.argv[1]), sys.argv[2]
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what checkers print is no verdict

    def answers() -> Iterator[tuple[Task, Response]]:
        while True:
            try:
                task, response = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
            except EOFError:
                return
            yield task, readable([task], [response], used)[0]

    for verdict in scorer(name).verdicts(answers()):
        out.write(verdict.model_dump_json().encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
