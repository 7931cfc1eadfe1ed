"""`bitagent-eval check`: what a validator would say about a model, without downloading its weights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bitagent_crds.conditions import Reason
from bitagent_crds.fields import Repo, Revision
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_USAGE
from bitagent_crds.minermodel import ModelFacts
from bitagent_evaluator.checks.model import MAX_BYTES, Check, check_directory, check_source
from bitagent_evaluator.cli.output import fail, print_json, results, working
from bitagent_evaluator.safety.audit.finding import Finding, Severity

_EPILOG = (
    "The hub's address and token come from HF_ENDPOINT and HF_TOKEN. "
    "exit codes: 0 safe, 2 wrong usage, 78 the model's fault, 1 the hub or this machine"
)
_REPO: TypeAdapter[str] = TypeAdapter(Repo)
_REVISION: TypeAdapter[str] = TypeAdapter(Revision)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bitagent-eval check", description=__doc__, epilog=_EPILOG)
    parser.add_argument(
        "model", metavar="MODEL", help="a directory, or a repository as owner/name or owner/name@revision"
    )
    parser.add_argument(
        "--max-bytes", type=int, default=MAX_BYTES, metavar="N",
        help="largest total size of the files (default: %(default)s, the operator's default)",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help="do not look through a directory's weights for NaN and infinity"
    )
    parser.add_argument("--json", action="store_true", help="print facts and verdict as JSON")
    return parser


def main(argv: list[str]) -> int:
    """Check and show the verdict."""
    options = _parser().parse_args(argv)
    try:
        with working(f"checking {options.model}"):
            check = _check(options)
    except _NoModel as error:
        return fail("check", str(error), EXIT_USAGE)
    except OSError as error:
        return fail("check", f"{error.filename or options.model}: {error.strerror}", EXIT_INFRASTRUCTURE)
    if options.json:
        print_json(_plain(check))
    else:
        results().print(_view(check, is_directory=Path(options.model).is_dir()))
    return check.exit_code


class _NoModel(Exception):
    """The argument names neither a directory nor a repository."""


def _check(options: argparse.Namespace) -> Check:
    path = Path(options.model)
    if options.model and path.is_dir():
        return check_directory(path, max_bytes=options.max_bytes, scan_values=not options.quick)
    repo, _, revision = options.model.partition("@")
    try:
        _REPO.validate_python(repo)
        _REVISION.validate_python(revision or "main")
    except ValidationError:
        raise _NoModel(f"{options.model} is neither a directory nor a repository owner/name[@revision]") from None
    from bitagent_evaluator.hub.huggingface import HubRepository

    return check_source(HubRepository(repo, revision or "main"), options.model, max_bytes=options.max_bytes)


def _plain(check: Check) -> dict[str, Any]:
    return {
        "model": check.model,
        "reason": check.reason,
        "message": check.message,
        "advice": check.advice,
        "facts": check.facts.to_wire() if check.facts else None,
        "valuesScanned": check.values_scanned,
        "template": [finding.to_plain() for finding in check.findings],
    }


def _view(check: Check, *, is_directory: bool) -> Group:
    safe = check.reason is Reason.SAFE
    verdict = Table.grid(padding=(0, 2))
    verdict.add_row("verdict", Text(check.reason, style="bold green" if safe else "bold red"))
    verdict.add_row("", Text(check.message))
    verdict.add_row("what to do", Text(check.advice))
    if safe and not check.values_scanned:
        why = "--quick" if is_directory else "that needs the weights; the evaluation does it"
        verdict.add_row("not looked at", f"NaN and infinity in the weights ({why})")
    parts: list[RenderableType] = [verdict]
    if check.findings:
        parts.append(_template(check.findings))
    if check.facts is None:
        return Group(*parts)
    table = Table(title=Text(check.model), title_justify="left", show_header=False)
    for name, value in _facts(check.facts):
        table.add_row(name, Text(value))
    return Group(table, *parts)


def _template(findings: Sequence[Finding]) -> Table:
    table = Table("", "rule", "line", "what", title=Text("chat template"), title_justify="left")
    for finding in findings:
        style = "bold red" if finding.severity is Severity.REFUSE else ""
        what = Text(finding.explanation)
        if finding.text:
            what.append(f"\n{finding.text}", style="dim")
        table.add_row(Text(finding.severity, style=style), finding.rule, str(finding.line or ""), what)
    return table


def _facts(facts: ModelFacts) -> list[tuple[str, str]]:
    return [
        ("commit", facts.commit),
        ("size", f"{facts.size_bytes:,} bytes"),
        ("parameters", f"{facts.parameters:,}"),
        ("architecture", facts.architecture),
        ("licence", facts.license or "none named"),
        ("quantisation", facts.quantization or "none"),
        ("weights digest", facts.weights_digest),
        ("template digest", facts.template_digest or "no chat template"),
    ]
