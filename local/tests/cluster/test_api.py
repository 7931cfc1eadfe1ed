"""The client of the API server."""

from __future__ import annotations

from pathlib import Path

from bitagent_local.cluster.api import Api
from bitagent_local.cluster.pki import make_credentials


def test_a_kubeconfig_needs_no_other_file(tmp_path: Path) -> None:
    made = make_credentials(tmp_path / "pki", addresses=["127.0.0.1"], server="https://127.0.0.1:1")
    api = Api.from_kubeconfig(made.kubeconfig("admin"))
    assert api.server == "https://127.0.0.1:1"
    assert str(tmp_path) not in made.kubeconfig("admin").read_text()
    assert "refused" in (api.ready() or "")
