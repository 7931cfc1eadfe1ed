"""The names that checkers give to errors, in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from bitagent_crds.results import Unanswered
from bitagent_evaluator.scoring.base import REFUSED
from bitagent_evaluator.scoring.bfcl import (
    DECODER_FAILED,
    MISSING_ARGUMENT,
    MISSING_CALL,
    NO_GROUND_TRUTH,
    UNCHECKABLE,
    UNEXPECTED_CALL,
    UNKNOWN_ARGUMENT,
    UNKNOWN_FUNCTION,
    WRONG_FORMAT,
)
from bitagent_evaluator.scoring.bitagent.criteria import Criterion
from bitagent_evaluator.scoring.exact_match import DIFFERENT, UNREADABLE
from bitagent_evaluator.scoring.loss import NO_REFERENCE, NOT_FINITE
from bitagent_evaluator.scoring.multi_turn.simulation import RUNAWAY
from bitagent_evaluator.scoring.sandboxed import CRASHED, TIME_LIMIT

PARTLY_RIGHT = "partly right"
"""Error that is shown for a task that has none, but did not pass."""

_OTHER_TYPE = "An argument has another type than the function asks for."
_WRONG_NUMBER = "The answer has more or fewer calls than are right."

ERRORS: Mapping[str, str] = {
    PARTLY_RIGHT: "The answer earned a part of the points.",
    # BFCL's checker of calls
    "simple_function_checker:wrong_func_name": "The answer calls another function than the right one.",
    "simple_function_checker:missing_required": "A required argument is missing.",
    "simple_function_checker:unexpected_param": "An argument is given that the function does not have.",
    "simple_function_checker:missing_optional": "An optional argument is missing whose default is not the right value.",
    "simple_function_checker:wrong_count": _WRONG_NUMBER,
    "simple_function_checker:unclear": "The checker compared the call and gives no reason.",
    "multiple_function_checker:wrong_count": _WRONG_NUMBER,
    "parallel_function_checker_no_order:wrong_count": _WRONG_NUMBER,
    "parallel_function_checker_enforce_order:wrong_count": _WRONG_NUMBER,
    "parallel_function_checker_no_order:cannot_find_match": "One of the right calls is not among those of the answer.",
    "type_error:simple": _OTHER_TYPE,
    "type_error:nested": "A value inside an argument has another type than the function asks for.",
    "type_error:java": "An argument is not a value of the Java type that the function asks for.",
    "type_error:js": "An argument is not a value of the JavaScript type that the function asks for.",
    "value_error:string": "A text differs from every allowed one; case, spaces and some punctuation do not count.",
    "value_error:list/tuple": "A list differs from every allowed one.",
    "value_error:dict_key": "An object has a key too much, or lacks one.",
    "value_error:dict_value": "A value inside an object differs from every allowed one.",
    "value_error:list_dict_count": "A list of objects has another length than every allowed one.",
    "value_error:others": "A number, a truth value or another plain value differs from every allowed one.",
    "dict_checker:unclear": "An object differs from every allowed one.",
    "list_dict_checker:unclear": "A list of objects differs from every allowed one.",
    DECODER_FAILED: "No call can be read from the answer.",
    WRONG_FORMAT: "The answer can be read, but is not a list of calls.",
    REFUSED: "The answer is too long or too deep, or its value is known only by executing it.",
    UNCHECKABLE: "The official checker fails on the answer.",
    TIME_LIMIT: "The official checker does not come to an end with the answer.",
    CRASHED: "The official checker crashes on the answer.",
    UNEXPECTED_CALL: "The answer is a call where none was expected.",
    MISSING_CALL: "The answer has no call where one was expected.",
    NO_GROUND_TRUTH: "The task has a reference text and no right call: scorer Loss judges it.",
    UNKNOWN_FUNCTION: "The answer calls a function that is not offered.",
    UNKNOWN_ARGUMENT: "A call has an argument that its function does not have.",
    MISSING_ARGUMENT: "A call lacks an argument that its function requires.",
    # BFCL's checker of conversations
    "multi_turn:empty_turn_model_response": "A turn has no call where some were expected.",
    "multi_turn:irrelevance_error:decoder_success": "A turn has calls where none was expected.",
    "multi_turn:instance_state_mismatch": "After a turn the systems are in another state than after the right calls.",
    "multi_turn:execution_response_mismatch": "The calls of a turn did not have the results that the right ones have.",
    "multi_turn:method_invoke_order_mismatch": "The right calls of a turn were made in another order.",
    "multi_turn:force_terminated": "The conversation was ended because it had too many steps.",
    "multi_turn:inference_error": "There is no answer to any turn.",
    RUNAWAY: "Executing the calls took more time or memory than it may.",
    "agentic:answer_not_found": "The last message does not contain the right answer.",
    "agentic:no_last_message": "The conversation has no last message.",
    "agentic:inference_error": "There is no answer.",
    # The other scorers
    UNREADABLE: "No call can be read from the answer.",
    DIFFERENT: "The calls differ from the expected ones.",
    f"bitagent:{Criterion.DOES_NOT_ERROR}": "The answer is an error.",
    f"bitagent:{Criterion.SPEED}": "The answer took too long.",
    f"bitagent:{Criterion.FORMAT}": "The answer is not in the form of a call.",
    f"bitagent:{Criterion.FUNCTION_NAME}": "The answer calls another function than the right one.",
    f"bitagent:{Criterion.ARGUMENT_NAMES}": "The names of the arguments are not the right ones.",
    f"bitagent:{Criterion.ARGUMENT_VALUES}": "The values of the arguments are not the right ones.",
    f"bitagent:{Criterion.IRRELEVANT}": "The answer is a call where none was expected, or none at all.",
    NO_REFERENCE: "The task has no reference text whose loss could be measured.",
    NOT_FINITE: "The model's probabilities of the reference are not finite numbers.",
    # Tasks without an answer
    Unanswered.NO_RESPONSE: "There is no answer: the prompt leaves no room for one.",
    Unanswered.PROMPT_REFUSED: "The chat template, or the endpoint, rejected the prompt.",
    Unanswered.PROMPT_TOO_LONG: "The prompt is longer than the run allows.",
    Unanswered.BUDGET_EXCEEDED: "The budget of generated tokens was spent on earlier tasks.",
    Unanswered.TIME_EXCEEDED: "The time for generating was over.",
}
"""What each error says, as a sentence."""


def explain(error: str) -> str:
    """Return what an error says; empty for one of a package's scorer."""
    return ERRORS.get(error, "")
