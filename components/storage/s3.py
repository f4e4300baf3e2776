"""Stores that speak S3: `s3://bucket/key`, and `minio://bucket/key`, as Kubeflow calls its own.

Endpoint and credentials are those of boto3: `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY` and its other variables and files. Without an endpoint, `minio://` is at
that of an unchanged Kubeflow. Folders are names that files begin with: one is there while a file
lies in it. Amazon's and MinIO's stores show a write to all who read after it.
"""

import functools
import os
from collections.abc import Callable, Iterator

import boto3
import botocore.client
import botocore.config
import botocore.exceptions

MINIO_ENDPOINT = "http://minio-service.kubeflow:9000"
"""Of Kubeflow Pipelines, see its manifests."""

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_MISSING = ("404", "NoSuchKey", "NotFound")
_DENIED = ("403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch")


def set_endpoint() -> None:
    """Has boto3, and with it Beam, find Kubeflow's store where nothing else is said."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        os.environ[_ENDPOINTS[0]] = MINIO_ENDPOINT


@functools.cache
def _client(endpoint: str, key: str) -> botocore.client.BaseClient:
    """One for each endpoint and key: making one takes longer than a request."""
    del key
    config = botocore.config.Config(
        connect_timeout=5, read_timeout=60, retries={"max_attempts": 3, "mode": "standard"}
    )
    # Without a region nothing is signed; MinIO takes any.
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    return boto3.client("s3", config=config, region_name=region, endpoint_url=endpoint or None)


def _at(path: str) -> tuple[botocore.client.BaseClient, str, str]:
    """The client, the bucket and the key of a path."""
    scheme, _, rest = path.partition("://")
    if scheme == "minio":
        set_endpoint()
    bucket, _, key = rest.partition("/")
    if not bucket:
        raise OSError(f"{path}: expected an address as {scheme}://bucket/key; got no bucket")
    endpoint = next(filter(None, (os.environ.get(name) for name in _ENDPOINTS)), "")
    client = _client(endpoint, os.environ.get("AWS_ACCESS_KEY_ID", ""))
    return client, bucket, key.rstrip("/")


def _os_errors(function: Callable) -> Callable:
    """Makes what boto3 raises an OSError, as for a file of this machine."""

    @functools.wraps(function)
    def call(path: str, *arguments):
        try:
            return function(path, *arguments)
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchBucket":
                raise FileNotFoundError(f"{path}: there is no such bucket") from error
            if code in _MISSING:
                raise FileNotFoundError(f"{path}: there is no such file") from error
            if code in _DENIED:
                raise PermissionError(
                    f"{path}: the store refuses the key in AWS_ACCESS_KEY_ID, or it has no right "
                    f"to this ({code})"
                ) from error
            raise OSError(f"{path}: {error}") from error
        except botocore.exceptions.NoCredentialsError as error:
            raise PermissionError(
                f"{path}: no credentials for the store: set AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY"
            ) from error
        except botocore.exceptions.BotoCoreError as error:
            raise OSError(f"{path}: {error}") from error

    return call


def _keys(path: str, delimiter: str = "") -> Iterator[tuple[str, bool]]:
    """The keys below a folder, and whether each is one of a folder there."""
    client, bucket, key = _at(path)
    prefix = f"{key}/" if key else ""
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter=delimiter
    )
    for page in pages:
        for found in page.get("Contents", ()):
            # Some programs mark a folder by an empty file of its name.
            if not found["Key"].endswith("/"):
                yield found["Key"], False
        for found in page.get("CommonPrefixes", ()):
            yield found["Prefix"].rstrip("/"), True


@_os_errors
def exists(path: str) -> bool:
    """Whether a file or a folder is there."""
    return _is_file(path) or is_folder(path)


def _is_file(path: str) -> bool:
    client, bucket, key = _at(path)
    if not key:
        return False
    try:
        client.head_object(Bucket=bucket, Key=key)
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] in _MISSING:
            return False
        raise
    return True


@_os_errors
def is_folder(path: str) -> bool:
    """Whether a file lies below it."""
    return next(_keys(path), None) is not None


@_os_errors
def size_and_time(path: str) -> tuple[int, int]:
    """Bytes of a file, and the nanosecond it was last written at; stores know seconds."""
    client, bucket, key = _at(path)
    found = client.head_object(Bucket=bucket, Key=key)
    return found["ContentLength"], int(found["LastModified"].timestamp()) * 10**9


@_os_errors
def read_bytes(path: str) -> bytes:
    """The content of a file."""
    client, bucket, key = _at(path)
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


@_os_errors
def write_bytes(path: str, content: bytes) -> None:
    """Writes a file, whole or not at all."""
    client, bucket, key = _at(path)
    client.put_object(Bucket=bucket, Key=key, Body=content)


@_os_errors
def list_folder(folder: str) -> list[str]:
    """The names of what lies in a folder."""
    return sorted({key.rpartition("/")[2] for key, _ in _keys(folder, "/")})


@_os_errors
def walk_files(folder: str) -> list[str]:
    """The paths of all files below a folder."""
    scheme, _, rest = folder.partition("://")
    bucket = rest.partition("/")[0]
    return [f"{scheme}://{bucket}/{key}" for key, _ in _keys(folder)]


def make_folder(folder: str) -> None:
    """Does nothing: a folder is there with its first file."""
    _at(folder)


@_os_errors
def remove_file(path: str) -> None:
    """Removes a file.

    Raises:
        FileNotFoundError: there is none; the store itself would say nothing.
    """
    client, bucket, key = _at(path)
    client.head_object(Bucket=bucket, Key=key)
    client.delete_object(Bucket=bucket, Key=key)


@_os_errors
def remove_tree(folder: str) -> None:
    """Removes a folder with all that is in it."""
    client, bucket, _ = _at(folder)
    keys = [key for key, _ in _keys(folder)]
    for start in range(0, len(keys), 1000):  # As many as one request takes.
        chosen = [{"Key": key} for key in keys[start : start + 1000]]
        done = client.delete_objects(Bucket=bucket, Delete={"Objects": chosen, "Quiet": True})
        for fault in done.get("Errors", ()):
            raise OSError(f"{folder}: {fault['Key']} was not removed: {fault.get('Message')}")
