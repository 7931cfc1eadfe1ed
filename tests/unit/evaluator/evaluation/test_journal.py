"""Answers on disk: which of them a later attempt takes over, and what becomes of the others."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitagent_crds.evaluation import Aggregation, LossParameters, RunSpec, Thinking
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.model_result import PhaseSeconds
from bitagent_crds.results import Response
from bitagent_evaluator.evaluation import journal as module
from bitagent_evaluator.evaluation.journal import RESPONSES, RUN, Journal, RunKey, encode_line, prompts_digest
from bitagent_evaluator.support.faults import InfrastructureFault

RUN_SPEC = RunSpec(
    repo="acme/model",
    commit="c" * 40,
    weights_digest="sha256:" + "1" * 64,
    task_set_digest="sha256:" + "2" * 64,
    prompt_format="Bfcl",
    max_tokens=8,
)
KEY = RunKey(
    run=RUN_SPEC, prompts_digest="sha256:" + "5" * 64, stop_ids=(2,), max_model_length=64, dtype="bfloat16",
    engine="pretended 1",
)  # fmt: skip
ANOTHER_RUN: dict[str, object] = {
    "weights_digest": None,
    "model_digest": "sha256:" + "4" * 64,
    "task_set_digest": "sha256:" + "3" * 64,
    "prompt_format": "Hammer",
    "max_tokens": 9,
    "thinking": Thinking.OFF,
    "max_thought_tokens": 7,
}
"""Another value of each field of a run that answers depend on."""
THE_SAME_ANSWERS: dict[str, object] = {
    "repo": "acme/renamed",
    "commit": "d" * 40,
    "engine": EngineChoices(max_model_length=512),
    "scorer": "ExactMatch",
    "aggregate": Aggregation.KINDS,
    "loss": LossParameters(batches=3),
    "max_prompt_tokens": 500,
    "mean_answer_tokens": 20,
    "generate_seconds": 60,
}
"""Another value of each of the others."""
OUTCOME = ("manifest.json", "verdicts.jsonl", "summary.json", "timeline.json")


def response(name: str, text: str = "x") -> Response:
    return Response(id=name, text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """A directory with an attempt's answers to `a` and `b`, and the files of a finished run."""
    with Journal(tmp_path, KEY, "abc") as journal:
        journal.start(device="one", arguments={"seed": 0}, packages={"vllm": "1"})
        journal.append([response("a"), response("b")])
    for name in OUTCOME:
        (tmp_path / name).write_text("{}")
    return tmp_path


def test_the_same_inputs_are_taken_over(begun: Path) -> None:
    with Journal(begun, KEY, "abc") as journal:
        assert (set(journal.responses), journal.resumed) == ({"a", "b"}, 2)
        assert journal.started.devices == ["one"]
    assert all((begun / name).exists() for name in OUTCOME)


def other_keys() -> dict[str, RunKey]:
    """A key for each thing that an answer depends on, in which that alone is different."""
    runs = {
        f"run.{name}": replace(KEY, run=RUN_SPEC.model_copy(update={name: value}))
        for name, value in ANOTHER_RUN.items()
    }
    changes: dict[str, Any] = {
        "prompts_digest": "other",
        "stop_ids": (9,),
        "max_model_length": 9,
        "dtype": "other",
        "engine": "other",
    }
    assert {"run", *changes} == {field.name for field in fields(RunKey)}
    return runs | {name: replace(KEY, **{name: value}) for name, value in changes.items()}


@pytest.mark.parametrize("key", other_keys().values(), ids=other_keys())
def test_whatever_an_answer_depends_on_sets_answers_aside(begun: Path, key: RunKey) -> None:
    before = (begun / RESPONSES).read_bytes()
    with Journal(begun, key, "abc") as journal:
        assert (journal.responses, journal.started.devices) == ({}, [])
    (aside,) = begun.glob("responses-*.jsonl")
    assert (aside.read_bytes(), (begun / RESPONSES).read_bytes()) == (before, b"")
    assert not any((begun / name).exists() for name in OUTCOME), "an outcome of other answers"


@pytest.mark.parametrize("name", THE_SAME_ANSWERS)
def test_what_no_answer_depends_on_keeps_the_answers(begun: Path, name: str) -> None:
    key = replace(KEY, run=RUN_SPEC.model_copy(update={name: THE_SAME_ANSWERS[name]}))
    with Journal(begun, key, "abc") as journal:
        assert journal.resumed == 2


def test_every_field_of_a_run_is_in_the_key_or_excepted() -> None:
    assert ANOTHER_RUN.keys() | THE_SAME_ANSWERS.keys() == RunSpec.model_fields.keys()


def test_the_key_on_disk_is_that_of_earlier_versions(begun: Path) -> None:
    """So that an evaluation that an earlier version began can be completed."""
    assert json.loads((begun / RUN).read_bytes())["key"] == {
        "task_set_digest": "sha256:" + "2" * 64,
        "weights_digest": "sha256:" + "1" * 64,
        "prompts_digest": "sha256:" + "5" * 64,
        "stop_ids": [2],
        "prompt_format": "Bfcl",
        "max_tokens": 8,
        "max_model_length": 64,
        "dtype": "bfloat16",
        "engine": "pretended 1",
    }


def test_seconds_of_generating_outlive_an_attempt(begun: Path) -> None:
    with Journal(begun, KEY, "abc") as journal:
        assert journal.started.generate_seconds == 0
        journal.record_seconds(1.5)
        journal.start(device="two", arguments={}, packages={}, load_seconds=4.0)
    with Journal(begun, KEY, "abc") as journal:
        assert (journal.started.generate_seconds, journal.started.devices) == (1.5, ["one", "two"])
        kept = journal.started.seconds(load=0.1, score=0.25)
        assert kept == PhaseSeconds(load="4.000", generate="1.500", score="0.250")
    with Journal(begun, KEY, "abc", fresh=True) as journal:
        assert journal.started.generate_seconds == 0


def test_a_fresh_start_sets_answers_aside(begun: Path) -> None:
    with Journal(begun, KEY, "abc", fresh=True) as journal:
        assert journal.responses == {}
    assert len(list(begun.glob("responses-*.jsonl"))) == 1


def test_nothing_is_set_aside_when_there_is_nothing(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with Journal(tmp_path, replace(KEY, engine=text), "a"):
            pass
    assert not list(tmp_path.glob("responses-*.jsonl"))


def test_what_does_not_count_is_gone_from_the_file(begun: Path) -> None:
    """Or an answer appended next would be glued to a torn line and be lost."""
    whole = (begun / RESPONSES).read_bytes()
    with (begun / RESPONSES).open("ab") as file:
        file.write(encode_line(response("foreign")) + encode_line(response("a", "later")) + b'{"id":"c","te')
    with Journal(begun, KEY, "abc") as journal:
        assert (set(journal.responses), journal.responses["a"].text) == ({"a", "b"}, "x")
        assert (begun / RESPONSES).read_bytes() == whole
        journal.append([response("c")])
        assert (begun / RESPONSES).read_bytes() == whole + encode_line(response("c")), "at once: a kill loses nothing"


def test_answers_reach_the_disk_every_few_seconds_and_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(module.os, "fsync", synced.append)
    monkeypatch.setattr(module, "_SYNC_SECONDS", 0.0)
    with Journal(tmp_path, KEY, "ab") as journal:
        synced.clear()
        journal.append([])
        assert synced == []
        journal.append([response("a")])
        assert len(synced) == 1
    assert len(synced) == 2


def test_each_device_is_named_once_and_the_last_engine_stays(begun: Path) -> None:
    with Journal(begun, KEY, "abc") as journal:
        journal.start(device="two", arguments={"seed": 1}, packages={"vllm": "2"})
        journal.start(device="one", arguments={"seed": 2}, packages={"vllm": "3"})
    started = json.loads((begun / RUN).read_text())["started"]
    assert started == {"devices": ["one", "two"], "arguments": {"seed": 2}, "packages": {"vllm": "3"}}


def test_a_run_file_that_is_no_object_means_other_inputs(begun: Path) -> None:
    (begun / RUN).write_text("[1]")
    with Journal(begun, KEY, "abc") as journal:
        assert journal.resumed == 0


def test_prompts_are_told_apart_by_where_each_ends() -> None:
    prompts = [[[1, 2], [3]], [[1], [2, 3]], [[1, 2, 3]], [[1], [2], [3]], [[12], [3]], []]
    assert len({prompts_digest(tokens) for tokens in prompts}) == len(prompts)


@given(
    st.lists(st.tuples(st.sampled_from("abcdz"), st.text(max_size=20)), max_size=8),
    st.integers(0, 60),
    st.binary(max_size=30).map(lambda junk: junk.replace(b"{", b"")),
)
def test_whatever_a_kill_leaves_is_read_or_dropped(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[str, str]], cut: int, junk: bytes
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    with Journal(directory, KEY, "abcd"):
        pass
    written = b"".join(encode_line(response(name, text)) for name, text in lines)
    left = written[: max(0, len(written) - cut)]
    (directory / RESPONSES).write_bytes(left + junk)
    whole = [(name, text) for name, text in lines[: left.count(b"\n")] if name in "abcd"]
    with Journal(directory, KEY, "abcd") as journal:
        found = {name: answer.text for name, answer in journal.responses.items()}
        assert dict(reversed(whole)).items() <= found.items() <= set(lines), "the first answer of each whole line"
        journal.append([response(name) for name in "abcd" if name not in journal.responses])
    with Journal(directory, KEY, "abcd") as journal:
        assert set(journal.responses) == set("abcd") and journal.resumed == 4


def test_first_of_two_answers_counts(tmp_path: Path) -> None:
    with Journal(tmp_path, KEY, "ab") as journal:
        journal.append([response("a", "first")])
    with (tmp_path / RESPONSES).open("ab") as file:
        file.write(encode_line(response("a", "second")))
    with Journal(tmp_path, KEY, "ab") as journal:
        assert journal.responses["a"].text == "first"


def test_second_attempt_at_the_same_time_is_kept_out(tmp_path: Path) -> None:
    with Journal(tmp_path, KEY, "a"), pytest.raises(InfrastructureFault, match="another attempt"):
        Journal(tmp_path, KEY, "a")
    with Journal(tmp_path, KEY, "a") as journal:
        assert journal.resumed == 0


def test_broken_run_file_means_other_inputs(tmp_path: Path) -> None:
    with Journal(tmp_path, KEY, "a") as journal:
        journal.append([response("a")])
    (tmp_path / RUN).write_text("{")
    with Journal(tmp_path, KEY, "a") as journal:
        assert journal.resumed == 0
