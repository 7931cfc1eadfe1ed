"""Whose model a round has, frozen with the set, and what it evaluates of it, frozen when the model is admitted.

What happens to the MinerModel later, a changed spec, its deletion or another one of the same name, changes nothing of
an evaluation that has begun.
"""

from __future__ import annotations

from bitagent_crds.evaluation import Evaluation
from bitagent_crds.minermodel import ModelFacts, ModelSource
from bitagent_crds.model_result import ModelResult
from bitagent_crds.names import cached_model_path, cached_volume_model_path
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_operator.observed.objects import ModelObject

_VOLUME = "volume"
"""First part of the origin of a model in a volume; a repository's has only two parts."""


def frozen(model: ModelObject, facts: ModelFacts, evaluation: Evaluation) -> dict[str, object]:
    """Return the fields of a ModelResult that say what is evaluated, and whose it is."""
    return fixed(model, facts.commit, evaluation) | of_files(facts)


def of_files(facts: ModelFacts) -> dict[str, object]:
    """Return those fields that follow from the files of the commit."""
    return {"weights_digest": facts.weights_digest, "model_digest": facts.model_digest}


def fixed(model: ModelObject, commit: str, evaluation: Evaluation) -> dict[str, object]:
    """Return those fields that are known before the files are fetched."""
    chosen = evaluation.prompt_format
    return submitted(model) | {
        "commit": commit,
        "prompt_format": model.spec.prompt_format if chosen == BuiltinPromptFormat.AUTO else chosen,
        "engine": model.spec.engine,
    }


def submitted(model: ModelObject) -> dict[str, object]:
    """Return those fields that are known of every model: which object it is, whose, and where its files come from."""
    miner = model.spec.miner
    return {
        "model_uid": model.meta.uid,
        "hotkey": miner.hotkey if miner is not None else None,
        "commit_block": miner.commit_block if miner is not None else None,
        "repo": origin(model.spec.source),
    }


_OF_ADMISSION = ("commit", "weights_digest", "model_digest", "prompt_format", "engine")


def not_admitted(model: ModelObject) -> dict[str, object]:
    """Return the fields of a model that has not been admitted."""
    return submitted(model) | dict.fromkeys(_OF_ADMISSION)


def replaced(entry: ModelResult, model: ModelObject) -> bool:
    """Whether the MinerModel is another one than that of the entry, with its name."""
    return entry.model_uid is not None and entry.model_uid != model.meta.uid


def cached_directory(entry: ModelResult) -> str:
    """Return the directory of the entry's files in the model cache. Raises ValueError if the entry is not frozen."""
    if entry.repo is None or entry.commit is None:
        raise ValueError(f"{entry.model} has not been admitted")
    parts = entry.repo.split("/", 2)
    if len(parts) > 2 and parts[0] == _VOLUME:
        return cached_volume_model_path(parts[1], entry.commit)
    return cached_model_path(entry.repo, entry.commit)


def source_directory(source: ModelSource, commit: str) -> str:
    """Return the directory of a source's commit in the model cache. Raises ValueError for an empty source."""
    if source.hugging_face is not None:
        return cached_model_path(source.hugging_face.repo, commit)
    if source.volume is not None:
        return cached_volume_model_path(source.volume.claim_name, commit)
    raise ValueError("a model source has exactly one member")


def origin(source: ModelSource) -> str:
    """Return the origin of the model's files, as results name it. Raises ValueError for an empty source."""
    if source.hugging_face is not None:
        return source.hugging_face.repo
    if source.volume is not None:
        return f"{_VOLUME}/{source.volume.claim_name}/{source.volume.path}"
    raise ValueError("a model source has exactly one member")
