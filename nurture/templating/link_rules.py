"""Links of a template that cannot work, or may not: read from its source, nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nurture.templating.placeholders import CONFIRM, PREFERENCES, UNSUBSCRIBE
from nurture.templating.shielding import Shield
from nurture.tracking import links

NOWHERE = "www.example.com"  # links of starters and patterns, until somebody says where they lead
_ALWAYS_FILLED = re.compile(rf"\{{\{{-?\s*(?:{UNSUBSCRIBE}|{PREFERENCES}|{CONFIRM}|content\.\w+\.url)\b")
_OTHER_WAYS = ("mailto:", "tel:", "sms:", "cid:")


def findings(html: str) -> Iterator[tuple[str, str]]:
    """(what is wrong, the address as it is written), each once: broken, nowhere, by_placeholder, http."""
    shield, text = Shield.over(html)
    addresses: list[str] = []
    links.rewritten(text, lambda place, address: addresses.append(address))
    for address in dict.fromkeys(addresses):
        if wrong := _wrong(address, shield):
            yield wrong, shield.lift(address)


def _wrong(address: str, shield: Shield) -> str:
    written = shield.lift(address)
    if _ALWAYS_FILLED.match(written) or (written.startswith("#") and len(written) > 1):
        return ""
    if re.match(r"\{\{|\{%", written):
        return "by_placeholder"
    plain = _with_words(address, shield)
    scheme = plain.lower()
    if scheme.startswith(_OTHER_WAYS):
        return "" if len(plain.partition(":")[2]) > 1 and " " not in plain else "broken"
    if not links.is_web_address(plain) or not _has_host(plain):
        return "broken"
    if links.host_of(plain) == NOWHERE:
        return "nowhere"
    return "http" if scheme.startswith("http://") else ""


def _with_words(address: str, shield: Shield) -> str:
    """The address with a word for each placeholder, and with all other letters as they are written."""

    def one(found: re.Match[str]) -> str:
        piece = shield.pieces[int(found[1])]
        if piece.startswith("{{"):
            return "x"
        return "" if piece.startswith("{%") else piece

    return re.sub(shield.stand_in, one, address)


def _has_host(address: str) -> bool:
    host = links.host_of(address)
    labels = host.split(".")
    return (
        bool(host) and host not in ("http", "https") and all(labels) and not any(one.startswith("-") for one in labels)
    )
