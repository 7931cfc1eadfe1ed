"""The Go binaries of `local/kube`: built once, kept in the cache under a key of everything that went into them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError
from .locks import exclusive
from .paths import SOURCES, cache_root
from .toolchain import ensure_go

MODULE = SOURCES / "kube"
PACKAGES = ("./localkube", "./coredns", "./pause", "helm.sh/helm/v3/cmd/helm")

OPTIONS = ("-mod=readonly", "-buildvcs=false", "-trimpath")


@dataclass(frozen=True)
class Binaries:
    """One build: the whole of Kubernetes in `localkube`, CoreDNS, and the command-line tools as links."""

    folder: Path

    @property
    def localkube(self) -> Path:
        """All components of Kubernetes; the first argument names one."""
        return self.folder / "localkube"

    @property
    def coredns(self) -> Path:
        """A static binary: its image needs nothing else."""
        return self.folder / "coredns"

    @property
    def pause(self) -> Path:
        """Static as well; the first process of every pod."""
        return self.folder / "pause"

    @property
    def kubectl(self) -> Path:
        """Usable wherever `kubectl` is expected."""
        return self.folder / "kubectl"

    @property
    def helm(self) -> Path:
        """Usable wherever `helm` is expected."""
        return self.folder / "helm"


def linker_flags(go_mod: str) -> str:
    """Return the flags that make the binaries name the releases in go.mod: charts depend on the Kubernetes version.

    Raises:
        ClusterError: go.mod requires no release of Kubernetes or Helm.
    """
    major, minor, patch = _required("k8s.io/kubernetes", go_mod)
    kubernetes = {
        "gitVersion": f"v{major}.{minor}.{patch}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    # What Helm assumes where it asks no server.
    assumed = {"k8sVersionMajor": major, "k8sVersionMinor": minor}
    values = {
        "k8s.io/component-base/version": kubernetes,
        "k8s.io/client-go/pkg/version": kubernetes,
        "helm.sh/helm/v3/internal/version": {"version": "v" + ".".join(_required("helm.sh/helm/v3", go_mod))},
        "helm.sh/helm/v3/pkg/chartutil": assumed,
        "helm.sh/helm/v3/pkg/lint/rules": assumed,
    }
    named = [f"-X {package}.{name}={value}" for package, facts in values.items() for name, value in facts.items()]
    return " ".join(["-s", "-w", *named])


def _required(module: str, go_mod: str) -> tuple[str, str, str]:
    found = re.search(rf"^\s*{re.escape(module)} v(\d+)\.(\d+)\.(\d+)( // indirect)?$", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"{MODULE / 'go.mod'} requires no {module} of a plain version")
    return found[1], found[2], found[3]


def content_key(module: Path, *, tools: str) -> str:
    """Return the key of a build: 16 hexadecimal digits over the module's files and what else goes into it."""
    digest = hashlib.sha256(tools.encode())
    for path in sorted([module / "go.mod", module / "go.sum", *module.rglob("*.go")]):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(module)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def ensure_binaries() -> Binaries:
    """Return the binaries of this checkout, building them first if the cache has none of this key (some minutes).

    `kubectl` and `helm` in the cache's `bin` folder are links to the newest.

    Raises:
        ClusterError: There is no Go and none could be installed, or the build failed.
    """
    go, version = ensure_go()
    flags = linker_flags((MODULE / "go.mod").read_text())
    store = cache_root() / "bin"
    built = Binaries(store / content_key(MODULE, tools=" ".join([version, flags, *OPTIONS, *PACKAGES])))
    if not built.localkube.exists():
        store.mkdir(parents=True, exist_ok=True)
        with exclusive(store / ".lock"):
            if not built.localkube.exists():
                _build(go, flags, built.folder)
                _prune(store)
    for name in ("kubectl", "helm"):
        _link(store / name, Path(built.folder.name) / name)
    return built


def _build(go: Path, flags: str, folder: Path) -> None:
    print(f"building the local Kubernetes from {MODULE} (once; some minutes)", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as scratch:
        out = Path(scratch) / "out"
        # Static, so that CoreDNS runs in an image of its own and a changed libc on the host changes nothing.
        command = [str(go), "build", *OPTIONS, f"-ldflags={flags}", "-o", f"{out}/", *PACKAGES]
        done = subprocess.run(command, cwd=MODULE, env={**os.environ, "CGO_ENABLED": "0"}, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`go build` in {MODULE} failed with status {done.returncode}; its output is above")
        (out / "kubectl").symlink_to("localkube")
        out.rename(folder)


def _prune(store: Path, *, keep: int = 3) -> None:
    """Remove all builds but the newest; what runs from a removed one goes on."""
    builds = sorted((path.parent for path in store.glob("*/localkube")), key=lambda path: path.stat().st_mtime)
    for old in builds[:-keep]:
        shutil.rmtree(old)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)
