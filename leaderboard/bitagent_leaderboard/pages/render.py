"""Templates with their filters, and what a page is rendered with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bitagent_leaderboard.model.text import hub_link, short
from bitagent_leaderboard.pages.commands import Archives
from bitagent_leaderboard.pages.links import Links

STATIC = ("board.css", "board.js", "icon.svg")


@dataclass(frozen=True)
class Settings:
    """What whoever runs the page has chosen."""

    title: str = "bitagent leaderboard"
    hub: str = "https://huggingface.co"
    """Address of the hub that repositories are linked to."""
    site: str | None = None
    """Public address of the page; None: links in the feed and in commands are relative."""
    archives: Archives | None = None
    """Where archives can be read; None: nowhere."""
    with_tasks: bool = True
    """Whether rounds of public sources show by which document anyone can ask the same."""
    has_manifests: bool = False
    """Whether manifests of results are read."""
    with_manifests: frozenset[str] = frozenset()
    """Namespaces whose manifests are read, on a page of several."""
    namespace: str | None = None
    """Namespace of the documents, on a page of several."""
    live: bool = False
    """Whether the page announces changes while it is open."""
    exported: str | None = None
    """Time of the export; None: the page is served."""

    def has_manifests_of(self, namespace: str) -> bool:
        """Whether manifests of a namespace's results are read, on a page of several."""
        return self.has_manifests or namespace in self.with_manifests

    @property
    def files(self) -> bool:
        """Whether documents are files."""
        return self.exported is not None


@cache
def static_file(name: str) -> bytes:
    """Return a file of this package that pages load."""
    return (files("bitagent_leaderboard.pages") / "static" / name).read_bytes()


@cache
def static_version(name: str) -> str:
    """Return what changes with the file, for its address."""
    return hashlib.sha256(static_file(name)).hexdigest()[:12]


def percent(score: str | float | None) -> str:
    """Return a score in percent with one decimal place."""
    return "" if score is None else f"{100 * float(score):.1f}"


def moment(time: datetime | None) -> str:
    """Return a time for people, in UTC."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M} UTC"


def instant(time: datetime) -> str:
    """Return a time for programs."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def parameters(number: int | None) -> str:
    """Return a number of parameters, as in `494 M`."""
    if number is None:
        return ""
    return f"{number / 1e9:.3g} B" if number >= 1e9 else f"{number / 1e6:.3g} M" if number >= 1e6 else f"{number:,}"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates. All values are escaped; one that is missing is an error."""
    made = Environment(
        loader=PackageLoader("bitagent_leaderboard.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {
        "percent": percent,
        "moment": moment,
        "instant": instant,
        "short": short,
        "parameters": parameters,
    }
    made.globals |= {"static_version": static_version, "hub_link": hub_link, "is_list": False}
    return made


def render(template: str, *, links: Links, settings: Settings, topics: str, **values: Any) -> str:
    """Return a page. `topics` are the objects it shows, as in `rounds/demo-tools-3`, or `*` for all.

    With `is_list` it is above the folders of several namespaces.
    """
    made = environment().get_template(template)
    return made.render(links=links, settings=settings, topics=topics, **values)
