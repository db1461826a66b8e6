"""The plain-text part of a mail, read from its HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from nurture.templating.shielding import Shield


class _ToText(HTMLParser):
    """Reads HTML as a plain-text reader would: blocks become lines, links keep their address, images their words."""

    BLOCKS = frozenset(
        [
            "p",
            "div",
            "tr",
            "table",
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "ul",
            "ol",
            "blockquote",
            "section",
            "article",
            "header",
            "footer",
            "center",
            "br",
            "hr",
        ]
    )
    SKIPPED = frozenset({"head", "style", "script", "title"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.skipping = 0
        self.links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in self.SKIPPED:
            self.skipping += 1
        elif self.skipping:
            return
        elif tag == "a":
            self.links.append((values.get("href") or "", len(self.parts)))
        elif tag == "img":
            self.parts.append(values.get("alt") or "")
        elif tag == "li":
            self.parts.append("\n- ")
        elif tag == "div" and "display:none" in (values.get("style") or "").replace(" ", ""):
            self.skipping += 1
            self.links.append(("\0hidden", 0))
        elif tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.SKIPPED:
            self.skipping = max(0, self.skipping - 1)
        elif tag == "div" and self.links and self.links[-1][0] == "\0hidden":
            self.links.pop()
            self.skipping = max(0, self.skipping - 1)
        elif self.skipping:
            return
        elif tag == "a" and self.links:
            href, start = self.links.pop()
            words = "".join(self.parts[start:]).strip()
            if href and href != words and not href.startswith("#"):
                self.parts.append(f" ({href.removeprefix('mailto:')})")
        elif tag in self.BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self.skipping:
            self.parts.append(re.sub(r"\s+", " ", data))


def to_text(html: str) -> str:
    """The words of an HTML document, its Liquid left as it stands."""
    shield, shielded = Shield.over(html)
    reader = _ToText()
    reader.feed(re.sub(r"<!--.*?-->", "", shielded, flags=re.DOTALL))
    reader.close()
    return tidy(shield.lift("".join(reader.parts)))


def tidy(text: str) -> str:
    return "\n".join(_paragraphs(text)) + "\n"


def _paragraphs(text: str) -> Iterator[str]:
    blank = True
    for line in (" ".join(line.split()) for line in text.splitlines()):
        if line:
            blank = False
            yield line
        elif not blank:
            blank = True
            yield ""
