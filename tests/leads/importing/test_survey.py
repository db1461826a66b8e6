"""How columns are spelled, which date formats fit, what is guessed from names and values."""

from __future__ import annotations

from pathlib import Path

import pytest

from leads.importing import mapping, survey
from leads.importing.reading import open_source
from leads.importing.survey import Speller, date_formats


@pytest.mark.parametrize(
    ("texts", "type"),
    [
        (["true", "NO", "Yes"], "yes_no"),
        (["1", "0"], "number"),
        (["1.5", "-2e3", ".5"], "number"),
        (["01067", "80331"], "text"),
        (["+49 30 1"], "text"),
        (["2026-01-01"], "date"),
        (["2026-02-30"], "text"),
        (["2026-01-01T10:00:00Z", "2026-01-01 10:00"], "moment"),
        (["2026-01-01", "2026-01-01T10:00:00Z"], "text"),
        (['["a"]', "[]"], "choices"),
        (["[broken"], "text"),
        (["x" * 10_001, "1"], "long_text"),
        ([], "text"),
    ],
)
def test_a_type_is_what_all_values_spell(texts: list[str], type: str) -> None:
    speller = Speller()
    for text in texts:
        speller.see_text(text)
    assert speller.found == type


def test_a_date_in_the_files_own_format_is_a_date() -> None:
    speller = Speller("%m/%d/%Y")
    speller.see_text("12/31/2026")
    assert speller.found == "date"


@pytest.mark.parametrize(
    ("texts", "formats"),
    [
        (["10/20/2016", "3/1/2017"], ["%m/%d/%Y"]),
        (["20/10/2016", "3/1/2017"], ["%d/%m/%Y"]),
        (["1/2/2017"], ["%m/%d/%Y", "%d/%m/%Y"]),
        (["31.12.2026 23:59"], ["%d.%m.%Y %H:%M"]),
        (["2026-01-01"], ["%Y-%m-%d"]),
        (["2026-01-01T10:00:00Z"], ["ISO"]),
        (["Won", "Lost"], []),
        ([], []),
    ],
)
def test_date_formats_that_fit_every_value(texts: list[str], formats: list[str]) -> None:
    assert date_formats(texts) == formats


def test_a_survey_counts_and_shows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,n,empty\na,1,\nb,2,\na,,\n")
    columns, seen, is_all = survey.survey(open_source(path), limit=10)
    assert (seen, is_all) == (3, True)
    assert [column.to_document() for column in columns] == [
        {
            "name": "name",
            "filled": 3,
            "type": "text",
            "examples": ["a", "b"],
            "values": [["a", 2], ["b", 1]],
            "dates": [],
        },
        {
            "name": "n",
            "filled": 2,
            "type": "number",
            "examples": ["1", "2"],
            "values": [["1", 1], ["2", 1]],
            "dates": [],
        },
        {"name": "empty", "filled": 0, "type": "text", "examples": [], "values": [], "dates": []},
    ]
    assert survey.survey(open_source(path), limit=2)[2] is False


def test_names_of_other_systems_are_known() -> None:
    names = ["mql_id", "First Contact Date", "origin", "E-Mail", "Sales Agent", "unknown"]
    assert mapping.guess("contacts", names, []) == {
        "mql_id": "external_id",
        "First Contact Date": "created_at",
        "origin": "source",
        "E-Mail": "email",
        "Sales Agent": "owner",
    }


def test_a_field_is_guessed_once_and_its_own_name_wins() -> None:
    assert mapping.guess("contacts", ["id", "external_id"], []) == {"external_id": "external_id"}
    assert mapping.guess("contacts", ["Plan", "custom.seats"], ["plan", "seats"]) == {
        "Plan": "custom.plan",
        "custom.seats": "custom.seats",
    }


def test_words_of_other_systems_for_a_status() -> None:
    found = mapping.guess_status(["Closed Won", "closed_lost", "Engaging", "won", "Stuck"])
    assert found == {"Closed Won": "won", "closed_lost": "lost", "Engaging": "open"}


def test_two_spellings_of_one_thing() -> None:
    counts = {"GTX Basic": 5, "GTXPro": 9, "MG Pro": 2, "E-Mail": 1, "email": 7, "Other": 1}
    assert mapping.guess_twins(counts) == {"GTXPro": "GTX Pro", "E-Mail": "email"}


@pytest.mark.parametrize(
    ("name", "key"), [("Paid?", "paid"), ("2nd Phone", "field_2nd_phone"), ("日本", "field"), ("a" * 80, "a" * 60)]
)
def test_keys_for_columns(name: str, key: str) -> None:
    assert mapping.field_key(name) == key
    assert mapping.field_key(name, [key]) == f"{key}_2"
