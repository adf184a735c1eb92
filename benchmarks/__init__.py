"""Timings of soundloom beside the libraries one would use instead.

Each module here is one table and a command of its own, ``python -m benchmarks.NAME``; ``python -m benchmarks``
runs all of them. Every module has ``main(arguments)``, which takes ``--quick`` and ``--json PATH``.
"""
