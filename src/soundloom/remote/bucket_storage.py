"""Object storage in buckets of S3, Google or Azure, with obstore; objects are created by ``If-None-Match``.

Region, credentials and endpoint come from the environment; see `soundloom.remote.object_stores`.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from soundloom.errors import InvalidArgumentError
from soundloom.remote.object_stores import obstore_api, open_object_store, resource_errors

__all__ = ["BucketStorage"]


class BucketStorage:
    """Objects below a prefix of a bucket. The server must honour ``If-None-Match: *``, as S3, MinIO and Ceph do.

    Args:
        scheme: ``s3``, ``gs`` or ``az``.
        place: ``BUCKET/PREFIX``.

    Raises:
        InvalidArgumentError: there is no bucket or no prefix.
        MissingExtraError: obstore is not installed.
    """

    def __init__(self, scheme: str, place: str) -> None:
        self._bucket, _, self._prefix = place.partition("/")
        if not self._bucket or not self._prefix:
            raise InvalidArgumentError(f"'{scheme}://{place}' names no prefix: write {scheme}://BUCKET/PREFIX")
        self._scheme = scheme
        self._api = obstore_api("a plan or library in an object store")
        self._errors = self._api.exceptions
        self._store = open_object_store(scheme, self._bucket, self._prefix)

    @property
    def address(self) -> str:
        """Bucket and prefix."""
        return f"{self._scheme}://{self._bucket}/{self._prefix}"

    def get(self, key: str) -> bytes | None:
        """See `ObjectStorage`."""
        with resource_errors(self.address):
            try:
                return bytes(self._api.get(self._store, key).bytes())
            except (FileNotFoundError, self._errors.NotFoundError):
                return None

    def put(self, key: str, content: bytes | Path) -> None:
        """See `ObjectStorage`."""
        with resource_errors(self.address):
            self._api.put(self._store, key, content)

    def create(self, key: str, content: bytes) -> bool:
        """See `ObjectStorage`."""
        with resource_errors(self.address):
            try:
                self._api.put(self._store, key, content, mode="create", use_multipart=False)
            except self._errors.AlreadyExistsError:
                # A request that was sent again after its answer was lost finds what it wrote itself.
                return self.get(key) == content
        return True

    def delete(self, key: str) -> None:
        """See `ObjectStorage`."""
        with resource_errors(self.address), suppress(FileNotFoundError, self._errors.NotFoundError):
            self._api.delete(self._store, key)

    def keys(self, prefix: str) -> list[str]:
        """See `ObjectStorage`."""
        with resource_errors(self.address):
            return sorted(str(found["path"]) for page in self._api.list(self._store, prefix) for found in page)
