"""The builder of conditions: one form field, drawn as sentence rows, kept as one document. docs/builder.md shows it."""

from segments.builder.field import ConditionsField, ConditionsWidget, sentence_of

__all__ = ["ConditionsField", "ConditionsWidget", "sentence_of"]
