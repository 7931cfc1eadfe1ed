"""Which files belong to a split: as the README declares, else by name."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources.splits import SplitFiles, files_of_folder, files_of_split

BY_NAME: dict[str, tuple[list[str], str, list[str]]] = {
    "one file is train": (["glaive.json", "README.md"], "train", ["glaive.json"]),
    "all files are train": (["b.jsonl", "a.jsonl"], "train", ["a.jsonl", "b.jsonl"]),
    "file names": (["train.csv", "test.csv"], "test", ["test.csv"]),
    "other spellings": (["data/dev.jsonl", "data/training.jsonl"], "validation", ["data/dev.jsonl"]),
    "folders": (
        ["train/1.parquet", "train/2.parquet", "eval/1.parquet"],
        "train",
        ["train/1.parquet", "train/2.parquet"],
    ),
    "part of a name": (["my_train_file.jsonl", "my-test-file.jsonl"], "test", ["my-test-file.jsonl"]),
    "no part of a word": (["training_wheels.jsonl", "latest.jsonl"], "train", ["training_wheels.jsonl"]),
    "shards in order": (
        ["data/train-00001-of-00002.parquet", "data/train-00000-of-00002.parquet"],
        "train",
        ["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"],
    ),
    "shards of another name": (
        ["data/hard-00000-of-00001.parquet", "data/easy-00000-of-00001.parquet"],
        "hard",
        ["data/hard-00000-of-00001.parquet"],
    ),
    "shards of another name, with digests, compressed": (
        ["hard-00000-of-00001-0af3.jsonl.gz", "easy-00000-of-00001-99ce.jsonl.gz"],
        "hard",
        ["hard-00000-of-00001-0af3.jsonl.gz"],
    ),
    "the common format": (["a.jsonl", "b.jsonl", "c.csv"], "train", ["a.jsonl", "b.jsonl"]),
    "the common format, of two names": (["a.jsonl", "b.json", "c.csv"], "train", ["a.jsonl", "b.json"]),
    "a file beside the splits": (["train.jsonl", "metadata.json"], "train", ["train.jsonl"]),
    "files beside the splits": (["a.json", "b.json", "train.parquet"], "train", ["train.parquet"]),
    "equally common formats": (["train.csv", "train.jsonl"], "train", ["train.jsonl"]),
    "a split in another format": (
        ["train.jsonl", "train-2.jsonl", "test.csv"],
        "train",
        ["train-2.jsonl", "train.jsonl"],
    ),
    "no data": (["a.jsonl", "dataset_infos.json", ".git/x.json", "loader.py", "x.bin"], "train", ["a.jsonl"]),
}


@pytest.mark.parametrize(("files", "split", "expected"), BY_NAME.values(), ids=BY_NAME)
def test_by_name(files: list[str], split: str, expected: list[str]) -> None:
    assert files_of_split(files, {}, config=None, split=split).paths == expected


FILES = ["a/train.jsonl", "a/more.jsonl", "b/train-0.jsonl", "b/train-1.jsonl", "b/x/train-2.jsonl", "b/test.jsonl"]
DECLARED: dict[str, tuple[Any, str | None, str, list[str]]] = {
    "a path": ([{"data_files": "a/more.jsonl"}], None, "train", ["a/more.jsonl"]),
    "paths": ([{"data_files": ["a/more.jsonl", "b/test.jsonl"]}], None, "train", ["a/more.jsonl", "b/test.jsonl"]),
    "splits": (
        [{"data_files": [{"split": "train", "path": "b/train-*"}, {"split": "held", "path": ["b/test.jsonl"]}]}],
        None,
        "held",
        ["b/test.jsonl"],
    ),
    "splits as an object": ([{"data_files": {"held": "b/test.jsonl"}}], None, "held", ["b/test.jsonl"]),
    "star stays in a folder": ([{"data_files": "b/train-*"}], None, "train", ["b/train-0.jsonl", "b/train-1.jsonl"]),
    "two stars do not": (
        [{"data_files": "b/**/train-?.jsonl"}],
        None,
        "train",
        ["b/train-0.jsonl", "b/train-1.jsonl", "b/x/train-2.jsonl"],
    ),
    "a folder": ([{"config_name": "b", "data_dir": "b"}], None, "test", ["b/test.jsonl"]),
    "a pattern in a folder": ([{"data_dir": "b", "data_files": "test*"}], None, "train", ["b/test.jsonl"]),
    "one of several": (
        [{"config_name": "a", "data_dir": "a"}, {"config_name": "b", "data_dir": "b"}],
        "b",
        "test",
        ["b/test.jsonl"],
    ),
    "files named one by one, with a gap": (
        [{"data_files": ["g/0.csv", "g/2.csv"]}],
        None,
        "train",
        ["g/0.csv", "g/2.csv"],
    ),
    "a gap that another split fills": (
        [{"data_files": {"train": ["n/[02].csv"], "test": "n/1.csv"}}],
        None,
        "train",
        ["n/0.csv", "n/2.csv"],
    ),
    "one shard of those there": (
        [{"data_files": {"train": "s/t-00000-of-00002.csv"}}],
        None,
        "train",
        ["s/t-00000-of-00002.csv"],
    ),
    "the default by flag": (
        [{"config_name": "a", "data_dir": "a"}, {"config_name": "b", "data_dir": "b", "default": True}],
        None,
        "test",
        ["b/test.jsonl"],
    ),
    "the default by name": (
        [{"config_name": "a", "data_dir": "a"}, {"config_name": "default", "data_files": "b/test.jsonl"}],
        None,
        "train",
        ["b/test.jsonl"],
    ),
}


@pytest.mark.parametrize(("configs", "config", "split", "expected"), DECLARED.values(), ids=DECLARED)
def test_declared(configs: Any, config: str | None, split: str, expected: list[str]) -> None:
    files = [
        *FILES,
        "g/0.csv",
        "g/2.csv",
        "n/0.csv",
        "n/1.csv",
        "n/2.csv",
        *(f"s/t-0000{i}-of-00002.csv" for i in "01"),
    ]
    assert files_of_split(files, {"configs": configs}, config=config, split=split) == SplitFiles(expected)


TWO = {"configs": [{"config_name": "a", "data_dir": "a"}, {"config_name": "b", "data_dir": "b"}]}
WRONG: dict[str, tuple[list[str], dict[str, Any], str | None, str, str]] = {
    "no data": (
        ["README.md", "loader.py"],
        {},
        None,
        "train",
        "it holds no data files; these are read: csv, json, jsonl",
    ),
    "no split": (["train.csv", "test.csv"], {}, None, "dev", "it has no split 'dev'; there are: test, train"),
    "no such configuration": (FILES, TWO, "c", "train", "it has no configuration 'c'; there are: a, b"),
    "several configurations": (FILES, TWO, None, "train", "several configurations, name one as config: a, b"),
    "configuration of nothing": (FILES, {}, "c", "train", "declares no configurations, not even 'c'"),
    "declared files that are not there": (
        FILES,
        {"configs": [{"data_files": "gone/*"}]},
        None,
        "train",
        "README names 'gone/\\*' for split 'train'",
    ),
    "one declared file that is not there": (
        FILES,
        {"configs": [{"data_files": ["a/train.jsonl", "a/gone.jsonl"]}]},
        None,
        "train",
        "README names 'a/gone.jsonl'",
    ),
    "a declared file in a format that is not read": (
        [*FILES, "a/x.arrow"],
        {"configs": [{"data_files": {"train": ["a/x.arrow", "a/train.jsonl"]}}]},
        None,
        "train",
        "README names 'a/x.arrow'",
    ),
    "a missing shard": (
        ["data/train-00000-of-00003.parquet", "data/train-00002-of-00003.parquet", "data/test-00000-of-00001.parquet"],
        {},
        None,
        "train",
        "should be data/train-00001-of-00003.parquet",
    ),
    "a missing shard of a declared pattern": (
        ["d/t-00-of-12.csv", *(f"d/t-{number:02}-of-12.csv" for number in range(2, 12))],
        {"configs": [{"data_files": "d/t-*"}]},
        None,
        "train",
        "should be d/t-01-of-12.csv",
    ),
    "a shard in a format that is not read": (
        ["t-00000-of-00003.jsonl", "t-00001-of-00003.jsonl.zst", "t-00002-of-00003.jsonl"],
        {},
        None,
        "t",
        "should be t-00001-of-00003.jsonl",
    ),
}


@pytest.mark.parametrize(("files", "card", "config", "split", "message"), WRONG.values(), ids=WRONG)
def test_errors_list_what_there_is(
    files: list[str], card: dict[str, Any], config: str | None, split: str, message: str
) -> None:
    with pytest.raises(TaskSetError, match=message):
        files_of_split(files, card, config=config, split=split)


def _numbered(form: str, *numbers: int, total: int = 0) -> list[str]:
    return [form.format(number, total) for number in numbers]


WEB = "en/c4-train.{:05}-of-{:05}.json.gz"
PUBLISHED: dict[str, tuple[list[str], str, tuple[str, ...]]] = {
    "parts left out": (_numbered("replace_part{}.parquet", 0, 1, 4, 5), "train", ("replace_part2.parquet",)),
    "batches left out": (
        _numbered("videos/{:04}.parquet", *range(30), *range(40, 99)),
        "train",
        ("videos/0030.parquet",),
    ),
    "numbered from one": (_numbered("chunk_{}.jsonl", *range(1, 11)), "train", ()),
    "numbered from ten": (_numbered("chunk_{}.jsonl", 10, 11, 13), "train", ()),
    "versions of a set": (["train-v1.1.json", "dev-v1.1.json", "train-v2.0.json", "dev-v2.0.json"], "train", ()),
    "a version of each split": (["qa_train_v1.1.json", "qa_dev_distractor_v1.json"], "validation", ()),
    "versions with a gap": (["calls-v1.json", "calls-v2.json", "calls-v4.json"], "train", ()),
    "a version in the name": (["function-calling-v2.json"], "train", ()),
    "a sample of one shard": (
        ["c4-train.00000-of-01024-30K.json.gz"],
        "train",
        ("c4-train.00001-of-01024-30K.json.gz",),
    ),
    "a sample of ten shards": (_numbered(WEB, *range(10), total=1024), "train", (WEB.format(10, 1024),)),
    "a shard that is chosen": (_numbered(WEB, 3, total=1024), "train", (WEB.format(0, 1024),)),
    "two sizes of one set": (
        [*_numbered(WEB, *range(4), total=4), *_numbered("en/c4-validation.{:05}-of-{:05}.json.gz", 0, total=1)],
        "train",
        (),
    ),
    "a sample by number": (_numbered("shard_{}.jsonl", 3), "train", ()),
    "shards of an earlier upload": (
        [*_numbered("data/train-{:05}-of-{:05}.parquet", 0, 1, 2, total=3), "data/train-00001-of-00002.parquet"],
        "train",
        ("data/train-00000-of-00002.parquet",),
    ),
    "digests": (["data/train-00000-of-00002-4fee.parquet", "data/train-00001-of-00002-9b1c.parquet"], "train", ()),
    "lengths": (
        ["marco_len-0-500.jsonl", "marco_len-500-1000.jsonl", "marco_len-6000-7000.jsonl", "marco_len-7000-inf.jsonl"],
        "train",
        (),
    ),
    "sizes": (["60k.json", "5k.json", "1M-Augmented.parquet", "3_5M-Augmented.parquet"], "train", ()),
    "years": (_numbered("reviews_{}.csv", 2017, 2018, 2020, 2023), "train", ()),
    "months": (_numbered("2023-{:02}.jsonl", 1, 2, 3, 5), "train", ("2023-04.jsonl",)),
    "days": (_numbered("calls-202401{:02}.jsonl", 1, 2, 4), "train", ()),
    "dumps by week": ([f"data/CC-2023-{week}/train-00000-of-00001.parquet" for week in (6, 14, 23)], "train", ()),
    "a configuration in each folder": (
        [f"{name}/{split}-00000-of-00001.parquet" for name in ("law", "math") for split in ("test", "dev")],
        "test",
        (),
    ),
    "two numbers": (_numbered("sample/{:03}_00000.parquet", *range(15)), "train", ()),
    "two numbers, the second from anywhere": (["s/001_00004.parquet", "s/000_00002.parquet"], "train", ()),
    "groups": (["tool_G123_dfs_train.json", "tool_G123_dfs_eval.json", "tool_G1_query.json"], "train", ()),
    "topics": (_numbered("rare{}.csv", 10, 100, 20, 50), "train", ()),
    "ids": (_numbered("arxiv_{}.jsonl", 23827, 904, 56), "train", ()),
    "names of categories": (["v3_simple.json", "v3_multi_turn.json", "v3_live_multiple.json"], "train", ()),
    "agreement of three": (["agree_2of3.csv", "agree_3of3.csv"], "train", ("agree_1of3.csv",)),
    "the best of several": (["best_of_4.jsonl", "best_of_16.jsonl", "best_of_64.jsonl"], "train", ()),
    "rounds of a study": (_numbered("round{}_train.jsonl", 1, 2, 5), "train", ()),
    "folds": (_numbered("fold_{}/train.csv", 0, 1, 3), "train", ()),
    "a hand-numbered set": (["a-1-of-3.csv", "a-3-of-3.csv"], "train", ("a-2-of-3.csv",)),
}


@pytest.mark.parametrize(("files", "split", "doubtful"), PUBLISHED.values(), ids=PUBLISHED)
def test_what_is_published_is_read(files: list[str], split: str, doubtful: tuple[str, ...]) -> None:
    """Names as of public datasets: none is refused, and what may be missing is only pointed out."""
    found = files_of_split(files, {}, config=None, split=split)
    assert found.paths and found.doubtful[:1] == doubtful


@pytest.mark.parametrize(
    ("patterns", "doubtful"),
    [
        pytest.param(["b/train-*", "b/more-*"], ("b/more-*",), id="a pattern without files"),
        pytest.param(["b/train-*", "b/*.png"], ("b/*.png",), id="files that are no data"),
        pytest.param(["b/train-*"], (), id="none"),
    ],
)
def test_a_pattern_without_files_beside_others_is_pointed_out(patterns: list[str], doubtful: tuple[str, ...]) -> None:
    card = {"configs": [{"data_files": [{"split": "train", "path": patterns}]}]}
    found = files_of_split([*FILES, "b/x.png"], card, config=None, split="train")
    assert found == SplitFiles(["b/train-0.jsonl", "b/train-1.jsonl"], doubtful)


@pytest.mark.parametrize("member", ["data_files", "data_dir", "config_name"])
def test_nested_aliases_of_yaml_are_not_a_name(member: str) -> None:
    """Forty lines of YAML that have 2**40 parts as text."""
    bomb: Any = "a/more.jsonl"
    for _ in range(40):
        bomb = [bomb, bomb]
    card = {"configs": [{member: bomb}]}
    if member == "data_files":
        with pytest.raises(TaskSetError, match="no split 'train'"):
            files_of_split(FILES, card, config=None, split="train")
    else:
        assert files_of_split(FILES, card, config=None, split="test").paths == ["b/test.jsonl"]


def test_a_hostile_pattern_does_not_hang() -> None:
    files = ["a" * 250 + ".jsonl"]
    configs = [{"data_files": pattern} for pattern in ("*a" * 200 + "c", "**a" * 200 + "c", "**/" * 300 + "c")]
    for config in configs:
        with pytest.raises(TaskSetError, match="no data file has that name"):
            files_of_split(files, {"configs": [config]}, config=None, split="train")


MEANINGS = {"**/": r"(?:.*/)?", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


@given(
    st.lists(st.sampled_from([*MEANINGS, "a", "b", "/", "."]), min_size=1, max_size=6),
    st.text("ab/.", max_size=7),
)
@example(["**"], "/./a")
def test_patterns_mean_what_the_regular_expression_says(pieces: list[str], name: str) -> None:
    pattern, path = "x" + "".join(pieces), f"x{name}.csv"
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    expected = re.fullmatch("".join(MEANINGS.get(part, re.escape(part)) for part in parts), path) is not None
    card = {"configs": [{"data_files": pattern}]}
    found = True
    try:
        files_of_split([path], card, config=None, split="train")
    except TaskSetError:
        found = False
    assert found == (expected and not any(part.startswith(".") for part in path.split("/")))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["data-00000-of-00001.arrow", "state.json", "dataset_info.json"], "push_to_hub"),
        (["train.jsonl.zst"], "train.jsonl.zst is packed"),
        (["data/train.zip", "a.py"], "data/train.zip is packed"),
        (["Table.XLSX"], "spreadsheet"),
        (["loader.py"], "these are read"),
    ],
)
def test_data_that_is_not_read_is_named_with_what_to_do(names: list[str], said: str) -> None:
    with pytest.raises(TaskSetError) as caught:
        files_of_split(names, {}, config=None, split="train")
    assert said in str(caught.value)


SHARDS = ["data/train-00000-of-00003.parquet", "data/train-00001-of-00003.parquet"]

FOLDERS: dict[str, tuple[list[str], list[str] | str]] = {
    "one file": (["a.jsonl", "README.md"], ["a.jsonl"]),
    "files without a split": (["b.csv", "a/c.csv"], ["a/c.csv", "b.csv"]),
    "spellings of one format": (["a.json", "b.jsonl.gz"], ["a.json", "b.jsonl.gz"]),
    "files of one split, whichever it is": (["test-1.jsonl", "test-0.jsonl"], ["test-0.jsonl", "test-1.jsonl"]),
    "all shards": ([*SHARDS, "data/train-00002-of-00003.parquet"], [*SHARDS, "data/train-00002-of-00003.parquet"]),
    "files beside the data": (["a.jsonl", "dataset_info.json", ".cache/b.jsonl", "state.json"], ["a.jsonl"]),
    "hidden files that are not read": (["a.jsonl", ".git/b.zip", "x/.c.arrow", "__pycache__/d.xz"], ["a.jsonl"]),
    "blanks and other letters": (["a b/ä:'\"#.jsonl"], ["a b/ä:'\"#.jsonl"]),
    "a line end in a name": (["a.jsonl", "b\nc.jsonl"], "rename"),
    "a backslash in a name": (["a\\b.jsonl"], "rename"),
    "a name that is not UTF-8": (["a\udcff.jsonl"], "'a\\udcff.jsonl' has"),
    "several splits": (["train.jsonl", "test.jsonl"], "several splits, such as test.jsonl, train.jsonl"),
    "a split and others": (["train.jsonl", "a.jsonl"], "several splits"),
    "several formats": (["a.jsonl", "b.parquet"], "several formats, such as"),
    "a shard is missing": (SHARDS, "data/train-00002-of-00003.parquet"),
    "packed files beside": (["a.jsonl", "b.zip"], "b.zip is packed"),
    "Arrow alone": (["data-00000-of-00001.arrow", "state.json"], "save_to_disk"),
    "nothing": (["README.md"], "no data files"),
}


@pytest.mark.parametrize(("files", "expected"), FOLDERS.values(), ids=FOLDERS)
def test_what_is_read_of_a_folder(files: list[str], expected: list[str] | str) -> None:
    if isinstance(expected, list):
        assert files_of_folder(files).paths == expected
        return
    with pytest.raises(TaskSetError) as refused:
        files_of_folder(files)
    assert expected in str(refused.value)
