"""Regular expressions: what is taken, what is refused, and that PostgreSQL and Python find the same."""

from __future__ import annotations

import re
import time

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.text import fold
from segments.conditions.patterns import BadPattern, for_postgres, parse, search

TAKEN = [
    "vp", "^vp$", "a|b", "(a|b)+c", "a*", "a?b", "a{2}", "a{2,}", "a{1,3}b", "[abc]", "[^abc]", "[a-z0-9_]", "[]x]", "[a-]", "[x^]",
    "\\.", "\\[x\\]", "\\\\", "a.b", "()", "(a|)b", "ü+", "[à-ü]", "100%", "x}y", "^^a$$", "[A-F]", "(((a)))", "a\\{2\\}", "it's", "a b",
]  # fmt: skip
REFUSED = [
    "(", ")", "a)", "(a", "[", "[]", "[z-a]", "[a-Z]", "*a", "+", "a**", "a+?", "a{,3}", "a{3,2}", "a{256}", "a{x}", "{", "\\", "\\d", "\\w+",
    "\\bword", "(?i)a", "(?:a)", "(?=a)", "a\\1", "[[:alpha:]]", "[[.a.]]", "^*", "$+", "((a{100}){100})", "a{1", "\\ü", "\\ ", "(" * 60 + ")" * 60,
]  # fmt: skip


@pytest.mark.parametrize("pattern", TAKEN)
def test_taken(pattern: str) -> None:
    parse(pattern)


@pytest.mark.parametrize("pattern", REFUSED)
def test_refused_with_a_reason(pattern: str) -> None:
    with pytest.raises(BadPattern, match=r".{10,}"):
        parse(pattern)


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("sales$", "VP Sales", True),
        ("^sales", "VP Sales", False),
        ("MÜL+ER", "müller", True),
        ("[A-F]", "c", True),
        ("a.c", "a\nc", True),
        ("^b", "a\nb", False),
        ("a$", "a\n", False),
        ("ß", "SS", False),
        ("x?", "", True),
    ],
)
def test_found_anywhere_whatever_the_case(pattern: str, text: str, found: bool) -> None:
    assert search(parse(pattern), fold(text)) == found


def test_what_explodes_elsewhere_ends_quickly() -> None:
    started = time.perf_counter()
    assert not search(parse("(a+)+(a+)+$x|^(a|aa)+$y"), "a" * 2000)
    assert time.perf_counter() - started < 5


atoms = st.sampled_from(["a", "b", "ü", ".", "[ab]", "[^a]", "\\.", "[a-c]", "^", "$"])
repeats = st.sampled_from(["", "", "*", "+", "?", "{2}", "{1,2}", "{0,2}", "{1,}"])


def _group(inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    repeated = st.tuples(inside, repeats).map(lambda pair: f"({pair[0]}){pair[1]}")
    return st.one_of(
        repeated,
        st.tuples(inside, inside).map("".join),
        st.tuples(inside, inside).map("|".join),
    )


regexes = st.recursive(st.tuples(atoms, repeats).map("".join), _group, max_leaves=6)


@settings(max_examples=400)
@given(regexes, st.text("abÜ.d\n", max_size=7))
def test_like_python(pattern: str, text: str) -> None:
    try:
        part = parse(pattern)
    except BadPattern:
        return
    expected = re.search(fold(pattern).replace("$", r"\Z"), fold(text), re.DOTALL)
    assert search(part, fold(text)) == (expected is not None)


@pytest.mark.django_db
def test_like_postgresql() -> None:
    patterns = [*TAKEN, "(a|b)*c", "^(x|y){2,3}$", "[^é]", "(^a|b$)", "a(b|)c", "((ab){2}|c)+$"]
    texts = [
        "",
        "a",
        "VP",
        "abc",
        "aab",
        "xyx",
        "100%",
        "a.b",
        "[x]",
        "ÜÜ",
        "ababab",
        "a\nb",
        "]",
        "-",
        "a{2}",
        "\\",
        "it's",
        "x}y",
        "É",
    ]
    for pattern in patterns:
        part = parse(pattern)
        with connection.cursor() as cursor:
            cursor.execute(
                'SELECT lower(text COLLATE "pg_c_utf8") ~ %s FROM unnest(%s::text[]) WITH ORDINALITY AS given(text, place) ORDER BY place',
                [for_postgres(part), texts],
            )
            found = [row[0] for row in cursor.fetchall()]
        assert found == [search(part, fold(text)) for text in texts], pattern
