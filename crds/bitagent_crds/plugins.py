"""Names that installed packages add to the contract: scorers, prompt formats and weight policies.

A package adds a name by an entry point in one of the groups below: the entry point's name is the one that a spec gives,
its value is the class or function. Built-in names cannot be replaced. An entry point is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar, cast

from bitagent_crds.conditions import Fault

T = TypeVar("T")


class PluginGroup(StrEnum):
    """Entry-point groups, each with the noun that messages use for its names."""

    noun: str

    def __new__(cls, value: str, noun: str = "") -> PluginGroup:
        """Create the member `value`; the default is for lookups by value alone."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.noun = noun
        return member

    SCORERS = "bitagent.scorers", "scorer"
    PROMPT_FORMATS = "bitagent.prompt_formats", "prompt format"
    POLICIES = "bitagent.policies", "policy"


class PluginError(Exception):
    """A name cannot be used; the message says why and what to do."""

    fault: Fault
    """Where the failure comes from."""


class UnknownName(PluginError):
    """Neither a built-in name nor a name of an installed package."""

    fault = Fault.SPEC

    def __init__(self, group: PluginGroup, name: str, known: list[str]) -> None:
        super().__init__(f"no {group.noun} {name!r}; there are: {', '.join(known)}")
        self.name = name
        self.known = known


class BrokenPlugin(PluginError):
    """An installed package names an implementation that cannot be used, or two packages use one name."""

    fault = Fault.INFRASTRUCTURE


def known_names(group: PluginGroup, builtin: Mapping[str, object]) -> list[str]:
    """Return the built-in names and those of installed packages, sorted. No plugin is imported."""
    return sorted({*map(str, builtin), *(point.name for point in entry_points(group=group))})


def check_known(group: PluginGroup, name: str, builtin: Mapping[str, object]) -> None:
    """Raise UnknownName for a name that is neither built in nor of an installed package. No plugin is imported."""
    if name not in builtin and not entry_points(group=group, name=name):
        raise UnknownName(group, name, known_names(group, builtin))


def load(group: PluginGroup, name: str, builtin: Mapping[str, T]) -> T:
    """Return the implementation of `name`: the built-in one, or else that of an installed package.

    Raises UnknownName for a name that neither has, and BrokenPlugin if its package cannot be imported, if its value is
    neither a class nor a function, or if two packages have one of this name.
    """
    check_known(group, name, builtin)
    if name in builtin:
        return builtin[name]
    found = list(entry_points(group=group, name=name))
    if len(found) > 1:
        packages = " and ".join(sorted(_package(point) for point in found))
        raise BrokenPlugin(f"more than one package provides {group.noun} {name}: keep one of {packages} in the image")
    return cast(T, _load(group, found[0]))


def _load(group: PluginGroup, point: EntryPoint) -> object:
    what = f"{group.noun} {point.name} of package {_package(point)}"
    try:
        loaded = point.load()
    except Exception as error:  # Importing a package may raise anything.
        raise BrokenPlugin(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
    if not callable(loaded):
        raise BrokenPlugin(f"{what} is neither a class nor a function: {point.value}")
    return cast(object, loaded)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value
