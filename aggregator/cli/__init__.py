"""The command line: parse, call one function, print.

Commands are imported when they are called, so that `--help` and `search` never pay for what only polling needs.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from importlib import import_module
from typing import TYPE_CHECKING

import click

from aggregator import ending
from aggregator.errors import AggregatorError, QueryError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module:attribute, one line of help)
    "run": ("daemon:run", "Run the daemon: poll every feed at its interval until told to stop."),
    "poll": ("poll:poll", "Poll all feeds, or those named, once and now."),
    "search": ("search:search", "Find articles by words, phrases, clauses and dates."),
    "saved": ("saved:saved", "List, show, rename and remove the searches kept by search --save."),
    "show": ("show:show", "Show one article, its evidence and its revisions."),
    "stories": ("stories:stories", "List the stories: articles on one event."),
    "story": ("stories:story", "Show one story, its outlets side by side."),
    "not-a-reprint": ("stories:not_a_reprint", "Say that two articles are not the same text."),
    "agreements": ("tag:agreements", "List, show, add and check agreements and their clauses."),
    "tag": ("tag:tag", "Say which clauses a text discusses, and where."),
    "retag": ("retag:retag", "Tag the archive again after a change of the agreements."),
    "import": ("files:import_", "Read article files and folders into the archive."),
    "export": ("files:export", "Write articles to files, in any dialect or for other tools."),
    "feeds": ("feeds:feeds", "List, check, add, remove, import and export feeds."),
    "subscribers": ("subscribers:subscribers", "Add, list, pause, resume and remove readers of the digest."),
    "digest": ("digest:digest", "Preview, send and look back at digest e-mails."),
    "stats": ("numbers:stats", "Count articles, stories, reprints and tags."),
    "coverage": ("numbers:coverage", "Show which clause is discussed by which outlet, or when."),
    "timeline": ("numbers:timeline", "Show how much was written on a clause over time."),
    "compare": ("numbers:compare", "Set the outlets of a story side by side."),
    "report": ("report:report", "Write a report as one self-contained page."),
    "cite": ("cite:cite", "Write an article with its evidence and checksums, or verify such a folder."),
    "browse": ("browse:browse", "Open the archive in a web browser, read-only, with SQL."),
    "archive": ("archive:archive", "Upgrade, check, back up and repair the archive."),
    "service": ("service:service", "Print the systemd unit that keeps the daemon running."),
    "completion": ("complete:completion", "Make bash, zsh or fish complete commands, options and values."),
    "doctor": ("doctor:doctor", "Check the whole set-up and say what to do."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table, which is the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import and give the command; None for an unknown name."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        found: click.Command = getattr(import_module(f"aggregator.cli.{module}"), attribute)
        return found

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands from the table, so that a press of Tab imports none of them."""
        from click.shell_completion import CompletionItem

        named = [
            CompletionItem(name, help=line) for name, (_where, line) in COMMANDS.items() if name.startswith(incomplete)
        ]
        return named if incomplete[:1] != "-" else click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_where, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name when there is none."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"; did you mean {near[0]}?" if near else "; aggregator --help lists the commands"
            raise click.UsageError(f"there is no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Examples:\n\n  aggregator poll\n\n  aggregator search 甲烷 --since 7d\n\n  aggregator show 12 --evidence",
)
@click.option("--archive", metavar="PATH|URL", help="The archive: a file or postgresql://…  [AGGREGATOR_ARCHIVE]")
@click.option("--feeds", metavar="FILE", help="The list of feeds.  [AGGREGATOR_FEEDS]")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", help="How log lines look.")
@click.option("--no-pager", is_flag=True, help="Print long lists at once.  [PAGER=]")
@click.version_option(package_name="aggregator", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, archive: str | None, feeds: str | None, log_format: str, *, no_pager: bool) -> None:
    """Monitor the news: which clause of an agreement the press talks about, in whose words, and who copied whom."""
    from aggregator.app import App

    if ctx.invoked_subcommand != "run":
        ending.forget()
    if no_pager:
        os.environ["PAGER"] = ""
    ctx.obj = App(archive_url=archive, feeds_file=feeds, log_format=log_format)


def main(args: list[str] | None = None) -> None:
    """Run a command line and leave with its exit status: 0 done, 1 the work failed, 2 wrong usage."""
    if "_AGGREGATOR_COMPLETE" in os.environ:
        import_module("aggregator.cli.complete")
    _leave(_status(args))


def _status(args: list[str] | None) -> int:
    try:
        status = cli.main(args, prog_name="aggregator", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - an import that is broken off by a signal may raise anything
        return ending.status(error) if ending.is_told() else _status_of(error)
    return status if isinstance(status, int) else 0


def _status_of(error: BaseException) -> int:  # noqa: PLR0911 - a table of what can happen and its status
    """What can happen, said where it has to be, and its status."""
    match error:
        case click.exceptions.Exit():
            return error.exit_code
        case SystemExit():
            return error.code if isinstance(error.code, int) else 1
        case click.Abort() | KeyboardInterrupt():
            return ending.INTERRUPTED
        case click.ClickException():
            _say_usage(error)
            return 2 if isinstance(error, click.UsageError) else 1
        case AggregatorError():
            _say(_pointed(error) if isinstance(error, QueryError) else str(error))
            return error.status
        case BrokenPipeError():
            # The reader of our output has gone (`| head`): nothing is wrong, and nothing more can be said.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
    if ending.came_of_ctrl_c(error):
        return ending.INTERRUPTED
    if os.environ.get("AGGREGATOR_DEBUG"):
        raise error
    _say(f"unexpected {type(error).__name__}: {error}; set AGGREGATOR_DEBUG=1 to see where, and report it")
    return 1


def _leave(status: int) -> None:
    """Exit. Fetches still under way are dropped: Python would wait for their threads until they time out.

    Nothing is left to collect: looking at every object of every library once more takes a fifth of a short command.
    """
    gc.freeze()
    if any(thread.name.startswith(("fetch", "job")) for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _say(message: str) -> None:
    click.echo(f"aggregator: {message}", err=True)


def _say_usage(error: click.ClickException) -> None:
    usage = getattr(error, "ctx", None)
    where = f" (see {usage.command_path} --help)" if usage else ""
    _say(f"{error.format_message().rstrip('.')}{where}")


def _pointed(error: QueryError) -> str:
    if not error.query:
        return str(error)
    return f"{error}\n  {error.query}\n  {' ' * (error.column - 1)}^"
