"""Which tasks a scorer can judge.

A scorer cannot judge a task if no answer earns anything, or if right and wrong answers earn the same. A round in which
it cannot judge many of them would pay for nothing, so its task set is refused before a GPU is used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from bitagent_crds.evaluation import BuiltinScorer, ScorerName
from bitagent_crds.task_forms import Expects, MemoryBackend
from bitagent_crds.task_set import Conversation, Memory, Task
from bitagent_evaluator.scoring.bitagent.scorer import expected_call, tools_of

MOST = 0.5
"""Share of the tasks of one source and expectation from which a set is refused if they cannot be judged."""

NO_REFERENCE = "they have no reference text whose loss could be measured"
ONLY_REFERENCE = "they have only a reference text, which scorer Loss measures"
NO_GROUND_TRUTH = "they expect calls and say none"
SEVERAL_CALLS = "they expect several calls: the first alone is right by this rule, all of them are not"
ANY_VALUE = "they allow several values or are of source bfcl: right and wrong values earn the same by this rule"
NOTHING_REQUIRED = "they require no argument: right and wrong values earn the same by this rule"

_BITAGENT = frozenset({BuiltinScorer.BITAGENT_2024_11, BuiltinScorer.BITAGENT_2025_04})


def obstacle(scorer: ScorerName, task: Task) -> str:
    """Return why a scorer cannot judge a task, as the end of a sentence; empty if it can.

    Nothing is known about the scorers of packages, which are taken to judge every task.
    """
    if scorer == BuiltinScorer.LOSS:
        return "" if task.reference else NO_REFERENCE
    if scorer not in list(BuiltinScorer):
        return ""
    if task.expects is Expects.TEXT:
        return ONLY_REFERENCE
    if task.expects is not Expects.CALLS:
        return ""
    if not task.ground_truth:
        return NO_GROUND_TRUTH
    if scorer in _BITAGENT and len(task.ground_truth) > 1:
        return SEVERAL_CALLS
    expected = expected_call(task) if scorer in _BITAGENT else None
    if expected is None or not expected.arguments:
        return ""
    if scorer == BuiltinScorer.BITAGENT_2025_04:
        return ANY_VALUE if expected.is_ground_truth else ""
    return "" if expected.required(tools_of(task.functions)) else NOTHING_REQUIRED


def refusal(scorer: ScorerName, tasks: Sequence[Task]) -> str:
    """Return why a scorer must not be used for a task set, as a sentence; empty if it may.

    With Loss, one task that cannot be measured makes every model's mean infinite. Otherwise a set is refused if the
    scorer cannot judge MOST of the tasks that one source has for one expectation.
    """
    needed = 0.0 if scorer == BuiltinScorer.LOSS else MOST
    for (source, expects), members in _groups(tasks):
        found = Counter(why for task in members if (why := obstacle(scorer, task)))
        if found and found.total() >= needed * len(members):
            return (
                f"scorer {scorer} cannot judge {found.total()} of the {len(members)} tasks of source {source} that "
                f"expect {expects}: {found.most_common(1)[0][0]}; choose another scorer or other tasks"
            )
    return ""


def remark(scorer: ScorerName, tasks: Sequence[Task]) -> str:
    """Return which tasks of a set that is not refused the scorer cannot judge, as a clause; empty if there are none."""
    found = Counter(why for task in tasks if (why := obstacle(scorer, task)))
    reasons = "; ".join(f"{count}: {why}" for why, count in found.most_common())
    return f"{scorer} cannot judge {found.total()} of {len(tasks)} tasks ({reasons})" if found else ""


def _groups(tasks: Sequence[Task]) -> Iterator[tuple[tuple[str, str], list[Task]]]:
    def key(task: Task) -> tuple[str, str]:
        return task.source, task.expects.value

    for name, members in groupby(sorted(tasks, key=key), key=key):
        yield name, list(members)


def _probe(expects: Expects, *allowed: list[int], required: Sequence[str] = ("a",)) -> Task:
    parameters = {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": list(required)}
    return Task(
        id="probe",
        source="jsonl",
        category="probe",
        messages=[{"role": "user", "content": "?"}],
        functions=[{"name": "f", "description": "", "parameters": parameters}],
        expects=expects,
        ground_truth=[{"f": {"a": values}} for values in allowed] or None,
        memory=Memory(backend=MemoryBackend.KV, scenario="", answers=["a"]) if expects is Expects.ANSWER else None,
        reference="text" if expects is Expects.TEXT else None,
        conversation=Conversation(turns=[[]], ground_truth=[[]], classes=[], initial_state={})
        if expects is Expects.STATE
        else None,
    )


_ROWS = {
    "one call": _probe(Expects.CALLS, [1]),
    "one call with several allowed values, or of source `bfcl`": _probe(Expects.CALLS, [1, 2]),
    "one call, with optional arguments only": _probe(Expects.CALLS, [1], required=()),
    "several calls": _probe(Expects.CALLS, [1], [2]),
    "no call": _probe(Expects.NO_CALL),
    "any call": _probe(Expects.ANY_CALL),
    "a conversation": _probe(Expects.STATE),
    "an answer from a memory": _probe(Expects.ANSWER),
    "a reference text": _probe(Expects.TEXT),
}


def table() -> str:
    """Return the table of scorers and tasks for the documentation, in Markdown: `yes`, or why not."""
    notes: list[str] = []
    lines = [["the task expects", *(f"`{scorer}`" for scorer in BuiltinScorer)]]
    for name, task in _ROWS.items():
        cells = []
        for scorer in BuiltinScorer:
            why = obstacle(scorer, task)
            if why and why not in notes:
                notes.append(why)
            cells.append(f"no ({notes.index(why) + 1})" if why else "yes")
        lines.append([name, *cells])
    lines.insert(1, ["---"] * len(lines[0]))
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return rows + "\n\n" + "\n".join(f"{number}. {why}" for number, why in enumerate(notes, 1)) + "\n"
