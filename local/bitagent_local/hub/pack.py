"""Build the hub's folders from folders of models and datasets, by lists of repositories (YAML).

A commit's id is a hash of the repository's name and its files: packing the same list gives the same commits everywhere,
and the same files in another repository have another commit, as on the real hub.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from bitagent_local.hub.repository import DATASETS, MODELS, REFS, Refs, git_blob_id, home
from bitagent_local.models.damage import DAMAGES, make_damaged

RefName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]


class PackModel(BaseModel):
    """Base of the list's models: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Content(PackModel):
    """The content of a branch: one model or one dataset."""

    model: str | None = Field(default=None, description="folder of a model, relative to the list")
    dataset: str | None = Field(default=None, description="folder of a dataset, relative to the list")
    damage: str | None = Field(default=None, description="a damage of models/damage.py to apply to the model")

    @property
    def folder(self) -> str:
        """The folder of the model or dataset."""
        return self.model or self.dataset or ""

    @property
    def kind(self) -> str:
        """`MODELS` or `DATASETS`."""
        return MODELS if self.model else DATASETS

    @model_validator(mode="after")
    def _damage(self) -> Self:
        if bool(self.model) == bool(self.dataset):
            raise ValueError("a branch holds a model or a dataset")
        if self.damage is not None and self.dataset:
            raise ValueError("only models are damaged")
        if self.damage is not None and self.damage not in DAMAGES:
            raise ValueError(f"no damage {self.damage!r}; there are {', '.join(sorted(DAMAGES))}")
        return self


class RepositorySpec(PackModel):
    """One repository of the list."""

    repo: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*$")
    license: str = "apache-2.0"
    description: str = "A tiny function-calling model."
    private: bool = False
    gated: bool = False
    branches: dict[RefName, Content] = Field(min_length=1)
    tags: dict[RefName, RefName] = Field(default={}, description="branch by tag")

    @model_validator(mode="after")
    def _refs(self) -> Self:
        if "main" not in self.branches:
            raise ValueError(f"{self.repo} has no branch main")
        if unknown := set(self.tags.values()) - set(self.branches):
            raise ValueError(f"{self.repo} tags unknown branches: {', '.join(sorted(unknown))}")
        if len({content.kind for content in self.branches.values()}) > 1:
            raise ValueError(f"{self.repo} has branches with models and branches with datasets")
        return self

    @property
    def kind(self) -> str:
        """`MODELS` or `DATASETS`, the same for all branches."""
        return self.branches["main"].kind


class HubSpec(PackModel):
    """A list of repositories."""

    repositories: tuple[RepositorySpec, ...]


def load(path: Path) -> HubSpec:
    """Read a list. Raises OSError if it cannot be read, ValueError if it is not a list of repositories in YAML."""
    try:
        return HubSpec.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error


def pack(spec: HubSpec, *, folders: Path, root: Path) -> dict[str, str]:
    """Build every repository below ``root`` from folders below ``folders``; return the commits of the main branches.

    An existing repository of the same name is replaced. Raises FileNotFoundError if a folder is missing.
    """
    return {repository.repo: _pack_one(repository, folders=folders, root=root) for repository in spec.repositories}


def _pack_one(spec: RepositorySpec, *, folders: Path, root: Path) -> str:
    final = home(root, spec.kind) / spec.repo
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=".packing-") as scratch:
        folder = Path(scratch) / "repository"
        folder.mkdir()
        branches = {name: _commit(spec, content, folders, folder) for name, content in spec.branches.items()}
        refs = Refs(
            branches=branches,
            tags={tag: branches[branch] for tag, branch in spec.tags.items()},
            private=spec.private,
            gated=spec.gated,
        )
        (folder / REFS).write_text(refs.model_dump_json(indent=2) + "\n", encoding="utf-8")
        if final.exists():
            shutil.rmtree(final)
        os.replace(folder, final)
    return branches["main"]


def _commit(spec: RepositorySpec, content: Content, folders: Path, folder: Path) -> str:
    source, work = folders / content.folder, folder / "work"
    if not source.is_dir():
        raise FileNotFoundError(f"{spec.repo} names the {content.kind[:-1]} folder {source}, which does not exist")
    if content.damage is None:
        shutil.copytree(source, work, copy_function=shutil.copyfile)
    else:
        make_damaged(source, work, content.damage)
    # A dataset's own README maps files to splits.
    if spec.kind == MODELS or not (work / "README.md").exists():
        (work / "README.md").write_text(_readme(spec), encoding="utf-8")
    commit = commit_id(spec.repo, work)
    if (folder / commit).exists():
        shutil.rmtree(work)
    else:
        os.replace(work, folder / commit)
    return commit


def commit_id(repo: str, folder: Path) -> str:
    """Return the commit id of a folder's content in a repository: 40 hexadecimal digits."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    tree = {path.relative_to(folder).as_posix(): git_blob_id(path.read_bytes()) for path in files}
    return hashlib.sha1(json.dumps([repo, tree]).encode(), usedforsecurity=False).hexdigest()


def _readme(spec: RepositorySpec) -> str:
    card: dict[str, object] = {"license": spec.license}
    if spec.kind == MODELS:
        card |= {"library_name": "transformers", "pipeline_tag": "text-generation"}
    card["tags"] = ["function-calling"]
    return f"---\n{yaml.safe_dump(card, sort_keys=False)}---\n\n# {spec.repo}\n\n{spec.description}\n"
