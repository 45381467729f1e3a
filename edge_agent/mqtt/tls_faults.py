"""Why TLS to a broker failed, from what OpenSSL says or from what the port answers.

A connection that just ends says nothing about its cause. So the port is asked once more, in the
other way: whether it speaks TLS, or MQTT without TLS.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edge_agent.mqtt import client_certificate

if TYPE_CHECKING:
    from edge_agent.mqtt.tls import TlsFiles

WAIT_S: Final = 3.0
_X509_NOT_YET_VALID: Final = 9
_X509_EXPIRED: Final = 10
_UNKNOWN_ISSUER: Final = {2, 18, 19, 20, 21}
_OTHER_NAME: Final = {62, 64}
_NO_TLS: Final = {
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
}
_OLD_TLS: Final = {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"}
# MQTT 3.1.1, a clean session without a name: the least that a broker answers, if only by a refusal.
_CONNECT: Final = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
_CONNACK: Final = 0x20
_PLAIN: Final = "this port speaks MQTT without TLS"
_PLAIN_ADVICE: Final = (
    "set mqtt.port to the broker's port for TLS (mostly 8883), or [mqtt.tls] enabled = false"
)

_ALPN_ADVICE: Final = "set mqtt.tls.alpn to the name in the broker's manual, or leave it out"


@dataclass(frozen=True, slots=True)
class TlsFault:
    """What was seen, and what to do about it."""

    seen: str
    advice: str


def of_handshake(fault: OSError, host: str, port: int, files: TlsFiles) -> TlsFault:
    """The fault of a handshake that failed; asks the port where it just hung up.

    Args:
        fault: From the handshake.
        host: The broker.
        port: Its port.
        files: What this client has.
    """
    if isinstance(fault, ssl.SSLCertVerificationError):
        advice = _certificate(fault.verify_code, own_ca=files.ca is not None)
        return TlsFault(f"certificate verify failed: {fault.verify_message.rstrip('.')}", advice)
    reason = (fault.reason if isinstance(fault, ssl.SSLError) else None) or ""
    if reason in _OLD_TLS:
        return TlsFault(
            "the broker speaks no TLS 1.2 or newer", "bring the broker's TLS up to date"
        )
    if "ALERT" in reason:
        return of_client_certificate(host, port, files) or _of_alert(reason)
    if speaks_plain(host, port):
        return TlsFault(_PLAIN, _PLAIN_ADVICE)
    if reason in _NO_TLS:
        return TlsFault("this port does not speak TLS", _PLAIN_ADVICE)
    text = fault.strerror or str(fault) or type(fault).__name__
    return TlsFault(f"the handshake broke off: {text}", "look into the broker's log")


def _of_alert(reason: str) -> TlsFault:
    words = reason.lower().replace("_", " ")
    advice = _ALPN_ADVICE if "application protocol" in words else "look into the broker's log"
    return TlsFault(f"the broker refuses TLS: {words}", advice)


def of_client_certificate(host: str, port: int, files: TlsFiles) -> TlsFault | None:
    """The fault of a broker that refuses this client's certificate or wants one; else None."""
    alert = client_certificate.refusal(host, port, files)
    if alert is None:
        return None
    if not alert:
        return TlsFault(
            "the broker wants a client certificate", "set mqtt.tls.cert and mqtt.tls.key"
        )
    return TlsFault(
        f"the broker refuses the client certificate: {alert}",
        "have mqtt.tls.cert signed by an authority that the broker trusts, and look at its end",
    )


def of_silent_end(host: str, port: int) -> TlsFault | None:
    """The fault of a port that hangs up on MQTT without TLS; None where it speaks no TLS."""
    if not speaks_tls(host, port):
        return None
    return TlsFault(
        "this port speaks TLS",
        "set [mqtt.tls] enabled = true, or mqtt.port to the broker's port without TLS",
    )


def _certificate(code: int, *, own_ca: bool) -> str:
    if code in _OTHER_NAME:
        return "set mqtt.host to a name in the broker's certificate, or have this one put into it"
    if code == _X509_EXPIRED:
        return "renew the broker's certificate, unless this device's clock is wrong"
    if code == _X509_NOT_YET_VALID:
        return "set this device's clock, unless the broker's certificate begins later"
    if code in _UNKNOWN_ISSUER:
        if own_ca:
            return "mqtt.tls.ca holds another authority than signed the broker's certificate"
        return "set mqtt.tls.ca to the authority that signed the broker's certificate"
    return "have the broker's certificate made anew"


def speaks_plain(host: str, port: int) -> bool:
    """Whether the port answers an MQTT packet without TLS."""
    try:
        with socket.create_connection((host, port), WAIT_S) as connection:
            connection.sendall(_CONNECT)
            return connection.recv(1)[:1] == bytes([_CONNACK])
    except OSError:
        return False


def speaks_tls(host: str, port: int) -> bool:
    """Whether the port answers a TLS handshake; nothing is verified, and nothing sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), WAIT_S) as connection,
            context.wrap_socket(connection, server_hostname=host),
        ):
            return True
    except ssl.SSLError as fault:
        return "ALERT" in (fault.reason or "")
    except OSError:
        return False
