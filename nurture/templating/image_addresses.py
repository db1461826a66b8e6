"""Addresses of pictures: templates name them without our own, so that they outlive another PUBLIC_URL; mails name them in full."""

from __future__ import annotations

import re

from django.conf import settings

from nurture.models import Image

_ADDRESS = re.compile(r"""(?<=["'(=\s])/i/(?=[A-Za-z0-9_-]{22}\.(?:png|jpg|gif)\b)""")


def absolute(html: str) -> str:
    """A mail with the addresses of our pictures in full."""
    return _ADDRESS.sub(f"{settings.PUBLIC_URL}/i/", html)


def full_address(image: Image) -> str:
    return f"{settings.PUBLIC_URL}{image.address}"
