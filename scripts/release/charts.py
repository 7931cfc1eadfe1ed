"""Helm packages. `helm package` checks a chart and writes the present time into it; that is taken out again."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from scripts.release.wheel import ReleaseError


def package_chart(chart: Path, out: Path, *, epoch: int, helm: str) -> Path:
    """Package a chart into a folder, with files of the time `epoch`. Raises ReleaseError."""
    with tempfile.TemporaryDirectory(prefix="chart-") as folder:
        command = [helm, "package", str(chart), "--destination", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ReleaseError(f"{chart.name} cannot be packaged: {done.stderr.strip()[-2000:]}")
        (made,) = Path(folder).glob("*.tgz")
        target = out / made.name
        target.write_bytes(repeatable(made.read_bytes(), epoch=epoch))
    return target


def repeatable(archive: bytes, *, epoch: int) -> bytes:
    """Return a gzipped tar archive with the same files, in the order of their names, of one time and no owner."""
    out = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as source,
        gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9, mtime=epoch) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as target,
    ):
        for entry in sorted(source.getmembers(), key=lambda each: each.name):
            plain = tarfile.TarInfo(entry.name)
            plain.size, plain.mode, plain.mtime = entry.size, 0o644, epoch
            target.addfile(plain, source.extractfile(entry))
    return out.getvalue()
