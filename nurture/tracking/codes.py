"""The short code in a link: which mail, which place in it. Signed and sealed: nobody can make one, and nothing can be read from it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass
from functools import cache

from leads.addresses import keyed_hash

PIXEL = 0
TRAP = 65_535  # the link that no person sees
_CODE = re.compile(r"[A-Za-z0-9_-]{22}")


@dataclass(frozen=True, slots=True)
class Place:
    """One link of one mail, or its pixel."""

    sending_id: int
    number: int

    @property
    def is_link(self) -> bool:
        return PIXEL < self.number < TRAP


@cache
def _keys() -> tuple[bytes, bytes]:
    """Of the instance's key in the database (decision 0110), so that links in old mails outlive a new SECRET_KEY."""
    return keyed_hash("mail links: signed").encode(), keyed_hash("mail links: sealed").encode()


def seal(place: Place) -> str:
    """22 letters, always the same for the same place: the tag over number and place, and both hidden under it."""
    signing, sealing = _keys()
    body = place.sending_id.to_bytes(6, "big") + place.number.to_bytes(2, "big")
    tag = hashlib.blake2b(body, digest_size=8, key=signing).digest()
    return base64.urlsafe_b64encode(tag + _mixed(body, tag, sealing)).rstrip(b"=").decode()


def opened(code: str) -> Place | None:
    """The place that a code names; None for one that we did not make. No statement."""
    if not _CODE.fullmatch(code):
        return None
    try:
        raw = base64.urlsafe_b64decode(f"{code}==")
    except (binascii.Error, ValueError):
        return None
    signing, sealing = _keys()
    tag, body = raw[:8], _mixed(raw[8:], raw[:8], sealing)
    if not hmac.compare_digest(tag, hashlib.blake2b(body, digest_size=8, key=signing).digest()):
        return None
    place = Place(int.from_bytes(body[:6], "big"), int.from_bytes(body[6:], "big"))
    return place if seal(place) == code else None  # another spelling of the same bytes is not ours


def _mixed(data: bytes, tag: bytes, key: bytes) -> bytes:
    pad = hashlib.blake2b(tag, digest_size=8, key=key).digest()
    return bytes(one ^ other for one, other in zip(data, pad, strict=True))
