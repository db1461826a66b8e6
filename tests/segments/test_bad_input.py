"""Whatever is typed or posted as a rule gets an answer in words: never an error of the server, never a stored rule that does not read."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from segments import conditions
from segments.management.commands import match
from segments.models import Segment
from tests.makers import make_contact, make_user

pytestmark = pytest.mark.django_db

LEAF = '{"field": "contact.title", "op": "is", "value": "x"}'
HOSTILE = {
    "no JSON": "{",
    "deep lists": "[" * 10_000 + "]" * 10_000,
    "deep groups": '{"not": ' * 9 + LEAF + "}" * 9,
    "hundreds of levels": '{"not": ' * 400 + LEAF + "}" * 400,
    "201 leaves": '{"any": [' + ", ".join([LEAF] * 201) + "]}",
    "a value of 1 MB": '{"field": "contact.title", "op": "is", "value": "' + "x" * 2**20 + '"}',
    "a key twice": '{"all": [], "all": [' + LEAF + "]}",
    "NaN": '{"field": "company.employees", "op": "is", "value": NaN}',
    "Infinity": '{"field": "company.employees", "op": "is", "value": -Infinity}',
    "1e400": '{"field": "company.employees", "op": "is", "value": 1e400}',
    "5,000 digits": '{"field": "company.employees", "op": "is", "value": ' + "9" * 5_000 + "}",
    "half a surrogate pair": '{"field": "contact.title", "op": "is", "value": "\\ud800"}',
    "half a surrogate pair as a key": '{"\\udfff": 1}',
    "NUL": '{"field": "contact.title", "op": "is", "value": "a\\u0000b"}',
    "NUL in a field": '{"field": "contact.custom.\\u0000", "op": "is", "value": "a"}',
    "NUL in a slug": '{"in_segment": "a\\u0000"}',
    "a list": "[1, 2]",
    "a number": "5",
    "types": '{"field": ["contact.title"], "op": {"is": 1}, "value": [[]]}',
    "kinds": '{"did": {"page_view": 1}}',
    "where": '{"did": "x", "where": [[{"field": "url"}]]}',
    "sequence": '{"sequence": [null, 5, {"did": 7}], "gap": 3}',
    "unhashable unit": '{"field": "contact.created_at", "op": "in_last", "value": 1, "unit": ["days"]}',
    "unhashable period": '{"field": "contact.created_at", "op": "this", "value": {"week": 1}}',
    "unhashable state": '{"in_program": "x", "state": {"active": 1}}',
    "unhashable as": '{"did": "x", "total": {"of": "properties.a", "as": [], "op": "at_least", "value": 1}}',
    "a pattern that explodes": '{"field": "contact.title", "op": "matches", "value": "((a{1,200}){1,200}){1,200}"}',
    "an invalid pattern": '{"field": "contact.title", "op": "matches", "value": "(?<=a)["}',
}  # fmt: skip
WORDY = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)


@WORDY
def test_the_command_refuses_with_words(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    printed = io.StringIO()
    with pytest.raises(CommandError) as error:
        call_command("match", "-", stdout=printed)
    assert error.value.returncode == 1
    assert 10 < len(str(error.value)) < 5_000
    assert printed.getvalue() == ""


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user())
    return client


@WORDY
def test_the_builder_answers(marketer: Client, text: str) -> None:
    asked: list[tuple[str, dict[str, Any]]] = [
        ("segments:conditions-node", {"node": text, "root": "1"}),
        ("segments:conditions-node", {"node": text}),
        ("segments:conditions-preview", {"text": text, "path": ["", "all[0]"]}),
        ("segments:conditions-people", {"text": text}),
    ]
    for name, posted in asked:
        assert marketer.post(reverse(name), posted).status_code in (200, 422), name


@WORDY
def test_saving_is_refused(marketer: Client, text: str) -> None:
    answer = marketer.post(reverse("segments:segment-new"), {"name": "Odd", "mode": "dynamic", "conditions": text})
    assert answer.status_code in (200, 422)
    assert not Segment.objects.filter(name="Odd").exists()


def test_a_rule_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    make_contact()
    monkeypatch.setattr(match, "SECONDS", 0.05)
    slow = conditions.Sql("SELECT id FROM leads_contact contact, pg_sleep(2)")
    monkeypatch.setattr("segments.conditions.sql.matching", lambda *_args, **_kwargs: slow)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({"all": []})))
    with pytest.raises(CommandError, match="took too long") as error:
        call_command("match", "-", "--count")
    assert error.value.returncode == 1


def test_a_pattern_that_would_explode_elsewhere_is_bounded() -> None:
    """Nested repetition takes a backtracking matcher hours; here it is linear, in SQL and in Python."""
    contact = make_contact(title="a" * 200 + "!")
    tree = conditions.check({"field": "contact.title", "op": "matches", "value": "^(a+)+$"})
    moment = conditions.moment(contact.created_at + timedelta(days=1))
    with conditions.time_limit(2):
        assert conditions.match_ids(tree, moment) == []
    assert not conditions.explain(tree, contact.pk, moment).holds
