"""What a template was at each save: kept, compared, brought back; two editors at once lose nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from leads.access import MARKETER, SALES
from nurture import actions
from nurture.models import Stationery, StationeryVersion, Template, TemplateVersion
from nurture.templating import history, stationery_edits, translations, writing
from tests.makers import NOW, make_user
from tests.nurture.makers import make_template
from tests.nurture.test_views import signed_in

pytestmark = pytest.mark.django_db


def save(template: Template, *, body: str, **values: Any) -> Template:
    given: dict[str, Any] = {
        "name": "Hello",
        "subject": "Hi",
        "preheader": "",
        "format": "html",
        "actor": None,
        "now": NOW,
    }
    return actions.save_template(template, body=body, **(given | values))


def numbers(template: Template) -> list[int]:
    return list(template.versions.order_by("number").values_list("number", flat=True))


def test_each_save_is_kept_with_who_and_why() -> None:
    ada = make_user(username="ada")
    template = make_template(body="<p>one</p>")
    save(template, body="<p>two</p>", actor=ada, reason="  because ")
    rule = {"field": "contact.title", "op": "is_known"}
    writing.set_block(template, key="some", conditions=rule, version=2, actor=ada, now=NOW)
    spoken = {"language": "ko", "subject": "S", "preheader": "", "body": "<p>x</p>", "text": None}
    writing.set_translation(template, **spoken, version=3, actor=ada, now=NOW)  # type: ignore[arg-type]
    assert numbers(template) == [1, 2, 3, 4]
    second = template.versions.get(number=2)
    assert (second.saved_by, second.reason, second.words["body"]) == (ada, "because", "<p>two</p>")
    of = translations.print_of(template.versions.get(number=3).words)
    assert template.versions.get(number=4).words["translations"] == [spoken | {"of": of}]


def test_words_from_before_there_was_a_history_are_kept_when_they_change() -> None:
    template = make_template(body="<p>old</p>")
    TemplateVersion.objects.all().delete()
    save(template, body="<p>new</p>")
    assert list(template.versions.order_by("number").values_list("words__body", flat=True)) == [
        "<p>old</p>",
        "<p>new</p>",
    ]


def test_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST", 2)
    template = make_template()
    for number in range(3):
        save(template, body=f"<p>{number}</p>")
    assert numbers(template) == [3, 4]


def test_differences_line_by_line() -> None:
    before = {
        "subject": "S",
        "body": "a\nb\nc\nd\ne\nf\ng\nh",
        "text": None,
        "translations": [{"language": "ko", "subject": "K"}],
    }
    after = {"subject": "S", "body": "A\nb\nc\nd\ne\nf\ng\nH", "text": "T", "translations": []}
    found = history.changes(before, after)
    assert [(change.part, change.lines) for change in found] == [
        (
            "body",
            [("-", "a"), ("+", "A"), (" ", "b"), (" ", "c"), ("…", ""), (" ", "f"), (" ", "g"), ("-", "h"), ("+", "H")],
        ),
        ("text", [("+", "T")]),
        ("ko:subject", [("-", "K")]),
    ]
    assert history.changes(before, before) == []


def test_back_to_a_version_is_a_new_version() -> None:
    template = make_template(body="<p>one</p>", has_own_text=True, text="Words")
    save(template, body="<p>two</p>")
    first = template.versions.get(number=1)
    with pytest.raises(actions.EditedMeanwhile):
        writing.restore(template, version=first, opened=1, actor=None, now=NOW)
    writing.restore(template, version=first, opened=2, actor=None, now=NOW)
    template.refresh_from_db()
    assert (template.body, template.text, template.version, numbers(template)) == ("<p>one</p>", "Words", 3, [1, 2, 3])
    assert history.changes(first.words, history.words_of(template)) == []


def test_what_cannot_be_written_any_more_does_not_come_back() -> None:
    row = stationery_edits.save(
        None, kind="snippet", slug="sign", name="S", format="", body="x", is_default=False, actor=None, now=NOW
    )
    template = make_template(body="{% render 'sign' %}")
    save(template, body="<p>two</p>")
    stationery_edits.delete(row, actor=None, now=NOW)
    with pytest.raises(actions.NurtureRefused, match="no snippet “sign”"):
        writing.restore(template, version=template.versions.get(number=1), opened=2, actor=None, now=NOW)


def test_two_editors_at_once_lose_nothing() -> None:
    template = make_template(subject="S", body="<p>one</p>")
    url = reverse("nurture:template-edit", args=[template.slug])
    data = {"name": "N", "subject": "S", "format": "html", "version": 1}
    save(template, body="<p>theirs</p>", reason="quick fix")
    told = signed_in(MARKETER).post(url, data | {"body": "<p>mine</p>"})
    page = told.content.decode()
    assert told.status_code == 422
    assert "quick fix" in page
    assert "&lt;p&gt;theirs&lt;/p&gt;" in page
    assert "&lt;p&gt;mine&lt;/p&gt;" in page
    assert 'name="version" value="2"' in page
    assert (
        signed_in(MARKETER).post(url, data | {"body": "<p>mine</p>", "version": 2, "reason": "mine"}).status_code == 302
    )
    assert [version.words["body"] for version in template.versions.order_by("number")] == [
        "<p>one</p>", "<p>theirs</p>", "<p>mine</p>",
    ]  # fmt: skip


@pytest.mark.parametrize("saves", [1, 3])
def test_the_pages_of_the_history(saves: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    template, sales = make_template(body="<p>0</p>"), signed_in(SALES)
    for number in range(saves):
        save(template, body=f"<p>{number + 1}</p>", actor=make_user(username=f"ada{number}"))
    listed = reverse("nurture:template-history", args=[template.slug])
    sales.get(listed)
    with django_assert_num_queries(6):
        page = sales.get(listed)
    assert [version.number for version, _changes, _url in page.context["rows"]] == list(range(saves + 1, 0, -1))
    one = reverse("nurture:template-version", args=[template.slug, 1])
    assert "+ &lt;p&gt;0&lt;/p&gt;" in sales.get(one).content.decode()
    assert f"+ &lt;p&gt;{saves}&lt;/p&gt;" in sales.get(one, {"against": "now"}).content.decode()
    assert sales.get(reverse("nurture:template-version", args=[template.slug, 99])).status_code == 404
    back = reverse("nurture:template-restore", args=[template.slug, 1])
    assert sales.post(back, {"version": saves + 1}).status_code == 403
    assert signed_in(MARKETER).post(back, {"version": saves + 1}).status_code == 302
    template.refresh_from_db()
    assert template.body == "<p>0</p>"


# --- Snippets and layouts ----------------------------------------------------------------------------------------------------


def sign(body: str, row: Stationery | None = None, **values: Any) -> Stationery:
    given: dict[str, Any] = {"kind": "snippet", "slug": "sign", "name": "Sign", "format": "", "is_default": False}
    return stationery_edits.save(row, body=body, **(given | {"actor": None, "now": NOW} | values))


def test_a_snippet_keeps_every_save_and_comes_back() -> None:
    ada = make_user(username="ada")
    row = sign("<b>one</b>")
    row = sign("<b>two</b>", row, actor=ada, reason=" rebranded ")
    assert [(one.number, one.saved_by, one.reason, one.words) for one in row.versions.order_by("number")] == [
        (1, None, "", {"name": "Sign", "body": "<b>one</b>"}),
        (2, ada, "rebranded", {"name": "Sign", "body": "<b>two</b>"}),
    ]
    first = row.versions.get(number=1)
    with pytest.raises(actions.EditedMeanwhile):
        stationery_edits.restore(row, version=first, opened=1, actor=None, now=NOW)
    row = stationery_edits.restore(row, version=first, opened=2, actor=None, now=NOW)
    assert (row.body, row.version, row.versions.get(number=3).reason) == ("<b>one</b>", 3, "back to version 1")


def test_a_snippet_from_before_there_was_a_history_is_kept_when_it_changes_and_a_broken_one_stays_away() -> None:
    row = sign("{% if %}")  # nothing uses it yet
    StationeryVersion.objects.all().delete()
    row = sign("<b>two</b>", row)
    make_template(body="{% render 'sign' %}", name="Hello")
    first = row.versions.get(number=1)
    assert first.words["body"] == "{% if %}"
    with pytest.raises(actions.NurtureRefused, match="“Hello” could not become a mail"):
        stationery_edits.restore(row, version=first, opened=2, actor=None, now=NOW)
    assert list(row.versions.order_by("number").values_list("number", flat=True)) == [1, 2]


@pytest.mark.parametrize("saves", [1, 3])
def test_the_pages_of_a_snippets_history(saves: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    row, sales = sign("<p>0</p>"), signed_in(SALES)
    for number in range(saves):
        row = sign(f"<p>{number + 1}</p>", row, actor=make_user(username=f"ada{number}"))
    listed = reverse("nurture:stationery-history", args=["sign"])
    sales.get(listed)
    with django_assert_num_queries(6):
        page = sales.get(listed)
    assert [version.number for version, _changes, _url in page.context["rows"]] == list(range(saves + 1, 0, -1))
    one = reverse("nurture:stationery-version", args=["sign", 1])
    assert f"+ &lt;p&gt;{saves}&lt;/p&gt;" in sales.get(one, {"against": "now"}).content.decode()
    assert sales.get(reverse("nurture:stationery-version", args=["sign", 99])).status_code == 404
    back = reverse("nurture:stationery-restore", args=["sign", 1])
    assert sales.post(back, {"version": saves + 1}).status_code == 403
    marketer = signed_in(MARKETER)
    assert marketer.post(back, {"version": 0}).headers["Location"] == one
    assert marketer.post(back, {"version": saves + 1}).status_code == 302
    row.refresh_from_db()
    assert row.body == "<p>0</p>"


def test_two_editors_of_a_snippet_lose_nothing() -> None:
    row = sign("<p>one</p>")
    sign("<p>theirs</p>", row, reason="quick fix")
    url, data = reverse("nurture:stationery-edit", args=["sign"]), {"name": "Sign", "body": "<p>mine</p>"}
    told = signed_in(MARKETER).post(url, data | {"version": 1})
    page = told.content.decode()
    assert told.status_code == 422
    assert ("quick fix" in page, "&lt;p&gt;theirs&lt;/p&gt;" in page, "&lt;p&gt;mine&lt;/p&gt;" in page) == (
        True, True, True,
    )  # fmt: skip
    assert 'name="version" value="2"' in page
    assert signed_in(MARKETER).post(url, data | {"version": 2, "reason": "mine"}).status_code == 302
    assert [one.reason for one in row.versions.order_by("number")] == ["", "quick fix", "mine"]
