"""The visual editor of mails in a real browser: a mail by keyboard alone, by dragging, and what it never touches."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import FilePayload, Locator, Page, expect

from leads.access import MARKETER
from nurture.models import Image, Template
from nurture.patterns import STARTERS
from nurture.templating.rendering import compile_source
from tests.nurture.makers import make_template
from tests.nurture.test_image_files import picture
from tests.nurture.test_images import make_image

pytestmark = pytest.mark.browser
SignedIn = Callable[[str], Page]

KEPT = """<mjml>
  <mj-head><mj-title>T</mj-title><mj-style>.a > .b { color: red }</mj-style></mj-head>
  <mj-body width="600px">
    <!-- a note > with signs -->
    {% if contact.title == "a > b" %}
    <mj-section padding='4px'>
      <mj-column width="50%">
        <mj-text  color="#333333" >First <span style="color:red">red</span> &amp; {{ contact.city | default: "<here>" }}</mj-text>
        {% block managers %}<mj-text>For managers</mj-text>{% endblock %}
        <mj-social><mj-social-element name="x" href="https://x.test">X</mj-social-element></mj-social>
        <mj-text><table><tr><td>Own table</td></tr></table></mj-text>
      </mj-column>
      <mj-column>
        <mj-button href="https://a.test/?a=1&amp;b={{ contact.city }}" css-class="odd">Press</mj-button>
      </mj-column>
    </mj-section>
    {% endif %}
    <mj-wrapper><mj-section><mj-column><mj-text>Wrapped</mj-text></mj-column></mj-section></mj-wrapper>
    <mj-section {% if contact.title %}padding="0"{% endif %}><mj-column><mj-text>Odd</mj-text></mj-column></mj-section>
    <mj-section><mj-column/></mj-section>
  </mj-body>
</mjml>
"""


RULE = {"field": "contact.title", "op": "is_known"}


@pytest.fixture
def page(signed_in: SignedIn, settings: Any, tmp_path: Path, live_server: Any) -> Page:
    settings.MEDIA_ROOT = tmp_path
    settings.PUBLIC_URL = live_server.url
    return signed_in(MARKETER)


def editor(page: Page) -> Locator:
    return page.locator("mail-editor")


def source(page: Page) -> str:
    return page.locator("[name=body]").input_value()


def opened(page: Page, body: str, *, blocks: Any = None) -> Template:
    template = make_template(name="Spring", body=body, format="mjml", blocks=blocks or [])
    page.goto(f"/programs/templates/{template.slug}/")
    expect(editor(page).get_by_role("tab", name="Visual")).to_have_attribute("aria-selected", "true")
    return template


def face(page: Page, name: str) -> Locator:
    """A part of the canvas by what a screen reader says of it."""
    return page.get_by_role("group", name="The mail").get_by_role("button", name=name, exact=True)


def add(page: Page, name: str) -> None:
    page.get_by_role("toolbar", name="Add to the mail").get_by_role("button", name=name).press("Enter")


def simple(*columns: str) -> str:
    inside = "".join(f"      <mj-column>\n{column}      </mj-column>\n" for column in columns)
    return f"<mjml>\n  <mj-body>\n    <mj-section>\n{inside}    </mj-section>\n  </mj-body>\n</mjml>\n"


def text(words: str) -> str:
    return f"        <mj-text>{words}</mj-text>\n"


def test_a_mail_by_keyboard_alone(page: Page) -> None:
    page.goto("/programs/templates/new/?from=newsletter")
    page.get_by_label("Name*").fill("Autumn")
    face(page, "Words: What is new this month").press("Enter")
    words = page.get_by_role("textbox", name="Words of this part")
    expect(words).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Autumn & more")
    page.keyboard.press("Escape")
    expect(face(page, "Words: Autumn & more")).to_be_focused()
    add(page, "Button")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Read it")
    page.get_by_label("Leads to").fill("https://plant.test/autumn?a=1&b=2")
    page.keyboard.press("Escape")
    expect(face(page, "Button: Read it")).to_be_focused()
    page.keyboard.press("Alt+ArrowUp")
    live = editor(page).get_by_role("status")
    expect(live).to_have_text("Button moved: place 1 of 4, column 1, section 2")
    face(page, "Section 1 of 5").press("Alt+ArrowUp")
    expect(live).to_have_text("It cannot go further")
    face(page, "Button: Read it").press("ArrowDown")
    page.keyboard.press("ControlOrMeta+d")
    expect(live).to_have_text("Words doubled")
    page.keyboard.press("Delete")
    expect(live).to_have_text("Words deleted; Undo brings it back")
    page.get_by_role("button", name="Save").first.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Autumn")
    body = Template.objects.get().body.replace("\r\n", "\n")
    wanted = STARTERS["newsletter"].body.replace(
        '        <mj-text font-size="24px" line-height="1.3" font-weight="700">What is new this month</mj-text>\n',
        '        <mj-button href="https://plant.test/autumn?a=1&amp;b=2">Read it</mj-button>\n'
        '        <mj-text font-size="24px" line-height="1.3" font-weight="700">Autumn &amp; more</mj-text>\n',
    )
    assert body.strip() == wanted.strip()
    assert 'href="https://plant.test/autumn?a=1&amp;b=2"' in compile_source("mjml", "S", "", body).fill({}).html


def test_from_an_empty_body_to_columns(page: Page) -> None:
    opened(page, "<mjml><mj-body></mj-body></mjml>")
    add(page, "Words")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("One")
    page.keyboard.press("Escape")
    face(page, "Section 1 of 1").press("Enter")
    page.get_by_role("combobox", name="Columns").select_option("3")
    page.get_by_label("Column 1").fill("50")
    face(page, "Words: One").press("Alt+ArrowRight")
    expect(editor(page).get_by_role("status")).to_have_text("Words moved: place 1 of 1, column 2, section 1")
    assert re.sub(r"\s*\n\s*", "", source(page)) == (
        '<mjml><mj-body><mj-section><mj-column width="50%"></mj-column><mj-column><mj-text>One</mj-text></mj-column>'
        "<mj-column></mj-column></mj-section></mj-body></mjml>"
    )
    face(page, "Section 1 of 1").press("Enter")
    page.get_by_role("combobox", name="Columns").select_option("1")
    assert re.sub(r"\s*\n\s*", "", source(page)) == (
        '<mjml><mj-body><mj-section><mj-column width="50%"><mj-text>One</mj-text></mj-column></mj-section></mj-body></mjml>'
    )
    page.get_by_role("button", name="Undo").click()
    assert source(page).count("<mj-column") == 3


def drag(page: Page, name: str, goal: Locator, *, part: float) -> None:
    """A part by its grip onto a place of another one, as far down as said."""
    goal.scroll_into_view_if_needed()
    from_box = face(page, name).locator("[data-grip]").bounding_box()
    goal_box = goal.bounding_box()
    assert from_box is not None
    assert goal_box is not None
    page.mouse.move(from_box["x"] + 4, from_box["y"] + 6)
    page.mouse.down()
    page.mouse.move(goal_box["x"] + goal_box["width"] / 2, goal_box["y"] + goal_box["height"] / 2, steps=4)
    page.mouse.move(goal_box["x"] + goal_box["width"] / 2, goal_box["y"] + goal_box["height"] * part, steps=2)
    page.mouse.up()


def test_dragging(page: Page) -> None:
    body = simple(text("One") + text("Two"), text("Three"))
    second = "    <mj-section><mj-column><mj-text>Four</mj-text></mj-column></mj-section>\n"
    opened(page, body.replace("  </mj-body>", f"{second}  </mj-body>"))
    page.set_viewport_size({"width": 1280, "height": 1400})
    editor(page).scroll_into_view_if_needed()
    drag(page, "Words: One", face(page, "Words: Three"), part=0.9)
    expect(face(page, "Words: One")).to_be_focused()
    moved = simple(text("Two"), text("Three") + text("One"))
    assert source(page) == moved.replace("  </mj-body>", f"{second}  </mj-body>")
    drag(page, "Section 2 of 2", face(page, "Section 1 of 2"), part=0.1)
    expect(face(page, "Section 1 of 2")).to_be_focused()
    assert source(page) == moved.replace("    <mj-section>\n", f"{second}    <mj-section>\n", 1)


def test_what_it_cannot_show_it_keeps(page: Page) -> None:
    opened(page, KEPT, blocks=[{"key": "managers", "conditions": RULE}])
    kept = page.locator(".mail-kept code")
    assert [words[:24] for words in kept.all_inner_texts()] == [
        "<mj-head><mj-title>T</mj",
        "<!-- a note > with signs",
        '{% if contact.title == "',
        "{% block managers %}",
        "{% endblock %}",
        '<mj-social><mj-social-el',
        "{% endif %}",
        "<mj-section {% if contac",
    ]  # fmt: skip
    page.get_by_role("tab", name="Source").click()
    page.get_by_role("tab", name="Visual").click()
    assert source(page) == KEPT
    face(page, "Button: Press").click()
    page.get_by_role("textbox", name="What it says", exact=True).fill("Go < now")
    assert source(page) == KEPT.replace(">Press<", ">Go &lt; now<")
    page.get_by_label("Leads to").fill("https://b.test/?x={{ contact.city }}&y")
    changed = KEPT.replace(">Press<", ">Go &lt; now<").replace(
        "https://a.test/?a=1&amp;b={{ contact.city }}", "https://b.test/?x={{ contact.city }}&amp;y"
    )
    assert source(page) == changed
    face(page, "Words: Own table").click()
    own = page.get_by_label("Source of the words")
    assert own.input_value() == "<table><tr><td>Own table</td></tr></table>"
    own.fill("<table><tr><td>Ours</td></tr></table>")
    changed = changed.replace("Own table", "Ours")
    assert source(page) == changed
    face(page, "Words: First red & contact.city").press("Enter")
    page.keyboard.press("ControlOrMeta+Home")
    page.keyboard.type("The ")
    changed = changed.replace(">First ", ">The First ")
    assert source(page) == changed
    page.locator(".mail-kept").filter(has_text="mj-social").click()
    page.get_by_role("button", name="Up", exact=True).click()
    social = '\n        <mj-social><mj-social-element name="x" href="https://x.test">X</mj-social-element></mj-social>'
    changed = changed.replace(social, "").replace("{% endblock %}", f"{social}{{% endblock %}}")
    assert source(page) == changed


def test_frames_pictures_behind_words_columns_that_stay_together_and_tables(page: Page) -> None:
    body = """<mjml>
  <mj-body>
    <mj-wrapper background-color="#fff">
      <mj-section><mj-column><mj-text>One</mj-text></mj-column></mj-section>
    </mj-wrapper>
    <mj-hero height="200px"><mj-text>Two</mj-text></mj-hero>
    <mj-section><mj-column>
      <mj-table cellpadding="8"><tr><th>Plan</th></tr>{% for x in y %}<tr class="a"><td>{{ x }}</td></tr>{% endfor %}</mj-table></mj-column>
      <mj-column></mj-column></mj-section>
  </mj-body>
</mjml>
"""
    opened(page, body, blocks=[{"key": "managers", "conditions": RULE}])
    live = editor(page).get_by_role("status")
    face(page, "Picture behind words, section 2 of 3").press("Alt+ArrowUp")
    expect(live).to_have_text("Section moved: place 2 of 2 in the frame")
    hero = '<mj-hero height="200px"><mj-text>Two</mj-text></mj-hero>'
    body = body.replace(f"\n    {hero}", "").replace("    </mj-wrapper>", f"      {hero}\n    </mj-wrapper>")
    assert source(page) == body
    face(page, "Words: One").press("Alt+ArrowDown")
    expect(live).to_have_text("Words moved: place 1 of 2, column 1, section 2")
    page.keyboard.press("ControlOrMeta+z")
    assert source(page) == body
    face(page, "Words: Two").click()
    page.get_by_role("combobox", name="Shown to").select_option("managers")
    expect(live).to_have_text("Words is shown to managers")
    shown = "{% block managers %}\n      <mj-text>Two</mj-text>\n      {% endblock %}"
    assert re.sub(r"\s+", " ", shown) in re.sub(r"\s+", " ", source(page))
    page.get_by_role("combobox", name="Shown to").select_option("everybody")
    expect(live).to_have_text("Words is shown to everybody")
    assert source(page) == body
    face(page, "Section 3 of 3").click()
    page.get_by_role("checkbox", name="Side by side on phones too").check()
    expect(face(page, "Side by side on phones too")).to_be_visible()
    assert signs(source(page)).count("<mj-section><mj-group><mj-column><mj-table") == 1
    page.get_by_role("combobox", name="Columns").select_option("1")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("checkbox", name="Side by side on phones too").uncheck()
    assert signs(source(page)) == signs(body)
    face(page, "Table: Plan, x").press("Enter")
    page.get_by_label("Row 1, column 1").press("ControlOrMeta+End")
    page.keyboard.type("s & more")
    page.get_by_role("button", name="Row", exact=True).click()
    expect(page.get_by_label("Row 2, column 1")).to_be_focused()
    page.keyboard.type("Basic")
    page.get_by_role("button", name="Column", exact=True).click()
    page.keyboard.type("9")
    page.get_by_role("button", name="Take the row out").click()
    expect(face(page, "Table: Plans & more, , x,")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    assert source(page).count(
        '<tr><th>Plans &amp; more</th><th></th></tr><tr class="a"><td>Basic</td><td>9</td></tr>'
        '{% for x in y %}<tr class="a"><td>{{ x }}</td><td></td></tr>{% endfor %}</mj-table>'
    ) == 1  # fmt: skip


PASTED = {
    "": "",
    "<p>One</p>": "One",
    # Google Docs: everything in a bold that is none, lists with paragraphs
    '<b style="font-weight:normal;" id="docs-internal-guid-1"><h1><span>Head</span></h1><p style="color:red"><span style="font-weight:700">Fat</span>'
    '<span style="font-style:italic"> slant</span> &amp; <a href="https://a.test/?a=1&amp;b=2"><span>link</span></a></p><ul><li><p>x</p></li>'
    "<li><p>y</p></li></ul><p>End</p></b>": (
        '<b>Head</b><br><br><b>Fat</b><i> slant</i> &amp; <a href="https://a.test/?a=1&amp;b=2">link</a><ul><li>x</li><li>y</li></ul>End'
    ),
    # Word: lists are paragraphs with a bullet drawn in front
    '<html><head><style>p{}</style></head><body><p class="MsoNormal"><b>A</b><o:p></o:p></p><p style="mso-list:l0 level1 lfo1">'
    '<span style="mso-list:Ignore">·&nbsp; </span>one</p><p style="mso-list:l0 level1 lfo1"><span style="mso-list:Ignore">· </span>two</p></body></html>': (
        "<b>A</b><ul><li>one</li><li>two</li></ul>"
    ),
    '<div>a<br>b</div><script>alert(1)</script><img src=x onerror="alert(1)"><a href="javascript:alert(1)">no</a>': "a<br>b<br>no",
    "{{ contact.city | default: &quot;x&quot; }}": '{{ contact.city | default: "x" }}',
}  # fmt: skip


def test_what_stays_of_pasted_words(page: Page) -> None:
    opened(page, simple(text("Hello")))
    read = 'async (html) => (await import("/static/nurture/mail_paste.js")).pasted(html)'
    assert {html: page.evaluate(read, html) for html in PASTED} == PASTED
    face(page, "Words: Hello").press("Enter")
    box = page.get_by_role("textbox", name="Words of this part")
    box.press("ControlOrMeta+a")
    box.evaluate(
        """(box, html) => {
          const held = new DataTransfer();
          held.setData("text/html", html);
          box.dispatchEvent(new ClipboardEvent("paste", { clipboardData: held, bubbles: true, cancelable: true }));
        }""",
        '<p style="color:red">One <strong>two</strong></p><ul><li>three</li></ul>',
    )
    assert source(page) == simple(text("One <b>two</b><ul><li>three</li></ul>"))


def test_what_was_not_saved_comes_back(page: Page) -> None:
    template = opened(page, simple(text("Hello")))
    page.get_by_label("Subject").fill("Mine")
    face(page, "Words: Hello").press("ControlOrMeta+d")
    page.route("**/programs/templates/**", lambda route: route.abort())
    page.get_by_label("Subject").press("ControlOrMeta+s")
    page.wait_for_url("chrome-error://chromewebdata/")
    page.unroute("**/programs/templates/**")
    page.goto(f"/programs/templates/{template.slug}/")
    page.get_by_role("button", name="Take it back").click()
    expect(face(page, "Words: Hello").nth(1)).to_be_visible()
    page.get_by_label("Subject").press("ControlOrMeta+s")
    expect(page.get_by_text("Saved. Mails that")).to_be_visible()
    expect(page.get_by_label("Subject")).to_have_value("Mine")
    expect(editor(page).get_by_role("tab", name="Visual")).to_have_attribute("aria-selected", "true")
    assert page.get_by_role("button", name="Take it back").is_hidden()
    template.refresh_from_db()
    assert (template.subject, template.body.count("<mj-text>")) == ("Mine", 2)


def test_words_with_bold_links_and_placeholders(page: Page) -> None:
    opened(page, simple(text("Hello you")))
    face(page, "Words: Hello you").press("Enter")
    box = page.get_by_role("textbox", name="Words of this part")
    box.press("ControlOrMeta+a")
    page.get_by_role("button", name="Bold").click()
    box.press("End")
    page.get_by_role("button", name="Bold").click()
    page.keyboard.type(" and")
    page.keyboard.press("Enter")
    page.get_by_label("Put in a placeholder").select_option("Last name")
    expect(box).to_be_focused()
    page.keyboard.type(" x")
    assert source(page) == simple(text("<b>Hello you</b> and<br />{{ contact.last_name }} x"))
    box.press("ControlOrMeta+k")
    page.get_by_label("Where the link leads").fill("https://plant.test/?a=1&b=2")
    page.keyboard.press("Enter")
    link = '<a href="https://plant.test/?a=1&amp;b=2">https://plant.test/?a=1&amp;b=2</a>'
    assert source(page) == simple(text(f"<b>Hello you</b> and<br />{{{{ contact.last_name }}}} x{link}"))


def test_what_is_half_typed_waits(page: Page) -> None:
    button = '        <mj-button href="https://a.test">Go</mj-button>\n'
    body = simple(button + text("Later {{ contact.city }}"))
    opened(page, body)
    face(page, "Button: Go").press("Enter")
    address = page.get_by_label("Leads to")
    address.fill("https://a.test/{{ contact.em")
    warning = editor(page).get_by_text("Not taken over yet")
    expect(warning).to_be_visible()
    assert source(page) == body
    address.press_sequentially("ail }}")
    expect(warning).to_be_hidden()
    assert source(page) == body.replace("https://a.test", "https://a.test/{{ contact.email }}")
    face(page, "Words: Later contact.city").press("Enter")
    page.keyboard.type("{{")
    expect(warning).to_be_visible()
    page.keyboard.type(" contact.title }} ")
    expect(warning).to_be_hidden()
    assert source(page).count("{{ contact.title }} Later {{ contact.city }}") == 1


def test_undo_reaches_over_a_change_of_the_source(page: Page) -> None:
    body = simple(text("One"))
    opened(page, body)
    page.get_by_role("tab", name="Source").click()
    page.locator("[name=body]").fill(body.replace("One", "Two"))
    page.get_by_role("tab", name="Visual").click()
    face(page, "Words: Two").press("ControlOrMeta+d")
    page.keyboard.press("ControlOrMeta+z")
    assert source(page) == body.replace("One", "Two")
    page.keyboard.press("ControlOrMeta+z")
    assert source(page) == body
    page.keyboard.press("ControlOrMeta+y")
    assert source(page) == body.replace("One", "Two")


def test_an_image_chosen_and_one_uploaded(page: Page) -> None:
    known = make_image((9, 99, 9), name="hall.png", alt="Our hall")
    opened(page, simple(text("One")))
    face(page, "Words: One").click()
    add(page, "Image")
    page.get_by_role("button", name="Choose …").press("Enter")
    dialog = page.get_by_role("dialog", name="Choose an image")
    dialog.get_by_role("button", name="hall").click()
    assert source(page) == simple(text("One") + f'        <mj-image src="{known.address}" alt="Our hall" />\n')
    expect(face(page, "Image: Our hall").get_by_role("img")).to_have_js_property("naturalWidth", 40)
    page.get_by_role("button", name="Choose …").press("Enter")
    sent = FilePayload(name="field.jpg", mimeType="image/jpeg", buffer=picture("JPEG", (60, 30)))
    dialog.get_by_label("Upload from this computer").set_input_files([sent])
    dialog.get_by_role("button", name="field").click()
    fresh = Image.objects.exclude(pk=known.pk).get()
    assert f'<mj-image src="{fresh.address}" alt="Our hall" />' in source(page)
    inside = page.frame_locator("#preview-wide iframe")
    expect(inside.locator(f'img[src$="{fresh.address}"]')).to_have_js_property("naturalWidth", 60)


def test_a_layout_is_written_by_its_parts(page: Page) -> None:
    page.goto("/programs/stationery/new/layout/")
    page.get_by_label("Name*").fill("House")
    page.get_by_label("Slug*").fill("house")
    begin = source(page)
    expect(face(page, "The words of each mail stand here")).to_be_visible()
    face(page, "Words: workspace.name").press("Enter")
    page.get_by_label("Size").fill("20")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("House")
    head = '<mj-text font-size="14px" font-weight="700" color="#0f7657">{{ workspace.name }}'
    assert source(page).strip() == begin.replace(head, head.replace("14px", "20px")).strip()
    inside = page.frame_locator("#preview-wide iframe")
    expect(inside.locator("body")).to_contain_text("this is where the words of the mail stand.")


def test_a_source_that_is_no_tree_stays_in_the_source(page: Page) -> None:
    opened(page, simple(text("One")))
    page.get_by_role("tab", name="Source").click()
    page.locator("[name=body]").fill("<mjml>\n<mj-body>\n<mj-section></mj-body></mjml>")
    page.get_by_role("tab", name="Visual").click()
    expect(editor(page).get_by_role("alert")).to_contain_text("Line 3 of the source cannot be read")
    expect(page.locator("[name=body]")).to_be_visible()
    format_and_layout = page.get_by_text("Format and layout")
    expect(format_and_layout.locator("..")).to_contain_text("MJML")
    format_and_layout.click()
    page.get_by_label("HTML", exact=True).check()
    expect(format_and_layout.locator("..")).to_contain_text("HTML")
    expect(page.get_by_role("tab", name="Visual")).to_be_disabled()


# --- Two ways agree: any source, any edit --------------------------------------------------------------------------------

WORDS = st.sampled_from(
    ["", "Hello", " a &amp; b ", "é 안녕 ", '{{ contact.city | default: "<x>" }}', "<b>x</b>", "<!-- </mj-text> -->"]
)
BETWEEN = st.sampled_from(
    ["", "\n  ", "\n", " ", "<!-- > -->", '{% if a > "<b" %}', "{% endif %}", "{% raw %}<mj-text>{% endraw %}"]
)
SAID = st.sampled_from(
    [
        "",
        ' color="red"',
        " padding='0 \"1\"'",
        ' href="?a=1&amp;b={{ c | default: "d" }}"',
        ' {% if x %}a="1"{% endif %}',
    ]
)


@st.composite
def mails(draw: st.DrawFn) -> str:
    def element(name: str, inside: str) -> str:
        said = draw(SAID)
        return f"<{name}{said} />" if not inside and draw(st.booleans()) else f"<{name}{said}>{inside}</{name}>"

    def several(make: Callable[[], str], most: int) -> str:
        return draw(BETWEEN) + "".join(make() + draw(BETWEEN) for _each in range(draw(st.integers(0, most))))

    def block() -> str:
        name = draw(
            st.sampled_from(["mj-text", "mj-text", "mj-button", "mj-image", "mj-spacer", "mj-social", "mj-raw"])
        )
        return element(name, draw(WORDS) if name in ("mj-text", "mj-button", "mj-raw") else "")

    def column() -> str:
        return element("mj-column", several(block, 3))

    def columns() -> str:
        return element("mj-group", several(column, 1)) if draw(st.integers(0, 3)) == 0 else column()

    def section() -> str:
        name = draw(st.sampled_from(["mj-section", "mj-section", "mj-hero"]))
        return element(name, several(block, 2) if name == "mj-hero" else several(columns, 3))

    def band() -> str:
        return element("mj-wrapper", several(section, 1)) if draw(st.integers(0, 3)) == 0 else section()

    return f"<mjml>{draw(BETWEEN)}<mj-body>{several(band, 3)}</mj-body>{draw(BETWEEN)}</mjml>\n"


HARNESS = """async ([source, seed]) => {
  const { Mail } = await import("/static/nurture/mail_source.js");
  const { kind, isMovable } = await import("/static/nurture/mail_canvas.js");
  const mail = new Mail(source);
  const all = [];
  const walk = (node) => { if (node !== mail.root) all.push(node); for (const child of node.children ?? []) walk(child); };
  walk(mail.root);
  const leaves = all.filter((node) => !node.children?.length || node.html).length;
  const covered = (node) => !node.children?.length || node.html ? mail.source(node) : mail.text.slice(node.start, node.openEnd)
    + node.children.map(covered).join("") + (node.closeStart === null ? "" : mail.text.slice(node.closeStart, node.end));
  const whole = mail.root.children.map(covered).join("");
  const pick = (list, salt) => list[(seed + salt) % list.length];
  const results = [];
  const editable = all.filter((node) => node.type === "element" && !node.isOdd);
  const one = pick(editable, 1);
  const after = mail.withAttribute(one, "title", 'x "&" <y> {{ z | default: "w" }}');
  results.push({ what: "attribute", text: after, start: one.start, end: one.end, value: new Mail(after).beginningAt(one.start).attributes.get("title").value });
  const gone = new Mail(after);
  results.push({ what: "taken back", text: gone.withAttribute(gone.beginningAt(one.start), "title", ""), start: 0, end: 0 });
  const holder = editable.find((node) => node.html);
  if (holder) {
    const text = mail.withContent(holder, "New");
    results.push({ what: "content", text, start: holder.start, end: holder.end, value: new Mail(text).content(new Mail(text).beginningAt(holder.start)) });
  }
  const movable = all.filter(isMovable);
  const columns = all.filter((node) => kind(node) === "column");
  if (movable.length) {
    const node = pick(movable, 3);
    const container = node.parent.name === "mj-body" ? node.parent : pick(columns.length ? columns : [node.parent], 5);
    const before = pick([...mail.within(container), null], 7);
    const moved = mail.moved(node, container, before);
    if (moved) {
      const fresh = new Mail(moved.text);
      results.push({ what: "moved", text: moved.text, node: mail.source(node), at: fresh.source(fresh.beginningAt(moved.at)) });
    }
    results.push({ what: "deleted", text: mail.without(node), node: mail.source(node) });
    const twice = mail.doubled(node);
    results.push({ what: "doubled", text: twice.text, at: twice.text.slice(twice.at, twice.at + node.end - node.start), node: mail.source(node) });
  }
  return { whole, leaves, results };
}"""


def signs(words: str) -> str:
    """Without space, and with tags that hold nothing written one way."""
    return re.sub(r"\s+", "", words)


def test_any_source_survives_any_edit(page: Page) -> None:
    page.goto("/programs/templates/")

    @settings(max_examples=60)
    @given(mails(), st.integers(0, 10_000))
    def agrees(body: str, seed: int) -> None:
        found = page.evaluate(HARNESS, [body, seed])
        assert found["whole"] == body
        for result in found["results"]:
            check(body, result)

    agrees()


def check(body: str, result: dict[str, Any]) -> None:
    what, after = result["what"], result["text"]
    if what in ("attribute", "content"):
        assert after.startswith(body[: result["start"]]), what
        assert after.endswith(body[result["end"] :]), what
        assert result["value"] == ('x "&" <y> {{ z | default: "w" }}' if what == "attribute" else "New")
    elif what == "taken back":
        assert after == body
    elif what == "deleted":
        assert len(after) <= len(body) - len(result["node"])
        assert sorted(signs(after) + signs(result["node"])) == sorted(signs(body))
    elif what == "doubled":
        assert result["at"] == result["node"]
        assert sorted(signs(after)) == sorted(signs(body) + signs(result["node"]))
    else:
        assert result["at"] == result["node"]
        opened_one = sorted(signs(after)) != sorted(signs(body))  # `<mj-column />` had to be opened
        assert not opened_one or "</mj-column>" in after
