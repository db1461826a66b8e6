"""Normal forms of text: what is stored, how two texts are compared, how an address is recognised."""

from __future__ import annotations

import unicodedata

_DOTS = str.maketrans("。．｡", "...")  # what other keyboards write between the parts of a domain (RFC 3490)


def clean(text: str) -> str:
    """As stored: NFC, without white space at both ends."""
    return unicodedata.normalize("NFC", text).strip()


def fold(text: str) -> str:
    """As compared: lower-cased character by character, like `lower(x COLLATE "pg_c_utf8")` in the database (ß stays ß, İ becomes i)."""
    if text.isascii():
        return text.lower()
    return "".join(char.lower()[0] for char in text)


def normal_address(address: str) -> str:
    """An e-mail address as it is stored, compared and hashed: lower case, its domain in letters (never xn--…), nothing invisible in it."""
    found = fold(clean(address))
    return found if found.isascii() and "xn--" not in found else _international(found)


def _international(address: str) -> str:
    seen = "".join(char for char in address if unicodedata.category(char) != "Cf")
    local, at, domain = seen.rpartition("@")
    letters = unicodedata.normalize("NFKC", domain).translate(_DOTS)
    return f"{local}{at}{'.'.join(_label(fold(label)) for label in letters.split('.'))}"


def _label(label: str) -> str:
    """One part of a domain as people write it; what would not lead back to the same domain stays as it is."""
    if not label.startswith("xn--"):
        return label
    try:
        letters = label[4:].encode("ascii").decode("punycode")
        leads_back = letters.encode("idna").decode("ascii") == label
    except UnicodeError:
        return label
    return letters if leads_back and not letters.isascii() and fold(letters) == letters else label
