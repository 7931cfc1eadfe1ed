"""A round's files in an archive: whatever interrupts it, the next attempt completes it, and nothing is overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bitagent_crds.archive import ArchiveIndex
from bitagent_crds.conditions import Reason
from bitagent_crds.texts import digest_of
from bitagent_evaluator.archive.upload import Sizes, archive
from bitagent_evaluator.support.faults import InfrastructureFault

from .conftest import store_at

if TYPE_CHECKING:
    from bitagent_evaluator.archive.store import ArchiveStore

    from .conftest import Bucket, Double

KEY = "results/0123456789ab"
USUAL = Sizes()
SMALL = Sizes(single=4, part=5 << 20)
"""Almost every file is a large one."""


def run(store: ArchiveStore, folder: Path, sizes: Sizes = USUAL) -> ArchiveIndex:
    return archive(store, folder, name="r", uid="uid-r", sizes=sizes)


def reason(store: ArchiveStore, folder: Path) -> Reason:
    with pytest.raises(InfrastructureFault) as caught:
        run(store, folder)
    return caught.value.reason


@pytest.mark.parametrize("sizes", [USUAL, SMALL], ids=["single", "in parts"])
def test_every_file_is_there_with_its_digest(bucket: Bucket, folder: Path, sizes: Sizes) -> None:
    index = run(bucket.store, folder, sizes)
    objects = bucket.objects()
    stored = objects.pop("index.json")
    assert digest_of(stored) == index.digest
    assert ArchiveIndex.model_validate_json(stored) == index
    copied = {path: content for path, content in objects.items() if not path.startswith("reports/")}
    assert copied == {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert {f.path: (f.bytes, f.digest) for f in index.files} == {
        path: (len(content), digest_of(content)) for path, content in objects.items()
    }


def test_a_file_of_several_parts(bucket: Bucket, folder: Path) -> None:
    content = bytes(range(256)) * (11 << 12)
    (folder / "tasks/tasks.jsonl").write_bytes(content)
    run(bucket.store, folder, SMALL)
    assert bucket.objects()["tasks/tasks.jsonl"] == content


def test_a_second_archive_of_the_same_files_writes_nothing(double: Double, folder: Path) -> None:
    first = run(store_at(double.port), folder)
    double.requests.clear()
    assert run(store_at(double.port), folder) == first
    assert not [request for request in double.requests if request[0] not in ("GET", "HEAD")]


def test_the_index_is_written_last(double: Double, folder: Path) -> None:
    run(store_at(double.port), folder)
    written = [path for method, path in double.requests if method == "PUT"]
    assert written[-1].endswith("/index.json")


class Killed(BaseException):
    """The pod is gone."""


@pytest.mark.parametrize("writes", range(6))
def test_an_attempt_that_was_killed_is_completed_by_the_next_one(
    bucket: Bucket, folder: Path, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = writes
    create = bucket.store.create

    def killed_after(path: str, content: bytes) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        create(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(bucket.store, "create", killed_after)
        if writes < 5:
            with pytest.raises(Killed):
                run(bucket.store, folder)
            assert "index.json" not in bucket.objects()
    index = run(bucket.store, folder)
    assert digest_of(bucket.objects()["index.json"]) == index.digest
    assert len(index.copied()) == 4


@pytest.mark.parametrize("sizes", [USUAL, SMALL], ids=["single", "in parts"])
@pytest.mark.parametrize("path", ["tasks/tasks.jsonl", f"{KEY}/responses.jsonl"])
def test_another_object_in_a_files_place_is_a_conflict_and_stays(
    bucket: Bucket, folder: Path, path: str, sizes: Sizes
) -> None:
    bucket.put(path, b"something else")
    with pytest.raises(InfrastructureFault, match=path) as caught:
        run(bucket.store, folder, sizes)
    assert caught.value.reason is Reason.ARCHIVE_CONFLICT
    assert bucket.objects()[path] == b"something else"
    assert "index.json" not in bucket.objects()


def test_the_same_content_in_a_files_place_is_fine(bucket: Bucket, folder: Path) -> None:
    bucket.put("tasks/tasks.jsonl", b"one\ntwo\n")
    assert len(run(bucket.store, folder).copied()) == 4


@pytest.mark.parametrize("content", [b"no index", json.dumps({"round": "r", "round_uid": "u", "files": []}).encode()])
def test_an_index_of_something_else_is_a_conflict(bucket: Bucket, folder: Path, content: bytes) -> None:
    bucket.put("index.json", content)
    assert reason(bucket.store, folder) is Reason.ARCHIVE_CONFLICT
    assert bucket.objects() == {"index.json": content}


def test_a_complete_archive_that_lost_an_object_is_noticed(double: Double, folder: Path) -> None:
    run(store_at(double.port), folder)
    double.objects.pop("archive/ns/r-1/tasks/manifest.json")
    assert reason(store_at(double.port), folder) is Reason.ARCHIVE_UNAVAILABLE


def test_what_the_server_changed_is_noticed(double: Double, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_at(double.port)
    create = store.create
    monkeypatch.setattr(store, "create", lambda path, content: create(path, content[:-1]))
    assert reason(store, folder) is Reason.ARCHIVE_CONFLICT
    assert "archive/ns/r-1/index.json" not in double.objects


@pytest.mark.parametrize("sizes", [USUAL, SMALL], ids=["single", "in parts"])
def test_a_request_that_broke_off_leaves_no_object_and_is_repeated_by_the_next_attempt(
    double: Double, folder: Path, sizes: Sizes
) -> None:
    double.fault = lambda method, path: "cut" if method == "PUT" and path.endswith("tasks.jsonl") else None
    with pytest.raises(InfrastructureFault) as caught:
        run(store_at(double.port), folder, sizes)
    assert caught.value.reason is Reason.ARCHIVE_UNAVAILABLE
    assert not [key for key in double.objects if key.endswith(("tasks.jsonl", "index.json"))]
    double.fault = lambda method, path: None
    assert len(run(store_at(double.port), folder, sizes).copied()) == 4


def test_links_are_listed_and_not_archived(bucket: Bucket, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / KEY / "journal.jsonl").symlink_to(tmp_path / "secret")
    index = run(bucket.store, folder)
    assert index.left_out == [f"{KEY}/journal.jsonl"]
    assert not [content for content in bucket.objects().values() if content == b"secret"]
