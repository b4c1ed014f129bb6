"""All settings, read from the environment and `.env`. The only module that reads either.

Every variable is described in `.env.example` and `docs/reference/settings.md`; wrong values are reported by the
system checks (`voiceproject/checks.py`, `realtime/checks.py`), which also run when the ASGI application starts.
"""

from datetime import timedelta
from pathlib import Path

import dj_database_url
from django.utils.crypto import salted_hmac
from dotenv import load_dotenv

from voiceproject import __version__
from voiceproject.env import (
    Secret,
    env_bool,
    env_choice,
    env_float,
    env_int,
    env_list,
    env_secret,
    env_str,
)

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / ".env")
DATA_DIR = Path(env_str("DATA_DIR") or BASE_DIR / "var")
DATA_DIR.mkdir(parents=True, exist_ok=True)

# ---- the site --------------------------------------------------------------------------------------------------
DEBUG = env_bool("DEBUG", False)
DEV_SECRET_KEY = "development-only-key-never-use-it-where-others-can-reach-the-site"  # noqa: S105
# Libraries read it as they are imported: without one, the checks would not get as far as to say so.
SECRET_KEY = env_secret("SECRET_KEY") or Secret(DEV_SECRET_KEY)
PORT = env_int("PORT", 8000, low=1, high=65535)
ALLOWED_HOSTS = env_list("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]" if DEBUG else "")
# Exact origins (scheme://host:port) whose pages may open a voice socket. Empty: the site's own origin only.
ALLOWED_ORIGINS = env_list("ALLOWED_ORIGINS")
CSRF_TRUSTED_ORIGINS = list(ALLOWED_ORIGINS)

INSTALLED_APPS = [
    "daphne",  # first: replaces runserver with one that speaks WebSocket
    "voiceproject.admin_apps.VoiceAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "voiceproject.admin_apps.LoginProtectionConfig",
    "drf_spectacular",
    "drf_spectacular_sidecar",  # the page's own files, so that none comes from another host
    "csp",
    "voiceproject",
    "conversations",
    "realtime",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "voiceproject.static_files.StaticFiles",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "voiceproject.hosts.HostCheck",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "voiceproject.headers.PermissionsPolicy",
    "axes.middleware.AxesMiddleware",  # last: answers a login that is locked out
]
ROOT_URLCONF = "voiceproject.urls"
ASGI_APPLICATION = "voiceproject.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# ---- what is kept ----------------------------------------------------------------------------------------------
DATABASES = {
    "default": dj_database_url.parse(
        env_secret("DATABASE_URL") or f"sqlite:///{DATA_DIR / 'db.sqlite3'}",
        conn_max_age=60,
        conn_health_checks=True,
    )
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Without these, several writers lose writes to "database is locked"; FULL keeps what was acknowledged, and what is
    # deleted is overwritten.
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000; PRAGMA secure_delete=ON;"
        ),
    }
elif DATABASES["default"]["ENGINE"].endswith("postgresql"):
    # Each request runs in a thread of its own here: connections that are kept would stay behind with their threads.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    # A server that cannot be reached is an answer within seconds: records wait in the journal, mints say 503.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
REDIS_URL = env_secret("REDIS_URL")
if REDIS_URL:
    # socket_timeout None: the client's own default is shorter than the layer's blocking read and closes idle sockets.
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {
                "hosts": [{"address": REDIS_URL, "socket_timeout": None, "socket_connect_timeout": 5}]
            },
        }
    }
    CACHES = {
        "default": {
            "BACKEND": "voiceproject.cache.ForgivingRedisCache",
            "LOCATION": REDIS_URL,
            "OPTIONS": {"socket_timeout": 2, "socket_connect_timeout": 2},
        }
    }
else:
    CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

# Audio that people let be kept (see docs/recordings.md): files, readable by this site's user alone.
REALTIME_RECORDING = env_bool("REALTIME_RECORDING", True)
REALTIME_RECORDING_DIR = Path(env_str("REALTIME_RECORDING_DIR") or DATA_DIR / "recordings")
REALTIME_RECORDING_RETENTION_DAYS = env_int("REALTIME_RECORDING_RETENTION_DAYS", 30, low=1, high=3_650)
REALTIME_RECORDING_MIN_FREE_MB = env_int("REALTIME_RECORDING_MIN_FREE_MB", 200, low=0, high=1_000_000)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "recordings": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": REALTIME_RECORDING_DIR,
            "file_permissions_mode": 0o600,
            "directory_permissions_mode": 0o700,
        },
    },
}

# ---- accounts --------------------------------------------------------------------------------------------------
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
LOGIN_REDIRECT_URL = "chat"
LOGOUT_REDIRECT_URL = "login"
EMAIL_URL_HOST = env_str("EMAIL_HOST")
# A mail holds the way to a new password: on the terminal of a production site it would be in its logs.
EMAIL_BACKEND = (
    f"django.core.mail.backends.{'smtp' if EMAIL_URL_HOST else 'console' if DEBUG else 'dummy'}.EmailBackend"
)
EMAIL_HOST = EMAIL_URL_HOST or "localhost"
EMAIL_PORT = env_int("EMAIL_PORT", 587, low=1, high=65535)
EMAIL_HOST_USER = env_str("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = env_secret("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = env_bool("EMAIL_USE_TLS", True)
DEFAULT_FROM_EMAIL = env_str("DEFAULT_FROM_EMAIL", "voice@localhost")

JWT_SIGNING_KEY = env_secret("JWT_SIGNING_KEY")
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "ALGORITHM": "HS256",
    # A key of its own: a leaked token key must not open sessions, nor the other way round.
    "SIGNING_KEY": JWT_SIGNING_KEY
    or salted_hmac("voiceproject.jwt", "key", secret=SECRET_KEY or "-").hexdigest(),
    "ISSUER": "voiceproject",
    "AUDIENCE": "voiceproject-api",
    "CHECK_REVOKE_TOKEN": True,  # a changed password ends the tokens made before it
    # Each refresh token is good once: a stolen one shows itself when the other copy is refused.
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
}
REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework_simplejwt.authentication.JWTAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["voiceproject.json_parser.BoundedJSONParser"],
    "EXCEPTION_HANDLER": "voiceproject.api_errors.answer_to",
    "DEFAULT_THROTTLE_RATES": {
        "mint": f"{env_int('REALTIME_MINTS_PER_MINUTE', 60, low=1, high=100_000)}/min"
    },
    "NUM_PROXIES": env_int("NUM_PROXIES", 0, low=0, high=10),
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Voice chat",
    "DESCRIPTION": "Conversations, voice sessions and one's own data. What goes over the WebSocket is not in here.",
    "VERSION": __version__,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False},
}

# ---- wrong passwords -------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_HANDLER = "voiceproject.lockout.PacedHandler"
AXES_CLIENT_IP_CALLABLE = "voiceproject.lockout.address_of"
# One person at one address, and (slower, see `lockout.py`) one person at any address.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"], "username"]
AXES_FAILURE_LIMIT = env_int("LOGIN_FAILURES", 5, low=1, high=1_000)
AXES_COOLOFF_TIME = timedelta(minutes=env_int("LOGIN_LOCKOUT_MIN", 15, low=1, high=10_080))
# Of one address: forms that need no login, and make an account or send a mail.
FORMS_PER_HOUR = env_int("FORMS_PER_HOUR", 30, low=1, high=100_000)
AXES_LOCKOUT_TEMPLATE = "registration/locked_out.html"
AXES_RESET_ON_SUCCESS = True
# Tries during a lockout do not make it longer, or anybody could keep anybody out for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True  # no list of who logged in when and from where
AXES_VERBOSE = False

# ---- pages -----------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "voiceproject.formats"
TIME_ZONE = env_str("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env_str("STATIC_ROOT") or DATA_DIR / "static")
if not DEBUG:
    # `collectstatic` gives every file a name with its content's hash: browsers may keep it for ever, and a page never
    # loads a module of another version.
    STORAGES["staticfiles"] = {"BACKEND": "voiceproject.static_files.HashedStaticFiles"}
WHITENOISE_USE_FINDERS = DEBUG
WHITENOISE_AUTOREFRESH = DEBUG

# ---- what the browser is told ----------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "media-src": ["'self'", "blob:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
HTTPS_ONLY = env_bool("HTTPS_ONLY", not DEBUG)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS_ONLY
if HTTPS_ONLY:
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_HSTS_SECONDS = env_int("SECURE_HSTS_SECONDS", 31_536_000, low=0, high=63_072_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    SECURE_REDIRECT_EXEMPT = [r"^health/?$", r"^health/ready/?$", r"^metrics$"]
if env_bool("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# ---- for those who run it --------------------------------------------------------------------------------------
METRICS_TOKEN = env_secret("METRICS_TOKEN")
OTEL_EXPORTER_OTLP_ENDPOINT = env_str(
    "OTEL_EXPORTER_OTLP_ENDPOINT"
)  # the exporter reads it from the environment too
OTEL_SERVICE_NAME = env_str("OTEL_SERVICE_NAME") or "voiceproject"

# ---- the relay -------------------------------------------------------------------------------------------------
OPENAI_API_KEY = env_secret("OPENAI_API_KEY")
LOCAL_REALTIME_URL = "ws://127.0.0.1:8765/v1/realtime"
REALTIME_ENABLED = env_bool("REALTIME_ENABLED", True)
REALTIME_MODEL = env_str("REALTIME_MODEL") or "gpt-realtime-2.1"
REALTIME_BASE_URL = env_str("REALTIME_BASE_URL") or (
    "wss://api.openai.com/v1/realtime" if OPENAI_API_KEY else LOCAL_REALTIME_URL
)
REALTIME_TOKEN_EXPIRY_SEC = env_int("REALTIME_TOKEN_EXPIRY_SEC", 300, low=10, high=300)
REALTIME_VOICE = env_str("REALTIME_VOICE") or "marin"
REALTIME_TRANSCRIPTION_MODEL = env_str("REALTIME_TRANSCRIPTION_MODEL") or "gpt-transcribe"
REALTIME_LANGUAGE = env_str("REALTIME_LANGUAGE")
REALTIME_INSTRUCTIONS = env_str("REALTIME_INSTRUCTIONS") or (
    "You are a friendly, concise voice assistant. Answer in the language of the person. Keep spoken answers short; "
    "go into detail when asked."
)
REALTIME_MAX_OUTPUT_TOKENS = env_int("REALTIME_MAX_OUTPUT_TOKENS", 2048, low=1, high=4096)
REALTIME_VAD_TYPE = env_choice("REALTIME_VAD_TYPE", "server_vad", ("server_vad", "semantic_vad", "none"))
REALTIME_VAD_THRESHOLD = env_float("REALTIME_VAD_THRESHOLD", 0.5, low=0.0, high=1.0)
REALTIME_VAD_PREFIX_PADDING_MS = env_int("REALTIME_VAD_PREFIX_PADDING_MS", 300, low=0, high=5_000)
REALTIME_VAD_SILENCE_DURATION_MS = env_int("REALTIME_VAD_SILENCE_DURATION_MS", 500, low=50, high=10_000)
REALTIME_VAD_EAGERNESS = env_choice("REALTIME_VAD_EAGERNESS", "auto", ("low", "medium", "high", "auto"))
REALTIME_MAX_SESSION_SEC = env_int("REALTIME_MAX_SESSION_SEC", 900, low=30, high=86_400)
REALTIME_IDLE_SEC = env_int("REALTIME_IDLE_SEC", 90, low=10, high=3_600)
REALTIME_RESUME_GRACE_SEC = env_int("REALTIME_RESUME_GRACE_SEC", 60, low=0, high=600)
REALTIME_ROTATE_AFTER_SEC = env_int("REALTIME_ROTATE_AFTER_SEC", 3_300, low=1, high=3_500)
REALTIME_MAX_SESSIONS_PER_USER = env_int("REALTIME_MAX_SESSIONS_PER_USER", 2, low=1, high=100)
REALTIME_MAX_SESSIONS = env_int("REALTIME_MAX_SESSIONS", 100, low=1, high=100_000)
REALTIME_MAX_TEXT_SESSIONS_PER_USER = env_int("REALTIME_MAX_TEXT_SESSIONS_PER_USER", 10, low=1, high=1_000)
REALTIME_MAX_TEXT_SESSIONS = env_int("REALTIME_MAX_TEXT_SESSIONS", 1_000, low=1, high=1_000_000)
REALTIME_MAX_MEMORY_MIB = env_int("REALTIME_MAX_MEMORY_MIB", 0, low=0, high=10_000_000)
# With less free space no session begins: what the database refuses must still fit beside it.
REALTIME_MIN_FREE_MB = env_int("REALTIME_MIN_FREE_MB", 200, low=0, high=10_000_000)
# Of one address, in one process; addresses of this machine are not limited.
REALTIME_MAX_SOCKETS_PER_ADDRESS = env_int("REALTIME_MAX_SOCKETS_PER_ADDRESS", 100, low=1, high=100_000)
REALTIME_HANDSHAKES_PER_SEC = env_int("REALTIME_HANDSHAKES_PER_SEC", 20, low=1, high=10_000)
REALTIME_MAX_RESPONSES_PER_MIN = env_int("REALTIME_MAX_RESPONSES_PER_MIN", 30, low=1, high=1_000)
REALTIME_SPILL_DIR = DATA_DIR / "spill"
REALTIME_SAMPLES_DIR = DATA_DIR / "voice-samples"
# How long the event loop may stand still before `manage.py serve` gives up and exits; 0: for ever.
REALTIME_UPSTREAM_LIBRARY = env_choice("REALTIME_UPSTREAM_LIBRARY", "websockets", ("websockets", "picows"))
REALTIME_WATCHDOG_SEC = env_int("REALTIME_WATCHDOG_SEC", 15, low=0, high=3_600)
# Fixed, and settings only so that tests can shorten them. A lease survives two renewals that fail; a process that
# is told to stop gets 20 s from most supervisors, half of which belongs to the sentence under way.
REALTIME_LEASE_SEC = 30
REALTIME_RENEW_EVERY_SEC = 10
REALTIME_REAP_EVERY_SEC = 15
REALTIME_DRAIN_SENTENCE_SEC = 10
REALTIME_EXIT_SEC = 18.5  # the watchdog may look a quarter of a second late, and wait a second for the log

# ---- how long it is kept: `manage.py purge` -------------------------------------------------------------------
RETENTION_DAYS = env_int("RETENTION_DAYS", 365, low=1, high=36_500)
RETENTION_DELETED_DAYS = env_int("RETENTION_DELETED_DAYS", 30, low=0, high=3_650)
RETENTION_SESSION_DAYS = env_int("RETENTION_SESSION_DAYS", 730, low=1, high=36_500)

# ---- logs ------------------------------------------------------------------------------------------------------
LOG_LEVEL = env_choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR"))
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"masking": {"()": "voiceproject.logs.MaskingFilter"}},
    "formatters": {
        "line": {"()": "voiceproject.logs.LineFormatter"},
        "json": {"()": "voiceproject.logs.JsonFormatter"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "filters": ["masking"],
            "formatter": env_choice("LOG_FORMAT", "line", ("line", "json")),
        }
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "realtime": {"level": LOG_LEVEL},
        "voiceproject": {"level": LOG_LEVEL},
        "axes": {"level": "ERROR"},  # its lines hold the names that were typed; ours are in `logins.py`
    },
}
