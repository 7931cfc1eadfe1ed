"""What cost a model its score apart from wrong calls: answers cut, unreadable or without a call, tasks not asked. Pure.

A score alone does not tell a model that cannot do the tasks from one whose template, end tokens or limits are at fault.
`diagnose` counts what points to the latter, by kind of finding (`findings`). A failed answer belongs to one kind at
most; besides, the same answer to most tasks is a finding of its own.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from bitagent_crds.evaluation import BuiltinScorer, ScorerName
from bitagent_crds.results import NoteKind, Response, Unanswered, Verdict
from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_evaluator.evaluation.findings import BY_ENDPOINT, FindingKind, RunFinding
from bitagent_evaluator.evaluation.given_answers import Coverage
from bitagent_evaluator.parsing import AnswerSyntax, parse_answer
from bitagent_evaluator.parsing.thinking import (
    ENDS_OF_THINKING,
    STARTS_OF_THINKING,
    is_only_thought,
    strip_thinking,
)
from bitagent_evaluator.prompts.formats import BUILT_IN, prompt_format
from bitagent_evaluator.scoring.base import REFUSED
from bitagent_evaluator.scoring.bfcl import DECODER_FAILED, MISSING_CALL, UNEXPECTED_CALL, WRONG_FORMAT
from bitagent_evaluator.scoring.exact_match import UNREADABLE
from bitagent_evaluator.scoring.kinds import TaskKind
from bitagent_evaluator.support.text import join_lines, shorten

EXAMPLES = 3
"""Number of tasks that a finding names."""
_MIN_ALIKE = 5
"""Number of equal answers from which they are a finding, if they are more than half of all."""
_EXCERPT = 60
"""Number of characters of an answer in a finding."""
_TRIED = 200
"""Number of unreadable answers that are tried in other formats."""
CUT = "length"
"""Finish reason of an answer that ran into the limit of tokens."""


@dataclass(frozen=True)
class Evidence:
    """What a diagnosis looks at besides verdicts and responses."""

    scorer: ScorerName
    max_tokens: int
    """Limit of one answer."""
    max_thought_tokens: int | None = None
    """Limit of the thought before an answer; None: that of the answer is for both."""
    syntaxes: Sequence[AnswerSyntax] = ()
    """Accepted answer syntaxes, in order."""
    tasks: Mapping[str, Task] | None = None
    """By id; None if they are not at hand."""
    notes: Mapping[NoteKind, Sequence[str]] = field(default_factory=dict)
    """On the model's files."""
    coverage: Coverage | None = None
    """How given answers and tasks belong together; None for a run."""


_NOT_ASKED = {
    Unanswered.NO_RESPONSE.value: FindingKind.NO_ROOM,
    Unanswered.PROMPT_REFUSED.value: FindingKind.PROMPT_REFUSED,
    Unanswered.PROMPT_TOO_LONG.value: FindingKind.PROMPT_TOO_LONG,
    Unanswered.BUDGET_EXCEEDED.value: FindingKind.BUDGET_EXCEEDED,
    Unanswered.TIME_EXCEEDED.value: FindingKind.TIME_EXCEEDED,
}
_NO_CALL_READ = frozenset(
    {DECODER_FAILED, WRONG_FORMAT, REFUSED, MISSING_CALL, UNREADABLE, "multi_turn:empty_turn_model_response"}
)
"""Errors of answers that no call was read from."""
_UNCLEAR = ("bitagent:", "exact_match:", ":wrong_count")
"""In errors that do not say whether a call was read."""


def diagnose(
    verdicts: Sequence[Verdict], responses: Mapping[str, Response], evidence: Evidence
) -> tuple[RunFinding, ...]:
    """Return what was found, the gravest first: by kind where counts are equal, notes last.

    `responses` are those that count, by the task's id.
    """
    found: dict[FindingKind, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        for kind in _kinds(verdict, responses.get(verdict.id), evidence):
            found[kind].append(verdict)
    found |= {FindingKind.ALIKE: alike} if (alike := _alike(verdicts, responses, evidence)) else {}
    not_asked = {FindingKind.ABSENT, FindingKind.ENDPOINT_REFUSED, *_NOT_ASKED.values()}
    findings = [
        RunFinding(
            kind,
            len(having),
            len(verdicts) if kind in not_asked else len(responses),
            tuple(verdict.id for verdict in having[:EXAMPLES]),
            note=_note(kind, having, responses, evidence),
            limit=_limit(kind, evidence),
        )
        for kind, having in found.items()
    ]
    order = list(FindingKind)
    findings.sort(key=lambda finding: (-finding.count, order.index(finding.kind)))
    return (*findings, *_of_ids(evidence.coverage), *_notes(evidence.notes, found))


def _alike(verdicts: Sequence[Verdict], responses: Mapping[str, Response], evidence: Evidence) -> list[Verdict]:
    """Return the failed tasks with one and the same text as their answer, if these are most tasks."""
    if evidence.scorer == BuiltinScorer.LOSS:
        return []
    by_text: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        response = responses.get(verdict.id)
        if response is not None and not verdict.passed and not response.turns and response.text.strip():
            by_text[response.text].append(verdict)
    most = max(by_text.values(), key=len, default=[])
    return most if len(most) >= max(_MIN_ALIKE, len(responses) // 2 + 1) else []


def _note(kind: FindingKind, having: Sequence[Verdict], responses: Mapping[str, Response], evidence: Evidence) -> str:
    first = having[0]
    if kind is FindingKind.UNREADABLE:
        return _other_format([responses[verdict.id].text for verdict in having[:_TRIED]], evidence)
    if kind is FindingKind.NEVER_ENDS:
        return "; ".join(evidence.notes[NoteKind.TURN_END])
    if kind is FindingKind.ALIKE:
        return json.dumps(shorten(join_lines(responses[first.id].text), _EXCERPT), ensure_ascii=False)
    refused = (FindingKind.PROMPT_REFUSED, FindingKind.ENDPOINT_REFUSED)
    return first.detail.removeprefix(BY_ENDPOINT) if kind in refused else ""


def _other_format(texts: Sequence[str], evidence: Evidence) -> str:
    """Return in which other prompt format most of these answers would be read; empty without one."""
    counts = {
        name: sum(bool(parse_answer(text, syntaxes).calls) for text in texts)
        for name in BUILT_IN
        if set(syntaxes := prompt_format(name).syntaxes) - set(evidence.syntaxes)
    }
    best = max(counts, key=lambda name: counts[name], default="")
    if not counts.get(best) or evidence.scorer != BuiltinScorer.BFCL:
        return ""
    of = "they are" if counts[best] == len(texts) else f"{counts[best]} of {len(texts)} are"
    return f"{of} read with --prompt-format {best}"


def _of_ids(coverage: Coverage | None) -> Iterator[RunFinding]:
    if coverage is None:
        return
    given = coverage.answered + coverage.unknown + coverage.repeated
    counts = {FindingKind.UNKNOWN_ID: coverage.unknown, FindingKind.REPEATED_ID: coverage.repeated}
    yield from (RunFinding(kind, count, given) for kind, count in counts.items() if count)


def _notes(notes: Mapping[NoteKind, Sequence[str]], found: Collection[FindingKind]) -> Iterator[RunFinding]:
    """Yield the notes on the model that no other finding has."""
    covered = {NoteKind.TURN_END} if FindingKind.NEVER_ENDS in found else set()
    for note in chain.from_iterable(texts for kind, texts in notes.items() if kind not in covered):
        yield RunFinding(FindingKind.MODEL_NOTE, 0, 0, note=note)


def _kinds(verdict: Verdict, response: Response | None, evidence: Evidence) -> Iterator[FindingKind]:
    """Yield the kinds of one task: at most one for a failed one."""
    if response is None:
        kind = _NOT_ASKED.get(verdict.error)
        if kind is FindingKind.NO_ROOM and evidence.coverage is not None:
            kind = FindingKind.ABSENT
        if kind is FindingKind.PROMPT_REFUSED and verdict.detail.startswith(BY_ENDPOINT):
            kind = FindingKind.ENDPOINT_REFUSED
        if kind is not None:
            yield kind
        return
    if evidence.scorer == BuiltinScorer.LOSS:
        return
    cut = response.finish_reason == CUT
    if cut:
        yield _kind_of_cut(response, evidence)
    if verdict.passed:
        broken = cut or is_only_thought(response.text) or attempts_call(response.text, _names(verdict, evidence))
        if broken and _expects_no_call(verdict, evidence):
            yield FindingKind.CREDITED
    elif not cut:
        yield from _kind_of_failure(verdict, response, evidence)


def _kind_of_cut(response: Response, evidence: Evidence) -> FindingKind:
    if evidence.notes.get(NoteKind.TURN_END):
        return FindingKind.NEVER_ENDS
    # A prompt may open the thought. Then only its length shows it: an answer of a run with two limits is shorter.
    opened = any(start in response.text for start in STARTS_OF_THINKING) or (
        evidence.max_thought_tokens is not None
        and not response.turns
        and response.completion_tokens > evidence.max_tokens
    )
    in_thought = opened and not any(end in response.text for end in ENDS_OF_THINKING)
    return FindingKind.CUT_IN_THOUGHT if in_thought or is_only_thought(response.text) else FindingKind.CUT_OFF


def _limit(kind: FindingKind, evidence: Evidence) -> int:
    thought = kind is FindingKind.CUT_IN_THOUGHT and evidence.max_thought_tokens
    return thought or evidence.max_tokens


def _kind_of_failure(verdict: Verdict, response: Response, evidence: Evidence) -> Iterator[FindingKind]:
    if not (response.text.strip() or any(map(any, response.turns))):
        yield FindingKind.EMPTY
    elif verdict.error == UNEXPECTED_CALL or (
        _expects_no_call(verdict, evidence) and _reads_call(verdict, response, evidence)
    ):
        yield FindingKind.UNEXPECTED_CALL
    elif is_only_thought(response.text) and not _reads_call(verdict, response, evidence):
        yield FindingKind.ONLY_THOUGHT
    elif not _expects_no_call(verdict, evidence) and not _reads_call(verdict, response, evidence):
        looks_like_one = attempts_call(response.text, _names(verdict, evidence))
        yield FindingKind.UNREADABLE if looks_like_one else FindingKind.WITHOUT_CALL


def _expects_no_call(verdict: Verdict, evidence: Evidence) -> bool:
    """Whether the task expects no call; without the tasks, by its kind or BFCL's category."""
    if evidence.tasks is not None and verdict.id in evidence.tasks:
        return evidence.tasks[verdict.id].expects is Expects.NO_CALL
    return verdict.kind == TaskKind.NO_CALL or (not verdict.kind and "irrelevance" in verdict.category)


def _reads_call(verdict: Verdict, response: Response, evidence: Evidence) -> bool:
    """Whether a call was read from the answer: by the verdict's error, or else by reading it again."""
    if verdict.error in _NO_CALL_READ:
        return False
    if response.turns or not any(part in verdict.error for part in _UNCLEAR):
        return True
    task = (evidence.tasks or {}).get(verdict.id)
    if task is not None and task.language is not Language.PYTHON:
        return attempts_call(response.text, _names(verdict, evidence))  # its readers belong in a sandbox
    functions = task.functions if task is not None else ()
    variation = task.variation if task is not None else None
    return bool(parse_answer(response.text, evidence.syntaxes, Language.PYTHON, functions, variation).calls)


def _names(verdict: Verdict, evidence: Evidence) -> list[str]:
    task = (evidence.tasks or {}).get(verdict.id)
    return [] if task is None else [str(function.get("name", "")) for function in task.functions]


_MARK = re.compile(
    r"<tool_call>|<function_?call|<function=|<\|python_tag\|>|\[TOOL_CALLS\]|<\|tool_call|functools\["
    r"|<\|tools_prefix\|>|<<<api_call>>>|<<function>>|<bot_end>"
    r"|[\"'](?:name|function|tool|tool_name|action)[\"']\s*:\s*[\"'{]",
    re.IGNORECASE,
)
"""What a call begins with in a syntax of marks or of JSON."""
_CALL = re.compile(r"(?:^|[\n\[`])[^\S\n]*([A-Za-z_][\w.]*)\((\s*[A-Za-z_]\w*\s*=)?")
"""The beginning of a call in Python, at the beginning of a line or list, and its first argument if it has a name.

Blanks before it end at a line's end, where another match may begin: an answer of line breaks alone takes no square of
its length.
"""


def attempts_call(text: str, functions: Collection[str] = ()) -> bool:
    """Return whether an answer looks like a call, readable or not; `functions` are the names of those offered."""
    answer = strip_thinking(text)
    if _MARK.search(answer):
        return True
    return any(name in functions or argument for name, argument in _CALL.findall(answer))
