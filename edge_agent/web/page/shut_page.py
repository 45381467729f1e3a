"""The page in place of the farm's: why it is not shown, and what to set. Pure."""

from __future__ import annotations

from typing import Final

from edge_agent.system.html import join, tag
from edge_agent.web.page.page import document
from edge_agent.web.page.texts import PageTexts

_REASONS: Final = {
    "proxy": (
        "프록시를 거쳐 온 요청입니다({0}). 접속 토큰이 없으면 이 기기에서 직접 열 때만 보입니다.",
        "A proxy passed this request on ({0}). Without a token only the device itself may look.",
    ),
    "name": (
        "접속 토큰이 없으면 이 기기에서 localhost로 열 때만 보입니다.",
        "Without a token only the device itself may look, as localhost.",
    ),
    "token": (
        "접속 토큰 파일을 쓸 수 없어 화면을 닫아 두었습니다.",
        "The file of the token cannot be used, so the page stays shut.",
    ),
}  # fmt: skip
"""Korean and English."""
_SET_TOKEN: Final = (
    "설정 파일의 [web]에 token_file을 적고 서비스를 다시 시작해 주세요.",
    "Set token_file under [web] in the configuration, and restart the service.",
)
_REMEDIES: Final = {
    "proxy": _SET_TOKEN,
    "name": _SET_TOKEN,
    "token": (
        "이유는 기기에서 edge-agent doctor로 볼 수 있습니다. 고치면 다시 시작하지 않아도 열립니다.",
        "`edge-agent doctor` on the device says why. Once mended, it opens without a restart.",
    ),
}


def shut_page(why: str, *values: str) -> str:
    """Why the page is not shown, in both languages.

    Args:
        why: Key of the reasons.
        *values: For `{0}` and on.
    """
    words = PageTexts("ko")
    title = f"{words('title')} · {PageTexts('en')('title')}"
    korean, english = zip(_REASONS[why], _REMEDIES[why], strict=True)
    body = join(
        tag("p", korean[0].format(*values), role="alert"),
        tag("p", korean[1]),
        tag("p", english[0].format(*values), lang="en"),
        tag("p", english[1], lang="en"),
    )
    return document(words, title, body, live=False)
