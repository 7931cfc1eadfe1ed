"""What memory and word matching answer to a task: bounds for models that are admitted and never understood a question.

A model with an honest tokenizer can have a table in its weights. Training decides how well; these answer as such a
model would if it had learned its table perfectly. None of them reads a ground truth but that of the table.

    verbatim by question       the stored answer of the known question that has most words in common
    verbatim by descriptions   the stored answer of the known task that offers the most similar functions
    names from the prompt      the same, but functions and parameters are found in the prompt by their descriptions
    bag of words               no table: the function with most words of the question, values by type, in sorted order
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attack_models.tables import answer_of
from bitagent_crds.task_forms import Expects
from bitagent_crds.task_set import Task
from bitagent_evaluator.parsing.render import render_calls
from bitagent_evaluator.scoring.bfcl import expected_calls

Answerer = Callable[[Task], str]
NOTHING = "[]"
_WORD = re.compile(r"[^\W_]+")
_SIMILAR = 0.2
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def words(text: str) -> frozenset[str]:
    """Return the words of a text in lower case, those of snake and camel case apart."""
    return frozenset(
        word.lower() for word in _WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " ")))
    )


def question(task: Task) -> str:
    """Return what the user says."""
    return "\n".join(str(message["content"]) for message in task.messages if message["role"] == "user")


def parameters_of(function: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the schemas of a function's parameters by name."""
    found: Mapping[str, Mapping[str, Any]] = function["parameters"].get("properties", {})
    return found


def descriptions(task: Task) -> frozenset[str]:
    """Return the words of all descriptions, and the descriptions themselves."""
    texts = [function.get("description", "") for function in task.functions]
    texts += [
        str(schema.get("description", "")) for function in task.functions for schema in parameters_of(function).values()
    ]
    return frozenset(texts).union(*map(words, texts)) - {""}


def _nearest(known: Sequence[tuple[frozenset[str], Task]], asked: frozenset[str]) -> Task:
    return max(known, key=lambda entry: len(entry[0] & asked) / (len(entry[0] | asked) or 1))[1]


def by_question(table: Iterable[Task]) -> Answerer:
    """Return the answerer `verbatim by question`."""
    known = [(words(question(task)), task) for task in table]
    return lambda task: answer_of(_nearest(known, words(question(task))))


def by_descriptions(table: Iterable[Task]) -> Answerer:
    """Return the answerer `verbatim by descriptions`."""
    known = [(descriptions(task), task) for task in table]
    return lambda task: answer_of(_nearest(known, descriptions(task)))


def with_names(table: Iterable[Task]) -> Answerer:
    """Return the answerer `names from the prompt`; it makes no call where no function has a similar description."""
    known = [(words(question(task)), task) for task in table]

    def answer(task: Task) -> str:
        found = _nearest(known, words(question(task)))
        if found.expects is not Expects.CALLS:
            return NOTHING
        calls = []
        for call in expected_calls(found):
            ((name, values),) = call.items()
            old = next(each for each in found.functions if each["name"] == name)
            new = _most_similar(
                str(old["description"]), {str(f["name"]): str(f["description"]) for f in task.functions}
            )
            if new is None:
                return NOTHING
            schemas = parameters_of(next(each for each in task.functions if each["name"] == new))
            texts = {key: str(schema.get("description")) for key, schema in schemas.items()}
            renamed = {
                _most_similar(str(parameters_of(old).get(key, {}).get("description")), texts) or key: value
                for key, value in values.items()
            }
            calls.append({new: renamed})
        return render_calls(calls, task.language)

    return answer


def _most_similar(text: str, others: Mapping[str, str]) -> str | None:
    """Return the key of the text with most words in common; None if none has a fifth of them."""
    asked = words(text)
    shares = {key: len(asked & words(other)) / (len(asked | words(other)) or 1) for key, other in others.items()}
    best = max(shares, key=lambda key: shares[key], default=None)
    return best if best is not None and shares[best] >= _SIMILAR else None


def bag_of_words(task: Task) -> str:
    """Answer as `bag of words`."""
    text = question(task)
    asked = words(text)

    def fit(function: Mapping[str, Any]) -> float:
        known = words(str(function["name"])) | words(str(function.get("description", "")))
        known |= {word for schema in parameters_of(function).values() for word in words(str(schema.get("description")))}
        return len(known & asked) / (len(known) ** 0.5 or 1)

    best = max(task.functions, key=fit, default=None)
    if best is None or fit(best) == 0:
        return NOTHING
    numbers = sorted({float(found) for found in _NUMBER.findall(text)})
    names = sorted(set(re.findall(r"\b[A-Z][\w'-]*(?: [A-Z][\w'-]*)*", text)), reverse=True)
    arguments: dict[str, str] = {}
    for key in best["parameters"].get("required", []):
        schema = parameters_of(best).get(key, {})
        options = [value for value in schema.get("enum", []) if words(str(value)) <= asked]
        if options:
            arguments[key] = repr(options[0])
        elif schema.get("type") in ("integer", "float", "number") and numbers:
            number = numbers.pop(0)
            arguments[key] = str(int(number) if number.is_integer() else number)
        elif names:
            arguments[key] = repr(names.pop())
    return f"[{best['name']}({', '.join(f'{key}={value}' for key, value in arguments.items())})]"
