"""From the spec of a round to the arguments of `tasks build` and `run` that ask for the same. Pure functions.

Parsed by those verbs, the arguments give the spec again: the same draw, and the same `RunSpec` as that of the
operator's Job.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from bitagent_crds.alterations import Alteration
from bitagent_crds.evaluation import LossParameters, RunSpec
from bitagent_crds.minermodel import EngineChoices
from bitagent_crds.tasks import (
    Columns,
    DatasetSource,
    JsonlSource,
    RowFormat,
    StreamSource,
    Tasks,
    TaskSource,
    WandbStream,
)

RUN_FLAGS: Mapping[str, str] = {
    "prompt_format": "--prompt-format",
    "thinking": "--thinking",
    "max_tokens": "--max-tokens",
    "max_thought_tokens": "--max-thought-tokens",
    "max_prompt_tokens": "--max-prompt-tokens",
    "mean_answer_tokens": "--mean-answer-tokens",
    "generate_seconds": "--generate-seconds",
    "scorer": "--scorer",
    "aggregate": "--aggregate",
}
"""Options of `run` by the field of a RunSpec. Its other fields are the model, the tasks, and those below."""
ENGINE_FLAGS: Mapping[str, str] = {"dtype": "--dtype", "max_model_length": "--max-model-length"}
LOSS_FLAGS: Mapping[str, str] = {
    "normalization": "--normalization",
    "reference_bytes": "--reference-bytes",
    "sequence_length": "--sequence-length",
    "batches": "--batches",
}


def run_words(run: RunSpec) -> list[str]:
    """Return the options of `run` that decide a result, defaults included, so that no default can change it later."""
    words: list[str] = []
    for name, flag in RUN_FLAGS.items():
        value = getattr(run, name)
        words += [] if value is None else _option(flag, str(value))
    unchosen = EngineChoices()
    for name, flag in ENGINE_FLAGS.items():
        value = getattr(run.engine, name)
        words += [] if value == getattr(unchosen, name) else _option(flag, str(value))
    return words + ([] if run.loss is None else _loss_words(run.loss))


def _loss_words(loss: LossParameters) -> list[str]:
    given = {name: getattr(loss, name) for name in LOSS_FLAGS}
    return [word for name, flag in LOSS_FLAGS.items() if given[name] is not None for word in (flag, str(given[name]))]


def build_words(tasks: Tasks, *, files: Mapping[int, Path], local_seed: str) -> list[str]:
    """Return the arguments of `tasks build` for a spec, without `--out`.

    `files` has the local files of its jsonl sources by index, as `local_files` names them; `local_seed` stands for a
    seed that is not published.
    """
    sources = tasks.sources
    words = [word for index, source in enumerate(sources) for word in _source_words(source, files.get(index))]
    official = [source.bfcl is not None for source in sources]
    if official != sorted(official, reverse=True):
        words.append("--in-order")
    words += [word for alteration in tasks.alterations for word in _option("--alter", alteration_text(alteration))]
    return [*words, *_option("--count", str(tasks.count)), *_seed_words(tasks, local_seed)]


def _seed_words(tasks: Tasks, local_seed: str) -> list[str]:
    seed = tasks.seed_from
    if seed is None:
        return _option("--seed", tasks.seed or local_seed)
    if seed.revealed:
        return ["--seed-from", f"{seed.block_hash}:{seed.secret}"]
    return _option("--seed", local_seed)


def local_files(tasks: Tasks, given: Mapping[int, Path]) -> dict[int, Path]:
    """Return the file of each jsonl source that is not on the web: the given one, or one with its name here."""
    found: dict[int, Path] = {}
    for index, source in enumerate(tasks.sources):
        if (jsonl := source.jsonl) is None or jsonl.url is not None:
            continue
        name = f"source-{index}.jsonl"
        if jsonl.config_map is not None:
            name = jsonl.config_map.key
        elif jsonl.volume is not None:
            name = PurePosixPath(jsonl.volume.path).name
        found[index] = given.get(index, Path(name))
    return found


def _source_words(source: TaskSource, file: Path | None) -> list[str]:
    if source.bfcl is not None:
        words = ["--bfcl", ",".join(source.bfcl.categories)]
    elif source.jsonl is not None:
        words = _jsonl_words(source.jsonl, file) + _row_words(source.jsonl)
    elif source.hugging_face is not None:
        words = _hub_words(source.hugging_face) + _row_words(source.hugging_face)
    elif source.stream is not None:
        words = _stream_words(source.stream) + _row_words(source.stream)
    else:
        raise ValueError("a source has exactly one member")
    return words if source.weight == 1 else [*words, "--weight", str(source.weight)]


def _jsonl_words(source: JsonlSource, file: Path | None) -> list[str]:
    if source.url is not None:
        return ["--url", source.url.url, "--digest", source.url.digest]
    return _option("--jsonl", str(file))


def _hub_words(source: DatasetSource) -> list[str]:
    words = ["--hub", f"{source.repo}@{source.revision}:{source.split}"]
    return words if source.config is None else words + _option("--config", source.config)


def _stream_words(source: StreamSource) -> list[str]:
    newest = ["--newest", str(source.newest)]
    if (runs := source.wandb) is None:
        return ["--stream", str(source.url), *newest]
    words = ["--stream", f"wandb:{runs.entity}/{runs.project}", *newest]
    return (
        words
        if runs.endpoint == WandbStream.model_fields["endpoint"].default
        else [*words, "--endpoint", runs.endpoint]
    )


def _row_words(source: JsonlSource | DatasetSource | StreamSource) -> list[str]:
    if source.columns is not None:
        return _option("--columns", columns_text(source.columns))
    return [] if source.rows is RowFormat.TASK else ["--rows", source.rows]


def columns_text(columns: Columns) -> str:
    """Return the value of `--columns`: ROLE=COLUMN,..., or JSON for names that this form cannot hold."""
    named = columns.to_wire()
    if all(_is_plain(name) for name in named.values()):
        return ",".join(f"{role}={name}" for role, name in named.items())
    return json.dumps(named, ensure_ascii=False)


def alteration_text(alteration: Alteration) -> str:
    """Return the value of `--alter`: NAME:key=value,..., or JSON for values that this form cannot hold.

    References to Secrets are left out: keys come from the environment.
    """
    (field,) = alteration.model_fields_set & {name for name, value in alteration if value is not None}
    chosen = getattr(alteration, field)
    given = chosen.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude_none=True, exclude={"api_key_secret_ref"}
    )
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in given.items()}
    if not all(_is_plain(text) for text in texts.values()):
        return json.dumps({field: given}, ensure_ascii=False)
    pairs = ",".join(f"{key}={text}" for key, text in texts.items())
    return f"{field.replace('_', '-')}:{pairs}" if pairs else field.replace("_", "-")


def _is_plain(text: str) -> bool:
    """Whether KEY=VALUE,... can hold the text: it is split at commas, and trimmed."""
    return bool(text) and "," not in text and text.strip() == text


def _option(flag: str, value: str) -> list[str]:
    """Return an option with its value, in one word if the value would be read as an option."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]
