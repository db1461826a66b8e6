"""Countries: code and name mean the same; what is no country stays as written."""

from __future__ import annotations

import pytest

from leads.countries import choices, code_of, name_of, normal


@pytest.mark.parametrize("text", ["DE", "de", "DEU", "Germany", " GERMANY ", "Federal Republic of Germany"])
def test_a_country_is_known_by_code_and_name(text: str) -> None:
    assert code_of(text) == "DE"


@pytest.mark.parametrize(
    ("text", "code"),
    [("South Korea", "KR"), ("Korea, Republic of", "KR"), ("UK", "GB"), ("Bolivia", "BO"), ("United States", "US")],
)
def test_common_names_count(text: str, code: str) -> None:
    assert code_of(text) == code


@pytest.mark.parametrize("text", ["Philipines", "Atlantis", "", "Deutsch"])
def test_what_is_no_country_stays_as_written(text: str) -> None:
    assert code_of(text) is None
    assert normal(f" {text} ") == text
    assert name_of(text) == text


def test_names_are_everyday_names() -> None:
    assert name_of("KR") == "South Korea"
    assert len(choices()) == 249
    assert choices()[0] == ("AF", "Afghanistan")
