"""What a farmer does about a built-in rule on wind, rain, snow or cold: Korean and English. Pure.

From the advice of the Rural Development Administration for houses of film, in the words of farms.
Names and words are none of those of KMA's official warnings.
"""

from __future__ import annotations

from typing import Final

_DO: Final = {
    "strong-wind": (
        "창과 문을 닫고, 하우스 끈을 조이고, 날릴 물건을 치우세요.",
        "Close vents and doors, tighten the ropes of the house, and put away what may fly.",
    ),
    "heavy-snow": (
        "차광막을 걷고 지주를 세우세요. 눈이 오면 난방하고 보온커튼을 열어 녹이세요.",
        "Take off shade nets and set up props. In the snow heat, and open the thermal screens.",
    ),
    "heavy-rain": (
        "하우스 둘레의 배수로를 치우고 전기 설비를 살피세요. 비가 오면 물가에 가지 마세요.",
        "Clear the drains around the house and check what is electric. Keep away from water then.",
    ),
    "rain-soon": (
        "천창을 닫을 준비를 하고, 거두기는 서두르고, 물주기와 약 치기는 미루세요.",
        "Be ready to close the roof vents, harvest first, and put off watering and spraying.",
    ),
    "cold-snap": (
        "해 지기 전에 창을 닫고 보온커튼을 내리고, 난방기와 배관을 살피세요.",
        "Close vents and thermal screens before sunset, and check heater and pipes.",
    ),
    "dew-at-sunrise": (
        "해 뜨기 전에 약하게 난방하고 순환팬을 켜서 열매가 공기보다 차지 않게 하세요.",
        "Heat a little and run the fans before sunrise: the fruit must not be colder than the air.",
    ),
}


def advice_of(language: str, rule: str) -> str:
    """What to do about a rule of this name; empty where nothing is known."""
    korean, english = _DO.get(rule, ("", ""))
    return english if language == "en" else korean
