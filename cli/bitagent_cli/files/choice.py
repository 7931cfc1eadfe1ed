"""Which files of a round are read, and whether what came is what the round's status says. Pure but for hashing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bitagent_kube.objects import Obj

TASKS = "tasks"
ROUND_FILE = "round.json"
_SCHEME = "pvc://"


class NoFiles(Exception):
    """Raised if a round has no files that could be read; the message says where they are, or why there are none."""


@dataclass(frozen=True)
class Place:
    """The folder of a round's files."""

    claim: str
    path: str


@dataclass(frozen=True)
class Chosen:
    """Folders of a round, relative to its own."""

    tasks: bool
    results: dict[str, str]
    """Key of each evaluation, by the model that is named."""

    @property
    def paths(self) -> list[str]:
        """The folders, each once."""
        return [*([TASKS] if self.tasks else []), *(f"results/{key}" for key in sorted(set(self.results.values())))]


def place_of(obj: Obj) -> Place:
    """Return where the files of a round are. Raises NoFiles."""
    status, name = obj.get("status") or {}, obj["metadata"]["name"]
    uri = str(status.get("artifacts") or "")
    removed, archive = (status.get("files") or {}).get("removedAt"), status.get("archive") or {}
    if removed:
        where = f"its archive is {archive['uri']}" if archive.get("uri") else "it has no archive"
        raise NoFiles(f"the files of EvalRound {name} were removed from the artifact volume at {removed}; {where}")
    claim, _, path = uri.removeprefix(_SCHEME).partition("/")
    if not uri.startswith(_SCHEME) or not claim or not path:
        raise NoFiles(f"EvalRound {name} has no files yet")
    return Place(claim, path)


def choose(obj: Obj, *, models: Sequence[str] = (), tasks: bool = True) -> Chosen:
    """Return the folders of these models, or of all. Raises NoFiles if a model has none."""
    results = (obj.get("status") or {}).get("results") or []
    keys = {str(r["model"]): str(r["key"]) for r in results if r.get("key")}
    known = {str(r.get("model")): r for r in results}
    for model in models:
        if model not in known:
            raise NoFiles(f"EvalRound {obj['metadata']['name']} has no model {model}")
        if model not in keys:
            state, reason = known[model].get("state"), known[model].get("reason")
            raise NoFiles(f"model {model} was not evaluated in this round: {state}, {reason}")
    return Chosen(tasks, {model: key for model, key in keys.items() if not models or model in models})


def round_document(obj: Obj) -> str:
    """Return the round as JSON, so that its folder can be read without the cluster."""
    metadata = {name: obj["metadata"].get(name) for name in ("name", "namespace", "uid", "labels")}
    document = {"metadata": metadata, "spec": obj.get("spec"), "status": obj.get("status")}
    return json.dumps(document, indent=1) + "\n"


def differences(obj: Obj, chosen: Chosen, folder: Path) -> Iterator[str]:
    """Yield what is missing or has another digest than the round's status says."""
    status = obj.get("status") or {}
    expected = (status.get("taskSet") or {}).get("digest")
    if chosen.tasks and expected:
        yield from _compared(folder / TASKS / "tasks.jsonl", str(expected), "the task set")
    for result in status.get("results") or []:
        model, digest = str(result.get("model")), result.get("resultDigest")
        if digest and model in chosen.results:
            file = folder / "results" / chosen.results[model] / "manifest.json"
            yield from _compared(file, str(digest), f"the results of {model}")


def _compared(file: Path, expected: str, what: str) -> Iterator[str]:
    if not file.is_file():
        yield f"{what} is missing: {file.name}"
        return
    with file.open("rb") as content:
        found = f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"
    if found != expected:
        yield f"{what} is not what the round recorded: {file} has {found}, not {expected}"
