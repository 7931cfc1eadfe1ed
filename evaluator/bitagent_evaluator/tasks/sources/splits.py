"""Which files of a dataset repository belong to a split. Pure.

The rules are the hub's: the `configs` in the README's header, else names. A file or folder whose name has `train`,
`test`, `validation` or one of their other spellings between separators belongs to that split, `NAME-00000-of-00005` to
split NAME; if no name has any of these, all files are `train`. Of files in several formats those in the most common
one count. A repository's loading script is never run, and changes nothing. A file that the README names, or that a set
of shards lacks (`shards`), has to be there; where its author may have left it out, it is only pointed out.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bitagent_evaluator.support.text import shorten
from bitagent_evaluator.tasks.files import TaskSetError
from bitagent_evaluator.tasks.sources.file_formats import FILE_FORMATS, suffix_of
from bitagent_evaluator.tasks.sources.shards import missing_of

_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_SEPARATOR = r"[-._ 0-9/]"
_SHARD = re.compile(r"(?:^|/)(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}(?:-\w{1,64})?(?:\.\w{1,16}){1,2}$")
_NO_DATA = frozenset({"config.json", "dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
_OTHER_DATA: Mapping[str, str] = {
    "arrow": "was written by save_to_disk: write Parquet, with to_parquet or push_to_hub",
    **dict.fromkeys(("zip", "tar", "zst", "xz", "bz2", "7z"), "is packed: upload the files in it, or with .gz"),
    **dict.fromkeys(("xlsx", "xls", "ods"), "is a spreadsheet: save it as CSV in UTF-8"),
}
"""What a file is that is not read, by the end of its name."""
_KINDS: Mapping[str, str] = {"jsonl": "json", "ndjson": "json", "tsv": "csv"}
"""Formats that are one to the hub; others are by themselves."""
_PREFERRED = ("parquet", "json", "csv")
"""Which of several equally common formats counts, as on the hub."""
_WILDCARD = re.compile(r"(\*\*/|\*\*|\*|\?|\[!?[^\[\]/!]{1,32}\])")
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
"""What names of files may hold and UTF-8 or a line of `sha256sum` cannot: bytes, line ends, backslashes."""
_SHOWN = 3
_SHOWN_PATTERN = 120
_DEFAULT = "default"


@dataclass(frozen=True)
class SplitFiles:
    """The files of a split, in their order."""

    paths: list[str]
    doubtful: tuple[str, ...] = ()
    """A few files or patterns that may be missing, to be pointed out."""


def files_of_split(files: Iterable[str], card: Mapping[str, Any], *, config: str | None, split: str) -> SplitFiles:
    """Return the files of a split. `card` is the README's header.

    Raises TaskSetError if the repository has no such configuration or split, and lists what there is; also if a file of
    the split is missing.
    """
    names = list(files)
    data = sorted(filter(_is_data, names))
    if not data:
        other = next((path for path in sorted(names) if _end(path) in _OTHER_DATA), None)
        hint = f"; {other} {_OTHER_DATA[_end(other)]}" if other is not None else ""
        raise TaskSetError(f"it holds no data files; these are read: {', '.join(sorted(FILE_FORMATS))}{hint}")
    declared = _declared(data, card, config, split)
    if declared is None:
        if config not in (None, _DEFAULT):
            raise TaskSetError(f"its README declares no configurations, not even {config!r}: leave config out")
        declared = _Declared(_by_name(data))
    splits = declared.splits
    if not splits.get(split):
        raise TaskSetError(f"it has no split {split!r}; there are: {', '.join(splits) or 'none'}")
    chosen = splits[split]
    if declared.one_by_one:
        return SplitFiles(chosen)
    kinds = {_kind(path) for path in chosen}
    missing = missing_of(chosen, [path for path in data if _kind(path) in kinds])
    if missing.certain:
        raise TaskSetError(
            f"split {split!r} is not complete: by the names of its other files, such as {chosen[0]}, there should be "
            f"{', '.join(missing.certain)}: upload what is missing, or name a revision that has it"
        )
    return SplitFiles(chosen, (*declared.unmatched, *missing.doubtful))


def files_of_folder(files: Iterable[str]) -> SplitFiles:
    """Return the data files of a folder that is read as a whole, whatever their split is called.

    Raises TaskSetError if that is not clear: for files of several splits or formats, for data in a format that is not
    read, and where a shard is missing.
    """
    names = [path for path in files if not any(map(is_hidden, path.split("/")))]
    data = sorted(filter(_is_data, names))
    other = next((path for path in sorted(names) if _end(path) in _OTHER_DATA), None)
    if odd := next((path for path in data if _UNWRITABLE.search(path)), None):
        raise TaskSetError(f"the name of {odd!a} has a character that cannot be in an id or a list of sums: rename it")
    if not data or other is not None:
        hint = f": {other} {_OTHER_DATA[_end(other)]}" if other is not None else ""
        lacking = "has data that is not read" if data else "holds no data files"
        raise TaskSetError(f"it {lacking}; these are read: {', '.join(sorted(FILE_FORMATS))}{hint}")
    by_split: dict[str, str] = {}
    for path in data:
        by_split.setdefault(_split_in(path) or "", path)
    by_kind = {_kind(path): path for path in reversed(data)}
    for several, shown in ((by_split, "splits"), (by_kind, "formats")):
        if len(several) > 1:
            examples = ", ".join(list(several.values())[:_SHOWN])
            raise TaskSetError(
                f"it has files of several {shown}, such as {examples}: name one file, or a folder of one of them"
            )
    missing = missing_of(data, data)
    if missing.certain:
        raise TaskSetError(
            f"it is not complete: by the names of its other files, such as {data[0]}, there should be "
            f"{', '.join(missing.certain)}: fetch what is missing"
        )
    return SplitFiles(data, missing.doubtful)


def _end(path: str) -> str:
    return path.rpartition(".")[2].lower()


def _is_data(path: str) -> bool:
    parts = path.split("/")
    return suffix_of(path) in FILE_FORMATS and parts[-1] not in _NO_DATA and not any(map(is_hidden, parts))


def is_hidden(name: str) -> bool:
    """Whether a file or folder holds no data by its name, such as `.git` or `__pycache__`."""
    return name.startswith((".", "__"))


@dataclass(frozen=True)
class _Declared:
    """Files by split."""

    splits: dict[str, list[str]]
    one_by_one: bool = False
    """Whether the README names each file, so that others are left out on purpose."""
    unmatched: tuple[str, ...] = ()
    """Patterns without files, beside others that have some."""


def _declared(files: Sequence[str], card: Mapping[str, Any], config: str | None, split: str) -> _Declared | None:
    """Return files by split as the README declares them; None if it declares nothing.

    Raises TaskSetError if a file that it names for `split` is not there.
    """
    listed = card.get("configs")
    configs = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if not configs:
        return None
    chosen = _choose_config(configs, config)
    folder = _text(chosen.get("data_dir")).strip("/")
    inside = [path for path in files if not folder or path.startswith(f"{folder}/")]
    patterns = _patterns(chosen.get("data_files"))
    if not patterns:
        return _Declared(_by_name(inside, folder))
    prefix = f"{folder}/" if folder else ""
    paths = {name: [prefix + one.removeprefix("./") for one in of_split] for name, of_split in patterns.items()}
    own = paths.get(split, [])
    unmatched = [pattern for pattern in own if not _matching(inside, [pattern])]
    missing = unmatched if len(unmatched) == len(own) else [one for one in unmatched if not _WILDCARD.search(one)]
    if missing:
        raise TaskSetError(
            f"its README names {shorten(missing[0], _SHOWN_PATTERN)!r} for split {split!r}, and no data file has that "
            "name: upload it, or correct the README"
        )
    return _Declared(
        {name: _matching(inside, of_split) for name, of_split in paths.items()},
        one_by_one=not any(_WILDCARD.search(pattern) for pattern in own),
        unmatched=tuple(shorten(pattern, _SHOWN_PATTERN) for pattern in unmatched[:_SHOWN]),
    )


def _choose_config(configs: Sequence[Mapping[str, Any]], config: str | None) -> Mapping[str, Any]:
    by_name = {_text(entry.get("config_name")) or _DEFAULT: entry for entry in configs}
    if config is not None:
        if config not in by_name:
            raise TaskSetError(f"it has no configuration {config!r}; there are: {', '.join(by_name)}")
        return by_name[config]
    if len(by_name) == 1:
        return configs[0]
    default = next((entry for entry in configs if entry.get("default") is True), by_name.get(_DEFAULT))
    if default is None:
        raise TaskSetError(f"it has several configurations, name one as config: {', '.join(by_name)}")
    return default


def _patterns(data: Any) -> dict[str, list[str]]:
    """Return the patterns of `data_files`, in any of its forms, by split."""
    if isinstance(data, dict):
        data = [{"split": split, "path": path} for split, path in data.items()]
    entries = data if isinstance(data, list) else [data] if isinstance(data, str) else []
    found: dict[str, list[str]] = {}
    for entry in entries:
        split, path = (
            (_text(entry.get("split")) or "train", entry.get("path")) if isinstance(entry, dict) else ("train", entry)
        )
        found.setdefault(split, []).extend(filter(None, map(_text, path if isinstance(path, list) else [path])))
    return found


def _text(value: Any) -> str:
    """Return a name or path, even if YAML read it as a number; empty for anything else.

    A list is never converted: as text, a few lines of lists of YAML aliases would fill any memory.
    """
    return str(value) if isinstance(value, str | int | float) else ""


def _matching(files: Sequence[str], patterns: Sequence[str]) -> list[str]:
    split = [_WILDCARD.split(pattern) for pattern in patterns]
    return [path for path in files if any(_matches(path, parts) for parts in split)]


def _matches(path: str, parts: Sequence[str]) -> bool:
    """Return whether a path matches the parts of a pattern.

    All places that can be reached are followed at once, because a README may have any pattern, and a regular
    expression with many wildcards takes exponential time.
    """
    reached = {0}
    for part in parts:
        if not reached:
            return False
        first = min(reached)
        match part:
            case "**":
                reached = set(range(first, len(path) + 1))
            case "**/":
                reached |= {place + 1 for place in range(first, len(path)) if path[place] == "/"}
            case "*":
                for place in range(first, len(path)):
                    if place in reached and path[place] != "/":
                        reached.add(place + 1)
            case "?":
                reached = {place + 1 for place in reached if path[place : place + 1] not in ("", "/")}
            case _ if part.startswith("[") and _WILDCARD.fullmatch(part):
                reached = {place + 1 for place in reached if fnmatch.fnmatchcase(path[place : place + 1], part)}
            case _:
                reached = {place + len(part) for place in reached if path.startswith(part, place)}
    return len(path) in reached


def _by_name(files: Sequence[str], folder: str = "") -> dict[str, list[str]]:
    """Return files by split as their names below a folder say; of several formats, only the most common one.

    Files that are in no split do not count, where any is in one: they describe the others.
    """
    splits: dict[str, list[str]] = {}
    for path in files:
        if split := _split_in(path.removeprefix(f"{folder}/") if folder else path):
            splits.setdefault(split, []).append(path)
    splits = splits or ({"train": list(files)} if files else {})
    counts = Counter(_kind(path) for of_split in splits.values() for path in of_split)
    common = max(counts, key=lambda kind: (counts[kind], -_PREFERRED.index(kind)), default="")
    found = {split: [path for path in of_split if _kind(path) == common] for split, of_split in splits.items()}
    return {split: of_split for split, of_split in found.items() if of_split}


def _kind(path: str) -> str:
    suffix = suffix_of(path)
    return _KINDS.get(suffix, suffix)


def _split_in(name: str) -> str | None:
    for split, words in _KEYWORDS.items():
        if re.search(rf"(?:^|{_SEPARATOR})(?:{'|'.join(words)})(?:{_SEPARATOR}|$)", name):
            return split
    shard = _SHARD.search(name)
    return shard.group("split") if shard else None
