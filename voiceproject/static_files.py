"""Static files under names that hold their content's hash, where modules name each other included."""

from whitenoise.storage import CompressedManifestStaticFilesStorage

# Worklets are not imported but loaded by address, relative to the module that loads them.
BY_ADDRESS = (
    r"""(?P<matched>new URL\(["'](?P<url>\./[^"']+\.js)["'], import\.meta\.url\))""",
    """new URL("%(url)s", import.meta.url)""",
)


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """WhiteNoise's, with Django's rewriting of JavaScript imports switched on."""

    support_js_module_import_aggregation = True
    patterns = (*CompressedManifestStaticFilesStorage.patterns, ("*.js", (BY_ADDRESS,)))
