"""Names of protocol objects and padding strings; holds no state of a session but its random source."""

from __future__ import annotations

import random
import string

_ALPHABET = string.ascii_letters + string.digits


class Ids:
    """Makes identifiers shaped like the provider's: a prefix and 21 base62 characters (16 for calls)."""

    def __init__(self, seed: int | str | None = None) -> None:
        self._random = random.Random(seed)

    def new(self, prefix: str) -> str:
        length = 16 if prefix == "call" else 21
        return f"{prefix}_{''.join(self._random.choices(_ALPHABET, k=length))}"

    def padding(self) -> str:
        """The `obfuscation` of text-like deltas: random length, so that sizes on the wire tell nothing."""
        return "".join(self._random.choices(_ALPHABET, k=self._random.randint(4, 16)))
