"""Do every task in every look, take a screenshot of each, and print which were done."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Error, Page, expect, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.page_tasks import archivist, bioacoustician, sound_designer
from benchmarks.page_tasks.desk import LOOKS, WAIT, Desk, Look, Task
from benchmarks.page_tasks.sounds import served_libraries
from benchmarks.timing import write_json
from soundloom.library import Library

BROWSER = (
    "--no-sandbox",
    "--enable-unsafe-swiftshader",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)
WIDER = """() => Math.max(...['html', 'main'].map((name) => {
    const { scrollWidth, clientWidth } = document.querySelector(name);
    return scrollWidth - clientWidth;
}))"""
"""By how many pixels the page can be pushed sideways."""
USERS = {"sound designer": sound_designer, "archivist": archivist, "bioacoustician": bioacoustician}


def tasks() -> list[Task]:
    """The forty tasks, in the order in which they are done."""
    listed = [(user, do) for user, room in USERS.items() for do in room.TASKS]
    return [Task(user, number, (do.__doc__ or "").strip(), do) for number, (user, do) in enumerate(listed, 1)]


TASKS = tasks()


@contextmanager
def looking(browser: Browser, address: str, look: Look) -> Iterator[Page]:
    """A page in that look; what it throws and whom else it asks is an error of the task."""
    context = browser.new_context(
        base_url=address,
        color_scheme="light" if look.theme == "light" else "dark",
        viewport={"width": look.width, "height": look.height},
        has_touch=look.phone,
        is_mobile=look.phone,
        permissions=["microphone"],
        reduced_motion="reduce",
    )
    context.set_default_timeout(WAIT)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith((address, "blob:", "data:")) else complaints.append(asked.url),
    )
    yield page
    wide = page.evaluate(WIDER)
    context.close()
    assert complaints == [], complaints
    assert wide <= 0, f"the page is {wide} pixels wider than its window"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page_tasks", description="forty tasks in four looks")
    parser.add_argument("--audio", type=Path, help="a folder of sounds, one of a minute or more (else synthetic ones)")
    parser.add_argument("--library", type=Path, help="a library of such a folder; a copy of it is used")
    parser.add_argument("--shots", type=Path, help="where screenshots are written")
    parser.add_argument("--only", default="", help="tasks, looks or users whose name has this")
    parser.add_argument("--quick", action="store_true", help="every task in one look: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        Console().print("skipped: no chromium on this machine")
        return
    expect.set_options(timeout=WAIT)
    done: dict[tuple[int, str], str] = {}
    with TemporaryDirectory() as temporary, sync_playwright() as playwright:
        base = options.library
        if options.audio is not None:
            base = Path(temporary) / "base.loom"
            Library.create(base).add(options.audio)
        browser = playwright.chromium.launch(executable_path=chromium, args=BROWSER)
        for look in LOOKS[: 1 if options.quick else None]:
            folder = Path(temporary) / look.name
            folder.mkdir()
            walked = [task for task in TASKS if options.only in f"{task.user} {task.name} {look.name}"]
            if not walked:
                continue
            with served_libraries(folder, base) as address:
                for task in walked:
                    done[task.number, look.name] = attempt(browser, address, look, task, folder, options.shots)
        browser.close()
    report(done, options.json)


def attempt(browser: Browser, address: str, look: Look, task: Task, folder: Path, shots: Path | None) -> str:
    """Do a task; how it went in a word, or the error."""
    with TemporaryDirectory(dir=folder) as own:
        try:
            with looking(browser, address, look) as page:
                desk = Desk(page, look, Path(own))

                def sees(what: str) -> None:
                    if shots is not None:
                        shots.mkdir(parents=True, exist_ok=True)
                        page.wait_for_timeout(400)
                        page.screenshot(path=shots / f"{task.name}{'-' * bool(what)}{what} ({look.name}).png")

                desk.sees = sees
                try:
                    task.do(desk)
                    sees("")
                except BaseException:
                    sees("failed")
                    raise
                result = desk.otherwise or "done"
        except (AssertionError, Error) as fault:
            result = f"not done: {str(fault).strip().splitlines()[0][:300]}"
            Console().print(f"[{look.name}] {task.name}: {str(fault)[:1500]}", markup=False)
    Console().print(f"{look.name}: {task.name}: {result}", markup=False)
    return result


def report(done: dict[tuple[int, str], str], out: Path | None) -> None:
    """Print a row of every task, and write the table into a file if one is named."""
    looks = list(dict.fromkeys(look for _, look in done))
    table = Table("", "user", "task", *looks, title="tasks done in the page")
    short = {"done": "done"}
    rows = []
    for task in TASKS:
        results = {look: done[task.number, look] for look in looks if (task.number, look) in done}
        if not results:
            continue
        shown = [
            short.get(result, "not done" if result.startswith("not done") else "otherwise")
            for result in results.values()
        ]
        table.add_row(str(task.number), task.user, task.title, *shown)
        rows.append({"task": task.title, "user": task.user, **results})
    Console(width=150).print(table)
    print(f"{sum(not one.startswith('not done') for one in done.values())} of {len(done)} done")
    if out is not None:
        write_json(out, rows)
