"""The composition root: a `Config` becomes a running server. The only place, with the registry, that names concrete
classes; reading it top to bottom tells in which order the parts start and stop.
"""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import logging
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import msgspec

from . import __version__, registry
from .arrivals import Arrivals
from .banner import describe_start
from .collector import Collector
from .config import INSIDE_TLS, Config, ListenUrl, configure, settings
from .dialects.http import HttpDialect
from .dialects.lines import LineDialect
from .dialects.mqtt import MqttDialect
from .dialects.websocket import WebSocketDialect, mqtt_over_websocket
from .errors import ConfigError, HardpointError
from .http import AccessLog, HttpServer, TrustedProxies
from .hub.claims import Claims
from .hub.hub import HOST_DEVICE_ID, Hub
from .hub.packages import Packages
from .hub.provisioning import Provisioning
from .listeners import Listener, ProtocolFactory, listen
from .model import Package
from .notify.publish import Publish
from .stores.packages import FOLDER as PACKAGES
from .stores.packages import PackageFiles
from .threads import ExitDeadline, call_apart
from .web.app import WebApp
from .web.recent import RecentLog
from .wire.http1 import HttpLimits

if TYPE_CHECKING:
    from .bridge import Bridge
    from .checks import Check
    from .dialects.any import Doorway
    from .dialects.host import HostSession
    from .http import BodyPlan, Handler
    from .http.asgi import AsgiHost
    from .hub.handlers import Callback
    from .stores.base import Store
    from .tls.watch import CertificateWatch
    from .wire.http1 import RequestHead

logger = logging.getLogger("hardpoint")

DRAIN_S = 5.0
"""How long answers in hand may take to leave at the end; SPEC §8 allows 10 s in all."""
APPS_S = 2.0
"""How long mounted applications may take to end then, all at the same time."""
EXIT_S = 9.0
"""When a stop that a signal asked for has not come to its end by then (a disk that hangs), the process ends with 1.
What was acknowledged is on disk."""
LEFT_BEHIND_S = 1.0
"""How long threads that are still at work may hold up the end after a stop."""
DESCRIPTORS_SAID_EVERY_S = 60.0
SECRET_PATHS = ("/api/v1/",)
"""Below these a device's token follows, which no log may keep."""
FIRST_DEVICE = "first-device"
"""Made at the first start, so that the line which is printed to try things with really works."""


class Server:
    """The whole server. ``with`` a configuration, or with settings by name (`config.configure`).

    ::

        server = Server(data="./data", listen=["line://0.0.0.0:9000", "http://0.0.0.0:8080"])
        server.run()                      # until SIGTERM or Ctrl-C
        async with server: ...            # or inside a program of yours, on any asyncio loop
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        store: Store | None = None,
        reload: Callable[[], Config] | None = None,
        **given: object,
    ) -> None:
        """Nothing is opened yet. ``reload`` makes the configuration anew when SIGHUP asks for it.

        Raises:
            ConfigError: a setting is unknown or cannot be used.
        """
        if config is not None and given:
            raise ConfigError("give a Config or settings, not both")
        self.config = config if config is not None else configure(**given)
        self._given_store = store
        self._reload_config = reload
        self._handlers: list[tuple[Callback, str, str]] = []
        self._parts: _Parts | None = None
        self._listeners: list[Listener] = []
        self._certificates: CertificateWatch | None = None
        self._mounted: list[AsgiHost] = []
        self._bridge: Bridge | None = None
        self._host: HostSession | None = None
        self._host_task: asyncio.Task[None] | None = None
        self._retention_task: asyncio.Task[None] | None = None
        self._began = 0.0
        self._recent = RecentLog()

    # -- for the program that embeds it

    def on(self, device: str = "*", key: str = "*") -> Callable[[Callback], Callback]:
        """Call the decorated function with each durable `Reading` whose device and key fit the shell patterns.

        Plain functions run on a thread, ``async`` ones on the loop; neither can hold up a device or another handler.
        """

        def register(callback: Callback) -> Callback:
            self._handlers.append((callback, device, key))
            if self._parts is not None:
                self._parts.hub.handlers.add(callback, device, key)
            return callback

        return register

    @property
    def hub(self) -> Hub:
        """The running server's hub.

        Raises:
            RuntimeError: it is not running.
        """
        return self._running.hub

    @property
    def ports(self) -> dict[str, int]:
        """Dialect → the port it is bound to (the first listener of each), while running."""
        found: dict[str, int] = {}
        for listener in self._listeners:
            if listener.port is not None:
                found.setdefault(listener.url.scheme, listener.port)
        return found

    def run(self) -> None:
        """Serve on the configured loop until SIGTERM or SIGINT; a second one ends at once. Threads
        that a program of yours left at work are not waited for: the process then exits with 0 by `os._exit`.

        Raises:
            HardpointError: it could not start; ``exit_code`` says why.
        """
        _raise_descriptor_limit()
        deadline = ExitDeadline()
        try:
            with Collector(), asyncio.Runner(loop_factory=registry.loop_factory(self.config.loop)) as runner:
                runner.run(self._serve(deadline))
                # Closing the runner waits for the threads of the loop's executor, and for tasks that will not end.
                deadline.set(LEFT_BEHIND_S, exit_code=0)
        finally:
            deadline.cancel()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    # -- start and stop

    async def start(self) -> None:
        """Open the store, take over what it holds, and listen.

        Raises:
            FolderTaken, SchemaMismatch, StorageError: the data folder cannot be used.
            AddressTaken: a listener's address cannot be bound. Nothing is left open.
        """
        if self._parts is not None:
            raise RuntimeError("the server is running already")
        self._began = time.monotonic()
        config = self.config
        store: Store = self._given_store or registry.load("stores", "sqlite")(config.data)
        await asyncio.to_thread(store.open)
        try:
            hub = Hub(
                store,
                config.limits,
                allow_anonymous=config.allow_anonymous,
                adopt=config.adopt,
                senders=registry.Makers("senders"),
            )
            hub.fill()
            hub.retention.use(config.retention)
            for callback, device, key in self._handlers:
                hub.handlers.add(callback, device, key)
            claims = Claims(hub)
            kept = {package.sha256 for package in hub.store.load(Package)}
            packages = Packages(hub, PackageFiles.without_leftovers(config.data / PACKAGES, kept))
            web = self._web_app(hub, claims, packages)
            provisioning = Provisioning(hub, *_provision_keys(config))
            HttpDialect(hub, provisioning, claims, packages).register(web.router)
            websocket = WebSocketDialect(hub, __version__)
            websocket.register(web.router)
            http = _http_server(web.handle, web.plan, config)
            _put_behind_proxies(http, config)
            local_http = _http_server(web.handle_local, web.plan, config)
            bridge = _bridge(hub, config)
            mqtt = _mqtt(hub, config, web, bridge, provisioning)
            factories: dict[str, ProtocolFactory] = {
                "line": LineDialect(hub, __version__),
                "mqtt": mqtt,
                "http": http,
                "unix": local_http,
            }
            arrivals = Arrivals(trusts=http.proxies.trusts_peer if http.proxies else None)
            arrivals.max_per_address = config.limits.max_connections_per_address
            self._parts = _Parts(hub, web, http, local_http, websocket, factories, arrivals)
            await self._mount_apps(web)
            self._certificates = await _open_certificates(config)
            self._parts.doorways = _doorways(config, factories, self._certificates)
            factories |= self._parts.doorways
            if bridge is not None:
                bridge.start(mqtt.broker)
                self._bridge = bridge
            arrivals = self._parts.arrivals
            for url in (*config.listeners, ListenUrl("unix", path=str(config.socket_path))):
                proxied = url.scheme in config.http.proxy_protocol
                self._listeners.append(await listen(url, factories[url.scheme], arrivals, proxy_protocol=proxied))
            if self._certificates is not None:
                self._certificates.start()
        except BaseException:
            await self.stop()
            await asyncio.to_thread(store.close)
            raise
        web.site.load()
        self._retention_task = asyncio.get_running_loop().create_task(hub.retention.run(), name="retention")
        if config.host.enabled:
            self._host_task = asyncio.get_running_loop().create_task(self._mount_host(), name="mount host")

    async def stop(self) -> None:
        """Stop accepting, finish what was begun, commit, close. Idempotent."""
        parts = self._parts
        if parts is None:
            return
        for listener in self._listeners:
            listener.close()
        for task in (self._retention_task, self._host_task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._retention_task = self._host_task = None
        if self._host is not None:
            await self._host.close()
            self._host = None
        if self._bridge is not None:
            await self._bridge.stop()
            self._bridge = None
        if self._certificates is not None:
            await self._certificates.stop()
            self._certificates = None
        parts.web.live.close()
        parts.hub.adoption.close()
        for device in parts.hub.catalogue:
            for session in device.sessions:
                session.end("the server is stopping")
        speakers = (parts.websocket, *parts.factories.values())
        await asyncio.gather(*(speaker.drain(DRAIN_S) for speaker in speakers))
        await asyncio.gather(*(app.shutdown(APPS_S) for app in self._mounted))
        self._mounted.clear()
        await parts.hub.close()
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()
        await asyncio.to_thread(parts.hub.store.close)
        self._parts = None

    @property
    def _running(self) -> _Parts:
        if self._parts is None:
            raise RuntimeError("the server is not running")
        return self._parts

    async def _serve(self, deadline: ExitDeadline) -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()

        def stop(signum: int) -> None:
            if stopping.is_set():
                os._exit(128 + signum)  # asked twice: nothing acknowledged is lost by it
            logger.info("stopping on %s", signal.Signals(signum).name)
            deadline.set(EXIT_S, exit_code=1)
            stopping.set()

        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, stop, signum)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.set_exception_handler(_LoopErrors())
        _keep_lines(self._recent)
        async with self:
            self._write_ports_file()
            sign_ins = self._running.web.sign_ins
            link = sign_ins.new_link() if sign_ins.setup_needed else None
            token = await self._first_token()
            text = describe_start(
                version=__version__,
                ports=self.ports,
                listeners=[str(listener.bound) for listener in self._listeners],
                link=link,
                token=token,
                store=await asyncio.to_thread(self.hub.store.describe),
                devices=len(self.hub.catalogue),
                allow_anonymous=self.config.allow_anonymous,
                trust=self._certificates.trust if self._certificates is not None else None,
            )
            print(text, flush=True)  # noqa: T201 - what `serve` says is its output
            await stopping.wait()

    def _reload(self) -> None:
        """SIGHUP: take over limits, retention, log level and certificates; say which other settings have changed and
        need a restart. A configuration with an error in it changes nothing.
        """
        parts = self._parts
        if self._reload_config is None or parts is None:  # not ready yet, or stopping
            return
        try:
            config = self._reload_config()
        except ConfigError as error:
            logger.error("not reloaded: %s", error.message)  # noqa: TRY400 - a person's slip, not a bug of ours
            return
        tls = self.config.tls if self._certificates is None else self._certificates.use(config.tls)
        before, self.config = (
            self.config,
            dataclasses.replace(
                self.config,
                limits=config.limits,
                retention=config.retention,
                log_level=config.log_level,
                tls=tls,
            ),
        )
        logging.getLogger().setLevel(config.log_level.upper())
        parts.hub.use_limits(config.limits)
        parts.hub.retention.use(config.retention)
        _set_http_limits(parts.http, config)
        _set_http_limits(parts.local_http, config)
        parts.arrivals.max_per_address = config.limits.max_connections_per_address
        waiting = [name for name in settings() if config.value(name) != self.config.value(name)]
        changed = [name for name in settings() if self.config.value(name) != before.value(name)]
        logger.warning(
            "reloaded: %s%s",
            ", ".join(changed) or "nothing has changed",
            f"; a restart is needed for {', '.join(waiting)}" if waiting else "",
        )

    async def _mount_apps(self, web: WebApp) -> None:
        """Serve the ASGI applications of ``mount``. Who may use one is its own to say.

        Raises:
            ConfigError: one cannot be loaded, or could not start.
        """
        if not self.config.mounts:
            return
        from .http.asgi import AsgiHost, load_app

        for path, reference in self.config.mounts:
            app = AsgiHost(load_app(reference), root_path=path.rstrip("/"))
            await app.startup()
            self._mounted.append(app)
            web.router.mount(path, app.handle, role=None, **app.meta)

    async def _mount_host(self) -> None:
        from .dialects.host import HostSession
        from .hardware.mount import mount_host

        try:
            mount = await call_apart("hardpoint-mount", mount_host)
            self._host = HostSession(self.hub, mount, self.config.host.interval_s)
            await self._host.start()
        except HardpointError as error:  # a full disk, or a device that was given the name
            logger.error("this machine's sensors are not read: %s", error.message)  # noqa: TRY400 - no bug of ours
        except Exception:  # nobody waits for this task: it would be seen at the end, if at all
            logger.exception("this machine's sensors are not read")

    async def _first_token(self) -> str | None:
        """The token of the device that is made at the first start, while it is still valid. It is kept in the data
        folder, readable by its owner, because only its hash is in the store.
        """
        path = self.config.data / f"{FIRST_DEVICE}.token"
        try:
            if not path.exists() and not self.hub.catalogue.by_id.keys() - {HOST_DEVICE_ID}:
                _, token = await self.hub.create_device(FIRST_DEVICE)
                path.touch(mode=0o600)
                path.write_text(f"{token}\n", encoding="ascii")
            token = path.read_text(encoding="ascii").strip()
            self.hub.authenticate(token)
        except (OSError, HardpointError):  # removed by its owner, or its device was
            return None
        return token

    def _write_ports_file(self) -> None:
        """For whoever started us with port 0: written whole, then renamed, so that it is never read half."""
        path = self.config.ports_file
        if path is None:
            return
        document = {
            "pid": os.getpid(),
            "ports": self.ports,
            "listeners": [str(listener.bound) for listener in self._listeners],
        }
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(document) + b"\n")
        partial.replace(path)

    # -- what the web side asks

    def _health(self) -> dict[str, Any]:
        hub = self.hub
        failed = hub.commits.failing
        return {
            "status": "degraded" if failed else "ok",
            "version": __version__,
            "uptime_s": round(time.monotonic() - self._began, 3),
            "loop": self.config.loop,
            "listeners": [
                {"url": str(listener.bound), "port": listener.port, "connections": listener.connections}
                for listener in self._listeners
            ],
            "certificates": self._certificates.describe() if self._certificates is not None else [],
            "bridge": self._bridge.describe() if self._bridge is not None else None,
            "store": hub.store.describe() | {"failing": failed},
        }

    def _web_app(self, hub: Hub, claims: Claims, packages: Packages) -> WebApp:
        return WebApp(
            hub,
            __version__,
            health=self._health,
            metrics=self._metrics,
            claims=claims,
            packages=packages,
            settings=self._settings,
            log=self._recent.lines,
            ca=self._authority,
            checks=self._checks,
        )

    def _authority(self) -> str | None:
        """The certificate of our own authority, where ours is by it."""
        trust = self._certificates.trust if self._certificates is not None else None
        return None if trust is None else Path(trust).read_text("ascii")

    def _settings(self) -> dict[str, Any]:
        from .web.diagnostics import listed_settings  # when somebody asks

        return listed_settings(self.config)

    def _checks(self) -> Iterator[Check]:
        """The doctor's, made from inside. They block."""
        from .checks import run_checks  # when somebody asks

        return run_checks(self.config, self._health(), self._host.mount if self._host is not None else None)

    def _metrics(self) -> Iterator[tuple[str, str, str, dict[str, float]]]:
        parts = self._running
        http = parts.http
        yield (
            "connections",
            "Open connections by listener",
            "listener",
            {listener.label: float(listener.connections) for listener in self._listeners},
        )
        not_let_in = {reason: float(count) for reason, count in parts.arrivals.refused.items()}
        yield "arrivals_refused_total", "Connections not let in, before they said anything", "reason", not_let_in
        doorways = parts.doorways.values()
        handshakes = sum((each.handshakes for each in doorways), Counter[str]())
        yield "tls_handshakes_total", "TLS handshakes by how they ended", "end", dict(handshakes)
        refused = sum((each.refused for each in doorways), Counter[str]())
        yield "openings_refused_total", "Connections not let in, by what they began with", "opening", dict(refused)
        responses = {f"{digit}xx": float(http.responses[digit]) for digit in range(1, 6)}
        yield "http_responses_total", "HTTP answers by class of status", "status", responses
        yield "http_refused_total", "HTTP requests that could not be read, by reason", "reason", dict(http.refused)
        timed_out = {name: float(count) for name, count in http.timed_out.items()}
        yield "http_timed_out_total", "HTTP clients that were too slow, by what", "part", timed_out
        ends = {name: float(count) for name, count in http.websocket_ends.items()}
        yield "websocket_ends_total", "WebSockets that did not end as they should, by reason", "reason", ends
        if http.access_log is not None:
            lines = {"dropped": float(http.access_log.dropped)}
            yield "http_access_log_lines_total", "Lines that the access log had no room for", "fate", lines
        mqtt = self._running.factories.get("mqtt")
        if isinstance(mqtt, MqttDialect):
            yield from mqtt.metrics()
        if self._bridge is not None:
            yield from self._bridge.metrics()
        counters = getattr(asyncio.get_running_loop(), "counters", None)
        if counters is not None:
            values = {name: float(value) for name, value in dataclasses.asdict(counters).items()}
            yield "loop_events_total", "What the event loop and its transports did", "event", values


@dataclasses.dataclass(slots=True)
class _Parts:
    """What there is while the server runs."""

    hub: Hub
    web: WebApp
    http: HttpServer
    local_http: HttpServer
    """The same application for the Unix socket, where nobody has to sign in."""
    websocket: WebSocketDialect
    """It listens nowhere: its connections come out of HTTP."""
    factories: dict[str, ProtocolFactory]
    """What speaks on a listener, by the scheme of its URL."""
    arrivals: Arrivals
    """Who is let in, whatever they speak."""
    doorways: dict[str, Doorway] = dataclasses.field(default_factory=dict)
    """Those of them where TLS comes first, or the first bytes decide."""


def _keep_lines(recent: RecentLog) -> None:
    """Keep the log's lines for the diagnostics bundle. Where a program has set up no logging, the last resort goes on
    printing warnings: a handler of ours alone would silence it.
    """
    root = logging.getLogger()
    if not root.handlers and logging.lastResort is not None:
        root.addHandler(logging.lastResort)
    root.addHandler(recent)


def _provision_keys(config: Config) -> tuple[str, str]:
    """Key and secret of ``provision.credentials``; empty without it.

    Raises:
        ConfigError: the file cannot be read, or is not of two lines.
    """
    path = config.provision.credentials
    if path is None:
        return "", ""
    try:
        key, secret = path.read_text("utf-8").split()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"provision.credentials: {error}", hint="a key in the first line, a secret in the next"
        ) from None
    return key, secret


def _mqtt(hub: Hub, config: Config, web: WebApp, bridge: Bridge | None, provisioning: Provisioning) -> MqttDialect:
    """The MQTT dialect, with what hangs on its broker."""
    mqtt = MqttDialect(
        hub,
        config.mqtt,
        __version__,
        apps=web.accounts,
        own={bridge.key: bridge.access} if bridge is not None else {},
        provisioning=provisioning,
        claims=web.claims,
        packages=web.packages,
    )
    web.accounts.rights_changed.append(mqtt.look_at_apps)
    hub.alerting.outbox.offer("mqtt", Publish(mqtt.broker))
    over_websocket = mqtt_over_websocket(mqtt, config.mqtt.max_packet_bytes)
    web.router.route("GET", "/mqtt", over_websocket, role=None, head=False)
    return mqtt


def _bridge(hub: Hub, config: Config) -> Bridge | None:
    """The bridge to another broker, where one is configured.

    Raises:
        ConfigError: a file of it cannot be used.
    """
    if not config.bridge.url:
        return None
    from .bridge import Bridge, client_id_for

    return Bridge(hub, config.bridge, client_id_for(config.bridge, config.data))


async def _open_certificates(config: Config) -> CertificateWatch | None:
    """Those that the listeners need. ``any://`` goes on without TLS where no certificate can be made: it has other
    clients as well.

    Raises:
        ConfigError: what is configured cannot be used, or a listener needs TLS and no certificate can be made.
    """
    if not any(url.speaks_tls for url in config.listeners):
        return None
    from .tls.watch import CertificateWatch, open_certificates

    try:
        return CertificateWatch(await asyncio.to_thread(open_certificates, config.tls, config.tls_folder))
    except ConfigError as error:
        if config.tls.cert is not None or any(url.scheme in INSIDE_TLS for url in config.listeners):
            raise
        logger.warning("no TLS on any://: %s (%s)", error.message, error.hint)
        return None


def _doorways(
    config: Config, factories: dict[str, ProtocolFactory], watch: CertificateWatch | None
) -> dict[str, Doorway]:
    """What speaks on the listeners where TLS comes first, or the first bytes decide, by scheme."""
    if not any(url.scheme not in factories for url in config.listeners):
        return {}
    from .dialects.any import any_doorway, tls_doorway

    certificates = None if watch is None else watch.certificates
    found = {"any": any_doorway(factories, certificates)}
    if certificates is not None:
        for scheme, inside in INSIDE_TLS.items():
            if inside in factories:
                found[scheme] = tls_doorway(inside, factories[inside], certificates)
    return found


def _http_server(app: Handler, plan: Callable[[RequestHead], BodyPlan], config: Config) -> HttpServer:
    server = HttpServer(app, plan=plan)
    _set_http_limits(server, config)
    return server


def _put_behind_proxies(server: HttpServer, config: Config) -> None:
    """What holds for the network and not for the Unix socket: who may speak for others, and what is logged."""
    server.proxies = TrustedProxies(config.http.trusted_proxies)
    if config.http.access_log is not None:
        server.log_to(AccessLog.to_file(config.http.access_log, secret_prefixes=SECRET_PATHS))


def _set_http_limits(server: HttpServer, config: Config) -> None:
    """Connections that are open keep the sizes they began with; the times hold from the next request on."""
    limits = config.limits
    server.limits = HttpLimits(max_head_bytes=limits.max_head_bytes, max_body_bytes=limits.max_body_bytes)
    server.max_connections = limits.max_connections
    server.max_requests_per_connection = limits.max_requests_per_connection
    server.head_timeout_s = limits.head_timeout_s
    server.body_timeout_s = limits.body_timeout_s
    server.keep_alive_s = limits.keep_alive_s


class _LoopErrors:
    """The loop's exception handler. Running out of descriptors is the machine's limit and no fault of ours: a line a
    minute that says what to do, instead of a traceback at every try.
    """

    def __init__(self) -> None:
        self._said_s = -inf

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif loop.time() - self._said_s >= DESCRIPTORS_SAID_EVERY_S:
            self._said_s = loop.time()
            logger.error("no descriptor is left, new connections wait until some close: raise 'ulimit -n'")


def _raise_descriptor_limit() -> None:
    """A connection is a descriptor. Take as many as the system allows; most start us with 1,024 of them."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and sys.platform.startswith("linux"):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
