"""Countries of ISO 3166: code and name mean the same; what is no country stays as written."""

from __future__ import annotations

from functools import cache

import pycountry

from leads.text import clean, fold

# Everyday English names that ISO spells otherwise.
EVERYDAY_NAMES = {
    "UK": "GB",
    "Great Britain": "GB",
    "U.S.": "US",
    "U.S.A.": "US",
    "Russia": "RU",
    "Turkey": "TR",
    "Czech Republic": "CZ",
    "Ivory Coast": "CI",
    "Cape Verde": "CV",
    "Swaziland": "SZ",
    "Macedonia": "MK",
    "Brunei": "BN",
    "Vatican": "VA",
    "Micronesia": "FM",
}


# The European Economic Area, Britain and Switzerland: where a yes is usual before marketing reaches somebody, or is noted about them.
QUIET = (
    *("AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HR", "HU", "IE", "IS"),
    *("IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK"),
)


def code_of(text: str) -> str | None:
    """Alpha-2 code of a country given by code (2 or 3 letters) or name, whatever its case; None when it is none."""
    return _codes().get(fold(clean(text)))


def name_of(code: str) -> str:
    """The everyday name of a code; any other text comes back as it is."""
    return _names().get(code, code)


def normal(text: str) -> str:
    """As stored: the code of a country, else the text as written."""
    return code_of(text) or clean(text)


def choices() -> list[tuple[str, str]]:
    """(code, name) of every country, by name."""
    return sorted(_names().items(), key=lambda pair: pair[1])


@cache
def _names() -> dict[str, str]:
    return {country.alpha_2: getattr(country, "common_name", country.name) for country in pycountry.countries}


@cache
def _codes() -> dict[str, str]:
    codes = {fold(name): code for name, code in EVERYDAY_NAMES.items()}
    for country in pycountry.countries:
        for attribute in ("official_name", "common_name", "name", "alpha_3", "alpha_2"):
            if name := getattr(country, attribute, None):
                codes[fold(name)] = country.alpha_2
    return codes
