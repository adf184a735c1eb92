"""Text in pictures: any file name, on any machine, within the room there is.

File names hold every script there is, dollar signs that matplotlib takes for formulas, and bytes that
are no text at all. Letters that no font at hand can draw become boxes here, before matplotlib warns of them.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cache
from typing import Any

__all__ = ["DPI", "FAINT", "INK", "fitted", "font", "text"]

DPI = 120
"""Pixels an inch of every picture."""

_WEIGHTS = ("normal", "bold")
INK, FAINT = "#22252b", "#6f7581"


def fitted(title: str, properties: Any, inches: float) -> str:
    """The title on one line that is no wider than so many inches in that font.

    What is too long loses its middle, for the ends of file names say most; what no font here can draw becomes a box.
    """
    from matplotlib.backends.backend_agg import RendererAgg

    drawn = _fonts()[1]
    line = "".join(letter if ord(letter) in drawn else "□" for letter in " ".join(title.split()))
    renderer = RendererAgg(1, 1, DPI)

    def cut(kept: int) -> str:
        return line if kept >= len(line) else f"{line[: kept - kept // 2]}…{line[len(line) - kept // 2 :]}"

    def fits(kept: int) -> bool:
        return bool(renderer.get_text_width_height_descent(cut(kept), properties, False)[0] <= inches * DPI)

    if fits(len(line)):
        return line
    # The widest that fits, by bisection: a shorter cut is a narrower one.
    return cut(bisect_left(range(1, len(line) + 1), True, key=lambda kept: not fits(kept)))


@cache
def _fonts() -> tuple[tuple[str, ...], frozenset[int]]:
    """The fonts to draw with that this machine has, and every character that one of them can draw.

    DejaVu Sans comes with matplotlib; the others are asked for the scripts that it lacks.
    """
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    wanted = (
        "DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Zen Hei", "Hiragino Sans", "Yu Gothic",
        "Microsoft YaHei", "PingFang SC", "Malgun Gothic", "Apple SD Gothic Neo", "Noto Sans", "Arial Unicode MS",
    )  # fmt: skip
    families = tuple(name for name in wanted if name in installed)
    drawn: set[int] = set()
    for name in families:
        # A letter must be there in both weights: bold is often the poorer.
        files = [
            font_manager.findfont(font_manager.FontProperties(family=[name], weight=weight)) for weight in _WEIGHTS
        ]
        drawn |= set.intersection(*(set(font_manager.get_font(file).get_charmap()) for file in files))
    return families, frozenset(drawn)


def font(size: float, weight: str = "normal") -> Any:
    """The font of every picture, in points; the first family that has a letter draws it."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(family=list(_fonts()[0]), size=size, weight=weight)


def text(size: float, weight: str = "normal", color: str = INK) -> dict[str, Any]:
    """How text is set, in full, so that neither a user's settings nor a dollar sign in a name changes it."""
    return {"fontproperties": font(size, weight), "color": color, "parse_math": False}
