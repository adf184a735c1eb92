"""The papers' tables, measured here: what is trained, what it is measured on, and the published numbers beside.

A paper is a module, and a command of ``soundloom reproduce``. What is trained lies in run folders and what is measured
in a ledger, so that a reproduction that was stopped goes on where it was.
"""
