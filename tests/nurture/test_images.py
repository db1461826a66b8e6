"""Pictures of mails: uploaded, listed, described, named by templates, served to anybody who knows their address, guarded against deletion."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from leads.access import MARKETER, SALES
from leads.models import AuditEntry
from nurture import actions
from nurture.actions import NurtureRefused
from nurture.models import Image
from nurture.templating import images
from nurture.templating.rendering import compile_source
from tests.makers import NOW, make_user
from tests.nurture.makers import make_template
from tests.nurture.test_image_files import BLUE, RED, picture

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def marketer() -> Client:
    return signed_in(MARKETER)


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role), backend="django.contrib.auth.backends.ModelBackend")
    return client


def make_image(colour: tuple[int, int, int] = RED, *, name: str = "green_field.png", **values: Any) -> Image:
    data = picture("PNG", colour=colour)
    image, _is_new, _remarks = images.store(BytesIO(data), size=len(data), name=name, actor=None, now=NOW)
    Image.objects.filter(pk=image.pk).update(**values)
    image.refresh_from_db()
    return image


def upload(client: Client, *files: tuple[str, bytes], **headers: str) -> Any:
    sent = [SimpleUploadedFile(name, data, "image/png") for name, data in files]
    return client.post(reverse("nurture:image-upload"), {"uploads": sent}, headers=headers)


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def files_kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "images").iterdir())


def test_an_upload_is_kept_under_the_hash_of_its_content(marketer: Client, tmp_path: Path) -> None:
    answer = upload(marketer, ("our_new hall.png", picture("PNG")))
    image = Image.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, reverse("nurture:image-detail", args=[image.pk]))
    assert (image.name, image.kind, image.width, image.height, len(image.token)) == ("our new hall", "png", 40, 20, 22)
    assert files_kept(tmp_path) == [f"{image.sha256}.png"]
    assert image.bytes == (tmp_path / "images" / f"{image.sha256}.png").stat().st_size
    assert AuditEntry.objects.filter(verb="uploaded", object_label="our new hall").count() == 1


def test_the_same_picture_is_kept_once_and_a_lost_file_comes_back(marketer: Client, tmp_path: Path) -> None:
    upload(marketer, ("hall.png", picture("PNG")))
    image = Image.objects.get()
    images.path_of(image).unlink()
    page = marketer.get(reverse("nurture:image-detail", args=[image.pk])).content.decode()
    assert "no longer on the server" in page
    assert marketer.get(image.address).status_code == 404
    answer = upload(marketer, ("other name.png", picture("PNG")))
    assert said(answer) == ["Already here: hall."]
    assert Image.objects.get() == image
    assert files_kept(tmp_path) == [f"{image.sha256}.png"]
    assert Client().get(image.address).status_code == 200


def test_several_at_once_and_a_bad_one_does_not_stop_the_others(marketer: Client) -> None:
    answer = upload(
        marketer, ("one.png", picture("PNG")), ("bad.png", b"<svg/>"), ("two.jpg", picture("JPEG", (4000, 10)))
    )
    assert said(answer) == [
        "bad.png: It is no picture that mails can show: PNG, JPEG, GIF or WebP fit.",
        "2 images are kept. two: made smaller: 2000 × 5.",
    ]
    assert list(Image.objects.values_list("name", flat=True).order_by("name")) == ["one", "two"]


def test_nothing_chosen_and_too_many(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(upload(marketer)) == ["Choose a file first."]
    marketer = signed_in(MARKETER)
    monkeypatch.setattr("nurture.views.images.MOST_FILES", 1)
    answer = upload(marketer, ("one.png", picture("PNG")), ("two.png", picture("PNG", colour=BLUE)))
    assert said(answer) == ["1 files fit at once; the others were left out.", "1 image is kept."]


def test_the_editor_gets_the_choice_back(marketer: Client) -> None:
    old = make_image(BLUE, alt="A field")
    answer = upload(marketer, ("hall.png", picture("PNG")), **{"HX-Request": "true"})
    page = answer.content.decode()
    new = Image.objects.exclude(pk=old.pk).get()
    assert answer.status_code == 200
    assert page.index(f'data-image="{new.address}"') < page.index(f'data-image="{old.address}" data-alt="A field"')
    refused = upload(marketer, ("bad.png", b"no"), **{"HX-Request": "true"})
    assert (refused.status_code, "bad.png: It is no picture" in refused.content.decode()) == (422, True)
    choice = marketer.get(reverse("nurture:image-choice"), {"q": "field"}).content.decode()
    assert (old.address in choice, new.address in choice) == (True, False)


def test_anybody_who_knows_the_address_sees_it_and_nothing_runs(client: Client) -> None:
    image = make_image()
    answer = client.get(image.address)
    assert answer.content == images.path_of(image).read_bytes()
    headers = {
        "Content-Type": "image/png",
        "Content-Length": str(image.bytes),
        "Content-Disposition": 'inline; filename="image.png"',
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
    assert {name: answer.headers[name] for name in headers} == headers
    assert answer.cookies == {}
    assert client.head(image.address).status_code == 200
    assert client.post(image.address).status_code == 405


@pytest.mark.parametrize("change", ["kind", "token", "path"])
def test_what_is_not_the_address_is_not_found(client: Client, change: str) -> None:
    image = make_image()
    wrong = {
        "kind": image.address.replace(".png", ".gif"),
        "token": f"/i/{'A' * 22}.png",
        "path": f"/i/{image.sha256}.png",
    }[change]
    assert client.get(wrong).status_code == 404


@pytest.mark.parametrize("number", [1, 3])
def test_the_list(marketer: Client, number: int, django_assert_num_queries: Any) -> None:
    for place in range(number):
        make_image((place, 2, 3), name=f"picture {place}.png")
    marketer.get(reverse("nurture:image-list"))
    with django_assert_num_queries(5):
        page = marketer.get(reverse("nurture:image-list")).content.decode()
    assert page.count("images-card") == number


def test_searching_and_older_ones(marketer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nurture.views.images.PAGE", 2)
    first, second, third = (make_image((place, 2, 3), name=f"picture {place}.png") for place in range(3))
    Image.objects.filter(pk=first.pk).update(alt="A Green hall")
    url = reverse("nurture:image-list")
    found = marketer.get(url, {"q": "green"}).content.decode()
    assert (first.address in found, second.address in found) == (True, False)
    page = marketer.get(url).content.decode()
    assert (first.address in page, second.address in page, third.address in page) == (False, True, True)
    older = marketer.get(url, {"after": second.pk}).content.decode()
    assert (first.address in older, second.address in older) == (True, False)
    assert "No image is called that" in marketer.get(url, {"q": "nothing like it"}).content.decode()


def test_empty_says_what_it_is_for(marketer: Client) -> None:
    assert "put into mails by the editor" in marketer.get(reverse("nurture:image-list")).content.decode()


def test_name_and_words(marketer: Client) -> None:
    image = make_image()
    url = reverse("nurture:image-detail", args=[image.pk])
    assert marketer.post(url, {"name": "Hall", "alt": " Our  new hall "}).status_code == 302
    image.refresh_from_db()
    assert (image.name, image.alt) == ("Hall", "Our new hall")
    assert AuditEntry.objects.filter(verb="described").count() == 1
    assert marketer.post(url, {"name": "", "alt": ""}).status_code == 422


def test_what_a_template_names_does_not_go(marketer: Client) -> None:
    image = make_image()
    template = make_template(name="Autumn", body=f'<p><img src="{image.address}"></p>')
    page = marketer.get(reverse("nurture:image-detail", args=[image.pk])).content.decode()
    assert reverse("nurture:template-edit", args=[template.slug]) in page
    url = reverse("nurture:image-delete", args=[image.pk])
    assert said(marketer.post(url)) == ["“green field” stands in “Autumn”: take it out there first."]
    with pytest.raises(NurtureRefused):
        images.delete(image, actor=None, now=NOW)
    assert images.path_of(image).exists()
    actions.archive_template(template, actor=None, now=NOW + timedelta(hours=1))
    assert marketer.post(url).status_code == 302
    assert (Image.objects.count(), images.path_of(image).exists()) == (0, False)
    assert AuditEntry.objects.filter(verb="deleted", object_label="green field").count() == 1


def test_mails_name_it_in_full(settings: Any) -> None:
    settings.PUBLIC_URL = "https://news.plant.test"
    image = make_image()
    body = (
        f'<mjml><mj-body><mj-section background-url="{image.address}"><mj-column><mj-image src="{image.address}" />'
        f"<mj-text>See /i/nothing</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    found = compile_source("mjml", "S", "", body).fill({}).html
    assert f'src="https://news.plant.test{image.address}"' in found
    assert f"url('https://news.plant.test{image.address}')" in found
    assert "See /i/nothing" in found
    pasted = compile_source("html", "S", "", f'<img src="{image.address}">').fill({}).html
    assert f'src="https://news.plant.test{image.address}"' in pasted


def test_sales_look_and_change_nothing() -> None:
    image = make_image()
    sales = signed_in(SALES)
    assert sales.get(reverse("nurture:image-list")).status_code == 200
    assert sales.get(reverse("nurture:image-detail", args=[image.pk])).status_code == 200
    assert sales.get(reverse("nurture:image-choice")).status_code == 403
    assert upload(sales, ("one.png", picture("PNG", colour=BLUE))).status_code == 403
    assert sales.post(reverse("nurture:image-detail", args=[image.pk]), {"name": "X", "alt": ""}).status_code == 403
    assert sales.post(reverse("nurture:image-delete", args=[image.pk])).status_code == 403
    assert list(Image.objects.values_list("name", flat=True)) == ["green field"]
