"""The page as the process that it is in its pod, with the rights of the chart's Role and no others."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.programs import KUBECONFIG, Program

from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.ports import free_ports

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "bitagent-operator"
GROUP = "apis/bitagent.io/v1alpha1"
RBAC = "rbac.authorization.k8s.io/v1"
PLURALS = {"MinerModel": "minermodels", "EvalRound": "evalrounds", "Validator": "validators"}
NUMBERS = count(1)

Obj = dict[str, Any]


def eventually(probe: Callable[[], Any], *, what: str, seconds: float = 60.0) -> Any:
    """The first truthy answer of the probe."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if answer := probe():
                return answer
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            pass
        time.sleep(0.05)
    pytest.fail(f"not within {seconds:g} s: {what}")


@pytest.fixture(name="eventually", scope="session")
def _eventually() -> Callable[..., Any]:
    """Wait for something to come true."""
    return eventually


@dataclass
class Page:
    """A namespace, and the page of it."""

    plane: ControlPlane
    namespace: str
    address: str
    health: str
    program: Program
    log: Path

    def put(self, obj: Obj) -> Obj:
        """Create an object with its status, or replace both."""
        place = f"/{GROUP}/namespaces/{self.namespace}/{PLURALS[obj['kind']]}"
        metadata = {key: obj["metadata"][key] for key in ("name", "labels") if key in obj["metadata"]}
        body = {key: obj[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
        self.plane.api.apply(f"{place}/{metadata['name']}", body)
        return self.write_status(obj)

    def write_status(self, obj: Obj) -> Obj:
        """Write the status, as the operator does."""
        place = f"/{GROUP}/namespaces/{self.namespace}/{PLURALS[obj['kind']]}/{obj['metadata']['name']}/status"
        found: Obj = self.plane.api.merge(place, {"status": obj["status"]})
        return found

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.address}/{path}", timeout=60) as answer:
            return str(answer.read().decode())

    def json(self, path: str) -> Any:
        return json.loads(self.get(path))


@pytest.fixture(scope="session")
def rendered(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Obj]]:
    """Function: the page's objects by the chart, but for the Gateway API's; settings as for `--set`."""
    home = tmp_path_factory.mktemp("helm")
    folders = {f"HELM_{name}_HOME": str(home / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}

    def render(*settings: str) -> list[Obj]:
        command = [str(plane.binaries.helm), "template", "x", str(CHART)]
        command += [word for each in ("leaderboard.enabled=true", *settings) for word in ("--set", each)]
        command += ["--show-only", "templates/leaderboard.yaml", "--show-only", "templates/leaderboard-network.yaml"]
        done = subprocess.run(command, env=os.environ | folders, capture_output=True, text=True, check=True)
        return [each for each in yaml.safe_load_all(done.stdout) if each and each["kind"] != "HTTPRoute"]

    return render


@pytest.fixture
def rules(rendered: Callable[..., list[Obj]]) -> list[Obj]:
    """The rules of the chart's Role."""
    (role,) = [each for each in rendered() if each["kind"] == "Role"]
    found: list[Obj] = role["rules"]
    return found


@pytest.fixture
def start_page(
    plane: ControlPlane, rules: list[Obj], tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Page]]:
    """Make a namespace and start the page of it, and of those `beside` it; arguments are further options."""
    programs: list[Page] = []

    def start(*options: str, beside: Sequence[str] = ()) -> Page:
        namespace = f"board-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{next(NUMBERS)}"
        plane.api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        kubeconfig = _kubeconfig(plane, namespace, rules, tmp_path / f"{namespace}.json")
        for other in beside:
            _permit(plane, other, rules, account_of=namespace)
            options = (*options, "--namespace", other)
        port, health, metrics = free_ports(3)
        log = tmp_path / f"{namespace}.log"
        command = ["serve", "--namespace", namespace, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--health-port", str(health), "--metrics-port", str(metrics), "--log-format", "text", *options]
        environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        constants = {KUBECONFIG: str(kubeconfig), "bitagent_leaderboard.serving.following:READY_SECONDS": 3.0}
        program = Program(
            "bitagent_leaderboard.main:main", command, environment=environment, output=log, constants=constants
        )
        probe = f"http://127.0.0.1:{health}/readyz"
        page = Page(plane, namespace, f"http://127.0.0.1:{port}", probe, program, log)
        programs.append(page)
        eventually(lambda: urllib.request.urlopen(probe, timeout=60).status == 200, what="the page is ready")
        return page

    yield start
    for page in programs:
        page.program.kill()
        page.program.wait()
        if getattr(request.node, "failed", False):
            print(page.log.read_text()[-4000:])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    item.failed = getattr(item, "failed", False) or report.failed  # type: ignore[attr-defined]
    return report


def _kubeconfig(plane: ControlPlane, namespace: str, rules: list[Obj], path: Path) -> Path:
    core = f"/api/v1/namespaces/{namespace}"
    plane.api.create(f"{core}/serviceaccounts", {"metadata": {"name": "page"}})
    _permit(plane, namespace, rules, account_of=namespace)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    token = plane.api.create(f"{core}/serviceaccounts/page/token", request)["status"]["token"]
    config = json.loads(plane.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path.write_text(json.dumps(config))
    return path


def _permit(plane: ControlPlane, namespace: str, rules: list[Obj], *, account_of: str) -> None:
    """Give the page's account of a namespace the rights of the chart's Role in a namespace."""
    rbac, name = f"/apis/{RBAC}/namespaces/{namespace}", f"page-of-{account_of}"
    metadata = {"metadata": {"name": name}}
    plane.api.create(f"{rbac}/roles", metadata | {"rules": rules})
    subject = {"kind": "ServiceAccount", "name": "page", "namespace": account_of}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    plane.api.create(f"{rbac}/rolebindings", metadata | {"subjects": [subject], "roleRef": reference})
