"""The audit of a model's files in the sandbox: known families pass, hostile templates end within bounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bitagent_evaluator.chat_templates.audit.findings import Rule, refusals
from bitagent_evaluator.chat_templates.render import CHATML
from bitagent_evaluator.models.validation import template_audit
from bitagent_evaluator.models.validation.template_audit import audit_files, audit_source

FAMILIES = sorted((Path(__file__).parents[2] / "chat_templates" / "templates").glob("*.jinja"))
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_family_passes(path: Path) -> None:
    found = audit_source(path.read_text(), SPECIAL)
    assert refusals(found) == []
    assert {finding.rule for finding in found} <= {Rule.NONDETERMINISM}


@pytest.mark.parametrize("name", ["tiny-fc-1200", "tiny-fc-gptq"])
def test_own_models_pass(models: Path, name: str) -> None:
    assert audit_source((models / name / "chat_template.jinja").read_text(), SPECIAL) == []
    assert audit_source(CHATML, {}) == []


BOMBS = {
    "endless": ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "processor time"),
    "power": ("{{ 9 ** (9 ** 9) }}", "processor time"),
    "gigabytes": ("{{ 'a' * 10 ** 10 }}", "memory"),
    "nested": ("{% if 1 %}" * 2000 + "{% endif %}" * 2000, "nested"),
    "parentheses": ("{{" + "(" * 15_000, "nested"),
    "recursion": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested"),
    "output": ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "262144"),
    "syntax": ("{% for %}", "TemplateSyntaxError"),
    "refuses everything": ("{{ raise_exception('not today') }}", "not today"),
    "too long": ("x" * 65_537, "65537"),
    "many variables": ("".join(f"{{% set v{n} = v{n + 1} %}}" for n in range(2600)) + "{% set v2600 = messages %}", ""),
    "long chain of subscripts": ("{{ messages" + "[0]" * 300 + " }}", ""),
}  # fmt: skip


@pytest.mark.parametrize(("source", "words"), BOMBS.values(), ids=BOMBS.keys())
def test_hostile_template_is_a_finding_within_bounds(monkeypatch: pytest.MonkeyPatch, source: str, words: str) -> None:
    """With the shortest limit; tests/unit/evaluator/test_hostile_inputs.py has the real one."""
    monkeypatch.setattr(template_audit, "_LIMITS", replace(template_audit._LIMITS, cpu_seconds=0.1, wall_factor=100))
    found = audit_files({"tokenizer_config.json": b"{}", "chat_template.jinja": source.encode()})
    assert [finding.rule for finding in refusals(found)] == [Rule.BROKEN]
    assert words in found[0].explanation


def test_model_without_a_template_has_no_findings() -> None:
    assert audit_files({"tokenizer_config.json": b"{}"}) == []
