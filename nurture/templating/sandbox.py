"""Liquid for people who are no programmers: nothing can be loaded or called, and no template runs long or grows without end.

Bounds of the library (loops, output, what is assigned) are joined by two of our own: processor time, asked at every node, and the size
of what a filter takes and gives, since one `replace` of a long text by a long text fills the machine's memory before any node is reached.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TextIO

from django.utils.translation import gettext as _
from liquid import BoundTemplate, Environment
from liquid.ast import BlockNode, Node
from liquid.context import RenderContext
from liquid.exceptions import LiquidError, LiquidSyntaxError
from liquid.parser import get_parser
from liquid.stream import TokenStream
from liquid.tag import Tag
from liquid.token import TOKEN_EXPRESSION, TOKEN_TAG, Token

from nurture.templating import truth

SECONDS = 1.0  # of the processor, for one part of one mail; a usual one takes a thousandth
EACH = 128  # nodes between two looks at the clock, which costs as much as a small node
LONGEST_TEXT = 20_000  # characters that a filter takes: `strip_html` needs the square of them
LONGEST_RESULT = 200_000
LONGEST_LIST = 2_000  # items: `uniq` needs the square of them
LARGEST_NUMBER = 10**30
LONGEST_PLACEHOLDER = 1_000  # characters from {{ to }}
SHOWN = "blocks"  # name -> whether the reader sees it, among the values of a mail


class TooMuch(Exception):
    """The template cannot go on: too long, too large, a block of nobody. The message says which, for people."""


class _Context(RenderContext):
    """Asks for the time wherever all nodes pass, and bounds what filters take and give."""

    __slots__ = ("_disabled", "_nodes", "_until")

    def __init__(self, template: BoundTemplate, **values: Any) -> None:
        self._nodes = 0
        self._until = time.thread_time() + SECONDS
        self._disabled: list[str] = []
        super().__init__(template, **values)

    @property
    def disabled_tags(self) -> list[str]:  # every node reads it before it renders
        self._nodes += 1
        if self._nodes % EACH == 0:
            self._look_at_clock()
        return self._disabled

    @disabled_tags.setter
    def disabled_tags(self, tags: list[str]) -> None:
        self._disabled = tags

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self._look_at_clock()
        return _bounded(name, super().filter(name, token))

    def raise_for_loop_limit(self, length: int = 1) -> None:
        self._look_at_clock()
        super().raise_for_loop_limit(length)

    def _look_at_clock(self) -> None:
        if time.thread_time() > self._until:
            raise TooMuch(_("it takes longer than %(n)g s") % {"n": SECONDS})


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., object]:
    def run(value: object, *arguments: Any, **options: Any) -> object:
        for one in (value, *arguments):
            _refuse_size(one, LONGEST_TEXT)
        if name in ("replace", "replace_first", "replace_last") or isinstance(value, list):
            _refuse_product(value, arguments)
        found = function(value, *arguments, **options)
        _refuse_size(found, LONGEST_RESULT)
        return found

    return run


def _refuse_size(value: object, longest: int) -> None:
    if isinstance(value, str):
        if len(value) > longest:
            raise TooMuch(_("a filter gets or gives a text of more than %(n)d characters") % {"n": longest})
    elif isinstance(value, list):
        if len(value) > LONGEST_LIST:
            raise TooMuch(_("a list has more than %(n)d items") % {"n": LONGEST_LIST})
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise TooMuch(_("a number grows without end"))


def _refuse_product(value: object, arguments: tuple[Any, ...]) -> None:
    """What comes of `replace` and `join` may be as long as one times the other."""
    times = len(value) if isinstance(value, str | list) else 1
    longest = max((len(one) for one in arguments if isinstance(one, str)), default=0)
    if times * longest > 100 * LONGEST_RESULT:
        raise TooMuch(_("a filter gets or gives a text of more than %(n)d characters") % {"n": LONGEST_RESULT})


class _Template(BoundTemplate):
    context_class = _Context


# --- Blocks shown by condition --------------------------------------------------------------------------------------------


class _BlockNode(Node):
    """`{% block managers %} … {% else %} … {% endblock %}`: the first part for whoever meets the block's condition."""

    __slots__ = ("body", "name", "otherwise")

    def __init__(self, token: Token, name: str, body: BlockNode, otherwise: BlockNode | None) -> None:
        super().__init__(token)
        self.name = name
        self.body = body
        self.otherwise = otherwise
        self.blank = False

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        shown = context.globals.get(SHOWN)
        if not isinstance(shown, Mapping) or self.name not in shown:
            raise TooMuch(no_condition(self.name))
        if shown[self.name]:
            return self.body.render(context, buffer)
        return self.otherwise.render(context, buffer) if self.otherwise else 0

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[Node]:
        yield self.body
        if self.otherwise:
            yield self.otherwise


class _BlockTag(Tag):
    name = "block"
    end = "endblock"

    def parse(self, stream: TokenStream) -> Node:
        token = stream.eat(TOKEN_TAG)
        if stream.current.kind != TOKEN_EXPRESSION:
            raise LiquidSyntaxError(_("a block has no name"), token=token)
        name = stream.current.value.strip().strip("\"'")
        next(stream)
        parse_block = get_parser(self.env).parse_block
        body = parse_block(stream, frozenset({"endblock", "else"}))
        otherwise = None
        if stream.current.is_tag("else"):
            next(stream)
            otherwise = parse_block(stream, frozenset({"endblock"}))
        stream.expect(TOKEN_TAG, value="endblock")
        return _BlockNode(token, name, body, otherwise)


def no_condition(name: str) -> str:
    return _("the block “%(name)s” has no condition") % {"name": name}


def blocks_named(template: BoundTemplate) -> frozenset[str]:
    """Names of the blocks that a template asks for."""
    context = _Context(template)
    found, rest = set(), list(template.nodes)
    while rest:
        node = rest.pop()
        if isinstance(node, _BlockNode):
            found.add(node.name)
        rest.extend(node.children(context))
    return frozenset(found)


# --- The two environments -------------------------------------------------------------------------------------------------


class _Bounded(Environment):
    template_class = _Template
    loop_iteration_limit = 10_000
    output_stream_limit = 2_000_000
    local_namespace_limit = 200_000
    context_depth_limit = 20


def _environment(*, autoescape: bool) -> _Bounded:
    environment = _Bounded(autoescape=autoescape)
    for unsafe in ("safe", "base64_decode", "base64_url_safe_decode", "escapejs"):
        environment.filters.pop(unsafe, None)
    for loading in ("include", "render"):  # our snippets are put in before
        environment.tags.pop(loading, None)
    environment.add_tag(_BlockTag)
    return environment


HTML = _environment(autoescape=True)
TEXT = _environment(autoescape=False)
TEXT.filters["newline_to_br"] = str  # a plain text has no <br>


def parse(text: str, *, is_html: bool) -> BoundTemplate:
    """Raises TooMuch, LiquidError or RecursionError."""
    refuse_source(text)
    return truth.ask_whether_known((HTML if is_html else TEXT).from_string(text))


_OPENING = re.compile(r"\{[{%]")
_RAW = re.compile(r"\{%-?\s*raw\b")
_END_OF_RAW = re.compile(r"\{%-?\s*endraw\b")


def refuse_source(text: str) -> None:
    """What readers would take minutes for: signs that nothing closes, endless expressions. One pass. Raises TooMuch."""
    place = 0
    while opening := _OPENING.search(text, place):
        place = text.find("}}" if opening[0] == "{{" else "%}", opening.end())
        if place < 0 or place - opening.start() > LONGEST_PLACEHOLDER:
            line = text.count("\n", 0, opening.start()) + 1
            said = text[opening.start() : opening.start() + 30].split("\n")[0]
            words = (
                _("“%(said)s” in line %(line)d is not closed")
                if place < 0
                else _("“%(said)s” in line %(line)d is too long")
            )
            raise TooMuch(words % {"said": said, "line": line})
    if len(_RAW.findall(text)) > len(_END_OF_RAW.findall(text)):
        raise TooMuch(_("“{% raw %}” is not closed"))


def words_of(error: Exception) -> str:
    """What is wrong, for people, on one line without its full stop."""
    if isinstance(error, TooMuch):
        return str(error)
    if isinstance(error, LiquidError):
        said = str(getattr(error, "message", "") or error).splitlines()[0].strip().rstrip(".:")
        return said or type(error).__name__
    return type(error).__name__
