"""`bitagent-eval check`: output, exit codes and wrong usage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bitagent_evaluator.cli import check
from bitagent_evaluator.cli.check import main

REPO = "acme/tiny"
COMMIT = "a" * 40
WEIGHTS = "model.safetensors"
KNOWS_THE_TASK = "{% for m in messages %}\n{% if 'area' in m.content %}HINT{% endif %}{{ m.content }}{% endfor %}"


def test_prints_facts_and_verdict(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(models / "tiny-fc-gptq")]) == 0
    out = capsys.readouterr().out
    assert "422,400" in out and "gptq" in out and "Safe" in out and "none named" in out


def test_prints_json_and_fails_with_78(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (checkpoint.path / WEIGHTS).unlink()
    assert main([str(checkpoint.path), "--json"]) == 78
    printed = json.loads(capsys.readouterr().out)
    assert printed["reason"] == "NoSafetensors" and printed["facts"] is None and "safetensors" in printed["advice"]


def test_shows_the_tokenizers_digest(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(checkpoint.path), "--quick", "--json"]) == 0
    digest = json.loads(capsys.readouterr().out)["facts"]["tokenizerDigest"]
    checkpoint.edit("tokenizer.json", lambda content: dict(reversed((content | {"padding": None}).items())))
    assert main([str(checkpoint.path), "--quick"]) == 0
    out = "".join(capsys.readouterr().out.split())
    assert digest in out


def test_loads_and_tries_the_tokenizer(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One that the library cannot read, though each of its components is allowed."""
    merge = ["nowhere", "there"]
    checkpoint.edit("tokenizer.json", lambda content: content | {
        "model": {**content["model"], "merges": [*content["model"]["merges"], merge]}
    })  # fmt: skip
    assert main([str(checkpoint.path), "--quick", "--json"]) == 78
    printed = json.loads(capsys.readouterr().out)
    assert printed["reason"] == "BadTokenizer" and "docs/mining.md" in printed["advice"]


def test_shows_the_lines_of_a_refused_template(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (checkpoint.path / "chat_template.jinja").write_text(KNOWS_THE_TASK)
    assert main([str(checkpoint.path), "--quick"]) == 78
    out = capsys.readouterr().out
    assert "TemplateRefused" in out and "text-decision" in out and "{% if 'area' in m.content %}" in out
    assert main([str(checkpoint.path), "--quick", "--json"]) == 78
    (finding,) = json.loads(capsys.readouterr().out)["template"]
    assert (finding["severity"], finding["line"], finding["rule"]) == ("refuse", 2, "text-decision")


def test_reads_a_pinned_revision(
    hub: Any, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    assert main([f"{REPO}@{COMMIT}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["facts"]["commit"] == COMMIT


@pytest.mark.parametrize(("name", "word"), [("model.gguf", "GGUF"), ("model.safetensors", "is a file")])
def test_a_file_is_named_by_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, word: str
) -> None:
    (tmp_path / name).touch()
    assert main([str(tmp_path / name)]) == 2
    assert word in capsys.readouterr().err


@pytest.mark.parametrize(
    "model", ["./nowhere", "a/b/c", "owner/name@bad revision", ""], ids=["path", "three parts", "revision", "empty"]
)
def test_a_name_of_no_model_is_wrong_usage(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([model]) == 2
    assert "neither a directory nor a repository" in capsys.readouterr().err


def test_says_what_counts_as_a_copy(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(models / "tiny-fc-250")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "weights digest" in out and "model digest" in out
    assert "models of one weights digest compete as one" in out
    assert main([str(models / "tiny-fc-250"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["facts"]
    assert {"weightsDigest", "modelDigest", "similarity"} <= facts.keys()


def test_a_repository_s_weights_are_not_read(
    hub: Any, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add(REPO, models / "tiny-fc-1200", COMMIT)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    assert main([f"{REPO}@{COMMIT}", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)["facts"]
    assert "modelDigest" in facts and "weightsDigest" not in facts


@pytest.mark.parametrize(
    ("layers", "rejected"), [pytest.param(28, False, id="known shape"), pytest.param(160, True, id="hungry")]
)
def test_says_how_much_memory_an_evaluation_needs(
    models: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    layers: int,
    rejected: bool,
) -> None:
    found = check.check_directory(models / "tiny-fc-1200", scan_values=False)
    assert found.facts is not None and found.facts.memory is not None
    shape = found.facts.memory.model_copy(update={"cache_numbers": 2 * layers * 1024, "positions": 32_768})
    facts = found.facts.model_copy(update={"parameters": 600_000_000, "memory": shape})
    monkeypatch.setattr(check, "check_directory", lambda *_, **__: replace(found, facts=facts))
    check.main([str(models / "tiny-fc-1200")])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"key-value cache {2 * layers * 1024 * 32_768 * 2 / (1 << 30):.2f} GiB" in shown
    assert ("NeedsTooMuchMemory" in shown) is rejected


def test_says_where_things_came_from_and_what_may_cost_a_score(
    checkpoint: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = checkpoint.path / "chat_template.jinja"
    (checkpoint.path / "chat_template.json").write_text(json.dumps({"chat_template": file.read_text()}))
    file.unlink()
    for name in ("config.json", "generation_config.json"):
        checkpoint.edit(name, lambda content: {**content, "eos_token_id": 0})
    checkpoint.edit("tokenizer_config.json", lambda content: {**content, "eos_token": "<|endoftext|>"})
    assert main([str(checkpoint.path), "--quick", "--json"]) == 0
    chat = json.loads(capsys.readouterr().out)["chat"]
    assert (chat["template"], chat["promptFormat"]) == ("chat_template.json", "ChatTemplate")
    assert [(token["id"], token["files"][0]) for token in chat["endTokens"]] == [(0, "generation_config.json")]
    assert len(chat["notes"]) == 1 and "<|im_end|>" in chat["notes"][0]
    assert main([str(checkpoint.path), "--quick"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "chat_template.json" in shown and "Auto chooses ChatTemplate" in shown


def test_a_head_beside_tied_embeddings_is_a_note(checkpoint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def with_head(header: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        start, end = header["model.embed_tokens.weight"]["data_offsets"]
        head = {**header["model.embed_tokens.weight"], "data_offsets": [len(data), len(data) + end - start]}
        return {**header, "lm_head.weight": head}, data + bytes(end - start)

    checkpoint.header(with_head)
    assert main([str(checkpoint.path), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["facts"]["parameters"] == 483_840
    assert len(printed["notes"]) == 1 and "lm_head.weight" in printed["notes"][0]
    assert main([str(checkpoint.path), "--quick"]) == 0
    assert "tie_word_embeddings" in capsys.readouterr().out
