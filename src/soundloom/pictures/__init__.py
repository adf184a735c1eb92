"""A query and its hits on one page, as a PNG.

Drawn with matplotlib's object interface: a figure of its own, never the global state of pyplot, so
that a picture can be made beside anything else and changes nobody's settings.
"""

from soundloom.pictures.excerpt import Excerpt
from soundloom.pictures.hours import hours_picture
from soundloom.pictures.results_page import hits_picture, part_colours

__all__ = ["Excerpt", "hits_picture", "hours_picture", "part_colours"]
