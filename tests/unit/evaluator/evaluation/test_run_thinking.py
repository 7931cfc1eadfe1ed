"""Whole runs of a model that thinks: its prompts, its cut answers, and the same files from any engine."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from bitagent_crds.evaluation import RunSpec, Thinking
from bitagent_crds.results import Response, ResultsManifest
from bitagent_crds.task_forms import BuiltinPromptFormat, Expects
from bitagent_crds.task_set import Conversation, Task
from bitagent_evaluator.engines.base import Completion, CompletionRequest
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.evaluation.journal import RESPONSES, RUN
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import MANIFEST, VERDICTS
from bitagent_evaluator.evaluation.run import evaluate
from bitagent_evaluator.support.progress import LogProgress

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
    "{% if enable_thinking %}<think>\n{% endif %}"
)
STOP = 2
CALL = "[add(a=1)]"


@dataclass
class Engine:
    """Writes the text that follows each question, or its last token for ever."""

    backend: Backend
    device: str = "pretended"
    packages: dict[str, str] = field(default_factory=dict)
    _open: dict[str, tuple[int, list[int], list[int]]] = field(default_factory=dict)

    def generate(self, requests: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        tokenizer = self.backend.tokenizer
        for request in requests:
            self.backend.prompts.append(tokenizer.decode(request.token_ids, skip_special_tokens=False))
            script = tokenizer.encode(self.backend.answer(request.key)).ids
            self._open[request.key] = (request.max_tokens, [], script)
        while self._open:
            finished = []
            for key, (limit, ids, script) in list(self._open.items()):
                self.backend.generated += 1
                if len(ids) == len(script) and not self.backend.endless:
                    del self._open[key]
                    finished.append(Completion(key, ids, len(ids) + 1, "stop"))
                    continue
                ids.append(script[min(len(ids), len(script) - 1)])
                if len(ids) == limit:
                    del self._open[key]
                    finished.append(Completion(key, ids, len(ids), "length"))
            yield finished


class Watched(Engine):
    """One that shows its tokens and ends requests."""

    def generated(self) -> dict[str, int]:
        return {key: len(ids) for key, (_, ids, _) in self._open.items()}

    def tokens(self, keys: Collection[str]) -> dict[str, list[int]]:
        return {key: list(self._open[key][1]) for key in keys if key in self._open}

    def end(self, keys: Collection[str]) -> None:
        for key in keys:
            self._open.pop(key, None)


@dataclass
class Backend:
    """Starts an engine of one kind. The answers are those of a conversation's steps, or the same to every task; the
    task `thinker` is thought about for long before."""

    model_dir: Path
    answers: Sequence[str]
    kind: type[Engine] = Engine
    endless: bool = False
    identity: str = "pretended 1"
    generated: int = 0
    prompts: list[str] = field(default_factory=list)
    plans: list[EnginePlan] = field(default_factory=list)
    _asked: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tokenizer = tokenizers.Tokenizer.from_file(str(self.model_dir / "tokenizer.json"))

    def answer(self, key: str) -> str:
        self._asked[key] = self._asked.get(key, 0) + 1
        text = self.answers[min(self._asked[key], len(self.answers)) - 1]
        return "On and on and on. " * 20 + text if key == "thinker" else text

    def prepare(self, model_dir: Path) -> None:
        """Nothing takes long."""

    def hardware(self) -> Hardware:
        return Hardware(0, "pretended")

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Engine]:
        self.plans.append(plan)
        yield self.kind(self)


def function(name: str, parameter: str, kind: str) -> dict[str, Any]:
    properties = {parameter: {"type": kind, "description": "It."}}
    described = {"type": "dict", "properties": properties, "required": [parameter]}
    return {"name": name, "description": "Does it.", "parameters": described}


def task(number: int) -> Task:
    return Task(
        id=f"t{number}",
        source="test",
        category="c",
        messages=[{"role": "user", "content": f"{number}: add 1."}],
        functions=[function("add", "a", "integer")],
        ground_truth=[{"add": {"a": [1]}}],
    )


@pytest.fixture
def evaluation(checkpoint: Any, tmp_path: Path) -> Evaluation:
    checkpoint.config(max_position_embeddings=32768)
    (checkpoint.path / "chat_template.jinja").write_text(TEMPLATE)
    return Evaluation(
        run=RunSpec(
            repo="acme/tiny",
            task_set_digest="sha256:" + "2" * 64,
            prompt_format=BuiltinPromptFormat.BFCL,
            thinking=Thinking.ON,
            max_tokens=24,
            max_thought_tokens=60,
        ),
        model_dir=checkpoint.path,
        tasks=[task(number) for number in range(3)],
        out_dir=tmp_path / "out",
    )


def run(asked: Evaluation, answers: Sequence[str], **backend: Any) -> Backend:
    started = Backend(asked.model_dir, answers, **backend)
    evaluate(asked, started, LogProgress())
    return started


def responses(asked: Evaluation) -> list[Response]:
    return [Response.model_validate_json(line) for line in (asked.out_dir / RESPONSES).read_text().splitlines()]


def manifest(asked: Evaluation) -> ResultsManifest:
    return ResultsManifest.model_validate_json((asked.out_dir / MANIFEST).read_bytes())


def test_an_answer_after_a_thought_has_its_own_tokens(evaluation: Evaluation) -> None:
    backend = run(evaluation, [f"One, so I add it to it.</think>\n\n{CALL}"])
    assert all(prompt.endswith("<think>\n") for prompt in backend.prompts)
    assert {(response.finish_reason, response.text[-len(CALL) :]) for response in responses(evaluation)} == {
        ("stop", CALL)
    }
    found = manifest(evaluation)
    assert (found.passed, found.thinking, found.max_tokens, found.max_thought_tokens) == (3, Thinking.ON, 24, 60)
    longest = max(response.prompt_tokens for response in responses(evaluation))
    assert backend.plans[0].arguments["max_model_len"] == longest + 24 + 60
    key = json.loads((evaluation.out_dir / RUN).read_bytes())["key"]
    assert (key["thinking"], key["max_thought_tokens"]) == ("On", 60)


def test_engines_that_end_requests_make_the_same_files_with_less_work(evaluation: Evaluation, tmp_path: Path) -> None:
    early, text = replace(evaluation, out_dir=tmp_path / "early"), "Hm.</think>I say that"
    whole, ended = run(evaluation, [text], endless=True), run(early, [text], endless=True, kind=Watched)
    for name in (RESPONSES, VERDICTS, MANIFEST):
        assert (early.out_dir / name).read_bytes() == (evaluation.out_dir / name).read_bytes()
    counted = len(whole.tokenizer.encode("Hm.</think>").ids) + 24
    assert {(r.completion_tokens, r.finish_reason) for r in responses(early)} == {(counted, "length")}
    assert (whole.generated, ended.generated <= 3 * (counted + 16)) == (3 * (24 + 60), True)


def test_without_a_limit_of_its_own_a_thought_shares_that_of_the_answer(evaluation: Evaluation) -> None:
    shared = replace(evaluation, run=evaluation.run.model_copy(update={"max_thought_tokens": None}))
    run(shared, [f"One, so I add it to it, and that is all that there is to say of it.</think>\n\n{CALL}"])
    assert {(r.completion_tokens, r.finish_reason) for r in responses(shared)} == {(24, "length")}


def test_every_step_of_a_conversation_may_think(evaluation: Evaluation) -> None:
    said = [[{"role": "user", "content": "Make a."}], [{"role": "user", "content": "Make b."}]]
    conversation = Conversation.model_validate(
        {
            "turns": said,
            "ground_truth": [["mkdir(dir_name='a')"], ["mkdir('b')"]],
            "classes": ["GorillaFileSystem"],
            "initial_state": {"GorillaFileSystem": {"root": {"home": {"type": "directory", "contents": {}}}}},
        }
    )
    asked = Task(
        id="c",
        source="test",
        category="multi_turn_base",
        messages=said[0],
        functions=[function("mkdir", "dir_name", "string")],
        expects=Expects.STATE,
        conversation=conversation,
    )
    held = replace(evaluation, tasks=[asked, asked.model_copy(update={"id": "thinker"})])
    thought = "It is asked for, and so I do it.</think>"
    steps = [f"{thought}[mkdir(dir_name='a')]", f"{thought}Done.", f"{thought}[mkdir(dir_name='b')]", f"{thought}Done."]
    backend = run(held, steps, kind=Watched)
    response, cut = responses(held)
    assert response.turns == [steps[:2], steps[2:]]
    assert (cut.finish_reason, {len(turn) for turn in cut.turns}, cut.completion_tokens) == ("length", {1}, 2 * 60)
    assert all(prompt.endswith("<think>\n") for prompt in backend.prompts)
    assert manifest(held).passed == 1
