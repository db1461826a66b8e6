"""Takes placeholders, and letters that are not ASCII, out of a source while programs that know nothing of Liquid read it.

mrml escapes what it thinks unprintable (combining accents, backslashes) inside attributes, nh3 and css-inline move `{% for %}` out of a
table and turn `<` in a condition into `&lt;`: so each such piece is a plain word meanwhile, and stands in its place again afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LIQUID = re.compile(r"\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}|\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_PIECE = re.compile(LIQUID.pattern + r"|[^\x00-\x7f]+|\\+", re.DOTALL)


@dataclass
class Shield:
    """One source and what was taken out of it."""

    word: str  # how each stand-in begins
    pieces: list[str] = field(default_factory=list)

    @classmethod
    def over(cls, text: str) -> tuple[Shield, str]:
        """The shield, and the text behind it."""
        word = "q7lq"
        while word in text:
            word += "x"
        shield = cls(word)
        return shield, _PIECE.sub(lambda found: shield.hide(found[0]), text)

    def hide(self, piece: str) -> str:
        self.pieces.append(piece)
        return f"{self.word}{len(self.pieces) - 1}z"

    @property
    def stand_in(self) -> str:
        """A pattern that finds stand-ins; its group is the number."""
        return rf"{self.word}(\d+)z"

    def is_liquid(self, number: str) -> bool:
        return self.pieces[int(number)].startswith("{")

    def lift(self, text: str) -> str:
        """The text with everything in its place; pieces may hold stand-ins of pieces hidden before."""
        pattern = re.compile(self.stand_in)
        for _each in range(3):
            text, number = pattern.subn(lambda found: self.pieces[int(found[1])], text)
            if not number:
                break
        return text
