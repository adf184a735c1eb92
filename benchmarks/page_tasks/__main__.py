"""Run the walk: ``python -m benchmarks.page_tasks``."""

from benchmarks.page_tasks.walk import main

main()
