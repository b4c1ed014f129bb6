"""The settings of the test runs: those of the site, made independent of the machine's environment, and faster."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# One folder a run: two runs at once never share a database file.
_folder = tempfile.mkdtemp(prefix="voiceproject-test-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
# PYTHON_DOTENV_DISABLED: a developer's `.env` must not change what is tested.
os.environ.update(
    DEBUG="true", DATA_DIR=_folder, OPENAI_API_KEY="", HTTPS_ONLY="false", PYTHON_DOTENV_DISABLED="1"
)
for _name in list(os.environ):
    if _name.startswith(("REALTIME_", "OTEL_")) or _name in {
        "ALLOWED_HOSTS",
        "ALLOWED_ORIGINS",
        "JWT_SIGNING_KEY",
        "SECRET_KEY",
    }:
        del os.environ[_name]
os.environ.pop("OPENAI_API_KEY_FILE", None)

from voiceproject.settings import *  # noqa: E402, F403
from voiceproject.settings import DATABASES  # noqa: E402

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as in life: threads share an in-memory database under other locking rules. Nothing has to survive a crash.
    DATABASES["default"]["TEST"] = {"NAME": str(Path(_folder) / "test.sqlite3")}
    _options = DATABASES["default"]["OPTIONS"]
    _options["init_command"] = _options["init_command"].replace("synchronous=FULL", "synchronous=OFF")
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
SECRET_KEY = "of-the-tests-only-" + "x" * 40  # DEBUG is off in tests, and then the development key is refused
AXES_ENABLED = False  # tests of lockouts turn it on
