"""Definitions as files: round trip, dry run, refusals with file and path, people by name."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from leads.actions import make_custom_field
from leads.models import CustomField, Stage
from segments import definition_kinds, definitions, turn
from segments.actions import add_to_segment, remove_from_segment
from segments.definitions import BadDefinition, from_yaml, to_yaml
from segments.models import Membership, Persona, Segment
from tests.makers import NOW, make_contact, make_segment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("only_segments")]

CFO = {"field": "contact.title", "op": "contains", "value": "cfo"}
NORWEGIAN = {"field": "contact.country", "op": "in", "value": ["NO", "DE"]}


@pytest.fixture(autouse=True)
def _only_my_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "_kinds", {kind.kind: kind for kind in definition_kinds.KINDS})


def run(*words: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("definitions", *map(str, words), stdout=out)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told


def refused(folder: Path, *words: str) -> list[dict[str, Any]]:
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("definitions", "import", str(folder), *words, stdout=out)
    told = json.loads(out.getvalue())
    assert told["stored"] is False
    return [file for file in told["files"] if file["outcome"] == "refused"]


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.yaml"))}


def _define_some() -> None:
    make_custom_field("contact", key="plan", type="choice", choices=["free", "pro"], label="Plan", now=NOW)
    make_custom_field("company", key="plan", type="number", now=NOW)
    Persona.objects.create(
        slug="cfo",
        name="Clara",
        position=3,
        status="agreed",
        motivations=["order"],
        conditions=CFO,
        day="Mails, – then “more”",
    )
    make_segment(
        {"field": "contact.custom.plan", "op": "is", "value": "pro"},
        name="Pro", folder="Plans", labels=["no", "Ä, b"], owner=User.objects.get_or_create(username="eve")[0],
    )  # fmt: skip
    make_segment(
        {"any": [{"in_segment": "pro"}, {"in_persona": "cfo"}, NORWEGIAN]},
        name="A wide one",
        notes="on\nno: 2026-01-05",
    )
    make_segment(name="By hand")
    make_segment({"all": []}, name="All of them")


def test_a_round_trip_changes_nothing_and_its_files_are_the_same(tmp_path: Path) -> None:
    _define_some()
    told = run("export", tmp_path / "one", "--with-people")
    assert told == {"files": 18, "kinds": {"field": 2, "stage": 11, "segment": 4, "persona": 1}, "other_files": []}

    again = run("import", tmp_path / "one")
    assert {key: again[key] for key in ("read", "created", "updated", "unchanged", "refused", "stored")} == {
        "read": 18, "created": 0, "updated": 0, "unchanged": 18, "refused": 0, "stored": True,
    }  # fmt: skip

    Segment.objects.all().delete()
    Persona.objects.all().delete()
    CustomField.objects.all().delete()
    assert run("import", tmp_path / "one")["created"] == 7
    run("export", tmp_path / "two", "--with-people")
    assert texts(tmp_path / "one") == texts(tmp_path / "two")
    assert Segment.objects.get(slug="pro").stale_since is not None


def test_the_file_is_the_one_of_the_contract(tmp_path: Path) -> None:
    make_custom_field("contact", key="plan", type="choice", choices=["free", "pro"], label="Plan", now=NOW)
    make_segment({"all": [CFO, NORWEGIAN]}, name="DACH")
    run("export", tmp_path)
    assert (tmp_path / "segments" / "dach.yaml").read_text() == (
        "kind: segment\nslug: dach\nname: DACH\nmode: dynamic\nconditions:\n  all:\n"
        "  - {field: contact.title, op: contains, value: cfo}\n"
        "  - field: contact.country\n    op: in\n    value: ['NO', DE]\n"
    )
    assert (tmp_path / "fields" / "plan.yaml").read_text() == (
        "kind: field\nof: contact\nkey: plan\nlabel: Plan\ntype: choice\nchoices: [free, pro]\n"
    )


def segment(slug: str, **more: Any) -> str:
    return to_yaml({"kind": "segment", "slug": slug, "name": slug.upper(), **more})


def test_an_arrow_is_turned_round_in_one_import_and_a_loop_is_refused(tmp_path: Path) -> None:
    make_segment(CFO, name="a")
    make_segment({"in_segment": "a"}, name="b")
    write(tmp_path, "a.yaml", segment("a", conditions={"in_segment": "b"}))
    write(tmp_path, "b.yaml", segment("b", conditions={"in_segment": "a"}))
    assert [(file["file"], file["problems"][0]["message"]) for file in refused(tmp_path)] == [
        ("a.yaml", "This rule would go in a circle: a → B → a."),
    ]  # fmt: skip
    write(tmp_path, "b.yaml", segment("b", conditions=CFO))
    told = run("import", tmp_path)
    assert (told["stored"], told["updated"], told["refused"]) == (True, 2, 0)
    assert Segment.objects.get(slug="a").conditions == {"in_segment": "b"}
    assert run("import", tmp_path)["unchanged"] == 2


def test_labels_and_the_owner_are_read(tmp_path: Path) -> None:
    eve = User.objects.create(username="eve")
    write(tmp_path, "a.yaml", segment("a", conditions=CFO, owner="eve", labels=["z", "DACH", "dach"]))
    run("import", tmp_path)
    assert Segment.objects.values_list("owner", "labels").get() == (eve.pk, ["DACH", "z"])
    write(tmp_path, "a.yaml", segment("a", conditions=CFO, owner="adam"))
    (file,) = run("import", tmp_path)["files"]
    assert (file["remarks"], file["difference"]) == (
        ["owner: nobody is called “adam” here."], {"labels": [["DACH", "z"], None]},
    )  # fmt: skip
    assert Segment.objects.get().owner == eve
    write(tmp_path, "a.yaml", segment("a", conditions=CFO, labels=["fine", "x" * 51]))
    assert refused(tmp_path)[0]["problems"][0]["path"] == "labels[1]"


def test_a_field_changes_its_type_by_a_file_while_nothing_is_lost_or_uses_it(tmp_path: Path) -> None:
    make_custom_field("contact", key="plan", type="text", label="Plan", now=NOW)
    contact = make_contact(custom={"plan": "12"})
    write(
        tmp_path,
        "plan.yaml",
        to_yaml({"kind": "field", "of": "contact", "key": "plan", "label": "Plan", "type": "number"}),
    )
    used = make_segment({"field": "contact.custom.plan", "op": "is", "value": "pro"}, name="Pros")
    assert refused(tmp_path)[0]["problems"] == [
        {"path": "type", "message": "is text here and cannot be changed: “Plan” is used by: segment “Pros”. Change these first."}
    ]  # fmt: skip
    used.delete()
    assert run("import", tmp_path)["files"][0]["difference"] == {"type": ["text", "number"]}
    contact.refresh_from_db()
    assert contact.custom == {"plan": 12}


def test_a_dry_run_says_the_difference_and_stores_nothing(tmp_path: Path) -> None:
    make_segment(CFO, name="Chiefs")
    write(
        tmp_path,
        "segments/chiefs.yaml",
        to_yaml({"kind": "segment", "slug": "chiefs", "name": "Chefs", "mode": "dynamic", "conditions": NORWEGIAN}),
    )
    write(
        tmp_path, "segments/new.yaml", to_yaml({"kind": "segment", "slug": "fresh", "name": "Fresh", "conditions": CFO})
    )
    told = run("import", tmp_path, "--dry-run")
    assert (told["dry_run"], told["stored"], told["created"], told["updated"]) == (True, False, 1, 1)
    assert told["files"][0] == {
        "file": "segments/chiefs.yaml", "kind": "segment", "outcome": "updated",
        "difference": {"name": ["Chiefs", "Chefs"], "conditions": [CFO, NORWEGIAN]},
    }  # fmt: skip
    assert list(Segment.objects.values_list("slug", "name")) == [("chiefs", "Chiefs")]


def test_documents_may_name_each_other_in_any_order(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", to_yaml({"kind": "segment", "slug": "a", "name": "A", "conditions": {"in_segment": "b"}}))
    write(
        tmp_path,
        "b.yaml",
        to_yaml(
            {
                "kind": "segment",
                "slug": "b",
                "name": "B",
                "conditions": {"field": "contact.custom.tier", "op": "is", "value": "x"},
            }
        ),
    )
    write(tmp_path, "z.yaml", to_yaml({"kind": "field", "of": "contact", "key": "tier", "type": "text"}))
    assert run("import", tmp_path)["created"] == 3


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (
            "kind: segment\nslug: x\nname: X\nconditions: {all: [{field: contact.titel, op: is, value: x}]}\n",
            "conditions.all[0].field",
        ),
        ("kind: segment\nslug: x\nname: X\nconditions: {in_segment: nowhere}\n", "conditions.in_segment"),
        ("kind: segment\nslug: x\nname: X\nconditions: {in_segment: x}\n", ""),
        ("kind: segment\nslug: x\nname: X\n", "conditions"),
        ("kind: segment\nslug: x\nname: X\nmode: frozen\n", "mode"),
        ("kind: segment\nslug: x y\nname: X\nconditions: {all: []}\n", "slug"),
        ("kind: segment\nslug: new\nname: X\nconditions: {all: []}\n", "slug"),
        ("kind: segment\nslug: x\nname: X\ncolour: red\nconditions: {all: []}\n", "colour"),
        ("kind: segment\nslug: x\nname: 7\nconditions: {all: []}\n", "name"),
        ("kind: segment\nslug: x\nname: X\nmode: fixed\nremoved: [a]\n", "removed"),
        ("kind: segment\nslug: x\nname: X\nmode: fixed\nadded: [[a]]\n", "added"),
        ("kind: fruit\n", "kind"),
        ("just text", ""),
        ("kind: [", ""),
        ("kind: segment\nkind: segment\n", ""),
        ("a: &a [1]\nb: *a\n", ""),
        ("kind: stage\nslug: fruit\nlabel: Fruit\n", "slug"),
        ("kind: stage\nslug: mql\nlabel: MQL\nposition: 9\n", "position"),
        ("kind: field\nof: contact\nkey: Plan\ntype: text\n", ""),
        ("kind: field\nof: contact\nkey: plan\ntype: color\n", "type"),
        ("kind: persona\nslug: p\nname: P\nmotivations: [money]\n", "motivations[0]"),
        ("kind: persona\nslug: p\nname: P\nrole: boss\n", "role"),
    ],
)
def test_a_refused_document_names_its_file_and_path(tmp_path: Path, text: str, path: str) -> None:
    write(tmp_path, "deep/one.yml", text)
    write(tmp_path, "good.yaml", to_yaml({"kind": "segment", "slug": "good", "name": "Good", "conditions": CFO}))
    (file,) = refused(tmp_path)
    assert file["file"] == "deep/one.yml"
    assert [problem["path"] for problem in file["problems"]] == [path]
    assert not Segment.objects.exists()  # all or none


def test_a_field_keeps_its_type_where_values_would_be_lost_and_a_segment_its_mode(tmp_path: Path) -> None:
    make_custom_field("contact", key="plan", type="text", now=NOW)
    make_contact(custom={"plan": "pro"})
    make_segment(name="List")
    write(tmp_path, "plan.yaml", "kind: field\nof: contact\nkey: plan\ntype: number\n")
    write(tmp_path, "list.yaml", "kind: segment\nslug: list\nname: List\nmode: dynamic\nconditions: {all: []}\n")
    assert {file["file"]: file["problems"][0]["path"] for file in refused(tmp_path)} == {
        "list.yaml": "mode",
        "plan.yaml": "type",
    }


def test_the_same_definition_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        write(tmp_path, name, to_yaml({"kind": "segment", "slug": "x", "name": name, "conditions": CFO}))
    (file,) = refused(tmp_path, "--dry-run")
    assert (file["file"], file["problems"][0]["message"]) == ("b.yaml", "a.yaml defines the same.")


def test_people_come_and_go_with_the_file(tmp_path: Path) -> None:
    ada, bob, eve = (make_contact(external_id=name, email=f"{name}@x.test") for name in ("ada", "bob", "eve"))
    nameless = make_contact("No@X.test", external_id=None)
    segment = make_segment({"any": [CFO]}, name="S")
    add_to_segment(segment, contact_ids=[ada.pk, nameless.pk], cause="by_hand", actor=None, now=NOW)
    remove_from_segment(segment, contact_ids=[eve.pk], cause="by_hand", actor=None, now=NOW)
    run("export", tmp_path, "--with-people")
    document = from_yaml((tmp_path / "segments/s.yaml").read_text())
    assert (document["added"], document["removed"]) == (["No@X.test", "ada"], ["eve"])

    document |= {"added": ["bob", "no@x.TEST", "nobody"]}
    del document["removed"]
    write(tmp_path, "segments/s.yaml", to_yaml(document))
    told = run("import", tmp_path)
    (file,) = [file for file in told["files"] if file["outcome"] == "updated"]
    assert file["remarks"] == ["added: 1 people are not known here: nobody"]
    assert set(Membership.objects.filter(until=None).values_list("contact_id", flat=True)) == {bob.pk, nameless.pk}
    assert dict(segment.overrides.values_list("contact_id", "verdict")) == {
        bob.pk: "added",
        nameless.pk: "added",
        eve.pk: "removed",
    }


def test_yaml_has_the_scalars_of_json() -> None:
    text = "a: on\nb: no\nc: 2026-01-05\nd: 12:30\ne: 1_000\nf: 010\ng: 1.5\nh: -3\ni: true\nj: null\nk: ~\nl: 1e3\n"
    assert from_yaml(text) == {
        "a": "on", "b": "no", "c": "2026-01-05", "d": "12:30", "e": "1_000", "f": "010", "g": 1.5, "h": -3, "i": True,
        "j": None, "k": None, "l": 1000.0,
    }  # fmt: skip
    values = {
        "op": "on",
        "value": "2026-01-05",
        "list": ["NO", "007", "1.5", "null", ""],
        "number": 1.5,
        "whole": 3,
        "yes": True,
    }
    assert from_yaml(to_yaml(values)) == values


@pytest.mark.parametrize(
    "text",
    ["1e3", "-2E+5", "1.5e-3", "1e400", "no", "~", "2026-01-05", "12:30", "a\x85b", "\x85", "\u2028x", " x ", "\t", "a: b", "# x", ""],
)  # fmt: skip
def test_what_looks_like_something_else_comes_back_as_text(text: str) -> None:
    document = {"value": text, "list": [text, "b"], "inside": {"list": [text]}, text: 1}
    assert from_yaml(to_yaml(document)) == document


def test_a_value_that_stands_twice_is_written_twice() -> None:
    shared = ["a", "b"]
    document = {"one": shared, "two": {"list": shared}}
    assert "*" not in to_yaml(document)
    assert from_yaml(to_yaml(document)) == document


def test_a_stage_can_be_called_otherwise(tmp_path: Path) -> None:
    write(tmp_path, "mql.yaml", "kind: stage\nslug: mql\nlabel: Ripe\n")
    assert run("import", tmp_path)["updated"] == 1
    assert Stage.objects.get(slug="mql").label == "Ripe"


def test_too_large_and_foreign_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definitions, "LARGEST_FILE", 10)
    write(tmp_path, "large.yaml", "kind: segment # and more\n")
    (tmp_path / "latin.yaml").write_bytes("ä".encode("latin-1"))
    (tmp_path / "notes.txt").write_text("not read")
    assert [file["file"] for file in refused(tmp_path)] == ["large.yaml", "latin.yaml"]
    with pytest.raises(BadDefinition):
        from_yaml("[" * 2_000)
    assert run("export", tmp_path)["other_files"] == ["large.yaml", "latin.yaml"]
    with pytest.raises(CommandError):
        run("import", tmp_path / "nowhere")


def test_members_prints_who_is_stored() -> None:
    make_contact(external_id="b", title="CFO")
    make_contact("z@x.test", external_id=None, title="CFO")
    make_contact(external_id="B", title="CFO")
    segment = make_segment(CFO, name="Chiefs")
    turn.turn(NOW)
    out = StringIO()
    call_command("members", segment.slug, stdout=out)
    assert json.loads(out.getvalue()) == {"count": 3, "contacts": ["B", "b", "z@x.test"]}
    with pytest.raises(CommandError):
        call_command("members", "nowhere")
