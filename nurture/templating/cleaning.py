"""HTML that people paste: what mail programs throw away or must not get goes, and styles move to the elements that they are for."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import css_inline
import nh3
from django.utils.translation import gettext as _

from nurture.templating.shielding import Shield

_ATTRIBUTES = {
    "align", "alt", "bgcolor", "border", "cellpadding", "cellspacing", "class", "color", "cols", "colspan", "dir", "face", "height", "href",
    "coords", "id", "lang", "name", "role", "rowspan", "shape", "size", "src", "start", "style", "summary", "target", "title", "type",
    "usemap", "valign", "width",
}  # fmt: skip
_TAGS = {
    "a", "abbr", "area", "map", "b", "bdi", "bdo", "big", "blockquote", "br", "caption", "center", "cite", "code", "col", "colgroup", "dd", "del", "div",
    "dl", "dt", "em", "figcaption", "figure", "font", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "ins",
    "kbd", "li", "main", "mark", "ol", "p", "pre", "q", "rp", "rt", "ruby", "s", "section", "article", "small", "span", "strike", "strong",
    "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "u", "ul", "wbr",
}  # fmt: skip
_SCHEMES = {"http", "https", "mailto", "tel", "sms", "cid"}
_REFUSED = {
    "script",
    "iframe",
    "object",
    "embed",
    "form",
    "input",
    "button",
    "textarea",
    "select",
    "applet",
    "base",
    "frame",
    "frameset",
}

_INSIDE_TAGS = re.compile(r"(<!--.*?-->|<style\b.*?</style\s*>|<[^<>]*>)", re.DOTALL | re.IGNORECASE)
_ROWS_AT_ONCE = re.compile(r"(<table\b[^<>]*>)((?:\s*<!--[^<>]*-->)+\s*<tr\b)", re.IGNORECASE)
_STYLE = re.compile(r"<style\b[^>]*>(.*?)</style\s*>", re.DOTALL | re.IGNORECASE)
_BODY = re.compile(r"<body\b([^>]*)>(.*?)(?:</body\s*>|</html\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>.*?</head\s*>", re.DOTALL | re.IGNORECASE)
_ATTRIBUTE = re.compile(r"\b(bgcolor|style|dir|lang|class)\s*=\s*(\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_CSS_THAT_ACTS = re.compile(r"@import[^;]*;?|expression\s*\(|javascript:|behavior\s*:|-moz-binding|</", re.IGNORECASE)


def is_document(html: str) -> bool:
    """Whether it brings its own frame."""
    return re.search(r"<(?:html|body)[\s>]", html, re.IGNORECASE) is not None


def cleaned(html: str) -> str:
    """What may stay of pasted HTML, as the inside of a mail's body, its rules in the elements that they are for.

    Placeholders stay as they are. Rules that cannot be inlined (media queries, :hover) stay in one style element in front.
    """
    shield, shielded = Shield.over(html)
    shielded = _tags_as_comments(shielded, shield)
    rules = "\n".join(_STYLE.findall(shielded))
    attributes, inside = "", _STYLE.sub("", shielded)
    if found := _BODY.search(inside):
        attributes, inside = found[1], found[2]
    inside = nh3.clean(
        _HEAD.sub("", inside),
        tags=_TAGS,
        attributes={"*": _ATTRIBUTES},
        url_schemes=_SCHEMES,
        strip_comments=False,
        link_rel=None,
        clean_content_tags={"script", "style", "title", "head"},
    )
    if kept := " ".join(f"{name.lower()}={value}" for name, value in _ATTRIBUTE.findall(attributes)):
        inside = f"<div {kept}>{inside}</div>"
    made = _inlined(inside, _CSS_THAT_ACTS.sub("", rules))
    return shield.lift(re.sub(rf"<!--({shield.stand_in})-->", r"\1", made))


def _tags_as_comments(text: str, shield: Shield) -> str:
    """`{% for %}` between the rows of a table stays there only as a comment: a word would be moved in front of the table."""
    stand_in = re.compile(shield.stand_in)

    def comment(found: re.Match[str]) -> str:
        return f"<!--{found[0]}-->" if shield.pieces[int(found[1])].startswith("{%") else found[0]

    parts = _INSIDE_TAGS.split(text)  # what is between the tags at even places
    made = "".join(part if place % 2 else stand_in.sub(comment, part) for place, part in enumerate(parts))
    return _ROWS_AT_ONCE.sub(r"\1<tbody>\2", made)  # else the body that a reader adds begins inside the loop


def _inlined(inside: str, rules: str) -> str:
    if not rules.strip():
        return inside
    inliner = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True, extra_css=None)
    document = inliner.inline(f"<html><head><style>{rules}</style></head><body>{inside}</body></html>")
    body = _BODY.search(document)
    left = "".join(found for found in _STYLE.findall(document) if found.strip())
    return (f"<style>{left}</style>" if left else "") + (body[2] if body else inside)


# --- What was taken out, and what is refused -----------------------------------------------------------------------------


class _Acting(HTMLParser):
    """Finds what acts: scripts, frames, forms, handlers."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _REFUSED:
            self._tell(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on"):
                self._tell(f"{name}=…")
            elif name in ("href", "src", "action") and re.match(
                r"\s*(?:javascript|vbscript|data:text)", value or "", re.I
            ):
                self._tell((value or "").strip().split(":")[0] + ":…")

    def _tell(self, words: str) -> None:
        if words not in self.found:
            self.found.append(words)


def acting_parts(html: str) -> list[str]:
    """What of it would act in a browser and is thrown away or warned of by every mail program: `<script>`, `onclick=…`."""
    reader = _Acting()
    reader.feed(Shield.over(html)[1])
    reader.close()
    return reader.found


def refusal(parts: list[str]) -> str:
    return _("A mail may not hold %(parts)s: mail programs take it for an attack.") % {"parts": ", ".join(parts)}
