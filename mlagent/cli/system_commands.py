"""`mlagent doctor`, `sandbox build`, `agents`, `contracts`: the house itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import Json, as_dict, console, print_json

sandbox_app = typer.Typer(help="The sandbox image.", no_args_is_help=True, rich_markup_mode=None)
agents_app = typer.Typer(help="The team.", no_args_is_help=True, rich_markup_mode=None)
contracts_app = typer.Typer(help="What binds them.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(epilog="Example:\n\n  mlagent doctor")(doctor)
    app.add_typer(sandbox_app, name="sandbox")
    app.add_typer(agents_app, name="agents")
    app.add_typer(contracts_app, name="contracts")


def doctor(
    fresh: Annotated[bool, typer.Option("--fresh", help="Run the canaries again.")] = False,
    as_json: Json = False,
) -> None:
    """Check prerequisites and prove the sandbox's limits with canaries."""
    from rich.table import Table
    from rich.text import Text

    from mlagent.contracts.errors import PrerequisiteMissing
    from mlagent.orchestrator.checkup import check_up

    found = check_up(fresh=fresh)
    if as_json:
        print_json(found.as_json())
    else:
        table = Table("check", "ok", "detail")
        for item in found.items:
            table.add_row(Text(item.name), "yes" if item.ok else "NO", Text(item.detail))
        console().print(table)
        console().print(found.sentence)
    missing = [item for item in found.items if not item.ok and item.required]
    if missing:
        raise PrerequisiteMissing(
            "; ".join(f"{item.name}: {item.detail}" for item in missing),
            remedy=missing[0].remedy,
        )


@sandbox_app.command(
    "build",
    epilog="Examples:\n\n  mlagent sandbox build\n\n"
    "  mlagent sandbox build --base my-base:1 --wheelhouse wheels/",
)
def sandbox_build(
    base: Annotated[str | None, typer.Option(help="Base image; default python:3.12-slim.")] = None,
    wheelhouse: Annotated[
        Path | None, typer.Option(help="Folder of wheels, for offline use.")
    ] = None,
) -> None:
    """Build the image that candidates run in."""
    from mlagent.orchestrator.checkup import build_sandbox

    image = build_sandbox(base, wheelhouse, typer.echo)
    typer.echo(f"built {image}")


@sandbox_app.command("sweep")
def sandbox_sweep() -> None:
    """Remove containers and volumes that a dead mlagent process left behind."""
    from mlagent.orchestrator.checkup import sweep_orphans

    removed = sweep_orphans()
    typer.echo(f"removed {len(removed)}: {', '.join(removed)}" if removed else "nothing to remove")


@agents_app.command("list")
def agents_list(as_json: Json = False) -> None:
    """The three agents, what they handle, and whom they delegate to."""
    from rich.table import Table
    from rich.text import Text

    from mlagent.agents.registry import load_contracts
    from mlagent.content import Content

    contracts = load_contracts(Content())
    if as_json:
        print_json({role: as_dict(contract) for role, contract in contracts.items()})
        return
    table = Table("agent", "role", "handles", "delegates")
    for role, contract in contracts.items():
        table.add_row(
            Text(role),
            Text(contract.role),
            Text("\n".join(item.topic for item in contract.routing.handles)),
            Text(
                "\n".join(
                    f"{item.topic} -> {item.delegate_to or 'out of scope'}"
                    for item in contract.boundaries
                )
            ),
        )
    console().print(table)


@contracts_app.command("list")
def contracts_list(as_json: Json = False) -> None:
    """The contracts with their versions and files."""
    from mlagent.agents.registry import load_contracts
    from mlagent.content import Content

    content = Content()
    contracts = load_contracts(content)
    if as_json:
        print_json({role: item.version for role, item in contracts.items()})
        return
    for role, item in contracts.items():
        typer.echo(f"{role}  {item.version}  {content.path(f'contracts/{role}.yaml')}")


@contracts_app.command("explain", epilog="Example:\n\n  mlagent contracts explain ml-engineer")
def contracts_explain(
    agent: Annotated[str, typer.Argument(help="ml-engineer, data-explorer, statistical-analyst")],
    as_json: Json = False,
) -> None:
    """Each clause of one contract and where it is enforced; 'advisory' is said."""
    from rich.table import Table
    from rich.text import Text

    from mlagent.agents.registry import explain, load_contracts
    from mlagent.content import Content
    from mlagent.contracts.errors import BadInput

    contracts = {str(role): item for role, item in load_contracts(Content()).items()}
    if agent not in contracts:
        raise BadInput(f"There is no agent {agent!r}.", remedy=f"Known: {', '.join(contracts)}.")
    rows = explain(contracts[agent])
    if as_json:
        print_json([{"clause": c, "value": v, "enforced_by": e} for c, v, e in rows])
        return
    table = Table("clause", "value", "enforced by")
    for clause, value, enforced in rows:
        table.add_row(Text(clause), Text(str(value)), Text(enforced))
    console().print(table)


@contracts_app.command("validate", epilog="Example:\n\n  mlagent contracts validate my.yaml")
def contracts_validate(
    files: Annotated[list[Path] | None, typer.Argument(help="Default: the shipped ones.")] = None,
) -> None:
    """Check contract files and their routing; errors name file, line, field and what is allowed."""
    from mlagent.agents.registry import load_contracts
    from mlagent.content import Content
    from mlagent.contracts.contract import Contract
    from mlagent.contracts.errors import BadInput
    from mlagent.documents import read_record
    from mlagent.orchestrator.planning import load_policies
    from mlagent.orchestrator.routing import check_routing

    content = Content()
    chosen = files or sorted(content.path("contracts").glob("*.yaml"))
    given = {}
    for file in chosen:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise BadInput(f"{str(file)!r} cannot be read: {problem}.") from None
        contract = read_record(Contract, text, str(file), format="yaml")
        given[contract.name] = contract
        typer.echo(f"ok  {contract.name}  {file}")
    check_routing(load_policies(content).routing, {**load_contracts(content), **given})
    typer.echo(f"ok  routing  {content.path('orchestrator/routing.yaml')}")
