"""Real Kueue beside etcd, kube-apiserver and kube-controller-manager: no node, no Service network.

What its chart expects of a cluster and a bare API server lacks is replaced, nothing else: webhooks and conversions are
called at an address instead of through a Service, with a certificate of ours, since Kueue's own is for a Service. Then
Kueue reads one for metrics from a fixed place in /etc, too: it sees one there in a mount namespace of its own, which
needs root.
"""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bitagent_local.cluster.control_plane import ControlPlane
from bitagent_local.cluster.kueue import Kueue
from bitagent_local.cluster.ports import free_ports

Obj = dict[str, Any]
NAMESPACE = "kueue-system"
GROUPS = frozenset({"batch", "kueue.x-k8s.io"})
"""API groups that are there: webhooks of others are left out."""
_PRIVATE_ETC = (
    'mkdir -p "$0/up/kueue/metrics" "$0/work" && cp -r "$0/certs" "$0/up/kueue/metrics/certs" && '
    'mount -t overlay overlay -o lowerdir=/etc,upperdir="$0/up",workdir="$0/work" /etc && exec "$@"'
)


@contextmanager
def running(plane: ControlPlane, kueue: Kueue) -> Iterator[None]:
    """Install Kueue's definitions and webhooks, and run its manager until left."""
    with tempfile.TemporaryDirectory(prefix="kueue-") as name:
        folder, (webhook, health, visibility) = Path(name), free_ports(3)
        authority = _certificate(folder)
        (folder / "config.yaml").write_text(yaml.safe_dump(_configuration(folder, webhook=webhook, health=health)))
        crds, hooks = _manifests(plane, kueue.chart, url=f"https://127.0.0.1:{webhook}", authority=authority)
        apply(plane, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *crds])
        wait = plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
        # It fails at once for a definition that has no conditions yet.
        _until(lambda: subprocess.run(wait, capture_output=True, check=False).returncode == 0, "Kueue's definitions")
        command = [str(kueue.manager), f"--config={folder}/config.yaml", f"--kubeconfig={plane.kubeconfig}"]
        command += [f"--visibility-server-port={visibility}", "--feature-gates=VisibilityOnDemand=false"]
        own = ["setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation=private", "sh", "-c", _PRIVATE_ETC]
        log = plane.logs / "kueue.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*own, str(folder), *command], stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        try:
            _until(lambda: _ready(health, process, log), "Kueue")
            apply(plane, hooks)  # not before it listens: what they cannot ask is refused
            yield
        finally:
            process.kill()
            process.wait()


def apply(plane: ControlPlane, objects: list[Obj]) -> None:
    """Apply objects server-side."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    command = plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-")
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _configuration(folder: Path, *, webhook: int, health: int) -> Obj:
    (folder / "certs").mkdir()
    for each in ("tls.crt", "tls.key"):
        (folder / "certs" / each).write_bytes((folder / each).read_bytes())
    return {
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "namespace": NAMESPACE,
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "metrics": {"bindAddress": "0"},
        "webhook": {"host": "127.0.0.1", "port": webhook, "certDir": str(folder)},
        "leaderElection": {"leaderElect": False},
        "internalCertManagement": {"enable": False},
        "clientConnection": {"qps": 500, "burst": 1000},
        "integrations": {"frameworks": ["batch/job"]},
    }


def _manifests(plane: ControlPlane, chart: Path, *, url: str, authority: str) -> tuple[list[Obj], list[Obj]]:
    """Return the chart's definitions and its webhooks, which call the URL."""
    command = [str(plane.binaries.helm), "template", "kueue", str(chart), "-n", NAMESPACE]
    rendered = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    crds, hooks = [], []
    for each in yaml.safe_load_all(rendered):
        match each:
            case {"kind": "CustomResourceDefinition"}:
                webhook = each["spec"].get("conversion", {}).get("webhook")
                if webhook:
                    path = webhook["clientConfig"].pop("service").get("path", "/convert")
                    webhook["clientConfig"] |= {"url": url + path, "caBundle": authority}
                crds.append(each)
            case {"kind": "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration"}:
                each["webhooks"] = [hook for hook in each["webhooks"] if _groups(hook) <= GROUPS]
                for hook in each["webhooks"]:
                    path = hook["clientConfig"].pop("service")["path"]
                    hook["clientConfig"] |= {"url": url + path, "caBundle": authority}
                hooks.append(each)
    return crds, hooks


def _groups(hook: Obj) -> set[str]:
    return {group for rule in hook["rules"] for group in rule["apiGroups"]}


def _ready(port: int, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, f"Kueue has ended: {log.read_text()[-3000:]}"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


def _until(true: Callable[[], bool], what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not ready: {what}"
        time.sleep(0.1)


def _certificate(folder: Path) -> str:
    """Make the key and certificate of the webhooks; return the certificate as their authority."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "30", "-subj", "/CN=kueue", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", f"{folder}/tls.key", "-out", f"{folder}/tls.crt"]
    subprocess.run(command, check=True, capture_output=True)
    return base64.b64encode((folder / "tls.crt").read_bytes()).decode()
