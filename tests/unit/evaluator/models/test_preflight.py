"""Preflight: the fetch Job's verdict on a model, without its download."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_OK
from bitagent_evaluator.models.cache import ModelCache
from bitagent_evaluator.models.fetch import fetch
from bitagent_evaluator.models.hub import HubRepository
from bitagent_evaluator.models.preflight import ADVICE, PreflightResult, check_directory, check_source
from bitagent_evaluator.models.source import ModelDirectory

REPO = "acme/tiny"
COMMIT = "a" * 40
WEIGHTS = "model.safetensors"
NOT_FETCHED = {
    Reason.REPOSITORY_NOT_FOUND,
    Reason.REVISION_NOT_FOUND,
    Reason.ACCESS_DENIED,
    Reason.NO_SAFETENSORS,
    Reason.CORRUPT_WEIGHTS,
    Reason.CUSTOM_CODE,
    Reason.BAD_CONFIG,
    Reason.BAD_TOKENIZER,
    Reason.TOO_LARGE,
    Reason.UNSUPPORTED_ARCHITECTURE,
    Reason.UNSUPPORTED_QUANTIZATION,
}
"""Reasons for which a model cannot be fetched or loaded, however often it is tried."""


def hub_check(hub: Any, revision: str = "main", **limits: int) -> PreflightResult:
    return check_source(HubRepository(REPO, revision, endpoint=hub.endpoint), REPO, **limits)


def with_nan(checkpoint: Any) -> None:
    def poison(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        values = np.frombuffer(data, np.uint16).copy()
        values[7] = 0x7FC0
        return header, values.tobytes()

    checkpoint.header(poison)


HEAD, EMBEDDINGS = "lm_head.weight", "model.embed_tokens.weight"


def with_head(checkpoint: Any, *, equal: bool) -> None:
    """Add a head to tied embeddings: a copy of them, or one of zeros."""

    def add(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        start, end = header[EMBEDDINGS]["data_offsets"]
        head = {**header[EMBEDDINGS], "data_offsets": [len(data), len(data) + end - start]}
        return {**header, HEAD: head}, data + (data[start:end] if equal else bytes(end - start))

    checkpoint.header(add)


@pytest.mark.parametrize(
    ("equal", "scan_values", "parameters", "copied"),
    [
        pytest.param(False, True, 483_840, False, id="its own"),
        pytest.param(True, True, 422_400, True, id="a copy, which the engine shares"),
        pytest.param(True, False, 483_840, None, id="values not read"),
    ],
)
def test_a_head_beside_tied_embeddings_is_noted_and_counts_as_the_engine_loads_it(
    checkpoint: Any, equal: bool, scan_values: bool, parameters: int, copied: bool | None
) -> None:
    with_head(checkpoint, equal=equal)
    check = check_directory(checkpoint.path, scan_values=scan_values)
    assert check.reason is Reason.SAFE and check.facts is not None and check.facts.memory is not None
    assert (check.facts.parameters, check.copied_head, len(check.weight_notes)) == (parameters, copied, 1)
    assert check.facts.memory.numbers == parameters


def test_repository_gets_the_facts_of_a_fetch_without_its_weights(published: Any, tmp_path: Path) -> None:
    check = hub_check(published)
    read = sum(request["bytes"] for request in published.requests(WEIGHTS))
    assert check.reason is Reason.SAFE and check.exit_code == 0 and not check.values_scanned
    assert 0 < read <= 64 << 10, "only the header was read"
    source = HubRepository(REPO, "main", endpoint=published.endpoint)
    fetched = fetch(source, REPO, ModelCache(tmp_path / "cache"), max_bytes=1 << 30, cache_max_bytes=0)
    assert check.facts is not None and fetched.facts is not None
    differences = {
        name for name in type(check.facts).model_fields if getattr(check.facts, name) != getattr(fetched.facts, name)
    }
    assert differences == {"weights_digest", "similarity"}, "these alone need the weights"


def test_unsafe_repository_has_facts_too(hub: Any, checkpoint: Any) -> None:
    checkpoint.config(auto_map={"AutoConfig": "evil.C"})
    hub.add(REPO, checkpoint.path, COMMIT)
    check = hub_check(hub)
    assert (check.reason, check.exit_code) == (Reason.CUSTOM_CODE, 78)
    assert check.facts is not None and check.facts.parameters == 422_400


def test_missing_revision_is_the_models_fault(published: Any) -> None:
    check = hub_check(published, "nosuch")
    assert (check.reason, check.exit_code, check.facts) == (Reason.REVISION_NOT_FOUND, 78, None)


def test_hub_that_fails_is_the_infrastructures_fault(published: Any) -> None:
    endpoint = published.endpoint
    published.server.shutdown()
    published.server.server_close()
    check = check_source(HubRepository(REPO, "main", endpoint=endpoint), REPO)
    assert (check.reason, check.exit_code) == (Reason.HUB_UNAVAILABLE, 1)


def test_too_large(published: Any) -> None:
    assert hub_check(published, max_bytes=100_000).reason is Reason.TOO_LARGE


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


def test_fetch_reports_a_refused_template_and_fetches(checkpoint: Any, tmp_path: Path) -> None:
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
    assert ADVICE.keys() == NOT_FETCHED | ends


@pytest.mark.parametrize("reason", ADVICE)
def test_exit_codes(reason: Reason) -> None:
    final = NOT_FETCHED | {Reason.NON_FINITE_WEIGHTS, Reason.TEMPLATE_REFUSED}
    expected = EXIT_OK if reason is Reason.SAFE else EXIT_MODEL_FAULT if reason in final else EXIT_INFRASTRUCTURE
    assert PreflightResult("m", reason, "", None).exit_code == expected


def test_files_that_are_not_read_are_noted(checkpoint: Any) -> None:
    (checkpoint.path / "adapter_model.safetensors").write_bytes(b"x")
    check = check_directory(checkpoint.path, scan_values=False)
    assert check.reason is Reason.SAFE
    assert len(check.file_notes) == 1 and "merge" in check.file_notes[0]
