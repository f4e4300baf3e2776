"""Where the launcher has put what lies in a store, and back.

Before a step it downloads every input, and after it uploads every output
(kubeflow/pipelines, `backend/src/v2/component/launcher_v2.go: LocalPathForURI`): a step needs no
access to the store of the artifacts, and no library that speaks its protocol.
"""

from collections.abc import Iterable

from components.errors import ConfigError

_FOLDERS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}


def local(uri: str) -> str:
    """The launcher's path of an artifact.

    Raises:
        ConfigError: the launcher knows no such store.
    """
    for scheme, folder in _FOLDERS.items():
        if uri.startswith(scheme):
            return folder + uri.removeprefix(scheme)
    raise ConfigError(
        f"expected artifacts in {', '.join(_FOLDERS)}, which Kubeflow's launcher brings to a step; "
        f"got {uri or 'no address'}; to fix, start the run with a pipeline root of one of them"
    )


def addressed(text: str, uris: Iterable[str]) -> str:
    """A text with the addresses of artifacts where it has the launcher's paths of them.

    Args:
        text: such as a property of an artifact.
        uris: of the artifacts that it may name.
    """
    # The longest first: one may lie within another.
    for uri in sorted(uris, key=len, reverse=True):
        text = text.replace(local(uri), uri)
    return text
