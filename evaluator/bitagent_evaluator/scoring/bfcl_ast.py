"""Scorer `Bfcl`: the leaderboard's verdicts on single-turn answers.

Python answers are judged in this process. Java and JavaScript answers go to a child process: their parsers recurse in C, and the
official type conversion matches patterns that some texts keep busy for ever (see `child`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bitagent_crds.results import Language, Response, Task, Verdict
from bitagent_evaluator.scoring.child import Child
from bitagent_evaluator.scoring.judgement import judge


class BfclAst:
    """Official AST checker, relevance and irrelevance rules."""

    def verdicts(self, answers: Iterable[tuple[Task, Response]]) -> Iterator[Verdict]:
        """One verdict per (task, answer), in order."""
        with Child() as child:
            for task, response in answers:
                if task.language is Language.PYTHON:
                    yield judge(task, response.text)
                else:
                    yield child.judge(task, response.text)
