"""Names for people in what leaves the house: keyed, so that nobody can compute them from an id.

HMAC-SHA256 of the id under a secret, cut to 12 hex digits. The secret is in no export and no task file. A
pseudonym stays personal data as long as its secret is kept (GDPR, recital 26).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PHONE = re.compile(r"(?<![\w.])\+?\d[\d ()/-]{7,17}\d(?!\w)")
_KEY = re.compile(r"\b(?:sk|pk|ghp|hf|xox[bp])[-_][A-Za-z0-9_-]{16,}")


def new_secret() -> bytes:
    """A secret for one release."""
    return secrets.token_bytes(32)


def pseudonym(secret: bytes, annotator: str) -> str:
    """The name of a person under a secret.

    >>> pseudonym(b"k" * 32, "ada") == pseudonym(b"k" * 32, "ada") != pseudonym(b"l" * 32, "ada")
    True
    """
    return "p-" + hmac.new(secret, annotator.encode(), hashlib.sha256).hexdigest()[:12]


def personal(text: str) -> tuple[str, ...]:
    """What in a text looks like it names or unlocks somebody: kinds, not the text itself.

    >>> personal("Write to ada@example.org or call +49 89 1234567.")
    ('an e-mail address', 'a telephone number')
    """
    kinds = ((_MAIL, "an e-mail address"), (_PHONE, "a telephone number"), (_KEY, "a key of a service"))
    return tuple(kind for pattern, kind in kinds if pattern.search(text))
