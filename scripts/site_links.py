"""Hook of mkdocs: files of the repository outside docs/ that a document links to become part of the site.

A Markdown file becomes a page below `repository/`, any other file a copy; a link to a folder leads to its README.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"(?<!!)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)")
PLACE = "repository"
"""Folder of the site for what lies outside docs/."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what the documents link to, and what those files link to, until nothing is new."""
    left = [file.src_uri for file in files.documentation_pages()]
    while left:
        source = left.pop()
        text = _on_disk(source).read_text()
        for target in (_target(source, link) for link, _ in LINK.findall(text)):
            if target is None or files.get_file_from_path(target) is not None:
                continue
            file = File.generated(config, target, abs_src_path=str(_on_disk(target)))
            file.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(file)
            if target.endswith(".md"):
                left.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links to files outside docs/ lead to their copies."""
    source = page.file.src_uri

    def moved(found: re.Match[str]) -> str:
        target = _target(source, found[1])
        if target is None:
            return found[0]
        return f"]({posixpath.relpath(target, posixpath.dirname(source) or '.')}{found[2] or ''})"

    return LINK.sub(moved, markdown)


def _on_disk(page: str) -> Path:
    """Return the file that a page of the site is made of."""
    inside = page.removeprefix(f"{PLACE}/")
    return ROOT / inside if inside != page else ROOT / "docs" / page


def _target(source: str, link: str) -> str | None:
    """Return the place in the site of what a document links to; None if there is no such file."""
    disk = (_on_disk(source).parent / link).resolve()
    if disk.is_dir():
        disk = disk / "README.md"
    if not disk.is_file() or not disk.is_relative_to(ROOT):
        return None
    inside = disk.relative_to(ROOT)
    if inside.parts[0] == "docs":
        return inside.relative_to("docs").as_posix()
    return f"{PLACE}/{inside.as_posix()}"
