"""Filter of recordings by site, hour of the day and date."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta

from soundloom.errors import InvalidArgumentError, QueryError

__all__ = ["RecordingFilter", "moment_of", "parse_hours"]

_DAY = 24.0


@dataclass(frozen=True, kw_only=True)
class RecordingFilter:
    """Where and when something was recorded; every condition that is given must hold.

    What has no known recording time satisfies no condition on hours or dates.

    Attributes:
        site: where (`soundloom.library.Deployments`).
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
        return any(getattr(self, one.name) is not None for one in fields(self))

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
        if self.site is not None and self.site != site:
            return False
        if not self.is_timed:
            return True
        if moment is None:
            return False
        if self.after is not None and moment < moment_of(self.after):
            return False
        if self.before is not None and moment >= moment_of(self.before):
            return False
        return self.hours is None or _within(moment.hour + moment.minute / 60 + moment.second / 3600, *self.hours)

    def overlaps(self, site: str, begun: datetime | None, seconds: float) -> bool:
        """Whether some of a recording is meant.

        Args:
            site: where it was recorded.
            begun: when it began, if that is known.
            seconds: how long it is.
        """
        if begun is None:
            return self.admits(site, None)
        ended = begun + timedelta(seconds=seconds)
        # What is meant begins with the recording, with the first day, or with the first hour of some day.
        moments = [begun] if self.after is None else [begun, moment_of(self.after)]
        if self.hours is not None:
            midnight = datetime.combine(begun.date(), time())
            days = range((ended.date() - begun.date()).days + 1)
            moments += [midnight + timedelta(days=day, hours=self.hours[0]) for day in days]
        return any(begun <= moment < ended and self.admits(site, moment) for moment in moments)


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
