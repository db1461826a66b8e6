"""What `{% if company.name %}` asks: whether it is known. In Liquid an empty text is true; here a text or list without anything in it is not."""

from __future__ import annotations

from liquid import BoundTemplate
from liquid.builtin.expressions import BooleanExpression, Path
from liquid.builtin.expressions.logical import LogicalAndExpression, LogicalNotExpression, LogicalOrExpression
from liquid.context import RenderContext
from liquid.expression import Expression


class _Known(Expression):
    """A value asked for by itself; nothing where it is empty. Comparisons (`== ""`) see it as it is."""

    __slots__ = ("asked",)

    def __init__(self, asked: Expression) -> None:
        super().__init__(token=asked.token)
        self.asked = asked

    def __str__(self) -> str:
        return str(self.asked)

    def evaluate(self, context: RenderContext) -> object:
        value = self.asked.evaluate(context)
        return None if value in ("", []) else value

    def children(self) -> list[Expression]:
        return [self.asked]


def ask_whether_known(template: BoundTemplate) -> BoundTemplate:
    """The template, with its conditions changed in place."""
    context = template.context_class(template)
    rest = list(template.nodes)
    while rest:
        node = rest.pop()
        for expression in node.expressions():
            if isinstance(expression, BooleanExpression):
                expression.expression = _asked(expression.expression)
        rest.extend(node.children(context))
    return template


def _asked(expression: Expression) -> Expression:
    if isinstance(expression, LogicalAndExpression | LogicalOrExpression):
        expression.left, expression.right = _asked(expression.left), _asked(expression.right)
    elif isinstance(expression, LogicalNotExpression):
        expression.right = _asked(expression.right)
    elif isinstance(expression, Path):
        return _Known(expression)
    return expression
