"""Reproductions of the papers' tables: trained and measured here, beside the published numbers.

A paper is a module, and a command of ``soundloom reproduce``. What is trained lies in run folders and what is measured
in a cache, so that a reproduction that was stopped goes on where it was.
"""
