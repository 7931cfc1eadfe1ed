"""How the API server is reached, and with which token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bitagent_kube.client import Client, connect
from bitagent_kube.credentials import TokenFile, load_configuration
from bitagent_kube.errors import ApiError
from bitagent_kube.resources import JOBS

if TYPE_CHECKING:
    from tests.unit.kube.conftest import Server


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A service account's folder, laid out as the kubelet does: links into a directory that is replaced as a whole."""
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    renew(folder, "first")
    for name in ("token", "ca.crt"):
        (folder / name).symlink_to(f"..data/{name}")
    return folder


def renew(folder: Path, token: str) -> None:
    """Replace the token as the kubelet does."""
    made = folder / f"..{token}"
    made.mkdir()
    (made / "token").write_text(token)
    (made / "ca.crt").write_text("certificate")
    (folder / "..new").symlink_to(made.name)
    (folder / "..new").rename(folder / "..data")


async def test_a_pod_uses_its_service_account(account: Path) -> None:
    configuration = await load_configuration(account)
    assert configuration.host == "https://10.0.0.1:443"
    assert configuration.ssl_ca_cert == str(account / "ca.crt")
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer first"


async def test_a_renewed_token_is_in_the_next_request(server: Server, account: Path) -> None:
    configuration = await load_configuration(account)
    configuration.host, configuration.ssl_ca_cert = server.configuration.host, None
    client = Client(configuration, namespace="ns", field_manager="m")
    server.answers = [server.say(200, {"metadata": {}})]
    await client.get(JOBS, "j")
    renew(account, "second")
    await client.get(JOBS, "j")
    await client.close()
    assert [h["Authorization"] for h in server.headers] == ["Bearer first", "Bearer second"]


async def test_the_file_is_read_only_when_it_was_replaced(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = await load_configuration(account)
    await configuration.get_api_key_with_prefix("BearerToken")
    monkeypatch.setattr(Path, "read_text", lambda *_: pytest.fail("not replaced, so not read"))
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer first"


async def test_a_token_that_cannot_be_read_stays_in_use(account: Path) -> None:
    configuration = await load_configuration(account)
    read = TokenFile(account / "token")
    read(configuration)
    (account / "..data").unlink()
    read(configuration)
    assert configuration.api_key["BearerToken"] == "Bearer first"
    renew(account, "second")
    (account / "..second/token").write_text("")
    read(configuration)
    assert configuration.api_key["BearerToken"] == "Bearer first", "an empty file is not a token"


@pytest.fixture
def _no_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


@pytest.mark.usefixtures("_no_pod")
async def test_elsewhere_the_kubeconfig_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "current-context": "c",
    }
    (tmp_path / "config").write_text(json.dumps(document))
    # The library reads KUBECONFIG when it is imported.
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    configuration = await load_configuration()
    assert configuration.host == "http://127.0.0.1:1"
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer t"


@pytest.mark.usefixtures("_no_pod")
async def test_without_either_there_is_nothing_to_talk_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ApiError) as caught:
        async with connect(namespace="ns", field_manager="m"):
            pass
    assert (caught.value.code, caught.value.reason) == (0, "NoConfiguration")
    assert f"{tmp_path / 'none'}, which does not exist" in caught.value.message
    assert "Config not found" not in caplog.text
