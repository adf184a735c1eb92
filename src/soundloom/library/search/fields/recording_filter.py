"""Filter of recordings by site, hour of the day and date."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time

from soundloom.errors import InvalidArgumentError, QueryError
from soundloom.letter_case import folded

__all__ = ["RecordingFilter", "moment_of", "parse_hours"]

_DAY = 24.0


@dataclass(frozen=True, kw_only=True)
class RecordingFilter:
    """Where and when something was recorded; every condition that is given must hold.

    What has no known recording time satisfies no condition on hours or dates.

    Attributes:
        site: where, in any case (`soundloom.library.Deployments`).
        hours: the first hour of the day and the one before which it ends, 0 to 24: 4 and 8 are from 04:00 to 08:00,
            22 and 4 are the night.
        after: at that moment or later; a day means its beginning.
        before: before that moment.

    Raises:
        InvalidArgumentError: hours that the day does not have.
    """

    site: str | None = None
    hours: tuple[float, float] | None = None
    after: date | None = None
    before: date | None = None

    def __post_init__(self) -> None:
        if self.hours is not None and not all(0 <= hour <= _DAY for hour in self.hours):
            raise InvalidArgumentError(f"hours are from 0 to 24, got {self.hours}")

    def __bool__(self) -> bool:
        return self != type(self)()

    @property
    def is_timed(self) -> bool:
        """Whether the recording time decides."""
        return any(value is not None for value in (self.hours, self.after, self.before))

    def admits(self, site: str, moment: datetime | None) -> bool:
        """Whether a region is meant.

        Args:
            site: where it was recorded.
            moment: when it began, if that is known.
        """
        if not self._at(site):
            return False
        if not self.is_timed:
            return True
        if moment is None:
            return False
        if self.after is not None and moment < moment_of(self.after):
            return False
        if self.before is not None and moment >= moment_of(self.before):
            return False
        return self.hours is None or _within(
            (moment - datetime.combine(moment.date(), time())).total_seconds() / 3600, *self.hours
        )

    def spans(self, site: str, begun: datetime | None, seconds: float) -> list[tuple[float, float]]:
        """The stretches of a recording that are meant, in seconds from its beginning.

        Args:
            site: where it was recorded.
            begun: when it began, if that is known.
            seconds: how long it is.
        """
        if not self._at(site) or (self.is_timed and begun is None):
            return []
        if not self.is_timed or begun is None:
            return [(0.0, seconds)]
        first = 0.0 if self.after is None else max(0.0, (moment_of(self.after) - begun).total_seconds())
        last = seconds if self.before is None else min(seconds, (moment_of(self.before) - begun).total_seconds())
        found: list[tuple[float, float]] = []
        for start, end in [(first, last)] if self.hours is None else self._of_days(begun, last):
            start, end = max(start, first), min(end, last)
            if found and start <= found[-1][1] < end:
                found[-1] = found[-1][0], end
            elif start < end:
                found.append((start, end))
        return found

    def _of_days(self, begun: datetime, last: float) -> Iterator[tuple[float, float]]:
        """The hours of every day, from the one before a recording began on, in seconds from its beginning."""
        assert self.hours is not None
        first, length = 3600 * self.hours[0], 3600 * (self.hours[1] - self.hours[0])
        midnight = (datetime.combine(begun.date(), time()) - begun).total_seconds() - _DAY * 3600
        while midnight <= last:
            yield midnight + first, midnight + first + (length if length > 0 else length + _DAY * 3600)
            midnight += _DAY * 3600

    def _at(self, site: str) -> bool:
        return self.site is None or folded(self.site) == folded(site)


def moment_of(day: date) -> datetime:
    """A moment of a recorder's clock; of a day its beginning."""
    moment = day if isinstance(day, datetime) else datetime.combine(day, time())
    return moment.replace(tzinfo=None)


def parse_hours(text: str) -> tuple[float, float]:
    """Read ``FROM-TO``, hours of the day.

    >>> parse_hours("22-4.5")
    (22.0, 4.5)

    Raises:
        QueryError: it is not two hours from 0 to 24.
    """
    try:
        first, last = (float(hour) for hour in text.split("-"))
        RecordingFilter(hours=(first, last))
    except ValueError:
        raise QueryError(f"{text!r} is no stretch of the day: write hours from 0 to 24, such as 4-8 or 22-4") from None
    return first, last


def _within(hour: float, first: float, last: float) -> bool:
    return first <= hour < last if first < last else hour >= first or hour < last
