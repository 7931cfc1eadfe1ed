"""docs/mining.md: its commands, on a tiny model with an engine that always gives one answer, and its tables."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tokenizers import Tokenizer

from bitagent_crds.evaluation import Evaluation
from bitagent_crds.memory import memory_need
from bitagent_crds.minermodel import EngineChoices, MemoryShape
from bitagent_evaluator.cli import app, run
from bitagent_evaluator.engines.base import Completion, CompletionRequest
from bitagent_evaluator.engines.plan import EnginePlan, Hardware
from bitagent_evaluator.models.validation.architectures import find_architecture
from bitagent_evaluator.models.validation.memory import FLOATS, memory_shape
from bitagent_evaluator.models.validation.quantization import find_method
from bitagent_evaluator.models.validation.weights import ITEM_BYTES, Tensor, count_parameters, expected_checkpoint

if TYPE_CHECKING:
    from tests.unit.evaluator.conftest import LoopbackHub

Config = dict[str, Any]
PAGE = (Path(__file__).parents[4] / "docs" / "mining.md").read_text()
COMMANDS = [
    line.split(" #")[0].strip().removesuffix("\\")
    for line in re.sub(r"\\\n +", "", PAGE).splitlines()
    if line.startswith("    ") and "bitagent-eval " in line
]
WAY = "From a repository's name to a diagnosis"


class Parsed(BaseException):
    """The arguments of a command are right; nothing catches it."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_of_ours(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_only(self: argparse.ArgumentParser, *given: Any) -> Any:
        parse(self, *given)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    words = shlex.split(command.split("bitagent-eval ")[1])
    with pytest.raises(Parsed):
        importlib.import_module(app.VERBS[words[0]][0]).main(words[1:])


class Engine:
    """Answers every prompt with one text."""

    device = "a processor"
    packages = {"pretended": "1"}

    def __init__(self, ids: list[int]) -> None:
        self._ids = ids

    def generate(self, prompts: Sequence[CompletionRequest], stop_ids: Sequence[int]) -> Iterator[list[Completion]]:
        yield [Completion(prompt.key, self._ids, len(self._ids) + 1, "stop") for prompt in prompts]


class Backend:
    """Starts such engines."""

    identity = "pretended 1"

    def __init__(self, *, several: bool = False) -> None:
        del several

    def prepare(self, model_dir: Path) -> None:
        del model_dir

    def hardware(self) -> Hardware:
        return Hardware(0, "a processor")

    @contextmanager
    def start(self, model_dir: Path, plan: EnginePlan) -> Iterator[Engine]:
        yield Engine(Tokenizer.from_file(str(model_dir / "tokenizer.json")).encode("I do not know.").ids)


ROUND = {
    "kind": "EvalRound",
    "metadata": {"name": "today"},
    "spec": {
        "models": {"matchLabels": {}},
        "tasks": {"sources": [{"bfcl": {"categories": ["multiple"]}}], "count": 4, "seed": "1"},
    },
}


def test_the_way_of_the_page(
    hub: LoopbackHub, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The commands of the section as they are written, with fewer tasks, on a hub and in a folder of the test."""
    hub.add("me/my-model", models / "tiny-fc-600", "a" * 40)
    (tmp_path / "my-model").symlink_to(models / "tiny-fc-1200")
    (tmp_path / "round.yaml").write_text(json.dumps(ROUND))
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("BITAGENT_MODEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(run, "VllmBackend", Backend)
    monkeypatch.setattr(run, "leave", lambda code: code)
    monkeypatch.chdir(tmp_path)
    section = PAGE.split(f"## {WAY}\n")[1].split("\n## ")[0]
    commands = [command for command in COMMANDS if command in re.sub(r"\\\n +", "", section)]
    assert [shlex.split(command)[1] for command in commands] == [
        "check", "tasks", "run", "report", "tasks", "run", "compare", "plan",
    ]  # fmt: skip
    shown: list[str] = []
    for command in commands:
        failed = "TASK"
        if "TASK" in command:
            verdicts = Path("results/before/verdicts.jsonl").read_text().splitlines()
            failed = json.loads(next(line for line in verdicts if '"passed":false' in line))["id"]
        words = shlex.split(command.replace("--count 200", "--count 6").replace("TASK", failed))
        assert app.main(words[1:]) == 0, command
        shown.append(capsys.readouterr().out)
    assert "diagnosis" in shown[2], "a score of 0 is not all that is said"
    assert "expected" in shown[4]
    assert Path("report.html").stat().st_size > 1000
    assert "bitagent-eval tasks build --bfcl multiple" in shown[-1]


def _of_qwen(
    hidden: int, inner: int, layers: int, heads: int, key_value: int, *, tied: bool, vocabulary: int
) -> Config:
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_value,
        "vocab_size": vocabulary,
        "max_position_embeddings": 32_768,
        "tie_word_embeddings": tied,
    }


_LLAMA: Config = _of_qwen(4096, 14336, 32, 32, 8, tied=False, vocabulary=128_256) | {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "max_position_embeddings": 131_072,
}
_MIXTRAL: Config = _of_qwen(4096, 14336, 32, 32, 8, tied=False, vocabulary=32_000) | {
    "architectures": ["MixtralForCausalLM"],
    "model_type": "mixtral",
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
}
MODELS: dict[str, Config] = {
    "Qwen2.5 0.5B": _of_qwen(896, 4864, 24, 14, 2, tied=True, vocabulary=151_936),
    "Qwen2.5 3B": _of_qwen(2048, 11008, 36, 16, 2, tied=True, vocabulary=151_936),
    "Llama 3.1 8B": _LLAMA,
    "Qwen2.5 14B": _of_qwen(5120, 13824, 48, 40, 8, tied=False, vocabulary=152_064),
    "Qwen2.5 32B": _of_qwen(5120, 27648, 64, 40, 8, tied=False, vocabulary=152_064),
    "Mixtral 8x7B": _MIXTRAL,
}
"""Published configurations, as far as the tensors and the cache depend on them."""
_GPTQ: Config = {"quant_method": "gptq", "bits": 4, "sym": True, "group_size": 128, "desc_act": False}
SHORT = 8192


def size_row(name: str, config: Config, kind: str) -> str:
    """A row of the table: what the files take, and what an evaluation needs by the rule of admission."""
    architecture = find_architecture(config)
    known = {**architecture.defaults, **config}
    expected = expected_checkpoint(architecture.expected_tensors(known), find_method(known), known)
    tensors: dict[str, Tensor] = {}
    for key, spec in expected.required.items():
        halves = sorted(spec.dtypes & FLOATS - {"F32", "F64"})
        tensors[key] = Tensor(halves[0] if halves else min(spec.dtypes), tuple(spec.shape), 0, 0)
    disk = sum(tensor.elements * ITEM_BYTES[tensor.dtype] for tensor in tensors.values())
    shape = MemoryShape(**memory_shape(tensors, known))
    needs = [
        memory_need(shape, EngineChoices(), evaluation).total / 2**30
        for evaluation in (Evaluation(max_prompt_tokens=SHORT), Evaluation())
    ]
    parameters = count_parameters(tensors, known) / 1e9
    return f"| {name} | {kind} | {parameters:.1f} B | {disk / 1e9:.1f} GB | {needs[0]:.1f} GiB | {needs[1]:.1f} GiB |"


def size_rows() -> list[str]:
    """All rows of the table."""
    return [
        size_row(name, config | more, kind)
        for name, config in MODELS.items()
        for kind, more in (("bfloat16", {}), ("4-bit GPTQ", {"quantization_config": _GPTQ}))
    ]


def test_the_table_of_sizes_is_what_admission_computes() -> None:
    expected = "\n".join(size_rows())
    assert expected in PAGE, f"write this into docs/mining.md:\n{expected}"
