"""A MinerModel from the options of `submit`."""

from __future__ import annotations

from typing import Any

import pytest

from bitagent_cli.objects.submission import (
    NAME_BYTES,
    Submission,
    SubmissionError,
    doubts,
    manifest,
    model_name,
    outcome,
)
from bitagent_crds.minermodel import MinerModelSpec

COMMIT = "a" * 40
HOTKEY = "5CnxbRk7DKntFz5E8za9NxFmP253fShWWBj3xf5C8L5TnaMF"


@pytest.mark.parametrize(
    ("repo", "name"),
    [
        pytest.param("acme/tiny-fc", "acme-tiny-fc", id="plain"),
        pytest.param("Acme/Tiny.FC", "acme-tiny-fc-", id="other letters have a digest"),
        pytest.param("a/" + "x" * 60, "a-xxxx", id="long"),
    ],
)
def test_names(repo: str, name: str) -> None:
    assert model_name(repo).startswith(name)
    assert len(model_name(repo)) <= NAME_BYTES


def test_other_repositories_have_other_names() -> None:
    repos = ["a/b-c", "a-b/c", "A/b-c", "a/b.c", "a/b_c"]
    assert len({model_name(repo) for repo in repos}) >= len(repos) - 1
    assert model_name("a/b.c") != model_name("a/b_c")


def test_all_options() -> None:
    asked = Submission(
        f"acme/tiny@{COMMIT}", name="mine", hotkey=HOTKEY, commit_block=7, labels=("a=b", "c="), prompt_format="Bfcl"
    )
    made = manifest(asked, namespace="ns")
    assert made["metadata"] == {"name": "mine", "namespace": "ns", "labels": {"a": "b", "c": ""}}
    spec = MinerModelSpec.model_validate(made["spec"])
    assert spec.miner is not None
    assert (spec.miner.hotkey, spec.miner.commit_block, spec.prompt_format) == (HOTKEY, 7, "Bfcl")
    assert made["spec"]["source"]["huggingFace"] == {"repo": "acme/tiny", "revision": COMMIT}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param(Submission("tiny"), "owner/name", id="no owner"),
        pytest.param(Submission("https://hub/a/b"), "owner/name", id="an address"),
        pytest.param(Submission("a/b", hotkey="x"), "--hotkey is the ss58 address", id="no account"),
        pytest.param(Submission("a/b", prompt_format="chatml"), "--prompt-format is letters", id="no name of a format"),
        pytest.param(Submission("a/b", commit_block=1), "--hotkey", id="a block without an account"),
        pytest.param(Submission("a/b@main", hotkey=HOTKEY, commit_block=1), "40 digits", id="a block of a branch"),
        pytest.param(Submission("a/b", labels=("x",)), "KEY=VALUE", id="no label"),
    ],
)
def test_wrong_options(asked: Submission, said: str) -> None:
    with pytest.raises(SubmissionError, match=said):
        manifest(asked, namespace="ns")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        pytest.param("chatml", "ChatML", id="another case"),
        pytest.param("ChatTemplates", "ChatTemplate", id="misspelt"),
        pytest.param("Zephyr", "Vicuna", id="unknown: all are listed"),
        pytest.param("Bfcl", "", id="known"),
        pytest.param(None, "", id="none"),
    ],
)
def test_prompt_formats_that_may_be_a_mistake(name: str | None, hint: str) -> None:
    found = doubts(Submission("a/b", prompt_format=name))
    assert len(found) == bool(hint)
    assert hint in "".join(found)


def obj(generation: int, *conditions: tuple[str, str, int]) -> dict[str, Any]:
    found = [{"type": t, "status": s, "reason": "R", "observedGeneration": g} for t, s, g in conditions]
    return {"metadata": {"generation": generation}, "status": {"conditions": found}}


@pytest.mark.parametrize(
    ("seen", "good"),
    [
        pytest.param(obj(1), None, id="nothing yet"),
        pytest.param(obj(1, ("Ready", "False", 1)), None, id="waits"),
        pytest.param(obj(1, ("Ready", "True", 1)), True, id="ready"),
        pytest.param(obj(2, ("Ready", "True", 1)), None, id="ready by an earlier spec"),
        pytest.param(obj(1, ("Ready", "False", 1), ("Stalled", "True", 1)), False, id="stalled"),
        pytest.param(obj(2, ("Stalled", "True", 1)), None, id="stalled by an earlier spec"),
    ],
)
def test_outcome(seen: dict[str, Any], good: bool | None) -> None:
    found = outcome(seen)
    assert (found.good if found is not None else None) is good
