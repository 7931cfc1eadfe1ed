"""Datasets of a hub, against the local world's: revisions, splits, formats, tokens, failures."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.task_set import TaskSetManifest
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.cli.tasks import main
from bitagent_evaluator.support.faults import InfrastructureFault
from bitagent_evaluator.tasks.build import build_task_set
from bitagent_evaluator.tasks.files import TASKS, TaskSetError, read_tasks
from bitagent_evaluator.tasks.sources.hugging_face import parse_card
from bitagent_local.hub import pack

SAMPLES = Path(__file__).resolve().parents[5] / "local" / "datasets"
COLUMNS = {"question": "query", "functions": "tools", "answers": "answers"}
Row = dict[str, Any]


def row(i: int) -> Row:
    tools = [
        {
            "name": "add",
            "description": "Adds.",
            "parameters": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
        }
    ]
    answers = [{"name": "add", "arguments": {"a": i}}]
    return {"query": f"Add {i}, \"please\"\n, to 'it'. ä", "tools": json.dumps(tools), "answers": json.dumps(answers)}


def as_jsonl(rows: list[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def as_json(rows: list[Row]) -> bytes:
    return json.dumps(rows, indent=1, ensure_ascii=False).encode()


def as_csv(rows: list[Row], delimiter: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_parquet(rows: list[Row]) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink, row_group_size=50)
    return sink.getvalue()


FORMATS: dict[str, Callable[[list[Row]], bytes]] = {
    "jsonl": as_jsonl,
    "json": as_json,
    "csv": as_csv,
    "tsv": lambda rows: as_csv(rows, "\t"),
    "parquet": as_parquet,
}


class Datasets:
    """The hub of a test, and a build that asks it."""

    def __init__(self, hub: Any, out: Path) -> None:
        self.hub = hub
        self.out = out

    def add(self, repo: str, files: dict[str, bytes], commit: str = "a" * 40, **refs: Any) -> None:
        folder = self.hub.root / "datasets" / repo
        for name, content in files.items():
            path = folder / commit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / "refs.json").write_text(json.dumps({"branches": {"main": commit}, **refs}))

    def build(self, repo: str, *, count: int = 5, key: str = "", **source: Any) -> TaskSetManifest:
        source = {"repo": repo, "rows": "Columns", "columns": COLUMNS} | source
        spec = Tasks.model_validate({"sources": [{"huggingFace": source}], "count": count, "seed": "s"})
        return build_task_set(spec, files={}, out=self.out, environment={"SOURCE_0_KEY": key})


@pytest.fixture
def datasets(hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Datasets:
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)
    return Datasets(hub, tmp_path / "out")


SAMPLE_SOURCES: dict[str, tuple[Row, int, dict[str, int]]] = {
    "glaive-style": ({"rows": "Glaive", "columns": None}, 46, {"glaive": 46}),
    "bitagent-style": ({"rows": "BitAgent", "columns": None}, 40, {"bitagent": 40}),
    "calls": ({"split": "test", "columns": COLUMNS | {"id": "id"}}, 20, {"huggingFace": 20}),
    "answers": ({"columns": {"question": "prompt", "reference": "response"}}, 40, {"huggingFace": 40}),
}


@pytest.mark.parametrize("name", SAMPLE_SOURCES)
def test_the_local_worlds_samples(datasets: Datasets, name: str) -> None:
    pack.pack(pack.load(SAMPLES / "repositories.yaml"), folders=SAMPLES, root=datasets.hub.root)
    source, there, categories = SAMPLE_SOURCES[name]
    manifest = datasets.build(f"samples/{name}", count=there, **source)
    assert manifest.categories == categories
    assert {task.id.startswith(f"samples/{name}/") for task in read_tasks(datasets.out)} == {True}
    with pytest.raises(TaskSetError, match=f"have {there} tasks"):
        datasets.build(f"samples/{name}", count=there + 1, **source)


def test_rows_that_are_no_task_are_counted_in_the_manifest_and_shown(
    datasets: Datasets, capsys: pytest.CaptureFixture[str]
) -> None:
    pack.pack(pack.load(SAMPLES / "repositories.yaml"), folders=SAMPLES, root=datasets.hub.root)
    source, there, _ = SAMPLE_SOURCES["glaive-style"]
    (found,) = datasets.build("samples/glaive-style", count=there, **source).sources
    rows = json.loads((SAMPLES / "glaive-style/train.json").read_text())
    assert sum(found.skipped.values()) == len(rows) - there > 0
    assert main(["show", str(datasets.out)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert all(reason in shown for reason in found.skipped)


def test_every_format_gives_the_same_tasks(datasets: Datasets) -> None:
    rows = [row(i) for i in range(400)]
    written = set()
    for number, (suffix, write) in enumerate(FORMATS.items()):
        halves = {f"train/{i}.{suffix}": write(rows[200 * i : 200 * i + 200]) for i in range(2)}
        datasets.add("acme/calls", halves, commit=f"{number:040}")
        datasets.build("acme/calls", count=50)
        written.add((datasets.out / TASKS).read_bytes())
    assert len(written) == 1
    drawn = int(read_tasks(datasets.out)[0].id.removeprefix("acme/calls/train:"))
    assert read_tasks(datasets.out)[0].ground_truth == [{"add": {"a": [drawn]}}]


def test_objects_of_parquet_have_no_members_of_other_rows(datasets: Datasets) -> None:
    rows = [
        {
            "query": "q",
            "tools": [
                {
                    "name": n,
                    "description": "",
                    "parameters": {"type": "object", "properties": {n: {"type": "integer"}}, "required": [n]},
                }
            ],
            "answers": [{"name": n, "arguments": {n: 1}}],
        }
        for n in "fgh"
    ]
    datasets.add("acme/calls", {"train.parquet": as_parquet(rows)})
    datasets.build("acme/calls", count=3)
    truths = {json.dumps(task.ground_truth) for task in read_tasks(datasets.out)}
    assert truths == {json.dumps([{n: {n: [1]}}]) for n in "fgh"}


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_missing_shard_is_an_error_in_every_format(datasets: Datasets, suffix: str) -> None:
    rows = FORMATS[suffix]([row(i) for i in range(9)])
    datasets.add("acme/calls", {f"data/train-0000{i}-of-00003.{suffix}": rows for i in (0, 2)})
    with pytest.raises(TaskSetError, match=f"dataset acme/calls: .*data/train-00001-of-00003.{suffix}"):
        datasets.build("acme/calls")
    assert datasets.hub.requests(f"train-00000-of-00003.{suffix}") == []


def test_a_gap_in_the_numbers_is_pointed_out(datasets: Datasets, caplog: pytest.LogCaptureFixture) -> None:
    datasets.add("acme/calls", {f"train_{i}.jsonl": as_jsonl([row(i) for i in range(9)]) for i in (0, 2)})
    datasets.build("acme/calls")
    assert [record.args for record in caplog.records if record.levelname == "WARNING"] == [
        ("acme/calls", "train", "train_1.jsonl")
    ]


def test_fewer_rows_than_the_card_says_are_pointed_out(datasets: Datasets, caplog: pytest.LogCaptureFixture) -> None:
    readme = b"---\ndataset_info: {splits: [{name: train, num_examples: 12}]}\n---\n"
    datasets.add("acme/calls", {"README.md": readme, "train.jsonl": as_jsonl([row(i) for i in range(9)])})
    datasets.build("acme/calls")
    assert [record.args for record in caplog.records if record.levelname == "WARNING"] == [
        ("acme/calls", "train", 12, 9)
    ]


def test_a_revision_is_recorded_as_its_commit(datasets: Datasets) -> None:
    datasets.add("acme/calls", {"train.jsonl": as_jsonl([row(i) for i in range(9)])}, commit="b" * 40)
    datasets.add("acme/calls", {"train.jsonl": as_jsonl([row(i) for i in range(5)])}, tags={"v1": "b" * 40})
    assert datasets.build("acme/calls").sources[0].version == "a" * 40
    assert datasets.build("acme/calls", revision="v1", count=9).sources[0].version == "b" * 40
    assert datasets.build("acme/calls", revision="b" * 40, count=9).sources[0].version == "b" * 40


def test_configurations_and_splits(datasets: Datasets) -> None:
    readme = b"""---
configs:
- {config_name: one, data_dir: one}
- config_name: two
  data_files: [{split: held, path: 'two/*'}]
---
"""
    files = {f"{name}/x.jsonl": as_jsonl([row(i) for i in range(5)]) for name in ("one", "two")}
    datasets.add("acme/calls", {"README.md": readme, **files})
    datasets.build("acme/calls", config="two", split="held")
    assert read_tasks(datasets.out)[0].id.startswith("acme/calls/two/held:")
    with pytest.raises(TaskSetError, match=r"huggingFace\): dataset acme/calls: it has several configurations"):
        datasets.build("acme/calls")


def test_a_private_dataset_needs_the_sources_token(datasets: Datasets, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.add("acme/secret", {"train.jsonl": as_jsonl([row(i) for i in range(5)])}, private=True)
    assert datasets.build("acme/secret", key="hf_secret").count == 5
    with pytest.raises(
        TaskSetError, match="acme/secret is not on the hub, or is private and the token does not open it"
    ):
        datasets.build("acme/secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert datasets.build("acme/secret").count == 5


REFUSED: dict[str, tuple[dict[str, bytes], Row, str]] = {
    "no revision": ({"a.jsonl": as_jsonl([row(1)])}, {"revision": "v9"}, "acme/calls has no revision 'v9'"),
    "no rows": ({"a.jsonl": b"\n"}, {}, r"acme/calls \(train\) has no rows"),
    "no column": (
        {"a.jsonl": as_jsonl([row(1)] * 3)},
        {"columns": COLUMNS | {"id": "uid"}},
        "is a task: 3 without column 'uid'. A row has the columns: query, tools, answers",
    ),
    "other rows": (
        {"a.jsonl": as_jsonl([row(1)])},
        {"rows": "Glaive", "columns": None},
        "is a task: 1 without column 'system'",
    ),
    "not tasks": (
        {"a.jsonl": as_jsonl([row(1)])},
        {"rows": "Task", "columns": None},
        "row 0: field .*: Field required. Is `rows` the right format",
    ),
    "broken JSON": (
        {"a.jsonl": as_jsonl([row(1)]) + b'{"query": '},
        {},
        "a.jsonl of dataset acme/calls: row 2: not JSON",
    ),
    "an array without end": (
        {"a.json": as_json([row(1)])[:-1]},
        {},
        "a.json of dataset acme/calls: row 2: not JSON: it breaks off",
    ),
    "no objects": ({"a.json": b"[1, 2]"}, {}, "row 1: not a JSON object"),
    "deep": ({"a.json": b'{"a":' * 200_000}, {}, "row 1: n"),
    "broken CSV": ({"a.csv": b'query,tools\n"a'}, {}, "a.csv of dataset acme/calls: line 1: not CSV"),
    "broken Parquet": ({"a.parquet": b"PAR1 no"}, {}, "a.parquet of dataset acme/calls: not Parquet"),
    "broken text": ({"a.jsonl": b'{"query": "\xff"}'}, {}, "a.jsonl of dataset acme/calls: line 1: not UTF-8"),
}


@pytest.mark.parametrize(("files", "source", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(datasets: Datasets, files: dict[str, bytes], source: Row, message: str) -> None:
    datasets.add("acme/calls", files)
    with pytest.raises(TaskSetError, match=r"tasks.sources\[0\] \(huggingFace\): ") as caught:
        datasets.build("acme/calls", count=1, **source)
    assert re.search(message, str(caught.value)), caught.value


def test_a_loading_script_is_not_run(datasets: Datasets) -> None:
    datasets.add("acme/calls", {"calls.py": b"raise SystemExit", "train.jsonl": as_jsonl([row(i) for i in range(5)])})
    assert datasets.build("acme/calls").count == 5
    assert datasets.hub.requests("calls.py") == []


def test_a_hub_that_is_down_is_an_infrastructure_fault(datasets: Datasets) -> None:
    datasets.add("acme/calls", {"train.jsonl": as_jsonl([row(i) for i in range(5)])})
    datasets.hub.breaks(unavailable=99)
    with pytest.raises(
        InfrastructureFault, match=r"sources\[0\] \(huggingFace\): .*answers 503 .*HF_ENDPOINT is http"
    ) as caught:
        datasets.build("acme/calls")
    assert caught.value.reason is Reason.HUB_UNAVAILABLE
    datasets.hub.breaks()
    assert datasets.build("acme/calls").count == 5


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_broken_download_is_resumed(datasets: Datasets, suffix: str) -> None:
    datasets.add("acme/calls", {f"train.{suffix}": FORMATS[suffix]([row(i) for i in range(400)])})
    datasets.hub.breaks(download={"match": f"*.{suffix}", "after_bytes": 1000, "ending": "reset"})
    assert datasets.build("acme/calls", count=400).count == 400
    assert len(datasets.hub.requests(f"train.{suffix}")) == 2


CARDS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain": (b"---\nlicense: mit\n---\n# Calls\n", {"license": "mit"}),
    "leading blank lines": (b"\n\n---\nlicense: mit\n---\n", {"license": "mit"}),
    "a byte-order mark": (b"\xef\xbb\xbf---\r\nlicense: mit\r\n---\r\n", {"license": "mit"}),
    "nothing after it": (b"---\nlicense: mit\n---", {"license": "mit"}),
    "a rule in the text": (b"# Calls\n---\nlicense: mit\n---\n", {}),
    "not closed": (b"---\nlicense: mit\n", {}),
    "no mapping": (b"---\n- mit\n---\n", {}),
    "malformed": (b"---\na: [\n---\n", {}),
}


@pytest.mark.parametrize(("readme", "card"), CARDS.values(), ids=CARDS)
def test_the_header_of_a_card(readme: bytes, card: dict[str, Any]) -> None:
    assert parse_card(readme) == card
