"""Scorers `Bfcl` and `BfclStrict`: the leaderboard's rules for an answer to a task, and its verdicts on conversations.

In BFCL's possible answers, each argument has a list of allowed values, in which "" means that the argument may be left
out; the members of a dict among the values are such lists again.

Calls are checked by the official AST checker of the bfcl-eval package, unchanged. It needs one fact about the model
that it checks (whether dots in function names were replaced for its API), and looks it up in
`bfcl_eval.constants.model_config`. That module imports the client of every vendor on the leaderboard; none of them is
installed here, and none belongs in a pod without network. So the checker is loaded with a substitute for that module
which knows one model, ours.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar, TypedDict, cast

from bfcl_eval.constants.enums import Language as OfficialLanguage

from bitagent_crds.results import Verdict
from bitagent_crds.task_forms import SEVERAL_STEPS, Expects, Language
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import BfclCategory
from bitagent_evaluator.parsing import ParsedAnswer, ParsedResponse, Unreadable, parse_bfcl_answer
from bitagent_evaluator.scoring.base import REFUSED, pass_fail
from bitagent_evaluator.scoring.multi_turn.simulation import ConversationChecker
from bitagent_evaluator.scoring.sandboxed import SandboxedRule

LEFT_OUT = ""
"""Among allowed values: the argument may be left out."""
DECODER_FAILED = "ast_decoder:decoder_failed"
WRONG_FORMAT = "ast_decoder:decoder_wrong_output_format"
UNEXPECTED_CALL = "irrelevance_error:decoder_success"
MISSING_CALL = "relevance_error:decoder_failed"
UNCHECKABLE = "ast_checker:raised"
NO_GROUND_TRUTH = "no_ground_truth"

_UNREADABLE = {
    Unreadable.SYNTAX: DECODER_FAILED,
    Unreadable.REFUSED: REFUSED,
    Unreadable.NOT_CALLS: WRONG_FORMAT,
}
_CALL_CATEGORIES = frozenset(
    category for category in BfclCategory if any(word in category for word in ("simple", "multiple", "parallel"))
)
"""Categories that the official checker has a rule for; it would treat a call in any other as a simple one."""
_CHECKER_FAILURES = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Raised by the checker on values that it was not written for, such as a list where a list of dicts is expected."""

_CHECKER = "bfcl_eval.eval_checker.ast_eval.ast_checker"
_MODEL_CONFIG = "bfcl_eval.constants.model_config"
_MODEL = "bitagent"

_LANGUAGES = {
    Language.PYTHON: OfficialLanguage.PYTHON,
    Language.JAVA: OfficialLanguage.JAVA,
    Language.JAVASCRIPT: OfficialLanguage.JAVASCRIPT,
}


def check_answer(task: Task, answer: ParsedAnswer) -> Verdict:
    """Return the leaderboard's verdict on an answer to a task without a conversation. Pure; raises nothing.

    Besides the official error types there are `ast_decoder:refused` (see Unreadable.REFUSED) and `ast_checker:raised`:
    the official checker failed on the answer, which ends the whole run upstream. A task that has only a reference text
    fails with `no_ground_truth`.
    """
    if task.expects is Expects.TEXT:
        return pass_fail(
            task, NO_GROUND_TRUTH, "the task has a reference text and no ground truth; scorer Loss judges it"
        )
    if answer.unreadable is Unreadable.REFUSED:
        return pass_fail(task, REFUSED, answer.detail)
    return pass_fail(task, *(_check_calls if task.expects is Expects.CALLS else _check_presence)(task, answer))


def check_text(task: Task, text: str) -> Verdict:
    """Return the verdict on an answer in BFCL's own syntax for the task's language, as `check_answer`."""
    return check_answer(task, parse_for(task, text))


def parse_for(task: Task, text: str) -> ParsedAnswer:
    """Parse an answer in BFCL's own syntax, in the task's language. Raises nothing.

    Where any call is right the leaderboard reads the answer as Python, whatever the task's language.
    """
    return parse_bfcl_answer(text, Language.PYTHON if task.expects is Expects.ANY_CALL else task.language)


def _check_presence(task: Task, answer: ParsedAnswer) -> tuple[str, str]:
    """Error and detail for a task that expects no call, or any call."""
    if answer.calls is None:
        has_call, detail = False, answer.detail
    elif answer.calls:
        has_call, detail = True, "the answer is a call, but no function fits"
    else:
        has_call, detail = False, "the answer is an empty list of calls"
    if has_call is (task.expects is Expects.ANY_CALL):
        return "", ""
    return (UNEXPECTED_CALL if has_call else MISSING_CALL), detail


def _check_calls(task: Task, answer: ParsedAnswer) -> tuple[str, str]:
    """Error and detail for a task that expects certain calls."""
    if answer.unreadable is not None:
        return _UNREADABLE[answer.unreadable], answer.detail
    try:
        result = check_calls(
            functions=task.functions,
            calls=answer.calls,
            possible_answers=task.ground_truth or [],
            language=task.language,
            category=checker_category(task),
        )
        return ("", "") if result["valid"] else (result["error_type"], _explain(result["error"]))
    except _CHECKER_FAILURES as failure:
        return UNCHECKABLE, f"the checker cannot compare this answer: {type(failure).__name__}: {failure}"


def checker_category(task: Task) -> str:
    """Return the category by which the official checker chooses its rule: BFCL's own, or one for the task's shape.

    The checker's `simple` rules look at the first function alone. A simple case that was given more functions is
    checked as `multiple`, or the position would reveal the answer. Only its `parallel` rules accept several calls, so a
    case that was merged with another is checked by those.
    """
    if len(task.ground_truth or ()) > 1 and "parallel" not in task.category:
        return BfclCategory.PARALLEL
    if task.category in _CALL_CATEGORIES and ("simple" not in task.category or len(task.functions) == 1):
        return task.category
    if len(task.ground_truth or ()) > 1:
        return BfclCategory.PARALLEL
    return BfclCategory.MULTIPLE if len(task.functions) > 1 else BfclCategory.SIMPLE_PYTHON


def _explain(errors: list[Any]) -> str:
    """The checker's messages in one text. The parallel rule nests one dict per compared call."""
    parts: list[str] = []
    for error in errors:
        if isinstance(error, dict):
            parts += [f"{where}: {_explain(found['sub_error'])}" for where, found in error.items()]
        else:
            parts.append(str(error))
    return " ".join(parts)


def first_allowed(allowed: list[Any], *, keep: bool = False) -> Any:
    """Return the first allowed value, with all dicts in it resolved.

    With `keep`, the first one that is not `LEFT_OUT`, if there is one.
    """
    candidates = [value for value in allowed if value != LEFT_OUT] if keep else allowed
    return _resolve((candidates or allowed or [LEFT_OUT])[0])


def _resolve(value: Any) -> Any:
    if isinstance(value, dict):
        members = {
            name: first_allowed(allowed) if isinstance(allowed, list) else allowed for name, allowed in value.items()
        }
        return {name: member for name, member in members.items() if member != LEFT_OUT}
    return [_resolve(item) for item in value] if isinstance(value, list) else value


def expected_calls(task: Task) -> list[dict[str, dict[str, Any]]]:
    """Return the calls with the first allowed value of each argument, without those whose first value is `LEFT_OUT`."""
    return [{name: _arguments(arguments) for name, arguments in call.items()} for call in task.ground_truth or []]


def _arguments(arguments: dict[str, list[Any]]) -> dict[str, Any]:
    values = {name: first_allowed(allowed) for name, allowed in arguments.items()}
    return {name: value for name, value in values.items() if value != LEFT_OUT}


class CheckerResult(TypedDict, total=False):
    """Return value of the checker; the errors only if `valid` is false."""

    valid: bool
    error: list[Any]
    error_type: str


def check_calls(
    *,
    functions: list[dict[str, Any]],
    calls: Any,
    possible_answers: list[dict[str, Any]],
    language: Language,
    category: str,
) -> CheckerResult:
    """Return the official verdict on decoded calls. Raises what the checker raises on data it was not written for."""
    result = _checker().ast_checker(functions, calls, possible_answers, _LANGUAGES[language], category, _MODEL)
    return cast(CheckerResult, result)


@functools.cache
def _checker() -> ModuleType:
    """A private copy of the checker's module; sys.modules is left unchanged."""
    spec = importlib.util.find_spec(_CHECKER)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{_CHECKER} is missing: install bitagent[benchmark]", name=_CHECKER)
    module = importlib.util.module_from_spec(spec)
    with _substitute_model_config():
        spec.loader.exec_module(module)
    return module


@contextmanager
def _substitute_model_config() -> Iterator[None]:
    substitute = ModuleType(_MODEL_CONFIG)
    substitute.MODEL_CONFIG_MAPPING = {_MODEL: SimpleNamespace(underscore_to_dot=False)}  # type: ignore[attr-defined]
    original = sys.modules.get(_MODEL_CONFIG)
    sys.modules[_MODEL_CONFIG] = substitute
    try:
        yield
    finally:
        if original is None:
            del sys.modules[_MODEL_CONFIG]
        else:
            sys.modules[_MODEL_CONFIG] = original


@dataclass(frozen=True)
class CallRule:
    """How an answer to a task without a conversation is checked: two functions of a module, pure, raising nothing."""

    check_answer: Callable[[Task, ParsedAnswer], Verdict]
    check_text: Callable[[Task, str], Verdict]
    """Checks an answer in BFCL's own syntax for the task's language, in the child process."""


class CallScorer:
    """Scores answers by the rule of a subclass, each in the process that is right for it.

    Calls in Java and JavaScript are read and checked in a child process: their parsers recurse in C, and the official
    type conversion matches patterns that some texts keep busy without end (see `sandboxed`). Conversations follow the
    leaderboard's rule, and have a child process in which their calls are executed (see `multi_turn`). All other
    answers are checked in this process.

    An answer is without calls if neither Python's syntax nor that of the task's language reads one. The leaderboard
    has no such task in another language than Python; alterations make some, and the text that is right for the task
    with its function must not be right for the one without.
    """

    rule: ClassVar[CallRule]

    def verdicts(self, answers: Iterable[tuple[Task, ParsedResponse]]) -> Iterator[Verdict]:
        """Yield one verdict per task with its response, in order."""
        with SandboxedRule(self.rule.check_text) as sandboxed, ConversationChecker() as conversations:
            for task, response in answers:
                if task.expects in SEVERAL_STEPS:
                    yield conversations.check(task, response)
                elif task.language is Language.PYTHON or task.expects in (Expects.ANY_CALL, Expects.TEXT):
                    yield self.rule.check_answer(task, response.answer)
                elif (
                    task.expects is Expects.NO_CALL
                    and not (verdict := self.rule.check_answer(task, response.answer)).passed
                ):
                    yield verdict
                else:
                    yield sandboxed.check(task, response.answer.bfcl_text(task.language))


class BfclScorer(CallScorer):
    """Official AST checker, relevance and irrelevance rules, multi-turn checker."""

    rule = CallRule(check_answer, check_text)


UNKNOWN_FUNCTION = "strict:unknown_function"
UNKNOWN_ARGUMENT = "strict:unknown_argument"
MISSING_ARGUMENT = "strict:missing_argument"


def check_answer_strictly(task: Task, answer: ParsedAnswer) -> Verdict:
    """Return the verdict of `check_answer`, but a task that expects any call is passed by fitting calls only.

    Each call must be of a function that the task offers, with arguments that the function has and all that it requires.
    The leaderboard accepts any text that reads as a call, such as `x()`, whatever was asked.
    """
    verdict = check_answer(task, answer)
    if task.expects is not Expects.ANY_CALL or not verdict.passed:
        return verdict
    offered = {str(function.get("name")): function.get("parameters") for function in task.functions}
    for call in answer.calls or ():
        for name, arguments in call.items():
            if name not in offered:
                return pass_fail(task, UNKNOWN_FUNCTION, f"the task offers no function {name!r}")
            if misfit := _misfit(name, {str(argument) for argument in arguments}, offered[name]):
                return pass_fail(task, *misfit)
    return verdict


def _misfit(name: str, given: set[str], parameters: object) -> tuple[str, str] | None:
    """Return error and detail for arguments that a function does not have, or lacks; None if they fit."""
    described = parameters if isinstance(parameters, dict) else {}
    properties, required = described.get("properties"), described.get("required")
    known = set(properties) if isinstance(properties, dict) else set()
    needed = {str(each) for each in required} if isinstance(required, list) else set()
    if given - known:
        return UNKNOWN_ARGUMENT, f"{name} has no argument {min(given - known)!r}"
    if needed - given:
        return MISSING_ARGUMENT, f"{name} requires the argument {min(needed - given)!r}"
    return None


class BfclStrictScorer(CallScorer):
    """As BfclScorer, with fitting calls where any call is right."""

    rule = CallRule(check_answer_strictly, check_text)
