"""`python -m scripts.release OUT`: build a release into a folder."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.release import images
from scripts.release.charts import package_chart
from scripts.release.sbom import document
from scripts.release.sums import NAME, write_sums
from scripts.release.versions import ROOT, charts, differences, version
from scripts.release.wheel import ReleaseError, build_wheel

OVERRIDES = Path(__file__).parent / "uv-overrides.txt"
FOLDERS = ("charts", "requirements", "sbom", "images")


def main(argv: list[str] | None = None) -> int:
    """Build a release; return 1 if a part of it cannot be made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder; what an earlier release left there is removed")
    parser.add_argument(
        "--images",
        default="all",
        help=f"comma-separated names, all or none (all: {', '.join(images.released())})",
    )
    parser.add_argument("--helm", default=_helm(), help="the program (default: that of make toolchain)")
    options = parser.parse_args(argv)
    try:
        release(options.out, epoch=source_date(), helm=options.helm, chosen=options.images)
    except ReleaseError as error:
        sys.stderr.write(f"release: {error}\n")
        return 1
    return 0


def _helm() -> str:
    cache = Path(os.environ.get("BITAGENT_CACHE", Path.home() / ".cache" / "bitagent"))
    return str(cache / "bin" / "helm") if (cache / "bin" / "helm").exists() else "helm"


def source_date(root: Path = ROOT) -> int:
    """Return the time of all files: SOURCE_DATE_EPOCH, or that of the last commit."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ReleaseError("there is no commit here: set SOURCE_DATE_EPOCH to the time of the release")
    return int(done.stdout)


def release(out: Path, *, epoch: int, helm: str, chosen: str = "none") -> None:
    """Build a release into a folder. Raises ReleaseError."""
    if wrong := list(differences()):
        raise ReleaseError("\n".join(["versions differ:", *wrong]))
    number = version()
    _clear(out)
    with _step("wheel"):
        build_wheel(out, epoch=epoch)
    with _step("charts"):
        for chart in charts():
            package_chart(chart, out / "charts", epoch=epoch, helm=helm)
    with _step("locks and their bills of materials"):
        for lock in sorted((ROOT / "requirements").glob("*.txt")):
            text = lock.read_text()
            (out / "requirements" / lock.name).write_text(text)
            bill = document(text, name=lock.stem, version=number, epoch=epoch)
            (out / "sbom" / f"bitagent-{lock.stem}-{number}.cdx.json").write_text(bill)
        shutil.copyfile(OVERRIDES, out / OVERRIDES.name)
    _images(out / "images", number, chosen, epoch=epoch)
    write_sums(out)
    sys.stdout.write(f"{out}: bitagent {number}, {sum(1 for _ in (out / NAME).open())} files\n")


def _images(folder: Path, number: str, chosen: str, *, epoch: int) -> None:
    names = images.released() if chosen == "all" else [name for name in chosen.split(",") if name not in ("", "none")]
    if unknown := set(names) - set(images.released()):
        raise ReleaseError(
            f"no image of a release: {', '.join(sorted(unknown))}; there are {', '.join(images.released())}"
        )
    if names and (why := images.possible()):
        sys.stdout.write(f"  images are left out: {why}\n")
        names = []
    for name in names:
        with _step(f"image {name}"):
            images.archive_images([name], folder, version=number, epoch=epoch)
    if not names:
        folder.rmdir()
    build = f"docker build -f images/evaluator.Dockerfile -t REGISTRY/evaluator:{number} ."
    sys.stdout.write(f"  the image for GPUs is not built here, it has 10 GB of packages: {build}\n")


def _clear(out: Path) -> None:
    """Remove what a release writes from a folder, and nothing else."""
    for name in FOLDERS:
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir(parents=True)
    for old in (*out.glob("bitagent-*.whl"), out / NAME):
        old.unlink(missing_ok=True)


@contextmanager
def _step(title: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    sys.stdout.write(f"  {title.ljust(40)}{time.monotonic() - began:6.1f} s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
