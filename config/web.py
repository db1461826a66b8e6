"""Gunicorn's settings: threads, because pages wait for the database; the application is loaded once and forked."""

import os
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from config.env import number


class RequestLog(Logger):  # type: ignore[misc]  # gunicorn has no types
    """One line for each request, its parts named."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        self.access_log.info(
            "request",
            extra={
                "method": environ["REQUEST_METHOD"],
                "path": environ["PATH_INFO"],
                "status": str(resp.status).partition(" ")[0],
                "bytes": resp.sent,
                "milliseconds": request_time // timedelta(milliseconds=1),
            },
        )


wsgi_app = "config.wsgi"
_host = os.environ.get("HOST", "127.0.0.1")
bind = f"{f'[{_host}]' if ':' in _host else _host}:{number('PORT', default=8000)}"
workers = number("WEB_WORKERS", default=2)
worker_class = "gthread"
threads = number("WEB_THREADS", default=8)
preload_app = True
timeout = 60  # longer than the longest statement that a page may run
graceful_timeout = 8  # less than the supervisor's patience
keepalive = 5
control_socket_disable = True  # it would stand in the user's home, one for all instances

accesslog = "-"
logger_class = RequestLog
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "config.logs.LineFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "INFO"},
    "loggers": {
        "gunicorn.error": {"handlers": [], "level": "INFO", "propagate": True},
        "gunicorn.access": {"handlers": [], "level": "INFO", "propagate": True},
    },
}
