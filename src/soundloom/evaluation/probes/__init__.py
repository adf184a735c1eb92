"""Probes: classifiers trained on frozen embeddings, one protocol a module."""
