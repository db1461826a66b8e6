"""Where in a JSON text the parts of a document stand, so that a problem can be shown at its line."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

_TOKEN = re.compile(r'[\s]*(?:(?P<sign>[{}\[\],:])|(?P<text>"(?:[^"\\]|\\.)*")|(?P<other>[^\s{}\[\],:"]+))')


@dataclass
class _Open:
    """An object or a list that is being read."""

    path: str
    is_list: bool
    place: int = 0
    key: str = ""
    wants_key: bool = True

    @property
    def inside(self) -> str:
        """The path of what comes next."""
        if self.is_list:
            return f"{self.path}[{self.place}]"
        return f"{self.path}.{self.key}" if self.path else self.key


def lines_of(text: str, paths: Iterable[str]) -> dict[str, int]:
    """The line, from 1, of each path such as all[0].value; of its nearest holder when the path itself is not there.

    The text must be JSON that json.loads takes. One pass, no recursion.
    """
    wanted = set(paths)
    found = _places(text)
    breaks = [match.start() for match in re.finditer("\n", text)]
    return {path: bisect_left(breaks, found[_nearest(path, found)]) + 1 for path in wanted}


def _nearest(path: str, found: dict[str, int]) -> str:
    while path and path not in found:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return path


def _places(text: str) -> dict[str, int]:
    """Offset of every key and element by its path; the whole is ""."""
    found = {"": len(text) - len(text.lstrip())}
    stack: list[_Open] = []
    for token in _TOKEN.finditer(text):
        sign, at = token["sign"], token.end() - len(token[0].lstrip())
        top = stack[-1] if stack else None
        if sign in ("}", "]"):
            stack.pop()
        elif sign == "," and top is not None:
            top.place += 1
            top.wants_key = True
        elif sign == ":":
            continue
        elif top is not None and not top.is_list and top.wants_key:
            top.key, top.wants_key = json.loads(token["text"]), False
            found.setdefault(top.inside, at)
        else:
            path = top.inside if top is not None else ""
            found.setdefault(path, at)
            if sign in ("{", "["):
                stack.append(_Open(path, sign == "["))
    return found
