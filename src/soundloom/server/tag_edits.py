"""Changes of tags that can be undone."""

from __future__ import annotations

from collections import OrderedDict

from soundloom.library import Edit, Library
from soundloom.server.http.error_responses import ApiError
from soundloom.server.schemas import TagEdited, TagEditRequest

__all__ = ["TagEdits"]

_EDITS = 1000
"""Changes that can be undone."""


class TagEdits:
    """The changes of tags that were made through a server; used in one thread.

    Args:
        library: whose tags are changed.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._edits: OrderedDict[str, Edit] = OrderedDict()

    def apply(self, request: TagEditRequest) -> TagEdited:
        """Give a tag to segments and take it from others."""
        return self._remember(self._library.tags.edit(request.tag, add=request.add, remove=request.remove))

    def undo(self, identity: str) -> TagEdited:
        """Undo a change; that is a change in turn.

        Raises:
            ApiError: there is no such change.
        """
        edit = self._edits.get(identity)
        if edit is None:
            raise ApiError(404, "no_edit", f"there is no edit {identity!r}: edits are forgotten when the server stops")
        return self._remember(edit.revert())

    def _remember(self, edit: Edit) -> TagEdited:
        self._edits[edit.id] = edit
        while len(self._edits) > _EDITS:
            self._edits.popitem(last=False)
        return TagEdited(edit=edit.id, changed=edit.changed, copies=edit.changed_copies)
