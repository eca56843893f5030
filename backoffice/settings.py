"""Django's settings, made from the one table in `backoffice/configuration.py`."""

from collections.abc import Callable

import dj_database_url
from django.urls import reverse_lazy

from backoffice import embedded
from backoffice.configuration import ROOT, configuration
from backoffice.logs import logging_settings
from backoffice.mail_server import mail_server
from backoffice.masking import hide

CONFIG = configuration()

SECRET_KEY = CONFIG.secret_key
DEBUG = CONFIG.debug
ALLOWED_HOSTS = [*CONFIG.hosts, "testserver"] if CONFIG.demo else CONFIG.hosts
CSRF_TRUSTED_ORIGINS = [CONFIG.public_url]
CORS_ALLOWED_ORIGINS = CONFIG.origins
CORS_URLS_REGEX = r"^/graphql/$"  # the API alone; the console never answers another origin
CORS_ALLOW_HEADERS = ["authorization", "content-type", "x-request-id"]
CORS_ALLOW_METHODS = ["POST", "OPTIONS"]
CORS_EXPOSE_HEADERS = ["retry-after", "x-request-id"]
CORS_PREFLIGHT_MAX_AGE = 3600

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "backoffice.console.apps.ConsoleConfig",  # the admin site, composed from what each app declares
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",
    "unfold.contrib.guardian",
    "unfold.contrib.simple_history",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "guardian",
    "import_export",
    "simple_history",
    "django_dramatiq",
    "backoffice",
    "compliance",
    "ledger",
    "brokerage",
    "affiliates",
    "lending",
    "signals_hub",
    "jobs",
    "graphql_api",
]

MIDDLEWARE = [
    "backoffice.logs.CorrelationMiddleware",
    "backoffice.headers.HeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
]

ROOT_URLCONF = "backoffice.urls"
WSGI_APPLICATION = "backoffice.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "backoffice" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASE_URL = CONFIG.database_url or embedded.database_url(CONFIG.data_dir)
REDIS_URL = CONFIG.redis_url or embedded.redis_url(CONFIG.data_dir)
DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=60, conn_health_checks=True)}
DATABASES["default"].setdefault("OPTIONS", {})
# Dramatiq's time limits do not cut a wait for the database, so the database cuts itself.
if (
    CONFIG.database_pooled
):  # a pooler hands the next transaction to another session: nothing may be said to one
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
else:
    # Our joins follow foreign keys in a good order as written: trying every order of nine tables took the planner 12 ms
    # a query, four times all else. Of the first four tables, where conditions stand, it still finds the best order.
    DATABASES["default"]["OPTIONS"]["options"] = (
        "-c statement_timeout=30000 -c lock_timeout=10000 -c timezone=UTC -c join_collapse_limit=4"
    )

AUTH_USER_MODEL = "backoffice.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "guardian.backends.ObjectPermissionBackend",
]
ANONYMOUS_USER_NAME = None  # guardian's anonymous user would let strangers pass "is authenticated"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "/static/"
STATIC_ROOT = (CONFIG.data_dir if CONFIG.demo else ROOT) / "staticfiles"
if CONFIG.demo:  # served straight from the packages; whitenoise only wants the folder to be there
    STATIC_ROOT.mkdir(parents=True, exist_ok=True)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        # In production each file has its content in its name, so browsers keep it for good.
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if CONFIG.demo
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = CONFIG.demo
MEDIA_ROOT = CONFIG.data_dir / "files"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "cache",
    }
}
SESSION_COOKIE_AGE = CONFIG.staff_session_hours * 3600  # the row behind it ends earlier, or with it
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not CONFIG.demo
SECURE_HSTS_SECONDS = 0 if CONFIG.demo else 31536000
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not CONFIG.demo
SECURE_SSL_REDIRECT = False  # the proxy in front ends TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024

EMAIL_BACKEND, MAIL_SERVER = mail_server(CONFIG.email_url)
EMAIL_HOST, EMAIL_PORT = MAIL_SERVER.host, MAIL_SERVER.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL_SERVER.user, MAIL_SERVER.password
EMAIL_USE_SSL, EMAIL_USE_TLS = MAIL_SERVER.is_tls, MAIL_SERVER.begins_tls
EMAIL_TIMEOUT = 10
EMAIL_FILE_PATH = CONFIG.data_dir / "mail"
DEFAULT_FROM_EMAIL = CONFIG.email_from

DERIV_SIM_PORT = CONFIG.deriv_sim_port
DERIV_SIM_DATA = CONFIG.data_dir / "deriv-simulator.sqlite3"

DRAMATIQ_BROKER = {  # set whole: the package's own defaults name middleware that no longer exists
    "BROKER": "jobs.broker.make_broker",
    "OPTIONS": {"url": REDIS_URL},
    "MIDDLEWARE": [],
}
DRAMATIQ_AUTODISCOVER_MODULES = ["actors"]

IMPORT_EXPORT_SKIP_ADMIN_LOG = False
SIMPLE_HISTORY_REVERT_DISABLED = True
SILENCED_SYSTEM_CHECKS = [
    "auth.W004"
]  # e-mail is unique whatever its case, by a constraint Django cannot see into

LOGGING = logging_settings(CONFIG.log_format, CONFIG.log_level)
hide(
    CONFIG.secret_key, CONFIG.metrics_token, CONFIG.custodian_token, MAIL_SERVER.password, *CONFIG.field_keys.split(","), CONFIG.stripe_secret_key,
    CONFIG.stripe_webhook_secret, CONFIG.paypal_secret,
)  # fmt: skip

# ── the console ──────────────────────────────────────────────────────────────────────────────────────────────────


def _static(path: str) -> Callable[[object], str]:
    """The address of a static file, asked for when a page is made."""
    from django.templatetags.static import static

    return lambda request: static(path)


_ACCENT = {  # the one accent: indigo, which no state uses
    "50": "238 242 255", "100": "224 231 255", "200": "199 210 254", "300": "165 180 252", "400": "129 140 248",
    "500": "99 102 241", "600": "79 70 229", "700": "67 56 202", "800": "55 48 163", "900": "49 46 129", "950": "30 27 75",
}  # fmt: skip
UNFOLD = {
    "SITE_TITLE": "Nexus Back Office",
    "SITE_HEADER": "Nexus Back Office",
    "SITE_URL": None,
    "SITE_ICON": _static("console/icon.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static("console/icon.svg")}],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": False,
    "ENVIRONMENT": "backoffice.console.sidebar.environment",
    "COLORS": {"primary": {weight: f"rgb({color})" for weight, color in _ACCENT.items()}},
    "BORDER_RADIUS": "6px",
    "STYLES": [_static("console/console.css")],
    "SCRIPTS": [_static("console/console.js")],
    "ACCOUNT": {
        "navigation": [
            {"title": "Your security", "link": reverse_lazy("admin:security")},
            {"title": "Change password", "link": reverse_lazy("admin:password_change")},
        ]
    },
    "COMMAND": {"search_models": False, "show_history": False},
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "backoffice.console.sidebar.navigation",
    },
}
MIDDLEWARE.insert(
    MIDDLEWARE.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1,
    "backoffice.console.zone.ZoneMiddleware",
)
MIDDLEWARE.insert(
    MIDDLEWARE.index("backoffice.console.zone.ZoneMiddleware"),
    "backoffice.console.entering.ConsoleSessionMiddleware",
)
