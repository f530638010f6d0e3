"""Regular expressions of manifests: RE2's language, which matches in time linear in the line, whoever wrote the
pattern."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2

PatternError = re2.error


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    """A compiled expression with `search`, `fullmatch` and named groups. Raises PatternError."""
    options = re2.Options()
    # The library would print its complaint on stderr besides raising it.
    options.log_errors = False
    options.max_mem = 8 << 20
    return re2.compile(pattern, options)
