"""The hub as huggingface_hub's own client sees it."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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

from bitagent_local.hub import pack
from bitagent_local.hub.answers import Hub
from bitagent_local.hub.server import HubServer

MODELS = Path(__file__).parents[3] / "local" / "models"
ACME = "acme/tiny-fc-1200"
SECRET, ENVIED = "acme/secret", "acme/envied"
MEMBER, GRANTED = "hf_member", "hf_granted"
PARAMETERS = 422_400


@dataclass(frozen=True)
class LocalHub:
    """A served hub and the commits of its main branches."""

    url: str
    commits: dict[str, str]
    root: Path

    def api(self, token: str | bool = False) -> HfApi:
        return HfApi(endpoint=self.url, token=token)

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_admin/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def downloads(self) -> list[tuple[str, str | None, int]]:
        """What was downloaded: file, range, bytes."""
        return [
            (request["path"].split("/resolve/")[1].split("/", 1)[1], request["range"], request["bytes"])
            for request in self.admin("GET", "requests")
            if request["method"] == "GET" and "/resolve/" in request["path"]
        ]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    root = tmp_path_factory.mktemp("hub")
    listed = pack.load(MODELS / "repositories.yaml")
    branch = {"main": {"model": "tiny-fc-250"}}
    more = [{"repo": SECRET, "private": True, "branches": branch}, {"repo": ENVIED, "gated": True, "branches": branch}]
    spec = pack.HubSpec(repositories=(*listed.repositories, *map(pack.RepositorySpec.model_validate, more)))
    commits = pack.pack(spec, folders=MODELS, root=root)
    server = HubServer(Hub(root, frozenset({MEMBER}), frozenset({GRANTED})), host="127.0.0.1", port=0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield LocalHub(f"http://127.0.0.1:{server.port}", commits, root)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _healthy(hub: LocalHub) -> Iterator[None]:
    hub.admin("DELETE", "requests")
    yield
    hub.admin("POST", "faults", {})


def test_model_info(hub: LocalHub) -> None:
    info = hub.api().model_info(ACME, files_metadata=True)
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


def test_refs_and_revisions(hub: LocalHub) -> None:
    refs = hub.api().list_repo_refs(ACME)
    assert {ref.name for ref in refs.branches} == {"main", "gptq-4bit-32g"}
    assert [(ref.name, ref.target_commit) for ref in refs.tags] == [("v1", hub.commits[ACME])]
    quantized = hub.api().model_info(ACME, revision="gptq-4bit-32g").sha
    assert quantized != hub.commits[ACME]
    for revision in ("v1", hub.commits[ACME], hub.commits[ACME][:7]):
        assert hub.api().model_info(ACME, revision=revision).sha == hub.commits[ACME]


def test_tree_and_paths(hub: LocalHub) -> None:
    files = {entry.path: entry for entry in hub.api().list_repo_tree(ACME, recursive=True)}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    (named,) = hub.api().get_paths_info(ACME, ["config.json", "nothing.json"])
    assert (named.path, named.blob_id, named.lfs) == ("config.json", files["config.json"].blob_id, None)


def test_safetensors_header_is_read_by_range(hub: LocalHub) -> None:
    metadata = hub.api().get_safetensors_metadata(ACME)
    assert metadata.parameter_count == {"BF16": PARAMETERS}
    assert [(file, range_) for file, range_, _ in hub.downloads() if file == "model.safetensors"] == [
        ("model.safetensors", "bytes=0-100000")
    ]


def test_snapshot_is_the_packed_model(hub: LocalHub, tmp_path: Path) -> None:
    folder = Path(snapshot_download(ACME, endpoint=hub.url, revision="v1", cache_dir=tmp_path, token=False))
    assert folder.name == hub.commits[ACME]
    for original in (MODELS / "tiny-fc-1200").iterdir():
        assert (folder / original.name).read_bytes() == original.read_bytes()
    hub.admin("DELETE", "requests")
    snapshot_download(ACME, endpoint=hub.url, revision=hub.commits[ACME], cache_dir=tmp_path, token=False)
    assert hub.downloads() == []


def test_copied_weights_have_their_own_commit_and_the_same_digest(hub: LocalHub) -> None:
    digests = []
    for repo in (ACME, "echo/tiny-fc-1200-copy"):
        (weights,) = hub.api().get_paths_info(repo, ["model.safetensors"])
        digests.append(weights.lfs.sha256)
    assert digests[0] == digests[1]
    assert hub.commits[ACME] != hub.commits["echo/tiny-fc-1200-copy"]


ABSENT: dict[str, tuple[Callable[[LocalHub], Any], type[Exception], int]] = {
    "repository, asked by a stranger": (lambda hub: hub.api().model_info("bad/missing"), RepositoryNotFoundError, 401),
    "repository, asked by a member": (
        lambda hub: hub.api(MEMBER).model_info("bad/missing"),
        RepositoryNotFoundError,
        404,
    ),
    "revision": (lambda hub: hub.api().model_info(ACME, revision="v2"), RevisionNotFoundError, 404),
    "file": (lambda hub: _download(hub, ACME, "pytorch_model.bin"), EntryNotFoundError, 404),
    "private, asked by a stranger": (lambda hub: hub.api().model_info(SECRET), RepositoryNotFoundError, 401),
    "gated file, asked by a stranger": (lambda hub: _download(hub, ENVIED, "config.json"), GatedRepoError, 401),
    "gated file, asked by a member": (
        lambda hub: _download(hub, ENVIED, "config.json", token=MEMBER),
        GatedRepoError,
        403,
    ),
    "anything, with a wrong token": (lambda hub: hub.api("hf_wrong").model_info(ACME), HfHubHTTPError, 401),
}


@pytest.mark.parametrize(("ask", "error", "status"), ABSENT.values(), ids=ABSENT.keys())
def test_refusals(hub: LocalHub, ask: Callable[[LocalHub], Any], error: type[Exception], status: int) -> None:
    with pytest.raises(error) as refused:
        ask(hub)
    assert refused.value.response.status_code == status  # type: ignore[attr-defined]


def test_members_and_guests_get_in(hub: LocalHub, tmp_path: Path) -> None:
    assert hub.api(MEMBER).model_info(SECRET).private is True
    assert hub.api().model_info(ENVIED).gated == "auto"
    file = hf_hub_download(ENVIED, "config.json", endpoint=hub.url, cache_dir=tmp_path, token=GRANTED)
    assert Path(file).read_bytes() == (MODELS / "tiny-fc-250" / "config.json").read_bytes()
    assert [request["authenticated"] for request in hub.admin("GET", "requests")] == [True, False, True, True]


def test_download_goes_on_after_an_orderly_close(hub: LocalHub, tmp_path: Path) -> None:
    hub.admin("POST", "faults", {"download": {"after_bytes": 100_000}})
    file = hf_hub_download(ACME, "model.safetensors", endpoint=hub.url, cache_dir=tmp_path, token=False)
    assert Path(file).read_bytes() == (MODELS / "tiny-fc-1200" / "model.safetensors").read_bytes()
    assert [(range_, sent) for _, range_, sent in hub.downloads()] == [(None, 100_000), (None, 848_728)]


ENDINGS: dict[str, tuple[str, type[OSError]]] = {
    "reset": ("reset", ConnectionResetError),
    "silence": ("stall", TimeoutError),
}


@pytest.mark.parametrize(("ending", "error"), ENDINGS.values(), ids=ENDINGS.keys())
def test_download_breaks(hub: LocalHub, ending: str, error: type[OSError]) -> None:
    match = f"{ACME}/*.safetensors"
    hub.admin("POST", "faults", {"download": {"match": match, "after_bytes": 1000, "ending": ending}})
    answer = urllib.request.urlopen(f"{hub.url}/{ACME}/resolve/main/model.safetensors", timeout=0.5)
    with answer, pytest.raises(error):
        answer.read()
    with urllib.request.urlopen(f"{hub.url}/{ACME}/resolve/main/model.safetensors", timeout=5) as answer:
        assert len(answer.read()) == 848_728


def test_unavailable_for_a_while(hub: LocalHub) -> None:
    hub.admin("POST", "faults", {"unavailable": 2})
    statuses = []
    for _ in range(3):
        try:
            with urllib.request.urlopen(f"{hub.url}/api/models/{ACME}", timeout=5) as answer:
                statuses.append(answer.status)
        except urllib.error.HTTPError as refused:
            statuses.append(refused.code)
    assert statuses == [503, 503, 200]


RANGES: dict[str, tuple[str, int, str | None]] = {
    "first bytes": ("bytes=0-7", 206, "bytes 0-7/848728"),
    "from the middle": ("bytes=848720-", 206, "bytes 848720-848727/848728"),
    "last bytes": ("bytes=-3", 206, "bytes 848725-848727/848728"),
    "beyond the end": ("bytes=848728-", 416, "bytes */848728"),
    "nonsense": ("lines=1-2", 416, "bytes */848728"),
}


@pytest.mark.parametrize(("range_", "status", "content"), RANGES.values(), ids=RANGES.keys())
def test_ranges(hub: LocalHub, range_: str, status: int, content: str | None) -> None:
    url = f"{hub.url}/{ACME}/resolve/main/model.safetensors"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Range": range_}), timeout=5) as answer:
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
def test_paths_stay_inside_the_commit(hub: LocalHub, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{hub.url}/{ACME}/resolve/main/{path}", timeout=5)
    assert (refused.value.code, refused.value.headers["X-Error-Code"]) == (404, "EntryNotFound")


def test_bad_admin_requests_are_explained(hub: LocalHub) -> None:
    for method, path, body, status in (("POST", "faults", {"explode": 1}, 400), ("GET", "nothing", None, 404)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            hub.admin(method, path, body)
        assert refused.value.code == status
        assert "explode" in (text := refused.value.read().decode()) or "/_admin/requests" in text


def test_health_names_the_repositories(hub: LocalHub) -> None:
    with urllib.request.urlopen(f"{hub.url}/healthz", timeout=5) as answer:
        assert set(json.load(answer)["repositories"]) == set(hub.commits)
    assert hub.admin("GET", "requests") == []


def _download(hub: LocalHub, repo: str, file: str, token: str | bool = False) -> str:
    return hf_hub_download(repo, file, endpoint=hub.url, token=token, cache_dir=hub.root / ".cache")
