"""From the flags of `tasks build` to the spec of a task set.

A source begins with `--bfcl`, `--jsonl`, `--url`, `--hub` or `--stream`; the flags that follow are about it, up to the
next source. All may be repeated and mixed. BFCL sources come first, the others in the order given, unless `--in-order`
is given: the order decides which tasks are drawn.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bitagent_crds.alterations import Alteration
from bitagent_crds.seeds import SeedError, mixed_seed
from bitagent_crds.tasks import Columns, RowFormat, Tasks
from bitagent_evaluator.cli.bfcl_names import GROUPS, categories_of
from bitagent_evaluator.cli.names import did_you_mean
from bitagent_evaluator.support.faults import first_error

_HUB = re.compile(r"([^@:]+)(?:@([^:]+))?(?::(.+))?")
_WANDB = "wandb:"

Source = dict[str, Any]


class SpecError(Exception):
    """The flags or the spec file are wrong; the message says which and why."""


class _InOrder(argparse.Action):
    """Collects flags with their values in the order given, across flags."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.sources = [*namespace.sources, (self.option_strings[0], str(values))]


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of sources, which arrive as pairs of flag and value in `sources`."""
    parser.set_defaults(sources=[])
    group = parser.add_argument_group("sources", "flags after a source are about it; all may be repeated and mixed")
    for flag, metavar, text in (
        (
            "--bfcl",
            "CATEGORY,...",
            f"draw from these BFCL categories, or groups of them ({', '.join(GROUPS)}); `all`: all but memory and "
            "format_sensitivity",
        ),
        ("--jsonl", "FILE|FOLDER", "draw from this file of tasks, or of other rows, or from all of a folder"),
        ("--url", "URL", "draw from a JSON Lines file on the web, with --digest"),
        ("--hub", "REPO[@REVISION][:SPLIT]", "draw from a dataset of the hub (default: main, train)"),
        (
            "--stream",
            "URL|wandb:ENTITY/PROJECT",
            "draw from the newest samples of a growing JSON Lines file or of Weights & Biases runs",
        ),
        ("--rows", "|".join(RowFormat), "how its rows are read (default: Task; Columns with --columns)"),
        ("--columns", "ROLE=COLUMN,...", f"what its columns hold: {', '.join(Columns.model_fields)}"),
        ("--digest", "sha256:HEX", "what its file must be, for --url"),
        ("--config", "NAME", "its configuration, for --hub"),
        ("--newest", "N", "how many of its samples are read, for --stream (default: 400)"),
        ("--endpoint", "URL", "its server, for --stream wandb:..."),
        ("--weight", "N", "its share, relative to other sources (default: 1)"),
    ):
        group.add_argument(flag, action=_InOrder, metavar=metavar, help=text)
    group.add_argument(
        "--in-order", action="store_true",
        help="take the sources in the order given, which decides the draw (default: BFCL sources first)",
    )  # fmt: skip


def sources_of(flags: Sequence[tuple[str, str]], *, in_order: bool = False) -> tuple[list[Source], dict[int, Path]]:
    """Return the sources of the spec, and the local files of those that have one, by index. Raises SpecError.

    BFCL sources come first, unless `in_order` is set.
    """
    drafts: list[tuple[Source, Path | None]] = []
    for flag, value in flags:
        if flag in _BEGINS:
            drafts.append((_BEGINS[flag](value), Path(value) if flag == "--jsonl" else None))
        elif drafts:
            _modify(drafts[-1][0], flag, value)
        else:
            raise SpecError(f"{flag} is about the source before it: name one first ({', '.join(_BEGINS)})")
    if not in_order:
        drafts.sort(key=lambda draft: "bfcl" not in draft[0])
    sources = [_complete(source) for source, _ in drafts]
    return sources, {index: file for index, (_, file) in enumerate(drafts) if file is not None}


def _bfcl(value: str) -> Source:
    try:
        return {"bfcl": {"categories": categories_of(value)}}
    except ValueError as error:
        raise SpecError(f"--bfcl: {error}") from None


def _hub(value: str) -> Source:
    found = _HUB.fullmatch(value)
    if found is None or "/" not in found.group(1):
        raise SpecError(f"--hub {value}: write OWNER/NAME, OWNER/NAME@REVISION or OWNER/NAME@REVISION:SPLIT")
    named = zip(("repo", "revision", "split"), found.groups(), strict=True)
    return {"huggingFace": {name: text for name, text in named if text}}


def _stream(value: str) -> Source:
    if not value.startswith(_WANDB):
        return {"stream": {"url": value}}
    entity, separator, project = value.removeprefix(_WANDB).partition("/")
    if not separator or not entity or not project:
        raise SpecError(f"--stream {value}: write wandb:ENTITY/PROJECT, or the address of a JSON Lines file")
    return {"stream": {"wandb": {"entity": entity, "project": project}}}


_BEGINS: dict[str, Callable[[str], Source]] = {
    "--bfcl": _bfcl,
    "--jsonl": lambda value: {"jsonl": {}},
    "--url": lambda value: {"jsonl": {"url": {"url": value}}},
    "--hub": _hub,
    "--stream": _stream,
}
_ABOUT: dict[str, frozenset[str]] = {
    "--rows": frozenset({"jsonl", "huggingFace", "stream"}),
    "--columns": frozenset({"jsonl", "huggingFace", "stream"}),
    "--digest": frozenset({"jsonl"}),
    "--config": frozenset({"huggingFace"}),
    "--newest": frozenset({"stream"}),
    "--endpoint": frozenset({"stream"}),
}
"""Kinds of sources that a flag can be about; flags that are not listed can be about any."""


def _modify(source: Source, flag: str, value: str) -> None:
    name = next(iter(source))
    if name not in _ABOUT.get(flag, {name}):
        raise SpecError(f"{flag} says nothing about a {name} source; it is for: {', '.join(sorted(_ABOUT[flag]))}")
    parameters = source[name]
    if flag == "--weight":
        source["weight"] = value
    elif flag == "--columns":
        parameters["columns"] = _columns(value)
    elif flag == "--digest":
        _nested(parameters, "url", flag, "--url")["digest"] = value
    elif flag == "--endpoint":
        _nested(parameters, "wandb", flag, "--stream wandb:ENTITY/PROJECT")["endpoint"] = value
    else:
        parameters[flag.removeprefix("--")] = value


def _nested(parameters: Source, member: str, flag: str, owner: str) -> Source:
    inner = parameters.get(member)
    if not isinstance(inner, dict):
        raise SpecError(f"{flag} belongs after {owner}")
    return inner


def _columns(text: str) -> dict[str, str]:
    if text.startswith("{"):
        return _json_object("--columns", text)
    found: dict[str, str] = {}
    for pair in text.split(","):
        role, separator, name = (part.strip() for part in pair.partition("="))
        if not separator or not name or role not in Columns.model_fields:
            raise SpecError(
                f"--columns {text}: write ROLE=COLUMN,..., such as question=query,functions=tools,answers=answers; "
                f"roles are: {', '.join(Columns.model_fields)}"
            )
        found[role] = name
    return found


def _json_object(flag: str, text: str) -> dict[str, Any]:
    """Return what a flag has in JSON, for values with commas. Raises SpecError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(f"{flag} {text}: not JSON: {error}") from None
    if not isinstance(found, dict):
        raise SpecError(f"{flag} {text}: not a JSON object")
    return found


def _complete(source: Source) -> Source:
    """Fill in what follows from other flags. Raises SpecError for flags that contradict each other or are missing."""
    parameters = next(iter(source.values()))
    if "columns" in parameters:
        parameters.setdefault("rows", RowFormat.COLUMNS.value)
    if ("columns" in parameters) != (parameters.get("rows") == RowFormat.COLUMNS):
        raise SpecError(
            "--columns and --rows Columns belong together: say which column holds what, or choose other rows"
        )
    url = parameters.get("url")
    if isinstance(url, dict) and "digest" not in url:
        raise SpecError(
            f"--url {url['url']}: pin the file with --digest sha256:HEX, so that it cannot change unnoticed"
        )
    return source


DEFAULT_COUNT = 100
DEFAULT_SEED = "0"


def spec_of(args: argparse.Namespace) -> Tasks:
    """Return the spec, from a file or from flags. Raises SpecError.

    `--count`, `--seed` and `--seed-from` replace what a file says, `--alter` adds to its alterations.
    """
    if args.spec is not None and args.sources:
        raise SpecError(f"--spec already names the sources: leave out {args.sources[0][0]}")
    document = _from_file(args.spec) if args.spec is not None else _from_flags(args)
    if args.alter:
        document["alterations"] = [*(document.get("alterations") or []), *map(alteration_of, args.alter)]
    seed = args.seed if args.seed_from is None else _mixed_seed(args.seed_from)
    if seed is not None:
        document.pop("seedFrom", None)
    given = {"count": args.count, "seed": seed}
    document |= {key: value for key, value in given.items() if value is not None}
    try:
        return Tasks.model_validate(document)
    except ValidationError as error:
        raise SpecError(f"{args.spec or 'flags'}: {first_error(error)}") from error


def _mixed_seed(text: str) -> str:
    block_hash, separator, secret = text.partition(":")
    try:
        return mixed_seed(block_hash, secret)
    except SeedError as error:
        advice = "write BLOCKHASH:SECRET, as a round's tasks.seedFrom has them"
        raise SpecError(f"--seed-from {text}: {error if separator else 'there is no secret'}: {advice}") from error


def alteration_of(text: str) -> dict[str, dict[str, str]]:
    """Parse an alteration, `NAME[:key=value,...]`; the name may be in camel, snake or kebab case. Raises SpecError.

    A value with a comma needs the form of the spec in JSON, `{"rewrite": {...}}`.

    Values stay text: the contract parses numbers and reports invalid values.
    """
    if text.startswith("{"):
        return _json_object("--alter", text)
    name, _, rest = text.partition(":")
    known = {_plain(field): field for field in Alteration.model_fields}
    if _plain(name) not in known:
        names = ", ".join(field.replace("_", "-") for field in Alteration.model_fields)
        raise SpecError(
            f"--alter {text}: no alteration {name!r}; there are: {names}{did_you_mean(name, names.split(', '))}"
        )
    parameters: dict[str, str] = {}
    for pair in filter(None, rest.split(",")):
        key, separator, value = (part.strip() for part in pair.partition("="))
        if not separator or not key or not value:
            raise SpecError(f"--alter {text}: write NAME:key=value,..., such as distractor-tools:minimum=2,maximum=4")
        parameters[key] = value
    return {known[_plain(name)]: parameters}


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


def parse_file_options(options: Sequence[str]) -> dict[int, Path]:
    """Parse `--file INDEX=PATH`, the files of sources by index. Raises SpecError."""
    files: dict[int, Path] = {}
    for text in options:
        index, separator, path = text.partition("=")
        if not separator or not index.isdecimal():
            raise SpecError(f"--file {text}: write INDEX=PATH")
        files[int(index)] = Path(path)
    return files


def files_of(args: argparse.Namespace, spec: Tasks) -> dict[int, Path]:
    """Return the file of each jsonl source, by its index in the spec. Raises SpecError."""
    if args.spec is None:
        return sources_of(args.sources, in_order=args.in_order)[1]
    jsonl = {index: source.jsonl for index, source in enumerate(spec.sources) if source.jsonl is not None}
    indices = [index for index, source in jsonl.items() if source.url is None]
    known = f"where INDEX is that of a jsonl source: {indices or 'there is none'}"
    try:
        files = parse_file_options(args.file)
    except SpecError as error:
        raise SpecError(f"{error}, {known}") from None
    if others := files.keys() - set(indices):
        raise SpecError(f"--file {min(others)}={files[min(others)]}: write INDEX=PATH, {known}")
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
    seed = {} if "seedFrom" in document else {"seed": DEFAULT_SEED}
    return {"count": DEFAULT_COUNT, **seed, **document}


def _from_flags(args: argparse.Namespace) -> dict[str, Any]:
    if args.file:
        raise SpecError("--file belongs to --spec: use --jsonl FILE")
    sources, _ = sources_of(args.sources, in_order=args.in_order)
    if not sources:
        raise SpecError("name a source: --bfcl CATEGORY,..., --jsonl FILE, --url, --hub, --stream or --spec FILE")
    return {"sources": sources, "count": DEFAULT_COUNT, "seed": DEFAULT_SEED}
