"""Jobs on a volume whose driver sets no group, as NFS: real directories, and processes of the pods' user.

A kubelet makes the directory of a `subPath` itself, as root and with the mode of the volume's root, and an `fsGroup`
changes nothing on such a volume (kubernetes: `SafeMakeDir` of pkg/volume/util/subpath). Whether a pod can write there
so follows from the export's root, its user and its group.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bitagent_operator import naming
from bitagent_operator.manifests.retention import retention_job
from bitagent_operator.plan.interface import StartRetention

if TYPE_CHECKING:
    from tests.unit.operator.conftest import Make
    from tests.unit.operator.manifests.conftest import Build

Obj = dict[str, Any]
USER = 65532

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to act as a kubelet does and as another user")


class Export:
    """A volume; pods see its directories at their own paths."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, *, mode: int, user: int = 0, group: int = 0) -> None:
        """Prepare the root, as who exports it would."""
        os.chown(self.root, user, group)
        self.root.chmod(mode)

    def mounted(self, path: str) -> Path:
        """Return the directory of a `subPath`, made as a kubelet makes it if it is not there."""
        mode, folder = stat.S_IMODE(self.root.stat().st_mode), self.root
        for part in filter(None, path.split("/")):
            folder = folder / part
            if not folder.exists():
                folder.mkdir()
                folder.chmod(mode)
        return folder


@pytest.fixture
def export() -> Iterator[Export]:
    folder = Path(tempfile.mkdtemp(prefix="export-"))  # tmp_path is in a folder that others may not enter
    yield Export(folder)
    shutil.rmtree(folder)


def as_pod(job: Obj, script: str, folder: Path) -> bool:
    """Run a shell as the Job's pod would, in that directory; return whether it succeeded."""
    security = job["spec"]["template"]["spec"]["securityContext"]
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd="/", env={"DIR": str(folder), "PATH": os.environ["PATH"]}, check=False,
        capture_output=True, user=security["runAsUser"], group=security["runAsGroup"], extra_groups=[],
    )  # fmt: skip
    return done.returncode == 0


def sub_path(job: Obj, at: str) -> str:
    """The `subPath` of what a Job's container has at a path."""
    mounts = job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    (found,) = (m for m in mounts if m["mountPath"] == at)
    assert not found.get("readOnly")
    return str(found.get("subPath", ""))


WRITE = 'mkdir -p "$DIR/d" && echo 1 > "$DIR/d/f" && echo 1 > "$DIR/f.part" && mv "$DIR/f.part" "$DIR/f"'


@pytest.mark.parametrize(
    ("root", "writable"),
    [
        pytest.param({"mode": 0o777}, True, id="everybody may write"),
        pytest.param({"mode": 0o2775, "group": USER}, True, id="a group that directories inherit"),
        pytest.param({"mode": 0o775, "group": USER}, False, id="a group that they do not inherit"),
        pytest.param({"mode": 0o755, "user": USER, "group": USER}, False, id="of the pods' user"),
        pytest.param({"mode": 0o755}, False, id="of root"),
    ],
)
def test_results_can_be_written_and_removed(
    build: Build, make: Make, export: Export, root: dict[str, int], writable: bool
) -> None:
    """As docs/operating.md says of such volumes."""
    export.make(**root)
    tasks, evaluation = build.task_set().raw, build.evaluation().raw
    for job, at in ((tasks, "/tasks"), (evaluation, "/results")):
        assert as_pod(job, WRITE, export.mounted(sub_path(job, at))) is writable, at
    observed = make.round(status={"finishedAt": "2026-01-01T00:01:40Z"})
    removal = retention_job(make.config(), observed, StartRetention(naming.REMOVE_KEY, 1), ("uid-r",))
    rounds = export.mounted(sub_path(removal, "/rounds"))
    assert (rounds / "uid-r").is_dir(), "what the other Jobs have"
    assert as_pod(removal, 'rm -r "$DIR/uid-r"', rounds) is writable


@pytest.mark.parametrize(
    ("root", "writable"),
    [
        pytest.param({"mode": 0o777}, True, id="everybody may write"),
        pytest.param({"mode": 0o755, "user": USER, "group": USER}, True, id="of the pods' user"),
        pytest.param({"mode": 0o755}, False, id="of root"),
    ],
)
def test_models_can_be_fetched_and_read(build: Build, export: Export, root: dict[str, int], writable: bool) -> None:
    """A fetch has the whole volume, so that no directory is made for it; an evaluation has one of the model's."""
    export.make(**root)
    fetch, evaluation = build.fetch().raw, build.evaluation().raw
    (cache,) = (m for m in fetch["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] if m["name"] == "cache")
    mounts = {m["mountPath"]: m for m in evaluation["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]}
    model = mounts["/model"]["subPath"]
    script = f'mkdir -p "$DIR/{model}.part" && echo 1 > "$DIR/{model}.part/f" && mv "$DIR/{model}.part" "$DIR/{model}"'
    assert as_pod(fetch, script, export.mounted(cache.get("subPath", ""))) is writable
    if writable:
        assert as_pod(evaluation, 'cat "$DIR/f"', export.mounted(model))
