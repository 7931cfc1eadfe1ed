"""Fetching against a hub on the loopback device: whole, interrupted, refused, repeated."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evalround import Admission
from bitagent_evaluator.models.cache import RECORD, ModelCache
from bitagent_evaluator.models.digests import directory_model_digest, weights_digest
from bitagent_evaluator.models.fetch import FetchResult, download, fetch
from bitagent_evaluator.models.hub import HubRepository
from bitagent_evaluator.models.similarity import similarity_sketch
from bitagent_evaluator.models.source import ModelDirectory, ModelSource, Snapshot
from bitagent_evaluator.models.validation.files import fetched_files
from bitagent_evaluator.support.faults import FetchError

REPO = "acme/tiny"
COMMIT = "a" * 40
WEIGHTS = "model.safetensors"


def fetched(hub: Any, cache: Path, *, repo: str = REPO, max_bytes: int = 1 << 30, **more: Any) -> FetchResult:
    source = HubRepository(repo, "main", endpoint=hub.endpoint)
    return fetch(source, repo, ModelCache(cache), max_bytes=max_bytes, cache_max_bytes=0, **more)


def contents(folder: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name != RECORD}


def expected(models: Path) -> dict[str, bytes]:
    whole = contents(models / "tiny-fc-1200")
    return {name: whole[name] for name in fetched_files(whole)}


def test_a_head_that_copies_tied_embeddings_is_no_parameter(hub: Any, checkpoint: Any, tmp_path: Path) -> None:
    def copy_embeddings(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        start, end = header["model.embed_tokens.weight"]["data_offsets"]
        head = {**header["model.embed_tokens.weight"], "data_offsets": [len(data), len(data) + end - start]}
        return {**header, "lm_head.weight": head}, data + data[start:end]

    checkpoint.header(copy_embeddings)
    hub.add(REPO, checkpoint.path, COMMIT)
    outcome = fetched(hub, tmp_path / "cache")
    assert outcome.facts is not None and outcome.facts.memory is not None
    assert (outcome.facts.parameters, outcome.facts.memory.numbers) == (422_400, 422_400)


def test_fetch_brings_exactly_the_known_files(published: Any, models: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    for name in ("pytorch_model.bin", "modeling_evil.py", "README.md"):
        (published.root / REPO / COMMIT / name).write_text("---\nlicense: mit\n---\n")
    outcome = fetched(published, cache)
    folder = cache / REPO / COMMIT
    assert outcome.reason is Reason.FETCHED and outcome.facts is not None
    assert contents(folder) == expected(models)
    assert outcome.facts.commit == COMMIT
    assert outcome.facts.license == "mit"
    assert outcome.facts.size_bytes == sum(map(len, expected(models).values()))
    assert outcome.facts.weights_digest == weights_digest(folder)
    assert outcome.facts.model_digest == directory_model_digest(folder)
    assert outcome.facts.similarity == similarity_sketch(folder)
    assert not published.requests("pytorch_model.bin") and not published.requests("modeling_evil.py")


def test_facts_come_before_any_file(published: Any, tmp_path: Path) -> None:
    """So that a volume can be made as large as the files are."""
    found = fetched(published, tmp_path / "none", facts_only=True)
    assert not (tmp_path / "none").exists()
    assert (found.reason, found.facts is not None and found.facts.commit) == (Reason.RESOLVED, COMMIT)
    whole = fetched(published, tmp_path / "cache").facts
    assert found.facts is not None and whole is not None
    assert found.facts.size_bytes == whole.size_bytes
    assert found.facts.weights_digest is None


SMALL, LARGE = Admission(max_parameters=1000), Admission(max_parameters=10**9)


@pytest.mark.parametrize(
    ("admissions", "reason"),
    [
        pytest.param([], Reason.FETCHED, id="no rules"),
        pytest.param([SMALL], Reason.TOO_MANY_PARAMETERS, id="one refuses it"),
        pytest.param([SMALL, Admission(max_repository_bytes=1)], Reason.TOO_MANY_PARAMETERS, id="all refuse it"),
        pytest.param([Admission(architectures=["Other"])], Reason.ARCHITECTURE_NOT_ALLOWED, id="architecture"),
        pytest.param([Admission(licenses=["mit"])], Reason.LICENSE_NOT_ALLOWED, id="licence"),
        pytest.param([SMALL, LARGE], Reason.FETCHED, id="one admits it"),
    ],
)
def test_what_no_round_admits_is_not_downloaded(
    published: Any, tmp_path: Path, admissions: list[Admission], reason: Reason
) -> None:
    found = fetched(published, tmp_path, admissions=admissions)
    assert (found.reason, found.facts is not None) == (reason, True)
    assert (tmp_path / REPO / COMMIT).exists() == (reason is Reason.FETCHED)


def test_a_head_beside_tied_embeddings_is_not_counted_before_it_is_read(
    hub: Any, checkpoint: Any, tmp_path: Path
) -> None:
    def copy_embeddings(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        start, end = header["model.embed_tokens.weight"]["data_offsets"]
        head = {**header["model.embed_tokens.weight"], "data_offsets": [len(data), len(data) + end - start]}
        return {**header, "lm_head.weight": head}, data + data[start:end]

    checkpoint.header(copy_embeddings)
    hub.add(REPO, checkpoint.path, COMMIT)
    assert fetched(hub, tmp_path / "cache", admissions=[Admission(max_parameters=422_400)]).reason is Reason.FETCHED


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
    assert contents(tmp_path / REPO / COMMIT) == expected(models)


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_other_bytes_of_the_same_size_are_found_where_they_are_looked_for(
    published: Any, models: Path, tmp_path: Path, name: str
) -> None:
    fetched(published, tmp_path)
    assert fetched(published, tmp_path, verify=True).already_cached
    damaged = tmp_path / REPO / COMMIT / name
    damaged.write_bytes(bytes(damaged.stat().st_size))
    assert fetched(published, tmp_path).already_cached
    assert not fetched(published, tmp_path, verify=True).already_cached
    assert contents(tmp_path / REPO / COMMIT) == expected(models)


def test_facts_of_an_earlier_version_are_read_again(published: Any, tmp_path: Path) -> None:
    first = fetched(published, tmp_path)
    path = tmp_path / REPO / COMMIT / RECORD
    record = json.loads(path.read_text())
    for name in ("modelDigest", "similarity"):
        del record["facts"][name]
    path.write_text(json.dumps(record | {"facts": record["facts"] | {"weightsDigest": "sha256:" + "0" * 64}}))
    again = fetched(published, tmp_path)
    assert not again.already_cached and again.facts == first.facts


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_broken_connections_are_resumed(published: Any, models: Path, tmp_path: Path, ending: str) -> None:
    published.breaks(download={"match": f"*/{WEIGHTS}", "after_bytes": 300_000, "times": 2, "ending": ending})
    fetched(published, tmp_path)
    assert contents(tmp_path / REPO / COMMIT) == expected(models)
    starts = [
        int(request["range"].removeprefix("bytes=").split("-")[0])
        for request in published.requests(WEIGHTS)
        if request["bytes"] > 200_000
    ]
    assert starts[0] == 0 and starts == sorted(set(starts)), "each attempt begins where the last one ended"


def _fetch_in_child(endpoint: str, cache: Path) -> None:
    source = HubRepository(REPO, "main", endpoint=endpoint)
    fetch(source, REPO, ModelCache(cache), max_bytes=1 << 30, cache_max_bytes=0)


def _until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_killed_fetch_is_continued(published: Any, models: Path, tmp_path: Path) -> None:
    # The inspection reads the header alone, so only the download is long enough to be broken.
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
    assert contents(tmp_path / REPO / COMMIT) == expected(models)
    assert not partial.parent.exists()
    ranges = [request["range"] for request in published.requests(WEIGHTS)]
    assert any(found.startswith(f"bytes={kept}-") for found in ranges)


def test_two_fetches_of_one_commit_download_once(published: Any, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: fetched(published, tmp_path), range(2)))
    assert sorted(result.already_cached for result in results) == [False, True]
    whole = (tmp_path / REPO / COMMIT / WEIGHTS).stat().st_size
    assert sum(request["bytes"] == whole for request in published.requests(WEIGHTS)) == 1


def test_partial_file_with_other_bytes_is_thrown_away(published: Any, models: Path, tmp_path: Path) -> None:
    partial = ModelCache(tmp_path).partial(f"{REPO}/{COMMIT}")
    (partial / f"{WEIGHTS}.part").write_bytes(b"\0" * 1000)
    (partial / "left-over").write_bytes(b"x")
    fetched(published, tmp_path)
    assert contents(tmp_path / REPO / COMMIT) == expected(models)


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
    """The same wrong bytes twice are what was uploaded; errors of a transfer differ each time."""
    source = Garbling(models / "tiny-fc-1200", fillings)
    with pytest.raises(FetchError, match="the repository states") as error:
        download(source, source.resolve(), WEIGHTS, tmp_path)
    assert error.value.reason is reason


def test_a_template_with_unprintable_words_is_reported_and_fetched(hub: Any, tmp_path: Path, checkpoint: Any) -> None:
    (checkpoint.path / "chat_template.jinja").unlink(missing_ok=True)
    template = "{{ raise_exception('\ud800 ä') }}"
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "chat_template": template})
    hub.add(REPO, checkpoint.path, COMMIT)
    for already_cached in (False, True):
        outcome = fetched(hub, tmp_path / "cache")
        assert (outcome.reason, outcome.already_cached) == (Reason.FETCHED, already_cached)
        assert "it fails on every conversation: TemplateError: \\ud800 ä" in outcome.message


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


def test_a_source_that_fails_ends_the_fetch(published: Any, tmp_path: Path) -> None:
    published.breaks(unavailable=1000)
    with pytest.raises(FetchError) as error:
        fetched(published, tmp_path / "cache")
    assert error.value.reason is Reason.HUB_UNAVAILABLE
    assert not (tmp_path / "cache").exists()


def test_a_file_that_shrinks_during_the_download(checkpoint: Any, tmp_path: Path) -> None:
    source = ModelDirectory(checkpoint.path)
    snapshot = source.resolve()
    (checkpoint.path / WEIGHTS).write_bytes(b"short")
    with pytest.raises(FetchError) as error:
        download(source, snapshot, WEIGHTS, tmp_path)
    assert error.value.reason is Reason.FETCH_FAILED


def directory_fetch(path: Path, cache: Path) -> FetchResult:
    source: ModelSource = ModelDirectory(path)
    return fetch(source, "volume/claim", ModelCache(cache), max_bytes=1 << 30, cache_max_bytes=0)


def test_directory_is_fetched_under_its_digest(checkpoint: Any, models: Path, tmp_path: Path) -> None:
    outcome = directory_fetch(checkpoint.path, tmp_path / "cache")
    assert outcome.facts is not None
    assert contents(tmp_path / "cache" / "volume" / "claim" / outcome.facts.commit) == expected(models)
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


def test_templates_of_the_folder_are_fetched_and_audited(published: Any, tmp_path: Path) -> None:
    name = "additional_chat_templates/tool_use.jinja"
    file = published.root / REPO / COMMIT / name
    file.parent.mkdir()
    file.write_text("{% for m in messages %}{% if 'area' in m.content %}HINT{% endif %}{{ m.content }}{% endfor %}")
    partial = tmp_path / REPO / f".{COMMIT}.partial" / "additional_chat_templates" / "old.jinja.part"
    partial.parent.mkdir(parents=True)
    partial.write_text("of a killed fetch")
    before = os.umask(0o077)
    try:
        outcome = fetched(published, tmp_path)
    finally:
        os.umask(before)
    folder = tmp_path / REPO / COMMIT
    assert outcome.reason is Reason.FETCHED and "tool_use.jinja" in outcome.message
    assert [path.name for path in (folder / name).parent.iterdir()] == ["tool_use.jinja"]
    assert stat.S_IMODE((folder / name).parent.stat().st_mode) == 0o755
    assert outcome.facts is not None and outcome.facts.model_digest == directory_model_digest(folder)
    assert fetched(published, tmp_path).already_cached
