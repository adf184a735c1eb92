"""A browser window at which the tasks are done: what a person does there with pointer, fingers and keys."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from playwright.sync_api import Download, Locator, Page, expect

WAIT = 60_000
"""Milliseconds until a task gives up; generous, because a busy machine is no fault of the page."""
SETTLED = "() => document.querySelector('.results')?.getAttribute('aria-busy') === 'false'"
CARRIED = """(element) => {
    const dataTransfer = new DataTransfer();
    element.dispatchEvent(new DragEvent('dragstart', { dataTransfer, bubbles: true }));
    return dataTransfer.getData('DownloadURL');
}"""


@dataclass(frozen=True)
class Look:
    """How the page is looked at."""

    theme: str
    width: int
    height: int
    phone: bool

    @property
    def name(self) -> str:
        """As a part of a file's name."""
        """In words."""
        return f"{'phone' if self.phone else 'wide'} {self.theme}"


LOOKS = [
    Look(theme, width, height, phone)
    for width, height, phone in ((1400, 900, False), (390, 844, True))
    for theme in ("dark", "light")
]


@dataclass(frozen=True)
class Task:
    """What somebody wants to get done."""

    user: str
    number: int
    title: str
    do: Callable[[Desk], None] = field(repr=False)

    @property
    def name(self) -> str:
        """As a part of a file's name."""
        """In words."""
        return f"{self.number:02d}-{self.do.__name__.replace('_', '-')}"


@dataclass
class Desk:
    """A page in one look, over a library that holds a long recording and copies; `sees` is shown what is done."""

    page: Page
    look: Look
    folder: Path
    """A folder of this look's own, to write into."""
    sees: Callable[[str], None] = lambda _: None
    otherwise: str = ""
    """Why the task at hand was done in another way than asked."""

    @property
    def phone(self) -> bool:
        """Whether it is a phone: fingers and no keys."""
        return self.look.phone

    # What the library holds, from its interface.

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """What the interface answers."""
        answer = self.page.request.get(f"/api/v1{path}", params=parameters)
        assert answer.ok, f"{path}: {answer.status} {answer.text()[:300]}"
        found: dict[str, Any] = answer.json()
        return found

    def send(self, path: str, **data: Any) -> dict[str, Any]:
        """Change something by the interface, before the task begins."""
        answer = self.page.request.post(f"/api/v1{path}", data=data)
        assert answer.ok, f"{path}: {answer.status} {answer.text()[:300]}"
        found: dict[str, Any] = answer.json()
        return found

    def hits(self, **parameters: str) -> list[dict[str, Any]]:
        """What a search finds."""
        found: list[dict[str, Any]] = self.ask("/search", **parameters)["hits"]
        return found

    @cached_property
    def recording(self) -> dict[str, Any]:
        """The first segment of the longest file."""
        return max(self.hits(k="1000", min_duration="60"), key=lambda hit: (hit["duration"], -hit["start"]))

    @cached_property
    def words(self) -> list[str]:
        """Words that file names have and the model understands, the most frequent first."""
        names = [hit["name"].rsplit(".", 1)[0].lower() for hit in self.hits(k="1000", max_duration="20")]
        counted = Counter(word for name in names for word in set(re.findall("[a-z]{4,}", name)))
        known = []
        for word, _ in counted.most_common(40):
            offers = self.ask("/complete", text=word)["completions"]
            if any(one["kind"] == "word" and one["value"].lower() == word for one in offers):
                known.append(word)
            if len(known) == 3:
                break
        assert len(known) == 3, "the library's names have too few words that the model knows"
        return known

    @cached_property
    def sound(self) -> dict[str, Any]:
        """A sound of some seconds that is a whole file."""
        return next(hit for hit in self.hits(k="1000", min_duration="1.5", max_duration="9") if not hit["notices"])

    # Where to look on the page.

    @property
    def cards(self) -> Locator:
        """The sounds that were found."""
        return self.page.get_by_role("list", name="Sounds", exact=True).locator("[data-card]")

    @property
    def results(self) -> Locator:
        """What was found, and what can be done with it."""
        return self.page.get_by_role("region", name="Results")

    @property
    def player(self) -> Locator:
        """The bar at the foot of the page."""
        return self.page.get_by_role("contentinfo")

    @property
    def viewer(self) -> Locator:
        """The sound that is looked at closely."""
        return self.page.get_by_role("dialog")

    # What a person does.

    def visit(self, place: str = "/") -> None:
        """Come to the page at an address."""
        self.page.goto(place)
        expect(self.page.locator("[data-ready=true]")).to_be_visible()
        self.settle()

    def visit_folder(self) -> None:
        """Come to the folder of `sound`."""
        self.visit(f"/?{urlencode({'folder': self.sound['folder']})}")

    def settle(self) -> None:
        """Wait until the question is answered."""
        self.page.wait_for_timeout(50)
        self.page.wait_for_function(SETTLED)

    def go(self, view: str) -> None:
        """Go to another view."""
        self.page.get_by_role("navigation", name="Views").get_by_role("link", name=view).click()

    def find(self, text: str) -> None:
        """Type into the field that finds."""
        box = self.page.get_by_role("combobox", name="Find")
        box.fill(text)
        box.press("Enter")
        self.settle()

    def unfold(self, title: str) -> None:
        """Open what a phone keeps folded."""
        folded = self.page.locator("details:not([open]) > summary").filter(has_text=title)
        if self.phone and folded.count():
            folded.first.click()

    def card(self, identity: str) -> Locator:
        """The card of a sound."""
        return self.page.locator(f"[data-card='{identity}']").first

    def press_on(self, card: Locator, action: str) -> None:
        """Press a button of a card; a phone shows the rarer ones when they are asked for."""
        expect(card).to_be_visible()
        wanted = card.get_by_role("button", name=re.compile(f"^{action} ")).first
        if self.phone and not wanted.is_visible():
            card.get_by_role("button", name=re.compile("^More for ")).click()
        wanted.click()

    def view(self, identity: str) -> None:
        """Open a sound in the viewer."""
        self.press_on(self.card(identity), "View")
        self._wait_for_the_picture()

    def open_recording(self) -> None:
        """Open the long recording in the viewer."""
        self.visit(f"/?like={self.recording['id']}")
        self.page.get_by_role("button", name="View the sound").click()
        self._wait_for_the_picture()

    def _wait_for_the_picture(self) -> None:
        # A phone has no room for what the file is like, but knows it.
        expect(self.viewer.get_by_text(re.compile(r"kHz · (mono|\d channels)"))).to_be_attached()
        self.page.wait_for_function("() => Number(document.querySelector('[data-tiles]')?.dataset.tiles) > 0")

    def drag(self, area: Locator, corners: Sequence[tuple[float, float]]) -> None:
        """Pull the pointer, or a finger, from corner to corner; they are shares of the area's width and height."""
        box = area.bounding_box()
        assert box is not None
        places = [(box["x"] + u * box["width"], box["y"] + v * box["height"]) for u, v in corners]
        if self.phone:
            self._pull_a_finger(places)
            return
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        for place in places[1:]:
            self.page.mouse.move(*place, steps=6)
        self.page.mouse.up()

    def _pull_a_finger(self, places: Sequence[tuple[float, float]]) -> None:
        session = self.page.context.new_cdp_session(self.page)

        def touch(kind: str, place: tuple[float, float] | None = None) -> None:
            points = [] if place is None else [{"x": place[0], "y": place[1]}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", places[0])
        for (left, top), (right, bottom) in pairwise(places):
            for step in range(1, 7):
                touch("touchMove", (left + (right - left) * step / 6, top + (bottom - top) * step / 6))
        touch("touchEnd")
        session.detach()

    def carried(self, thing: Locator) -> tuple[str, bytes]:
        """Name and content of the file that another program gets when the thing is dropped on it."""
        _, name, address = str(thing.evaluate(CARRIED)).split(":", 2)
        answer = self.page.request.get(address)
        assert answer.ok, f"{address}: {answer.status}"
        return name, answer.body()

    @contextmanager
    def download(self) -> Iterator[list[Path]]:
        """The path of the file that is downloaded meanwhile."""
        got: list[Path] = []
        with self.page.expect_download() as waiting:
            yield got
        taken: Download = waiting.value
        path = self.folder / taken.suggested_filename
        taken.save_as(path)
        assert path.stat().st_size > 0, f"{path.name} is empty"
        got.append(path)

    def choose_download(self, label: str, value: str) -> Path:
        """Choose a format from a list, and take the file that comes."""
        with self.download() as got:
            self.page.get_by_label(label).select_option(value)
        return got[0]

    def told(self, text: str | re.Pattern[str]) -> None:
        """Wait until the page says so."""
        expect(self.page.get_by_text(text).first).to_be_visible()
