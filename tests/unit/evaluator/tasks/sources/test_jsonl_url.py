"""A JSON Lines file on the web: pinned, streamed, resumed, and never from anywhere but the web."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.tasks import Tasks
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import TASKS, TaskSetError, read_tasks

ADD = {"name": "add", "parameters": {"type": "dict", "properties": {"a": {"type": "integer"}}, "required": ["a"]}}
LINES = b"".join(
    json.dumps(
        {
            "id": f"sum-{i}",
            "messages": [{"role": "user", "content": f"Add {i}. " + "x" * 400}],
            "functions": [ADD],
            "ground_truth": [{"add": {"a": [i]}}],
        }
    ).encode()
    + b"\n"
    for i in range(600)
)
DIGEST = "sha256:" + hashlib.sha256(LINES).hexdigest()


def build(url: str, out: Path, *, digest: str = DIGEST, count: int = 20, **more: Any) -> list[str]:
    source = {"jsonl": {"url": {"url": url, "digest": digest}, **more}}
    manifest = build_task_set(
        Tasks.model_validate({"sources": [source], "count": count, "seed": "s"}), files={}, out=out
    )
    assert manifest.sources[0].version == digest
    return [task.id for task in read_tasks(out)]


def test_the_same_as_from_a_file(tmp_path: Path, website: Any) -> None:
    website.files["/tasks.jsonl"] = LINES
    (tmp_path / "tasks.jsonl").write_bytes(LINES)
    build(f"{website.url}/tasks.jsonl", tmp_path / "web")
    local = {"jsonl": {"configMap": {"name": "c", "key": "k"}}}
    spec = Tasks.model_validate({"sources": [local], "count": 20, "seed": "s"})
    build_task_set(spec, files={0: tmp_path / "tasks.jsonl"}, out=tmp_path / "file")
    assert (tmp_path / "web" / TASKS).read_bytes() == (tmp_path / "file" / TASKS).read_bytes()


@pytest.mark.parametrize("ranges", [True, False], ids=["server with ranges", "server without"])
def test_a_broken_connection_is_resumed(tmp_path: Path, website: Any, ranges: bool) -> None:
    website.files["/tasks.jsonl"] = LINES
    website.ranges, website.breaks_after = ranges, 100_000
    assert len(build(f"{website.url}/tasks.jsonl", tmp_path)) == 20
    assert len(website.asked) == 2
    start = int(website.asked[1][1].removeprefix("bytes=").removesuffix("-"))
    assert 0 < start <= 100_000


def test_a_connection_that_breaks_after_the_last_byte(tmp_path: Path, website: Any) -> None:
    website.files["/tasks.jsonl"] = LINES
    website.missing_end = True
    assert len(build(f"{website.url}/tasks.jsonl", tmp_path)) == 20
    assert [requested for _, requested in website.asked] == ["", f"bytes={len(LINES)}-"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "http://me:secret@127.0.0.1/tasks.jsonl",
            "url holds a user name or a password, which the manifest would publish",
        ),
        ("http://[::1/tasks.jsonl", "is not a web address"),
        ("http://127.0.0.1:99999/tasks.jsonl", "is not a web address: Port out of range"),
        ("http://a..b/tasks.jsonl", "is not a web address"),
        ("http:///tasks.jsonl", "is not a web address: it begins with http:// or https:// and a host"),
    ],
    ids=["password", "bracket", "port", "host", "no host"],
)
def test_what_is_no_address_is_final(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(TaskSetError, match=rf"sources\[0\] \(jsonl\): .*{message}") as caught:
        build(url, tmp_path / "out")
    assert "secret" not in str(caught.value)


def test_a_server_that_comes_back_is_waited_for(tmp_path: Path, website: Any) -> None:
    website.files["/tasks.jsonl"] = LINES
    website.statuses = [503, 429, 500]
    assert len(build(f"{website.url}/tasks.jsonl", tmp_path)) == 20


def test_a_server_that_stays_away_is_an_infrastructure_fault(tmp_path: Path, website: Any) -> None:
    website.statuses = [503] * 9
    with pytest.raises(
        InfrastructureFault, match=r"sources\[0\] \(jsonl\): http.*answers 503 \(5 attempts\)"
    ) as caught:
        build(f"{website.url}/tasks.jsonl", tmp_path / "out")
    assert "is the server up" in caught.value.message
    assert not (tmp_path / "out").exists()


def test_a_refused_connection_is_an_infrastructure_fault(tmp_path: Path, website: Any) -> None:
    with pytest.raises(InfrastructureFault, match="ConnectError"):
        build("http://127.0.0.1:1/tasks.jsonl", tmp_path / "out")


def test_a_changed_file_is_refused(tmp_path: Path, website: Any) -> None:
    website.files["/tasks.jsonl"] = LINES + LINES[: LINES.index(b"\n") + 1].replace(b"sum-0", b"sum-x")
    with pytest.raises(TaskSetError, match=f"was changed: its digest is sha256:.*, the spec pins {DIGEST}"):
        build(f"{website.url}/tasks.jsonl", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "there is nothing at that address"), (403, "the key does not open it"), (410, "it is gone for good")],
)
def test_a_wrong_address_is_final(tmp_path: Path, website: Any, status: int, message: str) -> None:
    website.statuses = [status]
    with pytest.raises(TaskSetError, match=f"answers {status}: {message}"):
        build(f"{website.url}/tasks.jsonl", tmp_path / "out")
    assert len(website.asked) == 1


def test_redirects_are_followed(tmp_path: Path, website: Any) -> None:
    website.files["/tasks.jsonl"] = LINES
    website.redirects = {"/old": "/older", "/older": "/tasks.jsonl"}
    assert len(build(f"{website.url}/old", tmp_path)) == 20


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/old"], ids=["file", "ftp", "circle"])
def test_redirects_lead_nowhere_else(tmp_path: Path, website: Any, target: str) -> None:
    website.redirects = {"/old": target}
    with pytest.raises(TaskSetError, match="only http and https addresses that end somewhere are read"):
        build(f"{website.url}/old", tmp_path / "out")


def test_a_file_without_end_is_cut_off(tmp_path: Path, website: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bitagent_evaluator.tasks.sources.jsonl.MAX_DOWNLOAD_BYTES", 100_000)
    website.files["/tasks.jsonl"] = LINES
    with pytest.raises(TaskSetError, match="larger than 100000 bytes"):
        build(f"{website.url}/tasks.jsonl", tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{}", "line 2: field id: Field required"),
        (b"[1]", "line 2: not a JSON object"),
        (b'{"id": "\xff"}', "line 2: not UTF-8"),
        (b"{", "line 2: not JSON"),
        (b"x" * (1 << 20) + b"x", "line 2: longer than 1048576 bytes"),
        (LINES[: LINES.index(b"\n")], "two rows have the id 'sum-0'"),
    ],
    ids=["field", "array", "bytes", "broken", "long", "repeated"],
)
def test_a_bad_line_is_named(tmp_path: Path, website: Any, line: bytes, message: str) -> None:
    content = LINES[: LINES.index(b"\n") + 1] + line + b"\n"
    website.files["/tasks.jsonl"] = content
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    with pytest.raises(TaskSetError, match=message):
        build(f"{website.url}/tasks.jsonl", tmp_path / "out", digest=digest, count=2)
