"""`bitagent-eval plan` against the operator's Jobs: for any round, its commands ask what the Jobs ask."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bitagent_crds.evaluation import Aggregation, BuiltinScorer, Evaluation, RunSpec, Thinking
from bitagent_crds.minermodel import DType, EngineChoices
from bitagent_evaluator.cli.plan import plan_of, plan_text
from bitagent_evaluator.cli.plan_flags import ENGINE_FLAGS, LOSS_FLAGS, RUN_FLAGS
from bitagent_evaluator.cli.round_document import asked_by
from bitagent_evaluator.cli.run_arguments import run_parser, run_spec
from bitagent_evaluator.cli.run_options import loss_parameters

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make
    from tests.unit.operator.manifests.conftest import Build

Obj = dict[str, Any]
FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def some(required: Obj, optional: Obj) -> st.SearchStrategy[Obj]:
    return st.fixed_dictionaries(required, optional=optional)


PER_BYTE = some({}, {"normalization": st.just("Byte"), "referenceBytes": st.integers(1, 131072)})
PER_TOKEN = some({"normalization": st.just("Token")}, {"sequenceLength": st.integers(16, 131072)})
LOSS = st.builds(lambda of, batches: of | batches, PER_BYTE | PER_TOKEN, some({}, {"batches": st.integers(1, 32)}))
FORMATS = st.sampled_from(["Auto", "Bfcl", "Hammer", "ChatTemplate"])
BOUNDS: Obj = {
    "promptFormat": FORMATS,
    "maxTokens": st.integers(1, 8192),
    "maxPromptTokens": st.integers(256, 131072),
    "meanAnswerTokens": st.integers(1, 8192),
    "generateSeconds": st.integers(10, 7000),
    "aggregate": st.sampled_from([*map(str, Aggregation)]),
}
GENERATED = some(
    {},
    BOUNDS
    | {
        "scorer": st.sampled_from([str(name) for name in BuiltinScorer if name != BuiltinScorer.LOSS]),
        "thinking": st.sampled_from([*map(str, Thinking)]),
        "maxThoughtTokens": st.integers(1, 131072),
    },
)
MEASURED = some({"scorer": st.just("Loss")}, BOUNDS | {"loss": LOSS})
MODELS = some(
    {},
    {
        "promptFormat": FORMATS,
        "engine": some({}, {"dtype": st.sampled_from([*map(str, DType)]), "maxModelLength": st.integers(256, 131072)}),
    },
)


@FEW
@given(evaluation=GENERATED | MEASURED, deadline=st.integers(7001, 604800), model=MODELS)
def test_run_asks_what_the_evaluation_job_asks(
    build: Build, make: Make, evaluation: Obj, deadline: int, model: Obj
) -> None:
    spec: Obj = {"evaluation": evaluation, "workload": {"deadlineSeconds": deadline}}
    asked = build.evaluation(model=build.model(**model), **spec).document.run
    frozen = {"model": "a", "repo": asked.repo, "commit": asked.commit, "engine": asked.engine.to_wire()}
    result = frozen | {"promptFormat": asked.prompt_format, "state": "Running"}
    document = {"kind": "EvalRound", **make.round_raw(**spec), "status": {"results": [result]}}
    planned = plan_of(asked_by(document, "r"), model=asked.repo)
    line = next(
        line for line in plan_text(planned).replace("\\\n", "").splitlines() if line.startswith("bitagent-eval run ")
    )
    assert tuple(shlex.split(line)[2:]) == planned.run
    options = run_parser().parse_args(list(planned.run))
    assert options.model == [f"{asked.repo}@{asked.commit}"]
    options.loss = loss_parameters(options)
    origin = ("repo", "commit", "weights_digest", "model_digest", "task_set_digest")
    assert run_spec(options, **{name: getattr(asked, name) for name in origin}) == asked


def test_every_choice_of_a_round_has_an_option() -> None:
    """A choice that is added to the contract needs one too."""
    origin = {"repo", "commit", "weights_digest", "model_digest", "task_set_digest"}
    assert set(RunSpec.model_fields) - origin == {*RUN_FLAGS, "engine", "loss"}
    assert set(Evaluation.model_fields) <= {*RUN_FLAGS, "loss"}
    assert set(EngineChoices.model_fields) == set(ENGINE_FLAGS)
    loss = RunSpec(repo="", task_set_digest="sha256:" + "0" * 64, max_tokens=1).loss_parameters
    assert set(type(loss).model_fields) == set(LOSS_FLAGS)
