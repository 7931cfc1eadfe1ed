"""What a person has to know about the commands of a plan: seeds, files and keys that are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bitagent_crds.jobs import alteration_key, source_key
from bitagent_crds.task_forms import BuiltinPromptFormat
from bitagent_crds.tasks import TaskSource
from bitagent_evaluator.cli.round_document import Asked, Entry, leaves_format_open
from bitagent_evaluator.prompts import known_formats
from bitagent_evaluator.scoring.scorers import scorer_names


def notes_on(
    asked: Asked,
    entry: Entry | None,
    *,
    published: bool,
    given: Mapping[int, Path],
    rewrites: Path | None,
    seed: str,
) -> list[str]:
    """Return what cannot be had here, or has to be known, one sentence each.

    `entry` is what the round has frozen of the model; `published` whether its seed is; `given` has the files of
    sources, `rewrites` the rewordings, `seed` the local seed.
    """
    notes = list(asked.notes)
    if not published and asked.tasks.seed_from is not None:
        notes.append(
            f"the seed is secret until block {asked.tasks.seed_from.block} is final: these are other tasks of the same "
            f"kind, drawn with the local seed {seed!r}; scores will differ by chance"
        )
    for index, source in enumerate(asked.tasks.sources):
        notes += _source_notes(index, source, index in given)
    for index, alteration in enumerate(asked.tasks.alterations):
        if alteration.rewrite is None:
            continue
        if alteration.rewrite.api_key_secret_ref is not None:
            notes.append(f"alteration {index} has a key in the cluster: set {alteration_key(index)} to one of yours")
        if rewrites is None and alteration.rewrite.url is None:
            notes.append(
                f"alteration {index} has the Validator's own rewriter reword questions, which answers only its rounds: "
                "give its rewrites.jsonl (--rewrites FILE)"
            )
        elif rewrites is None:
            notes.append(
                f"alteration {index} has {alteration.rewrite.model} at {alteration.rewrite.url} reword questions: the "
                "rewordings are the round's own only with its rewrites.jsonl (--rewrites FILE)"
            )
    if entry is None and leaves_format_open(asked):
        notes.append(
            "the prompt format is each model's own (spec.promptFormat of its MinerModel, and spec.engine): add yours, "
            "or name one of the round's models with --model"
        )
    for what, name, known in (
        ("scorer", asked.run.scorer, scorer_names()),
        ("prompt format", asked.run.prompt_format, (BuiltinPromptFormat.AUTO, *known_formats())),
    ):
        if name not in known:
            notes.append(f"the {what} {name} is of a package that is not installed here: run will refuse it")
    if asked.run.generate_seconds is not None:
        notes.append("--generate-seconds depends on the machine: leave it out where yours is slower than the round's")
    return notes


def _source_notes(index: int, source: TaskSource, given: bool) -> list[str]:
    notes: list[str] = []
    if source.jsonl is not None and not given:
        if (key := source.jsonl.config_map) is not None:
            path = key.key.replace(".", r"\.")
            notes.append(
                f"source {index} is key {key.key} of the ConfigMap {key.name}: save it with `kubectl get configmap "
                f"{key.name} -o jsonpath='{{.data.{path}}}' > {key.key}`, or ask its author; another place: --file "
                f"{index}=PATH"
            )
        elif (file := source.jsonl.volume) is not None:
            notes.append(
                f"source {index} is the file {file.path} of the volume {file.claim_name}: ask its author for it, and "
                f"say where it is with --file {index}=PATH"
            )
        elif source.jsonl.url is None:
            notes.append(
                f"source {index} is a file of the machine that ran it: say where it is with --file {index}=PATH"
            )
    stream = source.stream
    secret = source.hugging_face is not None and source.hugging_face.token_secret_ref is not None
    if secret or (stream is not None and stream.wandb is not None and stream.wandb.api_key_secret_ref is not None):
        notes.append(f"source {index} has a key in the cluster: set {source_key(index)} to one of yours")
    if stream is not None:
        notes.append(f"source {index} is a stream: it has newer samples now than when the round was drawn")
    return notes
