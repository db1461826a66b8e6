"""One mail in several languages: who gets which, valid MIME in each, the editor's pages, files, findings."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from leads import consent
from leads.access import MARKETER, SALES
from leads.addresses import address_hash
from leads.models import Contact, MailPreference
from leads.workspace import workspace
from nurture import actions
from nurture.mailing import sending
from nurture.models import Sending, Template
from nurture.templating import languages, proofreading, translations, unresolved, usage, writing
from nurture.templating.queries_writing import languages_in_use
from tests.makers import NOW, make_contact, make_user
from tests.nurture.makers import make_template, set_workspace
from tests.nurture.test_views import signed_in

WORDS = {
    "ko": ("{{ contact.first_name }} 님, 안녕하세요", "<p>반갑습니다, {{ contact.first_name }} 님</p>", "수신 거부"),
    "ar": ("مرحبا {{ contact.first_name }}", "<p>أهلا بك يا {{ contact.first_name }}</p>", "إلغاء الاشتراك"),
    "de": ("Grüße an {{ contact.first_name }}", "<p>Schön, daß Sie da sind, {{ contact.first_name }}</p>", "Abmelden"),
    "ja": ("{{ contact.first_name }}さん、こんにちは", "<p>はじめまして、{{ contact.first_name }}さん</p>", "配信停止"),
}
ENGLISH = ("Hello {{ contact.first_name }}", "<p>Nice to meet you, {{ contact.first_name }}</p>", "Unsubscribe")


def row(language: str, subject: str = "S", body: str = "<p>x</p>", **values: Any) -> dict[str, Any]:
    return {"language": language, "subject": subject, "preheader": "", "body": body, "text": None} | values


def in_five() -> Template:
    rows = [row(language, subject, body) for language, (subject, body, _way_out) in WORDS.items()]
    return make_template(*ENGLISH[:2], language="en", translations=translations.check(rows))


# --- Who gets which -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "wishes", "got"),
    [
        (["en", "pt-br", "pt"], ["pt-BR"], "pt-br"),
        (["en", "pt"], ["pt_BR"], "pt"),
        (["en", "pt-br"], ["pt"], "pt-br"),
        (["en", "pt-br"], ["pt-PT"], "pt-br"),
        (["en"], ["pt-BR"], ""),
        (["zh-hans", "zh-hant"], ["zh-TW"], "zh-hant"),
        (["de", "ko"], ["", "Korean"], "ko"),
        (["de", "ko"], ["한국어"], "ko"),
        (["de", "ko"], ["fr", "ko-KR"], "ko"),
        (["de", "ko"], ["de", "ko"], "de"),
        (["de"], ["?!", "x" * 40, "<b>"], ""),
    ],
)
def test_the_chain(written: list[str], wishes: list[str], got: str) -> None:
    assert languages.chosen(written, *wishes) == got


def test_what_a_contact_gets() -> None:
    template = Template(language="en", translations=[row("de"), row("pt")])
    assert [translations.chosen(template, wish) for wish in ("pt-BR", "de-AT", "en-GB", "fr", "")] == [
        "pt",
        "de",
        "",
        "",
        "",
    ]
    assert translations.chosen(Template(language="en"), "de") == ""


@pytest.mark.django_db
def test_five_languages_leave_as_valid_mails() -> None:
    set_workspace(sender_email="ada@plant.test", postal_address="Lane 1")
    template = in_five()
    for language, (_subject, body, way_out) in (WORDS | {"en": ENGLISH}).items():
        name = {"ar": "سمر", "ko": "지우"}.get(language, "Zoë")
        person = make_contact(language=f"{language}-XX", first_name=name)
        sent = Sending(
            key=f"x:{language}",
            contact=person,
            template=template,
            address=person.email or "",
            queued_at=NOW,
            due_at=NOW,
        )
        message, stored = sending.write(sent, workspace(), at=NOW)
        found = message_from_bytes(message.data, policy=policy.default)
        assert isinstance(found, EmailMessage)
        assert (found.defects, stored.language, found["Content-Language"]) == ([], language, language)
        assert name in found["Subject"]
        html = found.get_body(("html",)).get_content()  # type: ignore[union-attr]
        text = found.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert body.replace("{{ contact.first_name }}", name) in html
        assert body[3:-4].replace("{{ contact.first_name }}", name) in text
        assert (way_out in html, way_out in text) == (True, True)
        assert ('dir="rtl"' in html, f'lang="{language}"' in html) == (language == "ar", True)
        message.data.decode("ascii")


@pytest.mark.django_db
@pytest.mark.parametrize("readers", [1, 3])
def test_each_reader_gets_their_own_and_it_is_remembered(
    readers: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    template = in_five()
    for number in range(readers):
        for language in ("ko", "ar", "fr"):
            person = make_contact(f"{language}{number}@x.test", language=language)
            Sending.objects.create(
                key=f"x:{language}:{number}", contact=person, template=template, address=person.email or "", queued_at=NOW, due_at=NOW
            )  # fmt: skip
    assert sending.send_due(NOW).sent == 3 * readers
    left = Sending.objects.order_by("address").values_list("language", flat=True)
    assert list(left) == ["ar"] * readers + ["en"] * readers + ["ko"] * readers
    assert Sending.objects.filter(language="ko", html__contains="반갑습니다").count() == readers


@pytest.mark.django_db
def test_what_the_reader_asked_for_comes_first() -> None:
    template, person = in_five(), make_contact("ada@x.test", language="de")
    consent.set_wish(address_hash("ada@x.test"), now=NOW, language="ko")
    Sending.objects.create(key="x", contact=person, template=template, address="ada@x.test", queued_at=NOW, due_at=NOW)
    assert sending.send_due(NOW).sent == 1
    assert Sending.objects.get().language == "ko"


@pytest.mark.django_db
def test_a_test_may_name_its_language() -> None:
    template, person = in_five(), make_contact(language="de")
    for language in ("ko", "", "fr"):
        actions.send_test(template, to="me@x.test", contact=person, language=language, actor=make_user(), now=NOW)
    sending.send_due(NOW)
    assert list(Sending.objects.order_by("pk").values_list("language", flat=True)) == ["ko", "de", "de"]


# --- The editor ---------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_translation_is_written_changed_and_removed_in_the_browser() -> None:
    template, client = make_template(*ENGLISH[:2], language="en"), signed_in(MARKETER)
    url = reverse("nurture:language-edit", args=[template.slug, "ko"])
    chosen = client.get(reverse("nurture:language-new", args=[template.slug]), {"language": "ko"})
    assert chosen["Location"] == url
    assert "Nice to meet you" in client.get(url).content.decode()
    data = {"version": 1, "subject": "안녕", "preheader": "", "body": "<p>반갑습니다</p>"}
    assert client.post(url, data | {"body": "{% if %}"}).status_code == 422
    assert client.post(url, data | {"body": "{% block none %}x{% endblock %}"}).status_code == 422
    assert client.post(url, data).status_code == 302
    template.refresh_from_db()
    kept = row("ko", "안녕", "<p>반갑습니다</p>", of=translations.print_of(template))
    assert (template.version, template.translations) == (2, [kept])
    stale = client.post(url, data | {"subject": "다른"})
    assert (stale.status_code, "다른" in stale.content.decode()) == (422, True)
    own = data | {"version": 2, "has_own_text": "on", "text": "글"}
    assert client.post(url, own).status_code == 302
    template.refresh_from_db()
    assert translations.in_language(template, "ko").text == "글"
    page = client.get(reverse("nurture:template-edit", args=[template.slug])).content.decode()
    assert url in page
    assert (
        client.post(reverse("nurture:language-delete", args=[template.slug, "ko"]), {"version": 3}).status_code == 302
    )
    template.refresh_from_db()
    assert template.translations == []


@pytest.mark.django_db
def test_a_new_translation_begins_with_its_own_ways_out() -> None:
    body = '<p>Unsubscribe?</p><a href="{{ preferences_url }}">Preferences</a> <a href="{{ unsubscribe_url }}">Unsubscribe</a>'
    template = make_template(body=body, language="en")
    page = signed_in(MARKETER).get(reverse("nurture:language-edit", args=[template.slug, "ko"]))
    wanted = body.replace(">Preferences<", ">수신 설정<").replace(">Unsubscribe<", ">수신 거부<")
    assert page.context["form"].initial["body"] == wanted


@pytest.mark.django_db
def test_who_may_translate_and_into_what() -> None:
    template, sales = in_five(), signed_in(SALES)
    url = reverse("nurture:language-edit", args=[template.slug, "ko"])
    assert sales.get(url).status_code == 200
    assert sales.post(url, {"version": 1, "subject": "S", "body": "<p>x</p>"}).status_code == 403
    assert sales.post(reverse("nurture:language-delete", args=[template.slug, "ko"]), {"version": 1}).status_code == 403
    assert sales.get(reverse("nurture:language-new", args=[template.slug]), {"language": "fr"}).status_code == 403
    assert signed_in(MARKETER).get(reverse("nurture:language-edit", args=[template.slug, "tlh"])).status_code == 404
    assert signed_in(MARKETER).get(reverse("nurture:language-edit", args=[template.slug, "en"])).status_code == 404
    data = {"version": 1, "name": "N", "subject": "S", "format": "html", "body": "<p>x</p>", "language": "ko"}
    twice = signed_in(MARKETER).post(reverse("nurture:template-edit", args=[template.slug]), data)
    assert "There is a translation into this language" in twice.content.decode()


@pytest.mark.django_db
def test_saving_the_own_words_leaves_translations_and_a_block_stays_that_one_names() -> None:
    blocks = [{"key": "some", "conditions": {"field": "contact.title", "op": "is_known"}}]
    spoken = [row("de", body="{% block some %}x{% endblock %}")]
    template = make_template(blocks=blocks, translations=spoken)
    kept = [spoken[0] | {"of": translations.print_of(template)}]
    actions.save_template(
        template, name="N", subject="S", preheader="", format="html", body="<p>y</p>", actor=None, now=NOW
    )
    template.refresh_from_db()
    assert template.translations == kept
    with pytest.raises(actions.NurtureRefused, match="some"):
        writing.remove_block(template, key="some", version=template.version, actor=None, now=NOW)


@pytest.mark.django_db
def test_languages_that_lack_are_told() -> None:
    template = in_five()
    make_template(language="fr", translations=[row("it")])
    actions.archive_template(make_template(language="nl"), actor=None, now=NOW)
    assert languages_in_use() == ["ar", "de", "en", "fr", "it", "ja", "ko"]
    for language in ("it", "it-CH", "Italian", "ko", "en", "", "?"):
        make_contact(language=language)
    page = signed_in(MARKETER).get(reverse("nurture:template-edit", args=[template.slug]))
    assert [tag for tag, _words in page.context["missing"]] == ["fr", "it"]
    people = Contact.objects.all()
    assert unresolved.readers_of_others(translations.tags(template), people) == [("italiano", 3)]
    part = signed_in(SALES).get(reverse("nurture:template-lacking", args=[template.slug])).content.decode()
    assert "3 people" in part


@pytest.mark.django_db
def test_findings_and_uses_reach_into_translations() -> None:
    template = make_template("Hi", "<p>x</p>", name="Hello")
    spoken = row("ko", "안녕", '<a href="www.x.test">{{ company.custom.plan }}</a>')
    writing.set_translation(template, **spoken, version=1, actor=None, now=NOW)
    template.refresh_from_db()
    found = proofreading.kept(template)
    assert [(finding.sort, finding.language) for finding in found] == [("broken_link", "ko"), ("unresolved", "ko")]
    assert found[0].words.startswith("한국어: ")
    assert "company.custom.plan" in usage.template_uses()


@pytest.mark.django_db
def test_a_translation_that_is_older_than_its_text_is_told_until_somebody_looks_at_it() -> None:
    template = make_template("Hi", "<p>one</p>", name="Hello", language="en", translations=[row("de"), row("ko")])
    assert translations.older(template) == []
    words: dict[str, Any] = {
        "name": "Hello",
        "preheader": "",
        "format": "html",
        "language": "en",
        "actor": None,
        "now": NOW,
    }
    actions.save_template(template, subject="Hi", body="<p>one</p>\n", **words)  # a new line says nothing else
    template.refresh_from_db()
    assert translations.older(template) == []
    actions.save_template(template, subject="Hi", body="<p>two</p>", **words)
    template.refresh_from_db()
    found = [(finding.sort, finding.language, finding.blocks) for finding in proofreading.kept(template)]
    assert found == [("older", "de", False), ("older", "ko", False)]
    client = signed_in(MARKETER)
    listed = client.get(reverse("nurture:template-list"))
    assert [tags for _template, _sent, tags in listed.context["rows"]] == [[("de", True), ("ko", True)]]
    url = reverse("nurture:language-edit", args=[template.slug, "ko"])
    page = client.get(url)
    assert [(change.part, change.lines) for change in page.context["since"]] == [
        ("body", [("-", "<p>one</p>"), ("+", "<p>two</p>")])
    ]
    assert [(tag, is_older) for tag, _words, _is_open, is_older in page.context["tabs"]] == [("de", True), ("ko", True)]
    assert client.post(url, {"version": 3, "subject": "S", "preheader": "", "body": "<p>x</p>"}).status_code == 302
    template.refresh_from_db()
    assert translations.older(template) == ["de"]
    writing.restore(template, version=template.versions.get(number=1), opened=4, actor=None, now=NOW)
    template.refresh_from_db()
    assert translations.older(template) == []


@pytest.mark.django_db
def test_a_file_that_changes_the_text_alone_leaves_the_translation_older() -> None:
    template = make_template("Hi", "<p>one</p>", translations=[row("ko")])
    fresh = [row("ko"), row("de")]
    words: dict[str, Any] = {"name": "Hello", "preheader": "", "format": "html", "actor": None, "now": NOW}
    actions.save_template(template, subject="Hi", body="<p>two</p>", translations=fresh, **words)
    template.refresh_from_db()
    assert translations.older(template) == ["ko"]
    Template.objects.update(translations=[row("ko")])  # from before anybody kept it
    assert translations.older(Template.objects.get()) == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "list"),
        ([{"language": "ko"}], "subject"),
        ([row("ko") | {"name": "x"}], "subject"),
        ([row("ko", body=1)], "text"),  # type: ignore[arg-type]
        ([row("Korean!")], "tag"),
        ([row("ko"), row("ko")], "two"),
    ],
)
def test_what_is_no_translation_is_refused(document: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        translations.check(document)


@pytest.mark.django_db
def test_the_preference_page_offers_what_we_write_and_takes_no_language_by_accident() -> None:
    in_five()
    person = make_contact("ada@x.test", language="ko")
    sent = Sending.objects.create(
        key="x", contact=person, template=Template.objects.get(), address="ada@x.test", queued_at=NOW, due_at=NOW
    )
    url = sending.preferences_url(sent).partition("/programs/")[2]
    client = signed_in(SALES)
    page = client.get(f"/programs/{url}")
    assert page.context["reads"] == "ko"
    assert {"ar", "de", "en", "ja", "ko"} <= {tag for tag, _words in page.context["languages"]}
    client.post(f"/programs/{url}", {"verb": "save", "pace": "weekly", "language": ""})
    assert MailPreference.objects.get().language == ""
