"""The flags of `tasks build` that name sources, and the sources that they are.

A source begins with `--bfcl`, `--jsonl`, `--url`, `--hub` or `--stream`; what follows it, up to the next one, is about it. All may be repeated
and mixed. Sources of BFCL come first whatever their place, the others in the order given: the draw depends on it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bitagent_crds.sources import BfclCategory, Columns, Rows

_HUB = re.compile(r"([^@:]+)(?:@([^:]+))?(?::(.+))?")
_WANDB = "wandb:"

Source = dict[str, Any]


class SpecError(Exception):
    """The flags or the spec file are wrong; the message says which."""


class _InOrder(argparse.Action):
    """Keeps flags in the order in which they are given, across flags."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        namespace.sources = [*namespace.sources, (self.option_strings[0], str(values))]


def add_source_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags; they arrive as pairs in `sources`."""
    parser.set_defaults(sources=[])
    group = parser.add_argument_group("sources", "a source, and what is about it; may be repeated and mixed")
    for flag, metavar, text in (
        ("--bfcl", "CATEGORY,...", "draw from these BFCL categories; `all` takes every one"),
        ("--jsonl", "FILE", "draw from this file of tasks, or of other rows"),
        ("--url", "URL", "draw from a JSON Lines file on the web, with --digest"),
        ("--hub", "REPO[@REVISION][:SPLIT]", "draw from a dataset of the hub (default: main, train)"),
        ("--stream", "URL|wandb:ENTITY/PROJECT", "draw from the newest samples of a growing JSON Lines file, or of Weights & Biases runs"),
        ("--rows", "|".join(Rows), "how the rows of the source before it are read (default: Task; Columns with --columns)"),
        ("--columns", "ROLE=COLUMN,...", f"what its columns hold: {', '.join(Columns.model_fields)}"),
        ("--digest", "sha256:HEX", "what its file must be, for --url"),
        ("--config", "NAME", "its configuration, for --hub"),
        ("--newest", "N", "how many of its samples are read, for --stream (default: 400)"),
        ("--endpoint", "URL", "its server, for --stream wandb:..."),
        ("--weight", "N", "its share, relative to other sources (default: 1)"),
    ):  # fmt: skip
        group.add_argument(flag, action=_InOrder, metavar=metavar, help=text)


def sources_of(flags: Sequence[tuple[str, str]]) -> tuple[list[Source], dict[int, Path]]:
    """The sources of the spec, and the file of each that reads one that is here, by its index. Raises SpecError."""
    drafts: list[tuple[Source, Path | None]] = []
    for flag, value in flags:
        if flag in _BEGINS:
            drafts.append((_BEGINS[flag](value), Path(value) if flag == "--jsonl" else None))
        elif drafts:
            _modify(drafts[-1][0], flag, value)
        else:
            raise SpecError(f"{flag} is about the source before it: name one first ({', '.join(_BEGINS)})")
    drafts.sort(key=lambda draft: "bfcl" not in draft[0])
    sources = [_finished(source) for source, _ in drafts]
    return sources, {index: file for index, (_, file) in enumerate(drafts) if file is not None}


def _bfcl(value: str) -> Source:
    names = list(BfclCategory) if value == "all" else [name.strip() for name in value.split(",")]
    if unknown := [name for name in names if name not in list(BfclCategory)]:
        raise SpecError(f"--bfcl: no category {unknown[0]!r}; there are: all, {', '.join(BfclCategory)}")
    return {"bfcl": {"categories": names}}


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
"""The sources that a flag can be about; those that are not here are about all."""


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
        _inside(parameters, "url", flag, "--url")["digest"] = value
    elif flag == "--endpoint":
        _inside(parameters, "wandb", flag, "--stream wandb:ENTITY/PROJECT")["endpoint"] = value
    else:
        parameters[flag.removeprefix("--")] = value


def _inside(parameters: Source, member: str, flag: str, wanted: str) -> Source:
    inner = parameters.get(member)
    if not isinstance(inner, dict):
        raise SpecError(f"{flag} belongs after {wanted}")
    return inner


def _columns(text: str) -> dict[str, str]:
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


def _finished(source: Source) -> Source:
    """The source with what goes without saying, and nothing that contradicts itself. Raises SpecError."""
    parameters = next(iter(source.values()))
    if "columns" in parameters:
        parameters.setdefault("rows", Rows.COLUMNS.value)
    if ("columns" in parameters) != (parameters.get("rows") == Rows.COLUMNS):
        raise SpecError(
            "--columns and --rows Columns belong together: say which column holds what, or choose other rows"
        )
    url = parameters.get("url")
    if isinstance(url, dict) and "digest" not in url:
        raise SpecError(
            f"--url {url['url']}: pin the file with --digest sha256:HEX, so that it cannot change unnoticed"
        )
    return source
