"""Binaries, credentials and the images of one file: what is made is what it says."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from bitagent_local.cluster import deps
from bitagent_local.cluster.__main__ import main
from bitagent_local.cluster.api import Api
from bitagent_local.cluster.binaries import MODULE, content_key, linker_flags
from bitagent_local.cluster.down import tear_down
from bitagent_local.cluster.errors import ClusterError
from bitagent_local.cluster.node import Node
from bitagent_local.cluster.pki import IDENTITIES, make_credentials
from bitagent_local.cluster.single_file_image import write_image
from bitagent_local.cluster.status import inspect
from bitagent_local.cluster.toolchain import release


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26)),
        ("go version go1.19.8 linux/amd64", (1, 19)),
        ("go version devel", (0, 0)),
        ("", (0, 0)),
    ],
    ids=str,
)
def test_go_release(said: str, expected: tuple[int, int]) -> None:
    assert release(said) == expected


def test_binaries_name_the_release_in_go_mod() -> None:
    flags = linker_flags("require (\n\thelm.sh/helm/v3 v3.20.2 // indirect\n\tk8s.io/kubernetes v1.35.4\n)\n")
    assert "-X k8s.io/component-base/version.gitVersion=v1.35.4" in flags
    assert "version.gitMinor=35" in flags
    assert "chartutil.k8sVersionMinor=35" in flags
    assert "-X helm.sh/helm/v3/internal/version.version=v3.20.2" in flags
    with pytest.raises(ClusterError, match="requires no k8s"):
        linker_flags("require example.org/kubernetes v1.0.0")


def test_go_mod_names_one_release_everywhere() -> None:
    text = (MODULE / "go.mod").read_text()
    release_ = linker_flags(text).partition("gitVersion=v1.")[2].partition(" ")[0]
    staged = [line.split() for line in text.splitlines() if line.startswith("\tk8s.io/") and "=>" in line]
    assert staged
    assert {line[-1] for line in staged} == {f"v0.{release_}"}


def test_the_key_of_a_build_covers_sources_and_tools(tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module x")
    (tmp_path / "go.sum").write_text("")
    (tmp_path / "main.go").write_text("package main")
    keys = [content_key(tmp_path, tools="go1"), content_key(tmp_path, tools="go2")]
    (tmp_path / "main.go").write_text("package main //")
    keys.append(content_key(tmp_path, tools="go1"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x.go").write_text("package sub")
    keys.append(content_key(tmp_path, tools="go1"))
    assert len(set(keys)) == len(keys)
    (tmp_path / "README.md").write_text("not a source")
    assert content_key(tmp_path, tools="go1") == keys[-1]


def test_credentials(tmp_path: Path) -> None:
    made = make_credentials(tmp_path / "pki", addresses=["10.0.0.1", "127.0.0.1"], server="https://10.0.0.1:6443")
    assert made.folder.stat().st_mode & 0o777 == 0o700
    for name, purpose in (("apiserver", "sslserver"), ("kubelet", "sslserver"), ("kubelet-client", "sslclient")):
        verify = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(made.ca)]
        subprocess.run([*verify, str(made.certificate(name))], check=True, capture_output=True)
    names = subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", made.certificate("apiserver")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "IP Address:10.0.0.1, IP Address:127.0.0.1" in names
    users = [line.split(",") for line in made.tokens.read_text().splitlines()]
    assert {user[1] for user in users} >= {"admin", "system:node:local", "system:kube-scheduler"}
    assert len({user[0] for user in users}) == len(IDENTITIES)


def test_a_kubeconfig_needs_no_other_file(tmp_path: Path) -> None:
    made = make_credentials(tmp_path / "pki", addresses=["127.0.0.1"], server="https://127.0.0.1:1")
    api = Api.from_kubeconfig(made.kubeconfig("admin"))
    assert api.server == "https://127.0.0.1:1"
    assert str(tmp_path) not in made.kubeconfig("admin").read_text()
    assert "refused" in (api.ready() or "")


def test_an_image_of_one_file(tmp_path: Path) -> None:
    binary = tmp_path / "thing"
    binary.write_bytes(b"\x7fELF" + bytes(1000))
    write_image(tmp_path / "image.tar", name="here/thing:1", binary=binary, user="65532:65532")
    with tarfile.open(tmp_path / "image.tar") as tar:
        contents = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
    for path, data in contents.items():
        if path.startswith("blobs/"):
            assert path == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"

    def blob(digest: str) -> bytes:
        return contents["blobs/" + digest.replace(":", "/")]

    (described,) = json.loads(contents["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "here/thing:1"
    manifest = json.loads(blob(described["digest"]))
    config = json.loads(blob(manifest["config"]["digest"]))
    assert config["config"] == {"Entrypoint": ["/thing"], "User": "65532:65532"}
    layer = blob(manifest["layers"][0]["digest"])
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        (entry,) = tar.getmembers()
        assert (entry.name, entry.mode, entry.uid) == ("thing", 0o755, 0)


def test_missing_packages_are_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "bitagent_local.cluster.deps.shutil.which",
        lambda program, path: None if program in ("ctr", "containerd") else program,
    )
    monkeypatch.setattr(deps, "LIBRARIES", {})
    assert deps.missing_packages() == ["containerd"]
    with pytest.raises(ClusterError, match="apt-get install -y --no-install-recommends containerd"):
        deps.require_packages()


def test_a_missing_library_is_a_missing_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here, gone = tmp_path / "libhere.so.1", tmp_path / "libgone.so.1"
    here.touch()
    monkeypatch.setattr("bitagent_local.cluster.deps.shutil.which", lambda program, path: program)
    monkeypatch.setattr(deps, "LIBRARIES", {str(here): "libhere1", str(gone): "libgone1"})
    assert deps.missing_packages() == ["libgone1"]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BITAGENT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BITAGENT_STATE", str(tmp_path / "state"))
    return tmp_path


def test_status_of_no_node(nowhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["state"] == "down"
    assert said["kubeconfig"] == str(nowhere / "state" / "admin.kubeconfig")
    assert not any(said["components"].values())
    assert inspect(Node()).summary == "down"


def test_up_says_that_it_needs_root(
    nowhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["up"]) == 1
    assert "needs root" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("ip") is None, reason="needs the ip command")
def test_teardown_takes_no_folder_that_is_not_a_nodes(tmp_path: Path) -> None:
    node = Node(cache=tmp_path / "cache", state=tmp_path / "precious", scope="no-such-node")
    node.state.mkdir()
    (node.state / "file").write_text("kept")
    tear_down(node)
    assert (node.state / "file").read_text() == "kept"
