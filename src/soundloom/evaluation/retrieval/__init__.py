"""Retrieval protocols and average precision: nothing is trained."""
