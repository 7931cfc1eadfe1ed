"""Keys, certificates, tokens and kubeconfigs of a control plane; each control plane gets its own.

One authority signs the certificates of the API server and the kubelet, and the one with which the former calls the
latter. Every other client authenticates to the API server with a random token. Nothing here outlives the cluster.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bitagent_local.cluster.host import ClusterError

DAYS = "3650"
NETPOL_USER = "bitagent:netpol"
IDENTITIES = {
    "admin": ("admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kubelet": ("system:node:{node}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", ""),
    "netpol": (NETPOL_USER, ""),
}
"""User name and group of each token; Kubernetes' built-in roles are bound to these names."""


@dataclass(frozen=True)
class Credentials:
    """The files of one control plane, all below `folder` (mode 0700)."""

    folder: Path

    @property
    def ca(self) -> Path:
        """The authority's certificate, by which clients verify the API server and the kubelet verifies its caller."""
        return self.folder / "ca.crt"

    @property
    def service_account_key(self) -> Path:
        """The key that signs and verifies service account tokens."""
        return self.folder / "service-accounts.key"

    @property
    def tokens(self) -> Path:
        """The API server's static token file."""
        return self.folder / "tokens.csv"

    def certificate(self, name: str) -> Path:
        """Return the certificate `apiserver`, `kubelet` or `kubelet-client`."""
        return self.folder / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return the private key beside the certificate of that name."""
        return self.folder / f"{name}.key"

    def kubeconfig(self, identity: str) -> Path:
        """Return the kubeconfig of one of `IDENTITIES`."""
        return self.folder / f"{identity}.kubeconfig"


def make_credentials(folder: Path, *, addresses: Sequence[str], server: str, node: str = "local") -> Credentials:
    """Write all credentials for servers with these IP addresses; kubeconfigs name the URL `server`.

    Raises ClusterError if `openssl` is missing or fails.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Credentials(folder)
    _openssl("ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", str(made.service_account_key))
    _certificate(
        made, "ca", "/CN=bitagent-local", ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"]
    )
    names = "subjectAltName=" + ",".join([*(f"IP:{address}" for address in addresses), "DNS:kubernetes.default.svc"])
    usage = "keyUsage=critical,digitalSignature"
    _certificate(made, "apiserver", "/CN=kube-apiserver", [names, usage, "extendedKeyUsage=serverAuth"])
    _certificate(made, "kubelet", f"/CN=system:node:{node}", [names, usage, "extendedKeyUsage=serverAuth"])
    _certificate(made, "kubelet-client", "/CN=kube-apiserver/O=system:masters", [usage, "extendedKeyUsage=clientAuth"])
    lines = []
    for identity, (user, group) in IDENTITIES.items():
        token = secrets.token_urlsafe(24)
        lines.append(f"{token},{user.format(node=node)},{identity},{group}\n")
        made.kubeconfig(identity).write_text(_kubeconfig(server=server, ca=made.ca, token=token))
    made.tokens.write_text("".join(lines))
    return made


def _certificate(made: Credentials, name: str, subject: str, extensions: list[str]) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(made.key(name))]
    signer = [] if name == "ca" else ["-CA", str(made.ca), "-CAkey", str(made.key("ca"))]
    added = [word for extension in extensions for word in ("-addext", extension)]
    # An empty configuration: Debian's would add CA:TRUE to every certificate.
    config = made.folder / "openssl.cnf"
    config.write_text("[req]\ndistinguished_name = dn\n[dn]\n")
    out = ["-config", str(config), "-subj", subject, "-days", DAYS, "-out", str(made.certificate(name))]
    _openssl("req", "-x509", *key, *signer, *added, *out)


def _openssl(*arguments: str) -> None:
    try:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise ClusterError("there is no `openssl`: install the Debian package openssl") from error
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"openssl {arguments[0]} failed: {error.stderr.strip()}") from error


def _kubeconfig(*, server: str, ca: Path, token: str) -> str:
    authority = base64.b64encode(ca.read_bytes()).decode()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "local", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": "local", "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
        "current-context": "local",
    }
    return json.dumps(config, indent=1) + "\n"
