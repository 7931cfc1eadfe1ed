"""What `make release` makes: one version, the same bytes each time, bills of all locks, sums that hold."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from scripts.release import __main__ as release_command
from scripts.release import images, sbom, versions
from scripts.release.__main__ import main, release
from scripts.release.charts import repeatable
from scripts.release.sums import write_sums
from scripts.release.wheel import ReleaseError

from bitagent_local.cluster.binaries import ensure_binaries

ROOT = Path(__file__).parents[2]
EPOCH = 1_767_225_600


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release without images."""
    out = tmp_path_factory.mktemp("release")
    release(out, epoch=EPOCH, helm=str(ensure_binaries().helm))
    return out


def test_all_versions_are_the_projects() -> None:
    assert list(versions.differences()) == []
    assert {"bitagent-operator", "bitagent-validator"} <= {chart.name for chart in versions.charts()}


@pytest.mark.parametrize("member", ["version", "appVersion"])
def test_another_version_is_found(member: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    chart = tmp_path / "charts" / "x" / "Chart.yaml"
    chart.parent.mkdir(parents=True)
    chart.write_text({"version": "version: 1.2.4\nappVersion: 1.2.3\n"}.get(member, "version: 1.2.3\nappVersion: 1\n"))
    assert [line.partition(": ")[2].split()[0] for line in versions.differences(tmp_path)] == [member]


def test_a_second_build_has_the_same_bytes(tmp_path: Path) -> None:
    """And with another time others: else it would compare what takes no notice of the time."""
    helm = str(ensure_binaries().helm)
    release(tmp_path / "a", epoch=EPOCH, helm=helm)
    release(tmp_path / "b", epoch=EPOCH, helm=helm)
    first, second = files(tmp_path / "a"), files(tmp_path / "b")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    release(tmp_path / "b", epoch=EPOCH + 86400, helm=helm)
    later = files(tmp_path / "b")
    assert {Path(name).suffix for name in first if first[name] != later[name]} == {".whl", ".tgz", ".json", ""}


def test_the_sums_hold(built: Path) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=built, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    listed = {line.split("  ")[1] for line in (built / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(files(built)) - {"SHA256SUMS"}


def test_sums_of_folders(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"x")
    text = write_sums(tmp_path).read_text()
    assert text == f"{hashlib.sha256(b'x').hexdigest()}  b/c\n"
    assert write_sums(tmp_path).read_text() == text


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


def test_the_wheel_has_every_package_and_its_commands(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = {name.partition("/")[0] for name in archive.namelist()}
    packages = {path.name for path in ROOT.glob("*/bitagent_*") if path.is_dir() and path.parent.name != "local"}
    assert packages <= names
    entry_points = archive.read(f"bitagent-{versions.version()}.dist-info/entry_points.txt").decode()
    assert {"bitagent", "kubectl-bitagent", "bitagent-eval"} <= set(re.findall(r"^([\w-]+) =", entry_points, re.M))
    metadata = Parser().parsestr(archive.read(f"bitagent-{versions.version()}.dist-info/METADATA").decode())
    assert {"cli", "evaluator", "operator"} <= set(metadata.get_all("Provides-Extra") or ())
    assert "tests" not in names


@pytest.mark.parametrize(
    ("module", "word"),
    [
        ("bitagent_cli.main", "leaderboard"),
        ("bitagent_evaluator.cli.app", "reproduce"),
        ("bitagent_operator.__main__", "explain"),
    ],
)
def test_the_commands_of_the_wheel_show_their_help(wheel: Path, module: str, word: str, tmp_path: Path) -> None:
    """The wheel's own files, not those of the checkout."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        f"import {module} as m, sys; assert m.__file__.startswith({str(tmp_path)!r}); sys.exit(m.main(['--help']))"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, word in done.stdout) == (0, True), done.stderr


def test_the_program_of_reading_pods_is_in_the_wheel(wheel: Path) -> None:
    assert "bitagent_cli/files/sender.py" in zipfile.ZipFile(wheel).namelist()


@pytest.mark.parametrize("chart", [chart.name for chart in versions.charts()])
def test_a_packaged_chart_is_the_chart(built: Path, chart: str) -> None:
    path = built / "charts" / f"{chart}-{versions.version()}.tgz"
    helm = str(ensure_binaries().helm)
    shown = subprocess.run([helm, "show", "chart", str(path)], capture_output=True, text=True, check=True)
    assert f"name: {chart}\n" in shown.stdout
    values = subprocess.run([helm, "show", "values", str(path)], capture_output=True, text=True, check=True)
    assert values.stdout.strip() == (ROOT / "charts" / chart / "values.yaml").read_text().strip()


def test_archives_are_normalised() -> None:
    def archive(mtime: int, names: list[str]) -> bytes:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz") as made:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.size, entry.mtime, entry.uname = 1, mtime, "me"
                made.addfile(entry, io.BytesIO(b"x"))
        return out.getvalue()

    first, second = repeatable(archive(1, ["a", "b"]), epoch=5), repeatable(archive(2, ["b", "a"]), epoch=5)
    assert first == second
    assert gzip.decompress(first)
    with tarfile.open(fileobj=io.BytesIO(first)) as read:
        assert [(each.name, each.mtime, each.uname) for each in read] == [("a", 5, ""), ("b", 5, "")]


def test_what_uv_leaves_out_is_in_no_lock_of_the_evaluator(built: Path) -> None:
    lines = [each for each in (built / "uv-overrides.txt").read_text().splitlines() if not each.startswith("#")]
    left_out = {line.partition(" ;")[0] for line in lines if line.endswith("sys_platform == 'never'")}
    locked = set(re.findall(r"^([a-z0-9.-]+)==", (ROOT / "requirements" / "evaluator.txt").read_text(), re.M))
    assert {"sentence-transformers", "faiss-cpu"} <= left_out
    assert left_out & locked == set()


LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_each_lock_has_a_bill_of_all_that_it_pins(lock: Path, built: Path) -> None:
    bill = json.loads((built / "sbom" / f"bitagent-{lock.stem}-{versions.version()}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    pinned = set(re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.M))
    listed = {(each["name"], each["version"]) for each in bill["components"] if "version" in each}
    assert listed == {(name.lower(), version) for name, version in pinned}
    references = [each["bom-ref"] for each in bill["components"]]
    assert len(references) == len(set(references))
    assert bill["dependencies"][0]["dependsOn"] == references
    assert all(each.get("hashes") for each in bill["components"] if "version" in each)


def test_lines_of_a_lock() -> None:
    digests = " \\\n".join(f"    --hash=sha256:{letter * 64}" for letter in "ab")
    text = f"# comment\nA.b==1.0 ; python_version < '4' \\\n{digests}\n./evaluator/vllm_on_cpu\n"
    assert list(sbom.packages(text)) == [
        sbom.Package("a.b", "1.0", ("a" * 64, "b" * 64), "python_version < '4'"),
        sbom.Package("vllm-on-cpu", "", ()),
    ]
    with pytest.raises(ValueError, match="not a pinned"):
        list(sbom.packages("name>=1\n"))


def test_the_image_for_gpus_is_named_and_not_built(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    release(tmp_path, epoch=EPOCH, helm=str(ensure_binaries().helm))
    assert "images/evaluator.Dockerfile" in capsys.readouterr().out
    assert images.FOR_GPUS not in images.released()
    assert {"operator", "validator", "evaluator-cpu"} <= set(images.released())


def test_an_unknown_image_ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--images", "nothing", "--helm", str(ensure_binaries().helm)]) == 1
    assert "no image of a release: nothing" in capsys.readouterr().err


def test_without_root_images_are_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    release(tmp_path, epoch=EPOCH, helm=str(ensure_binaries().helm), chosen="all")
    assert not (tmp_path / "images").exists()


def test_the_time_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    assert release_command.source_date() == 7


def test_the_time_is_that_of_the_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert release_command.source_date(ROOT) > EPOCH
    with pytest.raises(ReleaseError, match="SOURCE_DATE_EPOCH"):
        release_command.source_date(tmp_path)


def test_what_else_is_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    (tmp_path / "sbom").mkdir()
    (tmp_path / "sbom" / "old.json").write_text("x")
    release(tmp_path, epoch=EPOCH, helm=str(ensure_binaries().helm))
    assert (tmp_path / "mine").exists()
    assert not (tmp_path / "sbom" / "old.json").exists()
