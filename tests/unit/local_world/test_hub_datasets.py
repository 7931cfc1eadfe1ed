"""Datasets of the hub, as huggingface_hub's own client sees them."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import RepositoryNotFoundError

from bitagent_local.hub import pack, repository
from bitagent_local.hub.answers import Hub
from bitagent_local.hub.server import HubServer

DATASETS = Path(__file__).parents[3] / "local" / "datasets"
NAMES = ["samples/glaive-style", "samples/bitagent-style", "samples/calls", "samples/answers"]


@dataclass(frozen=True)
class Served:
    """A hub with the sample datasets."""

    url: str
    commits: dict[str, str]

    @property
    def api(self) -> HfApi:
        return HfApi(endpoint=self.url, token=False)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("hub")
    commits = pack.pack(pack.load(DATASETS / "repositories.yaml"), folders=DATASETS, root=root)
    server = HubServer(Hub(root), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield Served(f"http://127.0.0.1:{server.port}", commits)
    server.shutdown()
    server.server_close()
    thread.join()


def test_all_samples_are_published(hub: Served) -> None:
    assert list(hub.commits) == NAMES
    with urllib.request.urlopen(f"{hub.url}/healthz", timeout=5) as answer:
        assert set(json.load(answer)["repositories"]) == set(NAMES)


def test_info_by_branch_tag_and_commit(hub: Served) -> None:
    commit = hub.commits[NAMES[0]]
    for revision in ("main", "v1", commit):
        info = hub.api.dataset_info(NAMES[0], revision=revision)
        assert (info.sha, info.id, info.private) == (commit, NAMES[0], False)
    assert hub.api.dataset_info("samples/calls").card_data["configs"][0]["config_name"] == "default"


def test_tree_and_files(hub: Served, tmp_path: Path) -> None:
    entries = hub.api.list_repo_tree("samples/calls", repo_type="dataset", recursive=True)
    files = {entry.path for entry in entries if hasattr(entry, "size")}
    parquet = "data/train-00000-of-00001.parquet"
    assert files == {"README.md", parquet, "data/test-00000-of-00001.parquet"}
    got = hf_hub_download(
        "samples/calls", parquet, repo_type="dataset", endpoint=hub.url, token=False, cache_dir=tmp_path
    )
    assert Path(got).read_bytes() == (DATASETS / "calls" / parquet).read_bytes()


def test_a_dataset_is_no_model(hub: Served) -> None:
    with pytest.raises(RepositoryNotFoundError):
        hub.api.model_info(NAMES[0])
    with pytest.raises(RepositoryNotFoundError):
        hub.api.dataset_info("samples/none")


def test_a_dataset_may_be_called_as_a_model_is(tmp_path: Path) -> None:
    for kind in ("model", "dataset"):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "x.json").write_text(json.dumps(kind))
        spec = {"repositories": [{"repo": "a/b", "branches": {"main": {kind: kind}}}]}
        pack.pack(pack.HubSpec.model_validate(spec), folders=tmp_path, root=tmp_path / "root")
    for kind in repository.KINDS:
        (found,) = repository.every(tmp_path / "root", kind=kind)
        content = found.at("main").file("x.json").on_disk.read_text()
        assert json.loads(content) == kind.removesuffix("s")
    assert "pipeline_tag" not in repository.find(tmp_path / "root", "a/b", kind=repository.DATASETS).at("main").card()


@pytest.mark.parametrize(
    ("branches", "message"),
    [
        ({"main": {}}, "a model or a dataset"),
        ({"main": {"model": "m", "dataset": "d"}}, "a model or a dataset"),
        ({"main": {"dataset": "d", "damage": "nan"}}, "only models are damaged"),
        ({"main": {"dataset": "d"}, "dev": {"model": "m"}}, "branches with models and branches with datasets"),
    ],
    ids=["neither", "both", "damaged", "mixed"],
)
def test_lists_that_make_no_sense(branches: dict[str, dict[str, str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack.RepositorySpec.model_validate({"repo": "a/b", "branches": branches})
