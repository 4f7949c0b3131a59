"""The site's settings: every one that differs between machines is an environment variable.

``.env.example`` lists them all with a safe default and one line of why; a clone runs with none set, on SQLite, as
a demo. Rows that a person edits while it runs (portfolio, weights, limits) are in the database.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ

from ops.destinations import Destination, alert_destinations, heartbeat_destination
from ops.keys import read_or_create_key
from ops.settings_readers import bridge_timezone, choice, state_dir

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent
environ.Env.read_env(BASE_DIR / ".env")

TRADING_MODE: str = choice("TRADING_MODE", default="demo", allowed=("demo", "paper", "live"))
STATE_DIR: Path = state_dir(env.str("STATE_DIR", default="var"), base=BASE_DIR)
RUN_DIR = STATE_DIR / "run"
SAFETY_DIR = STATE_DIR / "safety"
SIM_DIR = STATE_DIR / "sim"
HOST: str = env.str("HOST", default="127.0.0.1")
PORT: int = env.int("PORT", default=8000)

HTTPS: bool = env.bool("HTTPS", default=False)  # behind a proxy that ends TLS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SESSION_COOKIE_AGE = 12 * 3600

DEBUG: bool = env.bool("DEBUG", default=False)
SECRET_KEY: str = read_or_create_key("SECRET_KEY", folder=STATE_DIR / "keys")
MODEL_SIGNING_KEY: str = read_or_create_key("MODEL_SIGNING_KEY", folder=STATE_DIR / "keys")
MODEL_DIR: Path = Path(env.str("MODEL_DIR", default="") or STATE_DIR / "models")
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[HOST, "localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

# --- MetaTrader 5 and Binance ---------------------------------------------------------------------------------
MT5_BRIDGE: str = env.str("MT5_BRIDGE", default="")  # empty: the terminal that publishes itself in RUN_DIR
MT5_SERVER: str = env.str("MT5_SERVER", default="")
MT5_LOGIN: int = env.int("MT5_LOGIN", default=0)  # 0: the account the terminal is logged in to
MT5_PASSWORD: str = env.str("MT5_PASSWORD", default="")
MT5_PATH: str = env.str("MT5_PATH", default="")
MT5_TZ: str = bridge_timezone("MT5_TZ")
TERMINAL_KILL_CMD: str = env.str("TERMINAL_KILL_CMD", default="")
BINANCE_BASE: str = env.str("BINANCE_BASE", default="")  # empty: the simulator's in demo, else the public one
BINANCE_FUTURES_BASE: str = env.str("BINANCE_FUTURES_BASE", default="")  # empty: beside a simulated spot, else public
FEAR_GREED_BASE: str = env.str("FEAR_GREED_BASE", default="")
BINANCE_API_KEY: str = env.str("BINANCE_API_KEY", default="")
BINANCE_API_SECRET: str = env.str("BINANCE_API_SECRET", default="")
BINANCE_KEY_UNBOUND: bool = env.bool("BINANCE_KEY_UNBOUND", default=False)  # a person's word for a key without an IP
BINANCE_LEVERAGE: int = env.int("BINANCE_LEVERAGE", default=0)  # of futures; 0: 1, in the demo 20
BINANCE_ISOLATED: bool = env.bool("BINANCE_ISOLATED", default=False)
BINANCE_HEDGE: bool = env.bool("BINANCE_HEDGE", default=False)

# --- Alerts: values that show no address, even on a page of a failure --------------------------------------------
ALERT_URLS: tuple[Destination, ...] = alert_destinations(env.str("ALERT_URLS", default=""), salt=SECRET_KEY)
HEARTBEAT_URL: Destination | None = heartbeat_destination(env.str("HEARTBEAT_URL", default=""), salt=SECRET_KEY)

# --- Django ---------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "django_q",
    "simple_history",
    "axes",
    "ops",
    "market",
    "strategies",
    "mlfilter",
    "execution",
    "simulator",
    "tradingsite",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "tradingsite.middleware.ContentSecurityPolicy",
    "axes.middleware.AxesMiddleware",  # last, as axes asks
]

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_VERBOSE = False

ROOT_URLCONF = "tradingsite.urls"
ASGI_APPLICATION = "tradingsite.asgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"

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
                "tradingsite.context.frame",
            ],
        },
    },
]

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;PRAGMA busy_timeout=20000;",
}


def _database() -> dict[str, Any]:
    """Return Django's settings of the one database: SQLite in WAL mode unless DATABASE_URL says otherwise."""
    url = env.str("DATABASE_URL", default="") or f"sqlite:///{STATE_DIR / 'db.sqlite3'}"
    config: dict[str, Any] = env.db_url_config(url)
    if config["ENGINE"].endswith("sqlite3"):
        config["OPTIONS"] = SQLITE_OPTIONS
        # A file, so that the processes and threads of a test see one database.
        config["TEST"] = {"NAME": str(STATE_DIR / "test.sqlite3")}
    return config


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Jobs (django-q2); why these values: docs/operations.md -----------------------------------------------------------
Q_CLUSTER = {
    "name": "trading",
    "orm": "default",
    "workers": 1,  # one trader, ever
    "queue_limit": 1,
    "timeout": 300,
    "retry": 1000,  # > timeout * (ceil((queue_limit + 1) / workers) + 1): a waiting task is never handed out twice
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "poll": 0.2,
    "recycle": 200,
    "save_limit": 1000,
    "ALT_CLUSTERS": {
        "research": {
            "workers": env.int("FIT_JOBS", default=1),
            "queue_limit": 1,
            "timeout": 3600,
            "retry": 11000,
            "max_attempts": 1,
            "ack_failures": True,
            "daemonize_workers": False,  # joblib in a daemonic worker runs serially without a word
            "poll": 0.5,
            "recycle": 20,
        }
    },
}

# loguru is configured in ops.apps; django-q2 talks of every task, which the runs' rows and our own log do better.
LOGGING_CONFIG = None

SCHEDULES = "tradingsite.wiring.SCHEDULES"
WATCHES = "tradingsite.wiring.WATCHES"

# --- Research: where the workers of a search run ----------------------------------------------------------------
FIT_BACKEND: str = choice("FIT_BACKEND", default="loky", allowed=("loky", "dask"))
DASK_SCHEDULER: str = env.str("DASK_SCHEDULER", default="")

LANGUAGE_CODE = "en-us"
USE_I18N = False
USE_TZ = True
TIME_ZONE: str = env.str("TZ", default="UTC")

STATIC_URL = "static/"
STATIC_ROOT = STATE_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
