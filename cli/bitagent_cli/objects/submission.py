"""A submission: a MinerModel from the options of `submit`, and when it is fetched or refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from bitagent_crds.minermodel import MinerModel, MinerModelSpec
from bitagent_crds.names import short_hash
from bitagent_crds.schema import API_VERSION
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_kube.objects import Obj

NAME_BYTES = 52
DEFAULT_REVISION = "main"


EXPECTED = {
    "source.huggingFace.repo": "the model is written REPO or REPO@REV, and REPO is owner/name as on the hub",
    "promptFormat": "--prompt-format is letters and digits after a capital letter, such as ChatML",
    "miner.hotkey": "--hotkey is the ss58 address of the miner's hotkey, 47 or 48 characters",
}
"""What is expected in place of a refused value, by its field: a pattern alone does not say."""


class SubmissionError(Exception):
    """Raised if no MinerModel can be made of the options; the message names the option."""


@dataclass(frozen=True)
class Submission:
    """What was asked for."""

    repo: str
    """`owner/name`, and after an `@` the revision."""
    name: str | None = None
    hotkey: str | None = None
    commit_block: int | None = None
    labels: tuple[str, ...] = ()
    """`KEY=VALUE` each."""
    prompt_format: str | None = None


def doubts(asked: Submission) -> list[str]:
    """Return what is allowed and may yet be a mistake, a sentence each."""
    name = asked.prompt_format
    known = [each.value for each in BuiltinPromptFormat]
    if name is None or name in known:
        return []
    folded = {each.lower(): each for each in known}
    near = [folded[each] for each in get_close_matches(name.lower(), folded, n=1)]
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    return [
        f"--prompt-format {name} is not built in ({hint}): rounds with this model need an evaluator's image with a "
        "package that adds it"
    ]


def model_name(repo: str) -> str:
    """Return the name of a repository's MinerModel: the same for each revision, another for another repository."""
    plain = re.sub(r"[^a-z0-9]+", "-", repo.lower()).strip("-") or "model"
    if plain == repo.replace("/", "-", 1) and len(plain) <= NAME_BYTES:
        return plain
    digest = short_hash(repo, digits=8)
    return f"{plain[: NAME_BYTES - 9].rstrip('-')}-{digest}"


def manifest(asked: Submission, *, namespace: str) -> Obj:
    """Return the MinerModel. Raises SubmissionError."""
    repo, _, revision = asked.repo.partition("@")
    # Written out, so that a revision which somebody else has set is a conflict and not kept in silence.
    hub = {"repo": repo, "revision": revision or DEFAULT_REVISION}
    spec: dict[str, Any] = {"source": {"huggingFace": hub}}
    if asked.hotkey is not None:
        spec["miner"] = {"hotkey": asked.hotkey}
        if asked.commit_block is not None:
            spec["miner"]["commitBlock"] = asked.commit_block
    elif asked.commit_block is not None:
        raise SubmissionError("--commit-block belongs to a --hotkey")
    if asked.commit_block is not None and not re.fullmatch("[0-9a-f]{40}", revision):
        raise SubmissionError("--commit-block needs the 40 digits of a commit after the repository: REPO@COMMIT")
    if asked.prompt_format is not None:
        spec["promptFormat"] = asked.prompt_format
    try:
        MinerModelSpec.model_validate(spec)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SubmissionError(EXPECTED.get(where) or f"{where}: {first['msg']}") from error
    metadata: Obj = {"name": asked.name or model_name(repo), "namespace": namespace}
    if asked.labels:
        metadata["labels"] = dict(_label(each) for each in asked.labels)
    return {"apiVersion": API_VERSION, "kind": MinerModel.crd.kind, "metadata": metadata, "spec": spec}


def _label(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise SubmissionError(f"--label {text}: KEY=VALUE is expected")
    return key, value


@dataclass(frozen=True)
class Outcome:
    """What has become of an object that is waited for."""

    good: bool
    reason: str
    message: str


def outcome(obj: Obj) -> Outcome | None:
    """Return what has become of an object of any kind by its present spec: Ready, or Stalled; None while it waits."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    generation = obj["metadata"].get("generation", 0)
    current = [c for c in conditions if int(c.get("observedGeneration") or 0) >= generation]
    for kind, good in (("Stalled", False), ("Ready", True)):
        for found in _true(current, kind):
            return Outcome(good, str(found.get("reason") or ""), str(found.get("message") or ""))
    return None


def _true(conditions: Iterable[Obj], kind: str) -> Iterable[Obj]:
    return (c for c in conditions if c.get("type") == kind and c.get("status") == "True")
