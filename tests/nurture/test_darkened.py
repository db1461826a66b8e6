"""Mails on a dark screen: their own rules where they have some, else colours turned by lightness."""

from __future__ import annotations

import pytest
from django.urls import reverse

from leads.access import SALES
from nurture.templating.darkened import dark, has_own_rules
from tests.nurture.test_views import signed_in

PAGE = "<html><head></head><body>%s</body></html>"


@pytest.mark.parametrize(
    ("light", "expected"),
    [
        ('<td style="background:#ffffff;color:#000000">', '<td style="background:#1f1f1f;color:#e0e0e0">'),
        (
            '<td style="background-color: white; color: rgb(0, 0, 0)">',
            '<td style="background-color:#1f1f1f; color:#e0e0e0">',
        ),
        ('<td style="background:#0f7657;color:#fff">', '<td style="background:#0f7657;color:#fff">'),
        ('<td bgcolor="#FFFFFF"><font color="#000">', '<td bgcolor="#1f1f1f"><font color="#e0e0e0">'),
        ('<td style="background:rgba(255,255,255,0.1)">', '<td style="background:rgba(255,255,255,0.1)">'),
        ('<p style="border:1px solid #ffffff">', '<p style="border:1px solid #1f1f1f">'),
        ("<p>color: #000 in the words</p>", "<p>color: #000 in the words</p>"),
        ('<p style="color:#zzz;background:none">', '<p style="color:#zzz;background:none">'),
    ],
)
def test_light_grounds_go_dark_and_dark_letters_light(light: str, expected: str) -> None:
    html = dark(PAGE % light)
    assert expected in html
    assert "<head><style>html,body{background-color:#1f1f1f;color:#e8e8e8}" in html


def test_rules_of_the_mail_itself_are_followed() -> None:
    own = PAGE % '<style>@media (prefers-color-scheme: dark) { p { color: red } }</style><p style="color:#000">x</p>'
    assert has_own_rules(own)
    assert dark(own) == own.replace("@media (prefers-color-scheme: dark) {", "@media all {")


@pytest.mark.django_db
def test_the_preview_shows_both() -> None:
    client = signed_in(SALES)
    data = {"format": "html", "subject": "S", "body": '<p style="color:#000">x</p>'}
    key = client.post(reverse("nurture:template-preview"), data).context["preview_key"]
    url = reverse("nurture:template-preview-body", args=[key])
    assert '<p style="color:#000">' in client.get(url).content.decode()
    answer = client.get(url, {"dark": "1"})
    assert '<p style="color:#e0e0e0">' in answer.content.decode()
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
