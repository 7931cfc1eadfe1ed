"""Fetching against a hub on the loopback device: whole, interrupted, refused, repeated."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_evaluator.hub.cache import RECORD, ModelCache
from bitagent_evaluator.hub.directory import ModelDirectory, pieces
from bitagent_evaluator.hub.download import download
from bitagent_evaluator.hub.errors import MODEL_FAULTS, FetchError
from bitagent_evaluator.hub.fetch import Fetched, fetch
from bitagent_evaluator.hub.huggingface import HubRepository
from bitagent_evaluator.hub.source import Snapshot, Source, digest_of_files, sha256_of
from bitagent_evaluator.safety.selection import fetched_files

REPO = "acme/tiny"
COMMIT = "a" * 40
WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Retries do not pause; the pauses that were asked for."""
    pauses: list[float] = []
    monkeypatch.setattr("bitagent_evaluator.hub.retries.time.sleep", pauses.append)
    return pauses


@pytest.fixture
def published(hub: Any, models: Path) -> Any:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    return hub


def fetched(hub: Any, cache: Path, *, repo: str = REPO, revision: str = "main", **limits: int) -> Fetched:
    source = HubRepository(repo, revision, endpoint=hub.endpoint)
    return fetch(source, repo, ModelCache(cache), **{"max_bytes": 1 << 30, "cache_max_bytes": 0, **limits})


def contents(folder: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name != RECORD}


def wanted(models: Path) -> dict[str, bytes]:
    whole = contents(models / "tiny-fc-1200")
    return {name: whole[name] for name in fetched_files(whole)}


def test_fetch_brings_exactly_the_known_files(published: Any, models: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("pytorch_model.bin", "modeling_evil.py", "README.md"):
        (published.root / REPO / COMMIT / name).write_text("---\nlicense: mit\n---\n")
    outcome = fetched(published, cache)
    folder = cache / REPO / COMMIT
    assert outcome.reason is Reason.FETCHED and outcome.facts is not None
    assert contents(folder) == wanted(models)
    assert outcome.facts.commit == COMMIT
    assert outcome.facts.license == "mit"
    assert outcome.facts.size_bytes == sum(map(len, wanted(models).values()))
    digest = sha256_of(pieces(folder / WEIGHTS))
    assert outcome.facts.weights_digest == digest_of_files({WEIGHTS: digest})
    assert not published.requests("pytorch_model.bin") and not published.requests("modeling_evil.py")


def test_fetched_files_are_readable_by_anyone(published: Any, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        fetched(published, tmp_path / "cache")
    finally:
        os.umask(before)
    folder = tmp_path / "cache" / REPO / COMMIT
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in folder.iterdir()} == {0o644}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *list(folder.parents)[:3])} == {0o755}


def test_second_fetch_reads_no_file(published: Any, tmp_path: Path) -> None:
    first = fetched(published, tmp_path)
    published.server.faults.forget()
    second = fetched(published, tmp_path)
    assert second.already_cached and second.facts == first.facts
    assert not published.requests("/resolve/")


@pytest.mark.parametrize("name", [WEIGHTS, RECORD])
def test_damaged_cache_is_fetched_again(published: Any, models: Path, tmp_path: Path, name: str) -> None:
    fetched(published, tmp_path)
    damaged = tmp_path / REPO / COMMIT / name
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert not fetched(published, tmp_path).already_cached
    assert contents(tmp_path / REPO / COMMIT) == wanted(models)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_broken_connections_are_resumed(published: Any, models: Path, tmp_path: Path, ending: str) -> None:
    published.breaks(download={"match": f"*/{WEIGHTS}", "after_bytes": 300_000, "times": 2, "ending": ending})
    fetched(published, tmp_path)
    assert contents(tmp_path / REPO / COMMIT) == wanted(models)
    starts = [
        int(request["range"].removeprefix("bytes=").split("-")[0])
        for request in published.requests(WEIGHTS)
        if request["bytes"] > 200_000
    ]
    assert starts[0] == 0 and starts == sorted(set(starts)), "each attempt begins where the last one ended"


def test_fetch_survives_a_hub_that_is_busy(published: Any, tmp_path: Path, quick_retries: list[float]) -> None:
    published.breaks(unavailable=3)
    assert fetched(published, tmp_path).reason is Reason.FETCHED
    assert len(quick_retries) == 3


def test_hub_that_stays_away_is_infrastructure(published: Any, tmp_path: Path) -> None:
    published.breaks(unavailable=1000)
    with pytest.raises(FetchError, match="503") as error:
        fetched(published, tmp_path)
    assert error.value.reason is Reason.HUB_UNAVAILABLE


def test_hub_that_is_not_there_is_infrastructure(published: Any, tmp_path: Path) -> None:
    source = HubRepository(REPO, "main", endpoint="http://127.0.0.1:9")
    with pytest.raises(FetchError) as error:
        fetch(source, REPO, ModelCache(tmp_path), max_bytes=1 << 30, cache_max_bytes=0)
    assert error.value.reason is Reason.HUB_UNAVAILABLE


def _fetch_in_child(endpoint: str, cache: Path) -> None:
    source = HubRepository(REPO, "main", endpoint=endpoint)
    fetch(source, REPO, ModelCache(cache), max_bytes=1 << 30, cache_max_bytes=0)


def _until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_killed_fetch_is_continued(published: Any, models: Path, tmp_path: Path) -> None:
    # The judge reads the header alone, so only the download is long enough to be broken.
    published.breaks(download={"match": f"*/{WEIGHTS}", "after_bytes": 500_000, "ending": "stall"})
    child = multiprocessing.get_context("spawn").Process(target=_fetch_in_child, args=(published.endpoint, tmp_path))
    child.start()
    partial = tmp_path / REPO / f".{COMMIT}.partial" / f"{WEIGHTS}.part"
    _until(lambda: any(request["bytes"] == 500_000 for request in published.requests(WEIGHTS)))
    _until(lambda: (partial.exists() and partial.stat().st_size > 0) or not child.is_alive())
    child.kill()
    child.join()
    kept = partial.stat().st_size
    assert not (tmp_path / REPO / COMMIT).exists()
    published.breaks()
    published.server.faults.forget()
    assert not fetched(published, tmp_path).already_cached
    assert contents(tmp_path / REPO / COMMIT) == wanted(models)
    assert not partial.parent.exists()
    ranges = [request["range"] for request in published.requests(WEIGHTS)]
    assert any(found.startswith(f"bytes={kept}-") for found in ranges)


def test_two_fetches_of_one_commit_download_once(published: Any, tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=_fetch_in_child, args=(published.endpoint, tmp_path)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    whole = (tmp_path / REPO / COMMIT / WEIGHTS).stat().st_size
    assert sum(request["bytes"] == whole for request in published.requests(WEIGHTS)) == 1


def test_partial_file_with_other_bytes_is_thrown_away(published: Any, models: Path, tmp_path: Path) -> None:
    partial = ModelCache(tmp_path).partial(f"{REPO}/{COMMIT}")
    (partial / f"{WEIGHTS}.part").write_bytes(b"\0" * 1000)
    (partial / "left-over").write_bytes(b"x")
    fetched(published, tmp_path)
    assert contents(tmp_path / REPO / COMMIT) == wanted(models)


@pytest.mark.parametrize("kept", [None, 1000], ids=["gone", "shorter"])
def test_a_file_that_is_listed_and_not_served_is_the_models_fault(
    published: Any, tmp_path: Path, quick_retries: list[float], kept: int | None
) -> None:
    """A miner may delete large files of a commit that still lists them; a round must not fail over it."""
    source = HubRepository(REPO, "main", endpoint=published.endpoint)
    snapshot = source.resolve()
    weights = published.root / REPO / COMMIT / WEIGHTS
    weights.unlink() if kept is None else weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(FetchError, match=rf"lists a file that it does not serve: .*{WEIGHTS}") as error:
        download(source, snapshot, WEIGHTS, tmp_path)
    assert error.value.reason is Reason.REVISION_NOT_FOUND
    assert error.value.reason in MODEL_FAULTS
    assert len(quick_retries) >= 4, "it may be the hub's passing trouble"


def test_a_refused_request_is_tried_again(published: Any, tmp_path: Path, quick_retries: list[float]) -> None:
    """Signed addresses expire: one refusal says nothing of the repository."""

    class Refusing(HubRepository):
        refusals = 2

        def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
            if self.refusals and name == WEIGHTS:
                self.refusals -= 1
                raise self._of_status(SimpleNamespace(response=SimpleNamespace(status_code=403)))
            return super().stream(snapshot, name, start, end)

    source = Refusing(REPO, "main", endpoint=published.endpoint)
    fetch(source, REPO, ModelCache(tmp_path), max_bytes=1 << 30, cache_max_bytes=0)
    source.refusals = 99
    with pytest.raises(FetchError, match="403") as error:
        download(source, source.resolve(), WEIGHTS, tmp_path)
    assert error.value.reason is Reason.ACCESS_DENIED


class Garbling:
    """A directory whose large file arrives with other bytes than its digest says."""

    def __init__(self, path: Path, fillings: list[bytes]) -> None:
        self._directory = ModelDirectory(path)
        self._fillings = iter(fillings)

    def resolve(self) -> Snapshot:
        return self._directory.resolve()

    def stream(self, snapshot: Snapshot, name: str, start: int, end: int) -> Iterator[bytes]:
        yield next(self._fillings) * (end - start)


@pytest.mark.parametrize(
    ("fillings", "reason"),
    [([b"x", b"x"], Reason.CORRUPT_WEIGHTS), ([b"x", b"y"], Reason.FETCH_FAILED)],
    ids=["the same each time", "others each time"],
)
def test_other_bytes_than_stated(models: Path, tmp_path: Path, fillings: list[bytes], reason: Reason) -> None:
    """The same wrong bytes twice are what was uploaded; a broken line breaks differently."""
    source = Garbling(models / "tiny-fc-1200", fillings)
    with pytest.raises(FetchError, match="the repository states") as error:
        download(source, source.resolve(), WEIGHTS, tmp_path)
    assert error.value.reason is reason


def test_branch_follows_the_hub(published: Any, models: Path, tmp_path: Path) -> None:
    shutil.copytree(published.root / REPO / COMMIT, published.root / REPO / ("b" * 40))
    refs = {"branches": {"main": "b" * 40, "old": COMMIT}}
    (published.root / REPO / "refs.json").write_text(json.dumps(refs))
    commits = [fetched(published, tmp_path, revision=revision).facts for revision in ("main", "old", COMMIT)]
    assert [facts.commit for facts in commits if facts] == ["b" * 40, COMMIT, COMMIT]


@pytest.mark.parametrize(
    ("repo", "revision", "refs", "reason"),
    [
        ("acme/none", "main", {}, Reason.REPOSITORY_NOT_FOUND),
        (REPO, "nosuch", {}, Reason.REVISION_NOT_FOUND),
        (REPO, "f" * 40, {}, Reason.REVISION_NOT_FOUND),
        (REPO, "main", {"private": True}, Reason.REPOSITORY_NOT_FOUND),
        (REPO, "main", {"gated": True}, Reason.ACCESS_DENIED),
    ],
    ids=["no repository", "no branch", "no commit", "private", "gated"],
)
def test_what_is_not_there_is_final(
    hub: Any, models: Path, tmp_path: Path, repo: str, revision: str, refs: dict[str, Any], reason: Reason
) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT, **refs)
    with pytest.raises(FetchError) as error:
        fetched(hub, tmp_path, repo=repo, revision=revision)
    assert error.value.reason is reason
    assert repo in error.value.message


def test_a_template_with_unwritable_words_is_told_and_kept(hub: Any, tmp_path: Path, checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").unlink(missing_ok=True)
    template = "{{ raise_exception('\ud800 ä') }}"
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "chat_template": template})
    hub.add(REPO, checkpoint.path, COMMIT)
    for already_cached in (False, True):
        outcome = fetched(hub, tmp_path / "cache")
        assert (outcome.reason, outcome.already_cached) == (Reason.FETCHED, already_cached)
        assert "it fails on every conversation: TemplateError: ? ä" in outcome.message


def test_unsafe_model_is_not_downloaded(hub: Any, models: Path, tmp_path: Path, checkpoint: Any) -> None:
    checkpoint.config(auto_map={"AutoConfig": "evil.C"})
    hub.add(REPO, checkpoint.path, COMMIT)
    outcome = fetched(hub, tmp_path / "cache")
    assert outcome.reason is Reason.CUSTOM_CODE
    assert outcome.facts is not None and outcome.facts.parameters == 422_400
    assert not (tmp_path / "cache").exists()
    assert all(request["bytes"] <= 64 << 10 for request in hub.requests(WEIGHTS)), "only the header was read"


def test_too_large_for_the_limit(published: Any, tmp_path: Path) -> None:
    assert fetched(published, tmp_path, max_bytes=100_000).reason is Reason.TOO_LARGE


def test_token_is_sent_from_the_environment(
    hub: Any, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    fetched(hub, tmp_path / "without")
    assert not any(request["authenticated"] for request in hub.requests())
    hub.server.faults.forget()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    fetched(hub, tmp_path / "with")
    assert all(request["authenticated"] for request in hub.requests())


def directory_fetch(path: Path, cache: Path) -> Fetched:
    source: Source = ModelDirectory(path)
    return fetch(source, "volume/claim", ModelCache(cache), max_bytes=1 << 30, cache_max_bytes=0)


def test_directory_is_fetched_under_its_digest(checkpoint: Any, models: Path, tmp_path: Path) -> None:
    outcome = directory_fetch(checkpoint.path, tmp_path / "cache")
    assert outcome.facts is not None
    assert contents(tmp_path / "cache" / "volume" / "claim" / outcome.facts.commit) == wanted(models)
    assert directory_fetch(checkpoint.path, tmp_path / "cache").already_cached
    checkpoint.config(rms_norm_eps=1e-5)
    changed = directory_fetch(checkpoint.path, tmp_path / "cache").facts
    assert changed is not None and changed.commit != outcome.facts.commit
    assert changed.weights_digest == outcome.facts.weights_digest


def test_link_out_of_the_volume_is_not_followed(checkpoint: Any, tmp_path: Path) -> None:
    weights = checkpoint.path / WEIGHTS
    weights.rename(tmp_path / "outside.safetensors")
    weights.symlink_to(tmp_path / "outside.safetensors")
    assert directory_fetch(checkpoint.path, tmp_path / "cache").reason is Reason.NO_SAFETENSORS


def test_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FetchError) as error:
        directory_fetch(tmp_path / "none", tmp_path / "cache")
    assert error.value.reason is Reason.REPOSITORY_NOT_FOUND
