"""Losses: what is measured of a task, and a run around an engine that only pretends."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.conditions import Reason
from bitagent_crds.evaluation import LossParameters, Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.minermodel import DType
from bitagent_crds.minermodel import Engine as EngineChoices
from bitagent_crds.results import Expects, ResultsManifest, Task
from bitagent_evaluator.cli import run as run_verb
from bitagent_evaluator.cli import score as score_verb
from bitagent_evaluator.engine.plan import EnginePlan, Hardware, plan_engine
from bitagent_evaluator.engine.prompt_losses import STEP_TOKENS, Measured, Passage, for_losses
from bitagent_evaluator.faults import InfrastructureFault, ModelFault
from bitagent_evaluator.progress import LogProgress
from bitagent_evaluator.rendering.prompts import PromptWriter
from bitagent_evaluator.runs.asking import Asked, open_wording, prepare_ways
from bitagent_evaluator.runs.asking.losses import Losses
from bitagent_evaluator.runs.evaluate import Evaluated, Evaluation, evaluate
from bitagent_evaluator.runs.journal import RESPONSES
from bitagent_evaluator.tasks.files import encode_tasks

MODEL = "tiny-fc-1200"


def task(index: int, reference: str | None = "add(a=1, b=2)", question: str = "Add 1 and 2.") -> Task:
    return Task(
        id=f"t{index}",
        source="stream",
        category="even" if index % 2 == 0 else "odd",
        messages=[{"role": "user", "content": question}],
        functions=[],
        expects=Expects.NO_CALL if reference is None else Expects.TEXT,
        reference=reference,
    )


def way(
    model: Path,
    tasks: Sequence[Task],
    *,
    sequence_length: int = 2048,
    token_limit: int = 2048,
    vocab_size: int = 10**6,
    prompt_format: PromptFormat = PromptFormat.CHAT_TEMPLATE,
) -> Losses:
    with PromptWriter(model) as writer:
        wording = open_wording(writer, prompt_format, max_tokens=8, token_limit=token_limit, vocab_size=vocab_size)
        asked = Asked(Scorer.LOSS, LossParameters(sequence_length=sequence_length))
        (prepared,) = prepare_ways(tasks, wording, asked)
    assert isinstance(prepared, Losses)
    return prepared


def decoded(model: Path, ids: list[int]) -> str:
    tokenizer = pytest.importorskip("tokenizers").Tokenizer.from_file(str(model / "tokenizer.json"))
    text: str = tokenizer.decode(ids, skip_special_tokens=False)
    return text


def test_the_reference_and_its_end_are_measured_after_the_prompt(models: Path) -> None:
    (passage,) = way(models / MODEL, [task(0)]).passages
    prompt, reference = passage.token_ids[: passage.start], passage.token_ids[passage.start :]
    assert decoded(models / MODEL, prompt) == "<|im_start|>user\nAdd 1 and 2.<|im_end|>\n<|im_start|>assistant\n"
    assert decoded(models / MODEL, reference) == "add(a=1, b=2)<|im_end|>"


TEMPLATED = "<|im_start|>user\nAdd 1 and 2.<|im_end|>\n<|im_start|>assistant\n"
PROMPTS = {
    PromptFormat.CHAT_TEMPLATE: TEMPLATED,
    PromptFormat.BFCL: TEMPLATED,
    PromptFormat.BITAGENT: TEMPLATED,
    PromptFormat.HAMMER: TEMPLATED,
    PromptFormat.CHATML: TEMPLATED,
    PromptFormat.ALPACA: (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nAdd 1 and 2.\n\n### Response:\n"
    ),
    PromptFormat.VICUNA: "USER: Add 1 and 2.\nASSISTANT:",
    PromptFormat.LLAMA2: "[INST] Add 1 and 2. [/INST]",
}


@pytest.mark.parametrize(("name", "prompt"), PROMPTS.items(), ids=PROMPTS)
def test_no_format_asks_for_calls_where_a_text_is_measured(models: Path, name: PromptFormat, prompt: str) -> None:
    (passage,) = way(models / MODEL, [task(0)], prompt_format=name).passages
    assert decoded(models / MODEL, passage.token_ids) == f"{prompt}add(a=1, b=2)<|im_end|>"


def test_an_end_token_is_written_only_where_the_tokenizer_names_one(models: Path, checkpoint: Any) -> None:
    (with_end,) = way(models / MODEL, [task(0)]).passages
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "eos_token": None})
    (without,) = way(checkpoint.path, [task(0)]).passages
    assert without.token_ids == with_end.token_ids[:-1]


def test_what_is_beyond_the_sequence_length_is_cut(models: Path) -> None:
    whole, short = task(0, "word " * 4000), task(1)
    prepared = way(models / MODEL, [whole, short], sequence_length=64)
    long, other = prepared.passages
    assert len(long.token_ids) == 64 > len(other.token_ids)
    assert decoded(models / MODEL, long.token_ids[long.start :]).startswith("word word")
    assert prepared.sequences == [64, len(other.token_ids)]
    assert len(way(models / MODEL, [whole]).passages[0].token_ids) == 2048


def test_a_reference_of_megabytes_takes_no_time(models: Path) -> None:
    (passage,) = way(models / MODEL, [task(0, "a1 " * 3_000_000)], sequence_length=128).passages
    assert len(passage.token_ids) == 128


def test_what_leaves_no_room_is_not_asked(models: Path) -> None:
    long_question = "Add 1 and 2. " * 20
    tasks = [task(0), task(1, question=long_question), task(2, None), task(3, "")]
    prepared = way(models / MODEL, tasks, sequence_length=64)
    assert (prepared.ids, prepared.too_long) == (["t0"], ["t1"])


def test_a_prompt_that_the_template_refuses_is_not_measured(checkpoint: Any) -> None:
    source = "{% if messages | length > 1 %}{{ raise_exception('one turn') }}{% endif %}{{ messages[0].content }}"
    (checkpoint.path / "chat_template.jinja").write_text(source)
    twice = task(0).model_copy(update={"messages": task(0).messages * 2})
    prepared = way(checkpoint.path, [twice, task(1)])
    assert (prepared.ids, prepared.too_long) == (["t1"], [])
    assert prepared.refused == {"t0": "the chat template: TemplateError: one turn"}


def test_a_sequence_that_the_model_does_not_take_is_not_cut_to_its_size(models: Path) -> None:
    length = len(way(models / MODEL, [task(0)]).passages[0].token_ids)
    assert way(models / MODEL, [task(0)], token_limit=length).ids == ["t0"]
    assert way(models / MODEL, [task(0)], token_limit=length - 1).too_long == ["t0"]


def test_tokens_outside_the_vocabulary_are_the_tokenizers_fault(models: Path) -> None:
    with pytest.raises(ModelFault, match="vocabulary has 300") as fault:
        way(models / MODEL, [task(0)], vocab_size=300)
    assert fault.value.reason is Reason.BAD_TOKENIZER


ONE_LETTER = {"type": "Replace", "pattern": {"Regex": "[^a]"}, "content": "a"}
NOTHING = {"type": "Split", "pattern": {"Regex": "[^a]"}, "behavior": "Removed", "invert": False}
CHEATS: dict[str, tuple[dict[str, Any], str]] = {
    "everything becomes one letter": ({"normalizer": ONE_LETTER}, "rewrites words"),
    "small letters only": ({"normalizer": {"type": "Lowercase"}}, "does not keep all"),
    "most of it vanishes": ({"pre_tokenizer": NOTHING}, "does not keep all"),
}


@pytest.mark.parametrize(("changes", "message"), CHEATS.values(), ids=CHEATS.keys())
def test_a_tokenizer_that_loses_text_is_refused(checkpoint: Any, changes: dict[str, Any], message: str) -> None:
    checkpoint.edit("tokenizer.json", lambda content: {**content, **changes})
    with pytest.raises(ModelFault, match=message) as fault:
        way(checkpoint.path, [task(0, "Add the Numbers")])
    assert fault.value.reason is Reason.BAD_TOKENIZER


@pytest.mark.parametrize(
    "text",
    ["  two blanks", "line\nbreaks\t", "e\u0301 decomposed", "\ufb01 ligature", "日本語 🙂", "<|im_end|> inside"],
)
def test_honest_tokenizers_are_not(checkpoint: Any, models: Path, text: str) -> None:
    assert way(models / MODEL, [task(0, text)]).ids == ["t0"]
    checkpoint.edit("tokenizer.json", lambda content: {**content, "normalizer": {"type": "NFC"}})
    assert way(checkpoint.path, [task(0, text)]).ids == ["t0"]


def test_the_fingerprint_tells_prompt_from_reference(models: Path) -> None:
    prepared = way(models / MODEL, [task(0)])
    (passage,) = prepared.passages
    assert [*prepared.fingerprint()] == [passage.token_ids[: passage.start], passage.token_ids[passage.start :]]


def test_steps_are_small_enough_for_all_logits() -> None:
    config = {
        "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "num_key_value_heads": 3,
        "max_position_embeddings": 2048, "intermediate_size": 288, "vocab_size": 640,
    }  # fmt: skip
    plan = plan_engine(config, EngineChoices(dtype=DType.FLOAT32), Hardware(1, "GPU"), lengths=[2048], max_tokens=0)
    limited = for_losses(plan)
    assert limited.arguments["max_num_batched_tokens"] == STEP_TOKENS >= limited.arguments["max_num_seqs"]
    assert plan.arguments.items() < limited.arguments.items() and limited.config == plan.config


class Killed(BaseException):
    """The process ends here."""


@dataclass
class PretendedEngine:
    """Gives a tenth of a nat for each measured token, two passages a step, the last ones first."""

    dies_after: int | None
    device: str = "pretended"
    packages: dict[str, str] = field(default_factory=dict)
    passages: list[Passage] = field(default_factory=list)

    def generate(self, prompts: Sequence[Any], stop_ids: Sequence[int]) -> Iterator[list[Any]]:
        raise AssertionError("nothing is generated")

    def losses(self, passages: Sequence[Passage]) -> Iterator[list[Measured]]:
        self.passages = list(passages)
        for finished, end in enumerate(range(len(passages), 0, -2)):
            if self.dies_after is not None and 2 * finished >= self.dies_after:
                raise Killed
            step = passages[max(0, end - 2) : end]
            yield [Measured(p.key, 0.1 * (len(p.token_ids) - p.start)) for p in step]


class WithoutLosses:
    """An engine that can only generate."""

    device = "pretended"
    packages: dict[str, str] = {}

    def generate(self, prompts: Sequence[Any], stop_ids: Sequence[int]) -> Iterator[list[Any]]:
        raise AssertionError("nothing is generated")


@dataclass
class PretendedBackend:
    """Starts pretended engines."""

    dies_after: int | None = None
    measures: bool = True
    identity: str = "pretended 1"
    engines: list[PretendedEngine] = field(default_factory=list)
    plans: list[EnginePlan] = field(default_factory=list)

    def prepare(self, model_dir: Path) -> None:
        del model_dir

    def hardware(self) -> Hardware:
        return Hardware(0, "pretended")

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Any]:
        self.plans.append(plan)
        self.engines.append(PretendedEngine(self.dies_after))
        yield self.engines[-1] if self.measures else WithoutLosses()


@pytest.fixture
def evaluation(models: Path, tmp_path: Path) -> Evaluation:
    return Evaluation(
        model_dir=models / MODEL,
        repo="acme/tiny",
        commit="a" * 40,
        weights_digest="sha256:" + "1" * 64,
        tasks=[task(index, f"add(a={10**index}, b=2)") for index in range(8)],
        task_set_digest="sha256:" + "2" * 64,
        out_dir=tmp_path / "out",
        prompt_format=PromptFormat.AUTO,
        max_tokens=32,
        engine=EngineChoices(dtype=DType.BFLOAT16),
        scorer=Scorer.LOSS,
        loss=LossParameters(batches=4),
    )


def run(evaluation: Evaluation, **backend: Any) -> tuple[Evaluated, PretendedBackend]:
    pretended = PretendedBackend(**backend)
    return evaluate(evaluation, pretended, LogProgress()), pretended


def test_results_of_a_loss_run(evaluation: Evaluation) -> None:
    outcome, backend = run(evaluation)
    manifest = ResultsManifest.model_validate_json((evaluation.out_dir / "manifest.json").read_bytes())
    lines = [json.loads(line) for line in (evaluation.out_dir / RESPONSES).read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"t{index}" for index in range(8)]
    assert all(line["loss"] == pytest.approx(0.1 * line["loss_tokens"]) and not line["text"] for line in lines)
    mean = math.fsum(line["loss"] for line in lines) / 8
    assert (manifest.loss, manifest.score) == (f"{mean:.6f}", f"{math.exp(-mean):.6f}")
    assert manifest.batch_losses == [f"{(lines[i]['loss'] + lines[i + 1]['loss']) / 2:.6f}" for i in (0, 2, 4, 6)]
    assert (manifest.scorer, manifest.dtype, manifest.prompt_format) == (Scorer.LOSS, "float32", "ChatTemplate")
    assert backend.plans[0].arguments["dtype"] == "float32"
    assert backend.plans[0].arguments["max_num_batched_tokens"] == STEP_TOKENS
    assert (outcome.aggregate.loss, list(outcome.aggregate.batch_losses)) == (manifest.loss, manifest.batch_losses)


def test_killed_run_goes_on_and_ends_the_same(evaluation: Evaluation, tmp_path: Path) -> None:
    run(replace(evaluation, out_dir=tmp_path / "whole"))
    with pytest.raises(Killed):
        run(evaluation, dies_after=4)
    outcome, backend = run(evaluation)
    assert outcome.resumed == 4
    assert [passage.key for passage in backend.engines[0].passages] == ["t0", "t1", "t2", "t3"]
    for name in (RESPONSES, "verdicts.jsonl", "manifest.json"):
        assert (evaluation.out_dir / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_other_batches_need_no_engine(evaluation: Evaluation) -> None:
    run(evaluation)
    outcome, backend = run(replace(evaluation, loss=LossParameters(batches=2)))
    assert (outcome.resumed, backend.engines, len(outcome.aggregate.batch_losses)) == (8, [], 2)


@pytest.mark.parametrize(
    "changes",
    [{"loss": LossParameters(sequence_length=40)}, {"prompt_format": PromptFormat.ALPACA}],
    ids=["sequence length", "format"],
)
def test_losses_of_other_inputs_are_set_aside(evaluation: Evaluation, changes: dict[str, Any]) -> None:
    run(evaluation)
    before = (evaluation.out_dir / RESPONSES).read_bytes()
    assert run(replace(evaluation, **changes))[0].resumed == 0
    (aside,) = evaluation.out_dir.glob("responses-*.jsonl")
    assert aside.read_bytes() == before


def test_the_number_format_chosen_does_not_matter(evaluation: Evaluation) -> None:
    run(evaluation)
    assert run(replace(evaluation, engine=EngineChoices(dtype=DType.FLOAT16)))[0].resumed == 8


def test_a_sample_that_was_not_measured_makes_the_loss_infinite(evaluation: Evaluation) -> None:
    tasks = [*evaluation.tasks[:3], task(3, ""), task(4, question="Add 1 and 2. " * 500)]
    outcome, _ = run(replace(evaluation, tasks=tasks))
    assert (outcome.aggregate.loss, outcome.aggregate.score, outcome.too_long) == ("inf", "0.000000", 1)
    verdicts = [json.loads(line) for line in (evaluation.out_dir / "verdicts.jsonl").read_text().splitlines()]
    assert [verdict["error"] for verdict in verdicts] == ["", "", "", "no_reference", "no_response"]


def test_an_engine_that_cannot_measure_is_infrastructure(evaluation: Evaluation) -> None:
    with pytest.raises(InfrastructureFault, match="measures no losses"):
        run(evaluation, measures=False)


@pytest.mark.parametrize(
    ("verb", "arguments", "message"),
    [
        (run_verb, ["--batches", "4"], "--batches belongs to --scorer Loss"),
        (run_verb, ["--scorer", "Loss", "--batches", "40"], "--batches 40: Input should be less than or equal to 32"),
        (run_verb, ["--scorer", "Loss", "--sequence-length", "8"], "--sequence-length 8"),
        (score_verb, ["--batches", "4"], "--batches belongs to --scorer Loss"),
    ],
    ids=["another scorer", "too many batches", "too short", "score"],
)
def test_options_out_of_place_are_wrong_usage(
    verb: Any,
    arguments: list[str],
    message: str,
    models: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks([task(0)]))
    of_verb = {
        run_verb: ["--model", str(models / MODEL)],
        score_verb: ["--responses", str(tmp_path / "none"), "--out", str(tmp_path / "v")],
    }
    code = verb.main(["--tasks", str(tmp_path / "tasks.jsonl"), *of_verb[verb], *arguments])
    assert code == 2 and message in capsys.readouterr().err


def test_existing_losses_are_judged_again(
    evaluation: Evaluation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(evaluation)
    (tmp_path / "tasks.jsonl").write_bytes(encode_tasks(list(evaluation.tasks)))
    arguments = [
        "--tasks",
        str(tmp_path / "tasks.jsonl"),
        "--responses",
        str(evaluation.out_dir / RESPONSES),
        "--scorer",
        "Loss",
    ]
    assert score_verb.main([*arguments, "--batches", "2", "--json", "--out", str(tmp_path / "v.jsonl")]) == 0
    manifest = json.loads((evaluation.out_dir / "manifest.json").read_text())
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["loss"], len(outcome["batch_losses"])) == (manifest["loss"], 2)
    assert (tmp_path / "v.jsonl").read_bytes() == (evaluation.out_dir / "verdicts.jsonl").read_bytes()
