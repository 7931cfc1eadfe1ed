"""The file of tasks: what a line may hold, and errors that name file, line and field."""

from __future__ import annotations

import csv
import errno
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from bitagent_crds.task_forms import Expects, Language
from bitagent_crds.task_set import Task
from bitagent_crds.tasks import Columns, JsonlSource, RowFormat
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources import local_files
from bitagent_evaluator.tasks.sources.base import SourceInputs
from bitagent_evaluator.tasks.sources.file_formats import MAX_ROW_BYTES
from bitagent_evaluator.tasks.sources.jsonl import JsonlTasks


def function(**properties: Any) -> dict[str, Any]:
    return {
        "name": "f",
        "description": "It does.",
        "parameters": {"type": "dict", "properties": properties, "required": []},
    }


GOOD: dict[str, Any] = {
    "id": "t1",
    "messages": [{"role": "user", "content": "Do it."}],
    "functions": [function(a={"type": "integer"})],
    "ground_truth": [{"f": {"a": [1, ""]}}],
}


def read(tmp_path: Path, content: str | bytes) -> list[Task]:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(JsonlTasks(JsonlSource(), SourceInputs(path)).tasks())


@pytest.mark.parametrize(
    ("row", "format_"),
    [
        pytest.param({"messages": [], "tools": []}, RowFormat.OPENAI, id="OpenAI"),
        pytest.param({"conversations": []}, RowFormat.SHARE_GPT, id="ShareGPT"),
        pytest.param({"system": "", "chat": ""}, RowFormat.GLAIVE, id="Glaive"),
        pytest.param({key: value for key, value in GOOD.items() if key != "id"}, None, id="a task with an error"),
    ],
)
def test_rows_of_a_known_format_are_recognised(tmp_path: Path, row: dict[str, Any], format_: RowFormat | None) -> None:
    with pytest.raises(TaskSetError) as refused:
        read(tmp_path, json.dumps(row))
    assert [each for each in RowFormat if f"look like {each}" in str(refused.value)] == [format_] * (
        format_ is not None
    )


def test_the_least_that_a_line_needs(tmp_path: Path) -> None:
    (task,) = read(tmp_path, json.dumps(GOOD))
    assert task == Task(**GOOD, source="jsonl", category="jsonl", expects=Expects.CALLS, language=Language.PYTHON)


FORMS = {
    "tasks.json": json.dumps([GOOD], indent=1).encode(),
    "tasks.jsonl.gz": gzip.compress(json.dumps(GOOD).encode()),
    "tasks.json.gz": gzip.compress(json.dumps([GOOD]).encode()),
    "tasks": json.dumps(GOOD).encode(),
}


@pytest.mark.parametrize(("name", "content"), FORMS.items(), ids=FORMS)
def test_the_name_says_the_format(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    (task,) = JsonlTasks(JsonlSource(), SourceInputs(tmp_path / name)).tasks()
    assert task.id == "t1"


def test_local_tables_are_read(tmp_path: Path) -> None:
    rows = [
        {"q": f"Do {i}.", "tools": json.dumps([function(a={"type": "integer"})]), "calls": f"[f(a={i})]"}
        for i in (1, 2)
    ]
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    source = JsonlSource(rows=RowFormat.COLUMNS, columns=Columns(question="q", functions="tools", answers="calls"))
    for name in ("rows.csv", "rows.parquet"):
        tasks = list(JsonlTasks(source, SourceInputs(tmp_path / name)).tasks())
        assert [task.ground_truth for task in tasks] == [[{"f": {"a": [1]}}], [{"f": {"a": [2]}}]]
        assert [task.id.rpartition(":")[2] for task in tasks] == ["1", "2"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_the_encoding_of_lines(tmp_path: Path, encoding: str) -> None:
    lines = "\n".join(json.dumps(GOOD | {"id": name}, ensure_ascii=False) for name in ("é", "中"))
    assert [task.id for task in read(tmp_path, lines.encode(encoding))] == ["é", "中"]


def test_half_a_character_of_utf_16(tmp_path: Path) -> None:
    with pytest.raises(TaskSetError, match="Save it as UTF-8"):
        read(tmp_path, json.dumps(GOOD).encode("utf-16")[:-1])


HINTS = {
    "gzip": (gzip.compress(b"{}"), ".gz"),
    "a spreadsheet": (b"PK\x03\x04xxx", "CSV"),
    "parquet": (b"PAR1\x00", ".parquet"),
    "array": (b"[\n{}\n]", ".json"),
    "pretty": (b"{\n  1\n}", ".json"),
    "a comma": (b"{},\n{}", ".json"),
    "carriage returns": (b"{}\r{}\r", "line feeds"),
    "Python's notation": (b"{'id': 1}", "json.dumps"),
    "comments": (b"// mine\n{}", "no comments"),
    "CSV": (b"id,question\n1,x\n", ".csv"),
}


@pytest.mark.parametrize(("content", "advice"), HINTS.values(), ids=HINTS)
def test_what_a_file_seems_to_be_is_said(tmp_path: Path, content: bytes, advice: str) -> None:
    with pytest.raises(TaskSetError) as caught:
        read(tmp_path, content)
    assert advice in str(caught.value).partition("mine.jsonl")[2]


def test_blank_lines_and_unknown_members_are_skipped_and_the_source_is_ours(tmp_path: Path) -> None:
    content = (
        "\n"
        + json.dumps(GOOD | {"source": "bfcl", "note": "x", "category": "mine"})
        + "\n\n"
        + json.dumps(GOOD | {"id": "t2"})
    )
    assert [(task.id, task.source, task.category) for task in read(tmp_path, content)] == [
        ("t1", "jsonl", "mine"),
        ("t2", "jsonl", "jsonl"),
    ]


@pytest.mark.parametrize("expects", ["NoCall", "AnyCall"])
def test_a_task_without_particular_calls(tmp_path: Path, expects: str) -> None:
    (task,) = read(tmp_path, json.dumps(GOOD | {"expects": expects, "ground_truth": None}))
    assert task.expects == expects


def with_type(schema: Any, values: list[Any] | None = None) -> dict[str, Any]:
    return GOOD | {"functions": [function(a=schema)], "ground_truth": [{"f": {"a": values or [""]}}]}


WRONG: dict[str, tuple[dict[str, Any] | str | bytes, str]] = {
    "not JSON": ("{", "not JSON: "),
    "not an object": ("[]", "not a JSON object"),
    "not UTF-8": (b'"\xff"', "not UTF-8"),
    "half a character": ('{"id": "\\ud800"}', r"field id: \\ud800 is half"),
    "half a character in a list": (
        GOOD | {"messages": [{"role": "user", "content": "\udfff"}]},
        "field messages.0.content",
    ),
    "half a character in a name": (GOOD | {"x": {"\ud83d": 1}}, "field x: "),
    "a number that JSON lacks": ('{"id": NaN}', "not JSON: "),
    "a number of 5,000 digits": ('{"id": ' + "1" * 5_000 + "}", "too many digits"),
    "a number without end": ('{"id": 1e999}', "not JSON: "),
    "deep": ("[" * 100_000, "not JSON: "),
    "deeper than a task set holds": (
        json.dumps(GOOD)[:-1] + ', "x": ' + "[" * 300 + "]" * 300 + "}",
        "nested more than 100 levels deep",
    ),
    "too long": ('"' + "x" * MAX_ROW_BYTES + '"', f"longer than {MAX_ROW_BYTES} bytes"),
    "no id": ({key: value for key, value in GOOD.items() if key != "id"}, "field id: Field required"),
    "no messages": (GOOD | {"messages": []}, "field messages: there must be at least one"),
    "message without content": (GOOD | {"messages": [{"role": "user"}]}, "field messages.0.content: must be a string"),
    "function without name": (GOOD | {"functions": [{}]}, "field functions.0.name: must be a non-empty string"),
    "description of another type": (
        GOOD | {"functions": [function() | {"description": 1}]},
        "field functions.0.description: must be a string",
    ),
    "function without properties": (
        GOOD | {"functions": [{"name": "f"}]},
        "field functions.0.parameters.properties: must be an object",
    ),
    "required names nothing": (
        GOOD | {"functions": [{"name": "f", "parameters": {"properties": {}, "required": ["a"]}}]},
        "field functions.0.parameters.required: must be a list of names in properties",
    ),
    "required has something else than names": (
        GOOD | {"functions": [{"name": "f", "parameters": {"properties": {}, "required": [["a"]]}}]},
        "field functions.0.parameters.required: must be a list of names in properties",
    ),
    "nested properties are none": (
        with_type(
            {"type": "array", "items": {"type": "dict", "properties": {"k": {"type": "dict", "properties": ["l"]}}}}
        ),
        "field functions.0.parameters.properties.a.items.properties.k.properties: must be an object",
    ),
    "parent without names": (
        GOOD | {"parent": GOOD | {"source": "jsonl", "category": "c", "functions": [{}]}},
        "field parent: field functions.0.name: must be a non-empty string",
    ),
    "schema is not an object": (with_type(1), "field functions.0.parameters.properties.a: must be an object"),
    "JSON Schema's number": (with_type({"type": "number"}), "'number' is none of .*; BFCL calls it 'float'"),
    "JSON Schema's object": (with_type({"type": "object"}), "'object' is none of .*; BFCL calls it 'dict'"),
    "unknown type": (
        with_type({"type": "thing"}),
        "properties.a.type: 'thing' is none of any, array, boolean, dict, float, integer, string, tuple$",
    ),
    "list without items": (
        with_type({"type": "array"}),
        "field functions.0.parameters.properties.a.items: must be an object",
    ),
    "items without type": (with_type({"type": "array", "items": {}}), "properties.a.items.type: None is none of"),
    "java type in python": (with_type({"type": "HashMap"}), "'HashMap' is none of"),
    "java type that the checker raises on": (with_type({"type": "Queue"}) | {"language": "Java"}, "'Queue' is none of"),
    "unknown language": (GOOD | {"language": "Cobol"}, "field language: Input should be"),
    "no ground truth": (
        GOOD | {"ground_truth": None},
        "field ground_truth: must name at least one call when expects is Calls",
    ),
    "ground truth without end": (
        GOOD | {"ground_truth": [{"f": {}}] * 101},
        "field ground_truth: must name at most 100 calls, not 101",
    ),
    "superfluous ground truth": (
        GOOD | {"expects": "NoCall"},
        "field ground_truth: must be absent when expects is NoCall",
    ),
    "value is not a list": (
        GOOD | {"ground_truth": [{"f": {"a": 1}}]},
        "field ground_truth.0.f.a: Input should be a valid list",
    ),
    "two names": (GOOD | {"ground_truth": [{"f": {}, "g": {}}]}, "field ground_truth.0: must have exactly one member"),
    "call of an unknown function": (
        GOOD | {"ground_truth": [{"g": {}}]},
        "field ground_truth.0.g: is not among the task's functions",
    ),
    "unknown argument": (
        GOOD | {"ground_truth": [{"f": {"b": [1]}}]},
        "field ground_truth.0.f.b: is not a parameter of the function",
    ),
    "no allowed value": (
        GOOD | {"ground_truth": [{"f": {"a": []}}]},
        "field ground_truth.0.f.a: needs at least one allowed value",
    ),
    "list value that is none": (
        with_type({"type": "array", "items": {"type": "integer"}}, [1]),
        "every allowed value of a list is a list",
    ),
    "dict value that is none": (with_type({"type": "dict"}, [[1]]), "every allowed value of a dict is a dict of lists"),
    "dict of bare values": (
        with_type({"type": "dict"}, [{"k": 1}]),
        "every allowed value of a dict is a dict of lists",
    ),
    "required argument without values": (
        GOOD
        | {
            "functions": [{"name": "f", "parameters": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}}],
            "ground_truth": [{"f": {}}],
        },
        "field ground_truth.0.f.a: is required by the function, but has no allowed values",
    ),
}


CONVERSATION = {
    "turns": [[{"role": "user", "content": "List it."}], []],
    "ground_truth": [["ls()"], []],
    "classes": ["GorillaFileSystem"],
    "initial_state": {"GorillaFileSystem": {}},
    "held_back": {"1": [function()]},
}


def conversation(**changed: Any) -> dict[str, Any]:
    return GOOD | {"expects": "State", "ground_truth": None, "conversation": CONVERSATION | changed}


WRONG |= {
    "turn without role": (
        conversation(turns=[[{"content": "x"}], []]),
        "field conversation.turns.0.0.role: must be a string",
    ),
    "no such system": (
        conversation(classes=["os"]),
        "field conversation.classes.0: 'os' is none of GorillaFileSystem, ",
    ),
    "state is not an object": (
        conversation(initial_state={"GorillaFileSystem": 3}),
        "field conversation.initial_state.GorillaFileSystem: must be an object",
    ),
    "function of no turn": (
        conversation(held_back={"2": [function()]}),
        "field conversation.held_back.2: must be the number of a turn, 0 to 1",
    ),
    "function held back without name": (
        conversation(held_back={"1": [{}]}),
        "field conversation.held_back.1.0.name: must be a non-empty string",
    ),
}


def test_a_conversation(tmp_path: Path) -> None:
    (task,) = read(tmp_path, json.dumps(conversation()))
    assert task.expects is Expects.STATE


@pytest.mark.parametrize(("wrong", "message"), WRONG.values(), ids=WRONG)
def test_a_bad_line_is_named(tmp_path: Path, wrong: dict[str, Any] | str | bytes, message: str) -> None:
    encoded = (
        json.dumps(wrong).encode() if isinstance(wrong, dict) else wrong.encode() if isinstance(wrong, str) else wrong
    )
    with pytest.raises(
        TaskSetError,
        match=f"mine.jsonl, line 2: {message}" if message.startswith(("field", "not", "longer", "nested")) else message,
    ):
        read(tmp_path, json.dumps(GOOD | {"id": "good"}).encode() + b"\n" + encoded)


def test_a_repeated_id_names_both_lines(tmp_path: Path) -> None:
    with pytest.raises(TaskSetError, match="line 3: field id: 't1' is also the id of line 1"):
        read(tmp_path, f"{json.dumps(GOOD)}\n\n{json.dumps(GOOD)}\n")


@pytest.mark.parametrize(
    ("language", "kind"),
    [("Java", "HashMap"), ("Java", "String"), ("JavaScript", "Bigint"), ("Python", "tuple"), ("Python", "any")],
)
def test_types_by_language(tmp_path: Path, language: str, kind: str) -> None:
    schema = {"type": kind, "items": {"type": "integer"}}
    (task,) = read(tmp_path, json.dumps(with_type(schema) | {"language": language}))
    assert task.language == language


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b'["q", 1]\n', "object with names"),
        ("a.jsonl", b'[{"q": 1}]\n', ".json"),
        ("a.yaml", b"- q: 1\n", "read as JSON Lines"),
        ("a.txt.gz", gzip.compress(b"How warm?\n"), "read as JSON Lines"),
        ("a.jsonl.gz", gzip.compress(gzip.compress(b"{}")), "twice"),
    ],
    ids=["lists", "a list of objects", "YAML", "text", "compressed twice"],
)
def test_what_is_no_json_lines_is_said(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    columns = Columns(question="q", reference="q")
    with pytest.raises(TaskSetError, match=said):
        list(JsonlTasks(JsonlSource(rows=RowFormat.COLUMNS, columns=columns), SourceInputs(tmp_path / name)).tasks())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("*.csv", "a file or a folder"),
        ("mime.csv", "did you mean mine.csv"),
        ("lost.csv", "lost.csv: No such file or directory$"),
        ("empty", "no data files"),
    ],
)
def test_a_folder_or_pattern_says_what_to_name(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "mine.csv").write_text("a\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(TaskSetError, match=said):
        JsonlTasks(JsonlSource(), SourceInputs(tmp_path / name))


def _folder(folder: Path, names: dict[str, Any]) -> JsonlTasks:
    for name, task_id in names.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**GOOD, "id": task_id}) + "\n" if task_id else "x")
    return JsonlTasks(JsonlSource(), SourceInputs(folder))


def test_the_files_of_a_folder_are_one_source(tmp_path: Path) -> None:
    names = {"b.jsonl": "t2", "a/1.jsonl": "t1", "README.md": "", "dataset_info.json": "", ".cache/x.jsonl": ""}
    source = _folder(tmp_path, names)
    assert [task.id for task in source.tasks()] == ["t1", "t2"]
    read = ("a/1.jsonl", "b.jsonl")
    sums = [f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in read]
    assert source.version == "sha256:" + hashlib.sha256("".join(sums).encode()).hexdigest()
    (tmp_path / "b.jsonl").rename(tmp_path / "c.jsonl")
    assert JsonlTasks(JsonlSource(), SourceInputs(tmp_path)).version != source.version


def test_an_empty_file_of_a_folder_is_pointed_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"")
    _folder(tmp_path, {"b.jsonl": "t1"})
    assert [record.args[1:] for record in caplog.records if isinstance(record.args, tuple)] == [(1, 2, "a.jsonl")]


def test_hidden_folders_of_a_folder_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_files, "_LISTED", 2)
    names = {"a.jsonl": "t1", ".git/objects/pack.zip": "", ".cache/1.arrow": "", ".x.zip": "", "__pycache__/a.xz": ""}
    assert [task.id for task in _folder(tmp_path, names).tasks()] == ["t1"]


def test_a_linked_folder_in_a_folder_is_refused_and_a_linked_file_is_read(tmp_path: Path) -> None:
    _folder(tmp_path / "elsewhere", {"1.jsonl": "t1"})
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.jsonl").symlink_to(tmp_path / "elsewhere" / "1.jsonl")
    source = JsonlTasks(JsonlSource(), SourceInputs(folder))
    assert [task.id for task in source.tasks()] == ["t1"]
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TaskSetError, match="folder/more is a link to a folder"):
        JsonlTasks(JsonlSource(), SourceInputs(folder))


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _folder(tmp_path, {"a.jsonl": "t1", "more/b.jsonl": "t2"})
    scan = os.scandir

    def refuse(path: str) -> Any:
        if Path(path).name == "more":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(TaskSetError, match="more cannot be read: Permission denied"):
        JsonlTasks(JsonlSource(), SourceInputs(tmp_path))


def test_rows_of_a_folder_have_ids_of_their_files(tmp_path: Path) -> None:
    for name in ("part-0.csv", "part-1.csv"):
        (tmp_path / name).write_text("q,a\nHow warm?,Warm.\n")
    columns = Columns(question="q", reference="a")
    source = JsonlTasks(JsonlSource(rows=RowFormat.COLUMNS, columns=columns), SourceInputs(tmp_path))
    ids = [task.id.partition(":")[2] for task in source.tasks()]
    assert ids == ["part-0.csv:1", "part-1.csv:1"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"a.jsonl": "t1", "b.jsonl": "t1"}, r"line b\.jsonl:1: field id: 't1' is also the id of line a\.jsonl:1"),
        ({"a.jsonl": "t1", "b.jsonl": ""}, r"b\.jsonl, line 1: not JSON"),
    ],
    ids=["an id twice", "a file of something else"],
)
def test_a_mistake_in_a_folder_names_its_file(tmp_path: Path, names: dict[str, str], said: str) -> None:
    with pytest.raises(TaskSetError, match=said):
        list(_folder(tmp_path, names).tasks())


@pytest.mark.parametrize(
    ("path", "said"),
    [("https://example.org/a.jsonl", "--url"), ("someone/calls", "--hub")],
    ids=["an address", "a hub"],
)
def test_a_name_of_another_source_names_that(path: str, said: str) -> None:
    with pytest.raises(TaskSetError, match=said):
        JsonlTasks(JsonlSource(), SourceInputs(Path(path)))
