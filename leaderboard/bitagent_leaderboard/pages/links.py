"""Addresses inside the page, relative to where a document lies. Pure.

All links are relative, so that the page works below any path and as files. Paths have the names of objects, which are
DNS names; a list is a file of its own beside the folder of its items, so that no item's name can be a list's.
"""

from __future__ import annotations

from dataclasses import dataclass


def page_path(base: str, number: int) -> str:
    """Return the path of one page of a list: `models.html`, then `models-2.html`."""
    return f"{base}.html" if number == 1 else f"{base}-{number}.html"


def round_path(name: str, number: int = 1) -> str:
    """Return the path of a page of a round."""
    return f"rounds/{name}/index.html" if number == 1 else f"rounds/{name}/{number}.html"


def model_path(name: str) -> str:
    """Return the path of a model's page."""
    return f"models/{name}/index.html"


def validator_path(name: str) -> str:
    """Return the path of a Validator's page."""
    return f"validators/{name}/index.html"


def competition_path(validator: str, identity: str) -> str:
    """Return the path of a competition's page."""
    return f"validators/{validator}/competitions/{identity}/index.html"


_NAMESPACES = "namespaces/"


def namespace_path(name: str) -> str:
    """Return the folder of a namespace's documents, on a page of several."""
    return f"{_NAMESPACES}{name}/"


def within_namespace(path: str) -> tuple[str | None, str]:
    """Return the namespace that a document is of, and its path there; None: it is in the folder of none."""
    name, slash, rest = path.removeprefix(_NAMESPACES).partition("/")
    return (name, rest) if path.startswith(_NAMESPACES) and slash else (None, path)


@dataclass(frozen=True, slots=True)
class Links:
    """Links from a document at `path`."""

    path: str
    files: bool = False
    """Whether the documents are files, where a folder's document has to be named."""

    @property
    def root(self) -> str:
        """The way to the first page's folder: empty, or `../` for each folder."""
        return "../" * self.path.count("/")

    def to(self, path: str) -> str:
        """Return the link to another document."""
        if not self.files and path.endswith("index.html"):
            path = path.removesuffix("index.html")
        return f"{self.root}{path}" or "./"

    def namespace(self, name: str) -> str:
        """Return the link to the first page of a namespace."""
        return self.to(f"{namespace_path(name)}index.html")

    def namespaces(self) -> str:
        """Return the link from a namespace's document to the list of all."""
        return f"{self.root}../../{'index.html' if self.files else ''}"

    def round(self, name: str, number: int = 1) -> str:
        """Return the link to a page of a round."""
        return self.to(round_path(name, number))

    def model(self, name: str) -> str:
        """Return the link to a model."""
        return self.to(model_path(name))

    def validator(self, name: str) -> str:
        """Return the link to a Validator."""
        return self.to(validator_path(name))

    def competition(self, validator: str, identity: str) -> str:
        """Return the link to a competition."""
        return self.to(competition_path(validator, identity))

    def list(self, base: str, number: int = 1) -> str:
        """Return the link to a page of a list."""
        return self.to(page_path(base, number))
