"""Korean for what sensors, broker, depot and disk answer: patterns of English texts. Pure."""

from __future__ import annotations

import re
from typing import Final

_PORTAL: Final = r"\(login page of the network\? proxy\?\)"

_SYSTEM_WORDS: Final = {
    "database or disk is full": "디스크가 가득 찼습니다",
    "No space left on device": "디스크가 가득 찼습니다",
    "Disk quota exceeded": "디스크 할당량을 다 썼습니다",
    "disk I/O error": "디스크를 읽거나 쓰지 못합니다",
    "Input/output error": "디스크를 읽거나 쓰지 못합니다",
    "attempt to write a readonly database": "디스크가 읽기 전용입니다",
    "Read-only file system": "디스크가 읽기 전용입니다",
    "unable to open database file": "데이터베이스 파일을 열 수 없습니다",
    "database disk image is malformed": "데이터베이스 파일이 손상되었습니다",
    "file is not a database": "데이터베이스 파일이 손상되었습니다",
    "database is locked": "다른 프로그램이 데이터베이스를 쓰고 있습니다",
    "no such table": "데이터베이스 파일이 손상되었습니다",
    "Permission denied": "권한이 없습니다",
    "Operation not permitted": "권한이 없습니다",
    "No such file or directory": "파일이 없습니다",
    "Is a directory": "파일이 아니라 폴더입니다",
    "Cannot allocate memory": "메모리가 모자랍니다",
    "Too many open files": "열린 파일이 너무 많습니다",
    "Connection refused": "받아 주는 프로그램이 없습니다",
    "Connection reset by peer": "상대가 연결을 끊었습니다",
    "Connection timed out": "제때 답이 없습니다",
    "Network is unreachable": "네트워크에 닿지 않습니다",
    "No route to host": "그 주소에 닿지 않습니다",
    "Not authorized": "권한이 없습니다",
}
"""What SQLite, the system and brokers say."""
SYSTEM: Final = (
    *((re.escape(text), korean) for text, korean in _SYSTEM_WORDS.items()),
    (rf"(.*): ({'|'.join(map(re.escape, _SYSTEM_WORDS))})(?:: .*)?", r"\1: \2"),
    (r"the disk is slow: (\d+) writes .*", r"디스크가 느립니다(쓰기 \1번이 1초 넘게 걸림)"),
    (r"the disk takes writes again", "디스크에 다시 쓸 수 있습니다"),
    (
        r"(?:.*/)?([^/:]*\.toml): ([^:\s]+): .*",
        r"설정 파일 \1의 \2 값이 잘못되었습니다. 고칠 때까지 앞의 설정을 씁니다",
    ),
    (
        r"(?:.*/)?([^/:]*\.toml): .*",
        r"설정 파일 \1을(를) 읽을 수 없습니다. 고칠 때까지 앞의 설정을 씁니다",
    ),
)

SENSORS: Final = (
    (r"(.*)is a boolean", r"\1참/거짓 값이라 수가 아님"),
    (
        r"(.*)is in '(.*)', and the configuration says '(.*)'",
        r"\1단위가 \2인데 설정에는 \3",
    ),
    (r"(.*)is no time", r"\1시각이 아님"),
    (r"(.*)has no time", r"\1시각이 없음"),
    (r"(.*): has no value(.*)", r"\1: 값 없음\2"),
    (r"not JSON: wrong from byte (\d+) on", r"JSON이 아님(\1번째 바이트부터 잘못됨)"),
    (r"not JSON: it is empty or cut off", r"JSON이 아님(비었거나 잘림)"),
    (r"not JSON: (.*)", r"JSON이 아님(\1)"),
)

_TOPICS: Final = r"(\S+|\d+ topics \([^:]*\)(?:, the first one)?)"
REFUSALS: Final = (
    (r"(\d+) topics \((.*) and (\d+) more\)(?:, the first one)?", r"\2 등 토픽 \1개"),
    (r"(\d+) topics \((.*)\)(?:, the first one)?", r"\2(토픽 \1개)"),
    (
        rf"broker refuses {_TOPICS}: it ends the connection when it gets this message ([^;]*)",
        r"브로커가 이 메시지를 받으면 연결을 끊습니다: \1(\2)",
    ),
    (
        rf"broker refuses {_TOPICS}: (\d+) bytes are longer than the broker takes \((\d+)\)",
        r"메시지가 길어 브로커가 받지 않습니다: \1(\2바이트, 한도 \3)",
    ),
    (
        rf"broker refuses {_TOPICS}: a message of (\d+) bytes does not come back: [^;]*",
        r"메시지가 길어 브로커가 전하지 않습니다: \1(\2바이트)",
    ),
    (rf"broker refuses {_TOPICS}: ([^;]*)", r"브로커가 메시지를 거절했습니다: \1(\2)"),
    (
        r"let this client write there \(the broker's access list\)",
        "브로커의 접근 목록에서 이 기기에 쓸 권한을 주세요",
    ),
    (r"raise the broker's limit of length", "브로커의 메시지 길이 한도를 늘리세요"),
    (
        r"check the broker's access list and its limit of length",
        "브로커의 접근 목록과 메시지 길이 한도를 확인하세요",
    ),
    (
        r"the agent tries again by itself, cmd/republish at once",
        "기기가 스스로 다시 보내 보고, cmd/republish는 바로 다시 보냅니다",
    ),
)

BROKER: Final = (
    (r"this program was stopped for a while", "프로그램이 잠시 멈춰 있었습니다"),
    (r"broker disconnects: ([^;]*)", r"브로커가 연결을 끊었습니다(\1)"),
    (r"certificate verify failed: ([^;]*)", r"브로커의 인증서를 믿을 수 없습니다(\1)"),
    (r"the broker speaks no TLS 1\.2 or newer", "브로커가 TLS 1.2 이상을 쓰지 않습니다"),
    (r"bring the broker's TLS up to date", "브로커의 TLS를 새 판으로 바꾸세요"),
    (r"the broker refuses TLS: ([^;]*)", r"브로커가 TLS를 거절했습니다(\1)"),
    (r"the broker wants a client certificate", "브로커가 기기의 인증서를 요구합니다"),
    (r"set mqtt\.tls\.cert and mqtt\.tls\.key", "mqtt.tls.cert와 mqtt.tls.key를 적으세요"),
    (
        r"the broker refuses the client certificate: ([^;]*)",
        r"브로커가 기기의 인증서를 거절했습니다(\1)",
    ),
    (
        r"have mqtt\.tls\.cert signed by an authority that the broker trusts, .*",
        "mqtt.tls.cert를 브로커가 믿는 인증 기관에서 서명받고 만료일을 확인하세요",
    ),
    (r"look into the broker's log", "브로커의 로그를 보세요"),
    (r"this port speaks MQTT without TLS", "이 포트는 TLS 없는 MQTT입니다"),
    (r"this port does not speak TLS", "이 포트는 TLS를 쓰지 않습니다"),
    (r"this port speaks TLS", "이 포트는 TLS를 씁니다"),
    (r"the handshake broke off: ([^;]*)", r"TLS 연결을 맺다가 끊겼습니다(\1)"),
    (
        r"set mqtt\.port to the broker's port for TLS .*, or \[mqtt\.tls\] enabled = false",
        "mqtt.port를 브로커의 TLS 포트(대개 8883)로 하거나 [mqtt.tls]의 enabled를 끄세요",
    ),
    (
        r"set mqtt\.tls\.alpn to the name in the broker's manual, or leave it out",
        "mqtt.tls.alpn에 브로커 설명서에 있는 이름을 적거나 비워 두세요",
    ),
    (
        r"set \[mqtt\.tls\] enabled = true, or mqtt\.port to the broker's port without TLS",
        "[mqtt.tls]의 enabled를 켜거나 mqtt.port를 TLS 없는 포트로 하세요",
    ),
    (
        r"set mqtt\.host to a name in the broker's certificate, or have this one put into it",
        "mqtt.host를 브로커 인증서에 있는 이름으로 하거나 인증서에 이 이름을 넣으세요",
    ),
    (
        r"renew the broker's certificate, unless this device's clock is wrong",
        "브로커의 인증서를 새로 받으세요. 이 기기의 시계도 확인하세요",
    ),
    (
        r"set this device's clock, unless the broker's certificate begins later",
        "이 기기의 시계를 맞추세요. 브로커 인증서의 시작 날짜도 확인하세요",
    ),
    (
        r"mqtt\.tls\.ca holds another authority than signed the broker's certificate",
        "mqtt.tls.ca에 있는 인증 기관이 브로커의 인증서에 서명한 곳이 아닙니다",
    ),
    (
        r"set mqtt\.tls\.ca to the authority that signed the broker's certificate",
        "브로커의 인증서에 서명한 인증 기관을 mqtt.tls.ca에 적으세요",
    ),
    (r"have the broker's certificate made anew", "브로커의 인증서를 다시 만드세요"),
)

FILES: Final = (
    (r"(.*): cannot be read: (.*); check the path", r"파일을 읽을 수 없습니다(\1: \2)"),
    (r"(.*): holds no text; write the secret on one line", r"비밀번호 파일에 글자가 없습니다(\1)"),
    (
        r"(.*): is empty or too long; write the secret on one line",
        r"비밀번호 파일이 비었거나 너무 깁니다(\1)",
    ),
    (r"(.*); check free space, permissions and the disk's health", r"디스크를 확인하세요(\1)"),
    (r"(.*): check the disk", r"디스크를 확인하세요(\1)"),
    (r"everything is kept in memory: (.*)", r"모두 메모리에 두고 있습니다(\1)"),
    (
        r"until (\S+ \S+) UTC everything is kept in memory: (.*)",
        r"\1 UTC까지 모두 메모리에 두었습니다(\2)",
    ),
    (r"the disk refuses; .*", "디스크가 쓰기를 거절합니다. 쓸 수 있게 되면 이어서 합니다"),
    (
        r"(.*): was deleted or replaced while it was in use",
        r"쓰고 있는 파일이 지워지거나 바뀌었습니다(\1)",
    ),
    (
        r"(.*): another edge-agent runs on this folder: stop one of them",
        r"이 폴더에서 다른 edge-agent가 돌고 있습니다. 하나를 멈추세요(\1)",
    ),
    (r"internal error: (.*)", r"프로그램 오류입니다(\1)"),
)

DEPOT: Final = (
    (
        r"\[depot\] root_file is not set: .*",
        "[depot]의 root_file이 없습니다. 학습 컴퓨터의 root.json을 복사해 오고 그 위치를 적으세요",
    ),
    (
        r"\[depot\] root_file is no root\.json of a trainer: copy it again",
        "[depot]의 root_file이 root.json이 아닙니다. 다시 복사하세요",
    ),
    (r"\[depot\] root_file (.*): (.*)", r"[depot]의 root_file을 읽을 수 없습니다(\1: \2)"),
    (
        rf"(.*): not a depot: a web page came instead {_PORTAL}",
        r"모델 저장소가 아니라 웹 페이지가 왔습니다. 로그인 화면이나 프록시를 확인하세요(\1)",
    ),
    (
        rf"(.*): no metadata of a depot: changed on the way {_PORTAL}",
        r"받은 것이 도중에 바뀌었습니다. 로그인 화면이나 프록시를 확인하세요(\1)",
    ),
    (
        r"(.*): HTTP (\d+): redirects are not followed: .*",
        r"저장소가 다른 주소로 보냅니다. [depot]의 url을 확인하세요(\1: HTTP \2)",
    ),
    (r"(.*): HTTP (\d+): the depot is out of service", r"저장소가 멈춰 있습니다(\1: HTTP \2)"),
    (
        r"(.*): HTTP (\d+): the depot wants a user and a password in \[depot\] url",
        r"저장소에 사용자와 비밀번호가 필요합니다(\1: HTTP \2)",
    ),
    (
        r"(.*): HTTP (\d+): the proxy wants a user and a password",
        r"프록시에 사용자와 비밀번호가 필요합니다(\1: HTTP \2)",
    ),
    (
        r"(.*): HTTP (\d+): the server does not take this request: check \[depot\] url",
        r"서버가 요청을 받지 않습니다. [depot]의 url을 확인하세요(\1: HTTP \2)",
    ),
    (r"(.*): no answer in time", r"\1: 제때 답이 없음"),
    (r"(.*): nothing accepts connections there", r"\1: 연결을 받는 것이 없음"),
    (r"(.*): it hung up without an answer", r"\1: 답 없이 연결을 끊음"),
    (r"(.*): its name is not known here", r"\1: 이름을 찾을 수 없음"),
    (r"(.*): its certificate is not valid here: (.*)", r"\1: 인증서가 유효하지 않음(\2)"),
    (r"(.*): HTTP (\d+)", r"파일이 없습니다(\1: HTTP \2)"),
    (r"(.*): changed while it was read: try again", r"받는 동안 바뀌었습니다. 다시 받습니다(\1)"),
    (r"(.*): the server sent another part than asked for", r"서버가 다른 부분을 보냈습니다(\1)"),
    (
        r"(.*): (\d+) bytes in (\d+) s, slower than (\d+) bytes/s: given up",
        r"너무 느려 그만두었습니다(\1: \3초 동안 \2바이트)",
    ),
    (
        r"(.*): check the link and the proxy's and the depot's address",
        r"프록시에 닿지 않습니다. 인터넷과 주소를 확인하세요(\1)",
    ),
    (
        r"(.*): nobody renewed it; what is installed goes on, new releases wait",
        r"저장소의 서명 기한이 지났습니다. 설치된 모델은 계속 씁니다(\1)",
    ),
    (
        r"(.*): the copy of the depot is incomplete: try again, or copy it again",
        r"저장소의 사본이 다 복사되지 않았습니다. 다시 복사하세요(\1)",
    ),
    (
        r"(.*) \(older than what this device saw before, or files of two depots mixed: .*\)",
        r"전에 받은 것보다 오래되었거나 두 저장소가 섞인 사본입니다(\1)",
    ),
    (
        r"(.*): the depot has no release on this channel yet",
        r"저장소의 이 채널에 아직 릴리스가 없습니다(\1)",
    ),
    (
        r"the clock shows (.*) UTC, which cannot be right .*",
        r"시계가 \1 UTC로 맞지 않습니다. 시계를 맞출 때까지 아무것도 설치하지 않습니다",
    ),
    (
        r"this environment names a SOCKS proxy \((.*)\), which is not supported: .*",
        r"SOCKS 프록시는 쓸 수 없습니다. http 프록시로 바꾸세요(\1)",
    ),
    (
        r"this environment names a proxy that cannot be used \((.*)\): write .*",
        r"프록시 주소가 맞지 않습니다(\1)",
    ),
    (r"cannot be started: (.*): check memory and disk", r"메모리와 디스크를 확인하세요(\1)"),
    (r"was ended by (\S+): it is tried again", r"도중에 끝났습니다. 다시 합니다(\1)"),
    (r"asked for over the local API", "사람이 되돌리게 했습니다"),
)
