"""Text that people write: JSON with its place when it is none, numbers digit by digit, no key twice; never a traceback."""

from __future__ import annotations

from decimal import Decimal

import pytest

from segments.conditions.reading import NotJson, read_document
from tests.segments.conditions.asking import refused


def test_fractions_are_exact_when_asked() -> None:
    text = '{"value": 0.1234567890123456789, "whole": 12345678901234567890123}'
    assert read_document(text, exact=True) == {
        "value": Decimal("0.1234567890123456789"),
        "whole": 12345678901234567890123,
    }
    assert read_document(text)["value"] == 0.1234567890123456789


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no JSON: line 1, column 1"),
        ('{\n "all": [,]}', "no JSON: line 2, column 10"),
        ("[" * 100_000, "nested too deep"),
        ('{"all":' * 100_000, "nested too deep"),
        ("[NaN]", "“NaN” is no number of JSON"),
        ("[-Infinity]", "“-Infinity” is no number of JSON"),
        ("[" + "9" * 5_000 + "]", "too many digits"),
        ("[1e99999999999999999999]", "no number that can be stored"),
    ],
)
def test_what_is_no_json_is_told_in_words(text: str, says: str) -> None:
    with pytest.raises(NotJson) as error:
        read_document(text, exact=True)
    assert says in str(error.value)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ('{"all": [], "all": []}', {"all": "“all” stands here more than once"}),
        (
            '{"all": [{"field": "contact.title", "op": "is", "value": "a", "value": "b", "op": "is"}]}',
            {
                "all[0].op": "“op” stands here more than once",
                "all[0].value": "“value” stands here more than once",
            },
        ),
        ('{"did": "x", "when": {"op": "this", "value": "year", "value": "week"}}', {"when.value": "“value” stands here more than once"}),
        ('{"field": "company.employees", "op": "is", "value": 1e400}', {"value": "a number of this size is never stored; at most 100 digits fit"}),
        ('{"field": "contact.title", "op": "is", "value": "\\ud800"}', {"value": "the text holds a character that cannot be stored"}),
        ('{"field": "contact.title", "op": "is", "value": "a\\u0000b"}', {"value": "the text holds a character that cannot be stored"}),
        ('{"\\u0000": 1}', {"": "the text holds a character that cannot be stored"}),
        ('{"field": "contact.title", "op": "is", "value": "' + "x" * 2**20 + '"}', {"value": "a text of 1048576 characters; at most 2000 fit"}),
    ],
    ids=lambda each: str(each)[:60],
)  # fmt: skip
def test_what_is_json_but_no_rule_names_the_place(text: str, problems: dict[str, str]) -> None:
    assert refused(read_document(text)) == problems
    assert refused(read_document(text, exact=True)) == problems
