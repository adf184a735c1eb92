"""Durable state of a library: settings, tables, creation and opening.

A library is a folder:

library.json   the model, its parts, how files are cut and decoded (library_settings.py)
store/         LanceDB tables: one row a segment; the files that failed (store.py); after an upgrade store-2-...
facts.arrow    what the files state of themselves; a cache (facts_table.py)
roots.json     the folders that it was filled from (root_registry.py)
indexing.json  what an indexing that did not come to its end has left to do (indexing_note.py)
tags.jsonl     the log of tag edits
annotations.jsonl, deployments.csv   annotations of regions; where recorders were (annotation_store, search.fields)
index/         the standardised copy that searches use, rebuilt when it is stale
map/           two-dimensional maps, a cache like the index
"""
