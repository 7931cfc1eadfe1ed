"""Repositories of a hub on the loopback device: resolved, read, missing, refused, unavailable."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Fault, Reason
from bitagent_evaluator.models.hub import MODEL, HubRepository
from bitagent_evaluator.models.source import FileEntry, Snapshot
from bitagent_evaluator.support.faults import FetchError
from bitagent_evaluator.support.http import ATTEMPTS

REPO = "acme/tiny"
COMMIT = "a" * 40
WEIGHTS = "model.safetensors"


def repository(hub: Any, revision: str = "main", *, repo: str = REPO, **options: Any) -> HubRepository:
    return HubRepository(repo, revision, endpoint=hub.endpoint, **options)


def test_a_revision_is_its_commit_and_files(published: Any, models: Path) -> None:
    snapshot = repository(published).resolve()
    assert snapshot.commit == COMMIT
    assert snapshot.sizes == {entry.name: entry.stat().st_size for entry in (models / "tiny-fc-1200").iterdir()}
    assert snapshot.files[WEIGHTS].sha256 is not None and snapshot.files["config.json"].sha256 is None


def test_a_branch_follows_the_hub(published: Any) -> None:
    shutil.copytree(published.root / REPO / COMMIT, published.root / REPO / ("b" * 40))
    refs = {"branches": {"main": "b" * 40, "old": COMMIT}}
    (published.root / REPO / "refs.json").write_text(json.dumps(refs))
    commits = [repository(published, revision).resolve().commit for revision in ("main", "old", COMMIT)]
    assert commits == ["b" * 40, COMMIT, COMMIT]


def test_ranges_of_a_file_are_read(published: Any, models: Path) -> None:
    content = (models / "tiny-fc-1200" / WEIGHTS).read_bytes()
    source = repository(published)
    snapshot = source.resolve()
    for start, end in [(0, len(content)), (10, 20), (len(content) - 5, len(content)), (7, 7)]:
        assert b"".join(source.stream(snapshot, WEIGHTS, start, end)) == content[start:end]


@pytest.mark.parametrize(
    ("repo", "revision", "refs", "reason"),
    [
        ("acme/none", "main", {}, Reason.REPOSITORY_NOT_FOUND),
        ("no such name!", "main", {}, Reason.REPOSITORY_NOT_FOUND),
        (REPO, "nosuch", {}, Reason.REVISION_NOT_FOUND),
        (REPO, "f" * 40, {}, Reason.REVISION_NOT_FOUND),
        (REPO, "main", {"private": True}, Reason.REPOSITORY_NOT_FOUND),
        (REPO, "main", {"gated": True}, Reason.ACCESS_DENIED),
    ],
    ids=["no repository", "no name", "no branch", "no commit", "private", "gated"],
)
def test_what_is_not_there_is_final(
    hub: Any, models: Path, repo: str, revision: str, refs: dict[str, Any], reason: Reason
) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT, **refs)
    source = repository(hub, revision, repo=repo)
    with pytest.raises(FetchError) as error:  # A gated repository can be listed.
        list(source.stream(source.resolve(), WEIGHTS, 0, 10))
    assert error.value.reason is reason
    assert reason.fault is Fault.SPEC
    assert repo in error.value.message


def test_a_repository_of_too_many_files_is_refused(published: Any) -> None:
    with pytest.raises(FetchError) as error:
        repository(published, kind=replace(MODEL, max_files=2)).resolve()
    assert error.value.reason is Reason.TOO_LARGE


def test_a_busy_hub_is_asked_again(published: Any, pauses: list[float]) -> None:
    published.breaks(unavailable=3)
    assert repository(published).resolve().commit == COMMIT
    assert len(pauses) == 3


def test_a_hub_that_stays_away_is_unavailable(published: Any) -> None:
    published.breaks(unavailable=1000)
    with pytest.raises(FetchError, match="503") as error:
        repository(published).resolve()
    assert error.value.reason is Reason.HUB_UNAVAILABLE
    assert published.endpoint in error.value.message


def test_no_hub_is_unavailable() -> None:
    with pytest.raises(FetchError) as error:
        HubRepository(REPO, "main", endpoint="http://127.0.0.1:9").resolve()
    assert error.value.reason is Reason.HUB_UNAVAILABLE


@pytest.mark.parametrize("kept", [None, 1000], ids=["gone", "shorter"])
def test_a_file_that_is_listed_and_not_served_is_the_owners_fault(
    published: Any, pauses: list[float], kept: int | None
) -> None:
    """A miner may delete large files of a commit that still lists them; a round must not fail over it."""
    source = repository(published)
    snapshot = source.resolve()
    weights = published.root / REPO / COMMIT / WEIGHTS
    weights.unlink() if kept is None else weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(FetchError, match=f"{WEIGHTS} of {REPO}: ") as error:
        list(source.stream(snapshot, WEIGHTS, 0, snapshot.files[WEIGHTS].size))
    assert error.value.reason is Reason.REVISION_NOT_FOUND
    assert error.value.reason.fault.final
    assert len(pauses) >= ATTEMPTS - 1, "it may be a passing trouble of the hub"


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_request_is_tried_again(website: Any, status: int) -> None:
    """Signed addresses expire: one refusal says nothing of the repository."""
    website.files[f"/{REPO}/resolve/{COMMIT}/{WEIGHTS}"] = b"weights"
    snapshot = Snapshot(COMMIT, {WEIGHTS: FileEntry(7, None)})
    source = HubRepository(REPO, "main", endpoint=website.url)
    website.statuses = [status] * 2
    assert b"".join(source.stream(snapshot, WEIGHTS, 0, 7)) == b"weights"
    website.statuses = [status] * 99
    with pytest.raises(FetchError, match=str(status)) as error:
        list(source.stream(snapshot, WEIGHTS, 0, 7))
    assert error.value.reason is Reason.ACCESS_DENIED


def test_an_unknown_answer_is_the_infrastructures_fault(website: Any) -> None:
    website.statuses = [418]
    source = HubRepository(REPO, "main", endpoint=website.url)
    with pytest.raises(FetchError, match="418") as error:
        list(source.stream(Snapshot(COMMIT, {WEIGHTS: FileEntry(7, None)}), WEIGHTS, 0, 7))
    assert error.value.reason is Reason.FETCH_FAILED
    assert len(website.asked) == 1


def test_endpoint_and_token_come_from_the_environment(published: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> list[bool]:
        published.server.faults.forget()
        source = HubRepository(REPO, "main")
        list(source.stream(source.resolve(), "config.json", 0, 10))
        return [request["authenticated"] for request in published.requests()]

    monkeypatch.setenv("HF_ENDPOINT", published.endpoint)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    anonymous = read()
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert len(anonymous) >= 3 and not any(anonymous)
    assert all(read())


def test_the_token_does_not_follow_a_redirect_to_another_host(website: Any) -> None:
    other = website.url.replace("127.0.0.1", "localhost")
    website.files["/blob"] = b"weights"
    website.redirects = {f"/{REPO}/resolve/{COMMIT}/{WEIGHTS}": f"{other}/blob"}
    source = HubRepository(REPO, "main", endpoint=website.url, token="hf_secret")
    assert b"".join(source.stream(Snapshot(COMMIT, {WEIGHTS: FileEntry(7, None)}), WEIGHTS, 0, 7)) == b"weights"
    assert [credential for _, credential in website.credentials] == ["Bearer hf_secret", ""]


TOOLS = "additional_chat_templates/tool_use.jinja"
FOLDERS: dict[str, tuple[dict[str, str], set[str]]] = {
    "further templates": ({TOOLS: "x", "onnx/model.onnx": "x", "a/b/c.txt": "x"}, {WEIGHTS, TOOLS}),
    "weights in a folder": ({"final/" + WEIGHTS: "x"}, {"final/" + WEIGHTS}),
    "weights two folders down": ({"a/b/" + WEIGHTS: "x", TOOLS: "x"}, {"a/b/" + WEIGHTS, TOOLS}),
}


@pytest.mark.parametrize(("files", "seen"), FOLDERS.values(), ids=FOLDERS)
def test_folders_that_matter_are_listed(published: Any, files: dict[str, str], seen: set[str]) -> None:
    root = published.root / REPO / COMMIT
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    if WEIGHTS not in seen:
        (root / WEIGHTS).unlink()
    listed = set(repository(published).resolve().files)
    assert seen <= listed
    assert WEIGHTS not in seen or listed.isdisjoint(files.keys() - seen)
