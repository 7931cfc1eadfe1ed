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

MODULE = SOURCES / "kube"
PACKAGES = ("./localkube", "./coredns", "./pause", "helm.sh/helm/v3/cmd/helm")


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


def find_go() -> Path:
    """Return the Go command.

    Raises:
        ClusterError: Neither `$PATH` nor the usual place of the upstream archive has one.
    """
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise ClusterError("there is no `go` on PATH: install Go 1.26 or newer, the local Kubernetes is built with it")


def linker_flags(go_mod: str) -> str:
    """Return the flags that make the binaries name the Kubernetes release in go.mod; Helm charts depend on it.

    Raises:
        ClusterError: go.mod requires no release of Kubernetes.
    """
    found = re.search(r"^\s*k8s\.io/kubernetes v((\d+)\.(\d+)\.\d+)$", go_mod, re.MULTILINE)
    if found is None:
        raise ClusterError(f"{MODULE / 'go.mod'} requires no k8s.io/kubernetes of a plain version")
    release, major, minor = found.groups()
    values = {"gitVersion": f"v{release}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    named = [f"-X {package}.{name}={value}" for package in packages for name, value in values.items()]
    return " ".join(["-s", "-w", *named])


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
        ClusterError: There is no Go, or the build failed.
    """
    go = find_go()
    version = subprocess.run([go, "version"], cwd=MODULE, capture_output=True, text=True, check=True).stdout.strip()
    flags = linker_flags((MODULE / "go.mod").read_text())
    store = cache_root() / "bin"
    built = Binaries(store / content_key(MODULE, tools=f"{version} {flags}"))
    if not built.localkube.exists():
        store.mkdir(parents=True, exist_ok=True)
        with exclusive(store / ".lock"):
            if not built.localkube.exists():
                _build(go, flags, built.folder)
    for name in ("kubectl", "helm"):
        _link(store / name, Path(built.folder.name) / name)
    return built


def _build(go: Path, flags: str, folder: Path) -> None:
    print(f"building the local Kubernetes from {MODULE} (once; some minutes)", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as scratch:
        out = Path(scratch) / "out"
        # Static, so that CoreDNS runs in an image of its own and a changed libc on the host changes nothing.
        command = [go, "build", "-mod=readonly", "-trimpath", f"-ldflags={flags}", "-o", f"{out}/", *PACKAGES]
        done = subprocess.run(command, cwd=MODULE, env={**os.environ, "CGO_ENABLED": "0"}, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`go build` in {MODULE} failed with status {done.returncode}; its output is above")
        (out / "kubectl").symlink_to("localkube")
        out.rename(folder)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)
