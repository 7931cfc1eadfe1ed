"""Names that installed packages add: listed without an import, loaded on use, refused with what is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from bitagent_crds.conditions import Fault
from bitagent_crds.plugins import BrokenPlugin, PluginGroup, UnknownName, check_known, known_names, load

BUILTIN = {"Ours": len}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def install(site: Path, package: str, code: str, *, names: tuple[str, ...] = ("Theirs",)) -> None:
    """Install a package of one module whose attribute `made` is a scorer under each of the names."""
    info = site / f"{package}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1\n")
    entries = "".join(f"{name} = {package}:made\n" for name in names)
    (info / "entry_points.txt").write_text(f"[bitagent.scorers]\n{entries}")
    (site / f"{package}.py").write_text(code)


def test_names_of_a_package_are_listed_without_importing_it(site: Path) -> None:
    install(site, "listed_plugin", "raise RuntimeError('imported')", names=("Theirs", "Another"))
    assert known_names(PluginGroup.SCORERS, BUILTIN) == ["Another", "Ours", "Theirs"]
    assert known_names(PluginGroup.PROMPT_FORMATS, BUILTIN) == ["Ours"]


def test_a_name_of_a_package_is_known_without_importing_it(site: Path) -> None:
    install(site, "checked_plugin", "raise RuntimeError('imported')")
    check_known(PluginGroup.SCORERS, "Theirs", BUILTIN)
    check_known(PluginGroup.SCORERS, "Ours", BUILTIN)
    with pytest.raises(UnknownName):
        check_known(PluginGroup.SCORERS, "Vibes", BUILTIN)


def test_a_package_adds_a_name(site: Path) -> None:
    install(site, "good_plugin", "class made: pass")
    loaded = load(PluginGroup.SCORERS, "Theirs", BUILTIN)
    assert (loaded.__module__, loaded.__name__) == ("good_plugin", "made")


def test_a_built_in_name_cannot_be_replaced(site: Path) -> None:
    install(site, "greedy_plugin", "made = dict", names=("Ours",))
    assert load(PluginGroup.SCORERS, "Ours", BUILTIN) is len


def test_an_unknown_name_is_refused_with_the_known_ones(site: Path) -> None:
    install(site, "known_plugin", "made = dict")
    with pytest.raises(UnknownName, match="no scorer 'Vibes'; there are: Ours, Theirs") as caught:
        load(PluginGroup.SCORERS, "Vibes", BUILTIN)
    assert caught.value.known == ["Ours", "Theirs"]
    assert caught.value.fault is Fault.SPEC


@pytest.mark.parametrize(
    ("package", "code", "problem"),
    [
        pytest.param("lacking_plugin", "import a_module_that_is_missing", "ModuleNotFoundError", id="import fails"),
        pytest.param("empty_plugin", "other = 1", "AttributeError", id="no such attribute"),
        pytest.param("text_plugin", "made = 'text'", "neither a class nor a function", id="a text"),
    ],
)
def test_a_broken_package_is_named(site: Path, package: str, code: str, problem: str) -> None:
    install(site, package, code)
    with pytest.raises(BrokenPlugin, match=f"scorer Theirs of package {package} .*{problem}") as caught:
        load(PluginGroup.SCORERS, "Theirs", BUILTIN)
    assert caught.value.fault is Fault.INFRASTRUCTURE


def test_two_packages_with_one_name_are_refused(site: Path) -> None:
    for package in ("first_plugin", "second_plugin"):
        install(site, package, "made = dict")
    with pytest.raises(BrokenPlugin, match="first_plugin and second_plugin"):
        load(PluginGroup.SCORERS, "Theirs", BUILTIN)
