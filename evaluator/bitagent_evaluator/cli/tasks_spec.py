"""From the flags of `tasks build` to the spec that the library takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bitagent_crds.alterations import Alteration
from bitagent_crds.tasks import Tasks
from bitagent_evaluator.cli.tasks_sources import SpecError, sources_of

__all__ = ["SpecError", "alteration_of", "files_of", "spec_of"]

DEFAULT_COUNT = 100
DEFAULT_SEED = "0"


def spec_of(args: argparse.Namespace) -> Tasks:
    """The spec: a file's, or one of the flags' sources; `--count` and `--seed` win over a file's, `--alter` comes after its alterations.

    Raises SpecError.
    """
    if args.spec is not None and args.sources:
        raise SpecError(f"--spec already names the sources: leave out {args.sources[0][0]}")
    document = _from_file(args.spec) if args.spec is not None else _from_flags(args)
    if args.alter:
        document["alterations"] = [*(document.get("alterations") or []), *map(alteration_of, args.alter)]
    given = {"count": args.count, "seed": args.seed}
    document |= {key: value for key, value in given.items() if value is not None}
    try:
        return Tasks.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in found["loc"])
        raise SpecError(f"{args.spec or 'flags'}: {where}: {found['msg']}") from error


def alteration_of(text: str) -> dict[str, dict[str, str]]:
    """An alteration of the spec from `NAME[:key=value,...]`; names in any of the usual ways of writing them. Raises SpecError.

    Values stay text: the contract reads numbers from it, and says what is wrong with others.
    """
    name, _, rest = text.partition(":")
    known = {_plain(field): field for field in Alteration.model_fields}
    if _plain(name) not in known:
        names = ", ".join(field.replace("_", "-") for field in Alteration.model_fields)
        raise SpecError(f"--alter {text}: no alteration {name!r}; there are: {names}")
    parameters: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, separator, value = (part.strip() for part in pair.partition("="))
        if not separator or not key or not value:
            raise SpecError(f"--alter {text}: write NAME:key=value,..., such as distractor-tools:minimum=2,maximum=4")
        parameters[key] = value
    return {known[_plain(name)]: parameters}


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def files_of(args: argparse.Namespace, spec: Tasks) -> dict[int, Path]:
    """The file of each jsonl source, by its index in the spec. Raises SpecError."""
    if args.spec is None:
        return sources_of(args.sources)[1]
    jsonl = {index: source.jsonl for index, source in enumerate(spec.sources) if source.jsonl is not None}
    indices = [index for index, source in jsonl.items() if source.url is None]
    files: dict[int, Path] = {}
    for text in args.file:
        index, separator, path = text.partition("=")
        if not separator or not index.isdecimal() or int(index) not in indices:
            raise SpecError(
                f"--file {text}: write INDEX=PATH, where INDEX is that of a jsonl source: {indices or 'there is none'}"
            )
        files[int(index)] = Path(path)
    if missing := [index for index in indices if index not in files]:
        raise SpecError(f"source {missing[0]} is a jsonl source: say where its file is with --file {missing[0]}=PATH")
    return files


def _from_file(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SpecError(f"{path} is neither YAML nor JSON: {error}") from error
    if isinstance(document, dict) and "kind" in document:
        spec = document.get("spec")
        document = spec.get("tasks") if isinstance(spec, dict) else None
    if not isinstance(document, dict):
        raise SpecError(f"{path}: expected an EvalRound with spec.tasks, or the object spec.tasks alone")
    return {"count": DEFAULT_COUNT, "seed": DEFAULT_SEED, **document}


def _from_flags(args: argparse.Namespace) -> dict[str, Any]:
    if args.file:
        raise SpecError("--file belongs to --spec: use --jsonl FILE")
    sources, _ = sources_of(args.sources)
    if not sources:
        raise SpecError("name a source: --bfcl CATEGORY,..., --jsonl FILE, --url, --hub, --stream or --spec FILE")
    return {"sources": sources, "count": DEFAULT_COUNT, "seed": DEFAULT_SEED}
