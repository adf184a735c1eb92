"""Object storage of plans in S3 and what speaks its protocol, with obstore; created objects by ``If-None-Match``.

Region, credentials and endpoint come from the environment; see `soundloom.remote.object_stores`.
"""

from __future__ import annotations

from contextlib import suppress

from soundloom.errors import InvalidArgumentError
from soundloom.remote.object_stores import obstore_api, open_object_store, resource_errors

__all__ = ["S3Storage"]


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
        self._api = obstore_api("a plan in S3")
        self._errors = self._api.exceptions
        self._store = open_object_store("s3", self._bucket, self._prefix)

    @property
    def address(self) -> str:
        """Bucket and prefix."""
        return f"s3://{self._bucket}/{self._prefix}"

    def get(self, key: str) -> bytes | None:
        """See `ObjectStorage`."""
        with resource_errors(self.address):
            try:
                return bytes(self._api.get(self._store, key).bytes())
            except (FileNotFoundError, self._errors.NotFoundError):
                return None

    def put(self, key: str, content: bytes) -> None:
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
