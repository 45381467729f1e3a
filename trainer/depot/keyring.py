"""Signing keys as files: one ed25519 key a file, readable by its owner only.

File names are `<role>-<n>.pem` (PKCS#8). Which key of a role is trusted stands in the depot's root
and targets metadata, never here: a file that the metadata does not name signs nothing. The
passphrase of encrypted keys comes from a file, for machines, or from the keyboard, for people.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner

from edge_agent.contract.errors import BadData, InputMissing, Refused, UsageError
from edge_agent.system.files import make_folder, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_MODE: Final = 0o600
_FILE_VARIABLE: Final = "TRAINER_KEY_PASSPHRASE_FILE"
_SHORTEST: Final = 12


def no_passphrase() -> bytes | None:
    """Answer of a keyring whose keys are not encrypted."""
    return None


class KeyRing:
    """The key files of one machine; a relay holds fewer of them than the trainer.

    Args:
        folder: Where the files lie.
        passphrase: Asked once, and only when an encrypted key is needed or made.
    """

    def __init__(
        self, folder: Path, passphrase: Callable[[], bytes | None] = no_passphrase
    ) -> None:
        self.folder = folder
        self._ask = passphrase
        self._asked: bytes | None = None

    def files(self, role: str) -> tuple[Path, ...]:
        """Key files of a role, in order."""
        return tuple(sorted(self.folder.glob(f"{role}-*.pem")))

    def generate(self, role: str, *, encrypted: bool = False) -> CryptoSigner:
        """Make a new key of a role and keep it on disk before anyone trusts it."""
        make_folder(self.folder)
        self.folder.chmod(0o700)
        taken = {path.name for path in self.files(role)}
        number = next(n for n in range(1, len(taken) + 2) if f"{role}-{n}.pem" not in taken)
        key = Ed25519PrivateKey.generate()
        secret = self._passphrase() if encrypted else None
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(secret)
            if secret
            else serialization.NoEncryption(),
        )
        write_atomic(self.folder / f"{role}-{number}.pem", pem, mode=_MODE)
        return CryptoSigner(key)

    def load(self, path: Path) -> CryptoSigner:
        """Signer of one key file.

        Raises:
            InputMissing: No such file.
            Refused: Others may read the file, or the passphrase is wrong or missing.
            BadData: Not an ed25519 key in PEM.
        """
        try:
            mode = path.stat().st_mode & 0o777
            pem = path.read_bytes()
        except OSError as fault:
            raise InputMissing(f"{path}: key cannot be read: {fault.strerror}") from fault
        if mode & 0o077:
            raise Refused(
                f"{path}: others may read this key (mode {mode:04o}): run chmod 600 on it, and "
                "replace it with `trainer keys rotate` if someone may have"
            )
        encrypted = b"ENCRYPTED" in pem.partition(b"\n")[0]
        try:
            key = serialization.load_pem_private_key(pem, self._passphrase() if encrypted else None)
        except TypeError as fault:
            raise Refused(f"{path}: the key is encrypted and no passphrase was given") from fault
        except (ValueError, UnsupportedAlgorithm) as fault:
            text = "wrong passphrase" if encrypted else "not a PEM private key"
            kind = Refused if encrypted else BadData
            raise kind(f"{path}: {text}") from fault
        if not isinstance(key, Ed25519PrivateKey):
            raise BadData(f"{path}: not an ed25519 key")
        return CryptoSigner(key)

    def signers(self, role: str, keyids: Collection[str], threshold: int) -> list[CryptoSigner]:
        """Signers of a role that the metadata trusts.

        Raises:
            Refused: Fewer of them are here than the role needs.
        """
        trusted = [
            signer
            for signer in (self.load(path) for path in self.files(role))
            if signer.public_key.keyid in keyids
        ]
        if len(trusted) < threshold:
            raise Refused(
                f"{self.folder}: {len(trusted)} trusted key(s) of the role {role!r} here, "
                f"{threshold} needed: run this on the machine that holds them"
            )
        return trusted

    def _passphrase(self) -> bytes | None:
        if self._asked is None:
            self._asked = self._ask()
        return self._asked


def ask_passphrase(env: Mapping[str, str] | None = None) -> bytes | None:
    """Passphrase for keys that are encrypted; None where nobody can be asked.

    Raises:
        InputMissing: The file that TRAINER_KEY_PASSPHRASE_FILE names cannot be read.
    """
    given = _passphrase_file(os.environ if env is None else env)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        return None
    text: str = click.prompt("Passphrase of the offline keys", hide_input=True, err=True)
    return text.encode()


def choose_passphrase(env: Mapping[str, str] | None = None) -> bytes:
    """A new passphrase, typed twice or read from the file.

    Raises:
        UsageError: Too short, or there is neither a file nor a keyboard.
        InputMissing: See `ask_passphrase`.
    """
    secret = _passphrase_file(os.environ if env is None else env)
    if secret is None:
        if not sys.stdin.isatty():
            raise UsageError(f"no terminal to type a passphrase: put it in a {_FILE_VARIABLE} file")
        typed: str = click.prompt(
            "New passphrase of the offline keys",
            hide_input=True,
            confirmation_prompt=True,
            err=True,
        )
        secret = typed.encode()
    if len(secret) < _SHORTEST:
        raise UsageError(f"the passphrase is shorter than {_SHORTEST} bytes: use several words")
    return secret


def _passphrase_file(env: Mapping[str, str]) -> bytes | None:
    name = env.get(_FILE_VARIABLE)
    if not name:
        return None
    try:
        return Path(name).read_bytes().strip()
    except OSError as fault:
        raise InputMissing(f"{name} ({_FILE_VARIABLE}): {fault.strerror}") from fault
