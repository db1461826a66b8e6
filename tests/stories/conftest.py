"""Stories are told in the same browser as the browser tests, with the workers' own tasks between the clicks."""

from tests.browser.conftest import browser, complaints, context, page, sign_in, signed_in

__all__ = ["browser", "complaints", "context", "page", "sign_in", "signed_in"]
