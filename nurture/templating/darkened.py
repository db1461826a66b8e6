"""A mail as a reader with a dark screen sees it.

Mail programs do one of two things. Apple Mail and a few more follow rules that the mail brings for dark screens
(`@media (prefers-color-scheme: dark)`). Outlook and the Gmail apps turn colours themselves: light grounds become dark, dark letters
become light, what is between stays, pictures stay. The preview follows the mail's own rules where it has some, else it turns colours by
their lightness, as those programs do; each turns them a little differently, so shades may differ, not what can be read.
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Callable

GROUND = "#1f1f1f"  # where a mail paints nothing
LETTERS = "#e8e8e8"
DARKEST = 0.12  # lightness that white becomes; black letters become as light as 1 less that
_LARGEST = 1_000_000  # characters of a mail that is looked at

_OWN_RULES = re.compile(r"@media[^{]*prefers-color-scheme\s*:\s*dark[^{]*\{", re.IGNORECASE)
_STYLE_ELEMENT = re.compile(r"(<style\b[^>]*>)(.*?)(</style\s*>)", re.DOTALL | re.IGNORECASE)
_STYLE_ATTRIBUTE = re.compile(r"""(\sstyle\s*=\s*)("[^"]*"|'[^']*')""", re.IGNORECASE)
_COLOUR_ATTRIBUTE = re.compile(
    r"""(\s(?:bgcolor|color|text)\s*=\s*["']?)(#[0-9a-f]{3,8}|[a-z]+)(?=["'\s>])""", re.IGNORECASE
)
_DECLARATION = re.compile(r"(?<![\w-])(background(?:-color)?|color|border(?:-[a-z]+)*)\s*:\s*([^;}]+)", re.IGNORECASE)
_COLOUR = re.compile(
    r"#[0-9a-f]{8}\b|#[0-9a-f]{6}\b|#[0-9a-f]{3,4}\b|rgba?\([^)]*\)|\b(?:white|whitesmoke|ivory|snow|beige|silver|lightgr[ae]y|gainsboro"
    r"|black|gr[ae]y|dimgr[ae]y|darkgr[ae]y|navy|maroon|darkblue|midnightblue)\b",
    re.IGNORECASE,
)
_NAMED = {
    "white": "#ffffff", "whitesmoke": "#f5f5f5", "ivory": "#fffff0", "snow": "#fffafa", "beige": "#f5f5dc", "silver": "#c0c0c0",
    "lightgray": "#d3d3d3", "lightgrey": "#d3d3d3", "gainsboro": "#dcdcdc", "black": "#000000", "gray": "#808080", "grey": "#808080",
    "dimgray": "#696969", "dimgrey": "#696969", "darkgray": "#a9a9a9", "darkgrey": "#a9a9a9", "navy": "#000080", "maroon": "#800000",
    "darkblue": "#00008b", "midnightblue": "#191970",
}  # fmt: skip


def has_own_rules(html: str) -> bool:
    return _OWN_RULES.search(html) is not None


def dark(html: str) -> str:
    """The mail on a dark screen."""
    if len(html) > _LARGEST:
        return html
    if has_own_rules(html):
        return _OWN_RULES.sub("@media all {", html)
    html = _STYLE_ELEMENT.sub(lambda found: found[1] + _turned_rules(found[2]) + found[3], html)
    html = _STYLE_ATTRIBUTE.sub(lambda found: found[1] + _turned_rules(found[2]), html)
    html = _COLOUR_ATTRIBUTE.sub(lambda found: found[1] + _of_kind(found[1])(found[2]), html)
    base = f"<style>html,body{{background-color:{GROUND};color:{LETTERS}}}a{{color:#8ab4f8}}</style>"
    place = re.search(r"<head\b[^>]*>", html, re.IGNORECASE)
    return html[: place.end()] + base + html[place.end() :] if place else base + html


def _turned_rules(rules: str) -> str:
    def one(found: re.Match[str]) -> str:
        turn = _of_kind(found[1])
        return f"{found[1]}:{_COLOUR.sub(lambda colour: turn(colour[0]), found[2])}"

    return _DECLARATION.sub(one, rules)


def _of_kind(name: str) -> Callable[[str], str]:
    return _darker if name.strip(" =\"'").lower() != "color" and "text" not in name.lower() else _lighter


def _darker(colour: str) -> str:
    """A light ground, or its border, turned dark; a dark one stays."""
    return _turned(colour, lambda lightness: lightness > 0.5)


def _lighter(colour: str) -> str:
    """Dark letters turned light; light ones stay."""
    return _turned(colour, lambda lightness: lightness < 0.55)


def _turned(colour: str, is_turned: Callable[[float], bool]) -> str:
    if (parts := _parts(colour)) is None:
        return colour
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in parts))
    if not is_turned(lightness):
        return colour
    lightness = DARKEST + (1 - lightness) * (1 - 2 * DARKEST)
    red, green, blue = (round(part * 255) for part in colorsys.hls_to_rgb(hue, lightness, saturation))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _parts(colour: str) -> tuple[int, int, int] | None:
    """Red, green and blue; None for what is see-through or cannot be read."""
    text = _NAMED.get(colour.lower(), colour.lower())
    if text.startswith("rgb"):
        numbers = re.findall(r"[\d.]+", text)
        if len(numbers) < 3 or (len(numbers) > 3 and float(numbers[3]) < 0.5):
            return None
        red, green, blue = (min(255, int(float(number))) for number in numbers[:3])
        return red, green, blue
    digits = text.removeprefix("#")
    if not re.fullmatch(r"[0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8}", digits):
        return None
    if len(digits) < 5:
        digits = "".join(digit * 2 for digit in digits)
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)
