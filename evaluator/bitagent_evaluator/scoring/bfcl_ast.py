"""Scorer `Bfcl`: the leaderboard's verdicts on answers and conversations.

Python answers are judged in this process. Java and JavaScript answers go to a child process: their parsers recurse in C, and the
official type conversion matches patterns that some texts keep busy for ever (see `child`). Conversations have a child of their own, in which
their calls are executed (see `multi_turn`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bitagent_crds.results import Expects, Language, Response, Task, Verdict
from bitagent_evaluator.scoring.child import Child
from bitagent_evaluator.scoring.judgement import judge
from bitagent_evaluator.scoring.multi_turn.judgement import Conversations


class BfclAst:
    """Official AST checker, relevance and irrelevance rules, multi-turn checker."""

    def verdicts(self, answers: Iterable[tuple[Task, Response]]) -> Iterator[Verdict]:
        """One verdict per (task, answer), in order."""
        with Child() as child, Conversations() as conversations:
            for task, response in answers:
                if task.expects is Expects.STATE:
                    yield conversations.judge(task, response)
                elif task.language is Language.PYTHON:
                    yield judge(task, response.text)
                else:
                    yield child.judge(task, response.text)
