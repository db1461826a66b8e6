"""All settings, read from the environment; README.md lists the variables."""

import os
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from config import embedded
from config.env import boolean, database_from_url, listing, secret_key

BASE_DIR = Path(__file__).resolve().parent.parent
RIPEN_HOME = embedded.home()

DEBUG = boolean("DEBUG", default=False)
SECRET_KEY = secret_key(RIPEN_HOME)
ALLOWED_HOSTS = listing("ALLOWED_HOSTS", default="localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = listing("CSRF_TRUSTED_ORIGINS", default="")
PUBLIC_URL = os.environ.get("PUBLIC_URL", "http://localhost:8000").rstrip("/")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "crispy_forms",
    "crispy_bootstrap5",
    "django_htmx",
    "axes",
    "leads",
    "segments",
    "scoring",
    "nurture",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "leads.middleware.WorkspaceMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "leads.access.template_context",
            ],
        },
    },
]

# One statement that hangs must not hold a web thread for ever; jobs set their own bound.
_database: dict[str, Any] = (
    database_from_url(os.environ["DATABASE_URL"])
    if os.environ.get("DATABASE_URL")
    else embedded.database_settings(RIPEN_HOME)
)
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": 600,
        "CONN_HEALTH_CHECKS": True,
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = os.environ.get("REDIS_URL") or embedded.redis_url(RIPEN_HOME)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "ripen",
    },
}

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

# Sign-in: ten wrong tries lock this account from this address for a quarter of an hour.
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_VERBOSE = False

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
FORMAT_MODULE_PATH = ["config.formats"]
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
_npm = BASE_DIR / "node_modules"
STATICFILES_DIRS = [
    BASE_DIR / "static",
    ("vendor/tabler", _npm / "@tabler" / "core" / "dist"),
    ("vendor/tabler-icons", _npm / "@tabler" / "icons-webfont" / "dist"),
    ("vendor/htmx", _npm / "htmx.org" / "dist"),
    ("vendor/alpine", _npm / "@alpinejs" / "csp" / "dist"),
    ("vendor/echarts", _npm / "echarts" / "dist"),
]
MEDIA_ROOT = RIPEN_HOME / "files"
WHITENOISE_USE_FINDERS = True

CRISPY_ALLOWED_TEMPLATE_PACKS = "bootstrap5"
CRISPY_TEMPLATE_PACK = "bootstrap5"

# Marketers write rules, not scripts: nothing inline runs anywhere.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [SELF],
        "frame-src": [SELF],
    },
}
X_FRAME_OPTIONS = "SAMEORIGIN"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True

# Behind TLS (PUBLIC_URL starts with https) cookies and redirects are strict; `make run` speaks plain HTTP on loopback.
_tls = PUBLIC_URL.startswith("https://")
SECURE_SSL_REDIRECT = _tls
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # asked from inside, in plain HTTP
SESSION_COOKIE_SECURE = _tls
CSRF_COOKIE_SECURE = _tls
SECURE_HSTS_SECONDS = 31_536_000 if _tls else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _tls
SECURE_HSTS_PRELOAD = _tls
BEHIND_PROXY = boolean("BEHIND_PROXY", default=False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# 300 mapped columns of an import make more fields than Django's default of 1,000 allows.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000
# Whoever pastes a mail of 5 MB hears from the form that it is too large, and keeps what they wrote; beyond this it is the page 400.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8_000_000
IMPORT_MOST_BYTES = int(os.environ.get("IMPORT_MOST_MB", "500")) * 1_000_000
FILE_UPLOAD_PERMISSIONS = 0o600

# Mail: EMAIL_URL (smtp://user:password@host:587?tls=starttls) names the server; without it mail stays in the local outbox.
EMAIL_URL = os.environ.get("EMAIL_URL", "")
# Mails that leave at most: 14/s, 500/m, 20000/h. What webhooks of a mail provider prove themselves by: name:password, and its own key.
EMAIL_RATE = os.environ.get("EMAIL_RATE", "")
EMAIL_EVENTS_SECRET = os.environ.get("EMAIL_EVENTS_SECRET", "")
EMAIL_EVENTS_KEY = os.environ.get("EMAIL_EVENTS_KEY", "")
# Topics of Amazon's notification service whose messages are ours: arn:aws:sns:eu-central-1:123456789012:mails, with commas.
EMAIL_EVENTS_TOPIC = [entry.strip() for entry in os.environ.get("EMAIL_EVENTS_TOPIC", "").split(",") if entry.strip()]
# Where bounces and mails that unsubscribe go; empty: bounces go to the sender's. That mailbox is read by
# INBOUND_URL (imaps://user:password@host) or `manage.py take_mail`.
INBOUND_ADDRESS = os.environ.get("INBOUND_ADDRESS", "")
INBOUND_URL = os.environ.get("INBOUND_URL", "")

# Webhooks: inner receivers that programs may call although they are not on the public internet (host, host:port or network, with
# commas), and what their signing secrets are made of, where they should outlive a new SECRET_KEY.
WEBHOOK_INNER_HOSTS = [
    entry.strip().lower() for entry in os.environ.get("WEBHOOK_INNER_HOSTS", "").split(",") if entry.strip()
]
WEBHOOK_KEY = os.environ.get("WEBHOOK_KEY") or SECRET_KEY

CELERY_BROKER_URL = embedded.broker_url(REDIS_URL)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "engine"
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "ripen:"}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BEAT_SCHEDULE_FILENAME = str(RIPEN_HOME / "beat-schedule")
CELERY_TIMEZONE = "UTC"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "config.logs.LineFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
        "axes": {"level": "WARNING"},
        # Two messages a second say nothing; tasks log what they did.
        "celery.beat": {"level": "WARNING"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}

# W019 wants no frames at all: the preview of a mail stands in a frame of our own pages.
SILENCED_SYSTEM_CHECKS = ["security.W019"]
