"""Kubeflow Pipelines' API, version v2beta1, by its own client; what fails gets a sentence.

Reading is tried again. Writing is tried again only after a look whether the first attempt has
arrived all the same: nothing is submitted twice.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import kfp_server_api as api
import urllib3.exceptions
from absl import logging

from components.errors import ConfigError, ServiceError

_ATTEMPTS = 5
_FIRST_PAUSE = 0.5
_SECONDS = 30
_PASSING = (429, 500, 502, 503, 504)

T = TypeVar("T")


class Service:
    """The API of one Kubeflow.

    Attributes:
        host: address, such as `http://localhost:8080`.
        namespace: of multi-user Kubeflow; empty for none.
        pipelines, uploads, runs, recurring, experiments: the client's parts.
    """

    def __init__(self, host: str, namespace: str = "", token: str = "", pause: float = 1.0):
        configuration = api.Configuration(host=host.rstrip("/"))
        # What the client tries again by itself it would submit twice.
        configuration.retries = False
        if token:
            configuration.api_key["authorization"] = token
            configuration.api_key_prefix["authorization"] = "Bearer"
        client = api.ApiClient(configuration)
        self.host, self.namespace = host.rstrip("/"), namespace
        self.pipelines = api.PipelineServiceApi(client)
        self.uploads = api.PipelineUploadServiceApi(client)
        self.runs = api.RunServiceApi(client)
        self.recurring = api.RecurringRunServiceApi(client)
        self.experiments = api.ExperimentServiceApi(client)
        self._client, self._pause = client, pause

    def read(self, call: Callable[..., T], *arguments: Any, missing_is_none: bool = False) -> T:
        """The answer to a question, asked again where the service is busy or away.

        Args:
            call: a method of the client that changes nothing.
            *arguments: of it; a dictionary at the end is its keyword arguments.
            missing_is_none: whether 404 is an answer.

        Raises:
            ServiceError: no answer came.
            ConfigError: the question is refused.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return self._call(call, *arguments)
            except _FailedError as failed:
                if failed.status == 404 and missing_is_none:
                    return None
                if not failed.is_passing or attempt == _ATTEMPTS - 1:
                    raise failed.error from failed.__cause__
                self._wait(attempt, failed)
        raise AssertionError

    def write(self, call: Callable[..., T], *arguments: Any, find: Callable[[], T | None]) -> T:
        """Has something made, once.

        Args:
            call: a method of the client.
            *arguments: see `read`.
            find: looks for what an attempt may have made whose answer did not come.

        Raises:
            ServiceError: it was not made, or no answer says whether it was.
            ConfigError: it is refused.
        """
        for attempt in range(_ATTEMPTS):
            try:
                return self._call(call, *arguments)
            except _FailedError as failed:
                if failed.status == 409 or failed.is_passing:
                    found = find()
                    if found is not None:
                        return found
                if not failed.is_passing or attempt == _ATTEMPTS - 1:
                    raise failed.error from failed.__cause__
                self._wait(attempt, failed)
        raise AssertionError

    def pages(self, call: Callable, items: str, **arguments: Any):
        """All that a listing has, page by page."""
        token = ""
        while True:
            given = {"page_size": 100, **arguments} | ({"page_token": token} if token else {})
            page = self.read(call, given)
            yield from getattr(page, items) or ()
            token = page.next_page_token
            if not token:
                return

    def text(self, path: str) -> str:
        """What an address answers that the client has no method for, such as a log."""
        return self.read(self._text, path)

    def _text(self, path: str, _request_timeout: float):
        answer = self._client.rest_client.GET(
            self.host + path,
            headers=self._headers(),
            _preload_content=True,
            _request_timeout=_request_timeout,
        )
        return answer.data.decode(errors="replace")

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = dict(self._client.default_headers)
        self._client.update_params_for_auth(headers, [], ["Bearer"])
        return headers

    def _call(self, call: Callable[..., T], *arguments: Any) -> T:
        named: dict[str, Any] = {}
        plain = list(arguments)
        if plain and isinstance(plain[-1], dict):
            named = plain.pop()
        try:
            answer = call(*plain, _request_timeout=_SECONDS, **named)
        except api.ApiException as error:
            raise self._refused(error) from error
        except urllib3.exceptions.HTTPError as error:
            raise _FailedError(
                ServiceError(
                    f"expected Kubeflow Pipelines at {self.host}; got {_reason(error)}; to fix, "
                    "see that the address is right and reachable: kubectl port-forward -n kubeflow "
                    "svc/ml-pipeline-ui 8080:80"
                ),
                is_passing=True,
            ) from error
        except (ValueError, AttributeError) as error:  # Of the client, reading what is no answer.
            raise _FailedError(self._other_page()) from error
        if call != self._text and not hasattr(answer, "openapi_types") and answer is not None:
            if not isinstance(answer, dict):
                raise _FailedError(self._other_page())
        return answer

    def _other_page(self) -> ServiceError:
        return ServiceError(
            f"expected the API of Kubeflow Pipelines at {self.host}; got another page, perhaps a "
            "login; to fix, give the address of the API, or a token by --token-variable"
        )

    def _refused(self, error: api.ApiException) -> "_FailedError":
        said = " ".join(str(error.body or error.reason or "").split())[:300]
        match error.status:
            case 401:
                fix = "export a fresh token, and name its variable by --token-variable"
            case 403:
                fix = "see that the token's account may use the namespace, or give --namespace"
            case 404:
                fix = (
                    "see that the name is right, and that the server has the API v2beta1 (Kubeflow "
                    "Pipelines 2.0 or newer)"
                )
            case 429:
                fix = "wait, and submit again"
            case status if status and status >= 500:
                fix = "see the log of ml-pipeline in the namespace kubeflow, and submit again"
            case _:
                fix = "see what the server says"
        kind = ServiceError if error.status in _PASSING else ConfigError
        return _FailedError(
            kind(
                f"expected an answer from Kubeflow Pipelines at {self.host}; got {error.status} "
                f"{said}; to fix, {fix}"
            ),
            status=error.status,
            is_passing=error.status in _PASSING,
        )

    def _wait(self, attempt: int, failed: "_FailedError") -> None:
        pause = self._pause * _FIRST_PAUSE * 2**attempt
        logging.warning("%s; asked again in %.1f s", failed.error, pause)
        time.sleep(pause)


class _FailedError(Exception):
    """A call that failed, with what is to be said of it."""

    def __init__(self, error: Exception, status: int = 0, is_passing: bool = False):
        super().__init__(str(error))
        self.error, self.status, self.is_passing = error, status, is_passing


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    inner = getattr(error, "reason", None) or error
    text = str(inner)
    return text.rpartition(": ")[2] if "HTTPConnection" in text.partition(": ")[0] else text
