"""What starts a server is what TensorFlow Serving, Kubernetes and Compose would take."""

import json
import re
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from types import SimpleNamespace

import pytest
import yaml
from google.protobuf import text_format
from kubernetes import client

from components.serving import batching, models_config
from components.serving.push_options import PushOptions
from components.serving.server import messages
from components.serving.server.messages import FIELD, PACKAGE, BatchingParameters
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "serving"
# tensorflow_serving/config/monitoring_config.proto.
MonitoringConfig = messages.classes(
    {
        "PrometheusConfig": ((1, "enable", FIELD.TYPE_BOOL), (2, "path", FIELD.TYPE_STRING)),
        "MonitoringConfig": ((1, "prometheus_config", f".{PACKAGE}.PrometheusConfig"),),
    }
)["MonitoringConfig"]
KUBERNETES = ("common", "cpu", "gpu", "kserve")
READY = re.compile(r"/v1/models/(deeplab|\{\{\.Name\}\})/metadata")


def documents(*names: str) -> Iterator[dict]:
    for name in names:
        yield from yaml.safe_load_all((FOLDER / "kubernetes" / f"{name}.yaml").read_text())


def of_kind(kind: str, *names: str) -> list[dict]:
    return [each for each in documents(*(names or KUBERNETES)) if each["kind"] == kind]


def pods() -> list[dict]:
    """The specifications of all pods: Deployments', and the ServingRuntime, which is one itself."""
    deployed = [each["spec"]["template"]["spec"] for each in of_kind("Deployment")]
    return deployed + [each["spec"] for each in of_kind("ServingRuntime")]


def containers() -> list[dict]:
    return [container for pod in pods() for container in pod["containers"]]


def compose() -> dict:
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def flags(words: list[str]) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in words)


def servers() -> list[dict[str, str]]:
    """The flags of every server, wherever it is started."""
    started = [container["args"] for container in containers()]
    return [flags(words) for words in [*started, *(s["command"] for s in compose().values())]]


# === TensorFlow Serving's own files ===


def test_its_files_are_its_messages():
    threads = text_format.Parse((FOLDER / "batching.config").read_text(), BatchingParameters())
    assert threads.num_batch_threads.value >= 1 and threads.thread_pool_name.value
    # All else would be ignored beside the versions' own.
    assert {field.name for field, _ in threads.ListFields()} == {
        "num_batch_threads",
        "thread_pool_name",
    }
    monitoring = text_format.Parse((FOLDER / "monitoring.config").read_text(), MonitoringConfig())
    assert monitoring.prometheus_config.enable and monitoring.prometheus_config.path


@pytest.mark.parametrize("sizes", [(1,), (1, 4, 8), (3, 5), tuple(range(1, 17)), (128,)])
def test_a_version_says_how_its_requests_are_joined(sizes):
    options = PushOptions(batch_sizes=sizes, batch_timeout_micros=0)
    text = batching.parameters(options.batch_sizes, options.batch_timeout_micros)
    found = text_format.Parse(text, BatchingParameters())
    assert tuple(found.allowed_batch_sizes) == sizes
    assert found.max_batch_size.value == sizes[-1]  # A server refuses the version otherwise.
    assert found.HasField("batch_timeout_micros") and found.batch_timeout_micros.value == 0
    assert not found.pad_variable_length_inputs


@pytest.mark.parametrize("sizes", [[], [0], [129], [4, 1], [2, 2], [1.5], "1", list(range(1, 18))])
def test_sizes_that_no_server_takes_are_refused(sizes):
    with pytest.raises(ValueError, match=r"expected push.batch_sizes to be .*; to fix, "):
        PushOptions(batch_sizes=sizes)


def test_every_server_is_started_by_the_contract():
    assert len(servers()) == 5
    for given in servers():
        assert given["enable_batching"] == given["enable_per_model_batching_parameters"] == "true"
        assert given["batching_parameters_file"] == "/config/batching.config"
        assert given["monitoring_config_file"] == "/config/monitoring.config"
        assert given["enable_grpc_healthcheck_service"] == "true"
        assert "rest_api_port" in given  # Prometheus asks there.
        if "model_config_file" in given:
            folder, file = given["model_config_file"].rsplit("/", 1)
            assert (folder, file) == (models_config.MOUNTED, models_config.FILE)
            assert int(given["model_config_file_poll_wait_seconds"]) > 0
            # The file names versions that a server which just starts has not loaded.
            assert given["allow_version_labels_for_unavailable_models"] == "true"
        else:
            assert given["model_base_path"] == "/mnt/models"


# === Kubernetes ===


def test_it_reads_every_field_as_it_is_written():
    """A field that the API does not know, or of another type, would come back as nothing."""
    api = client.ApiClient()
    seen = set()
    for document in documents("common", "cpu", "gpu"):
        group, _, version = document["apiVersion"].rpartition("/")
        name = f"{version[0].upper()}{version[1:]}{document['kind']}"
        seen.add((group, name))
        parsed = api.deserialize(SimpleNamespace(data=json.dumps(document)), name)
        assert api.sanitize_for_serialization(parsed) == document
    assert len(seen) == 8


def test_a_misspelt_field_does_not_come_back():
    (document, *_) = of_kind("Deployment")
    document["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    api = client.ApiClient()
    parsed = api.deserialize(SimpleNamespace(data=json.dumps(document)), "V1Deployment")
    assert api.sanitize_for_serialization(parsed) != document


def test_every_container_is_locked_in():
    assert len(pods()) == len(containers()) == 3
    for pod, container in zip(pods(), containers(), strict=True):
        safe = pod.get("securityContext", {}) | container["securityContext"]
        assert safe["runAsNonRoot"] is True and safe["runAsUser"] > 0
        assert safe["readOnlyRootFilesystem"] is True
        assert safe["allowPrivilegeEscalation"] is False
        assert safe["capabilities"] == {"drop": ["ALL"]}
        assert safe["seccompProfile"] == {"type": "RuntimeDefault"}
        mounted = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
        assert {path for path, mount in mounted.items() if not mount.get("readOnly")} == {"/tmp"}
        named = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in mounted.values()} == named
    for owner in [*of_kind("ServiceAccount"), *(each for each in pods() if "volumes" in each)]:
        if "supportedModelFormats" not in owner:  # There it is the InferenceService's.
            assert owner["automountServiceAccountToken"] is False


def test_ready_is_who_answers_and_alive_who_runs():
    for container in containers():
        ports = {"http", int(flags(container["args"])["rest_api_port"])}
        for probe in ("startupProbe", "readinessProbe"):
            asked = container[probe]["httpGet"]
            assert READY.fullmatch(asked["path"]) and asked["port"] in ports
        assert container["livenessProbe"]["grpc"] == {"port": int(flags(container["args"])["port"])}
        # A version that a server tries five times, a minute apart, is no reason to kill it.
        start = container["startupProbe"]
        assert start["periodSeconds"] * start["failureThreshold"] >= 600


def test_every_container_says_what_it_takes_and_of_which_version_it_is():
    images = [c["image"] for c in containers()] + [s["image"] for s in compose().values()]
    assert all(re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+(-gpu)?", image) for image in images)
    assert len({image.removesuffix("-gpu") for image in images}) == 1
    for container in containers():
        asked, most = (container["resources"][key] for key in ("requests", "limits"))
        assert {"cpu", "memory"} <= asked.keys() == most.keys()
        is_gpu = container["image"].endswith("-gpu")
        assert is_gpu == ("nvidia.com/gpu" in most)
        assert asked.get("nvidia.com/gpu") == most.get("nvidia.com/gpu")


def test_some_replica_always_answers():
    (budget,) = of_kind("PodDisruptionBudget")
    (service,) = of_kind("Service")
    wanted = service["spec"]["selector"]
    assert budget["spec"]["minAvailable"] >= 1
    assert budget["spec"]["selector"]["matchLabels"] == wanted
    deployments = {each["metadata"]["name"]: each for each in of_kind("Deployment")}
    scaled = {each["spec"]["scaleTargetRef"]["name"]: each for each in
              of_kind("HorizontalPodAutoscaler")}  # fmt: skip
    assert deployments.keys() == scaled.keys()
    for name, deployment in deployments.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert wanted.items() <= labels.items()
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert "replicas" not in deployment["spec"]  # The autoscaler's; it would be reset.
        assert scaled[name]["spec"]["minReplicas"] > budget["spec"]["minAvailable"]
    (predictor,) = (each["spec"]["predictor"] for each in of_kind("InferenceService"))
    assert predictor["minReplicas"] >= 2


def test_names_point_to_what_is_there():
    claims = {each["metadata"]["name"] for each in of_kind("PersistentVolumeClaim")}
    maps = {each["metadata"]["name"]: each["data"] for each in of_kind("ConfigMap")}
    for pod in pods():
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps
    for content in maps.values():
        assert content == {
            name: (FOLDER / name).read_text() for name in ("batching.config", "monitoring.config")
        }
    (service,), (predictor,) = of_kind("Service"), of_kind("InferenceService")
    assert {port["targetPort"] for port in service["spec"]["ports"]} == {"grpc", "http"}
    model = predictor["spec"]["predictor"]["model"]
    (runtime,) = of_kind("ServingRuntime")
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["storageUri"].split("/")[2] in claims
    formats = {(f["name"], f["version"]) for f in runtime["spec"]["supportedModelFormats"]}
    assert tuple(model["modelFormat"].values()) in formats
    (monitored,) = {
        text_format.Parse(
            maps[name]["monitoring.config"], MonitoringConfig()
        ).prometheus_config.path
        for name in maps
    }
    annotated = [each["spec"]["template"]["metadata"]["annotations"] for each in
                 of_kind("Deployment")] + [runtime["spec"]["annotations"]]  # fmt: skip
    for annotations in annotated:
        assert {v for k, v in annotations.items() if k.endswith("/path")} == {monitored}


# === Compose ===


def test_compose_locks_in_and_limits_too():
    assert compose().keys() == {"serving", "serving-gpu"}
    for name, service in compose().items():
        assert service["user"] == "1000:1000" and service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(volume["read_only"] for volume in service["volumes"])
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        resources = service["deploy"]["resources"]
        assert resources["limits"].keys() == {"cpus", "memory"}
        assert (name == "serving-gpu") == ("reservations" in resources)
        assert service["entrypoint"] == ["/usr/bin/tensorflow_model_server"]
        assert flags(service["command"]) == flags(
            of_kind("Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["args"]
        )


@pytest.mark.parametrize(
    ("status", "is_healthy"), [(200, True), (404, False), (503, False), (None, False)]
)
def test_its_health_is_a_model_that_answers(status, is_healthy):
    """The check itself, by bash, against a real socket; only the image's port is another."""
    asked = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_):
            pass

    (command, *rest) = compose()["serving"]["healthcheck"]["test"][1:]
    with socketserver.TCPServer(("127.0.0.1", 0), Answer) as server:
        port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        server_is_gone = status is None
        if server_is_gone:
            server.shutdown()
            server.server_close()
        words = [word.replace("8501", str(port)).replace("$$", "$") for word in rest]
        done = subprocess.run(
            [command, *words], env={"MODEL": "deeplab"}, check=False, capture_output=True
        )
        server.shutdown()
        thread.join()
    assert (done.returncode == 0) == is_healthy, done.stderr
    assert asked == ([] if server_is_gone else ["/v1/models/deeplab/metadata"])
