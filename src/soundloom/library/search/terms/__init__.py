"""The terms of a query as people write them: sounds, regions of sounds, names of the library's sounds, and text."""
