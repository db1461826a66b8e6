"""One record, one line."""

import logging

from config.logs import LineFormatter


def line(message: str, *arguments: object, **extra: object) -> str:
    record = logging.LogRecord("leads.tasks", logging.INFO, __file__, 1, message, arguments, None)
    record.created = 1_800_000_000.25
    record.__dict__.update(extra)
    return LineFormatter().format(record)


def test_a_record_is_words_with_names() -> None:
    assert line("imported", rows=3) == (
        "at=2027-01-15T08:00:00.250+00:00 level=info logger=leads.tasks message=imported rows=3"
    )


def test_text_that_would_break_the_line_is_quoted() -> None:
    assert line("a\nb level=error", label='x"y', empty="").partition("message=")[2] == (
        r'"a\nb level=error" label="x\"y" empty=""'
    )


def test_codes_of_public_links_are_left_out() -> None:
    token = "0d8f4f8e-7c57-4c1c-9d3b-0c5d7a1f2b3c"
    paths = {
        f"/programs/u/{token}/": "/programs/u/…/",
        f"/programs/u/{token}/preferences/": "/programs/u/…/preferences/",
        "/programs/u/preferences/aa11bb22cc33dd44-7.ab_C-d/": "/programs/u/preferences/…/",
        "/programs/u/confirm/12.Zm9vYmFyYmF6cXV4/": "/programs/u/confirm/…/",
        "/e/AbCdEfGhIjKlMnOpQrStUv": "/e/…",
        "/e/AbCdEfGhIjKlMnOpQrStUv.gif": "/e/…",
        "/programs/welcome/": "/programs/welcome/",
    }
    for path, shown in paths.items():
        assert f" path={shown}" in f"{line('request', path=path)} ".replace('"', "")
        assert shown in line(f"Not Found: {path}")
        assert path == shown or path not in line(f"Not Found: {path}")


def test_an_exception_stays_on_the_line() -> None:
    try:
        raise ValueError("bad\nvalue")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, __file__, 1, "failed", None, (ValueError, error, error.__traceback__)
        )
    written = LineFormatter().format(record)
    assert written.count("\n") == 0
    assert written.endswith(r"ValueError: bad\nvalue\"") or "ValueError: bad\\nvalue" in written
