"""The page as Markdown. Every table is made of what the code has; every example is read when the page is made."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum

from bitagent_crds.docstrings import member_docs
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.tasks import Columns, RowFormat
from bitagent_evaluator.formats_page import answers, rows
from bitagent_evaluator.models.validation.architectures import family_rows
from bitagent_evaluator.models.validation.quantization import METHODS
from bitagent_evaluator.parsing import AnswerSyntax, ParsedAnswer, Unreadable
from bitagent_evaluator.prompts.formats import BUILT_IN, prompt_format
from bitagent_evaluator.tasks.rows.base import RowSkipReason

PAGE = "docs/formats.md"
_LONGEST = 160
"""Characters of an explanation or a row in a table."""


def page() -> str:
    """Return the content of docs/formats.md."""
    parts = [
        "# Formats",
        "For authors of models and of task sets: what is read of models, rows and answers. Written by `make formats`: "
        "tables come from the code, and examples show what its readers made of them.",
        *_models(),
        *_rows(),
        *_prompts(),
        *_answers(),
    ]
    return "\n\n".join(parts) + "\n"


def _models() -> list[str]:
    headings, *families = family_rows()
    methods = [(code(name), _first_paragraph(method)) for name, method in METHODS.items()]
    return [
        "## Model families",
        table(headings, families),
        "## Quantisation",
        "Weights are bfloat16, float16 or float32, or of one of these methods; which families take which is above. "
        "`check` names the setting that is not accepted.",
        table(("`quant_method`", "what is accepted"), methods),
    ]


def _rows() -> list[str]:
    docs = member_lines(RowFormat)
    parts = ["## Row formats", "`rows` of a source of tasks. All examples but the last are the same task."]
    for name in RowFormat:
        parts += [f"### {name}", docs[name]]
        if name is RowFormat.COLUMNS:
            parts.append(table(("member of `columns`", "meaning"), _roles()))
        for example in (example for example in rows.EXAMPLES if example.rows is name):
            task = rows.read(example)
            needed = f"Needs {', '.join(map(code, rows.needed_columns(example)))}."
            named = f" Read with `columns: {_json(example.columns.to_wire())}`." if example.columns else ""
            expected = code(_json(task.ground_truth)) if task.ground_truth else f"the text {code(str(task.reference))}"
            parts += [f"    {_json(example.row)}", f"{needed}{named} Expected: {expected}."]
    skipped = [
        (reason.value, row.example.rows if row else "", code(_short(_json(row.changes))) if row else "")
        for reason in RowSkipReason
        for row in [rows.SKIPPED.get(reason)]
    ]
    return [
        *parts,
        "### Rows that are skipped",
        "Counted by reason in the manifest (`skipped`), as are rows without a column that the format needs (`without "
        "column 'NAME'`). An example is that of its format above with these other values.",
        table(("a row", "format", "example"), skipped),
    ]


def member_lines(enumeration: type[StrEnum]) -> dict[str, str]:
    """Return the docstring of each member of an enumeration, in one line, by its value; empty for one without."""
    docs = member_docs(enumeration)
    return {member.value: " ".join(docs.get(member.name, "").split()) for member in enumeration}


def _roles() -> list[tuple[str, str]]:
    docs = member_docs(Columns)
    return [(code(name), " ".join(docs.get(name, "").split())) for name in Columns.model_fields]


def _prompts() -> list[str]:
    docs = member_lines(BuiltinPromptFormat)
    found = []
    for name in BuiltinPromptFormat:
        if name not in BUILT_IN:
            found.append((code(name), docs[name], "", "", ""))
            continue
        made = prompt_format(name)
        by = "the model's template" if made.uses_template else "the format"
        ends = ", ".join(map(code, made.stop_tokens))
        found.append((code(name), docs[name], by, ends, ", ".join(made.syntaxes)))
    return [
        "## Prompt formats",
        "Syntaxes are tried in this order; BFCL's own is first everywhere. An answer ends with the end tokens that the "
        "model's files name, and with those here, if its tokenizer has them.",
        table(("`promptFormat`", "what the model is given", "laid out by", "end tokens", "syntaxes of answers"), found),
    ]


def _answers() -> list[str]:
    docs = member_lines(AnswerSyntax)
    chat = tuple(prompt_format(BuiltinPromptFormat.CHAT_TEMPLATE).syntaxes)
    parts = ["## Answers that are read", "A line break in an answer is shown as ⏎."]
    for syntax, examples in answers.SYNTAX_EXAMPLES.items():
        read = [(text, answers.read(text, (AnswerSyntax.PYTHON, syntax))) for text in examples]
        parts += [f"### {syntax}", docs[syntax], _read_table(read)]
    unreadable = [
        (code(text), code(str(answer.unreadable)), _short(answer.detail))
        for text in answers.UNREADABLE_EXAMPLES
        for answer in [answers.read(text, chat)]
    ]
    verdicts = [
        (code(each.text), code(each.error) if each.error else "right", _short(each.detail)) for each in answers.judged()
    ]
    names = _json([function["name"] for function in answers.TASK.functions])
    parsers = [(syntax, ", ".join(map(code, names))) for syntax, names in answers.VLLM_PARSERS.items()]
    return [
        *parts,
        "### By vLLM's tool parsers",
        "What a server with `--tool-call-parser NAME` reads, is read of the text of an answer in this syntax.",
        table(("syntax", "`--tool-call-parser`"), parsers),
        "### In every format of a chat template",
        "What a model thinks before `</think>`, or the mark of another family, is not part of its answer; "
        "`</think>` inside an argument is text. `[]` is an answer without calls.",
        _read_table([(text, answers.read(text, chat)) for text in answers.COMMON_EXAMPLES]),
        "## Answers that cannot be read",
        "The verdict has the words of the reader that got furthest.",
        table(("reason", "meaning"), [(code(name), text) for name, text in member_lines(Unreadable).items()]),
        table(("answer with `ChatTemplate`", "reason", "detail"), unreadable),
        "## Answers that fail",
        f"Errors of BFCL's checker. The task has the functions {code(names)} and expects "
        f"{code(_json(answers.TASK.ground_truth))}.",
        table(("answer", "error", "detail"), verdicts),
    ]


def _read_table(read: Iterable[tuple[str, ParsedAnswer]]) -> str:
    return table(("answer", "calls"), [(code(text), code(_json(answer.calls))) for text, answer in read])


def table(headings: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table. A pipe or a line break in a cell would end it."""
    lines = [[cell.replace("|", "\\|").replace("\n", "⏎") for cell in row] for row in (headings, *body)]
    first, *rest = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([first, "|" + "---|" * len(headings), *rest])


def code(text: str) -> str:
    """Return a text as code, whatever backticks are in it."""
    if "`" not in text:
        return f"`{text}`"
    longest = max(len(run) for run in "".join(c if c == "`" else " " for c in text).split())
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _first_paragraph(described: object) -> str:
    return " ".join((inspect.getdoc(type(described)) or "").partition("\n\n")[0].split())
