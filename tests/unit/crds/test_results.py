"""Files of results: old ones stay readable with their digests, and what was run comes back from a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bitagent_crds.evaluation import Aggregation, BuiltinScorer, LossNormalization, LossParameters, RunSpec, Thinking
from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_crds.results import Response, ResultsManifest, Verdict, recorded
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.task_set import Task, TaskSetManifest

OLD = Path(__file__).parents[1] / "evaluator/data/results-schema-1"
DIGEST = "sha256:" + "1" * 64
RUN = RunSpec(
    repo="acme/model",
    commit="c" * 40,
    weights_digest=DIGEST,
    task_set_digest="sha256:" + "2" * 64,
    prompt_format=BuiltinPromptFormat.HAMMER,
    max_tokens=17,
    engine=EngineChoices(dtype=DType.FLOAT16, max_model_length=512),
    scorer=BuiltinScorer.EXACT_MATCH,
)
OUTCOME: dict[str, Any] = {
    "engine": {"seed": 0},
    "packages": {},
    "device": "a processor",
    "dtype": "float16",
    "responses_digest": DIGEST,
    "verdicts_digest": DIGEST,
    "score": "1.000000",
    "passed": 1,
    "total": 1,
    "categories": {},
}


def manifest(run: RunSpec) -> ResultsManifest:
    return ResultsManifest(**recorded(run), **OUTCOME)


def old_manifest(**changes: Any) -> ResultsManifest:
    return ResultsManifest.model_validate(json.loads((OLD / "manifest.json").read_bytes()) | changes)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(RUN, id="everything chosen"),
        pytest.param(RunSpec(repo="m", task_set_digest=DIGEST, max_tokens=1), id="nothing chosen"),
        pytest.param(
            RUN.model_copy(update={"scorer": BuiltinScorer.LOSS, "loss": LossParameters(batches=3).settled()}),
            id="losses",
        ),
        pytest.param(RUN.model_copy(update={"aggregate": Aggregation.KINDS}), id="kinds weigh equally"),
        pytest.param(
            RUN.model_copy(update={"thinking": Thinking.OFF, "max_thought_tokens": 7}), id="thinking, and its bound"
        ),
        pytest.param(RUN.model_copy(update={"scorer": "OfAPackage", "prompt_format": "OfAPackage"}), id="of a package"),
    ],
)
def test_a_run_comes_back_from_its_manifest(run: RunSpec) -> None:
    read = ResultsManifest.model_validate_json(manifest(run).model_dump_json())
    assert read.run() == run


def test_every_field_of_a_run_is_in_the_manifest() -> None:
    assert len(recorded(RUN)) == len(RunSpec.model_fields)
    assert set(recorded(RUN)) <= set(ResultsManifest.model_fields)


def test_loss_parameters_are_recorded_where_losses_were_measured() -> None:
    assert "loss_parameters" not in json.loads(manifest(RUN).model_dump_json())
    measured = manifest(RUN.model_copy(update={"scorer": BuiltinScorer.LOSS}))
    assert measured.loss_parameters == LossParameters().settled(), "the defaults, since a later version may have others"
    assert measured.loss_parameters.reference_bytes is not None


def test_losses_of_results_without_a_normalization_are_per_token() -> None:
    """There was no other when they were written."""
    read = old_manifest(scorer="Loss", loss_parameters={"sequence_length": 512, "batches": 4})
    expected = LossParameters(normalization=LossNormalization.TOKEN, sequence_length=512, batches=4)
    assert (read.loss_parameters, read.run().loss) == (expected, expected)


def test_the_manifest_stays_flat_and_in_order() -> None:
    assert list(json.loads(manifest(RUN).model_dump_json())) == [
        "schema_version",
        "repo",
        "commit",
        "weights_digest",
        "task_set_digest",
        "prompt_format",
        "max_tokens",
        "engine",
        "choices",
        "packages",
        "device",
        "dtype",
        "responses_digest",
        "verdicts_digest",
        "scorer",
        "score",
        "interval",
        "passed",
        "total",
        "categories",
    ]


def test_a_manifest_of_schema_1_keeps_its_bytes() -> None:
    content = (OLD / "manifest.json").read_text()
    assert ResultsManifest.model_validate_json(content).model_dump_json(indent=2) + "\n" == content


def test_a_manifest_of_schema_1_says_what_was_run() -> None:
    run = old_manifest().run()
    assert (run.repo, run.commit, run.prompt_format, run.max_tokens) == (
        "local/models/tiny-fc-1200",
        None,
        "ChatTemplate",
        32,
    )
    assert (run.scorer, run.engine, run.loss) == (BuiltinScorer.BFCL, EngineChoices(), None)


@pytest.mark.parametrize(
    ("choices", "location"),
    [({"dtype": "octal"}, "dtype"), ({"later": 1}, "later"), ({"maxModelLength": 10**9}, "maxModelLength")],
)
def test_a_manifest_with_choices_of_another_version_is_read_and_cannot_be_run(
    choices: dict[str, Any], location: str
) -> None:
    read = old_manifest(choices=choices)
    assert read.choices == choices
    with pytest.raises(ValidationError) as caught:
        read.run()
    assert caught.value.errors()[0]["loc"] == (location,)


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert old_manifest(schema_later="x").run() == old_manifest().run()


@pytest.mark.parametrize(
    ("file", "model"),
    [
        ("tasks/tasks.jsonl", Task),
        ("responses.jsonl", Response),
        ("verdicts.jsonl", Verdict),
    ],
)
def test_lines_of_schema_1_keep_their_bytes(file: str, model: type[Task | Response | Verdict]) -> None:
    for line in (OLD / file).read_text().splitlines():
        assert model.model_validate_json(line).model_dump_json() == line


def test_a_task_set_manifest_of_schema_1_keeps_its_bytes() -> None:
    content = (OLD / "tasks/manifest.json").read_text()
    assert TaskSetManifest.model_validate_json(content).model_dump_json(indent=2) + "\n" == content
