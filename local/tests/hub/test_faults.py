"""Faults that a test switches on, as huggingface_hub's own client sees them, and the record of requests."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download

from bitagent_local.cluster.host import SOURCES
from bitagent_local.hub import pack
from bitagent_local.hub.testing import RunningHub, running

MODELS = SOURCES / "models"
ACME = "acme/tiny-fc-1200"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    spec = pack.load(MODELS / "repositories.yaml")
    with running(spec, folders=MODELS, root=tmp_path_factory.mktemp("hub")) as served:
        yield served


@pytest.fixture(autouse=True)
def _clean(hub: RunningHub) -> Iterator[None]:
    hub.admin("DELETE", "requests")
    yield
    hub.admin("POST", "faults", {})


def test_download_resumes_after_an_orderly_close(hub: RunningHub, tmp_path: Path) -> None:
    hub.admin("POST", "faults", {"download": {"after_bytes": 100_000}})
    file = hf_hub_download(ACME, "model.safetensors", endpoint=hub.url, cache_dir=tmp_path, token=False)
    assert Path(file).read_bytes() == (MODELS / "tiny-fc-1200" / "model.safetensors").read_bytes()
    assert [(range_, sent) for _, range_, sent in hub.downloads()] == [(None, 100_000), (None, 848_728)]


ENDINGS: dict[str, tuple[str, type[OSError]]] = {
    "reset": ("reset", ConnectionResetError),
    "silence": ("stall", TimeoutError),
}


@pytest.mark.parametrize(("ending", "error"), ENDINGS.values(), ids=ENDINGS.keys())
def test_download_breaks(hub: RunningHub, ending: str, error: type[OSError]) -> None:
    match = f"{ACME}/*.safetensors"
    hub.admin("POST", "faults", {"download": {"match": match, "after_bytes": 1000, "ending": ending}})
    connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=60)
    connection.request("GET", f"/{ACME}/resolve/main/model.safetensors")
    waiting = connection.sock
    with connection.getresponse() as answer:
        waiting.settimeout(0.5)
        with pytest.raises(error):
            answer.read()
    connection.close()
    with urllib.request.urlopen(f"{hub.url}/{ACME}/resolve/main/model.safetensors", timeout=60) as answer:
        assert len(answer.read()) == 848_728


def test_unavailable_for_a_while(hub: RunningHub) -> None:
    hub.admin("POST", "faults", {"unavailable": 2})
    statuses = []
    for _ in range(3):
        try:
            with urllib.request.urlopen(f"{hub.url}/api/models/{ACME}", timeout=60) as answer:
                statuses.append(answer.status)
        except urllib.error.HTTPError as refused:
            statuses.append(refused.code)
    assert statuses == [503, 503, 200]


def test_bad_admin_requests_are_explained(hub: RunningHub) -> None:
    for method, path, body, status in (("POST", "faults", {"explode": 1}, 400), ("GET", "nothing", None, 404)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            hub.admin(method, path, body)
        assert refused.value.code == status
        assert "explode" in (text := refused.value.read().decode()) or "/_admin/requests" in text


def test_health_names_the_repositories(hub: RunningHub) -> None:
    with urllib.request.urlopen(f"{hub.url}/healthz", timeout=60) as answer:
        assert set(json.load(answer)["repositories"]) == set(hub.commits)
    assert hub.admin("GET", "requests") == []
