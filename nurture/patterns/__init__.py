"""What a new program or template may begin with: few steps that work, with words to be made the company's own."""

from nurture.patterns.library import PATTERNS
from nurture.patterns.pattern import Letter, Pattern
from nurture.patterns.starters import CONFIRMATION, STARTERS, Starter

__all__ = ["CONFIRMATION", "PATTERNS", "STARTERS", "Letter", "Pattern", "Starter"]
