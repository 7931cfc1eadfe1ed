"""Files that the names of other files promise: shards (`train-00000-of-00003`) and numbered files with a gap. Pure.

A dataset of which one file is absent is still readable, and has fewer rows than its author meant it to have.

Shards count from 0, or from 1 if the last one has the number of all. A shard is certainly missing only from a set as
programs number it (`03-of-10`, never `3-of-10`) of which fewer are absent than there: people publish a few shards of
another dataset as a sample. Files that are only numbered (`part_0`, `0001`) are a sequence if fewer numbers are absent
than there: ids and years are none. Such a sequence may continue in another folder. Public datasets have gaps that are
meant to stay, so that a gap is never certain.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

_SHARD = re.compile(
    r"(?P<head>(?:.*\D)?)(?P<index>\d{1,6})(?P<between>[-_. ]?of[-_. ]?)(?P<total>\d{1,6})(?P<tail>(?:\D.*)?)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"(?P<head>(?:.*\D)?)(?P<index>\d{1,6})(?P<tail>\.[^./]*(?:\.gz)?)", re.IGNORECASE)
_VERSION = re.compile(r"(?:^|[^a-z])v(?:er|ersion)?[-_. ]?$", re.IGNORECASE)
"""What is before the number of a version, of which earlier ones need not be there."""
_SHOWN = 3
_MAX_FOLDERS = 64
"""Most folders in which a sequence is sought that continues: there may be thousands with the same names."""


@dataclass(frozen=True)
class _Numbered:
    """The name of a file, in parts around its number."""

    folder: str
    head: str
    index: str
    rest: str
    """What follows the number, up to the part that may differ among shards."""
    tail: str
    total: str = ""


@dataclass(frozen=True)
class Missing:
    """Names of files that seem to be absent, at most a few of either kind."""

    certain: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    """Those of a sample, or of numbers with a gap: their author may never have had them."""


@dataclass(frozen=True)
class ShardSet:
    """Shards of one set, of which some are absent."""

    there: tuple[str, ...]
    absent: tuple[str, ...]
    """A few of those absent."""
    certain: bool
    """Whether it is a set as programs number it, and fewer shards are absent than there."""


def missing_of(paths: Iterable[str], there: Iterable[str]) -> Missing:
    """Return the names of files that `paths` promise, and that are not `there`: all files that could be read."""
    chosen, known = set(paths), list(there)
    sets = [one for one in incomplete_sets(known) if not chosen.isdisjoint(one.there)]
    certain = [name for one in sets if one.certain for name in one.absent]
    doubtful = [name for one in sets if not one.certain for name in one.absent]
    numbered = _grouped(_plain_number(path) for path in known)
    by_name: dict[tuple[str, str], list[list[_Numbered]]] = defaultdict(list)
    for (_, *name), group in numbered.items():
        by_name[name[0], name[1]].append(group)
    for (_, *name), group in numbered.items():
        if len(doubtful) < _SHOWN and _has_gap(group) and any(_path(one) in chosen for one in group):
            same = by_name[name[0], name[1]][:_MAX_FOLDERS]
            doubtful += _gaps(group, [other for other in same if other is not group])
    return Missing(tuple(certain[:_SHOWN]), tuple(doubtful[:_SHOWN]))


def _has_gap(group: Sequence[_Numbered]) -> bool:
    own = {int(one.index) for one in group}
    return max(own) - min(own) >= len(own)


def incomplete_sets(paths: Iterable[str]) -> list[ShardSet]:
    """Return the sets of shards that are not complete among these files."""
    groups = _grouped(_shard(path) for path in paths).values()
    return [
        ShardSet(tuple(map(_path, group)), tuple(absent), certain=_is_certain(group))
        for group in groups
        if (absent := _absent_shards(group))
    ]


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _path(one: _Numbered) -> str:
    return f"{one.folder}/" * bool(one.folder) + one.head + one.index + one.rest + one.tail


def _shard(path: str) -> _Numbered | None:
    folder, name = _split(path)
    found = _SHARD.fullmatch(name)
    if found is None or int(found["index"]) > int(found["total"]) or not int(found["total"]):
        return None
    rest = found["between"] + found["total"]
    return _Numbered(folder, found["head"], found["index"], rest, found["tail"], found["total"])


def _plain_number(path: str) -> _Numbered | None:
    folder, name = _split(path)
    found = _NUMBERED.fullmatch(name)
    if found is None or _shard(path) is not None or _VERSION.search(found["head"]):
        return None
    return _Numbered(folder, found["head"], found["index"], "", found["tail"])


def _grouped(names: Iterable[_Numbered | None]) -> dict[tuple[str, str, str], list[_Numbered]]:
    """Return names that differ in their number alone, or in what follows it: the end, or a digest."""
    groups: dict[tuple[str, str, str], list[_Numbered]] = defaultdict(list)
    for one in names:
        if one is not None:
            groups[one.folder, one.head, one.rest.lower()].append(one)
    return groups


def _is_plain(one: _Numbered) -> bool:
    """Whether a name alone shows that it is a shard's: `10-of-100` may be a choice of ten."""
    return len(one.index) == len(one.total)


def _is_certain(group: Sequence[_Numbered]) -> bool:
    total = group[0].total
    there = len({int(one.index) for one in group})
    return len(total) > 1 and all(map(_is_plain, group)) and int(total) - there < there


def _absent_shards(group: Sequence[_Numbered]) -> list[str]:
    if len(group) == 1 and not _is_plain(group[0]):
        return []
    total = int(group[0].total)
    there = {int(one.index) for one in group}
    first = 1 if total in there and 0 not in there else 0
    return _names(group, (number for number in range(first, first + total) if number not in there))


def _gaps(group: Sequence[_Numbered], beside: Sequence[Sequence[_Numbered]]) -> list[str]:
    own = {int(one.index) for one in group}
    others = [{int(one.index) for one in other} for other in beside]
    there = own.union(*others) if all(own.isdisjoint(other) for other in others) else own
    padded = len(group) > 1 and all(len(one.index) == len(group[0].index) > 1 for one in group)
    if min(there) > 1 and not (padded and any(one.index.startswith("0") for one in group)):
        return []
    absent = set(range(min(own), max(own))) - there
    return _names(group, sorted(absent)) if len(absent) < len(own) else []


def _names(group: Sequence[_Numbered], numbers: Iterable[int]) -> list[str]:
    like = group[0]
    tails = {one.tail for one in group}
    tail = like.tail if len(tails) == 1 else "*" + like.tail[like.tail.rfind(".") :]
    width = min(len(one.index) for one in group)
    found = []
    for number in numbers:
        found.append(_path(_Numbered(like.folder, like.head, f"{number:0{width}}", like.rest, tail)))
        if len(found) == _SHOWN:
            break
    return found


def declared_rows(card: Mapping[str, object], *, config: str | None, split: str) -> int | None:
    """Return how many rows a dataset's card says that a split has (`dataset_info`); None if it does not say."""
    infos = card.get("dataset_info")
    for info in infos if isinstance(infos, list) else [infos]:
        if not isinstance(info, dict) or (config or info.get("config_name")) != info.get("config_name", config):
            continue
        splits = info.get("splits")
        for entry in splits if isinstance(splits, list) else ():
            if isinstance(entry, dict) and entry.get("name") == split and isinstance(entry.get("num_examples"), int):
                return int(entry["num_examples"])
    return None
