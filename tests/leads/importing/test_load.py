"""`manage.py load` as the contract has it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from leads.models import Activity, Company, Contact, CustomField, Deal, Mark, Signal
from tests.makers import clear_marks, make_company, make_contact

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "files"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """Load text or rows as a file and return what the command prints."""

    def load(
        kind: str, content: str | list[dict[str, Any]], *options: str, mapping: Any = None, **named: Any
    ) -> dict[str, Any]:
        if isinstance(content, list):
            path = tmp_path / "file.jsonl"
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
        else:
            path = tmp_path / "file.csv"
            path.write_text(content)
        if mapping is not None:
            (tmp_path / "M.json").write_text(mapping if isinstance(mapping, str) else json.dumps(mapping))
            options = (*options, "--mapping", str(tmp_path / "M.json"))
        out = io.StringIO()
        call_command("load", kind, str(path), *options, stdout=out, stderr=io.StringIO(), **named)
        printed: dict[str, Any] = json.loads(out.getvalue())
        return printed

    return load


def counts(printed: dict[str, Any]) -> tuple[int, ...]:
    return tuple(printed[key] for key in ("read", "created", "updated", "unchanged", "rejected"))


CONTACT = {
    "external_id": "c1",
    "email": "a@x.test",
    "title": "VP",
    "company": "acme",
    "tags": ["x"],
    "custom": {"plan": "pro"},
}
COMPANY = {"external_id": "acme", "name": "Acme", "employees": 12, "country": "DE"}
ACTIVITY = {
    "external_id": "e1",
    "contact": "c1",
    "kind": "page_view",
    "occurred_at": "2026-01-05T10:00:00Z",
    "url": "/pricing",
    "subject": "Pricing",
    "source": "google",
    "properties": {"seconds": 12.5, "deep": {"a": [1, None]}},
}
DEAL = {
    "external_id": "d1",
    "company": "acme",
    "contacts": ["c1"],
    "status": "won",
    "amount": 1200,
    "margin": 0.4,
    "opened_on": "2026-01-01",
    "closed_on": "2026-02-01",
    "product": "Basic",
    "loss_reason": None,
}


def test_the_four_kinds_of_the_contract_twice(load: Any) -> None:
    for kind, row in (("companies", COMPANY), ("contacts", CONTACT), ("activities", ACTIVITY), ("deals", DEAL)):
        assert load(kind, [row], "--create-fields") == {
            "read": 1,
            "created": 1,
            "updated": 0,
            "unchanged": 0,
            "rejected": 0,
            "rejects_file": None,
        }
    clear_marks()
    for kind, row in (("companies", COMPANY), ("contacts", CONTACT), ("activities", ACTIVITY), ("deals", DEAL)):
        assert counts(load(kind, [row])) == (1, 0, 0, 1, 0)
    assert Mark.objects.count() == 0
    contact = Contact.objects.get()
    assert contact.company is not None
    assert (contact.custom, contact.company.employees) == ({"plan": "pro"}, 12)
    assert Activity.objects.get().properties == {"seconds": 12.5, "deep": {"a": [1, None]}}
    deal = Deal.objects.get()
    assert (str(deal.amount), str(deal.margin), str(deal.closed_on), list(deal.contacts.all())) == (
        "1200.000000",
        "0.400000",
        "2026-02-01",
        [contact],
    )


@pytest.mark.parametrize(
    "stream", [io.TextIOWrapper(io.BytesIO(b'{"external_id": "c1"}\n')), io.StringIO('{"external_id": "c1"}\n')]
)
def test_standard_input_holds_json_lines(stream: io.TextIOBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", stream)
    out = io.StringIO()
    call_command("load", "contacts", "-", stdout=out)
    assert counts(json.loads(out.getvalue())) == (1, 1, 0, 0, 0)


def test_every_reason_to_reject(load: Any) -> None:
    make_contact("taken@x.test", external_id="c0")
    rows = [
        {"external_id": "c1", "email": "taken@x.test"},
        {"external_id": "c2", "company": "nobody"},
        {"external_id": "c3", "email": "no address"},
        {"external_id": "c4", "custom": {"nope": 1}},
        {"first_name": "Ada"},
        {"external_id": "c5", "stage": "guru"},
        {"external_id": "c6", "created_at": "1899-12-31"},
        {"external_id": "c7", "tags": "fine; also fine"},
        {"external_id": "c8", "title": "x" * 301},
        {"external_id": "c9", "title": ["x"]},
        {"external_id": "c10", "surprise": 1},
    ]
    printed = load("contacts", rows)
    assert counts(printed) == (11, 1, 0, 0, 10)
    lines = [json.loads(line) for line in Path(printed["rejects_file"]).read_text().splitlines()]
    assert [(line["line"], line["reason"]) for line in lines] == [
        (1, "the e-mail taken@x.test belongs to c0"),
        (2, "unknown company “nobody”"),
        (3, "email: “no address” is no e-mail address"),
        (4, "custom.nope: unknown field"),
        (5, "external_id or email is missing"),
        (6, lines[5]["reason"]),
        (7, "created_at: “1899-12-31” lies outside of 1900–2100"),
        (9, "title: the text has 301 characters; 300 are allowed"),
        (10, "title: text is expected here"),
        (11, "surprise: unknown field"),
    ]
    assert lines[5]["reason"].startswith("stage: “guru” is no stage")
    assert lines[0]["row"] == rows[0]


def test_unknown_custom_keys_are_typed_from_all_their_values(load: Any) -> None:
    rows = [
        {
            "external_id": "c1",
            "custom": {
                "flag": True,
                "n": 1,
                "many": ["a"],
                "day": "2026-01-01",
                "at": "2026-01-01T10:00:00Z",
                "mixed": 1,
            },
        },
        {
            "external_id": "c2",
            "custom": {"flag": False, "n": 1.5, "many": [], "day": "2026-01-02", "at": None, "mixed": "one", "t": "x"},
        },
        {"external_id": "c3", "custom": {"nothing": None}},
    ]
    assert counts(load("contacts", rows, "--create-fields")) == (3, 3, 0, 0, 0)
    assert dict(CustomField.objects.values_list("key", "type")) == {
        "flag": "yes_no",
        "n": "number",
        "many": "choices",
        "day": "date",
        "at": "moment",
        "mixed": "text",
        "t": "text",
        "nothing": "text",
    }
    assert Contact.objects.get(external_id="c2").custom == {
        "flag": False,
        "n": 1.5,
        "day": "2026-01-02",
        "mixed": "one",
        "t": "x",
    }
    assert Contact.objects.get(external_id="c1").custom["at"] == "2026-01-01T10:00:00+00:00"
    again = [{"external_id": "c1", "custom": {"n": "many", "flag": "yes"}}]
    printed = load("contacts", again)
    assert counts(printed) == (1, 0, 0, 0, 1)


def test_columns_are_typed_from_their_spelling(load: Any) -> None:
    text = (
        "external_id,Paid?,seats,zip,since,seen,note,tags list,Empty\n"
        'c1,Yes,3,01067,2026-01-01,2026-01-01 10:00:00,12,"[""a"", ""b""]",\n'
        "c2,no,-1.5,2,2026-12-31,2026-01-01T10:00Z,x,,\n"
    )
    assert counts(load("contacts", text, "--create-fields")) == (2, 2, 0, 0, 0)
    assert dict(CustomField.objects.values_list("key", "type")) == {
        "paid": "yes_no",
        "seats": "number",
        "zip": "text",
        "since": "date",
        "seen": "moment",
        "note": "text",
        "tags_list": "choices",
        "empty": "text",
    }
    assert CustomField.objects.get(key="paid").label == "Paid?"
    assert Contact.objects.get(external_id="c1").custom == {
        "paid": True,
        "seats": 3,
        "zip": "01067",
        "since": "2026-01-01",
        "seen": "2026-01-01T10:00:00+00:00",
        "note": "12",
        "tags_list": ["a", "b"],
    }


def test_a_mapping_with_all_its_parts(load: Any) -> None:
    make_company("Cancity", external_id="can")
    text = (
        "opportunity_id,sales_agent,product,account,deal_stage,engage_date,close_date,close_value,x\n"
        'o1,Moses Frase,GTXPro,Cancity,Won,10/20/2016,3/1/2017,"1.054,50",7\n'
        "o2,Moses Frase,MG,,Engaging,,,,\n"
        "o3,,MG,,Gone,13/13/2016,,,\n"
    )
    mapping = {
        "columns": {
            "opportunity_id": "external_id",
            "sales_agent": "owner",
            "account": "company",
            "deal_stage": "status",
            "engage_date": "opened_on",
            "close_date": "closed_on",
            "close_value": "amount",
        },
        "values": {"status": {"Won": "won", "Engaging": "open"}, "product": {"GTXPro": "GTX Pro"}},
        "dates": "%m/%d/%Y",
        "ignore": ["x"],
        "decimal": ",",
    }
    printed = load("deals", text, mapping=mapping)
    assert counts(printed) == (3, 2, 0, 0, 1)
    deal = Deal.objects.get(external_id="o1")
    assert deal.owner is not None
    assert (deal.owner.name, deal.product, deal.status, str(deal.opened_on), str(deal.closed_on), str(deal.amount)) == (
        "Moses Frase",
        "GTX Pro",
        "won",
        "2016-10-20",
        "2017-03-01",
        "1054.500000",
    )
    rejects = Path(printed["rejects_file"]).read_text(encoding="utf-8").splitlines()
    assert rejects[0].endswith("x,ripen_line,ripen_reason")
    assert "no status" in rejects[1]
    assert "13/13/2016" in rejects[1]


def test_a_column_may_fill_two_fields_and_a_constant_every_row(load: Any) -> None:
    make_contact(external_id="l1")
    mapping = {
        "columns": {"mql_id": ["external_id", "contacts"], "won_date": "closed_on"},
        "constants": {"status": "won"},
    }
    assert counts(load("deals", "mql_id,won_date\nl1,2018-02-26 19:58:54\n", mapping=mapping)) == (1, 1, 0, 0, 0)
    assert Deal.objects.get().status == "won"


def test_an_empty_cell_leaves_a_value(load: Any) -> None:
    load("contacts", "external_id,title,city\nc1,CFO,Rom\n")
    assert counts(load("contacts", "external_id,title,city\nc1,,Rom\nc1,,Oslo\n")) == (2, 0, 1, 1, 0)
    contact = Contact.objects.get()
    assert (contact.title, contact.city) == ("CFO", "Oslo")


def test_unknown_columns_reject_the_rows_that_fill_them(load: Any) -> None:
    assert counts(load("contacts", "external_id,what\nc1,\nc2,x\n")) == (2, 1, 0, 0, 1)


def test_formula_cells_are_text_and_the_rejects_are_safe(load: Any) -> None:
    printed = load("contacts", "external_id,title,email\nc1,=1+1,\nc2,=cmd|' /C calc'!A0,bad\nc3,-5,bad\n")
    assert counts(printed) == (3, 1, 0, 0, 2)
    assert Contact.objects.get().title == "=1+1"
    rejects = Path(printed["rejects_file"]).read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[1] for line in rejects[1:]] == ["'=cmd|' /C calc'!A0", "-5"]


def test_the_rejects_come_in_again_once_mended(load: Any) -> None:
    printed = load("contacts", "external_id,email\nc1,bad\nc2,b@x.test\n")
    mended = Path(printed["rejects_file"]).read_text(encoding="utf-8").replace("c1,bad", "c1,a@x.test")
    assert counts(load("contacts", mended)) == (1, 1, 0, 0, 0)


def test_moments_of_two_centuries(load: Any) -> None:
    make_contact(external_id="c1")
    moments = [
        "1900-01-01T00:00:00Z",
        "2100-12-31T23:59:59.999999Z",
        "2026-03-29T02:30:00",
        "1969-07-20",
        "2024-02-29T12:00:00+14:00",
    ]
    rows = [{"contact": "c1", "kind": "call", "occurred_at": moment} for moment in moments]
    assert counts(load("activities", rows)) == (5, 5, 0, 0, 0)
    assert Signal.objects.get().n == 5
    bad = [{"contact": "c1", "kind": "call", "occurred_at": text} for text in ("2101-01-01", "2026-02-30", "soon", 7)]
    assert counts(load("activities", bad)) == (4, 0, 0, 0, 4)


def test_a_dry_run_stores_nothing(load: Any) -> None:
    printed = load("contacts", "external_id,plan\nc1,pro\nc1,free\nc2,\n", "--dry-run", "--create-fields")
    assert counts(printed) == (3, 2, 1, 0, 0)
    assert (Contact.objects.count(), CustomField.objects.count(), Mark.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "content", "mapping", "reason"),
    [
        ("contacts", "", None, "empty"),
        ("contacts", "title,city\nCFO,Rom\n", None, "external_id / email"),
        ("activities", "contact,kind\nc1,call\n", None, "occurred_at"),
        ("contacts", "external_id,status,amount\nd1,won,5\n", None, "deals"),
        ("companies", "external_id,email,title,company\nc1,a@x.test,CFO,acme\n", None, "contacts"),
        ("contacts", "external_id\nc1\n", {"columns": {"mql_id": "external_id"}}, "there is no column “mql_id”"),
        ("contacts", "id\nc1\n", {"columns": {"id": "external"}}, "no field"),
        ("contacts", "id,external_id\nc1,c2\n", {"columns": {"id": "external_id"}}, None),
        ("contacts", "id,b\nc1,c2\n", {"columns": {"id": "external_id", "b": "external_id"}}, "Two columns"),
        ("contacts", "external_id\nc1\n", {"column": {}}, "“column” is unknown"),
        ("contacts", "external_id\nc1\n", '{"columns": {"a": "title", "a": "city"}}', "“a” stands there twice"),
        ("contacts", "external_id\nc1\n", {"dates": "%d.%m"}, "dates"),
        ("contacts", "external_id\nc1\n", {"columns": {"external_id": 5}}, "columns.external_id"),
        ("deals", "external_id\nd1\n", {"constants": {"status": "gone"}}, "constants.status"),
    ],
)
def test_files_and_mappings_are_refused_with_the_reason(
    load: Any, kind: str, content: str, mapping: Any, reason: str | None
) -> None:
    if reason is None:
        printed = load(kind, content, mapping=mapping)
        assert printed["rejected"] == 1  # the column external_id has no field left
        return
    with pytest.raises(CommandError, match=reason) as error:
        load(kind, content, mapping=mapping)
    assert error.value.returncode == 1
    assert Contact.objects.count() == Deal.objects.count() == Company.objects.count() == 0


def test_a_missing_file_is_refused() -> None:
    with pytest.raises(CommandError, match="no file"):
        call_command("load", "contacts", "/nowhere/file.csv")


def test_bad_usage_exits_with_two() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "load", "planets", "file.csv"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 2


def test_one_key_on_every_row_is_worked_in_order(load: Any) -> None:
    text = "email,title\n" + "".join(f"a@x.test,Title {number}\n" for number in range(300))
    assert counts(load("contacts", text)) == (300, 1, 299, 0, 0)
    assert Contact.objects.get().title == "Title 299"


def test_a_row_that_the_database_refuses_does_not_stop_the_others(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from leads.importing import fields

    broken = fields._text("title", "Title", 5_000)  # a converter that lets too much through
    monkeypatch.setitem(fields.FIELDS["contacts"], "title", broken)
    rows = [{"external_id": f"c{number}", "title": "x" * (400 if number == 33 else 4)} for number in range(100)]
    printed = load("contacts", rows)
    assert counts(printed) == (100, 99, 0, 0, 1)
    assert "could not be stored" in Path(printed["rejects_file"]).read_text()
