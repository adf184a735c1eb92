"""Forty tasks of a day with the page, each done in a real browser, in the dark and the light, on a screen and a phone.

    python -m benchmarks.page_tasks [--audio FOLDER] [--shots FOLDER] [--only WORD] [--quick] [--json OUT]

The tasks are those of a sound designer, an archivist and a bioacoustician. Each begins at the page with nothing but
what the task says and ends when what was wanted is there; a screenshot of every task in every look is written, to be
looked at. Without a folder of sounds the tasks are done over synthetic ones, as tests/test_page_walk.py does them.
"""

from __future__ import annotations

from benchmarks.page_tasks.walk import main

__all__ = ["main"]
