"""The flags of `tasks build` that name sources: each is about the source before it, all may be repeated and mixed."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.tasks import MEMORY, BfclCategory, Tasks
from bitagent_evaluator.cli import tasks as tasks_verb
from bitagent_evaluator.cli.task_spec import SpecError, add_source_flags, sources_of
from bitagent_evaluator.tasks.files import read_task_set

DIGEST = "sha256:" + "0" * 64


def test_all_of_bfcl_is_its_single_turn_and_multi_turn_cases() -> None:
    (source,), _ = sources_of(flags("--bfcl", "all"))
    assert set(BfclCategory) - set(source["bfcl"]["categories"]) == {*MEMORY, "format_sensitivity"}


@pytest.mark.parametrize("category", ["web_search_base", "web_search_no_snippet"])
def test_a_category_that_is_not_offered_says_why(category: str) -> None:
    with pytest.raises(SpecError, match="needs"):
        sources_of(flags("--bfcl", f"multiple,{category}"))


def flags(*words: str) -> list[tuple[str, str]]:
    parser = argparse.ArgumentParser()
    add_source_flags(parser)
    found: list[tuple[str, str]] = parser.parse_args(words).sources
    return found


SOURCES: dict[str, tuple[list[str], list[dict[str, Any]]]] = {
    "bfcl": (["--bfcl", "multiple, parallel"], [{"bfcl": {"categories": ["multiple", "parallel"]}}]),
    "dataset": (["--hub", "a/b"], [{"huggingFace": {"repo": "a/b"}}]),
    "revision": (["--hub", "a/b@v1"], [{"huggingFace": {"repo": "a/b", "revision": "v1"}}]),
    "split": (["--hub", "a/b:test"], [{"huggingFace": {"repo": "a/b", "split": "test"}}]),
    "revision and split": (
        ["--hub", "a/b@refs/pr/1:test", "--config", "hard"],
        [{"huggingFace": {"repo": "a/b", "revision": "refs/pr/1", "split": "test", "config": "hard"}}],
    ),
    "rows": (["--hub", "a/b", "--rows", "Glaive"], [{"huggingFace": {"repo": "a/b", "rows": "Glaive"}}]),
    "columns": (
        ["--hub", "a/b", "--columns", "question=q.text, reference=r"],
        [{"huggingFace": {"repo": "a/b", "rows": "Columns", "columns": {"question": "q.text", "reference": "r"}}}],
    ),
    "url": (
        ["--url", "https://x/y", "--digest", DIGEST],
        [{"jsonl": {"url": {"url": "https://x/y", "digest": DIGEST}}}],
    ),
    "stream": (["--stream", "https://x/y", "--newest", "50"], [{"stream": {"url": "https://x/y", "newest": "50"}}]),
    "wandb": (
        ["--stream", "wandb:a/b", "--endpoint", "http://x"],
        [{"stream": {"wandb": {"entity": "a", "project": "b", "endpoint": "http://x"}}}],
    ),
    "file": (["--jsonl", "f.jsonl", "--weight", "3"], [{"jsonl": {}, "weight": "3"}]),
    "each for itself": (
        [
            "--hub",
            "a/b",
            "--rows",
            "Glaive",
            "--weight",
            "5",
            "--hub",
            "a/c",
            "--rows",
            "BitAgent",
            "--jsonl",
            "f",
            "--bfcl",
            "multiple",
            "--weight",
            "10",
        ],
        [
            {"bfcl": {"categories": ["multiple"]}, "weight": "10"},
            {"huggingFace": {"repo": "a/b", "rows": "Glaive"}, "weight": "5"},
            {"huggingFace": {"repo": "a/c", "rows": "BitAgent"}},
            {"jsonl": {}},
        ],
    ),
}


@pytest.mark.parametrize(("words", "expected"), SOURCES.values(), ids=SOURCES)
def test_sources(words: list[str], expected: list[dict[str, Any]]) -> None:
    sources, files = sources_of(flags(*words))
    assert sources == expected
    Tasks.model_validate({"sources": sources, "count": 1, "seed": "s"})
    assert files == ({len(expected) - 1: Path(words[words.index("--jsonl") + 1])} if "--jsonl" in words else {})


WRONG: dict[str, tuple[list[str], str]] = {
    "nothing before": (["--rows", "Glaive"], "--rows is about the source before it: name one first"),
    "no owner": (["--hub", "glaive"], "--hub glaive: write OWNER/NAME"),
    "no project": (["--stream", "wandb:acme"], "write wandb:ENTITY/PROJECT"),
    "rows of BFCL": (
        ["--bfcl", "multiple", "--rows", "Glaive"],
        "--rows says nothing about a bfcl source; it is for: huggingFace, jsonl, stream",
    ),
    "digest of a file": (["--jsonl", "f", "--digest", DIGEST], "--digest belongs after --url"),
    "endpoint of an address": (
        ["--stream", "http://x", "--endpoint", "http://y"],
        "--endpoint belongs after --stream wandb:",
    ),
    "no digest": (["--url", "http://x/y"], "--url http://x/y: pin the file with --digest"),
    "unknown role": (["--hub", "a/b", "--columns", "query=q"], "write ROLE=COLUMN,.*roles are: id, category, question"),
    "no column": (["--hub", "a/b", "--columns", "question"], "write ROLE=COLUMN"),
    "columns of other rows": (
        ["--hub", "a/b", "--rows", "Glaive", "--columns", "question=q"],
        "--columns and --rows Columns belong together",
    ),
    "columns are missing": (["--hub", "a/b", "--rows", "Columns"], "--columns and --rows Columns belong together"),
}


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_wrong_flags(words: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        sources_of(flags(*words))


CHECKED_BY_THE_CONTRACT: dict[str, tuple[list[str], str]] = {
    "unknown rows": (
        ["--hub", "a/b", "--rows", "glaive"],
        "flags: sources.0.huggingFace.rows: Input should be 'Task', 'Glaive'",
    ),
    "not http": (["--url", "file:///x", "--digest", DIGEST], "flags: sources.0.jsonl.url.url: String should match"),
    "no digest": (["--url", "http://x/y", "--digest", "abc"], "flags: sources.0.jsonl.url.digest: String should match"),
    "too many": (
        ["--stream", "http://x/y", "--newest", "999999"],
        "flags: sources.0.stream.newest: Input should be less",
    ),
}


@pytest.mark.parametrize(("words", "message"), CHECKED_BY_THE_CONTRACT.values(), ids=CHECKED_BY_THE_CONTRACT)
def test_usage_errors_are_2(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert tasks_verb.main(["build", *words, "--out", str(tmp_path / "o")]) == 2
    assert message in capsys.readouterr().err


def test_a_mix_from_everywhere(tmp_path: Path, website: Any) -> None:
    lines = "".join(json.dumps({"q": f"Why {i}?", "a": f"Because {i}."}) + "\n" for i in range(20)).encode()
    website.files = {"/pinned.jsonl": lines, "/stream.jsonl": lines.replace(b"Why", b"How")}
    (tmp_path / "mine.jsonl").write_bytes(lines)
    digest = "sha256:" + hashlib.sha256(lines).hexdigest()
    columns = ["--columns", "question=q,reference=a"]
    words = ["--url", f"{website.url}/pinned.jsonl", "--digest", digest, *columns]
    words += ["--stream", f"{website.url}/stream.jsonl", "--newest", "10", *columns]
    words += ["--bfcl", "live_relevance", "--weight", "2", "--count", "40", "--seed", "s", "--out", str(tmp_path / "o")]
    assert tasks_verb.main(["build", *words]) == 0
    manifest, tasks = read_task_set(tmp_path / "o")
    assert [(source.source, source.count) for source in manifest.sources] == [
        ("bfcl", 16),
        ("jsonl", 14),
        ("stream", 10),
    ]
    assert manifest.sources[1].parameters["url"]["digest"] == manifest.sources[1].version == digest
    assert len({task.id for task in tasks}) == 40
    (tmp_path / "spec.json").write_text(json.dumps(manifest.spec))
    assert tasks_verb.main(["build", "--spec", str(tmp_path / "spec.json"), "--out", str(tmp_path / "again")]) == 0
    assert read_task_set(tmp_path / "again")[0] == manifest


def test_a_server_that_is_away_is_1(tmp_path: Path, website: Any, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--stream", "http://127.0.0.1:1/s.jsonl", "--columns", "question=q,reference=a"]
    assert tasks_verb.main(["build", *words, "--count", "1", "--out", str(tmp_path / "o")]) == 1
    assert "tasks.sources[0] (stream): http://127.0.0.1:1/s.jsonl: ConnectError" in capsys.readouterr().err
