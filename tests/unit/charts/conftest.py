"""Helm as a function from values to objects."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
Object = dict[str, Any]
# Not the version that Helm was built with, but the oldest that the charts promise to serve.
TARGET = ("--kube-version", "1.29.0")


class Rendered:
    """The objects of one rendering. Each is read when it is asked for: the definitions take most of the time."""

    def __init__(self, text: str) -> None:
        self._texts = [text for text in re.split(r"^---$", text, flags=re.MULTILINE) if "\nkind: " in text]
        self._read: dict[int, Object] = {}

    def _object(self, number: int) -> Object:
        if number not in self._read:
            self._read[number] = yaml.load(self._texts[number], Loader=yaml.CSafeLoader)  # C: ten times faster
        return self._read[number]

    @property
    def objects(self) -> tuple[Object, ...]:
        return tuple(self._object(number) for number in range(len(self._texts)))

    def all(self, kind: str) -> list[Object]:
        return [self._object(number) for number, text in enumerate(self._texts) if f"\nkind: {kind}\n" in text]

    def one(self, kind: str, name: str | None = None) -> Object:
        (found,) = [o for o in self.all(kind) if name in (None, o["metadata"]["name"])]
        return found


class Helm:
    """One chart and the `helm` binary."""

    def __init__(self, binary: Path, chart: Path, environment: Mapping[str, str]) -> None:
        self.binary, self.chart, self.environment = binary, chart, environment

    def _run(self, *args: str, values: Object | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.binary), *args, "--values", "-"],
            input=json.dumps(values or {}), capture_output=True, text=True, check=False, env=dict(self.environment),
        )  # fmt: skip

    def render(
        self, values: Object | None = None, *, release: str = "bitagent-operator", files: tuple[Path, ...] = ()
    ) -> Rendered:
        given = [word for file in files for word in ("--values", str(file))]
        done = self._run(
            "template", release, str(self.chart), *TARGET, "--namespace", "bitagent", *given, values=values
        )
        assert done.returncode == 0, done.stderr
        return Rendered(done.stdout)

    def refusal(self, values: Object, *, release: str = "bitagent-operator", namespace: str = "bitagent") -> str:
        """What Helm says against the values; fails when it takes them."""
        done = self._run("template", release, str(self.chart), *TARGET, "--namespace", namespace, values=values)
        assert done.returncode != 0, f"accepted: {values}"
        return done.stderr

    def lint(self, values: Object | None = None, *, files: tuple[Path, ...] = ()) -> str:
        given = [word for file in files for word in ("--values", str(file))]
        done = self._run("lint", "--strict", str(self.chart), *given, values=values)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def helm_binary() -> Path:
    cache = Path(os.environ.get("BITAGENT_CACHE", Path.home() / ".cache/bitagent"))
    found = shutil.which("helm") or shutil.which("helm", path=str(cache / "bin"))
    if found is None:
        pytest.fail(f"there is no helm on PATH or in {cache}/bin: run 'make toolchain'")
    return Path(found)


@pytest.fixture(scope="session")
def helm_for(helm_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Helm]:
    home = tmp_path_factory.mktemp("helm")
    folders = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
    folders["GOGC"] = "off"  # it ends before its garbage matters, whose collection takes a third of the time
    return lambda chart: Helm(helm_binary, ROOT / "charts" / chart, {**os.environ, **folders})


@pytest.fixture
def root() -> Path:
    return ROOT


def _pods(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object]]:
    for o in objects:
        if "template" in o.get("spec", {}):
            yield o["metadata"]["name"], o["spec"]["template"]["spec"]


@pytest.fixture
def unrestricted() -> Callable[[tuple[Object, ...]], list[str]]:
    """Function: violations of restricted Pod Security, and of our stricter rules, in these objects' pods."""

    def faults(objects: tuple[Object, ...]) -> Iterator[str]:
        pods = list(_pods(objects))
        assert pods, "no pod to judge"
        for name, pod in pods:
            security = pod["securityContext"]
            expected = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
            yield from (
                f"{name}: {key} is not {value}" for key, value in expected.items() if security.get(key) != value
            )
            if pod.get("enableServiceLinks") is not False:
                yield f"{name}: service links"
            yield from (f"{name}: {key}" for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key))
            yield from (f"{name}: hostPath {v['name']}" for v in pod.get("volumes", ()) if "hostPath" in v)
            for container in [*pod["containers"], *pod.get("initContainers", ())]:
                own = container["securityContext"]
                expected = {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                }
                yield from (f"{name}: {key} is not {value}" for key, value in expected.items() if own.get(key) != value)
                if "memory" not in container["resources"]["limits"]:
                    yield f"{name}: no memory limit"

    return lambda objects: list(faults(objects))
