"""Errors of a bucket, from what the client library reports. Pure.

All are `StorageError`s: the work must stop, as on a broken disk. They differ in the exit code,
which says whether a later run may help.
"""

from __future__ import annotations

import re
from typing import Final

from edge_agent.contract.errors import ConfigError, Refused, StorageError, TryLater

RIGHTS: Final = {
    "read": "s3:GetObject and s3:ListBucket",
    "written": "s3:PutObject",
    "listed": "s3:ListBucket",
    "removed": "s3:DeleteObject",
}
"""What is done -> what the key must be allowed; without ListBucket absence looks like a refusal."""

_STATUS: Final = re.compile(r"status code: (\d{3}[\w ]*)")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_NO_ROLE: Final = "169.254.169.254"
"""Where a machine in the cloud is asked for its role."""


class BucketFault(StorageError):  # noqa: N818 - named by treatment
    """A fault of the whole bucket: every other object would fail too."""


class Away(BucketFault):
    """The bucket does not answer, or is overloaded."""

    exit_code = TryLater.exit_code


class Denied(BucketFault):
    """The bucket does not know the key, or does not allow it this."""

    exit_code = Refused.exit_code


class NoBucket(BucketFault):
    """There is no bucket of that name."""

    exit_code = ConfigError.exit_code


def fault_of(where: str, deed: str, key: str, text: str) -> StorageError:
    """The error of a call that failed.

    Args:
        where: Address of the object.
        deed: One of `RIGHTS`.
        key: Access key id, empty where the machine's role is used.
        text: What the library says, server's answer included.
    """
    lead = f"{where}: cannot be {deed}: "
    status = found[1] if (found := _STATUS.search(text)) else ""
    code = found[1] if (found := _CODE.search(text)) else status
    if not key and _NO_ROLE in text:
        return Denied(f"{lead}this machine has no role: set AWS_ACCESS_KEY_ID and its secret")
    if status[:3] in {"401", "403"}:
        who = f"key {key}" if key else "this machine's role"
        return Denied(f"{lead}{code}: {who} is wrong or lacks {RIGHTS[deed]}")
    if code == "NoSuchBucket":
        return NoBucket(f"{lead}there is no such bucket: make it, or mend the address")
    if status.startswith(("5", "429")) or "HTTP error" in text:
        return Away(f"{lead}{code or 'no answer'}: try again later")
    lines = text.strip().splitlines() or ["no reason given"]
    return StorageError(f"{lead}{code or lines[0][:200]}")
