"""Normal forms of text: what is stored, how two texts are compared, how an address is recognised."""

from __future__ import annotations

import unicodedata


def clean(text: str) -> str:
    """As stored: NFC, without white space at both ends."""
    return unicodedata.normalize("NFC", text).strip()


def fold(text: str) -> str:
    """As compared: lower-cased character by character, like `lower(x COLLATE "pg_c_utf8")` in the database (ß stays ß, İ becomes i)."""
    if text.isascii():
        return text.lower()
    return "".join(char.lower()[0] for char in text)


def normal_address(address: str) -> str:
    """An e-mail address as the unique index sees it."""
    return fold(clean(address))
