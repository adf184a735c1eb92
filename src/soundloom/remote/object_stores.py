"""Object stores by address, with obstore: S3 and what speaks its protocol, Google Cloud Storage, Azure.

Region, credentials and endpoint come from the environment as the tools of the provider read it: ``AWS_REGION``,
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_ENDPOINT_URL``; ``GOOGLE_...``,
``AZURE_STORAGE_...``; without keys, from the role of the machine or pod. Requests that fail in passing are sent again,
with waits that grow, for a minute at most. Only S3 is tested, against moto.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import Any

from soundloom.errors import MissingExtraError, ResourceError
from soundloom.system_errors import first_line

__all__ = ["obstore_api", "open_object_store", "resource_errors"]

MAX_RETRIES = 8
_RETRY_TIMEOUT = timedelta(minutes=1)
_VARIABLES = {
    "s3": "AWS_REGION, AWS_ENDPOINT_URL and the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role "
    "of this machine)",
    "gs": "the credentials (GOOGLE_APPLICATION_CREDENTIALS, or the role of this machine)",
    "az": "the credentials (AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY)",
}


def obstore_api(purpose: str) -> Any:
    """The module `obstore`.

    Args:
        purpose: what it is needed for, for the message.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import obstore
    except ImportError:
        raise MissingExtraError("obstore", "s3", purpose) from None
    return obstore


def open_object_store(scheme: str, bucket: str, prefix: str = "") -> Any:
    """The store of a bucket; nothing is asked of the server.

    Args:
        scheme: ``s3``, ``gs`` or ``az``.
        bucket: the bucket, of ``az`` the container.
        prefix: put before every key.

    Raises:
        ResourceError: the settings in the environment are none.
    """
    variables = ("AWS_", "GOOGLE_", "AZURE_")
    environment = tuple(sorted(item for item in os.environ.items() if item[0].startswith(variables)))
    return _opened(scheme, bucket, prefix, MAX_RETRIES, environment)


@lru_cache(maxsize=64)
def _opened(scheme: str, bucket: str, prefix: str, retries: int, _environment: object) -> Any:
    """A store, kept with its connections while the variables that it was made from stay."""
    from obstore.store import AzureStore, GCSStore, S3Store

    chosen: dict[str, Any] = {
        "retry_config": {"max_retries": retries, "retry_timeout": _RETRY_TIMEOUT},
        **({"prefix": prefix} if prefix else {}),
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    with resource_errors(f"{scheme}://{bucket}"):
        if scheme == "gs":
            return GCSStore(bucket, **chosen)
        if scheme == "az":
            return AzureStore(bucket, **chosen)
        if endpoint:
            chosen["endpoint"] = endpoint
            chosen["client_options"] = {"allow_http": endpoint.startswith("http://")}
        return S3Store(bucket, **chosen)


@contextmanager
def resource_errors(address: str) -> Iterator[None]:
    """Give the errors of obstore as `ResourceError`, with the address and what to check."""
    import obstore

    errors: Any = obstore.exceptions
    try:
        yield
    except (errors.BaseError, OSError) as error:
        variables = _VARIABLES.get(address.partition(":")[0], "the environment")
        raise ResourceError(f"{address}: {first_line(error)}: check the address, {variables}") from error
