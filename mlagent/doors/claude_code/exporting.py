"""`mlagent agents export`: writes the files, and merges the hooks into settings.json.

Guarantees: all files are made before the first is written; a file that no export wrote, or that
somebody changed since, is never overwritten unless `force`, and then only after a copy of it was
kept; settings.json is only added to, after a copy was kept, and refused when it is a link; a second
export without a change writes nothing. Each file is written by rename and keeps its permissions, as
does its copy. Does not install anything and does not start Claude Code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlagent.content import Content
from mlagent.contracts.errors import BadInput

from .earlier import in_the_way
from .files import PLACES, SCOPES, Scope, export_files, hook_groups
from .hooks_off import hooks_off
from .settings_merge import merged
from .user_folder import is_the_users, user_folder, user_folders
from .writing import keep_copy, write_file

DEFAULT_PLUGIN_FOLDER = "mlagent-plugin"
MAX_LISTED = 5
LISTING = "claude --agent none -p hi"
"""Claude Code 2.1.329 has no command that lists subagents; an unknown one makes it name all."""


@dataclass(frozen=True)
class Exported:
    """What an export did. Paths are below `folder`.

    written: new or changed. same: stood there already. kept: copies of what was replaced.
    """

    scope: Scope
    folder: Path
    written: tuple[str, ...]
    same: tuple[str, ...]
    kept: tuple[str, ...]
    notes: tuple[str, ...]
    next: str

    def as_json(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "schema": "mlagent/agents-export/v1",
            "scope": self.scope,
            "folder": str(self.folder),
            "written": list(self.written),
            "unchanged": list(self.same),
            "backups": list(self.kept),
            "notes": list(self.notes),
            "next": self.next,
        }


def default_folder(scope: Scope) -> Path:
    """Where `--out` points when it is not given."""
    if scope == "user":
        return user_folder()
    return Path() if scope == "project" else Path(DEFAULT_PLUGIN_FOLDER)


def export_agents(content: Content, scope: str, out: Path | None, *, force: bool) -> Exported:
    """Write subagents, hooks and, for a plugin, everything around them.

    Args:
        out: the project, the configuration folder of the user, or the folder of the marketplace.
        force: replace files that no export wrote as they stand there; copies of them are kept.

    Raises:
        BadInput: an unknown scope, the user's own folder as a project, a file in the way, or a
            settings.json that cannot be merged.
    """
    chosen = next((known for known in SCOPES if known == scope), None)
    if chosen is None:
        raise BadInput(f"There is no scope {scope!r}.", remedy=f"Known: {', '.join(SCOPES)}.")
    folder = out if out is not None else default_folder(chosen)
    if folder.exists() and not folder.is_dir():
        raise BadInput(f"{str(folder)!r} is no folder.", remedy="Give --out a folder.")
    if chosen == "project" and is_the_users(folder / ".claude"):
        raise BadInput(
            f"{str(folder.resolve() / '.claude')!r} is your own configuration of Claude Code, for "
            "all projects, and not a project's. Nothing was changed.",
            remedy="Go into the project, or name it with --out; for all projects: --scope user.",
        )
    files = export_files(content, chosen)
    notes = _leave_attributes(folder, files)
    replaced = in_the_way(folder, chosen, files)
    if replaced and not force:
        shown = ", ".join(repr(str(folder / path)) for path in replaced[:MAX_LISTED])
        more = f" and {len(replaced) - MAX_LISTED} more" if len(replaced) > MAX_LISTED else ""
        raise BadInput(
            f"mlagent did not write {shown}{more} as it stands there, so nothing was changed.",
            remedy="Move it away, choose another --out, or give --force: a copy is kept.",
        )
    if chosen != "plugin":
        name = PLACES[chosen].inside("settings.json")
        _refuse_link(folder / name)
        before = _text(folder / name)
        files[name] = merged(before, hook_groups(chosen), str(folder / name))
        if before is not None and before != files[name]:
            replaced.append(name)
    notes += hooks_off(_settings_folders(folder, chosen))
    kept = [keep_copy(folder / path) for path in replaced]
    written, same = _write(folder, files)
    return Exported(
        scope=chosen,
        folder=folder,
        written=written,
        same=same,
        kept=tuple(str(path.relative_to(folder)) for path in kept),
        notes=tuple(notes),
        next=_next(chosen, folder),
    )


def _settings_folders(folder: Path, scope: Scope) -> list[Path]:
    """Where settings lie that hold for the exported hooks, the nearest first."""
    if scope == "user":
        return [folder]
    own = [folder / ".claude"] if scope == "project" else []
    return [*own, *user_folders()[:1]]


def _write(folder: Path, files: dict[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    written, same = [], []
    for path, text in files.items():
        target = folder / path
        data = text.encode()
        if target.is_file() and target.read_bytes() == data:
            same.append(path)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target.resolve(), data)
        written.append(path)
    return tuple(written), tuple(same)


def _leave_attributes(folder: Path, files: dict[str, str]) -> list[str]:
    """A .gitattributes that stands there stays; says so where it leaves line ends open."""
    notes = []
    for path in [path for path in files if path.endswith(".gitattributes")]:
        there = _text(folder / path)
        if there is not None and there != files[path]:
            del files[path]
            if "*.md text eol=lf" not in there:
                notes.append(f"{path} is yours and was left; add '*.md text eol=lf' to it.")
    return notes


def _refuse_link(settings: Path) -> None:
    """Settings behind a link belong to something else too. Raises BadInput."""
    if settings.is_symlink():
        raise BadInput(
            f"{str(settings)!r} is a link, so nothing was changed.",
            remedy=f"Put a file in its place (it leads to {str(settings.readlink())!r}), or choose "
            "another --out.",
        )


def _text(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInput(f"{str(path)!r} cannot be read: {problem}.") from None


def _next(scope: Scope, folder: Path) -> str:
    if scope == "plugin":
        add = f"/plugin marketplace add {folder.resolve()}"  # a bare name would be refused there
        return f"In Claude Code: {add}, then /plugin install mlagent@mlagent"
    return (
        "Start Claude Code again and say, for example: ml-engineer: churn model for churn.csv. "
        f"`{LISTING}` asks no model; its error names the agents that were found."
    )
