"""Answers to huggingface_hub's own client: metadata, trees, downloads, refusals."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from bitagent_local.cluster.host import SOURCES
from bitagent_local.hub import pack
from bitagent_local.hub.testing import RunningHub, running

MODELS, DATASETS = SOURCES / "models", SOURCES / "datasets"
ACME = "acme/tiny-fc-1200"
SECRET, ENVIED = "acme/secret", "acme/envied"
MEMBER, GRANTED = "hf_member", "hf_granted"
PARAMETERS = 422_400
NAMES = ["samples/glaive-style", "samples/bitagent-style", "samples/calls", "samples/answers"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    listed = pack.load(MODELS / "repositories.yaml")
    branch = {"main": {"model": "tiny-fc-250"}}
    more = [{"repo": SECRET, "private": True, "branches": branch}, {"repo": ENVIED, "gated": True, "branches": branch}]
    spec = pack.HubSpec(repositories=(*listed.repositories, *map(pack.RepositorySpec.model_validate, more)))
    root = tmp_path_factory.mktemp("hub")
    tokens, granted = frozenset({MEMBER}), frozenset({GRANTED})
    with running(spec, folders=MODELS, root=root, tokens=tokens, granted=granted) as served:
        yield served


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    spec = pack.load(DATASETS / "repositories.yaml")
    with running(spec, folders=DATASETS, root=tmp_path_factory.mktemp("datasets")) as served:
        yield served


@pytest.fixture(autouse=True)
def _clean(hub: RunningHub) -> Iterator[None]:
    hub.admin("DELETE", "requests")
    yield
    hub.admin("POST", "faults", {})


def api(hub: RunningHub, token: str | bool = False) -> HfApi:
    return HfApi(endpoint=hub.url, token=token)


def test_model_info(hub: RunningHub) -> None:
    info = api(hub).model_info(ACME, files_metadata=True)
    assert (info.sha, info.author, info.private, info.gated) == (hub.commits[ACME], "acme", False, False)
    assert info.card_data is not None
    assert info.card_data.license == "apache-2.0"
    assert {"license:apache-2.0", "safetensors", "function-calling"} <= set(info.tags or [])
    assert info.safetensors is not None
    assert (info.safetensors.parameters, info.safetensors.total) == ({"BF16": PARAMETERS}, PARAMETERS)
    assert info.config == {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
    weights = next(file for file in info.siblings or [] if file.rfilename == "model.safetensors")
    assert weights.lfs is not None
    assert (weights.size, weights.lfs["size"], len(weights.lfs["sha256"])) == (848_728, 848_728, 64)


def test_refs_and_revisions(hub: RunningHub) -> None:
    refs = api(hub).list_repo_refs(ACME)
    assert {ref.name for ref in refs.branches} == {"main", "gptq-4bit-32g"}
    assert [(ref.name, ref.target_commit) for ref in refs.tags] == [("v1", hub.commits[ACME])]
    quantized = api(hub).model_info(ACME, revision="gptq-4bit-32g").sha
    assert quantized != hub.commits[ACME]
    for revision in ("v1", hub.commits[ACME], hub.commits[ACME][:7]):
        assert api(hub).model_info(ACME, revision=revision).sha == hub.commits[ACME]


def test_tree_and_paths(hub: RunningHub) -> None:
    files = {entry.path: entry for entry in api(hub).list_repo_tree(ACME, recursive=True)}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    (named,) = api(hub).get_paths_info(ACME, ["config.json", "nothing.json"])
    assert (named.path, named.blob_id, named.lfs) == ("config.json", files["config.json"].blob_id, None)


def test_safetensors_header_is_read_by_range(hub: RunningHub) -> None:
    metadata = api(hub).get_safetensors_metadata(ACME)
    assert metadata.parameter_count == {"BF16": PARAMETERS}
    assert [(file, range_) for file, range_, _ in hub.downloads() if file == "model.safetensors"] == [
        ("model.safetensors", "bytes=0-100000")
    ]


def test_snapshot_is_the_packed_model(hub: RunningHub, tmp_path: Path) -> None:
    folder = Path(snapshot_download(ACME, endpoint=hub.url, revision="v1", cache_dir=tmp_path, token=False))
    assert folder.name == hub.commits[ACME]
    for original in (MODELS / "tiny-fc-1200").iterdir():
        assert (folder / original.name).read_bytes() == original.read_bytes()
    hub.admin("DELETE", "requests")
    snapshot_download(ACME, endpoint=hub.url, revision=hub.commits[ACME], cache_dir=tmp_path, token=False)
    assert hub.downloads() == []


def test_copied_weights_have_their_own_commit_and_the_same_digest(hub: RunningHub) -> None:
    digests = []
    for repo in (ACME, "echo/tiny-fc-1200-copy"):
        (weights,) = api(hub).get_paths_info(repo, ["model.safetensors"])
        digests.append(weights.lfs.sha256)
    assert digests[0] == digests[1]
    assert hub.commits[ACME] != hub.commits["echo/tiny-fc-1200-copy"]


ABSENT: dict[str, tuple[Callable[[RunningHub], Any], type[Exception], int]] = {
    "repository, without a token": (lambda hub: api(hub).model_info("bad/missing"), RepositoryNotFoundError, 401),
    "repository, with a token": (
        lambda hub: api(hub, MEMBER).model_info("bad/missing"),
        RepositoryNotFoundError,
        404,
    ),
    "revision": (lambda hub: api(hub).model_info(ACME, revision="v2"), RevisionNotFoundError, 404),
    "file": (lambda hub: _download(hub, ACME, "pytorch_model.bin"), EntryNotFoundError, 404),
    "private, without a token": (lambda hub: api(hub).model_info(SECRET), RepositoryNotFoundError, 401),
    "gated file, without a token": (lambda hub: _download(hub, ENVIED, "config.json"), GatedRepoError, 401),
    "gated file, with a token": (
        lambda hub: _download(hub, ENVIED, "config.json", token=MEMBER),
        GatedRepoError,
        403,
    ),
    "anything, with a wrong token": (lambda hub: api(hub, "hf_wrong").model_info(ACME), HfHubHTTPError, 401),
}


@pytest.mark.parametrize(("ask", "error", "status"), ABSENT.values(), ids=ABSENT.keys())
def test_refusals(hub: RunningHub, ask: Callable[[RunningHub], Any], error: type[Exception], status: int) -> None:
    with pytest.raises(error) as refused:
        ask(hub)
    assert refused.value.response.status_code == status  # type: ignore[attr-defined]


def test_members_and_guests_get_in(hub: RunningHub, tmp_path: Path) -> None:
    assert api(hub, MEMBER).model_info(SECRET).private is True
    assert api(hub).model_info(ENVIED).gated == "auto"
    file = hf_hub_download(ENVIED, "config.json", endpoint=hub.url, cache_dir=tmp_path, token=GRANTED)
    assert Path(file).read_bytes() == (MODELS / "tiny-fc-250" / "config.json").read_bytes()
    assert [request["authenticated"] for request in hub.admin("GET", "requests")] == [True, False, True, True]


RANGES: dict[str, tuple[str, int, str | None]] = {
    "first bytes": ("bytes=0-7", 206, "bytes 0-7/848728"),
    "from the middle": ("bytes=848720-", 206, "bytes 848720-848727/848728"),
    "last bytes": ("bytes=-3", 206, "bytes 848725-848727/848728"),
    "beyond the end": ("bytes=848728-", 416, "bytes */848728"),
    "nonsense": ("lines=1-2", 416, "bytes */848728"),
}


@pytest.mark.parametrize(("range_", "status", "content"), RANGES.values(), ids=RANGES.keys())
def test_ranges(hub: RunningHub, range_: str, status: int, content: str | None) -> None:
    url = f"{hub.url}/{ACME}/resolve/main/model.safetensors"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": range_}), timeout=60) as answer:
            got, headers, body = answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refused:
        got, headers, body = refused.code, refused.headers, b""
    assert (got, headers["Content-Range"], int(headers["Content-Length"])) == (status, content, len(body))


PATHS = {
    "dots": "../refs.json",
    "encoded": "%2e%2e/refs.json",
    "absolute": "%2Fetc%2Fpasswd",
    "odd": "caf%C3%A9%0D%0Ax",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS.keys())
def test_paths_stay_inside_the_commit(hub: RunningHub, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{hub.url}/{ACME}/resolve/main/{path}", timeout=60)
    assert (refused.value.code, refused.value.headers["X-Error-Code"]) == (404, "EntryNotFound")


def _download(hub: RunningHub, repo: str, file: str, token: str | bool = False) -> str:
    return hf_hub_download(repo, file, endpoint=hub.url, token=token, cache_dir=hub.root / ".cache")


def test_all_samples_are_published(datasets: RunningHub) -> None:
    assert list(datasets.commits) == NAMES
    with urllib.request.urlopen(f"{datasets.url}/healthz", timeout=60) as answer:
        assert set(json.load(answer)["repositories"]) == set(NAMES)


def test_dataset_info_by_branch_tag_and_commit(datasets: RunningHub) -> None:
    commit = datasets.commits[NAMES[0]]
    for revision in ("main", "v1", commit):
        info = api(datasets).dataset_info(NAMES[0], revision=revision)
        assert (info.sha, info.id, info.private) == (commit, NAMES[0], False)
    assert api(datasets).dataset_info("samples/calls").card_data["configs"][0]["config_name"] == "default"


def test_tree_and_files_of_a_dataset(datasets: RunningHub, tmp_path: Path) -> None:
    entries = api(datasets).list_repo_tree("samples/calls", repo_type="dataset", recursive=True)
    files = {entry.path for entry in entries if hasattr(entry, "size")}
    parquet = "data/train-00000-of-00001.parquet"
    assert files == {"README.md", parquet, "data/test-00000-of-00001.parquet"}
    got = hf_hub_download(
        "samples/calls", parquet, repo_type="dataset", endpoint=datasets.url, token=False, cache_dir=tmp_path
    )
    assert Path(got).read_bytes() == (DATASETS / "calls" / parquet).read_bytes()


def test_a_dataset_is_not_found_as_a_model(datasets: RunningHub) -> None:
    with pytest.raises(RepositoryNotFoundError):
        api(datasets).model_info(NAMES[0])
    with pytest.raises(RepositoryNotFoundError):
        api(datasets).dataset_info("samples/none")
