"""Every manifest is one by its own schema, strictly: what no schema knows is refused."""

import copy
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "serving"
FILES = sorted((FOLDER / "kubernetes").glob("*.yaml"))
RELEASES = ("1.29", "1.32", "1.37")
"""Of Kubernetes: an old one, one between, the newest that there are schemas of."""

CUSTOM = "serving.kserve.io/"
KSERVE = "github.com/kserve/kserve@v0.16.0"
CHECK_JSONSCHEMA = "check-jsonschema==0.39.0"
"""Carries the schema of Compose's own specification."""


def documents(*, custom: bool) -> list[dict]:
    """Of all files, those of Kubernetes' own kinds or the others."""
    found = [each for file in FILES for each in yaml.safe_load_all(file.read_text())]
    return [each for each in found if each["apiVersion"].startswith(CUSTOM) == custom]


def named(document: dict) -> str:
    return f"{document['kind']}-{document['metadata']['name']}"


def mappings(value: object) -> Iterator[dict]:
    """All mappings in a document, itself first."""
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from mappings(each)
    elif isinstance(value, list):
        for each in value:
            yield from mappings(each)


FREE = ("data", "labels", "annotations", "matchLabels", "selector", "requests", "limits",
        "metadata", "emptyDir")  # fmt: skip
"""Mappings of a person's own words, and some that lie in or around them."""


def misspelt(document: dict, count: int = 12) -> Iterator[tuple[str, dict]]:
    """Copies with one name in one place misspelt, wherever names are the schema's."""
    rng = random.Random(json.dumps(document))
    places = [
        (index, key)
        for index, each in enumerate(mappings(document))
        for key in each
        if key not in ("apiVersion", "kind") and not _is_free(document, each)
    ]
    for index, key in rng.sample(places, min(count, len(places))):
        other = copy.deepcopy(document)
        place = list(mappings(other))[index]
        place[f"{key}z"] = place.pop(key)
        yield key, other


def _is_free(document: dict, mapping: dict) -> bool:
    return any(
        key in FREE and each is mapping
        for outer in mappings(document)
        for key, each in outer.items()
    )


# === Kubernetes ===


def test_every_file_has_documents_of_known_kinds():
    assert {file.stem for file in FILES} == {"common", "cpu", "gpu", "kserve"}
    assert len(documents(custom=False)) == 11
    assert {each["kind"] for each in documents(custom=True)} == {
        *("InferenceService", "ServingRuntime")
    }


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("document", documents(custom=False), ids=named)
def test_kubernetes_takes_it(document, release):
    assert kubernetes_validate.validate(document, release, strict=True) == release


@pytest.mark.parametrize("document", documents(custom=False), ids=named)
def test_a_misspelt_name_is_refused(document):
    for key, other in misspelt(document):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(other, RELEASES[-1], strict=True)
            pytest.fail(f"{key}z is taken")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"), "8500"),
        (("spec", "template", "spec", "containers", 0, "args"), "--port=8500"),
        (("spec", "template", "spec", "securityContext", "runAsNonRoot"), "true"),
        (("spec", "template", "spec", "terminationGracePeriodSeconds"), 1.5),
    ],
)
def test_a_value_of_another_type_is_refused(path, value):
    (document, *_) = (each for each in documents(custom=False) if each["kind"] == "Deployment")
    place = document
    for key in path[:-1]:
        place = place[key]
    assert place[path[-1]] != value
    place[path[-1]] = value
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, RELEASES[-1], strict=True)


# === What is named is there ===


def pods() -> list[dict]:
    """The specifications of all pods: Deployments', and the ServingRuntime, which is one itself."""
    deployed = [each for each in documents(custom=False) if each["kind"] == "Deployment"]
    runtimes = [each for each in documents(custom=True) if each["kind"] == "ServingRuntime"]
    return [each["spec"]["template"]["spec"] for each in deployed] + [
        each["spec"] for each in runtimes
    ]


def of_kind(kind: str) -> dict[str, dict]:
    return {
        each["metadata"]["name"]: each for each in documents(custom=False) if each["kind"] == kind
    }


def test_ports_volumes_accounts_and_targets_that_are_named_are_there():
    for pod in pods():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for volume in volumes.values():
            if "configMap" in volume:
                assert volume["configMap"]["name"] in of_kind("ConfigMap")
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert claim in of_kind("PersistentVolumeClaim")
        assert pod.get("serviceAccountName", "deeplab-serving") in of_kind("ServiceAccount")
        for container in pod["containers"]:
            mounts = [mount["name"] for mount in container["volumeMounts"]]
            assert sorted(mounts) == sorted(volumes)
            ports = container["ports"]
            known = {port.get("name") for port in ports} | {port["containerPort"] for port in ports}
            flags = dict(word.removeprefix("--").split("=", 1) for word in container["args"])
            heard = {int(flags["port"]), int(flags["rest_api_port"])}
            assert {port["containerPort"] for port in ports} <= heard
            for probe in ("startupProbe", "readinessProbe"):
                assert container[probe]["httpGet"]["port"] in known
            assert container["livenessProbe"]["grpc"]["port"] in heard
            for flag in ("batching_parameters_file", "monitoring_config_file"):
                folder, _, file = flags[flag].rpartition("/")
                (mount,) = (m for m in container["volumeMounts"] if m["mountPath"] == folder)
                name = volumes[mount["name"]]["configMap"]["name"]
                assert file in of_kind("ConfigMap")[name]["data"]
    deployed = [each["spec"]["template"] for each in of_kind("Deployment").values()]
    for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget"):
        for each in of_kind(kind).values():
            spec = each["spec"]
            wanted = spec.get("selector", spec.get("podSelector"))
            wanted = wanted.get("matchLabels", wanted)
            assert all(wanted.items() <= pod["metadata"]["labels"].items() for pod in deployed)
    for service in of_kind("Service").values():
        for port in service["spec"]["ports"]:
            for pod in deployed:
                (container,) = pod["spec"]["containers"]
                there = {each["name"]: each["containerPort"] for each in container["ports"]}
                assert there[port["targetPort"]] == port["port"]
    for scaler in of_kind("HorizontalPodAutoscaler").values():
        target = scaler["spec"]["scaleTargetRef"]
        assert target["name"] in of_kind(target["kind"])


# === KServe, and Compose: their schemas come from registries ===


def strict(schema: dict) -> dict:
    """A schema of a custom resource that refuses what it does not name, as `kubectl` does."""
    if not isinstance(schema, dict):
        return schema
    made = {
        key: {name: strict(each) for name, each in value.items()}
        if key == "properties"
        else strict(value)
        if key in ("items", "additionalProperties")
        else value
        for key, value in schema.items()
    }
    is_open = made.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in made
    if "properties" in made and not is_open:
        made["additionalProperties"] = False
    if made.pop("x-kubernetes-int-or-string", False):
        made.pop("type", None)
        made["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    return made


@pytest.fixture(scope="module")
def kserve(tmp_path_factory) -> Callable[[dict], None]:
    """Validates a document of KServe's kinds by the definitions of a release."""
    folder = tmp_path_factory.mktemp("go")
    (folder / "go.mod").write_text("module schemas\n\ngo 1.21\n")
    done = subprocess.run(
        ["go", "mod", "download", "-json", KSERVE],
        cwd=folder, check=True, capture_output=True, text=True,
    )  # fmt: skip
    schemas = {}
    for file in Path(json.loads(done.stdout)["Dir"], "config", "crd", "full").glob("*.yaml"):
        definition = yaml.safe_load(file.read_text())
        for version in definition.get("spec", {}).get("versions", ()):
            name = f"{definition['spec']['group']}/{version['name']}"
            schema = strict(version["schema"]["openAPIV3Schema"])
            validator = jsonschema.Draft202012Validator(schema)
            schemas[name, definition["spec"]["names"]["kind"]] = validator

    def validate(document: dict) -> None:
        # A custom resource's metadata is Kubernetes' own, which its definition leaves out.
        body = {key: value for key, value in document.items() if key != "metadata"}
        schemas[document["apiVersion"], document["kind"]].validate(body)

    return validate


@pytest.mark.needs_more
@pytest.mark.parametrize("document", documents(custom=True), ids=named)
def test_kserve_takes_it_and_no_misspelt_name(document, kserve):
    kserve(document)
    for key, other in misspelt({key: document[key] for key in ("apiVersion", "kind", "spec")}):
        with pytest.raises(jsonschema.ValidationError):
            kserve(other)
            pytest.fail(f"{key}z is taken")


@pytest.mark.needs_more
def test_compose_takes_its_file_and_no_misspelt_name(tmp_path):
    def is_taken(file: Path) -> bool:
        done = subprocess.run(
            [Path(sys.executable).with_name("uv"), "tool", "run", "--from", CHECK_JSONSCHEMA,
             "check-jsonschema", "--builtin-schema", "vendor.compose-spec", file],
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0

    text = (FOLDER / "compose.yaml").read_text()
    assert is_taken(FOLDER / "compose.yaml")
    names = ("read_only", "cap_drop", "volumes", "healthcheck", "start_period", "reservations")
    for name in names:
        assert f"{name}:" in text
        other = tmp_path / "compose.yaml"
        other.write_text(text.replace(f"{name}:", f"{name}z:", 1))
        assert not is_taken(other), name
