"""Where a setting's value comes from, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardpoint.config import (
    BridgeTopic,
    Config,
    ListenUrl,
    RetentionRule,
    configure,
    find_file,
    flag_of,
    load,
    parse_bridge_topic,
    parse_listen_url,
    parse_retention_rule,
    settings,
)
from hardpoint.errors import ConfigError


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "hardpoint.toml"
        file.write_text(text)
        return file

    return write


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file of the machine that runs the tests is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hardpoint.config.sources.ETC", tmp_path / "etc")


def attempt(make: Callable[[], Config]) -> Config | ConfigError:
    """What was made, or the one error that is documented; any other fails the test."""
    try:
        return make()
    except ConfigError as error:
        return error


class TestDeclaration:
    def test_every_setting_has_a_help_text_and_a_default_in_its_own_range(self) -> None:
        for path, each in settings().items():
            assert each.help.endswith("."), path
            if each.default is not None and each.kind in ("integer", "number"):
                assert each.minimum is not None, f"{path} has no lower bound"
                assert each.minimum <= each.default, path
                assert each.maximum is None or each.default <= each.maximum, path
            if each.choices:
                assert each.default in each.choices

    def test_the_defaults_are_the_documented_ones(self) -> None:
        config = configure()
        assert config.listen == ("line://0.0.0.0:9000", "http://0.0.0.0:8080", "mqtt://0.0.0.0:1883")
        assert (config.loop, config.allow_anonymous, config.log_level, config.ports_file) == (
            "hardpoint",
            False,
            "warning",
            None,
        )
        assert (config.limits.max_line_bytes, config.limits.max_body_bytes) == (8192, 1024**2)
        assert (config.host.enabled, config.host.interval_s) == (True, 10.0)
        assert str(config.origin("loop")) == "default"

    @pytest.mark.parametrize(
        ("path", "unit"),
        [
            ("limits.max_line_bytes", "bytes"),
            ("limits.keep_alive_s", "seconds"),
            ("limits.readings_per_s", "per second"),
            ("limits.sign_in_failures_per_min", "per minute"),
            ("limits.max_devices", ""),
        ],
    )
    def test_the_name_tells_the_unit(self, path: str, unit: str) -> None:
        assert settings()[path].unit == unit

    def test_the_data_folder_is_systemds_or_the_users(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("STATE_DIRECTORY", raising=False)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
        assert configure().data == tmp_path / "share" / "hardpoint"
        monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/hardpoint:/var/lib/other")
        assert configure().data == Path("/var/lib/hardpoint")
        assert configure().socket_path == Path("/var/lib/hardpoint/hardpoint.sock")


class TestPrecedence:
    def test_flag_beats_environment_beats_file_beats_default(self, toml, tmp_path: Path) -> None:
        file = toml('loop = "asyncio"\nlog_level = "info"\n\n[limits]\nmax_devices = 5\nmax_line_bytes = 512\n')
        environ = {"HARDPOINT_LOG_LEVEL": "debug", "HARDPOINT_LIMITS__MAX_DEVICES": "6"}
        config = load({"limits.max_devices": "7", "loop": None}, file=file, environ=environ)
        assert (config.loop, config.log_level) == ("asyncio", "debug")
        assert (config.limits.max_devices, config.limits.max_line_bytes) == (7, 512)
        origins = {path: str(config.origin(path)) for path in config.origins}
        assert origins == {
            "loop": f"file {file}:1",
            "log_level": "environment HARDPOINT_LOG_LEVEL",
            "limits.max_devices": "flag --set limits.max_devices",
            "limits.max_line_bytes": f"file {file}:6",
        }
        assert config.file == file

    def test_each_setting_can_be_given_in_each_layer(self, toml) -> None:
        sample = {"boolean": "false", "integer": "4242", "number": "42.5", "path": "/srv/x", "strings": "line://[::]:7"}
        sample |= {"paths": "/srv/x:/srv/y", "string": "mqtt://there:1884"}
        for path, each in settings().items():
            text = each.choices[-1] if each.choices else sample[each.kind]
            text = {
                "retention.rules": "*:x drop 7d",
                "mount": "/app=site:app",
                "http.trusted_proxies": "10.0.0.0/8, ::1",
                "http.proxy_protocol": "https, any",
            }.get(path, text)
            by_variable = load(environ={each.variable: text})
            by_flag = load({path: text}, environ={})
            assert by_variable.value(path) == by_flag.value(path), path
            assert by_variable.origin(path).where == each.variable
            assert by_flag.origin(path).where == flag_of(path)

    def test_files_are_looked_for_in_order_and_not_merged(self, tmp_path: Path) -> None:
        environ = {"HOME": str(tmp_path / "home")}
        assert find_file(environ) is None
        places = [tmp_path / "etc", tmp_path / "home/.config/hardpoint", tmp_path / "xdg/hardpoint", tmp_path]
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        (tmp_path / "etc/hardpoint.toml").write_text("[limits]\nmax_devices = 1\nmax_live_clients = 9")
        assert load(environ=environ).limits.max_devices == 1
        (tmp_path / "home/.config/hardpoint/hardpoint.toml").write_text("[limits]\nmax_devices = 2")
        assert load(environ=environ).limits.max_devices == 2
        assert load(environ=environ).limits.max_live_clients == 1000
        environ["XDG_CONFIG_HOME"] = str(tmp_path / "xdg")
        (tmp_path / "xdg/hardpoint/hardpoint.toml").write_text("[limits]\nmax_devices = 3")
        assert load(environ=environ).limits.max_devices == 3
        (tmp_path / "hardpoint.toml").write_text("[limits]\nmax_devices = 4")
        assert load(environ=environ).limits.max_devices == 4
        (tmp_path / "named.toml").write_text("[limits]\nmax_devices = 5")
        environ["HARDPOINT_CONFIG"] = str(tmp_path / "named.toml")
        assert load(environ=environ).limits.max_devices == 5

    def test_a_path_in_the_file_counts_from_the_files_folder(self, toml, tmp_path: Path) -> None:
        file = toml('data = "things"\nports_file = "/run/ports.json"')
        config = load(file=file, environ={})
        assert config.data == tmp_path / "things"
        assert config.ports_file == Path("/run/ports.json")
        assert load({"data": "things"}, environ={}).data == Path("things")


class TestFromPython:
    def test_sections_are_mappings_and_none_is_the_default(self, tmp_path: Path) -> None:
        config = configure(data=tmp_path, listen=["line://127.0.0.1:0"], loop=None, limits={"max_line_bytes": "1KiB"})
        assert (config.data, config.listen) == (tmp_path, ("line://127.0.0.1:0",))
        assert (config.loop, config.limits.max_line_bytes) == ("hardpoint", 1024)
        assert str(config.origin("data")) == "argument data"

    def test_neither_environment_nor_file_is_read(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HARDPOINT_LOOP", "asyncio")
        (tmp_path / "hardpoint.toml").write_text('loop = "uvloop"')
        assert configure().loop == "hardpoint"

    def test_where_values_came_from_makes_no_difference_to_equality(self) -> None:
        assert configure(loop="asyncio") == load({"loop": "asyncio"}, environ={})

    def test_it_cannot_be_changed(self) -> None:
        with pytest.raises(AttributeError):
            Config().loop = "asyncio"  # type: ignore[misc]


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "message", "hint"),
        [
            ('listne = ["line://:1"]', "unknown setting 'listne' (file {}:1)", "did you mean 'listen'?"),
            ("\n[limit]\nmax_devices = 1", "unknown setting 'limit.max_devices'", "did you mean 'limits.max_devices'?"),
            ("[limits]\n# x\nmax_device = 1", "{}:3", "did you mean 'limits.max_devices'?"),
            ("[nothing]", "unknown setting 'nothing' (file {}:1)", None),
            ("limits = 5", "limits (file {}:1) is a section", "write [limits]"),
            ('loop = "trio"', "loop (file {}:1): must be one of hardpoint, asyncio, uvloop, not 'trio'", "event loop"),
            ("loop = 1", "must be one of", None),
            ("allow_anonymous = 1.0", "must be true or false", None),
            ('allow_anonymous = "perhaps"', "must be true or false", None),
            ("data = 5", "must be the path", None),
            ('data = ""', "must be the path", None),
            ("listen = []", "must be a listener URL", None),
            ("listen = [1]", "must be a listener URL", None),
            ('listen = ["line://0.0.0.0:9", "line://0.0.0.0:9"]', "line://0.0.0.0:9 is given twice", None),
            ('listen = "mqttx://0.0.0.0:9"', "names no dialect", "known: line://HOST:PORT"),
            ("[limits]\nmax_line_bytes = 8", "limits.max_line_bytes (file {}:2): must be at least 256", None),
            ("[host]\ninterval_s = 86401", "must be at most 86400", None),
            ("[limits]\nmax_devices = 1.5", "must be a whole number", None),
            ("[limits]\nmax_devices = true", "must be a number", None),
            ("[limits]\nkeep_alive_s = nan", "must be a number up to 2^53", None),
            ("[limits]\nkeep_alive_s = inf", "must be a number up to 2^53", None),
            (f"[limits]\nmax_devices = 1{'0' * 400}", "must be a number up to 2^53", None),
            ('[limits]\nmax_line_bytes = "8 KiBit"', "must be a number like 65536 or 64KiB", None),
            ('[limits]\nkeep_alive_s = "soon"', "must be a number like 30 or 1.5s", None),
            ('[limits]\nmax_devices = "5KiB"', "must be a number, not '5KiB'", None),
            ("[limits]\nmax_devices = [1]", "must be a number", None),
            ('[http]\ntrusted_proxies = "unix"', "the unix: listener is for administration", None),
            ('[http]\ntrusted_proxies = ["10.0.0.300"]', "does not appear to be an IPv4 or IPv6 network", None),
            ("[http]\ntrusted_proxies = 5", "must be an address, a network", None),
            ('[http]\nproxy_protocol = ["smtp"]', "must be a list of line, http", None),
            ("[http]\nproxy_protocol = true", "must be a list of line, http", None),
            ("a = \n", "Invalid value (at line 1", None),
        ],
    )
    def test_it_says_what_where_and_what_to_do(self, toml, text: str, message: str, hint: str | None) -> None:
        file = toml(text)
        with pytest.raises(ConfigError) as caught:
            load(file=file, environ={})
        assert message.replace("{}", str(file)) in caught.value.message
        if hint:
            assert hint in (caught.value.hint or "")
        assert caught.value.exit_code == 78

    def test_a_file_that_cannot_be_read(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="No such file"):
            load(file=tmp_path / "missing.toml", environ={})
        (tmp_path / "latin.toml").write_bytes(b'data = "\xff"')
        with pytest.raises(ConfigError, match="utf-8"):
            load(file=tmp_path / "latin.toml", environ={})

    def test_a_variable_that_is_nearly_a_setting_is_told(self) -> None:
        environ = {
            "HARDPOINT_LISTN": "x",
            "HARDPOINT_TOKEN": "t",
            "HARDPOINT_SERVICE_HOST": "10.0.0.1",  # Kubernetes makes these two
            "HARDPOINT_PORT_9000_TCP": "tcp://10.0.0.1:9000",
        }
        assert load(environ=environ).warnings == ("HARDPOINT_LISTN is not a setting: did you mean HARDPOINT_LISTEN?",)

    @given(st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.floats(), st.text(), st.integers())))
    def test_anything_else_from_python_is_a_config_error(self, values: dict[str, object]) -> None:
        outcome = attempt(lambda: configure(**values))
        assert isinstance(outcome, Config) == all(value is None for value in values.values())

    @given(st.sampled_from(sorted(settings())), st.one_of(st.text(), st.floats(), st.integers(), st.booleans()))
    def test_any_value_of_any_setting_is_taken_or_refused_by_name(self, path: str, value: object) -> None:
        outcome = attempt(lambda: load({path: value}, environ={"HOME": "/nonexistent"}))
        if isinstance(outcome, Config):
            assert outcome.origin(path).source == "flag"
        else:
            assert path in outcome.message


class TestUnits:
    @pytest.mark.parametrize(
        ("path", "text", "value"),
        [
            ("limits.max_body_bytes", "64KiB", 65536),
            ("limits.max_body_bytes", "2 MB", 2_000_000),
            ("limits.max_body_bytes", "1.5kib", 1536),
            ("limits.max_body_bytes", "1_024", 1024),
            ("limits.keep_alive_s", "1500ms", 1.5),
            ("limits.keep_alive_s", "2min", 120.0),
            ("limits.keep_alive_s", "2m", 120.0),
            ("limits.keep_alive_s", "1h", 3600.0),
            ("limits.keep_alive_s", "1d", 86400.0),
            ("limits.readings_per_s", "2.5", 2.5),
            ("allow_anonymous", "YES", True),
            ("allow_anonymous", "0", False),
        ],
    )
    def test_text_may_carry_the_unit(self, path: str, text: str, value: object) -> None:
        assert load({path: text}, environ={}).value(path) == value


class TestListenUrl:
    @pytest.mark.parametrize(
        ("url", "parsed"),
        [
            ("line://0.0.0.0:9000", ListenUrl("line", "0.0.0.0", 9000)),
            ("http://[::1]:0", ListenUrl("http", "::1", 0)),
            ("http://localhost", ListenUrl("http", "localhost", 8080)),
            ("line://:7000", ListenUrl("line", "", 7000)),
            ("unix:/run/h.sock", ListenUrl("unix", path="/run/h.sock")),
            ("unix:///run/h.sock", ListenUrl("unix", path="/run/h.sock")),
        ],
    )
    def test_taken_apart(self, url: str, parsed: ListenUrl) -> None:
        assert parse_listen_url(url) == parsed
        assert parse_listen_url(str(parsed)) == parsed

    @pytest.mark.parametrize(
        "url",
        [
            *("", "9000", "0.0.0.0:9000", "line:9000", "ftp://x:1", "line://", "unix:", "unix://"),
            *("line://h:70000", "line://h:-1", "line://h:x", "line://[::1:1"),
            *("line://h:1/path", "line://h:1?q", "line://h:1#f", "line://user@h:1"),
        ],
    )
    def test_refused(self, url: str) -> None:
        with pytest.raises(ConfigError) as caught:
            parse_listen_url(url)
        assert caught.value.hint

    def test_text_may_hold_several(self) -> None:
        config = load({"listen": "line://:1, http://:2 unix:x"}, environ={})
        assert config.listeners == (ListenUrl("line", "", 1), ListenUrl("http", "", 2), ListenUrl("unix", path="x"))

    def test_port_0_may_be_given_twice(self) -> None:
        assert len(configure(listen=["line://:0", "line://:0"]).listeners) == 2


class TestRetentionRules:
    @pytest.mark.parametrize(
        ("text", "rule"),
        [
            ("*:debug.* drop 7d", RetentionRule("*", "debug.*", None, 7 * 86_400.0)),
            ("pump-*:* thin 90d drop 1y", RetentionRule("pump-*", "*", 90 * 86_400.0, 365.25 * 86_400)),
            ("a:b drop 2w  thin 1.5h", RetentionRule("a", "b", 5_400.0, 14 * 86_400.0)),
            (" host:* keep ", RetentionRule("host", "*")),
        ],
    )
    def test_read(self, text: str, rule: RetentionRule) -> None:
        assert parse_retention_rule(text) == rule

    @pytest.mark.parametrize(
        "text",
        ["", "*", "*:*", "a drop 7d", "*:* drop", "*:* drop 7", "*:* drop 7x", "*:* keep 7d", "*:* thin 1d thin 2d",
         "*:* drop 0d", "*:* drop -1d", "*:* burn 7d", "*:* drop 7d keep"],
    )  # fmt: skip
    def test_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="must be like"):
            parse_retention_rule(text)

    def test_several_in_one_text_and_in_a_list(self, tmp_path: Path) -> None:
        both = ("*:debug.* drop 7d", "host:* keep")
        environ = {"HARDPOINT_RETENTION__RULES": "*:debug.*  drop 7d, host:* keep,"}
        assert load(environ=environ).retention.rules == both
        file = tmp_path / "hardpoint.toml"
        file.write_text('[retention]\nmax_bytes = "2GB"\nrules = ["*:debug.* drop 7d", "host:* keep"]\n')
        config = load(file=file, environ={})
        assert (config.retention.rules, config.retention.max_bytes) == (both, 2 * 10**9)
        with pytest.raises(ConfigError, match=r"retention.rules .*: must be"):
            load({"retention.rules": 5}, environ={})


def test_mounts_of_applications() -> None:
    assert configure(mount=["/app=site.main:app", "/=other:make.app"]).mounts == (
        ("/app", "site.main:app"),
        ("/", "other:make.app"),
    )
    assert configure(mount="/a=a:b, /c=c:d").mounts == (("/a", "a:b"), ("/c", "c:d"))
    assert configure().mounts == ()
    for wrong in ("app=a:b", "/app", "/app=a", "/{x}=a:b", "/a=a:b /a=c:d", 5):
        with pytest.raises(ConfigError):
            configure(mount=wrong)


class TestBridge:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("devices/#", BridgeTopic("devices/#")),
            ("a/+ qos 0", BridgeTopic("a/+", 0)),
            ("  # remote s/7/   local x/ ", BridgeTopic("#", 1, "x/", "s/7/")),
            ("+", BridgeTopic("+")),
        ],
    )
    def test_topics(self, text: str, expected: BridgeTopic) -> None:
        config = configure(bridge={"topics_out": [text]})
        assert parse_bridge_topic(config.bridge.topics_out[0]) == expected

    @pytest.mark.parametrize(
        "text",
        ["a/# b", "a qos 3", "a qos", "a to b/", "a#", "a/#/b", "a+/b", "$share/g/a", "a local +/", "a qos 0 qos 1"],
    )
    def test_topics_that_cannot_be(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r"bridge\.topics_in .*: must be like"):
            configure(bridge={"topics_in": [text]})

    def test_the_other_broker(self) -> None:
        assert configure(bridge={"url": "mqtts://there"}).bridge.url == "mqtts://there:8883"
        assert configure(bridge={"url": ""}).bridge.url == ""
        for wrong in ("line://there:1", "mqtt://", "there:1883", 5):
            with pytest.raises(ConfigError, match=r"bridge\.url"):
                configure(bridge={"url": wrong})
        with pytest.raises(ConfigError, match="a line of text"):
            configure(bridge={"client_id": "a\nb"})
