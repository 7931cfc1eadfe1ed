"""Scorer `ExactMatch`: the ground truth's first allowed values and nothing else, calls in order, types included.

An argument whose first allowed value is "" must be left out. Tasks that expect no call, or any, and conversations are judged as BFCL does: their
answers have nothing to match. Java and JavaScript answers are read in a child process, as for `Bfcl`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bitagent_crds.results import Expects, Language, Response, Task, Verdict
from bitagent_evaluator.answers import AnswerError, decode
from bitagent_evaluator.scoring import judgement
from bitagent_evaluator.scoring.child import Child
from bitagent_evaluator.scoring.multi_turn.judgement import Conversations
from bitagent_evaluator.scoring.possible_answers import LEFT_OUT, chosen

DIFFERENT = "exact_match:different"
UNREADABLE = "exact_match:unreadable"


class ExactMatch:
    """See the module."""

    def verdicts(self, answers: Iterable[tuple[Task, Response]]) -> Iterator[Verdict]:
        """One verdict per (task, answer), in order."""
        with Child(judge) as child, Conversations() as conversations:
            for task, response in answers:
                if task.expects is Expects.STATE:
                    yield conversations.judge(task, response)
                else:
                    yield (judge if task.language is Language.PYTHON else child.judge)(task, response.text)


def judge(task: Task, text: str) -> Verdict:
    """The verdict on an answer. Pure; raises nothing, whatever the text."""
    if task.expects is not Expects.CALLS:
        return judgement.judge(task, text)
    wanted = expected_calls(task)
    try:
        calls = decode(text, task.language)
        error = "" if _is_same(wanted, calls) else DIFFERENT
        detail = f"expected exactly {wanted}" if error else ""
    except AnswerError as failure:
        error, detail = UNREADABLE, str(failure)
    return judgement.verdict(task, error, detail)


def expected_calls(task: Task) -> list[dict[str, dict[str, Any]]]:
    """The calls that an exact answer holds."""
    return [{name: _arguments(arguments) for name, arguments in call.items()} for call in task.ground_truth or []]


def _arguments(arguments: dict[str, list[Any]]) -> dict[str, Any]:
    values = {name: chosen(allowed) for name, allowed in arguments.items()}
    return {name: value for name, value in values.items() if value != LEFT_OUT}


def _is_same(wanted: Any, given: Any) -> bool:
    """Equality that tells True from 1 and 1 from 1.0; a tuple is as good as a list."""
    if isinstance(wanted, dict):
        same_keys = isinstance(given, dict) and wanted.keys() == given.keys()
        return same_keys and all(_is_same(value, given[key]) for key, value in wanted.items())
    if isinstance(wanted, list):
        same_length = isinstance(given, list | tuple) and len(wanted) == len(given)
        return same_length and all(_is_same(*pair) for pair in zip(wanted, given, strict=True))
    return type(wanted) is type(given) and bool(wanted == given)
