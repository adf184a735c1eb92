"""Tags of a library's segments: edits that can be undone, counts, export, suggestions from examples, queries."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from soundloom.counted import counted
from soundloom.errors import LibraryError, QueryError
from soundloom.letter_case import folded
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.search.tag_query import TagQueries
from soundloom.library.segments import SegmentRef, Segments
from soundloom.library.tags.editor import Edit, TagEditor
from soundloom.library.tags.label_export import export_tags, tag_counts
from soundloom.library.tags.tag_names import checked_tag, stripped_tag

if TYPE_CHECKING:
    from soundloom.library.tags.active_learning import ExampleTagging

__all__ = ["LibraryTags"]


class LibraryTags:
    """The tags of one library: `Library.tags`.

    Tags belong to the content of a file: files that are the same byte for byte share them, and an edit of one is an
    edit of all. `Edit.copies` names those that were changed without being named.

    Args:
        index: the library's search index.
        editor: writes the edits.
        queries: searches by tags; its `vocabulary`, `query` and `remark_on_weights` are offered as they are.
    """

    def __init__(self, index: IndexCache, editor: TagEditor, queries: TagQueries) -> None:
        self._index = index
        self._editor = editor
        self.vocabulary, self.query = queries.vocabulary, queries.query
        self.remark_on_weights = queries.remark_on_weights

    def edit(self, tag: str, *, add: Iterable[SegmentRef] = (), remove: Iterable[SegmentRef] = ()) -> Edit:
        """Give a tag to some segments and take it from others, in one commit that `Edit.revert` takes back.

        Args:
            tag: the tag: a word or several, without commas, semicolons, ``|`` and line breaks.
            add: segments that shall have it; a file stands for all of its segments, also those it gets later.
            remove: segments that shall not have it.

        Raises:
            QueryError: a reference points at nothing in the library.
            LibraryError: the tag cannot be one, or a segment shall both have it and not.
        """
        return self._editor.edit(self._index.current().segments, {stripped_tag(tag): (_several(add), _several(remove))})

    def add(self, tag: str, segments: Iterable[SegmentRef]) -> Edit:
        """Give a tag to segments; as `edit`."""
        return self.edit(tag, add=segments)

    def remove(self, tag: str, segments: Iterable[SegmentRef]) -> Edit:
        """Take a tag from segments; as `edit`."""
        return self.edit(tag, remove=segments)

    def rename(self, old: str, new: str) -> Edit:
        """Give a tag another name, wherever it is given; a name that is there already takes its segments in.

        Raises:
            QueryError: no segment has the tag; those that are written nearly so are named.
            LibraryError: the new name cannot be a tag, or is the old one.
        """
        if stripped_tag(old) == checked_tag(new):
            raise LibraryError(f"the tag {old!r} is called so already: give another name")
        segments = self._index.current().segments
        tagged = self._with_tag(segments, old)
        return self._editor.edit(segments, {old: ((), tagged), new: (tagged, ())})

    def delete(self, tag: str) -> Edit:
        """Take a tag from every segment that has it; raises as `rename`."""
        segments = self._index.current().segments
        return self._editor.edit(segments, {tag: ((), self._with_tag(segments, tag))})

    def spellings(self, tag: str, segments: Iterable[SegmentRef] | None = None) -> list[str]:
        """The tags that are the same but for case, as searches take them; the most frequent first.

        Args:
            tag: one of them, or another spelling.
            segments: those that some of these have; None: of the whole library.

        Raises:
            QueryError: a reference points at nothing in the library.
        """
        known = self._index.current().segments
        alike = [name for name in self.counts() if folded(name) == folded(tag)]
        if segments is None:
            return alike
        rows = known.rows_of(_several(segments))
        return [name for name in alike if known.with_tag(name)[rows].any()]

    def spelling(self, tag: str, segments: Iterable[SegmentRef] | None = None) -> str:
        """The tag as it is written where it is given; as it is asked for where it is given so, or not at all.

        Args:
            tag: in any case.
            segments: as for `spellings`.

        Raises:
            QueryError: it is written in several ways, and in none of them here; or as for `spellings`.
        """
        tag = stripped_tag(tag)
        alike = self.spellings(tag, segments)
        if len(alike) > 1 and tag not in alike:
            raise QueryError(f"the tag {tag!r} is written {' and '.join(map(repr, alike))} here: name one of them")
        return tag if tag in alike or not alike else alike[0]

    def require(self, tag: str) -> None:
        """Raise as `rename` if no segment has the tag."""
        self._with_tag(self._index.current().segments, tag)

    def _with_tag(self, segments: Segments, tag: str) -> list[SegmentRef]:
        tagged = segments.with_tag(tag)
        if not tagged.any():
            given = {name.casefold(): name for name in self.counts()}
            near = [given[name] for name in get_close_matches(tag.casefold(), given, n=3, cutoff=0.6)]
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {counted(len(given), 'tag')}"
            raise QueryError(f"no sound of this library has the tag {tag!r} ({hint})")
        return segments.references(tagged)

    def set(self, segment: SegmentRef, tags: Iterable[str]) -> Edit:
        """Make these the tags of a file or segment, and no others; as `edit`."""
        return self._editor.set(self._index.current().segments, segment, tags)

    def counts(self) -> dict[str, int]:
        """Every tag in the library and how many segments have it, the most frequent first."""
        return tag_counts(self._index.current().rows)

    def export(self, out: str | os.PathLike[str], tag: str | None = None) -> int:
        """Write the tags to a table, a selection table, or a folder of label tracks; see `label_export`.

        Args:
            out: where.
            tag: the only tag that is written; None: every tag.

        Returns:
            How many tags of segments were written.

        Raises:
            InvalidArgumentError: an ending that is not known.
            ResourceError: the place cannot be written.
        """
        return export_tags(self._index.current().rows, out, tag)

    def by_example(
        self, tag: str, yes: Iterable[SegmentRef], no: Iterable[SegmentRef] = (), k: int = 50, *, above: float = 0.0
    ) -> ExampleTagging:
        """Rank the segments by how probably a tag fits them, learned from examples; nothing is written.

        Args:
            tag: the tag; segments that have it already are neither ranked nor doubted.
            yes: examples that it fits, at least one.
            no: examples that it does not fit.
            k: how many to rank and how many to doubt, at most.
            above: leave out of the ranking what is less probable than this.

        Raises:
            LibraryError: no tag can be called so.
            QueryError: no example, one that is both, one that is not in the library, or k below 1.
        """
        tag = checked_tag(tag)
        from soundloom.library.tags.active_learning import tagged_by_example

        positive, negative = list(yes), list(no)
        return self._index.use(lambda index: tagged_by_example(index, tag, positive, negative, k, above))


def _several(segments: Iterable[SegmentRef]) -> tuple[SegmentRef, ...]:
    """Segments, of which a single file may stand for several."""
    return (segments,) if isinstance(segments, str) else tuple(segments)
