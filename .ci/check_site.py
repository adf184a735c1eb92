"""Checks of the built documentation site: ``python .ci/check_site.py build/site``.

Every link and anchor leads somewhere inside the site, nothing is fetched from another host, pictures have alternative
text, and every public name has an entry. With ``--browser``, pages are opened from the disk in Chromium: no request
leaves it, no script fails, the search finds a word, and axe-core reports no violation.
"""

from __future__ import annotations

import argparse
import shutil
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

from site_pages import PUBLIC

FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "audio": "src", "source": "src"}
LOOKED_AT = (
    "index.html", "first-steps/field.html", "how-to/other-tools.html", "measurements.html", "reference/models.html",
    "reference/python/soundloom.detectors.html",
)  # fmt: skip


class Page(HTMLParser):
    """What a page links to, fetches and names."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.anchors: set[str] = set()
        self.pictures_without_text = 0
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        given = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := given.get(key))}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        canonical = tag == "link" and given.get("rel") in ("canonical", "alternate", "prev", "next")
        if tag in FETCHED and given.get(FETCHED[tag]) and not canonical:
            self.fetched.append(given[FETCHED[tag]] or "")
        self.pictures_without_text += tag == "img" and not given.get("alt")


def faults(site: Path) -> list[str]:
    """What is wrong with the pages, a line each."""
    # The page of a missing address is only for servers: its links begin at their root.
    pages = {file: Page(file) for file in sorted(site.rglob("*.html")) if file.name != "404.html"}
    found = []
    for file, page in pages.items():
        name = file.relative_to(site)
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme in ("mailto", "data", "javascript"):
                continue
            if parts.scheme or parts.netloc:
                if link in page.fetched:
                    found.append(f"{name}: fetches {link}")
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                found.append(f"{name}: no {link}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                found.append(f"{name}: no anchor {link}")
        if page.pictures_without_text:
            found.append(f"{name}: {page.pictures_without_text} pictures without alternative text")
    for module in PUBLIC:
        anchors = pages[site / "reference" / "python" / f"{module}.html"].anchors
        names = getattr(import_module(module), "__all__", ())
        found += [f"{module}.{one}: no entry" for one in names if not _has_entry(module, one, anchors)]
    print(f"{len(pages)} pages, {sum(len(page.links) for page in pages.values()):,} links")
    return found


def _has_entry(module: str, name: str, anchors: set[str]) -> bool:
    """Whether a name has an entry on its module's page; a module that is exported has a page."""
    return f"{module}.{name}" in anchors or f"{module}.{name}" in PUBLIC


def browser_faults(site: Path) -> list[str]:
    """What a browser without a network finds."""
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        return ["there is no Chromium here"]
    found: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        own = ("file:", "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(own) else found.append(asked.url))
        page.on("pageerror", lambda error: found.append(str(error)))
        for name in LOOKED_AT:
            for scheme in ("light", "dark") if name == "first-steps/field.html" else ("light",):
                page.emulate_media(color_scheme=scheme)
                page.goto((site / name).as_uri())
                for violation in Axe().run(page).response["violations"]:
                    nodes = "; ".join(node["html"][:120] for node in violation["nodes"][:2])
                    found.append(f"{name} ({scheme}): {violation['id']}, {len(violation['nodes'])} times: {nodes}")
        page.goto((site / "index.html").as_uri())
        page.keyboard.press("s")
        page.keyboard.type("detector")
        page.wait_for_selector(".md-search-result__item", timeout=20_000)
        browser.close()
    return found


def main() -> None:
    """Check, print, and fail if there is anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, nargs="?", default=Path("build/site"))
    parser.add_argument("--browser", action="store_true", help="also look at some pages in Chromium")
    options = parser.parse_args()
    site = options.site.resolve()
    found = [*faults(site), *(browser_faults(site) if options.browser else [])]
    print("\n".join(found) or "no faults")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
