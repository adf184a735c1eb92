"""Timings of soundloom beside the libraries one would use instead.

Each module here is one table and a command of its own, ``python -m benchmarks.NAME``; ``python -m benchmarks``
runs all of them, ``python -m benchmarks.history`` (``make bench``) those that fit in half an hour, beside the results
that were kept last. Every module has ``main(arguments)``, which takes ``--quick`` and ``--json PATH``.
"""
