"""Annotations and detectors over HTTP: schemas, and the work of background jobs."""
