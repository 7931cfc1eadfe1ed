"""Certificates, tokens and kubeconfigs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bitagent_local.cluster.pki import IDENTITIES, make_credentials


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
