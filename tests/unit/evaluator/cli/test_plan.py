"""`bitagent-eval plan`: commands for a shell with notes, or both commands executed."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_OK, EXIT_USAGE
from bitagent_crds.seeds import secret_digest
from bitagent_evaluator.cli import plan, run, tasks
from bitagent_evaluator.cli.documents import DocumentError
from bitagent_evaluator.cli.plan import Plan, plan_of, plan_text
from bitagent_evaluator.cli.round_document import asked_by
from bitagent_evaluator.tasks.files import read_task_set

Obj = dict[str, Any]
SECRET, BLOCK_HASH = "2" * 64, "0x" + "1" * 64
ANNOUNCED: Obj = {"block": 7, "secretDigest": secret_digest(SECRET)}
BFCL: Obj = {"bfcl": {"categories": ["multiple"]}}
COMMIT = "c" * 40


def a_round(
    *, status: Obj | None = None, admission: Obj | None = None, evaluation: Obj | None = None, **tasks: Any
) -> Obj:
    made: Obj = {"sources": [BFCL], "count": 5, **({} if "seedFrom" in tasks else {"seed": "1"}), **tasks}
    spec: Obj = {"models": {"matchLabels": {}}, "tasks": made, "admission": admission or {}}
    spec["evaluation"] = evaluation or {}
    return {"kind": "EvalRound", "metadata": {"name": "today"}, "spec": spec, "status": status or {}}


def planned(document: Obj, **options: Any) -> Plan:
    return plan_of(asked_by(document, "r"), **options)


def option(words: tuple[str, ...], flag: str) -> str | None:
    return words[words.index(flag) + 1] if flag in words else None


def test_a_secret_seed_is_replaced_and_said() -> None:
    made = planned(a_round(seedFrom=ANNOUNCED, status={"taskSet": {"digest": "sha256:" + "1" * 64}}), seed="local")
    assert (option(made.build, "--seed"), made.digest) == ("local", None)
    assert "secret until block 7" in made.notes[0]


def test_a_published_seed_is_used_and_checked() -> None:
    published = {**ANNOUNCED, "blockHash": BLOCK_HASH, "secret": SECRET}
    made = planned(a_round(seedFrom=published))
    assert option(made.build, "--seed-from") == f"{BLOCK_HASH}:{SECRET}"
    assert not any("secret until" in note for note in made.notes)
    with pytest.raises(DocumentError, match="does not have the digest"):
        planned(a_round(seedFrom={**published, "secret": "3" * 64}))


ENTRY: Obj = {
    "model": "mine",
    "repo": "me/x",
    "commit": COMMIT,
    "promptFormat": "Hammer",
    "engine": {"dtype": "Float16"},
}


@pytest.mark.parametrize(
    ("model", "named", "prompt_format"),
    [
        ("me/x", f"me/x@{COMMIT}", "Hammer"),
        ("me/x@v2", "me/x@v2", "Hammer"),
        ("./folder", "./folder", "Auto"),
        (None, "MODEL", "Auto"),
    ],
)
def test_a_model_of_the_round_has_its_choices_from_there(model: str | None, named: str, prompt_format: str) -> None:
    made = planned(a_round(status={"results": [ENTRY]}), model=model)
    assert (option(made.run, "--model"), option(made.run, "--prompt-format")) == (named, prompt_format)
    assert option(made.run, "--dtype") == ("Float16" if prompt_format == "Hammer" else None)
    assert any("prompt format is each model's own" in note for note in made.notes) is (prompt_format == "Auto")


NOTED: dict[str, tuple[Obj, str]] = {
    "a local file": ({"sources": [{"jsonl": {}}]}, "--file 0=PATH"),
    "config map": ({"sources": [{"jsonl": {"configMap": {"name": "c", "key": "k.jsonl"}}}]}, "kubectl get configmap c"),
    "volume": (
        {"sources": [{"jsonl": {"volume": {"claimName": "v", "path": "a/b.jsonl"}}}]},
        "a/b.jsonl of the volume v",
    ),
    "stream": ({"sources": [{"stream": {"url": "http://x/y"}}]}, "is a stream"),
    "token": (
        {"sources": [{"huggingFace": {"repo": "a/b", "tokenSecretRef": {"name": "bitagent-job-x", "key": "k"}}}]},
        "SOURCE_0_KEY",
    ),
    "rewriter": ({"alterations": [{"rewrite": {"url": "http://r/v1", "model": "m"}}]}, "rewrites.jsonl"),
    "key": (
        {
            "alterations": [
                {
                    "rewrite": {
                        "url": "http://r",
                        "model": "m",
                        "apiKeySecretRef": {"name": "bitagent-job-x", "key": "k"},
                    }
                }
            ]
        },
        "ALTERATION_0_KEY",
    ),
    "scorer": ({"evaluation": {"scorer": "OfAPackage"}}, "scorer OfAPackage is of a package"),
    "format": ({"evaluation": {"promptFormat": "OfAPackage"}}, "prompt format OfAPackage is of a package"),
    "admission": ({"admission": {"licenses": ["mit"]}}, '"licenses": ["mit"]'),
}


@pytest.mark.parametrize(("parts", "words"), NOTED.values(), ids=NOTED)
def test_what_cannot_be_had_here_is_said(parts: Obj, words: str) -> None:
    assert any(words in note for note in planned(a_round(**parts)).notes)
    assert not any(words in note for note in planned(a_round()).notes)


def test_the_text_is_for_a_shell_and_no_text_of_the_document_leaves_its_place() -> None:
    evil = "x\n$(touch /tmp/evil) `id` ;\x1b[2J'"
    document = a_round(admission={"licenses": [evil]}, seed=evil)
    lines = plan_text(planned(document)).replace("\\\n", "").splitlines()
    commands = [line.split() for line in lines if not line.startswith("# ")]
    assert [words[:2] for words in commands] == [["bitagent-eval", verb] for verb in ("tasks", "run", "report")]
    build = next(line for line in lines if " build " in line)
    assert option(tuple(shlex.split(build)), "--seed") == evil.replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("name", ["../../etc", "--x", "a b", ""])
def test_a_name_is_one_folder_here(name: str) -> None:
    document = a_round()
    document["metadata"]["name"] = name
    made = planned(document)
    assert len(Path(made.tasks).parts) == 2 and not made.tasks.startswith(("-", "."))


def test_the_commands_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.json").write_text(json.dumps(a_round()))
    assert plan.main(["--from-round", str(tmp_path / "r.json"), "--json"]) == EXIT_OK
    printed = json.loads(capsys.readouterr().out)
    assert [command[:2] for command in printed["commands"]] == [["bitagent-eval", "tasks"], ["bitagent-eval", "run"]]


def from_file(models: Path, tmp_path: Path, **status: Any) -> Path:
    """A round of eight tasks of the file, in a ConfigMap."""
    document = a_round(
        sources=[{"jsonl": {"configMap": {"name": "c", "key": "tasks.jsonl"}}}],
        count=8,
        alterations=[{"functionMask": {}}],
        evaluation={"maxTokens": 48},
        status=status,
    )
    path = tmp_path / "r.json"
    path.write_text(json.dumps(document))
    return path


def test_execute_builds_and_runs(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[list[str]] = []

    def noted(argv: list[str]) -> int:
        ran.append(argv)
        return 78

    monkeypatch.setattr(run, "main", noted)
    file = ["--file", f"0={models / 'tasks.jsonl'}"]
    command = ["--from-round", str(from_file(models, tmp_path)), *file, "--execute", str(tmp_path / "o")]
    assert plan.main(command) == EXIT_OK
    assert ran == []
    built = read_task_set(tmp_path / "o" / "tasks")[0]
    assert (built.count, [altered.name for altered in built.alterations]) == (8, ["FunctionMask"])
    for digest, verdict in ((built.digest, "that of the round"), ("sha256:" + "0" * 64, "another one")):
        capsys.readouterr()
        from_file(models, tmp_path, taskSet={"digest": digest})
        assert plan.main([*command, "--model", "me/x"]) == 78, "the exit code of run"
        assert f"the task set is {verdict}" in capsys.readouterr().err
        assert ran[-1][:6] == [
            "--model",
            "me/x",
            "--tasks",
            str(tmp_path / "o/tasks"),
            "--out",
            str(tmp_path / "o/results"),
        ]


def test_a_result_gives_the_same_tasks_again(models: Path, tmp_path: Path) -> None:
    file = models / "tasks.jsonl"
    flags = ["--jsonl", str(file), "--bfcl", "multiple", "--in-order", "--alter", "function-mask", "--count", "8"]
    assert tasks.main(["build", *flags, "--seed", "s", "--out", str(tmp_path / "first")]) == EXIT_OK
    made = read_task_set(tmp_path / "first")[0]
    manifest = {
        **dict.fromkeys(("commit", "weights_digest"), None),
        **dict.fromkeys(("responses_digest", "verdicts_digest", "task_set_digest"), made.digest),
        **{"repo": "me/x", "prompt_format": "Bfcl", "max_tokens": 64, "engine": {}, "packages": {}, "device": "d"},
        **{"dtype": "d", "score": "0.500000", "passed": 4, "total": 8, "categories": {}},
        "task_set": made.model_dump(mode="json"),
    }
    again = planned(manifest, files={0: file}, out=str(tmp_path / "again"))
    assert tasks.main(list(again.build)) == EXIT_OK
    assert read_task_set(Path(again.tasks))[0].digest == made.digest == again.digest


def test_slips(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(from_file(models, tmp_path))
    monkeypatch.chdir(tmp_path)
    assert plan.main(["--from-round", path, "--execute", "o"]) == EXIT_USAGE
    assert "key tasks.jsonl of the ConfigMap c" in capsys.readouterr().err
    assert plan.main(["--from-round", path, "--file", "3=x"]) == EXIT_USAGE
    assert plan.main(["--from-round", path, "--file", "x"]) == EXIT_USAGE
    assert plan.main(["--from-round", str(tmp_path / "none.yaml")]) == EXIT_USAGE
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)
    assert plan.main(["--from-round", "http://127.0.0.1:9/r"]) == EXIT_INFRASTRUCTURE
    monkeypatch.setattr(tasks, "main", lambda argv: 1)
    (tmp_path / "tasks.jsonl").touch()
    assert plan.main(["--from-round", path, "--execute", "o", "--model", "m"]) == EXIT_INFRASTRUCTURE
