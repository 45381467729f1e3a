"""What config.toml may hold: frozen, strict structs with every default. No I/O.

Every key has a default, so that an empty file is a valid configuration; config.example.toml lists
them all. An empty string means "not set". Relative paths are relative to the file's folder.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, field

from edge_agent.contract.farm_identity import WORDS, Elevation, Latitude, Longitude, Slug
from edge_agent.contract.forecast import Operator
from edge_agent.contract.warning_zones import zone_of

Port = Annotated[int, Meta(ge=0, le=65535)]
ClockTime = Annotated[
    str,
    Meta(
        pattern=r"^(([01]\d|2[0-3]):[0-5]\d)?$",
        examples=["22:00"],
        extra={WORDS: "hours and minutes from 00:00 to 23:59"},
    ),
]
Severity = Literal["info", "warning", "critical"]
Seconds = Annotated[int, Meta(ge=0, le=31_622_400)]
Bytes = Annotated[int, Meta(ge=10_000)]
_VISIBLE: Final = Meta(pattern=r"^[!-~]{1,255}$", examples=["mqtt"], extra={WORDS: "no blanks"})
_PATH: Final = Meta(pattern=r"^/[!-~]{0,500}$", examples=["/mqtt"], extra={WORDS: "a path"})
_HOST: Final = Meta(
    pattern=r"^[A-Za-z0-9._:\[\]-]{0,260}$", examples=["broker:443"], extra={WORDS: "a host"}
)


SENSOR_TOPIC_EXAMPLE: Final = "zigbee2mqtt/outdoor"


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every section."""


class Device(_Section, frozen=True, kw_only=True):
    """Name and location, in degrees north and east; `station` is the nearest of ASOS, 0: none.

    `warning_zone` is the code or name of a zone of KMA's warnings; empty: by the place.
    """

    site: Slug = "farm"
    id: Slug = "edge-1"
    name: str = ""
    latitude: Latitude = 37.5714
    longitude: Longitude = 126.9658
    elevation_m: Elevation = 86.0
    station: Annotated[int, Meta(ge=0, le=999)] = 108
    warning_zone: Annotated[str, Meta(max_length=60)] = ""
    timezone: str = "Asia/Seoul"
    language: Literal["ko", "en"] = "ko"

    @property
    def zone_code(self) -> str | None:
        """KMA's code of the zone of its warnings, or None where it is not known."""
        zone = zone_of(self.warning_zone, self.latitude, self.longitude)
        return None if zone is None else zone.code

    @property
    def full_id(self) -> str:
        """Name of the device among all: "site/id"."""
        return f"{self.site}/{self.id}"


class Depot(_Section, frozen=True, kw_only=True):
    """Where releases come from: a web address or a folder. Neither: `sync --from` only."""

    url: str = ""
    path: str = ""
    channel: Slug = "stable"
    poll_interval_s: Annotated[int, Meta(ge=10, le=604_800)] = 3600
    root_file: str = ""
    pinned_release: Annotated[int, Meta(ge=0)] = 0


class Tls(_Section, frozen=True, kw_only=True):
    """TLS to the broker. Without `ca` the system's authorities are used."""

    enabled: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""
    alpn: tuple[Annotated[str, _VISIBLE], ...] = ()
    """Protocols that are offered within TLS, for brokers that share a port with others."""


class Websockets(_Section, frozen=True, kw_only=True):
    """MQTT over websockets. Without `host_header` it is host and port."""

    enabled: bool = False
    path: Annotated[str, _PATH] = "/mqtt"
    host_header: Annotated[str, _HOST] = ""


class Mqtt(_Section, frozen=True, kw_only=True):
    """The broker. The password comes from `password_file` or the credential mqtt-password."""

    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65535)] = 1883
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    username: str = ""
    password_file: str = ""
    client_id: str = ""
    base_topic: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9_-]+(/[a-z0-9_-]+)*$",
            examples=["farm/v1"],
            extra={WORDS: "small letters, digits, _ and -, with / between the levels"},
        ),
    ] = "farm/v1"
    commands: tuple[
        Literal["predict", "sync", "reload", "ack", "snooze", "republish", "irrigated"], ...
    ] = (
        "predict",
        "sync",
        "reload",
        "ack",
        "snooze",
        "republish",
        "irrigated",
    )
    discovery: bool = True
    discovery_prefix: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$",
            examples=["homeassistant"],
            extra={WORDS: "letters, digits, _ and -, with / between the levels"},
        ),
    ] = "homeassistant"
    forecasts: tuple[str, ...] = ("wind_speed", "rain", "rain_probability")
    """Quantities of the forecast that have a topic beside temperature and humidity, by its name."""
    share_history: bool = False
    """Publish the last week's hours of the farm's own sensors, and their location, retained."""
    keepalive_s: Annotated[int, Meta(ge=5, le=3600)] = 60
    reconnect_s: Annotated[float, Meta(ge=1, le=3600)] = 1.0
    """A device tries again at a random moment within this time first; see `mqtt.backoff`."""
    spread_s: Annotated[int, Meta(ge=0, le=1800)] = 0
    """Devices that share a broker work their hour within this time, each at its own moment."""
    tls: Tls = field(default_factory=Tls)
    websockets: Websockets = field(default_factory=Websockets)


class Sensor(_Section, frozen=True, kw_only=True):
    """One number of one topic. `field` is a path into JSON; empty: the payload is the number.

    `time_field` is the path of the event's own time; empty: the time of arrival counts.
    The value in `unit` is the number times `scale` plus `offset`.
    """

    topic: Annotated[
        str,
        Meta(
            pattern=r"^[^#+\x00]+$",
            max_length=500,
            examples=[SENSOR_TOPIC_EXAMPLE],
            extra={WORDS: "one topic, without the wildcards # and +"},
        ),
    ]
    field: str = ""
    time_field: str = ""
    quantity: str
    unit: str
    scale: float = 1.0
    offset: float = 0.0
    role: Literal["outdoor", "indoor", "soil"] = "outdoor"
    max_age_s: Annotated[int, Meta(ge=10, le=86_400)] = 900


class Action(_Section, frozen=True, kw_only=True):
    """What a controller may do when the rule is raised, and when it must stop by itself."""

    command: Slug
    value: str | float | bool = ""
    expires_s: Annotated[int, Meta(ge=60, le=86_400)] = 3600
    max_run_s: Annotated[int, Meta(ge=1, le=86_400)] = 900


class Condition(_Section, frozen=True, kw_only=True, omit_defaults=True):
    """What is compared with what; `alerts.windows` defines `aggregate` and `over_h`."""

    quantity: str
    operator: Operator
    threshold: float
    aggregate: Literal["", "sum", "max", "min", "mean", "rise", "fall"] = ""
    over_h: Annotated[int, Meta(ge=0, le=47)] = 0


class Rule(Condition, frozen=True, kw_only=True, omit_defaults=True):
    """One rule; `alerts.evaluation` defines what its keys mean.

    Earlier agents, which know fewer keys, read stored rules that use none of the newer ones.
    """

    name: Slug
    all: tuple[Condition, ...] = ()
    within_h: Annotated[int, Meta(ge=1, le=48)] = 24
    now: bool = False
    role: Literal["outdoor", "indoor", "soil"] = "outdoor"
    probability: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    for_h: Annotated[int, Meta(ge=1, le=48)] = 1
    clear: float | None = None
    hold_s: Seconds = 0
    cooldown_s: Seconds = 3600
    severity: Severity = "warning"
    message: str = ""
    action: Action | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Its own condition, then those that have to hold in the same hour."""
        return (self, *self.all)


class House(_Section, frozen=True, kw_only=True):
    """What the house bears: limits of the rules strong-wind and heavy-snow."""

    wind_limit_ms: Annotated[float, Meta(gt=0, le=75)] = 12.0
    snow_limit_cm: Annotated[float, Meta(gt=0, le=200)] = 10.0


class Builtin(_Section, frozen=True, kw_only=True):
    """The rules that come with the agent, by name: those that are switched off."""

    off: tuple[str, ...] = ()


class QuietHours(_Section, frozen=True, kw_only=True):
    """Local time in which no alert is sent; off without `start`. See `alerts.quiet_hours`."""

    start: ClockTime = ""
    end: ClockTime = ""
    break_through: tuple[Severity, ...] = ("critical",)


class Learning(_Section, frozen=True, kw_only=True):
    """Corrections of a forecast by the device's own verification: see `bias_correction`."""

    bias: bool = True
    guidance: bool = True


class Irrigation(_Section, frozen=True, kw_only=True):
    """Watering advice; off without a crop. Root depth 0: the crop's own; area 0: no litres."""

    crop: str = ""
    soil: Literal["sand", "loamy_sand", "sandy_loam", "loam", "silt_loam", "clay_loam", "clay"] = (
        "loam"
    )
    root_depth_m: Annotated[float, Meta(ge=0, le=3)] = 0.0
    covered: bool = False
    area_m2: Annotated[float, Meta(ge=0, le=10_000_000)] = 0.0
    planted_on: str = ""
    bud_stage: str = ""
    efficiency: Annotated[float, Meta(ge=0.3, le=1)] = 0.9


class Storage(_Section, frozen=True, kw_only=True):
    """State folder and the limits of what it holds."""

    path: str = ""
    observations_days: Annotated[int, Meta(ge=30, le=36_500)] = 1100
    forecasts_days: Annotated[int, Meta(ge=3, le=3650)] = 60
    outbox_alerts_bytes: Bytes = 20_000_000
    outbox_states_bytes: Bytes = 5_000_000
    outbox_telemetry_bytes: Bytes = 5_000_000
    reserve_bytes: Annotated[int, Meta(ge=0)] = 50_000_000


class Web(_Section, frozen=True, kw_only=True):
    """Local status page; port 0 switches it off.

    `trusted_proxies` are addresses or networks of reverse proxies on other machines, whose word on
    a request's client is taken.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    token_file: str = ""
    trusted_proxies: tuple[str, ...] = ()


class Push(_Section, frozen=True, kw_only=True):
    """Webhook for alerts: a web address that takes each as a POST; off without `url`."""

    url: str = ""
    severities: tuple[Severity, ...] = ("critical",)
    template: Annotated[str, Meta(max_length=2000)] = ""
    token_file: str = ""


class Limits(_Section, frozen=True, kw_only=True):
    """Ages at which data count as stale, and the most alerts a day."""

    forecast_valid_h: Annotated[int, Meta(ge=1, le=48)] = 3
    advice_max_age_h: Annotated[int, Meta(ge=1, le=72)] = 6
    alerts_per_day: Annotated[int, Meta(ge=1, le=1000)] = 24
    warnings_max_age_h: Annotated[int, Meta(ge=1, le=48)] = 6


class Config(_Section, frozen=True, kw_only=True):
    """The file."""

    device: Device = field(default_factory=Device)
    depot: Depot = field(default_factory=Depot)
    mqtt: Mqtt = field(default_factory=Mqtt)
    sensors: tuple[Sensor, ...] = ()
    rules: tuple[Rule, ...] = ()
    builtin: Builtin = field(default_factory=Builtin)
    quiet_hours: QuietHours = field(default_factory=QuietHours)
    learning: Learning = field(default_factory=Learning)
    irrigation: Irrigation = field(default_factory=Irrigation)
    house: House = field(default_factory=House)
    storage: Storage = field(default_factory=Storage)
    web: Web = field(default_factory=Web)
    push: Push = field(default_factory=Push)
    limits: Limits = field(default_factory=Limits)

    @property
    def has_official_alerts(self) -> bool:
        """Whether the device alerts to KMA's official warnings, where its depot has them."""
        return bool(self.depot.url or self.depot.path) and self.device.zone_code is not None
