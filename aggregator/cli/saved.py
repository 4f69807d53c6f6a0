"""`saved`: the searches kept under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aggregator.cli import complete, output

if TYPE_CHECKING:
    from aggregator.app import App
    from aggregator.store.saved import SavedSearch


@click.group(
    epilog="Examples:\n\n  aggregator search '甲烷 OR methane' --save methane\n\n  aggregator saved list\n\n"
    "  aggregator search saved:methane lang:en"
)
def saved() -> None:
    """List, show, rename and remove the searches that `search --save NAME` keeps.

    saved:NAME stands for one wherever a query is taken: search, export, report, stats, subscribers, Atom feeds.
    """


@saved.command(name="list", epilog="Example:\n\n  aggregator saved list --format json")
@click.option("--format", "form", type=click.Choice(output.FORMATS), default="table", help="How to print.")
@click.pass_obj
def list_(app: App, form: str) -> None:
    """List the saved searches, and who uses them."""
    from aggregator.store import saved as store

    with app.archive().reading() as connection:
        found = store.every(connection)
    if not found and form == "table":
        click.echo("no search is saved; `aggregator search QUERY --save NAME` keeps one", err=True)
        return
    output.rows([_row(one) for one in found], form)


def _row(one: SavedSearch) -> dict[str, Any]:
    changed = one.changed.isoformat(timespec="minutes")
    return {"name": one.name, "query": one.query, "changed": changed, "used by": list(one.used_by)}


@saved.command(epilog="Example:\n\n  aggregator saved show methane")
@click.argument("name", shell_complete=complete.saved)
@click.pass_obj
def show(app: App, name: str) -> None:
    """Print the query of a saved search."""
    from aggregator.store import saved as store

    with app.archive().reading() as connection:
        one = store.get(connection, name)
    click.echo(one.query)
    if one.used_by:
        click.echo(f"used by {', '.join(one.used_by)}", err=True)


@saved.command(epilog="Example:\n\n  aggregator saved rename methane ch4")
@click.argument("name", shell_complete=complete.saved)
@click.argument("new", metavar="NEW")
@click.pass_obj
def rename(app: App, name: str, new: str) -> None:
    """Give a saved search another name, also where subscribers and other saved searches use it."""
    from aggregator.app import now
    from aggregator.store import saved as store

    with app.opened() as archive, archive.writing() as connection:
        users = store.rename(connection, name, new, now())
    click.echo(f"{name} is called {new} now{', also by ' + ', '.join(users) if users else ''}", err=True)


@saved.command(epilog="Example:\n\n  aggregator saved remove methane")
@click.argument("name", shell_complete=complete.saved)
@click.option("--force", is_flag=True, help="Even though subscribers or other saved searches use it.")
@click.pass_obj
def remove(app: App, name: str, *, force: bool) -> None:
    """Forget a saved search; refused while something uses it."""
    from aggregator.store import saved as store

    with app.opened() as archive, archive.writing() as connection:
        store.remove(connection, name, force=force)
    click.echo(f"{name} is removed", err=True)
