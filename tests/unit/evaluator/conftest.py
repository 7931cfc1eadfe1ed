"""Models, broken models and a hub for the evaluator's tests."""

from __future__ import annotations

import json
import shutil
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bitagent_crds.evalround import Scorer
from bitagent_crds.fields import PromptFormat
from bitagent_crds.results import Response, Verdict
from bitagent_evaluator.runs.journal import Started
from bitagent_evaluator.runs.results import Provenance, write_results
from bitagent_evaluator.scoring import aggregate
from bitagent_local.hub.answers import Hub
from bitagent_local.hub.faults import FaultRequest
from bitagent_local.hub.server import HubServer

MODELS = Path(__file__).resolve().parents[3] / "local" / "models"

Header = dict[str, Any]


@dataclass(frozen=True)
class Checkpoint:
    """A model directory that a test may damage."""

    path: Path

    def config(self, **changes: Any) -> None:
        """Change members of config.json; None removes one."""
        self.edit("config.json", lambda content: _changed(content, changes))

    def edit(self, name: str, change: Callable[[Any], Any]) -> None:
        """Replace a JSON file by what `change` makes of it."""
        path = self.path / name
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    def header(self, change: Callable[[Header, bytes], tuple[Header, bytes]], name: str = "model.safetensors") -> None:
        """Rewrite a weight file with another header and other data."""
        path = self.path / name
        content = path.read_bytes()
        length = struct.unpack_from("<Q", content)[0]
        header, data = change(json.loads(content[8 : 8 + length]), content[8 + length :])
        path.write_bytes(safetensors(header, data))


def _changed(content: Header, changes: Mapping[str, Any]) -> Header:
    merged = {**content, **changes}
    return {key: value for key, value in merged.items() if key not in changes or value is not None}


def safetensors(header: Header, data: bytes) -> bytes:
    """A weight file of a header and data."""
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture(scope="session")
def models() -> Path:
    """The trained tiny models."""
    return MODELS


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """A copy of the best tiny model."""
    target = tmp_path / "model"
    shutil.copytree(MODELS / "tiny-fc-1200", target, copy_function=shutil.copyfile)
    return Checkpoint(target)


@dataclass(frozen=True)
class LoopbackHub:
    """A hub on the loopback device."""

    server: HubServer
    root: Path

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.port}"

    def add(self, repo: str, model: Path, commit: str, **refs: Any) -> None:
        """Put a model there."""
        folder = self.root / repo
        shutil.copytree(model, folder / commit, copy_function=shutil.copyfile)
        (folder / "refs.json").write_text(json.dumps({"branches": {"main": commit}, **refs}))

    def breaks(self, **fault: Any) -> None:
        """Put these faults in force; none lifts them."""
        self.server.faults.apply(FaultRequest.model_validate(fault))

    def requests(self, part: str = "") -> list[dict[str, Any]]:
        """What was asked, of paths that contain `part`."""
        return [request for request in self.server.faults.requests() if part in request["path"]]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    """A hub without repositories."""
    root = tmp_path / "hub"
    root.mkdir()
    server = HubServer(Hub(root, tokens=frozenset({"hf_secret"})), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield LoopbackHub(server, root)
    server.shutdown()
    server.server_close()
    thread.join()


WriteResults = Callable[..., Path]


@pytest.fixture
def results_directory(tmp_path: Path) -> WriteResults:
    """Writes a results directory `name` by the library's own writer."""

    def write(
        name: str,
        verdicts: Sequence[Verdict],
        responses: Sequence[Response] = (),
        *,
        task_set_digest: str = "sha256:" + "1" * 64,
        scorer: Scorer = Scorer.BFCL,
    ) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        provenance = Provenance(
            repo=f"acme/{name}",
            commit="c" * 40,
            weights_digest="sha256:" + "2" * 64,
            task_set_digest=task_set_digest,
            prompt_format=PromptFormat.BFCL,
            max_tokens=256,
            dtype="bfloat16",
            scorer=scorer,
            started=Started(devices=["a processor"], arguments={"seed": 0}, packages={"vllm": "1"}),
        )
        write_results(directory, provenance, responses, verdicts, aggregate(verdicts, seed=task_set_digest))
        return directory

    return write
