"""What a request is refused with: a code of gRPC's, and what the REST interface makes of it."""

import grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}
"""gRPC's codes by their numbers, which TensorFlow's are, too."""

HTTP = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""As in TensorFlow Serving's `model_servers/http_server.cc`; all others are 500."""


class Refusal(Exception):  # noqa: N818 - it is an answer, no fault of the server
    """An answer that is no result.

    Attributes:
        code: of gRPC's.
        message: for the client, worded as TensorFlow Serving's.
    """

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code, self.message = code, message

    @property
    def http_status(self) -> int:
        """That of the REST interface."""
        return HTTP.get(self.code, 500)


def invalid(message: str) -> Refusal:
    """The commonest one: the request is wrong."""
    return Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)
