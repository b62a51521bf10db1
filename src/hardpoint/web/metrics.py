"""``/metrics``: Prometheus text. The hot paths count in plain integers; they are read here, when somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from ..hub.hub import Hub
    from .live import LiveStreams

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Gauge = tuple[str, str, float]


class Metrics:
    """Collects from the hub, the live streams and whatever the composition root adds."""

    def __init__(
        self, hub: Hub, live: LiveStreams, extra: Callable[[], Iterator[tuple[str, str, str, dict[str, float]]]]
    ):
        self._hub = hub
        self._live = live
        self._extra = extra

    def encode(self) -> bytes:
        """The text of one scrape."""
        # Imported at the first scrape: 4 MB and 70 ms that a server nobody scrapes does not pay.
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def describe(self) -> list[Metric]:
        """Nothing: collecting once more at registration would only cost."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric, as prometheus_client wants them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        hub = self._hub
        commits = hub.commits
        counters = [
            ("readings", "Readings that became durable", hub.readings_total),
            ("sessions_attached", "Attachments of devices", hub.attached_total),
            ("commits", "Commits of the store", commits.commits),
            ("commits_failed", "Commits that failed", commits.failures),
            ("store_work_failed", "Times the store's work between commits failed", hub.store.failed_work),
            ("ingest_pauses", "Times a connection was paused because the store was behind", commits.pauses),
            ("retention_runs", "Times retention was applied", hub.retention.counters.runs),
            ("retention_failures", "Times it could not be", hub.retention.counters.failures),
            ("retention_thinned", "Readings it thinned", hub.retention.counters.thinned),
            ("retention_dropped", "Readings it dropped", hub.retention.counters.dropped),
            ("reads_refused", "Answers refused because too many were being read", hub.reads.refused),
            ("alerts", "Alerts that rules raised", hub.alerting.alerts.fired_total),
            ("notifications_sent", "Pieces of news that a channel's receiver took", hub.alerting.outbox.sent_total),
            ("notifications_failed", "Pieces of news that were given up", hub.alerting.outbox.failed_total),
            ("frames_dropped", "Frames of the wire tap that made room for others", hub.tap.dropped),
            ("devices_unknown_dropped", "Unknown devices for which the list had no room", hub.adoption.dropped),
            ("live_clients_dropped", "Live streams closed because they did not keep up", self._live.dropped_slow),
        ]
        for name, text, value in counters:
            yield CounterMetricFamily(f"hardpoint_{name}", text, value=value)
        gauges = [
            ("devices", "Devices", len(hub.catalogue)),
            ("devices_connected", "Devices with a session", sum(1 for device in hub.catalogue if device.sessions)),
            ("series", "Series: keys of devices", len(hub.catalogue.series)),
            ("readings_pending", "Readings that wait for the disk", commits.pending_rows),
            ("commands_open", "Commands without an outcome", hub.ledger.open_count),
            ("rules", "Rules", len(hub.alerting.rules)),
            ("alerts_firing", "Alerts that fire", len(hub.alerting.alerts.firing)),
            ("notifications_waiting", "Pieces of news on their way", hub.alerting.outbox.waiting_count),
            ("reads", "Answers made of stored readings, in the making", hub.reads.under_way),
            ("devices_tapped", "Devices whose every frame is kept", len(hub.tap.on)),
            ("devices_unknown", "Unknown devices that wait to be adopted", len(hub.adoption)),
            ("live_clients", "Open live streams", len(self._live)),
        ]
        for name, text, value in gauges:
            yield GaugeMetricFamily(f"hardpoint_{name}", text, value=value)
        refused = CounterMetricFamily("hardpoint_refused", "What peers were refused, by code", labels=["code"])
        for code, count in hub.refused_total.items():
            refused.add_metric([code], count)
        yield refused
        finished = CounterMetricFamily("hardpoint_commands_finished", "Commands by outcome", labels=["state"])
        for state, count in hub.ledger.finished.items():
            finished.add_metric([state], count)
        yield finished
        for name, text, label, values in self._extra():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            metric = family(f"hardpoint_{name.removesuffix('_total')}", text, labels=[label])
            for label_value, amount in values.items():
                metric.add_metric([label_value], amount)
            yield metric
