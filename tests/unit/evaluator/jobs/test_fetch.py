"""FetchJob: a model on a volume into the cache, and the failures that are final or not."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.jobs import (
    EXIT_INFRASTRUCTURE,
    EXIT_LATER,
    EXIT_MODEL_FAULT,
    EXIT_OK,
    FetchJob,
    FetchSummary,
    exit_code,
)
from bitagent_crds.names import cache_id
from bitagent_evaluator.jobs.fetch import handle
from bitagent_evaluator.models.commitment import OPTIONAL, directory_hash, with_hotkey
from bitagent_evaluator.sandbox.process import SandboxUnavailable


def job(tmp_path: Path, **changes: Any) -> FetchJob:
    made: dict[str, Any] = {"cache_dir": str(tmp_path / "cache"), "max_bytes": 1 << 30, "cache_max_bytes": 0}
    return FetchJob(**(made | changes))


def test_from_a_volume(tmp_path: Path, checkpoint: Any) -> None:
    summary = handle(job(tmp_path, repo="volume/claim", directory=str(checkpoint.path)))
    assert isinstance(summary, FetchSummary) and exit_code(summary.reason) == EXIT_OK
    assert summary.facts is not None
    assert (tmp_path / "cache" / "volume" / "claim" / summary.facts.commit / "config.json").exists()


@pytest.mark.parametrize("known", [False, True], ids=["fetched", "in the cache already"])
def test_files_that_were_not_committed_to_are_final(tmp_path: Path, checkpoint: Any, known: bool) -> None:
    hotkey = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"
    source = {"repo": "volume/claim", "directory": str(checkpoint.path)}
    if known:
        handle(job(tmp_path, **source))
    summary = handle(job(tmp_path, commitment={"hash": "A" * 43 + "=", "hotkey": hotkey}, **source))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_MODEL_FAULT, Reason.COMMITMENT_MISMATCH)
    digests = {
        path.name: hashlib.sha256(path.read_bytes()).digest()
        for path in checkpoint.path.iterdir()
        if path.name in {"config.json", "model.safetensors", *OPTIONAL}
    }
    right = with_hotkey(directory_hash(digests), hotkey)
    summary = handle(job(tmp_path, commitment={"hash": right, "hotkey": hotkey}, **source))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_OK, Reason.FETCHED)


def test_of_an_unsafe_model_is_final(tmp_path: Path, checkpoint: Any) -> None:
    checkpoint.config(auto_map={})
    summary = handle(job(tmp_path, repo="volume/claim", directory=str(checkpoint.path)))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_MODEL_FAULT, Reason.CUSTOM_CODE)


def test_whose_cache_cannot_be_written_is_infrastructure(tmp_path: Path, checkpoint: Any) -> None:
    (tmp_path / "cache").write_text("in the way")
    summary = handle(job(tmp_path, repo="volume/claim", directory=str(checkpoint.path)))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_INFRASTRUCTURE, Reason.FETCH_FAILED)


def test_whose_sandbox_is_lost_may_be_the_models_own_trouble(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(*_: Any, **__: Any) -> None:
        raise SandboxUnavailable("the sandbox ended with -9 before it answered")

    monkeypatch.setattr("bitagent_evaluator.jobs.fetch.fetch", lose)
    summary = handle(job(tmp_path, repo="volume/claim", directory=str(checkpoint.path)))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_INFRASTRUCTURE, Reason.CRASHED)


def test_a_revision_is_resolved_without_its_files(tmp_path: Path, checkpoint: Any) -> None:
    source = {"repo": "volume/claim", "directory": str(checkpoint.path)}
    summary = handle(job(tmp_path, resolve_only=True, **source))
    assert (exit_code(summary.reason), summary.reason, summary.facts) == (EXIT_OK, Reason.RESOLVED, None)
    assert not (tmp_path / "cache").exists()
    fetched = handle(job(tmp_path, **source))
    assert fetched.facts is not None
    assert summary.commit == fetched.facts.commit


def test_a_full_cache_is_waited_for(tmp_path: Path, checkpoint: Any) -> None:
    source = {"repo": "volume/claim", "directory": str(checkpoint.path), "cache_max_bytes": 1 << 20}
    fresh = tmp_path / "cache" / "acme" / "other" / ("." + "c" * 40 + ".partial")
    fresh.mkdir(parents=True)
    (fresh / "model.safetensors.part").write_bytes(b"x" * (1 << 20))
    summary = handle(job(tmp_path, **source))
    assert (exit_code(summary.reason), summary.reason, summary.facts) == (EXIT_OK, Reason.CACHE_FULL, None)


def test_what_made_room_is_reported(tmp_path: Path, checkpoint: Any) -> None:
    files = {"directory": str(checkpoint.path), "cache_max_bytes": 1 << 40}
    first = handle(job(tmp_path, repo="volume/first", **files))
    assert isinstance(first, FetchSummary) and first.facts is not None
    assert (first.evicted_models, first.evicted_bytes) == (None, None)
    folder = tmp_path / "cache/volume/first" / first.facts.commit
    size = sum(path.stat().st_size for path in folder.iterdir())
    room = {"done": [cache_id(f"volume/first/{first.facts.commit}")]}
    second = handle(job(tmp_path, repo="volume/second", room=room, **(files | {"cache_max_bytes": size + 10})))
    assert isinstance(second, FetchSummary)
    assert (second.reason, second.evicted_models, second.evicted_bytes) == (Reason.FETCHED, 1, size)


@pytest.mark.parametrize("limits", [{"cache_max_bytes": 10}, {"cache_max_bytes": 1 << 40, "room": {"share_bytes": 10}}])
def test_a_model_that_can_never_fit_is_too_large(tmp_path: Path, checkpoint: Any, limits: dict[str, Any]) -> None:
    summary = handle(job(tmp_path, repo="volume/claim", directory=str(checkpoint.path), **limits))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_MODEL_FAULT, Reason.TOO_LARGE)


def test_without_a_source_there_is_nothing_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="repo or directory"):
        handle(job(tmp_path))


def test_whose_volume_is_full_is_infrastructure(
    tmp_path: Path, checkpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bitagent_evaluator.jobs.fetch.fetch", fill)
    summary = handle(job(tmp_path, repo="volume/claim", directory=str(checkpoint.path)))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_INFRASTRUCTURE, Reason.VOLUME_FULL)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"Retry-After": "7"}, 7, id="Retry-After"),
        pytest.param({"RateLimit": '"api";r=0;t=55'}, 55, id="RateLimit"),
        pytest.param({}, None, id="neither"),
    ],
)
def test_a_hub_that_limits_requests_says_how_long(
    tmp_path: Path, website: Any, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], seconds: int | None
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", website.url)
    website.refuses, website.retry_after = {"/api/models/": 429}, headers
    summary = handle(job(tmp_path, repo="acme/tiny"))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_LATER, Reason.HUB_RATE_LIMITED)
    assert summary.retry_after_seconds == seconds


WHOAMI = "/api/whoami-v2"


@pytest.mark.parametrize(
    ("operator_token", "known", "reason"),
    [
        pytest.param(True, False, Reason.HUB_TOKEN_REJECTED, id="the operator's, unknown"),
        pytest.param(False, False, Reason.ACCESS_DENIED, id="the model's, unknown"),
        pytest.param(True, True, Reason.ACCESS_DENIED, id="the operator's, good"),
    ],
)
def test_a_broken_token_is_told_apart_from_a_closed_repository(
    tmp_path: Path,
    website: Any,
    monkeypatch: pytest.MonkeyPatch,
    operator_token: bool,
    known: bool,
    reason: Reason,
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", website.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    website.refuses = {"/api/models/": 401} | ({} if known else {WHOAMI: 401})
    website.files[WHOAMI] = b'{"name": "validator", "auth": {}}'
    summary = handle(job(tmp_path, repo="acme/tiny", operator_token=operator_token))
    assert summary.reason is reason
    assert [path for path, _ in website.asked if path == WHOAMI]


def test_without_a_token_there_is_none_to_blame(tmp_path: Path, website: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", website.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    website.refuses = {"/api/models/": 401}
    assert handle(job(tmp_path, repo="acme/tiny")).reason is Reason.ACCESS_DENIED
    assert not [path for path, _ in website.asked if path == WHOAMI]


def test_the_facts_alone(tmp_path: Path, checkpoint: Any) -> None:
    summary = handle(job(tmp_path, repo="volume/claim", directory=str(checkpoint.path), facts_only=True))
    assert (exit_code(summary.reason), summary.reason, summary.facts is not None) == (0, Reason.RESOLVED, True)
    assert not [path for path in tmp_path.rglob("*.safetensors") if checkpoint.path not in path.parents]


def test_a_model_that_no_round_admits_ends_with_that_reason(tmp_path: Path, checkpoint: Any) -> None:
    rules = [{"maxParameters": 1}]
    summary = handle(job(tmp_path, repo="volume/claim", directory=str(checkpoint.path), admissions=rules))
    assert (exit_code(summary.reason), summary.reason) == (EXIT_MODEL_FAULT, Reason.TOO_MANY_PARAMETERS)
    assert summary.facts is not None
