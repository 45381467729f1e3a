"""Downloads as KMA's data portal writes them, made of any frame in KMA's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS = {
    "기온(°C)": "ta",
    "기온 QC플래그": "taQcflg",
    "강수량(mm)": "rn",
    "강수량 QC플래그": "rnQcflg",
    "풍속(m/s)": "ws",
    "풍속 QC플래그": "wsQcflg",
    "풍향(16방위)": "wd",
    "풍향 QC플래그": "wdQcflg",
    "습도(%)": "hm",
    "습도 QC플래그": "hmQcflg",
    "증기압(hPa)": "pv",
    "이슬점온도(°C)": "td",
    "현지기압(hPa)": "pa",
    "현지기압 QC플래그": "paQcflg",
    "해면기압(hPa)": "ps",
    "해면기압 QC플래그": "psQcflg",
    "일조(hr)": "ss",
    "일조 QC플래그": "ssQcflg",
    "일사(MJ/m2)": "icsr",
    "일사 QC플래그": "",
    "적설(cm)": "",
    "3시간신적설(cm)": "",
    "전운량(10분위)": "dc10Tca",
    "중하층운량(10분위)": "",
    "운형(운형약어)": "",
    "최저운고(100m )": "",
    "시정(10m)": "vs",
    "지면상태(지면상태코드)": "",
    "현상번호(국내식)": "",
    "지면온도(°C)": "ts",
    "지면온도 QC플래그": "tsQcflg",
    "5cm 지중온도(°C)": "",
    "10cm 지중온도(°C)": "",
    "20cm 지중온도(°C)": "",
    "30cm 지중온도(°C)": "",
}
"""Header of OBS_ASOS_TIM after station and time -> KMA's field."""


def download(
    frame: pl.DataFrame, *, encoding: str = "cp949", leave_out: Sequence[str] = ()
) -> bytes:
    """A file as the portal writes it; `leave_out` names headers that the user did not tick."""
    given = {
        "지점": pl.col("station").cast(pl.String),
        "지점명": pl.lit("서울"),
        "일시": pl.col("tm").dt.strftime("%Y-%m-%d %H:%M"),
    }
    for header, field in COLUMNS.items():
        if header in leave_out:
            continue
        here = field in frame.columns
        given[header] = pl.col(field).cast(pl.String).fill_null("") if here else pl.lit("")
    text = frame.select(**given).write_csv(quote_style="never")
    return text.replace("\n", "\r\n").encode(encoding)
