"""Check one answer in a sandbox, by a rule that some answers could stall or crash.

An answer that takes more processor time than the limit, or that crashes the process, fails with that as its error; the
next answer gets a new process. A process that is killed from outside, or that the machine does not let run, says
nothing about the answer: it is checked once more, and then SandboxUnavailable is raised. The process starts with the
first answer, so a task set without such tasks pays nothing.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self, TypeAlias

from bitagent_crds.results import Verdict
from bitagent_crds.task_set import Task
from bitagent_evaluator.sandbox.process import FaultKind, InputFault, ResidentSandbox
from bitagent_evaluator.sandbox.protocol import Limits
from bitagent_evaluator.scoring.base import pass_fail

Rule: TypeAlias = Callable[[Task, str], Verdict]
"""Returns the verdict on the text of one answer; a function at the top of a module."""

LIMITS = Limits(memory_bytes=1 << 30, cpu_seconds=5.0, answer_bytes=1 << 20)
"""An ordinary answer takes some milliseconds."""
TIME_LIMIT = "ast_checker:time_limit"
CRASHED = "ast_checker:crashed"
_WORKER = f"{__name__}:RuleWorker"


class SandboxedRule:
    """A rule in a sandbox. A context manager; `check` may be called any number of times."""

    def __init__(self, rule: Rule, *, cpu_seconds: float = LIMITS.cpu_seconds) -> None:
        self._seconds = cpu_seconds
        limits = replace(LIMITS, cpu_seconds=cpu_seconds)
        self.sandbox = ResidentSandbox(_WORKER, limits, arguments=[f"{rule.__module__}:{rule.__name__}"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.close()

    def check(self, task: Task, text: str) -> Verdict:
        """Return the rule's verdict. Raises SandboxUnavailable if the machine fails, and not the answer."""
        try:
            answer = self.sandbox.call({"text": text}, {"task": task.model_dump_json().encode()})
        except InputFault as fault:
            if fault.kind is FaultKind.TIME:
                detail = f"comparing this answer took more than {self._seconds:g} s"
                return pass_fail(task, TIME_LIMIT, detail)
            return pass_fail(task, CRASHED, "reading this answer crashed the checker's process")
        return Verdict.model_validate(answer["verdict"])


class RuleWorker:
    """Answers `{"text"}` and the blob `task` with `{"verdict"}`, by the rule `module:function`."""

    def __init__(self, rule: str) -> None:
        module, _, function = rule.partition(":")
        self._rule: Rule = getattr(importlib.import_module(module), function)

    def handle(self, body: dict[str, Any], blobs: Mapping[str, bytes]) -> dict[str, Any]:
        """Return the verdict as JSON types."""
        verdict = self._rule(Task.model_validate_json(blobs["task"]), body["text"])
        return {"verdict": verdict.model_dump(mode="json")}
