"""Templates and programs as files: the round trip is the identity, an import never starts or changes what is live."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from leads.models import AuditEntry
from nurture.actions import set_around
from nurture.models import Program, Stationery, Template, TrackingRule
from nurture.templating.stationery_edits import save
from nurture.tracking.actions import set_rule
from segments.definitions import documents
from tests.makers import NOW
from tests.nurture.makers import mail, make_program, make_template, publish, step, wait

pytestmark = pytest.mark.django_db

T = "kind: template\nslug: t\nname: T\nsubject: S\nformat: html\nbody: B\n"


def build() -> Program:
    branch = step("branch", "b", conditions={"field": "contact.title", "op": "is_known"}, yes=[step("end", "e")], no=[])
    split = step(
        "split",
        "s",
        weights={"a": 2, "b": 1},
        winner={"days": 5, "at_least": 40},
        a=[step("notify", "n", whom="owner", text="{{ contact.full_name }}")],
        b=[step("webhook", "h", url="https://hooks.example.com/in")],
    )
    program = make_program(mail(make_template(), "m"), wait(3, "days", "w"), split, branch, name="Welcome", live=False)
    around = {
        "goal": {"conditions": {"field": "contact.title", "op": "is_known"}},
        "again": {"days": 30},
        "hold_out": 10,
    }
    set_around(program.versions.get(), edit_number=1, document=around, now=NOW)
    set_rule(program, is_off=True, utm={}, actor=None, now=NOW)
    set_rule(Template.objects.get(), is_off=False, utm={"utm_term": "{template}"}, actor=None, now=NOW)
    publish(program)
    return program


def test_export_and_import_are_one(tmp_path: Path) -> None:
    program = build()
    call_command("definitions", "export", str(tmp_path), stdout=StringIO())
    before = documents(with_people=False)
    call_command("definitions", "import", str(tmp_path), stdout=StringIO())
    assert documents(with_people=False) == before
    assert program.versions.count() == 1
    assert Template.objects.get().version == 1
    assert AuditEntry.objects.filter(verb="set tracking of").count() == 2  # by `build` alone


def test_translations_snippets_and_layouts_come_along(tmp_path: Path) -> None:
    common: dict[str, Any] = {"version": None, "actor": None, "now": NOW}
    save(None, kind="snippet", slug="sign", name="S", format="", body="<i>S</i>", is_default=False, **common)
    words: dict[str, Any] = {"kind": "layout", "format": "html", "body": "{% content %}{% render 'sign' %}"}
    house = save(None, slug="house", name="House", is_default=True, **words, **common)
    rows = [{"language": "ko", "subject": "안녕", "preheader": "", "body": "<p>{% render 'sign' %}</p>", "text": "글"}]
    make_template(slug="t", language="en", layout=house, translations=rows, has_own_text=True, text="Words")
    call_command("definitions", "export", str(tmp_path), stdout=StringIO())
    before = documents(with_people=False)
    call_command("definitions", "import", str(tmp_path), stdout=StringIO())
    assert (documents(with_people=False), Template.objects.get().version) == (before, 1)
    Template.objects.all().delete()
    Stationery.objects.all().delete()
    call_command("definitions", "import", str(tmp_path), stdout=StringIO())
    assert documents(with_people=False) == before
    bad = (tmp_path / "templates" / "t.yaml").read_text().replace("sign", "nobody")
    (tmp_path / "templates" / "t.yaml").write_text(bad)
    with pytest.raises(CommandError):
        call_command("definitions", "import", str(tmp_path), stdout=StringIO(), stderr=StringIO())


def test_a_file_that_does_not_speak_of_tracking_leaves_it(tmp_path: Path) -> None:
    program = build()
    call_command("definitions", "export", str(tmp_path), stdout=StringIO())
    file = tmp_path / "programs" / f"{program.slug}.yaml"
    text = re.sub(r"(?m)^tracking:.*\n(  .*\n)*", "", file.read_text())
    assert text != file.read_text()
    file.write_text(text)
    call_command("definitions", "import", str(tmp_path), stdout=StringIO())
    assert TrackingRule.objects.get(program=program).is_off
    file.write_text(f"{text.rstrip()}\ntracking: {{}}\n")
    call_command("definitions", "import", str(tmp_path), stdout=StringIO())
    assert not TrackingRule.objects.filter(program=program).exists()


def test_an_import_into_an_empty_instance_makes_drafts(tmp_path: Path) -> None:
    build()
    call_command("definitions", "export", str(tmp_path), stdout=StringIO())
    before = documents(with_people=False)
    Program.objects.all().delete()
    Template.objects.all().delete()
    call_command("definitions", "import", str(tmp_path), stdout=StringIO())
    assert documents(with_people=False) == before
    assert Program.objects.get().state == "draft"


def test_a_changed_file_waits_in_the_draft_of_a_live_program(tmp_path: Path) -> None:
    program = build()
    call_command("definitions", "export", str(tmp_path), stdout=StringIO())
    file = tmp_path / "programs" / f"{program.slug}.yaml"
    file.write_text(file.read_text().replace("value: 3", "value: 4"))
    call_command("definitions", "import", str(tmp_path), stdout=StringIO())
    live, draft = program.versions.get(state="live"), program.versions.get(state="draft")
    assert live.tree["steps"][1]["for"]["value"] == 3
    assert draft.tree["steps"][1]["for"]["value"] == 4


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        (
            "templates",
            "kind: template\nslug: t\nname: T\nsubject: S\nformat: html\nbody: x\nblocks: [{key: B!, conditions: {all: []}}]\n",
        ),
        ("templates", "kind: template\nslug: t\nname: T\nsubject: S\nformat: html\nbody: '{% if %}'\n"),
        ("templates", T + "tracking: {on: true}\n"),
        ("templates", T + "tracking: {is_off: maybe}\n"),
        ("templates", T + "tracking: {utm: {utm_id: x}}\n"),
        ("templates", T + "tracking: {utm: {utm_term: '{contact.email}'}}\n"),
        ("templates", T + "tracking: {utm: {utm_term: 5}}\n"),
        ("programs", "kind: program\nslug: p\nname: P\nsteps: [{id: a, kind: nothing}]\n"),
        ("programs", "kind: program\nslug: p\nname: P\naround: {hold_out: 99}\nsteps: []\n"),
        ("programs", "kind: program\nslug: p\nname: P\ntrigger: {segment: gone}\nsteps: []\n"),
        ("programs", "kind: program\nslug: p\nname: P\ntrigger: {form: x}\nsteps: []\n"),
    ],
)
def test_a_broken_file_stores_nothing(tmp_path: Path, folder: str, text: str) -> None:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "x.yaml").write_text(text)
    with pytest.raises((SystemExit, Exception)):
        call_command("definitions", "import", str(tmp_path), stdout=StringIO(), stderr=StringIO())
    assert not Program.objects.exists()
    assert not Template.objects.exists()


def test_refresh_tells_what_it_did() -> None:
    build()
    out = StringIO()
    call_command("refresh", "--full", "--at", "2026-03-02T12:00:00Z", stdout=out)
    found = json.loads(out.getvalue())
    assert set(found) >= {"at", "definitions", "enrolled", "steps", "sendings", "seconds"}
    assert set(found["seconds"]) == {"definitions", "enrolments", "steps", "sendings", "total"}


@pytest.mark.parametrize("bad", [["--at", "soon"], ["--at", "2026-13-01"], ["--zone", "Mars/Olympus"]])
def test_refresh_refuses_nonsense(bad: list[str]) -> None:
    from django.core.management.base import CommandError

    with pytest.raises(CommandError) as caught:
        call_command("refresh", *bad, stdout=StringIO())
    assert caught.value.returncode == 2


def test_refresh_reads_at_in_the_zone() -> None:
    out = StringIO()
    call_command("refresh", "--at", "2026-03-02T12:00:00", "--zone", "Asia/Tokyo", stdout=out)
    assert json.loads(out.getvalue())["at"] == "2026-03-02T12:00:00+09:00"
