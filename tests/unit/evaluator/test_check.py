"""`bitagent-eval check`: the fetch Job's verdict, without its download."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.checks.advice import ADVICE
from bitagent_evaluator.checks.model import Check, check_directory, check_source
from bitagent_evaluator.cli import check as verb
from bitagent_evaluator.hub.cache import ModelCache
from bitagent_evaluator.hub.directory import ModelDirectory
from bitagent_evaluator.hub.errors import MODEL_FAULTS
from bitagent_evaluator.hub.fetch import fetch
from bitagent_evaluator.hub.huggingface import HubRepository

REPO = "acme/tiny"
COMMIT = "a" * 40
WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitagent_evaluator.hub.retries.time.sleep", lambda seconds: None)


def hub_check(hub: Any, revision: str = "main", **limits: int) -> Check:
    return check_source(HubRepository(REPO, revision, endpoint=hub.endpoint), REPO, **limits)


def with_nan(checkpoint: Any) -> None:
    def poison(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        values = np.frombuffer(data, np.uint16).copy()
        values[7] = 0x7FC0
        return header, values.tobytes()

    checkpoint.header(poison)


def test_repository_gets_the_facts_of_a_fetch_without_its_weights(hub: Any, models: Path, tmp_path: Path) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    check = hub_check(hub)
    read = sum(request["bytes"] for request in hub.requests(WEIGHTS))
    assert check.reason is Reason.SAFE and check.exit_code == 0 and not check.values_scanned
    assert 0 < read <= 64 << 10, "only the header was read"
    source = HubRepository(REPO, "main", endpoint=hub.endpoint)
    fetched = fetch(source, REPO, ModelCache(tmp_path / "cache"), max_bytes=1 << 30, cache_max_bytes=0)
    assert check.facts == fetched.facts


def test_unsafe_repository_has_facts_too(hub: Any, checkpoint: Any) -> None:
    checkpoint.config(auto_map={"AutoConfig": "evil.C"})
    hub.add(REPO, checkpoint.path, COMMIT)
    check = hub_check(hub)
    assert (check.reason, check.exit_code) == (Reason.CUSTOM_CODE, 78)
    assert check.facts is not None and check.facts.parameters == 422_400


def test_missing_revision_is_the_models_fault(hub: Any, models: Path) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    check = hub_check(hub, "nosuch")
    assert (check.reason, check.exit_code, check.facts) == (Reason.REVISION_NOT_FOUND, 78, None)


def test_hub_that_fails_is_nobodys_fault(hub: Any, models: Path) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    endpoint = hub.endpoint
    hub.server.shutdown()
    hub.server.server_close()
    check = check_source(HubRepository(REPO, "main", endpoint=endpoint), REPO)
    assert (check.reason, check.exit_code) == (Reason.HUB_UNAVAILABLE, 1)


def test_too_large(hub: Any, models: Path) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    assert hub_check(hub, max_bytes=100_000).reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("scan", "reason"), [(True, Reason.NON_FINITE_WEIGHTS), (False, Reason.SAFE)], ids=["whole", "quick"]
)
def test_directory_is_searched_for_nan(checkpoint: Any, scan: bool, reason: Reason) -> None:
    with_nan(checkpoint)
    check = check_directory(checkpoint.path, scan_values=scan)
    assert (check.reason, check.values_scanned) == (reason, scan)
    assert check.facts is not None


def test_links_of_a_local_directory_are_followed(checkpoint: Any, tmp_path: Path) -> None:
    weights = checkpoint.path / WEIGHTS
    weights.rename(tmp_path / "blob")
    weights.symlink_to(tmp_path / "blob")
    assert check_directory(checkpoint.path).reason is Reason.SAFE


KNOWS_THE_TASK = "{% for m in messages %}\n{% if 'area' in m.content %}HINT{% endif %}{{ m.content }}{% endfor %}"


def test_template_of_a_repository_is_audited_without_its_weights(hub: Any, checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(KNOWS_THE_TASK)
    hub.add(REPO, checkpoint.path, COMMIT)
    check = hub_check(hub)
    assert (check.reason, check.exit_code) == (Reason.TEMPLATE_REFUSED, 78)
    assert check.facts is not None and check.findings[0].line == 2
    assert sum(request["bytes"] for request in hub.requests(WEIGHTS)) <= 64 << 10


def test_template_inside_the_tokenizer_configuration_is_audited(checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").unlink()
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "chat_template": KNOWS_THE_TASK})
    assert check_directory(checkpoint.path).reason is Reason.TEMPLATE_REFUSED


def test_weights_are_looked_at_whatever_the_template_is(checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(KNOWS_THE_TASK)
    check = check_directory(checkpoint.path)
    assert check.reason is Reason.TEMPLATE_REFUSED and check.values_scanned
    with_nan(checkpoint)
    check = check_directory(checkpoint.path)
    assert check.reason is Reason.NON_FINITE_WEIGHTS and len(check.findings) == 1


def test_note_about_a_template_is_no_refusal(checkpoint: Any) -> None:
    source = "{{ strftime_now('%Y') }}{% for m in messages %}{{ m.content }}{% endfor %}"
    (checkpoint.path / "chat_template.jinja").write_text(source)
    check = check_directory(checkpoint.path)
    assert check.reason is Reason.SAFE and [str(finding.severity) for finding in check.findings] == ["note"]


def test_fetch_tells_of_a_refused_template_and_fetches(checkpoint: Any, tmp_path: Path) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(KNOWS_THE_TASK)
    for _ in range(2):
        fetched = fetch(
            ModelDirectory(checkpoint.path), REPO, ModelCache(tmp_path / "cache"), max_bytes=1 << 30, cache_max_bytes=0
        )
        assert fetched.reason is Reason.FETCHED
        assert "Formats that use its template will refuse it: the chat template: line 2" in fetched.message
    assert fetched.already_cached


def test_every_verdict_has_advice() -> None:
    ends = {
        Reason.SAFE,
        Reason.NON_FINITE_WEIGHTS,
        Reason.TEMPLATE_REFUSED,
        Reason.HUB_UNAVAILABLE,
        Reason.FETCH_FAILED,
        Reason.INFRASTRUCTURE_FAULT,
    }
    assert ADVICE.keys() == MODEL_FAULTS | ends


def test_verb_prints_facts_and_verdict(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.main([str(models / "tiny-fc-gptq")]) == 0
    out = capsys.readouterr().out
    assert "422,400" in out and "gptq" in out and "Safe" in out and "none named" in out


def test_verb_prints_json_and_fails_with_78(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (checkpoint.path / WEIGHTS).unlink()
    assert verb.main([str(checkpoint.path), "--json"]) == 78
    told = json.loads(capsys.readouterr().out)
    assert told["reason"] == "NoSafetensors" and told["facts"] is None and "safetensors" in told["advice"]


def test_verb_shows_the_lines_of_a_refused_template(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(KNOWS_THE_TASK)
    assert verb.main([str(checkpoint.path), "--quick"]) == 78
    out = capsys.readouterr().out
    assert "TemplateRefused" in out and "text-decision" in out and "{% if 'area' in m.content %}" in out
    assert verb.main([str(checkpoint.path), "--quick", "--json"]) == 78
    (finding,) = json.loads(capsys.readouterr().out)["template"]
    assert (finding["severity"], finding["line"], finding["rule"]) == ("refuse", 2, "text-decision")


def test_verb_reads_a_pinned_revision(
    hub: Any, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    there = functools.partial(HubRepository, endpoint=hub.endpoint)  # HF_ENDPOINT is read once, at import
    monkeypatch.setattr("bitagent_evaluator.hub.huggingface.HubRepository", there)
    assert verb.main([f"{REPO}@{COMMIT}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["commit"] == COMMIT


@pytest.mark.parametrize(
    "model", ["./nowhere", "a/b/c", "owner/name@bad revision", ""], ids=["path", "three parts", "revision", "empty"]
)
def test_what_names_no_model_is_wrong_usage(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb.main([model]) == 2
    assert "neither a directory nor a repository" in capsys.readouterr().err
