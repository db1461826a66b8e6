"""Structured logs: one line for each record, key=value, whatever the message holds."""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

# What a mail's public links carry opens somebody's page to whoever reads the log.
_SECRET_PATH = re.compile(r"(/programs/u/(?:preferences/|confirm/)?|/e/)[A-Za-z0-9_.:-]{16,}")

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "request"}


class LineFormatter(logging.Formatter):
    """at=… level=… logger=… message=… then the record's own extras, then the exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        pairs: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        pairs |= {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
        if "path" in pairs:
            pairs["path"] = without_secrets(str(pairs["path"]))
        if record.exc_info:
            pairs["exception"] = without_secrets(self.formatException(record.exc_info))
        if record.stack_info:
            pairs["stack"] = record.stack_info
        return " ".join(f"{key}={quoted(value)}" for key, value in pairs.items())


def without_secrets(text: str) -> str:
    """The text with the codes of public links left out."""
    return _SECRET_PATH.sub(r"\1…", text)


def quoted(value: object) -> str:
    """The value as one word, or as a JSON string when it holds anything that would break the line apart."""
    text = str(value)
    if text and text.isprintable() and not any(character in text for character in ' "=\\'):
        return text
    return json.dumps(text, ensure_ascii=False)
