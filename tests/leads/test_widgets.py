"""A long choice looks to the browser as Django's own does."""

from html.parser import HTMLParser

from django import forms

from leads.widgets import LongSelect
from leads.zones import choices, names


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, sorted(attrs, key=str)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.found.append(data.strip())


def test_it_draws_what_djangos_own_draws() -> None:
    options = [("", "unknown"), ("a&b", "A & <b>B</b>"), (3, "three"), ("x", "it's")]
    attrs = {"id": "id_place", "class": "form-select", "required": True, "disabled": False}
    for value in ("", "a&b", 3, "nobody"):
        long = LongSelect(attrs=attrs, choices=options).render("place", value)
        assert Tags(long).found == Tags(forms.Select(attrs=attrs, choices=options).render("place", value)).found
    assert "<b>" not in LongSelect(choices=options).render("place", "")


def test_zones_are_those_of_places_and_what_is_stored_stays() -> None:
    assert {"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires"} <= set(names())
    assert "EST5EDT" not in names()
    assert choices("EST5EDT")[0] == ("EST5EDT", "EST5EDT")
    assert len(choices("UTC")) == len(names())
    assert ("America/New_York", "America/New York") in choices()
