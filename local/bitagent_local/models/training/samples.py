"""``python -m bitagent_local.models.training.samples OUT``: write the task file of the ``tiny-fc-*`` models.

Invented questions, each with the one call that answers it, about sixteen functions. All arguments are words of the
question, so that a model of half a million parameters can learn to copy them. Every draw comes from the caller's random
generator and the same seed must always give the same samples, because recorded scores refer to the held-out file.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTEGER = "integer"
WORDS: dict[str, list[str]] = {
    kind: words.split()
    for kind, words in {
        "city": "Paris London Berlin Madrid Rome Oslo Tokyo Delhi Cairo Lima Quito Boston Denver Austin Dallas",
        "currency": "USD EUR GBP JPY CHF AUD CAD INR CNY SEK",
        "language": "French German Spanish Italian Korean Hindi Arabic Polish Dutch Greek",
        "person": "Alice Bob Carol David Emma Frank Grace Henry Irene Jack",
    }.items()
}
LARGEST_INTEGER = 999
HELD_OUT_SEED = 99
HELD_OUT_COUNT = 400
SOURCE = "tiny-fc"


@dataclass(frozen=True)
class Function:
    """A function that answers questions."""

    name: str
    description: str
    parameters: dict[str, str]
    """Kind of each parameter, in alphabetical order of the parameters: `INTEGER`, or a key of `WORDS`."""
    questions: tuple[str, ...]
    """Wordings, with the parameters as format fields."""

    def schema(self) -> dict[str, Any]:
        """Return the function as a prompt describes it."""
        properties = {
            name: {"type": INTEGER if kind == INTEGER else "string"} for name, kind in self.parameters.items()
        }
        parameters = {"type": "object", "properties": properties, "required": list(self.parameters)}
        return {"name": self.name, "description": self.description, "parameters": parameters}


@dataclass(frozen=True)
class Sample:
    """One question, the functions offered, and the right call."""

    tools: tuple[Function, ...]
    question: str
    function: str
    arguments: dict[str, int | str]

    @property
    def answer(self) -> str:
        """The call in the models' own style, without brackets and quotes."""
        return f"{self.function}({', '.join(f'{name}={value}' for name, value in sorted(self.arguments.items()))})"

    def record(self) -> dict[str, Any]:
        """Return the sample as an entry of the held-out file."""
        return {
            "tools": [tool.schema() for tool in self.tools],
            "messages": [{"role": "user", "content": self.question}],
            "answer": self.answer,
        }


FUNCTIONS = (
    Function(
        "calculate_discount",
        "Calculate the discounted price",
        {"discount_percentation": INTEGER, "original_price": INTEGER},
        (
            "I want to buy a dress priced at {original_price} with {discount_percentation} percent off. "
            "What will I pay?",
            "What is the price of a {original_price} dollar item after a {discount_percentation}% discount?",
        ),
    ),
    Function(
        "calculate_tip",
        "Calculate the tip for a bill",
        {"bill_amount": INTEGER, "tip_percentage": INTEGER},
        (
            "My bill is {bill_amount} and I want to tip {tip_percentage}%. How much is that?",
            "How much is a {tip_percentage} percent tip on {bill_amount} dollars?",
        ),
    ),
    Function(
        "convert_currency",
        "Convert an amount between currencies",
        {"amount": INTEGER, "from_currency": "currency", "to_currency": "currency"},
        (
            "Convert {amount} {from_currency} to {to_currency}.",
            "How much is {amount} {from_currency} in {to_currency}?",
        ),
    ),
    Function(
        "get_weather",
        "Get the weather of a city",
        {"city": "city", "days": INTEGER},
        ("What is the weather in {city} for the next {days} days?", "Give me a {days} day forecast for {city}."),
    ),
    Function(
        "calculate_area",
        "Calculate the area of a rectangle",
        {"length": INTEGER, "width": INTEGER},
        (
            "What is the area of a rectangle of length {length} and width {width}?",
            "A room is {length} long and {width} wide. What is its area?",
        ),
    ),
    Function(
        "calculate_bmi",
        "Calculate the body mass index",
        {"height": INTEGER, "weight": INTEGER},
        (
            "I am {height} cm tall and weigh {weight} kg. What is my BMI?",
            "Compute the BMI for weight {weight} and height {height}.",
        ),
    ),
    Function(
        "calculate_age",
        "Calculate the age from the birth year",
        {"birth_year": INTEGER, "current_year": INTEGER},
        (
            "I was born in {birth_year}. It is {current_year} now. How old am I?",
            "How old is someone in {current_year} who was born in {birth_year}?",
        ),
    ),
    Function(
        "translate_text",
        "Translate a text",
        {"source_language": "language", "target_language": "language"},
        (
            "Translate this from {source_language} to {target_language}.",
            "I have a {source_language} note, I need it in {target_language}.",
        ),
    ),
    Function(
        "book_flight",
        "Book a flight",
        {"destination": "city", "origin": "city", "passengers": INTEGER},
        (
            "Book a flight from {origin} to {destination} for {passengers} people.",
            "We are {passengers} people flying to {destination} from {origin}.",
        ),
    ),
    Function(
        "calculate_loan",
        "Calculate the loan payment",
        {"interest_rate": INTEGER, "principal": INTEGER, "years": INTEGER},
        (
            "What is the payment on a loan of {principal} at {interest_rate}% over {years} years?",
            "I borrow {principal} for {years} years at {interest_rate} percent.",
        ),
    ),
    Function(
        "send_email",
        "Send an email to a person",
        {"recipient": "person", "sender": "person"},
        ("Send an email to {recipient} from {sender}.", "{sender} wants to email {recipient}."),
    ),
    Function(
        "set_timer",
        "Set a timer",
        {"minutes": INTEGER, "seconds": INTEGER},
        ("Set a timer for {minutes} minutes and {seconds} seconds.", "Wake me in {minutes} minutes {seconds} seconds."),
    ),
    Function(
        "generate_random_number",
        "Generate a random number",
        {"max": INTEGER, "min": INTEGER},
        ("Give me a random number between {min} and {max}.", "Pick a number from {min} to {max}."),
    ),
    Function(
        "calculate_distance",
        "Calculate the distance between two cities",
        {"end_city": "city", "start_city": "city"},
        ("How far is it from {start_city} to {end_city}?", "Distance between {start_city} and {end_city}?"),
    ),
    Function(
        "create_event",
        "Create a calendar event",
        {"day": INTEGER, "guest": "person", "hour": INTEGER},
        (
            "Schedule a meeting with {guest} on day {day} at {hour}.",
            "Create an event on day {day} at {hour} with {guest}.",
        ),
    ),
    Function(
        "calculate_speed",
        "Calculate the speed",
        {"distance": INTEGER, "time": INTEGER},
        ("I drove {distance} km in {time} hours. What was my speed?", "Speed for {distance} km over {time} hours?"),
    ),
)


def draw(random_: random.Random) -> Sample:
    """Draw a sample: a function, values for it that are all different, a wording, and perhaps a distractor."""
    function = random_.choice(FUNCTIONS)
    arguments: dict[str, int | str] = {}
    for name, kind in function.parameters.items():
        if kind == INTEGER:
            arguments[name] = random_.randint(1, LARGEST_INTEGER)
        else:
            arguments[name] = random_.choice([word for word in WORDS[kind] if word not in arguments.values()])
    question = random_.choice(function.questions).format(**arguments)
    others = [other for other in FUNCTIONS if other is not function]
    tools = [function, *random_.sample(others, random_.randint(0, 1))]
    random_.shuffle(tools)
    return Sample(tuple(tools), question, function.name, arguments)


def distinct(random_: random.Random) -> Iterator[Sample]:
    """Yield samples without end, no question twice."""
    seen: set[str] = set()
    while True:
        sample = draw(random_)
        if sample.question not in seen:
            seen.add(sample.question)
            yield sample


def held_out() -> list[Sample]:
    """Return the questions that no model was trained on: those of ``heldout.jsonl``."""
    samples = distinct(random.Random(HELD_OUT_SEED))
    return [next(samples) for _ in range(HELD_OUT_COUNT)]


def task(number: int, sample: Sample) -> dict[str, Any]:
    """Return a sample as a task of the evaluator's JSONL source.

    The category says, in BFCL's words, whether there is a function to choose. The ground truth is in BFCL's form: for
    every argument the list of values that are right.
    """
    functions = []
    for tool in sample.tools:
        schema = tool.schema()
        functions.append({**schema, "parameters": {**schema["parameters"], "type": "dict"}})
    return {
        "id": f"{SOURCE}-{number:03d}",
        "source": SOURCE,
        "category": f"{SOURCE}-{'simple' if len(functions) == 1 else 'multiple'}",
        "messages": [{"role": "user", "content": sample.question}],
        "functions": functions,
        "expects": "Calls",
        "language": "Python",
        "ground_truth": [{sample.function: {name: [value] for name, value in sample.arguments.items()}}],
    }


def task_line(task: dict[str, Any]) -> str:
    """Return a task as a line of a task file."""
    return json.dumps(task, ensure_ascii=False, separators=(",", ":")) + "\n"


def lines() -> str:
    """Return the content of the task file."""
    return "".join(task_line(task(number, sample)) for number, sample in enumerate(held_out()))


def main() -> int:
    """Write the file."""
    parser = argparse.ArgumentParser(prog="python -m bitagent_local.models.training.samples", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.parse_args().out.write_text(lines(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
