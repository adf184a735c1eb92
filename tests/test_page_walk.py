"""A day with the page: every third of the forty tasks of benchmarks/page_tasks, each in one of four looks.

All of them in all looks take a quarter of an hour: ``python -m benchmarks.page_tasks``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.page_tasks.desk import LOOKS, Desk, Task
from benchmarks.page_tasks.sounds import served_libraries
from benchmarks.page_tasks.walk import BROWSER, TASKS, USERS, looking
from playwright.sync_api import Browser, sync_playwright

from helpers.browser import CHROMIUM, NEEDS_CHROMIUM
from helpers.quick_map import without_umap

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page over synthetic sounds is served."""
    with pytest.MonkeyPatch.context() as patch:
        without_umap(patch)
        with served_libraries(tmp_path_factory.mktemp("walk")) as address:
            yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser with a microphone."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER)
        yield opened
        opened.close()


def test_there_are_forty_tasks_of_three_users() -> None:
    assert len({task.title for task in TASKS}) == len({task.name for task in TASKS}) == 40
    assert {task.user for task in TASKS} == set(USERS)
    assert all(task.title.endswith(".") for task in TASKS)


@pytest.mark.parametrize("task", TASKS[::3], ids=[task.name for task in TASKS[::3]])
def test_a_task_is_done_in_the_page(browser: Browser, address: str, task: Task, tmp_path: Path) -> None:
    look = LOOKS[task.number % 4]
    with looking(browser, address, look) as page:
        task.do(Desk(page, look, tmp_path))
