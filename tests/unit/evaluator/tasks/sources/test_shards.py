"""Files that other files' names promise: shards and numbered files."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_evaluator.tasks.sources.shards import Missing, ShardSet, declared_rows, incomplete_sets, missing_of

PARQUET = [f"data/train-{number:05}-of-00003.parquet" for number in range(3)]
CERTAIN: dict[str, tuple[list[str], list[str]]] = {
    "a shard in the middle": ([PARQUET[0], PARQUET[2]], [PARQUET[1]]),
    "the first shard": (PARQUET[1:], [PARQUET[0]]),
    "the last shard": (PARQUET[:2], [PARQUET[2]]),
    "without separators": (["part01of03.jsonl", "part03of03.jsonl"], ["part02of03.jsonl"]),
    "a digest at the end": (
        ["t-00000-of-00003-0a1b.parquet", "t-00002-of-00003-9f8e.parquet"],
        ["t-00001-of-00003*.parquet"],
    ),
    "compressed": (["t-00000-of-00003.jsonl.gz", "t-00001-of-00003.jsonl.gz"], ["t-00002-of-00003.jsonl.gz"]),
}
DOUBTFUL: dict[str, tuple[list[str], list[str]]] = {
    "one shard of several": (PARQUET[:1], PARQUET[1:]),
    "one shard of two": (["t-00000-of-00002.jsonl.gz"], ["t-00001-of-00002.jsonl.gz"]),
    "as many shards absent as there": (
        ["t-00-of-04.csv", "t-01-of-04.csv"],
        ["t-02-of-04.csv", "t-03-of-04.csv"],
    ),
    "counted from one, without zeros": (["a_1_of_3.csv", "a_3_of_3.csv"], ["a_2_of_3.csv"]),
    "numbers without zeros": (
        [f"x-{number}-of-12.jsonl" for number in range(12) if number != 7],
        ["x-7-of-12.jsonl"],
    ),
    "numbered": (["part_0.jsonl", "part_2.jsonl"], ["part_1.jsonl"]),
    "numbered from one": (["1.json", "2.json", "4.json"], ["3.json"]),
    "numbered with zeros": (["train/0000.parquet", "train/0002.parquet"], ["train/0001.parquet"]),
    "numbered with zeros, from anywhere": (["d/007.csv", "d/008.csv", "d/010.csv"], ["d/009.csv"]),
    "compressed among others": (["part_0.jsonl", "part_1.jsonl.gz", "part_3.jsonl"], ["part_2*.jsonl"]),
    "folders that count by themselves": (
        ["train/0.csv", "train/2.csv", "test/0.csv", "test/1.csv"],
        ["train/1.csv"],
    ),
}


@pytest.mark.parametrize(("paths", "missing"), CERTAIN.values(), ids=CERTAIN)
def test_files_that_are_certainly_missing_are_named(paths: list[str], missing: list[str]) -> None:
    assert missing_of(paths, paths) == Missing(certain=tuple(missing))


@pytest.mark.parametrize(("paths", "missing"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_files_that_may_be_missing_are_named(paths: list[str], missing: list[str]) -> None:
    assert missing_of(paths, paths) == Missing(doubtful=tuple(missing))


COMPLETE: dict[str, list[str]] = {
    "shards": PARQUET,
    "shards from one": ["a-1-of-2.csv", "a-2-of-2.csv"],
    "one shard of one": ["train-00000-of-00001.parquet"],
    "two sets": ["a-00000-of-00001.csv", "b-00000-of-00002.csv", "b-00001-of-00002.csv"],
    "a choice of some": ["top-10-of-100.jsonl"],
    "a name with of": ["best_of_5.jsonl", "7-of-3.jsonl"],
    "numbered": ["0.json", "1.json", "2.json", "10.json", *(f"{number}.json" for number in range(3, 10))],
    "years": ["calls-2019.csv", "calls-2021.csv"],
    "ids": ["row-1.json", "row-57.json", "row-903.json"],
    "versions": ["train_v1.jsonl", "train_v3.jsonl"],
    "folders that continue": ["train/0.csv", "train/1.csv", "train/3.csv", "test/2.csv"],
    "no numbers": ["train.csv", "more.csv"],
    "compressed among others": ["part_0.jsonl", "part_1.jsonl.gz", "part_2.jsonl"],
}


@pytest.mark.parametrize("paths", COMPLETE.values(), ids=COMPLETE)
def test_complete_files_promise_no_others(paths: list[str]) -> None:
    assert missing_of(paths, paths) == Missing()


def test_only_what_the_chosen_files_promise_counts() -> None:
    there = ["test-00001-of-00002.csv", "train-00000-of-00001.csv", "part_0.csv", "part_2.csv"]
    assert missing_of(["train-00000-of-00001.csv"], there) == Missing()
    assert missing_of(PARQUET[:1], PARQUET) == Missing()


def test_a_few_of_many_are_named() -> None:
    there = [f"t-{number:05}-of-00900.csv" for number in range(800)]
    assert missing_of(there, there).certain == tuple(f"t-{number:05}-of-00900.csv" for number in (800, 801, 802))


@pytest.mark.parametrize(
    ("there", "absent", "certain"),
    [
        pytest.param([PARQUET[0], PARQUET[2]], PARQUET[1:2], True, id="all but one"),
        pytest.param(PARQUET[:1], PARQUET[1:], False, id="one alone"),
        pytest.param(["t-03-of-40.csv", "t-04-of-40.csv"], [f"t-0{i}-of-40.csv" for i in range(3)], False, id="a few"),
    ],
)
def test_incomplete_sets_of_given_files(there: list[str], absent: list[str], certain: bool) -> None:
    assert incomplete_sets(["x.jsonl", *there]) == [ShardSet(tuple(there), tuple(absent), certain)]
    assert incomplete_sets(PARQUET) == []


SPLITS = [{"name": "train", "num_examples": 9}, {"name": "test", "num_examples": 2}]
CARDS: dict[str, tuple[Any, str | None, int | None]] = {
    "one configuration": ({"splits": SPLITS}, None, 9),
    "a named one": ([{"config_name": "b", "splits": []}, {"config_name": "a", "splits": SPLITS}], "a", 9),
    "another one": ({"config_name": "a", "splits": SPLITS}, "b", None),
    "nothing": (None, None, None),
    "no number": ({"splits": [{"name": "train", "num_examples": "many"}]}, None, None),
    "no list": ({"splits": {"train": 9}}, None, None),
}


@pytest.mark.parametrize(("info", "config", "rows"), CARDS.values(), ids=CARDS)
def test_the_rows_that_a_card_declares(info: Any, config: str | None, rows: int | None) -> None:
    assert declared_rows({"dataset_info": info}, config=config, split="train") == rows
