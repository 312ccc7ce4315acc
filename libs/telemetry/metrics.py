"""Every metric of the product, each declared here once.

Names follow section 8 of ARCHITECTURE.md: `watercooler_` and a base unit for what the product does, OpenTelemetry's names for what
its technology does. A label has few values, listed here or bounded by the code (services, routes, subscriptions); never a person.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final, Generic, NamedTuple, TypeVar

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client import exposition as _exposition
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

# Past so many combinations of label values a metric counts the rest under OVERFLOW, so that no mistake fills the memory.
SERIES_MAX: Final = 1000
OVERFLOW: Final = "other"

# Values a label may take; OPEN is bounded by the code that sets it.
OPEN: Final[tuple[str, ...]] = ()

REGISTRY: Final = prometheus_client.CollectorRegistry(auto_describe=True)


class Declared(NamedTuple):
    """What this module says of one metric: its exposed name, its meaning and the values each label may take."""

    name: str
    meaning: str
    labels: Mapping[str, Sequence[str]]


DECLARED: Final[list[Declared]] = []

M = TypeVar("M", bound=MetricWrapperBase)


class Family(Generic[M]):
    """One metric with labels; `labels(kind="post")` is the one series of that kind."""

    def __init__(self, declared: Declared, metric: M) -> None:
        self._declared, self._metric = declared, metric
        self._order = tuple(declared.labels)
        self._children: dict[tuple[str, ...], M] = {}
        # Series whose values are all listed are exposed from the start, at zero, so that the first event shows as a rise.
        if all(declared.labels.values()):
            for key in product(*declared.labels.values()):
                self._child(key)

    def labels(self, **values: str) -> M:
        """The one series with these label values. Raises ValueError for a label, or a value of a listed label, that is not declared."""
        if tuple(values) == self._order:
            child = self._children.get(tuple(values.values()))
            if child is not None:
                return child
        if values.keys() != self._declared.labels.keys():
            raise ValueError(f"{self._declared.name} has the labels {', '.join(self._order)}, not {', '.join(values) or 'none'}")
        for label, allowed in self._declared.labels.items():
            if allowed and values[label] not in allowed:
                raise ValueError(f"{self._declared.name}: {label} is one of {', '.join(allowed)}, not {values[label]!r}")
        return self._child(tuple(values[label] for label in self._order))

    def _child(self, key: tuple[str, ...]) -> M:
        if key not in self._children:
            if len(self._children) >= SERIES_MAX:
                listed = self._declared.labels.values()
                key = tuple(value if allowed else OVERFLOW for value, allowed in zip(key, listed, strict=True))
            self._children[key] = self._metric.labels(*key)
        return self._children[key]


# The time each series was created is of no use to anybody here, and would double what every scrape carries.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


def _declare(name: str, meaning: str, labels: Mapping[str, Sequence[str]]) -> Declared:
    DECLARED.append(Declared(name, meaning, labels))
    return DECLARED[-1]


def _counter(name: str, meaning: str) -> Counter:
    _declare(name, meaning, {})
    return Counter(name, meaning, registry=REGISTRY)


def _gauge(name: str, meaning: str) -> Gauge:
    _declare(name, meaning, {})
    return Gauge(name, meaning, registry=REGISTRY)


def _histogram(name: str, meaning: str, buckets: Sequence[float]) -> Histogram:
    _declare(name, meaning, {})
    return Histogram(name, meaning, buckets=buckets, registry=REGISTRY)


def _counters(name: str, meaning: str, **labels: Sequence[str]) -> Family[Counter]:
    return Family(_declare(name, meaning, labels), Counter(name, meaning, tuple(labels), registry=REGISTRY))


def _gauges(name: str, meaning: str, **labels: Sequence[str]) -> Family[Gauge]:
    return Family(_declare(name, meaning, labels), Gauge(name, meaning, tuple(labels), registry=REGISTRY))


def _histograms(name: str, meaning: str, buckets: Sequence[float], **labels: Sequence[str]) -> Family[Histogram]:
    return Family(_declare(name, meaning, labels), Histogram(name, meaning, tuple(labels), buckets=buckets, registry=REGISTRY))


# From a memory hit to past the RPC deadline of 2 s.
_DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0

# What people do with each other.

ENGAGEMENT_ACTIONS: Final = _counters(
    "watercooler_engagement_actions_total",
    "What people did, by kind of action; the undoing of an action is not counted.",
    kind=("post", "reply", "reaction", "follow", "save", "join", "mention", "edit", "confirm", "repost", "vote"),
)
ACTIVE_PEOPLE: Final = _gauges(
    "watercooler_active_people",
    "People who did anything in the last day or the last seven days; the same at each replica, so max().",
    window=("day", "week"),
)
VISITING_PEOPLE: Final = _gauges(
    "watercooler_visiting_people",
    "People who opened the network, or whose access token did, in the last day or the last seven days; the same at each replica, so max().",
    window=("day", "week"),
)
RECENT_POSTS: Final = _gauges(
    "watercooler_recent_posts",
    "Posts that began a thread one to eight days ago, by whether somebody else has answered; the same at each replica, so max().",
    answer=("answered", "waiting"),
)
RECENT_CONVERSATIONS: Final = _gauges(
    "watercooler_recent_conversations",
    "Threads with two writers or more and an answer within seven days, by whether their writers' departments differ; max() over replicas.",
    departments=("several", "one", "unknown"),
)
RECENT_ANNOUNCEMENTS: Final = _gauge(
    "watercooler_recent_announcements",
    "Posts of the last 28 days by communications or leaders to everyone or to a group of the directory; max() over replicas.",
)
ANNOUNCEMENT_PEOPLE: Final = _gauges(
    "watercooler_announcement_people",
    "Summed over these announcements: for how many people each is, how many of them showed that they read it (confirmed, reacted or "
    "answered), and how many confirmed; max() over replicas.",
    sign=("audience", "reached", "confirmed"),
)
FROZEN_AUDIENCE_PEOPLE: Final = _gauges(
    "watercooler_frozen_audience_people",
    "Summed over the announcements of the last 28 days that froze their audience: how many people that is, to how many a right version was "
    "shown, how many opened and confirmed one, and how many saw a wrong version only; max() over replicas.",
    fact=("audience", "shown", "opened", "confirmed", "misinformed"),
)
POSTS: Final = _counter("watercooler_posts_total", "Posts published, replies not counted.")
REPLIES: Final = _counter("watercooler_replies_total", "Replies published.")
REACTIONS: Final = _counter("watercooler_reactions_total", "Reactions added; a reaction taken back stays counted.")
REPLY_SECONDS: Final = _histogram(
    "watercooler_reply_seconds",
    "Time from a post to its first reply by someone else.",
    (_MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 4 * _HOUR, 8 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY),
)
READ_CONFIRMATIONS: Final = _counter("watercooler_read_confirmations_total", "Announcements a person confirmed to have read.")
SEARCHES: Final = _counters(
    "watercooler_searches_total",
    "Searches answered, by what came of them; only finished searches count, not each key pressed.",
    outcome=("found", "empty", "refused", "failed"),
)
SEARCH_CLICKS: Final = _counters(
    "watercooler_search_clicks_total",
    "Search results opened, by their place in the list; rank_bucket() names the bucket.",
    rank=("1", "2", "3", "4-10", "11+"),
)

# The product at work.

SIGN_INS: Final = _counters(
    "watercooler_sign_ins_total",
    "Attempts to sign in, by outcome.",
    outcome=("succeeded", "failed", "rate_limited", "deactivated"),
)
LETTERS: Final = _counters(
    "watercooler_letters_total",
    "What became of tries to hand letters to the mail server; an expired letter was given up, for nobody could use it any more.",
    outcome=("sent", "delayed", "refused", "expired"),
)
LETTERS_WAITING: Final = _gauge("watercooler_waiting_letters", "Letters that the mail server has not taken yet.")
DIGESTS: Final = _counters(
    "watercooler_digests_total",
    "What became of digests that were due; an empty one had nothing to say, a skipped one would have been the second of its day.",
    outcome=("sent", "empty", "delayed", "refused", "skipped"),
)
PUSHES: Final = _counters(
    "watercooler_pushes_total",
    "What became of tries to push to devices; past its reader's budget a push is left to the digest.",
    outcome=("sent", "later", "gone", "refused", "over_budget"),
)
PUSHES_WAITING: Final = _gauge("watercooler_waiting_pushes", "Pushes that wait for the end of quiet hours or for another try.")
RATE_LIMITED: Final = _counter("watercooler_rate_limited_total", "Requests refused because their sender made too many.")
IMPORT_RECORDS: Final = _counters(
    "watercooler_import_records_total",
    "Records read by imports, by kind and what became of them.",
    kind=("person", "community", "post"),
    outcome=("created", "updated", "unchanged", "rejected"),
)
BLOB_BYTES: Final = _counter("watercooler_blob_bytes_total", "Bytes newly stored as blobs; content stored before is not counted again.")
LIVE_CONNECTIONS: Final = _gauge("watercooler_live_connections", "Pages that receive live updates now.")
LIVE_QUEUES_LOST: Final = _counter("watercooler_live_queues_lost_total", "Live queues dropped for falling behind; their pages reload.")

# The machinery of events.

EVENTS_APPENDED: Final = _counters("watercooler_events_appended_total", "Events stored durably.", service=OPEN)
APPEND_BATCH_SIZE: Final = _histogram(
    "watercooler_append_batch_size",
    "Events committed together by one group commit.",
    (1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
APPEND_SECONDS: Final = _histogram("watercooler_append_seconds", "Time of a group commit, inline projections included.", _DURATION_BUCKETS)
COMMAND_REJECTIONS: Final = _counters("watercooler_command_rejections_total", "Commands a decider refused.", service=OPEN)
COMMAND_CONFLICTS: Final = _counters("watercooler_command_conflicts_total", "Commands that lost a race and went round again.", service=OPEN)
SUBSCRIPTION_LAG: Final = _gauges(
    "watercooler_subscription_lag_events",
    "Events a subscription has still to handle.",
    subscription=OPEN,
)
PARKED_STREAMS: Final = _gauges(
    "watercooler_parked_streams",
    "Streams a subscription has set aside after an event it could not handle.",
    subscription=OPEN,
)
LEADING: Final = _gauges(
    "watercooler_leading",
    "1 in the one process that does a service's work (worker) or publishes its log (relay), 0 where a process stands by; sum() is 1.",
    service=OPEN,
    work=OPEN,
)
ENGINE_UP: Final = _gauges(
    "watercooler_engine_up",
    "Whether an engine (postgresql, kafka, opensearch, s3) answered this process, asked every 10 s; only the engines it needs.",
    engine=OPEN,
)
STORAGE_FULL: Final = _counter("watercooler_storage_full_total", "Writes refused because the disk under a database was full.")
PROJECTION_REBUILD_EVENTS: Final = _counter("watercooler_projection_rebuild_events_total", "Events read to rebuild projections.")
RELAY_POSITION: Final = _gauges("watercooler_relay_position", "The position up to which a service's log is on Kafka.", service=OPEN)
RELAY_LAG: Final = _gauges("watercooler_relay_lag_events", "Events of a service's log that are not on Kafka yet.", service=OPEN)
RELAY_EVENTS: Final = _counters("watercooler_relay_events_total", "Events published and acknowledged by Kafka.", service=OPEN)
RELAY_FAILURES: Final = _counters("watercooler_relay_failures_total", "Times publishing had to begin again.", service=OPEN)
RELAY_STALLED_SECONDS: Final = _gauges(
    "watercooler_relay_stalled_seconds",
    "Seconds since a relay that has events to publish last published any; 0 where it has none.",
    service=OPEN,
)
FOLLOWED_RECORDS: Final = _counters(
    "watercooler_followed_records_total",
    "Records read from Kafka, by the service they come from and what they were; an unknown one is of a type this version does not know.",
    source=OPEN,
    outcome=("new", "duplicate", "unknown", "undecodable"),
)
FOLLOWED_HISTORY: Final = _counters(
    "watercooler_followed_history_events_total",
    "Events read from another service's own log because Kafka did not bring them, or not in time.",
    source=OPEN,
)
FOLLOWED_HELD: Final = _gauges(
    "watercooler_followed_held_events", "Events of another service held in memory until they are next and taken.", source=OPEN
)
FOLLOWED_CONNECTED: Final = _gauges("watercooler_followed_connected", "1 while another service's topic is being read.", source=OPEN)

# Technology, by OpenTelemetry's names.

HTTP_SERVER_REQUEST_DURATION: Final = _histograms(
    "http_server_request_duration_seconds",
    "Time to answer an HTTP request; route is the template (/people/{person_id}), never the path.",
    _DURATION_BUCKETS,
    method=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "_OTHER"),
    route=OPEN,
    status=OPEN,
)
RPC_SERVER_DURATION: Final = _histograms(
    "rpc_server_duration_seconds",
    "Time to answer a call between services; code is the gRPC status name.",
    _DURATION_BUCKETS,
    service=OPEN,
    method=OPEN,
    code=OPEN,
)
RPC_CLIENT_DURATION: Final = _histograms(
    "rpc_client_duration_seconds",
    "Time until a call to another process was answered, further tries included; code is the gRPC status name.",
    _DURATION_BUCKETS,
    service=OPEN,
    method=OPEN,
    code=OPEN,
)
RPC_CLIENT_RETRIES: Final = _counters(
    "rpc_client_retries_total", "Further tries of calls that found no service.", service=OPEN, method=OPEN
)
CERTIFICATE_EXPIRY: Final = _gauges(
    "watercooler_certificate_expiry_seconds",
    "Time until the first certificate of a file ends: own is what this process shows, authority what it checks others by.",
    certificate=OPEN,
)

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)


def rank_bucket(rank: int) -> str:
    """The `rank` label of SEARCH_CLICKS for a result's place, counted from 1. Raises ValueError below 1."""
    if rank < 1:
        raise ValueError(f"a result's place is counted from 1, not {rank}")
    if rank <= 3:
        return str(rank)
    return "4-10" if rank <= 10 else "11+"


def exposition(accept: str = "") -> tuple[bytes, str]:
    """All metrics now, and their content type: OpenMetrics or Prometheus text, whichever the `Accept` header prefers and we write."""
    try:
        encode, content_type = _exposition.choose_encoder(accept)
    except (ValueError, TypeError):  # a version that is no number
        encode, content_type = _exposition.choose_encoder("")
    return encode(REGISTRY), content_type


def value(name: str, **labels: str) -> float:
    """The present value of one series by its exposed name, for tests and the pages of administrators; NaN where there is none."""
    found = REGISTRY.get_sample_value(name, labels)
    return math.nan if found is None else found
