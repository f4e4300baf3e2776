"""A server with Kubeflow's API, which keeps what it is given and judges every request.

What it takes is what the client's package says: methods, paths, query parameters, and the fields
of bodies with their types, read from the package itself.
"""

import dataclasses
import importlib
import inspect
import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import kfp_server_api as api

SERVICES = ("Pipeline", "PipelineUpload", "Run", "RecurringRun", "Experiment")


@dataclasses.dataclass(frozen=True)
class Route:
    """One method of the API, as the client's source has it."""

    name: str
    verb: str
    pattern: re.Pattern
    queries: frozenset[str]
    body: str


def routes() -> list[Route]:
    """All methods of the services."""
    found = []
    for service in SERVICES:
        members = inspect.getmembers(getattr(api, f"{service}ServiceApi"), inspect.isfunction)
        for name, function in members:
            if not name.endswith("_with_http_info"):
                continue
            source = inspect.getsource(function)
            path, verb = re.search(r"call_api\(\s*'([^']+)', '(\w+)'", source).groups()
            body = re.search(r":type body: (\w+)", source)
            queries = re.findall(r"query_params\.append\(\('([^']+)'", source)
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/:]+)", re.escape(path))
            found.append(
                Route(
                    name.removesuffix("_with_http_info"),
                    verb,
                    re.compile(pattern),
                    frozenset(queries),
                    body[1] if body else "",
                )
            )
    return found


def judge(value, kind: str) -> None:
    """Refuses a value that is not of a type of the API."""
    if value is None or kind == "object":
        return
    if kind.startswith("list["):
        for each in value:
            judge(each, kind[5:-1])
    elif kind.startswith("dict("):
        inner = kind[5:-1].partition(", ")[2]
        for each in value.values():
            judge(each, inner)
    elif kind in ("str", "datetime"):
        assert isinstance(value, str), (value, kind)
    elif kind in ("int", "float", "bool"):
        assert isinstance(value, {"int": int, "float": (int, float), "bool": bool}[kind])
    else:
        model = getattr(importlib.import_module("kfp_server_api.models"), kind)
        if not hasattr(model, "openapi_types") or not model.openapi_types:
            allowed = [v for k, v in vars(model).items() if k.isupper() and isinstance(v, str)]
            assert value in allowed, (value, kind)
            return
        by_key = {model.attribute_map[name]: t for name, t in model.openapi_types.items()}
        unknown = value.keys() - by_key.keys()
        assert not unknown, f"{kind} has no {unknown}"
        for key, each in value.items():
            judge(each, by_key[key])


class FakeApi:
    """The server. `before` may answer in place of it: (status, body), `drop`, or None."""

    def __init__(self, token: str = ""):
        self.token = token
        self.pipelines: dict[str, dict] = {}
        self.versions: dict[str, dict] = {}
        self.files: dict[str, bytes] = {}
        self.runs: dict[str, dict] = {}
        self.recurring: dict[str, dict] = {}
        self.experiments: dict[str, dict] = {}
        self.requests: list[str] = []
        self.logs: dict[str, str] = {}
        self.before: Callable[[str, int], object] = lambda name, count: None
        self.after: Callable[[str, int], object] = lambda name, count: None
        self.faults: list[str] = []
        self._routes = routes()
        self._counts: dict[str, int] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self):
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def _answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                try:
                    status, content = fake.handle(self.command, self.path, self.headers, body)
                except AssertionError as error:
                    fake.faults.append(f"{self.command} {self.path}: {error}")
                    status, content = 400, {"message": str(error)}
                if status == "drop":
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                kind = "text/html" if data.startswith(b"<") else "application/json"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer

        return Handler

    def handle(self, verb: str, path: str, headers, body: bytes):
        """The answer to a request."""
        parts = urlsplit(path)
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"message": "unauthenticated"}
        if log := re.fullmatch(r"/apis/v1alpha1/runs/([^/]+)/nodes/([^/]+)/log", parts.path):
            self.requests.append("log")
            return 200, self.logs[log[2]].encode()
        matches = [
            (route, match)
            for route in self._routes
            if route.verb == verb and (match := route.pattern.fullmatch(parts.path))
        ]
        # `/pipelines/upload` is no pipeline named so.
        matches.sort(key=lambda pair: len(pair[1].groupdict()))
        assert matches, "no such method"
        route, match = matches[0]
        queries = {key: values[0] for key, values in parse_qs(parts.query).items()}
        assert queries.keys() <= route.queries, f"no query {queries.keys() - route.queries}"
        content = None
        if route.body:
            content = json.loads(body)
            judge(content, route.body)
        self.requests.append(route.name)
        count = self._counts[route.name] = self._counts.get(route.name, 0) + 1
        early = self.before(route.name, count)
        if early is not None:
            return early
        arguments = {key: unquote(value) for key, value in match.groupdict().items()}
        answer = getattr(self, route.name)(arguments, queries, content if content else body)
        late = self.after(route.name, count)
        return late if late is not None else answer

    # === The methods ===

    def pipeline_service_get_pipeline_by_name(self, arguments, queries, body):
        """See the API."""
        for each in self.pipelines.values():
            if each["display_name"] == arguments["name"]:
                return 200, each
        return 404, {"message": "not found"}

    def pipeline_service_create_pipeline(self, arguments, queries, body):
        """See the API."""
        if any(each["display_name"] == body["display_name"] for each in self.pipelines.values()):
            return 409, {"message": "already exists"}
        return 200, self._kept(self.pipelines, "pipeline_id", body)

    def pipeline_service_list_pipeline_versions(self, arguments, queries, body):
        """See the API."""
        of = [v for v in self.versions.values() if v["pipeline_id"] == arguments["pipeline_id"]]
        return self._page(of, "pipeline_versions", queries)

    def upload_pipeline_version(self, arguments, queries, body):
        """See the API."""
        head, _, rest = body.partition(b"\r\n\r\n")
        assert b'name="uploadfile"' in head and b".yaml" in head
        if any(v["display_name"] == queries["name"] for v in self.versions.values()):
            return 409, {"message": "already exists"}
        made = {"pipeline_id": queries["pipelineid"], "display_name": queries["name"]}
        kept = self._kept(self.versions, "pipeline_version_id", made)
        self.files[kept["pipeline_version_id"]] = rest.rpartition(b"\r\n--")[0]
        return 200, kept

    def run_service_create_run(self, arguments, queries, body):
        """See the API."""
        return 200, self._kept(self.runs, "run_id", {"state": "PENDING", **body})

    def run_service_list_runs(self, arguments, queries, body):
        """See the API."""
        newest = sorted(self.runs.values(), key=lambda run: run["created_at"], reverse=True)
        return self._page(newest, "runs", queries)

    def run_service_get_run(self, arguments, queries, body):
        """See the API."""
        run = self.runs.get(arguments["run_id"])
        return (200, run) if run else (404, {"message": "no such run"})

    def run_service_terminate_run(self, arguments, queries, body):
        """See the API."""
        self.runs[arguments["run_id"]]["state"] = "CANCELING"
        return 200, {}

    def recurring_run_service_create_recurring_run(self, arguments, queries, body):
        """See the API."""
        return 200, self._kept(self.recurring, "recurring_run_id", body)

    def recurring_run_service_list_recurring_runs(self, arguments, queries, body):
        """See the API."""
        return self._page(list(self.recurring.values()), "recurringRuns", queries)

    def recurring_run_service_delete_recurring_run(self, arguments, queries, body):
        """See the API."""
        gone = self.recurring.pop(arguments["recurring_run_id"], None)
        return (200, {}) if gone else (404, {"message": "no such recurring run"})

    def experiment_service_list_experiments(self, arguments, queries, body):
        """See the API."""
        return self._page(list(self.experiments.values()), "experiments", queries)

    def experiment_service_create_experiment(self, arguments, queries, body):
        """See the API."""
        return 200, self._kept(self.experiments, "experiment_id", body)

    def _kept(self, table: dict, key: str, body: dict) -> dict:
        number = str(uuid.uuid4())
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{now % 1:.6f}"[2:] + "Z"
        table[number] = {**body, key: number, "created_at": stamp}
        return table[number]

    def _page(self, items: list, key: str, queries: dict):
        """Pages of at most two, so that every listing has several."""
        start = int(queries.get("page_token") or 0)
        end = start + min(2, int(queries["page_size"]))
        more = {"next_page_token": str(end)} if end < len(items) else {}
        return 200, {key: items[start:end], "total_size": len(items), **more}
