"""`bitagent-eval check`: check a model as a validator does, without downloading its weights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import Evaluation
from bitagent_crds.fields import Repo, Revision
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_USAGE, MemoryLimits
from bitagent_crds.memory import excess, memory_need
from bitagent_crds.minermodel import EngineChoices, ModelFacts
from bitagent_evaluator.chat_templates.audit.findings import Finding, Severity
from bitagent_evaluator.cli.console import show, spinner, untrusted
from bitagent_evaluator.cli.process import fail, print_json
from bitagent_evaluator.cli.run_models import file_message
from bitagent_evaluator.models.preflight import MAX_BYTES, PreflightResult, check_directory, check_source
from bitagent_evaluator.models.validation.chat import ChatDescription

_DESCRIPTION = "Check a model as a validator does, without downloading its weights."
_EPILOG = (
    "The hub's address and token come from HF_ENDPOINT and HF_TOKEN. "
    "exit codes: 0 safe, 2 wrong usage, 78 the model's fault, 1 the hub or this machine"
)
_COPIES = (
    "models of one weights digest compete as one, and the one that was committed first earns: another chat template, "
    "tokenizer, configuration, dtype or file layout makes no other model (bitagent-eval similar compares two)"
)
_REPO: TypeAdapter[str] = TypeAdapter(Repo)
_REVISION: TypeAdapter[str] = TypeAdapter(Revision)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval check", description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument(
        "model", metavar="MODEL", help="a directory, or a repository as owner/name or owner/name@revision"
    )
    parser.add_argument(
        "--max-bytes", type=int, default=MAX_BYTES, metavar="N",
        help="largest total size of the files (default: %(default)s, the operator's default)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="do not search a directory's weights for NaN and infinity")
    parser.add_argument("--json", action="store_true", help="print facts and verdict as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Check a model and print the verdict. Returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        with spinner(f"checking {options.model}"):
            check = _check(options)
    except _NoModel as error:
        return fail("check", str(error), EXIT_USAGE)
    except OSError as error:
        return fail("check", f"{error.filename or options.model}: {error.strerror or error}", EXIT_INFRASTRUCTURE)
    if options.json:
        print_json(_check_json(check))
    else:
        show(*_view(check, is_directory=Path(options.model).is_dir()))
    return check.exit_code


class _NoModel(Exception):
    """Raised if the argument names neither a directory nor a repository."""


def _check(options: argparse.Namespace) -> PreflightResult:
    path = Path(options.model)
    if options.model and path.is_dir():
        return check_directory(path, max_bytes=options.max_bytes, scan_values=not options.quick)
    if options.model and path.exists():
        raise _NoModel(file_message(path))
    repo, _, revision = options.model.partition("@")
    try:
        _REPO.validate_python(repo)
        _REVISION.validate_python(revision or "main")
    except ValidationError:
        raise _NoModel(f"{options.model} is neither a directory nor a repository owner/name[@revision]") from None
    from bitagent_evaluator.models.hub import MODEL, HubRepository

    source = HubRepository(repo, revision or "main", kind=replace(MODEL, access_advice="set HF_TOKEN"))
    return check_source(source, options.model, max_bytes=options.max_bytes)


def _check_json(check: PreflightResult) -> dict[str, Any]:
    return {
        "model": check.model,
        "reason": check.reason,
        "message": check.message,
        "advice": check.advice,
        "facts": check.facts.to_wire() if check.facts else None,
        "notes": [*check.weight_notes, *check.file_notes],
        "chat": _chat_json(check.chat) if check.chat else None,
        "valuesScanned": check.values_scanned,
        "template": [finding.to_plain() for finding in check.findings],
    }


def _chat_json(chat: ChatDescription) -> dict[str, Any]:
    return {
        "template": chat.template,
        "toolTemplate": chat.tool_template,
        "promptFormat": chat.prompt_format,
        "answerSyntax": chat.answer_syntax,
        "switchesThinking": chat.switches_thinking,
        "endTokens": [{"id": token.id, "text": token.text, "files": token.files} for token in chat.end_tokens],
        "quantization": chat.quantization,
        "notes": chat.notes,
    }


def _view(check: PreflightResult, *, is_directory: bool) -> list[RenderableType]:
    safe = check.reason is Reason.SAFE
    verdict = Table.grid(padding=(0, 2))
    verdict.add_row("verdict", Text(check.reason, style="bold green" if safe else "bold red"))
    verdict.add_row("", untrusted(check.message))
    verdict.add_row("what to do", Text(check.advice))
    if safe and not check.values_scanned:
        why = "--quick" if is_directory else "that needs the weights; the evaluation does it"
        verdict.add_row("not checked", f"NaN and infinity in the weights ({why})")
    parts: list[RenderableType] = [verdict]
    if safe:
        verdict.add_row("copies", Text(_COPIES))
    for note in (*check.weight_notes, *check.file_notes, *(check.chat.notes if check.chat else ())):
        verdict.add_row(Text("note", style="bold yellow"), untrusted(note))
    if check.findings:
        parts.append(_template(check.findings))
    if check.facts is None:
        return parts
    table = Table(title=untrusted(check.model), title_justify="left", show_header=False)
    for name, value in _facts(check.facts) + (_chat(check.chat) if check.chat else []):
        table.add_row(name, untrusted(value))
    return [table, *parts]


def _template(findings: Sequence[Finding]) -> Table:
    table = Table("", "rule", "line", "what", title=Text("chat template"), title_justify="left")
    for finding in findings:
        style = "bold red" if finding.severity is Severity.REFUSE else ""
        what = untrusted(finding.explanation)
        if finding.text:
            what.append_text(untrusted(f"\n{finding.text}", "dim"))
        table.add_row(Text(finding.severity, style=style), finding.rule, str(finding.line or ""), what)
    return table


def _facts(facts: ModelFacts) -> list[tuple[str, str]]:
    return [
        ("commit", facts.commit),
        ("size", f"{facts.size_bytes:,} bytes"),
        ("parameters", f"{facts.parameters:,}"),
        ("architecture", facts.architecture),
        ("licence", facts.license or "none named"),
        *([("hotkey of the card", facts.card_hotkey)] if facts.card_hotkey else []),
        ("quantisation", facts.quantization or "none"),
        ("memory", _memory(facts)),
        ("weights digest", facts.weights_digest or "needs the weights; the fetch computes it"),
        ("model digest", facts.model_digest or "unknown"),
        ("template digest", facts.template_digest or "no chat template"),
        ("tokenizer digest", facts.tokenizer_digest or "not admitted"),
    ]


_THINKING = {
    True: "the template has a switch: rounds may ask for On or Off",
    False: "the template has no switch: On and Off make the same prompt",
    None: "unknown",
}


def _chat(chat: ChatDescription) -> list[tuple[str, str]]:
    """Return which format `Auto` chooses, and the files of what decides prompts, ends and quantisation."""
    template = chat.template or "none; a plain ChatML one is used"
    if chat.tool_template != chat.template:
        template += f"; with tools {chat.tool_template}"
    tokens = [f"{token.text} ({token.id}: {', '.join(token.files)})" for token in chat.end_tokens]
    rows = [
        ("chat template", template),
        ("prompt format", f"Auto chooses {chat.prompt_format}" if chat.prompt_format else "unknown"),
        ("calls in the template", chat.answer_syntax or "no known marks"),
        ("thinking", _THINKING[chat.switches_thinking]),
        ("end tokens", ", ".join(tokens) or "none"),
    ]
    return [*rows, ("quantised by", chat.quantization)] if chat.quantization else rows


def _memory(facts: ModelFacts) -> str:
    """Return what an evaluation needs with the default bounds, and whether rounds reject the model for its shape."""
    if facts.memory is None:
        return "unknown"
    run, choices = Evaluation(), EngineChoices()
    need = f"at least {memory_need(facts.memory, choices, run).in_words} with a prompt of the default maxPromptTokens"
    rejected = excess(facts.memory, facts.parameters, choices, run, MemoryLimits())
    return f"{need}; rounds reject this shape ({Reason.NEEDS_TOO_MUCH_MEMORY})" if rejected else need
