"""`bitagent-eval run owner/name`: fetched as the fetch Job does it, kept, refused alike. Evaluations are replaced."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_crds.jobs import EXIT_INFRASTRUCTURE, EXIT_MODEL_FAULT, EXIT_USAGE
from bitagent_evaluator.cli import run, run_models
from bitagent_evaluator.cli.run_models import NoModel, default_cache, given_model
from bitagent_evaluator.evaluation.prepared import Evaluation
from bitagent_evaluator.evaluation.results import Evaluated
from bitagent_evaluator.support.http_resource import TIMEOUT_SECONDS

if TYPE_CHECKING:
    from tests.unit.evaluator.conftest import LoopbackHub

COMMIT = "a" * 40
MODEL = "tiny-fc-600"


@dataclass
class Asked:
    """Evaluations that were asked for."""

    all: list[Evaluation] = field(default_factory=list)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    """Evaluations that stop before the engine."""
    made = Asked()

    def evaluate(evaluation: Evaluation, *_: Any) -> Evaluated:
        made.all.append(evaluation)
        raise OSError(errno.EIO, "stopped by the test", "here")

    class Backend:
        def __init__(self, *, several: bool = False) -> None:
            del several

        def prepare(self, model_dir: Path) -> None:
            del model_dir

    monkeypatch.setattr(run, "evaluate", evaluate)
    monkeypatch.setattr(run, "VllmBackend", Backend)
    monkeypatch.setattr(run, "leave", lambda code: code)
    monkeypatch.setattr("bitagent_evaluator.support.http.backoff_delay", lambda failures, **_: 0.0)
    monkeypatch.setenv(run_models.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.chdir(tmp_path)
    return made


@pytest.fixture
def endpoint(hub: LoopbackHub, models: Path, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    """A hub with acme/tiny, at HF_ENDPOINT."""
    hub.add("acme/tiny", models / MODEL, COMMIT)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    return hub


def run_it(models: Path, *names: str) -> int:
    return run.main([*names, "--tasks", str(models / "tasks.jsonl"), "--limit", "3"])


def test_a_repository_is_run_as_its_folder_is_and_fetched_once(
    asked: Asked,
    endpoint: LoopbackHub,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _private(endpoint)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert run_it(models, "acme/tiny") == run_it(models, str(models / MODEL)) == EXIT_INFRASTRUCTURE
    assert str(tmp_path / "cache") in capsys.readouterr().err, "where it is kept"
    fetched, local = asked.all
    assert fetched.model_dir == tmp_path / "cache" / "acme" / "tiny" / COMMIT
    assert (fetched.run.repo, fetched.run.commit) == ("acme/tiny", COMMIT)
    assert fetched.run == local.run.model_copy(update={"repo": "acme/tiny", "commit": COMMIT})
    assert fetched.out_dir == Path("results") / "acme--tiny"
    downloads = len(endpoint.requests("model.safetensors"))
    run_it(models, "acme/tiny")
    assert len(endpoint.requests("model.safetensors")) == downloads, "it is in the cache"
    everything = len(endpoint.requests())
    run_it(models, f"acme/tiny@{COMMIT}")
    assert len(endpoint.requests()) == everything, "a commit that is in the cache needs no network"
    assert [evaluation.run.commit for evaluation in asked.all] == [COMMIT, None, COMMIT, COMMIT]


@pytest.mark.parametrize(
    ("text", "revision", "folder"),
    [("acme/two", "", "acme--two"), ("acme/two@refs/pr/1", "refs/pr/1", "acme--two@refs--pr--1")],
)
def test_a_revision_is_part_of_the_name(text: str, revision: str, folder: str) -> None:
    given = given_model(text)
    assert (given.repo, given.revision, given.name, given.folder_name) == ("acme/two", revision, text, folder)


def _typo(hub: LoopbackHub) -> str:
    return "acme/tyni"


def _no_revision(hub: LoopbackHub) -> str:
    return "acme/tiny@v9"


def _pickle(hub: LoopbackHub) -> str:
    folder = hub.root / "acme" / "tiny" / COMMIT
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return "acme/tiny"


def _custom_code(hub: LoopbackHub) -> str:
    config = hub.root / "acme" / "tiny" / COMMIT / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "auto_map": {"AutoModel": "x.Y"}}))
    return "acme/tiny"


def _closed(hub: LoopbackHub, how: str) -> str:
    refs = hub.root / "acme" / "tiny" / "refs.json"
    refs.write_text(json.dumps({**json.loads(refs.read_text()), how: True}))
    return "acme/tiny"


def _gated(hub: LoopbackHub) -> str:
    return _closed(hub, "gated")


def _private(hub: LoopbackHub) -> str:
    return _closed(hub, "private")


REFUSED = {
    "typo": (_typo, "RepositoryNotFound"),
    "revision": (_no_revision, "RevisionNotFound"),
    "pickle": (_pickle, "NoSafetensors"),
    "code": (_custom_code, "CustomCode"),
    "gated": (_gated, "AccessDenied"),
    "private": (_private, "RepositoryNotFound"),
}


@pytest.mark.parametrize(("prepare", "reason"), REFUSED.values(), ids=REFUSED)
def test_refusals_are_those_of_a_fetch_job(
    asked: Asked, endpoint: LoopbackHub, models: Path, capsys: pytest.CaptureFixture[str], prepare: Any, reason: str
) -> None:
    name = prepare(endpoint)
    assert run_it(models, name) == EXIT_MODEL_FAULT
    assert f"{reason}: {name}: " in capsys.readouterr().err
    summary = json.loads((Path("results") / name.replace("/", "--") / "summary.json").read_text())
    assert (summary["reason"], summary["score"]) == (reason, "0.000000")
    assert asked.all == []


def test_a_refused_model_does_not_stop_the_others(asked: Asked, endpoint: LoopbackHub, models: Path) -> None:
    assert run_it(models, "acme/nothing", str(models / MODEL)) == EXIT_INFRASTRUCTURE
    assert [evaluation.model_dir.name for evaluation in asked.all] == [MODEL]


def test_no_network_is_no_fault_of_the_model(
    asked: Asked, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert run_it(models, "acme/tiny") == EXIT_INFRASTRUCTURE
    assert "HubUnavailable" in capsys.readouterr().err
    assert not (Path("results") / "acme--tiny" / "summary.json").exists()


def test_a_client_that_is_offline_says_so(
    asked: Asked, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(*_: Any, **__: Any) -> Any:
        raise ConnectionError("offline mode is enabled")

    monkeypatch.setattr(run_models, "fetch", offline)
    assert run_it(models, "acme/tiny") == EXIT_INFRASTRUCTURE
    shown = capsys.readouterr().err
    assert "HubUnavailable" in shown and "offline mode is enabled" in shown and "--cache" not in shown


def test_a_full_disk_names_the_cache_and_the_option(
    asked: Asked,
    endpoint: LoopbackHub,
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_models, "fetch", full)
    assert run_it(models, "acme/tiny") == EXIT_INFRASTRUCTURE
    shown = capsys.readouterr().err
    assert "FetchFailed" in shown and "--cache" in shown and os.environ[run_models.CACHE_VARIABLE] in shown


def test_an_interrupt_ends_a_stalled_download_at_once(endpoint: LoopbackHub, models: Path, tmp_path: Path) -> None:
    endpoint.breaks(download={"match": "*model.safetensors", "after_bytes": 300_000, "ending": "stall"})
    code = "from bitagent_evaluator.cli import app, run; run.VllmBackend = lambda **_: None; app.main()"
    command = [sys.executable, "-c", code, "run", "acme/tiny", "--tasks", str(models / "tasks.jsonl")]
    where = {"HF_ENDPOINT": endpoint.endpoint, run_models.CACHE_VARIABLE: str(tmp_path / "cache")}
    with subprocess.Popen(
        command, env={**os.environ, **where}, cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as child:
        while not any((tmp_path / "cache").glob("acme/tiny/.*/model.safetensors.part")):
            assert child.poll() is None
            time.sleep(0.05)
        began = time.monotonic()
        child.send_signal(signal.SIGINT)
        assert child.wait() == EXIT_INFRASTRUCTURE
        assert time.monotonic() - began < TIMEOUT_SECONDS - 5, "not the time-out of the connection"
        assert child.stderr is not None
        assert "continues the download" in child.stderr.read()


def test_too_large_for_the_bound(asked: Asked, endpoint: LoopbackHub, models: Path) -> None:
    assert run_it(models, "acme/tiny", "--max-bytes", "1000") == EXIT_MODEL_FAULT


@pytest.mark.parametrize("text", ["", "nothing", "./acme/tiny", "/no/where", "a/b/c", "acme/tiny@-x"], ids=repr)
def test_what_is_neither_folder_nor_repository(text: str) -> None:
    with pytest.raises(NoModel, match="neither a folder that exists nor a repository"):
        given_model(text)


@pytest.mark.parametrize(
    ("file", "word"),
    [("x.gguf", "GGUF"), ("adapter_config.json", "adapter"), ("final/model.safetensors", "final"), ("", "no files")],
)
def test_a_folder_without_a_model_is_named_by_what_it_holds(tmp_path: Path, file: str, word: str) -> None:
    if file:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("{}")
    with pytest.raises(NoModel, match=word):
        given_model(str(tmp_path))


@pytest.mark.parametrize(("name", "word"), [("m.gguf", "GGUF"), ("model.safetensors", "folder")])
def test_a_file_is_no_folder(tmp_path: Path, name: str, word: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(NoModel, match=word):
        given_model(str(tmp_path / name))


def test_slips_are_wrong_usage_and_an_unwritable_out_is_not(
    asked: Asked, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.gguf").touch()
    assert run_it(models, "m.gguf") == EXIT_USAGE
    assert run.main([str(models / MODEL), "--tasks", "nowhere"]) == EXIT_USAGE
    assert "tasks build" in capsys.readouterr().err
    assert run_it(models, str(models / MODEL), "--out", "m.gguf/results") == EXIT_INFRASTRUCTURE
    assert "--out: m.gguf/results" in capsys.readouterr().err
    assert asked.all == []


def test_where_models_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(run_models.CACHE_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache() == Path("/x/bitagent/models")
    monkeypatch.setenv(run_models.CACHE_VARIABLE, "/y")
    assert default_cache() == Path("/y")


def test_the_length_of_the_context_is_a_choice(asked: Asked, models: Path) -> None:
    run_it(models, str(models / MODEL), "--max-model-length", "1024")
    assert asked.all[0].run.engine.max_model_length == 1024
    with pytest.raises(SystemExit):
        run_it(models, str(models / MODEL), "--max-model-length", "8")
