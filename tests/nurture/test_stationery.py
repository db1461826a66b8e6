"""Snippets and layouts: put in and framed, by language, without loops, kept while used, in the browser and in files."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from leads.access import MARKETER, SALES
from nurture import actions
from nurture.actions import EditedMeanwhile, NurtureRefused
from nurture.mailing import sending
from nurture.models import Sending, Stationery, Template
from nurture.templating import proofreading, stationery, stationery_edits, usage
from nurture.templating.rendering import BadTemplate, compile_source, compiled
from nurture.templating.stationery import Cupboard
from tests.makers import NOW, make_contact
from tests.nurture.makers import make_template
from tests.nurture.test_views import signed_in

pytestmark = pytest.mark.django_db

FRAME = "<div>HEAD</div>{% content %}<div>{% render 'foot' %}</div>"
MJ_FRAME = (
    '<mjml><mj-head><mj-title>T</mj-title></mj-head><mj-body background-color="#eeeeee">'
    "<mj-section><mj-column><mj-text>HEAD</mj-text></mj-column></mj-section>{% content %}</mj-body></mjml>"
)
SECTION = "<mj-section><mj-column><mj-text>WORDS</mj-text></mj-column></mj-section>"


def snippet(slug: str, body: str = "<p>x</p>", **values: Any) -> Stationery:
    return save(None, kind="snippet", slug=slug, body=body, **values)


def layout(
    slug: str = "house", body: str = "<div>HEAD</div>{% content %}", format: str = "html", **values: Any
) -> Stationery:
    return save(None, kind="layout", slug=slug, body=body, format=format, **values)


def save(row: Stationery | None, **values: Any) -> Stationery:
    given: dict[str, Any] = {"kind": "", "slug": "", "name": values.get("slug", "N"), "format": "", "is_default": False}
    return stationery_edits.save(row, **(given | values), actor=None, now=NOW)


def html(template: Template, language: str = "") -> str:
    return compiled(template, language).source


def test_snippets_are_put_in_and_layouts_frame() -> None:
    snippet("sign", "<i>{{ workspace.name }}</i>")
    snippet("foot", "<b>{% render 'sign' %}</b>")
    house = layout(body=FRAME)
    template = make_template(body='<p>WORDS {% render "sign" %}</p>', layout=house)
    assert (
        "<div>HEAD</div><p>WORDS <i>{{ workspace.name }}</i></p><div><b><i>{{ workspace.name }}</i></b></div>"
        in html(template)
    )
    raw = make_template(body="{% raw %}{% render 'nobody' %}{% endraw %}")
    assert "{% render 'nobody' %}" in html(raw)


def test_whole_documents_leave_their_own_frame_behind() -> None:
    house = layout()
    body = "<html><head><title>t</title><style>p { color: red }</style></head><body bgcolor='#fff'><p>WORDS</p></body></html>"
    found = html(make_template(body=body, layout=house))
    assert '<div>HEAD</div><p style="color: red;">WORDS</p>' in found
    assert found.count("<body") == 1
    frame = layout("mj", MJ_FRAME, "mjml")
    own = f'<mjml><mj-head><mj-attributes><mj-text color="#123456" /></mj-attributes></mj-head><mj-body>{SECTION}</mj-body></mjml>'
    for body in (SECTION, own):
        found = html(make_template(body=body, layout=frame, format="mjml"))
        assert (found.count("HEAD"), found.count("WORDS"), found.count("<body")) == (1, 1, 1)
        assert ("#123456" in found) is (body is own)


def test_by_language() -> None:
    snippet("foot", "<b>Bye</b>")
    snippet("foot-ko", "<b>안녕</b>")
    framed = layout(body="{% content %}{% render 'foot' %}")
    layout("house-ar", "<div>مرحبا</div>{% content %}")
    rows = [
        {"language": tag, "subject": "S", "preheader": "", "body": "<p>x</p>", "text": None}
        for tag in ("ar", "ko", "pt")
    ]
    template = make_template(language="en", translations=rows, layout=framed)
    found = {tag: html(template, tag) for tag in ("", "ar", "ko", "pt")}
    assert ["Bye" in found[tag] for tag in ("", "ar", "ko", "pt")] == [True, False, False, True]
    assert ("안녕" in found["ko"], "مرحبا" in found["ar"]) == (True, True)


@pytest.mark.parametrize(
    "body", ["{% render 'nobody' %}", "{% render nobody %}", "{% render 'x', a: 1 %}", "{% content %}"]
)
def test_what_is_not_there_is_refused_in_words(body: str) -> None:
    with pytest.raises(BadTemplate):
        html(Template(format="html", subject="S", body=body))
    with pytest.raises(BadTemplate):
        compile_source("html", body, "", "<p>x</p>")


def test_snippets_without_end_are_refused() -> None:
    first = snippet("a")
    snippet("b", "{% render 'a' %}")
    with pytest.raises(NurtureRefused, match="a → b → a"):
        save(first, body="{% render 'b' %}")
    with pytest.raises(NurtureRefused, match="a → a"):
        save(first, body="{% render 'a' %}")
    Stationery.objects.filter(pk=first.pk).update(body="{% render 'b' %}")  # however it came about
    with pytest.raises(BadTemplate, match="without end"):
        html(Template(format="html", subject="S", body="{% render 'a' %}"))
    many = "{% render 'c' %}" * (stationery.MOST + 1)
    snippet("c")
    with pytest.raises(BadTemplate, match="More than"):
        html(Template(format="html", subject="S", body=many))


def test_an_edit_that_would_break_a_mail_is_refused_and_others_are_read_anew() -> None:
    row = snippet("sign")
    template, other = make_template(body="{% render 'sign' %}", name="Hello"), make_template()
    with pytest.raises(NurtureRefused, match="“Hello” could not become a mail"):
        save(row, body="{% if %}")
    with pytest.raises(NurtureRefused, match="no snippet"):
        save(row, body="{% render 'nobody' %}")
    save(row, body='<a href="www.x.test">x</a>')
    template.refresh_from_db()
    other.refresh_from_db()
    assert (template.findings, proofreading.is_kept(other)) == (None, True)
    assert [finding.sort for finding in proofreading.kept(template)] == ["broken_link", "unresolved"]
    with pytest.raises(EditedMeanwhile):
        save(row, body="<p>y</p>", version=1)


def test_a_layout_says_once_where_the_words_stand_and_one_is_the_default() -> None:
    for body in ("<p>x</p>", "{% content %}{% content %}"):
        with pytest.raises(NurtureRefused, match="Say once"):
            layout(body=body)
    first = layout(is_default=True)
    layout("other", is_default=True)
    layout("mj", MJ_FRAME, "mjml", is_default=True)
    assert sorted(Stationery.objects.filter(is_default=True).values_list("slug", flat=True)) == ["mj", "other"]
    with pytest.raises(IntegrityError), transaction.atomic():
        Stationery.objects.filter(pk=first.pk).update(is_default=True)


def test_what_is_used_stays() -> None:
    sign, house = snippet("sign"), layout(body="{% content %}{% render 'sign' %}")
    template = make_template(layout=house, name="Hello")
    assert (stationery_edits.users(house).templates, stationery_edits.users(sign).others) == ([template], [house])
    for row in (sign, house):
        with pytest.raises(NurtureRefused, match="It is used by"):
            stationery_edits.delete(row, actor=None, now=NOW)
    actions.save_template(
        template, name="Hello", subject="S", preheader="", format="html", body="<p>x</p>", actor=None, now=NOW
    )
    stationery_edits.delete(house, actor=None, now=NOW)
    stationery_edits.delete(sign, actor=None, now=NOW)
    assert not Stationery.objects.exists()


@pytest.mark.parametrize("mails", [1, 3])
def test_stationery_is_read_once_for_a_slice(mails: int, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    snippet("sign", "<b>Ada</b>")
    template = make_template(body="{% render 'sign' %}", layout=layout())
    for number in range(mails):
        Sending.objects.create(
            key=f"x:{number}", contact=make_contact(), template=template, address=f"a{number}@x.test", queued_at=NOW, due_at=NOW
        )  # fmt: skip
    assert sending.send_due(NOW).sent == mails
    assert Sending.objects.filter(html__contains="<div>HEAD</div><b>Ada</b>").count() == mails
    cupboard = Cupboard()
    with django_assert_num_queries(1):
        for _each in range(mails):
            cupboard.compiled(template)
    with django_assert_num_queries(0):
        Cupboard().compiled(make_template_without())


def make_template_without() -> Template:
    return Template(format="html", subject="S", body="<p>x</p>")


def test_in_the_browser() -> None:
    client = signed_in(MARKETER)
    new = reverse("nurture:stationery-new", args=["layout"])
    assert "{% content %}" in client.get(new).content.decode()
    data = {"name": "House", "slug": "house", "format": "html", "body": "<p>no place</p>", "is_default": "on"}
    assert client.post(new, data).status_code == 422
    assert client.post(new, data | {"body": "<div>HEAD</div>{% content %}"}).status_code == 302
    row = Stationery.objects.get()
    url = reverse("nurture:stationery-edit", args=["house"])
    assert client.post(url, {"name": "Home", "body": "<div>TOP</div>{% content %}", "version": 1}).status_code == 302
    assert client.post(url, {"name": "Home", "body": row.body, "version": 1}).status_code == 422
    make_template(name="Hello", layout=row)
    page = client.get(url).content.decode()
    assert ("Hello" in page, "<mail-editor" in page) == (True, True)
    snippet("sign")
    assert "<mail-editor" not in client.get(reverse("nurture:stationery-edit", args=["sign"])).content.decode()
    shown = client.post(
        reverse("nurture:stationery-preview"), {"kind": "layout", "row": "house", "body": "<u>U</u>{% content %}"}
    )
    assert "<u>U</u>" in shown.context["preview"].html
    again = client.post(reverse("nurture:stationery-preview"), {"kind": "snippet", "body": "<mj-text>T</mj-text>"})
    assert "T" in again.context["preview"].text
    assert client.post(reverse("nurture:stationery-delete", args=["house"])).headers["Location"] == url
    assert "Home" in client.get(reverse("nurture:stationery-list")).content.decode()
    sales = signed_in(SALES)
    assert sales.get(url).status_code == 200
    assert sales.get(new).status_code == 403
    assert sales.post(url, {"name": "N", "body": "{% content %}", "version": 2}).status_code == 403
    assert sales.post(reverse("nurture:stationery-delete", args=["house"])).status_code == 403
    assert client.get(reverse("nurture:stationery-new", args=["poem"])).status_code == 404


def test_templates_choose_a_layout_of_their_format_and_begin_with_the_default() -> None:
    client, house = signed_in(MARKETER), layout()
    frame = layout("mj", MJ_FRAME, "mjml", is_default=True)
    page = client.get(reverse("nurture:template-new"))
    assert page.context["form"].initial["layout"] == frame
    begin = page.context["form"].initial["body"]
    assert (begin.startswith("<mjml>\n  <mj-body>\n    <mj-section"), "unsubscribe_url" in begin) == (True, False)
    assert html(Template(format="mjml", subject="S", body=begin, layout_id=frame.pk)).count("HEAD") == 1
    data = {"name": "N", "subject": "S", "format": "html", "body": "<p>x</p>", "layout": frame.pk}
    assert "This layout is for MJML" in client.post(reverse("nurture:template-new"), data).content.decode()
    assert client.post(reverse("nurture:template-new"), data | {"layout": house.pk}).status_code == 302
    assert Template.objects.get().layout == house
    shown = client.post(reverse("nurture:template-preview"), data | {"layout": house.pk})
    assert "HEAD" in shown.context["preview"].html


def test_snippets_in_subjects_and_what_stands_beside_them() -> None:
    snippet("season", "Spring\n {{ contact.city }}")
    snippet("season-ko", "봄")
    spoken = {"language": "ko", "subject": "{% render 'season' %}!", "preheader": "", "body": "<p>x</p>", "text": None}
    template = make_template(
        "{% render 'season' %} news",
        "<p>x</p>",
        preheader="Of {% render 'season' %}",
        sender_name="Ada, {% render 'season' %}",
        language="en",
        translations=[spoken],
    )
    mail = compiled(template).fill({"contact": {"city": "Ulm"}})
    assert (mail.subject, mail.sender_name) == ("Spring Ulm news", "Ada, Spring Ulm")
    assert "Of Spring Ulm</div>" in mail.html
    assert compiled(template, "ko").fill({}).subject == "봄!"
    row = Stationery.objects.get(slug="season")
    assert stationery_edits.users(row).templates == [template]
    with pytest.raises(NurtureRefused, match="words only, and no <b>"):
        save(row, body="<b>Spring</b>")
    save(row, body="FREE MONEY")
    template.refresh_from_db()
    assert "spammy" in [finding.sort for finding in proofreading.kept(template)]


def test_a_field_that_a_snippet_names_is_used() -> None:
    row = snippet("sign", "{{ contact.custom.plan }}")
    found = usage.template_uses()["contact.custom.plan"]
    assert [(use.label, use.url) for use in found] == [(row.name, reverse("nurture:stationery-edit", args=["sign"]))]
