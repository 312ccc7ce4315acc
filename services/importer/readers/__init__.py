"""Readers of source files: each yields records and, in their place, what could not be read; none raises for what a file holds."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ..mapping import Part
from . import ldif, tables, texts
from .model import RECORDS_MAX, Bad, Record

FORMATS = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".ldif": "ldif",
    ".md": "markdown", ".markdown": "markdown",
}
FILES_MAX = 200_000


def read(root: Path, part: Part, bytes_max: int) -> Iterator[Record | Bad]:
    """The records of a part of an import, in the order of the file names; `bytes_max` is the largest file."""
    count = 0
    for path, shown in files(root, part):
        for found in _read_file(path, shown, part, bytes_max):
            count += 1
            if count > RECORDS_MAX:
                yield Bad(shown, f"there are more than {RECORDS_MAX:,} records: split the source")
                return
            yield found
    if not count:
        yield Bad(root.name or str(root), "holds no records" + (f" in {part.files}" if part.files and root.is_dir() else ""))


def files(root: Path, part: Part) -> list[tuple[Path, str]]:
    """The files of a part with the names reports use, below a folder, or the one file that the source is."""
    if root.is_file():
        return [(root, root.name)]
    found = [path for path in root.glob(part.files or "**/*") if path.is_file()]
    # A name of bytes that are no UTF-8 is shown with escapes, since reports and messages are UTF-8.
    named = [(path, path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()) for path in found]
    kept = [
        (path, shown) for path, shown in named
        if (part.format or path.suffix.lower() in FORMATS) and not any(PurePosixPath(shown).match(each) for each in part.exclude)
    ]
    return sorted(kept, key=lambda each: each[1])[:FILES_MAX]


def _read_file(path: Path, shown: str, part: Part, bytes_max: int) -> Iterator[Record | Bad]:
    try:
        size = path.stat().st_size
        if size > bytes_max:
            yield Bad(shown, f"the file has {size:,} bytes, more than {bytes_max:,}: split it, or raise the setting import_bytes_max")
            return
        form = part.format or FORMATS.get(path.suffix.lower(), "")
        match form:
            case "csv":
                yield from tables.read_csv(path, shown, part.delimiter or ("\t" if path.suffix.lower() == ".tsv" else ","), part.encoding)
            case "jsonl":
                yield from tables.read_json_lines(path, shown, part.encoding)
            case "ldif":
                yield from ldif.read(path, shown)
            case "yaml" | "toml" | "markdown":
                yield from texts.read(path, shown, form, part)
            case _:
                yield Bad(shown, "the format is not clear from the name: say format in the mapping")
    except OSError as error:
        yield Bad(shown, f"cannot be read: {error.strerror or error}")
