"""`examples/gitops`: health scripts of Argo CD by its own Lua, and what the files of the example say of each other."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bitagent_crds.validator import ValidatorSpec
from bitagent_local.cluster.binaries import ensure_binaries
from bitagent_local.cluster.gitops import ensure_lua

if TYPE_CHECKING:
    from tests.unit.charts.conftest import Helm

Obj = dict[str, Any]
EXAMPLES = Path(__file__).resolve().parents[3] / "examples/gitops"
KINDS = ("EvalRound", "MinerModel", "Validator")
DIGESTS = re.compile(r"@sha256:[0-9a-f]{64}")


def documents(name: str) -> list[Obj]:
    return [each for each in yaml.safe_load_all((EXAMPLES / name).read_text()) if each]


def scripts() -> Mapping[str, str]:
    (settings,) = documents("argocd/argocd-cm.yaml")
    found: dict[str, str] = settings["data"]
    return found


def lua(value: Any) -> str:
    """A value as Lua writes it; what is absent is nil there, too."""
    match value:
        case dict():
            return "{" + ", ".join(f"[{json.dumps(k)}] = {lua(v)}" for k, v in value.items()) + "}"
        case list():
            return "{" + ", ".join(map(lua, value)) + "}"
        case _:
            return json.dumps(value)


interpreter = cache(ensure_lua)


def health(kind: str, obj: Obj, folder: Path) -> tuple[str, str]:
    """Status and message that Argo CD shows."""
    script = scripts()[f"resource.customizations.health.{kind}"]
    program = f"local function check(obj)\n{script}\nend\nlocal h = check({lua(obj)})\n"
    file = folder / "check.lua"
    file.write_text(program + 'io.write(h.status .. "\\n" .. (h.message or ""))\n')
    done = subprocess.run([str(interpreter()), str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    status, _, message = done.stdout.partition("\n")
    return status, message


def seen(*conditions: tuple[str, str], generation: int = 3, observed: int = 3, suspend: bool = False) -> Obj:
    made = [{"type": kind, "status": status, "reason": f"Of{kind}", "message": "words"} for kind, status in conditions]
    return {
        "metadata": {"generation": generation},
        "spec": {"suspend": True} if suspend else {},
        "status": {"observedGeneration": observed, "conditions": made},
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("obj", "status", "message"),
    [
        pytest.param({"metadata": {"generation": 1}}, "Progressing", "not seen", id="no status"),
        pytest.param({"metadata": {"generation": 1}, "status": {}}, "Progressing", "not seen", id="no conditions"),
        pytest.param(seen(("Ready", "True"), generation=4), "Progressing", "not seen", id="older generation"),
        pytest.param(seen(("Ready", "True")), "Healthy", "OfReady: words", id="ready"),
        pytest.param(seen(("Ready", "False")), "Progressing", "OfReady: words", id="not ready"),
        pytest.param(seen(("Ready", "Unknown")), "Progressing", "OfReady: words", id="unknown"),
        pytest.param(seen(("Ready", "False"), ("Stalled", "True")), "Degraded", "OfStalled: words", id="stalled"),
        pytest.param(seen(("Stalled", "True"), ("Ready", "False")), "Degraded", "OfStalled: words", id="stalled first"),
        pytest.param(
            seen(("Stalled", "False"), ("Ready", "True")), "Healthy", "OfReady: words", id="no longer stalled"
        ),
        pytest.param(seen(("Other", "True")), "Progressing", "not seen", id="other conditions"),
        pytest.param(seen(("Ready", "False"), suspend=True), "Suspended", "OfReady: words", id="suspended"),
        pytest.param(seen(("Ready", "True"), suspend=True), "Healthy", "OfReady: words", id="suspended and complete"),
        pytest.param(seen(("Stalled", "True"), suspend=True), "Degraded", "OfStalled", id="suspended and failed"),
        pytest.param(seen(suspend=True, observed=2), "Progressing", "not seen", id="suspended a moment ago"),
    ],
)
def test_health_in_argocd(kind: str, obj: Obj, status: str, message: str, tmp_path: Path) -> None:
    found = health(f"bitagent.io_{kind}", obj, tmp_path)
    assert found[0] == status
    assert message in found[1]


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        pytest.param({}, "Progressing", id="new"),
        pytest.param({"status": {"health": {"status": "Degraded", "message": "m"}}}, "Degraded", id="as it says"),
    ],
)
def test_an_application_of_applications_waits_for_its_waves(obj: Obj, expected: str, tmp_path: Path) -> None:
    assert health("argoproj.io_Application", obj, tmp_path)[0] == expected


def test_every_kind_has_the_same_health() -> None:
    found = {name: text for name, text in scripts().items() if "bitagent.io" in name}
    assert set(found) == {f"resource.customizations.health.bitagent.io_{kind}" for kind in KINDS}
    assert len(set(found.values())) == 1


def built(folder: str) -> list[Obj]:
    """What kustomize makes of a folder."""
    command = [str(ensure_binaries().kubectl), "kustomize", str(EXAMPLES / folder)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [each for each in yaml.safe_load_all(text) if each]


def test_the_fleet_is_three_validators_of_the_same_competitions() -> None:
    found = {each["metadata"]["name"]: ValidatorSpec.model_validate(each["spec"]) for each in built("fleet")}
    assert list(found) == ["alpha", "beta", "gamma"]
    assert len({each.wallet.hotkey_secret_ref.name for each in found.values()}) == 3
    assert found["alpha"].competitions
    assert all(each.competitions == found["alpha"].competitions for each in found.values())


def test_flux_waits_for_every_validator_and_in_order() -> None:
    names = {each["metadata"]["name"] for each in built("fleet")}
    kustomizations = {each["metadata"]["name"]: each["spec"] for each in documents("flux/fleet.yaml")}
    kustomizations |= {each["metadata"]["name"]: each["spec"] for each in documents("flux/operator.yaml")}
    assert {check["name"] for check in kustomizations["fleet"]["healthChecks"]} == names
    order = {name: [each["name"] for each in spec.get("dependsOn", [])] for name, spec in kustomizations.items()}
    assert order == {"operator": [], "baseline": ["operator"], "fleet": ["baseline"]}
    for spec in kustomizations.values():
        assert (EXAMPLES / spec["path"]).is_dir()
        assert spec["prune"]


def test_waves_of_argocd() -> None:
    files = ("argocd/project.yaml", "argocd/operator.yaml", "argocd/fleet.yaml")
    waves = [int(documents(name)[0]["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) for name in files]
    assert waves == [-1, 0, 1]
    (project,) = documents("argocd/project.yaml")
    for name in files[1:]:
        (application,) = documents(name)
        spec = application["spec"]
        sources = spec.get("sources") or [spec["source"]]
        assert {each["repoURL"] for each in sources} <= set(project["spec"]["sourceRepos"])
        assert spec["project"] == project["metadata"]["name"]
        assert spec["destination"] in project["spec"]["destinations"]


def test_the_operators_values_are_those_of_the_chart(helm_for: Callable[[str], Helm]) -> None:
    (values,) = documents("operator/values.yaml")
    rendered = helm_for("bitagent-operator").render(values)
    images = {
        container["image"]
        for each in rendered.all("Deployment")
        for container in each["spec"]["template"]["spec"]["containers"]
    }
    assert images == {values["images"]["operator"]}
    (release,) = [each for each in built("operator") if each["kind"] == "HelmRelease"]
    (config,) = [each for each in built("operator") if each["kind"] == "ConfigMap"]
    assert release["spec"]["valuesFrom"] == [{"kind": "ConfigMap", "name": config["metadata"]["name"]}]
    assert yaml.safe_load(config["data"]["values.yaml"]) == values


def test_flux_updates_every_image_by_its_digest() -> None:
    text = (EXAMPLES / "operator/values.yaml").read_text()
    marked = dict(re.findall(r'^  (\w+): \S+ # \{"\$imagepolicy": "flux-system:(\w+)"\}$', text, re.MULTILINE))
    policies = {d["metadata"]["name"]: d["spec"] for d in documents("flux/images.yaml") if d["kind"] == "ImagePolicy"}
    images = yaml.safe_load(text)["images"]
    assert marked == {name: name for name in images}
    assert set(policies) == set(images)
    assert {each["digestReflectionPolicy"] for each in policies.values()} == {"IfNotPresent"}
    assert all(DIGESTS.search(each) for each in images.values())


def test_renovate_finds_every_image_with_its_digest() -> None:
    (manager,) = json.loads((EXAMPLES / "renovate.json").read_text())["customManagers"]
    (pattern,) = manager["matchStrings"]
    text = (EXAMPLES / "operator/values.yaml").read_text()
    found = [each.groupdict() for each in re.finditer(pattern.replace("(?<", "(?P<"), text)]
    images = [f"{each['depName']}:{each['currentValue']}@{each['currentDigest']}" for each in found]
    assert images == list(yaml.safe_load(text)["images"].values())
    (file,) = manager["managerFilePatterns"]
    assert re.search(file.strip("/"), "operator/values.yaml")
