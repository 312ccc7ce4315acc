"""Settings: where each comes from, what is refused, and how that is said."""

from __future__ import annotations

import stat
import threading
from dataclasses import FrozenInstanceError, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime import settings
from libs.runtime.settings import Settings, SettingsError, load

ROOT = Path(__file__).resolve().parents[2]
KEY = "k" * 40


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Away from the repository, whose var/ may hold the settings of whoever works in it."""
    monkeypatch.chdir(tmp_path)


def problems(environ: dict[str, str], **command_line: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ, command_line)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_defaults_need_nothing() -> None:
    assert load({"PATH": "/bin", "HOME": "/"}) == Settings()
    assert Settings().address == "http://localhost:8000"
    assert Settings().data == Path("var")


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_every_default_is_a_value_it_accepts(setting: Any, tmp_path: Path) -> None:
    if setting.name in ("secret_key", "data"):
        return
    written = settings._written(setting.default, setting.metadata["kind"])
    loaded = load({"WATERCOOLER_DATA": str(tmp_path), "WATERCOOLER_" + setting.name.upper(): written})
    assert getattr(loaded, setting.name) == setting.default


def test_command_line_then_environment_then_file_then_default(tmp_path: Path) -> None:
    (tmp_path / "watercooler.toml").write_text('port = 1\nhost = "file"\nlog_level = "error"\n')
    environ = {"WATERCOOLER_DATA": str(tmp_path), "WATERCOOLER_PORT": "2", "WATERCOOLER_HOST": "environment"}
    loaded = load(environ, {"port": 3, "host": None})
    assert (loaded.port, loaded.host, loaded.log_level, loaded.log_format) == (3, "environment", "error", "auto")


def test_a_file_may_be_named_and_may_then_name_the_data_folder(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.toml"
    file.write_text('data = "kept"\nsession_lifetime = "12h"\nimage_bytes_max = "5MiB"\nrequest_bytes_max = 70000\n')
    loaded = load({"WATERCOOLER_CONFIG": str(file)})
    assert loaded.data == tmp_path / "kept"
    assert loaded.session_lifetime == timedelta(hours=12)
    assert (loaded.image_bytes_max, loaded.request_bytes_max) == (5 * 1024 * 1024, 70000)
    assert load({"WATERCOOLER_CONFIG": str(file), "WATERCOOLER_DATA": "mine"}).data == Path("mine")
    assert load({"WATERCOOLER_CONFIG": str(file)}, {"data": Path("ours")}).data == Path("ours")


def test_a_wrong_value_names_setting_value_and_place(tmp_path: Path) -> None:
    file = tmp_path / "watercooler.toml"
    file.write_text('# all wrong\n\nport = 99999\n"log_level"="loud"\nlog_levle = "info"\n\n[section]\nkey = 1\n')
    found = problems({"WATERCOOLER_DATA": str(tmp_path), "WATERCOOLER_SESSION_LIFETIME": "soon"}, public_url="https://a/b")
    assert set(found) == {
        f"port: 99999 is not a whole number from 0 to 65,535 (file {file}, line 3)",
        f"log_level: 'loud' is not one of debug, info, warning, error (file {file}, line 4)",
        f"log_levle: no such setting; did you mean log_level? (file {file}, line 5)",
        f"section: no such setting; docs/settings.md lists them all (file {file}, line 7)",
        "session_lifetime: 'soon' is not a time from 5m to 365d, as in 30m, 12h or 30d (environment variable WATERCOOLER_SESSION_LIFETIME)",
        "public_url: 'https://a/b' is not an address with nothing after the host, as in https://water.example.org (command line)",
    }


def test_an_unknown_name_in_the_environment_is_refused_with_the_nearest(tmp_path: Path) -> None:
    base = {"WATERCOOLER_DATA": str(tmp_path)}
    assert problems(base | {"WATERCOOLER_PROT": "1"}) == ["WATERCOOLER_PROT: no such setting; did you mean WATERCOOLER_PORT? (environment)"]
    assert problems(base | {"WATERCOOLER_ZZZZZZZZZZZZZZ": "1"}) == [
        "WATERCOOLER_ZZZZZZZZZZZZZZ: no such setting; docs/settings.md lists them all (environment)"
    ]
    assert load(base | {"WATERCOOLER_SHARED": "/x"}).data == tmp_path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", ""),
        ("PORT", "-1"),
        ("PORT", "8000.0"),
        ("PORT", "٨٠"),
        ("PORT", "9" * 5000),
        ("HOST", "a b"),
        ("HOST", ""),
        ("PUBLIC_URL", "water.example.org"),
        ("PUBLIC_URL", "ftp://water.example.org"),
        ("PUBLIC_URL", "https://water.example.org:port"),
        ("PUBLIC_URL", "https://water.example.org:99999"),
        ("PUBLIC_URL", "https://me:secret@water.example.org"),
        ("PUBLIC_URL", "https://"),
        ("PUBLIC_URL", "https://[::1"),
        ("SESSION_LIFETIME", "30"),
        ("SESSION_LIFETIME", "1s"),
        ("SESSION_LIFETIME", "999999999d"),
        ("SESSION_LIFETIME", "-1d"),
        ("IMAGE_BYTES_MAX", "10MB"),
        ("IMAGE_BYTES_MAX", "1000GiB"),
        ("DATA", ""),
        ("DATA", "a\0b"),
        ("LOG_FORMAT", "yaml"),
    ],
)
def test_wrong_values_are_refused(name: str, value: str) -> None:
    [problem] = problems({"WATERCOOLER_" + name: value})
    assert problem.startswith(name.lower() + ": ")
    assert problem.endswith(f"(environment variable WATERCOOLER_{name})")
    assert len(problem) < 300


@pytest.mark.parametrize("value", ["https://water.example.org", "https://a.example/", "http://10.0.0.1:8080", "http://[::1]:8000", ""])
def test_public_addresses(value: str) -> None:
    loaded = load({"WATERCOOLER_PUBLIC_URL": value, "WATERCOOLER_PORT": "81"})
    assert loaded.address == (value.rstrip("/") or "http://localhost:81")


@pytest.mark.parametrize("raw", ["true", "1.5", "[1]", "{a = 1}", "2026-01-01"])
def test_values_of_the_wrong_toml_type_are_refused(raw: str, tmp_path: Path) -> None:
    (tmp_path / "watercooler.toml").write_text(
        "".join(f"{name} = {raw}\n" for name in ("port", "host", "session_lifetime", "image_bytes_max"))
    )
    assert len(problems({"WATERCOOLER_DATA": str(tmp_path)})) == 4


def test_a_secret_comes_from_the_environment_or_a_file_of_its_own(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text(KEY + "\n")
    base = {"WATERCOOLER_DATA": str(tmp_path)}
    assert load(base | {"WATERCOOLER_SECRET_KEY": KEY}).secret_key == KEY
    assert load(base | {"WATERCOOLER_SECRET_KEY_FILE": str(secret)}).secret_key == KEY
    (tmp_path / "watercooler.toml").write_text('secret_key_file = "key"\n')
    loaded = load(base)
    assert loaded.secret_key == KEY
    assert KEY not in repr(loaded)


def test_what_is_wrong_with_a_secret_is_said_without_the_secret(tmp_path: Path) -> None:
    base = {"WATERCOOLER_DATA": str(tmp_path)}
    short = tmp_path / "short"
    short.write_text("hunter2")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff" * 40)
    for environ, words in [
        ({"WATERCOOLER_SECRET_KEY": "hunter2"}, "at least 32 characters (environment variable WATERCOOLER_SECRET_KEY)"),
        ({"WATERCOOLER_SECRET_KEY_FILE": str(short)}, f"(file {short}, named by environment variable WATERCOOLER_SECRET_KEY_FILE)"),
        ({"WATERCOOLER_SECRET_KEY_FILE": str(binary)}, "does not hold text"),
        ({"WATERCOOLER_SECRET_KEY_FILE": str(tmp_path / "gone")}, "No such file"),
        ({"WATERCOOLER_SECRET_KEY_FILE": str(tmp_path)}, "cannot be read"),
        ({"WATERCOOLER_SECRET_KEY_FILE": str(short), "WATERCOOLER_SECRET_KEY": KEY}, "set twice"),
    ]:
        [problem] = problems(base | environ)
        assert words in problem
        assert "hunter2" not in problem
    (tmp_path / "watercooler.toml").write_text(f'secret_key = "{KEY}"\n')
    [problem] = problems(base)
    assert "give secret_key_file" in problem
    assert KEY not in problem


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"port = 80\nhost = = 1\n", "line 2"),
        (b"\xff\xfe", "not TOML"),
        (b"a" * (2 << 20), "larger than 1MiB"),
        (b"a = " + b"[" * 5000, "not TOML"),
    ],
)
def test_an_unusable_file_is_named(content: bytes, words: str, tmp_path: Path) -> None:
    file = tmp_path / "watercooler.toml"
    file.write_bytes(content)
    [problem] = problems({"WATERCOOLER_DATA": str(tmp_path)})
    assert problem.startswith(str(file))
    assert words in problem


def test_a_named_file_must_exist_and_the_file_in_the_data_folder_cannot_move_it(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert problems({"WATERCOOLER_CONFIG": str(gone)}) == [f"WATERCOOLER_CONFIG: there is no file {gone} (environment)"]
    [problem] = problems({"WATERCOOLER_CONFIG": str(tmp_path)})
    assert "cannot be read" in problem
    (tmp_path / "watercooler.toml").write_text('data = "x"\n')
    [problem] = problems({"WATERCOOLER_DATA": str(tmp_path)})
    assert "set WATERCOOLER_DATA" in problem


def outcome(environ: dict[str, str]) -> Settings | list[str]:
    try:
        return load(environ)
    except SettingsError as error:
        return error.problems


@given(st.binary(max_size=200))
def test_any_file_is_answered(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.toml"
    file.write_bytes(content)
    assert outcome({"WATERCOOLER_CONFIG": str(file)}) != []


@given(st.dictionaries(st.sampled_from([field.name for field in fields(Settings) if field.name != "data"]), st.text(max_size=30)))
def test_any_value_is_answered(values: dict[str, str]) -> None:
    found = outcome({"WATERCOOLER_" + name.upper(): value for name, value in values.items()})
    if isinstance(found, Settings):
        assert 0 <= found.port <= 65535
    else:
        assert found
        assert {problem.split(":")[0] for problem in found} <= values.keys()


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_the_signing_key_is_the_one_set_or_one_made_once_for_its_owner_only(tmp_path: Path) -> None:
    assert settings.signing_key(Settings(data=tmp_path, secret_key=KEY)) == KEY
    assert list(tmp_path.iterdir()) == []
    mine = Settings(data=tmp_path / "new")
    together = threading.Barrier(4)
    made: list[str] = []

    def make() -> None:
        together.wait()
        made.append(settings.signing_key(mine))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1
    assert len(made[0]) >= 32
    assert [file.name for file in mine.data.iterdir()] == ["secret.key"]
    assert stat.S_IMODE((mine.data / "secret.key").stat().st_mode) == 0o600
    assert settings.signing_key(Settings(data=tmp_path / "other")) != made[0]


def test_a_damaged_key_is_said(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(SettingsError, match="is damaged"):
        settings.signing_key(Settings(data=tmp_path))


def test_the_manual_shows_every_setting_as_it_is() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page.endswith("\n\n" + settings.table())
    assert len(settings.describe()) == len(fields(Settings))
