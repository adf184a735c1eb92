"""Saved models on the Hugging Face hub, by way of huggingface_hub (the extra ``hub``).

An address is ``hf:owner/name`` or ``hf:owner/name@revision``; the prefix keeps it apart from a folder ``owner/name``.
What was fetched once is used from then on without asking again, so that a library finds the model it was filled
with; name a revision to have another.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from soundloom.errors import MissingExtraError, ModelError
from soundloom.models.download import Announcement, Source, is_offline

__all__ = ["is_address", "push", "snapshot"]

_PREFIX = "hf:"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def is_address(text: str | os.PathLike[str]) -> bool:
    """Whether a text is meant for the hub."""
    return isinstance(text, str) and text.startswith(_PREFIX)


def snapshot(
    address: str,
    files: tuple[str, ...],
    *,
    besides: tuple[str, ...] = (),
    offline: bool,
    announce: Callable[[Announcement], None] | None,
) -> Path:
    """The folder of a model, from the hub's cache or else the hub.

    Args:
        address: ``hf:owner/name`` or ``hf:owner/name@revision``.
        files: what is needed of it.
        besides: what is taken along where it is there.
        offline: never touch the network (the environment may say so as well).
        announce: told what is about to be fetched.

    Raises:
        ModelError: it is not to be had.
        MissingExtraError: huggingface_hub is not installed.
    """
    repository, _, revision = address.removeprefix(_PREFIX).partition("@")
    _check(repository)
    client = _client(f"loading {address}")
    wanted = {"repo_id": repository, "revision": revision or None, "allow_patterns": [*files, *besides]}
    try:
        folder = Path(client.snapshot_download(**wanted, local_files_only=True))
        if all((folder / name).is_file() for name in files):
            return folder
    except client.errors.LocalEntryNotFoundError:
        pass
    if offline or is_offline():
        raise ModelError(f"offline, and {address} is not in the cache of the Hugging Face hub: load it once online")
    if announce is not None:
        page = f"{client.constants.ENDPOINT}/{repository}/tree/{revision or 'main'}"
        source = Source(address=page, filename=" and ".join(files))
        announce(Announcement(source=source, address=page, path=Path(client.constants.HF_HUB_CACHE), held=0))
    try:
        return Path(client.snapshot_download(**wanted))
    except (OSError, ValueError, client.errors.HfHubHTTPError) as error:
        raise ModelError(f"cannot fetch {address}: {error}") from error


def push(repository: str, save: Callable[[Path], object], *, private: bool | None, token: str | None) -> str:
    """Save into a folder and upload it as one commit; returns the address of its page.

    Args:
        repository: ``owner/name``.
        save: told the folder.
        private: whether a new repository is hidden.
        token: what to log in with.

    Raises:
        ModelError: offline, or the hub refuses.
        MissingExtraError: huggingface_hub is not installed.
    """
    _check(repository)
    client = _client(f"publishing {repository}")
    if is_offline():
        raise ModelError(f"offline: {repository} cannot be published")
    api = client.HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        try:
            page = api.create_repo(repository, private=private, exist_ok=True)
            api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload a soundloom model")
        except (OSError, ValueError, client.errors.HfHubHTTPError) as error:
            raise ModelError(f"cannot publish {repository}: {error}") from error
    return str(page)


def _check(repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise ModelError(f"{repository!r} is no place on the Hugging Face hub: it should be owner/name")


def _client(purpose: str) -> ModuleType:
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ImportError:
        raise MissingExtraError("huggingface_hub", "hub", purpose) from None
    return huggingface_hub
