"""match and explain: one JSON object, refusals with their exit code, the moment and the zone asked for."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from leads.workspace import workspace
from tests.makers import make_activity, make_contact
from tests.segments.conditions.asking import field

pytestmark = pytest.mark.django_db
AT = "2026-03-02T12:00:00Z"


def run(command: str, document: Any, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    text = document if isinstance(document, str) else json.dumps(document)
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    printed = io.StringIO()
    call_command(command, "-", *arguments, stdout=printed)
    assert printed.getvalue().count("\n") == 1
    found: dict[str, Any] = json.loads(printed.getvalue())
    return found


def test_match_prints_external_ids_else_mails_by_code_point(monkeypatch: pytest.MonkeyPatch) -> None:
    for external_id, email in (("c2", "x@x.test"), ("c10", "y@x.test"), ("Z", None), ("é", None), (None, "a@x.test")):
        make_contact(email or f"{external_id}.mail@x.test", external_id=external_id, title="VP")
    make_contact("other@x.test", title="CTO")
    rule = field("contact.title", "is", "vp")
    assert run("match", rule, "--at", AT, monkeypatch=monkeypatch) == {
        "at": AT,
        "count": 5,
        "contacts": ["Z", "a@x.test", "c10", "c2", "é"],
    }
    assert run("match", rule, "--at", AT, "--count", monkeypatch=monkeypatch) == {"at": AT, "count": 5}


def test_the_rule_may_stand_in_a_file(tmp_path: Path) -> None:
    make_contact(external_id="c1", title="VP")
    file = tmp_path / "rule.json"
    file.write_text("\ufeff" + json.dumps(field("contact.title", "is", "vp")), encoding="utf-8")
    printed = io.StringIO()
    call_command("match", str(file), stdout=printed)
    assert json.loads(printed.getvalue())["contacts"] == ["c1"]


def test_moment_and_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    make_contact(external_id="c1", created_at="2026-03-01T23:30:00+00:00")
    rule = field("contact.created_at", "this", "week")
    assert run("match", rule, "--at", "2026-03-02T12:00:00", monkeypatch=monkeypatch)["count"] == 0
    berlin = run("match", rule, "--at", "2026-03-02T12:00:00", "--zone", "Europe/Berlin", monkeypatch=monkeypatch)
    assert berlin == {"at": "2026-03-02T11:00:00Z", "count": 1, "contacts": ["c1"]}
    row = workspace()
    row.timezone, row.week_start = "Asia/Tokyo", 7
    row.save()
    assert run("match", rule, "--at", "2026-03-01", monkeypatch=monkeypatch)["at"] == "2026-02-28T15:00:00Z"


def test_explain(monkeypatch: pytest.MonkeyPatch) -> None:
    ann = make_contact("ann@x.test", external_id="c1", title="VP", company={"revenue": "1200.5"})
    make_activity(ann, "download")
    rule = {"all": [field("company.revenue", "at_least", 2000), {"did": "download"}]}
    expected = {
        "holds": False,
        "sentence": "Revenue is at least 2000 and downloaded something",
        "because": [
            {
                "leaf": field("company.revenue", "at_least", 2000),
                "actual": 1200.5,
                "holds": False,
            }
        ],
    }
    for name in ("c1", "ANN@x.test"):
        assert run("explain", rule, name, "--at", AT, monkeypatch=monkeypatch) == expected
    with pytest.raises(CommandError, match="there is no contact “c9”") as error:
        run("explain", rule, "c9", monkeypatch=monkeypatch)
    assert error.value.returncode == 1


@pytest.mark.parametrize(
    ("text", "arguments", "code", "says"),
    [
        ("{", [], 1, "This is no JSON: line 1, column 2"),
        ("[" * 100_000, [], 1, "nested too deep"),
        ('{"all": [], "all": []}', [], 1, "all: “all” stands here more than once"),
        ('{"field": "contact.title", "op": "is", "value": NaN}', [], 1, "“NaN” is no number of JSON"),
        ('{"field": "company.employees", "op": "is", "value": 1' + "0" * 5000 + "}", [], 1, ""),
        ('{"all": [{"field": "contact.titel", "op": "is", "value": "x"}]}', [], 1, "all[0].field: there is no field"),
        ('{"in_segment": "later"}', [], 1, "does not exist"),
        ('{"all": []}', ["--at", "yesterday"], 2, "no ISO moment"),
        (
            '{"all": []}',
            ["--at", "9999-12-31T23:59:59Z", "--zone", "Asia/Kathmandu"],
            2,
            "outside of the years 2 to 9998",
        ),
        ('{"all": []}', ["--at", "0001-01-01T00:00:00Z"], 2, "outside of the years 2 to 9998"),
        ('{"all": []}', ["--zone", "Mars/Base"], 2, "no time zone"),
        ('{"all": []}', ["--zone", "../etc/passwd"], 2, "no time zone"),
    ],
)
def test_refusals(text: str, arguments: list[str], code: int, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError) as error:
        run("match", text, *arguments, monkeypatch=monkeypatch)
    assert error.value.returncode == code
    assert says in str(error.value)


@pytest.mark.parametrize("moment", ["9998-12-31T23:59:59Z", "0002-01-01T00:00:00Z"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_the_ends_of_the_calendar(moment: str, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every period that reaches beyond the calendar is worked out all the same."""
    make_activity(make_contact(external_id="c1"))
    periods = [
        {"op": op, "value": 10**9, "unit": unit}
        for op in ("in_last", "in_next", "more_than_ago")
        for unit in ("minutes", "weeks", "quarters", "years")
    ]
    periods += [{"op": op, "value": "year"} for op in ("this", "last", "next")]
    rules: list[dict[str, Any]] = [{"field": "contact.created_at", **each} for each in periods]
    rules += [{"did": "any", "when": each} for each in periods] + [field("contact.created_at", "anniversary_in", 365)]
    rules.append({"sequence": [{"did": "any"}] * 2, "gap": {"value": 10**9, "unit": "months"}})
    for rule in rules:
        found = run("match", rule, "--at", moment, "--zone", zone, monkeypatch=monkeypatch)["contacts"]
        assert run("explain", rule, "c1", "--at", moment, "--zone", zone, monkeypatch=monkeypatch)["holds"] == (
            "c1" in found
        )


def test_a_missing_or_odd_file(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="No such file") as error:
        call_command("match", str(tmp_path / "none.json"))
    assert error.value.returncode == 2
    (tmp_path / "latin.json").write_bytes('{"any": ["ü"]}'.encode("latin-1"))
    with pytest.raises(CommandError, match="not UTF-8"):
        call_command("match", str(tmp_path / "latin.json"))
