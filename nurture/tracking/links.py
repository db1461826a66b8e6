"""The links of a mail: found, numbered, told apart from those that are nobody's business, and changed."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from html import escape, unescape
from itertools import count
from urllib.parse import parse_qsl, quote_plus, urlsplit

from django.conf import settings

LONGEST = 2_000  # characters of an address; a longer one stays as it is
LARGEST = 1_000_000  # characters of a mail whose links are looked for
# A link's tag up to its address. What stands before the address is bounded, so that no mail takes long to read.
_LINK = re.compile(
    r"""(<(?:a|area)\s(?:[^>"']|"[^"]{0,2000}"|'[^']{0,2000}'){0,400}?(?<=[\s"'])href\s*=\s*)(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|\w{1,31});")
_BAD = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"""https?://([a-z0-9.\-]+)(?=[/?#:"'\s<>)]|$)""", re.IGNORECASE)
_IN_TEXT = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)


def rewritten(html: str, change: Callable[[int, str], str | None]) -> str:
    """The mail with each link that `change(place, address)` gives another address for; places count from 1, whatever changes."""
    if len(html) > LARGEST:
        return html
    places = count(1)

    def one(found: re.Match[str]) -> str:
        fresh = change(next(places), _address(found))
        return found[0] if fresh is None else f'{found[1]}"{escape(fresh)}"'

    return _LINK.sub(one, html)


def address_at(html: str, place: int) -> str:
    """Where the link at a place leads, or an empty text."""
    if len(html) > LARGEST:
        return ""
    for number, found in enumerate(_LINK.finditer(html), 1):
        if number == place:
            return _address(found)
    return ""


def place_of(html: str, address: str) -> int:
    """The first place whose link leads there, whatever was added to it; 0 where none does."""
    if not address or len(html) > LARGEST:
        return 0
    wanted = without_values(address)
    for number, found in enumerate(_LINK.finditer(html), 1):
        if without_values(_address(found)) == wanted:
            return number
    return 0


def _address(found: re.Match[str]) -> str:
    written = found[2] or found[3] or found[4] or ""
    # only whole entities: an address with “&copy=1” means no ©
    return _ENTITY.sub(lambda entity: unescape(entity[0]), written).strip()


def hosts_in(source: str) -> frozenset[str]:
    """Hosts that a template itself names, before any placeholder is filled."""
    return frozenset(host.lower() for host in _HOST.findall(source))


@lru_cache(maxsize=4096)
def is_web_address(address: str) -> bool:
    """Whether a browser may be sent there: http or https, a host, nobody's name and password, nothing odd."""
    if len(address) > LONGEST or _BAD.search(address):
        return False
    try:
        parts = urlsplit(address)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and has_port


@lru_cache(maxsize=4096)
def host_of(address: str) -> str:
    return (urlsplit(address).hostname or "").lower()


def is_ours(address: str) -> bool:
    """Pages about consent, and links that lead by us already: never noted."""
    return address.startswith((f"{settings.PUBLIC_URL}/programs/u/", f"{settings.PUBLIC_URL}/e/"))


def may_lead_by_us(address: str, hosts: Collection[str]) -> bool:
    """Whether we may send people there: a host that the template names. One that a placeholder filled in could be anybody's."""
    # ours first: they differ from reader to reader, and what is remembered of the others would be driven out
    return not is_ours(address) and is_web_address(address) and host_of(address) in hosts


# --- Values that are added (UTM) ----------------------------------------------------------------------------------------------


def with_values(address: str, values: Mapping[str, str]) -> str:
    """The address with values it has not got yet; everything else stays letter by letter."""
    before, hash_, fragment = address.partition("#")
    path, mark, query = before.partition("?")
    known = {key.lower() for key, _value in parse_qsl(query, keep_blank_values=True)}
    added = "&".join(f"{key}={quote_plus(value)}" for key, value in values.items() if key not in known)
    if not added:
        return address
    joint = "" if not mark else "&" if query and not query.endswith("&") else ""
    return f"{path}?{query}{joint}{added}{hash_}{fragment}"


def without_values(address: str) -> str:
    """The address as a person would name it: without utm_… and what stands behind #."""
    before, _hash, _fragment = address.partition("#")
    path, _mark, query = before.partition("?")
    kept = "&".join(part for part in query.split("&") if part and not part.lower().startswith("utm_"))
    return f"{path}?{kept}" if kept else path


def is_below(host: str, domains: Collection[str]) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in domains)


def in_text(text: str, addresses: Mapping[str, str]) -> str:
    """A plain text with addresses exchanged; only whole ones, so that a longer one is never cut in two."""

    def one(found: re.Match[str]) -> str:
        whole = found[0]
        for end in (len(whole), len(whole) - 1, len(whole.rstrip(".,;:!?)"))):
            if (fresh := addresses.get(whole[:end])) is not None:
                return fresh + whole[end:]
        return whole

    return _IN_TEXT.sub(one, text) if addresses else text


_WHOLE_LINK = re.compile(f"{_LINK.pattern}[^>]*>", re.IGNORECASE)


def annotated(html: str, words: Callable[[str], str]) -> str:
    """The mail with a small label at the beginning of each link for which `words(address)` has one: for eyes of ours only."""
    if len(html) > LARGEST:
        return html

    def one(found: re.Match[str]) -> str:
        said = words(_address(found))
        return f'{found[0]}<span style="{_LABEL}">{escape(said)}</span>' if said else found[0]

    return _WHOLE_LINK.sub(one, html)


_LABEL = (
    "display:inline-block;margin-right:4px;padding:0 6px;border-radius:9px;background:#d63939;color:#fff;"
    "font:bold 11px/18px Helvetica,Arial,sans-serif;text-decoration:none"
)
