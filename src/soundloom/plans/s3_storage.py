"""Object storage of plans in S3 and what speaks its protocol, with obstore; created objects by ``If-None-Match``.

Region, credentials and endpoint come from the environment as AWS tools read it: ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``,
``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``, ``AWS_ENDPOINT_URL``; without keys, from the role of the machine or
pod. obstore sends requests that fail in passing again, with waits that grow, for a minute at most.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from soundloom.errors import InvalidArgumentError, MissingExtraError, ResourceError
from soundloom.system_errors import first_line

__all__ = ["S3Storage"]

MAX_RETRIES = 8
_RETRY_TIMEOUT = timedelta(minutes=1)


class S3Storage:
    """Objects below a prefix of a bucket. The server must honour ``If-None-Match: *``, as S3, MinIO and Ceph do.

    Args:
        place: ``BUCKET/PREFIX``.

    Raises:
        InvalidArgumentError: there is no bucket or no prefix.
        MissingExtraError: obstore is not installed.
    """

    def __init__(self, place: str) -> None:
        self._bucket, _, self._prefix = place.partition("/")
        if not self._bucket or not self._prefix:
            raise InvalidArgumentError(f"'s3://{place}' names no place for a plan: write s3://BUCKET/PREFIX")
        try:
            import obstore
            from obstore.store import S3Store
        except ImportError:
            raise MissingExtraError("obstore", "s3", "a plan in S3") from None
        self._api: Any = obstore
        self._errors: Any = obstore.exceptions
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        chosen: dict[str, Any] = {"endpoint": endpoint} if endpoint else {}
        if endpoint and endpoint.startswith("http://"):
            chosen["client_options"] = {"allow_http": True}
        with self._translated():
            retries: Any = {"max_retries": MAX_RETRIES, "retry_timeout": _RETRY_TIMEOUT}
            self._store = S3Store(self._bucket, prefix=self._prefix, retry_config=retries, **chosen)

    @property
    def address(self) -> str:
        """Bucket and prefix."""
        return f"s3://{self._bucket}/{self._prefix}"

    def get(self, key: str) -> bytes | None:
        """See `ObjectStorage`."""
        with self._translated():
            try:
                return bytes(self._api.get(self._store, key).bytes())
            except (FileNotFoundError, self._errors.NotFoundError):
                return None

    def put(self, key: str, content: bytes) -> None:
        """See `ObjectStorage`."""
        with self._translated():
            self._api.put(self._store, key, content)

    def create(self, key: str, content: bytes) -> bool:
        """See `ObjectStorage`."""
        with self._translated():
            try:
                self._api.put(self._store, key, content, mode="create", use_multipart=False)
            except self._errors.AlreadyExistsError:
                # A request that was sent again after its answer was lost finds what it wrote itself.
                return self.get(key) == content
        return True

    def delete(self, key: str) -> None:
        """See `ObjectStorage`."""
        with self._translated(), suppress(FileNotFoundError, self._errors.NotFoundError):
            self._api.delete(self._store, key)

    def keys(self, prefix: str) -> list[str]:
        """See `ObjectStorage`."""
        with self._translated():
            return sorted(str(found["path"]) for page in self._api.list(self._store, prefix) for found in page)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (self._errors.BaseError, OSError) as error:
            raise ResourceError(
                f"{self.address}: {first_line(error)}: check the address, AWS_REGION, AWS_ENDPOINT_URL and the "
                "credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of this machine)"
            ) from error
