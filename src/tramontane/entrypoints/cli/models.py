"""`tramontane models`: what there is, what is here, what fits, and moving models in and out. Verbs live behind the shelf."""

import getpass
from collections.abc import Sequence
from pathlib import Path

import click

from tramontane.entrypoints.cli.ports import Application, ModelShelf, Terms
from tramontane.entrypoints.cli.progress import shown_progress
from tramontane.entrypoints.cli.tables import print_table, when
from tramontane.foundation.sizes import size_text
from tramontane.records.catalog.licences import kind_text
from tramontane.records.catalog.nouns import Alias, InstalledModel, ModelEntry

MOST_DISTANCE_NATS = 0.02


@click.group()
def models() -> None:
    """List, fetch, add, name and remove models."""


@models.command("list")
@click.option("--all", "everything", is_flag=True, help="Also the models the catalogue knows and this machine has not.")
@click.pass_obj
def list_models(application: Application, everything: bool) -> None:
    """Show the models on this machine."""
    with application.shelf(looking=True) as shelf:
        here = {model.name: model for model in shelf.installed()}
        aliases, partials = shelf.aliases(), shelf.partials()
        rows = [
            _row(entry, here.get(entry.name), shelf.terms(entry), aliases)
            for entry in shelf.known()
            if everything or entry.name in here
        ]
    print_table(("name", "state", "engine", "size", "licence", "permits", "accepted", "can", "aliases"), rows)
    for name, size_bytes in sorted(partials.items()):
        size = size_text(size_bytes)
        click.echo(
            f"{name}: {size} of an unfinished pull; pull it again to go on, `models rm {name}` drops it", err=True
        )
    if not everything:
        click.echo("`tramontane models list --all` shows what can be pulled.", err=True)


def _row(entry: ModelEntry, model: InstalledModel | None, terms: Terms, aliases: Sequence[Alias]) -> tuple[str, ...]:
    names = sorted({*entry.aliases, *(alias.name for alias in aliases if alias.target == entry.name)})
    size_bytes = model.size_bytes if model else entry.size_bytes
    return (
        entry.name, "installed" if model else "-", model.engine if model else "-",
        size_text(size_bytes) if model or size_bytes else "?", entry.licence, kind_text(terms.licence),
        _accepted(terms), ", ".join(entry.capabilities), ", ".join(names) or "-",
    )  # fmt: skip


def _accepted(terms: Terms) -> str:
    """Who accepted a licence and when; `-` where nothing has to be accepted."""
    if terms.acceptance is not None:
        return f"by {terms.acceptance.accepted_by}, {when(terms.acceptance.accepted_ns)}"
    return "no" if terms.licence.needs_acceptance else "-"


@models.command()
@click.argument("name")
@click.pass_obj
def show(application: Application, name: str) -> None:
    """Show everything known about a model."""
    with application.shelf(looking=True) as shelf:
        entry, model = shelf.find(name)
        lines = {
            "name": entry.name, "description": entry.description, "family": entry.family,
            **_licence(entry, shelf.terms(entry)),
            "parameters": f"{entry.parameters:,}" if entry.parameters else "unknown",
            "context": f"{(model.context_tokens if model else entry.context_tokens) or 'unknown'}",
            "can": ", ".join(entry.capabilities), "notes": entry.notes,
        }  # fmt: skip
        if model is not None:
            lines |= _installation(model)
    for label, text in lines.items():
        if text:
            click.echo(f"{label + ':':<14} {text}")


def _licence(entry: ModelEntry, terms: Terms) -> dict[str, str]:
    licence, accepted = terms.licence, _accepted(terms)
    if accepted == "no":
        accepted = f"no; `tramontane models pull {entry.name} --accept-licence` accepts it"
    permitted = ", ".join(licence.permits).replace("_", " ") or "nothing that is known"
    return {
        "licence": f"{licence.name} ({kind_text(licence)}). {licence.summary} {licence.url}",
        "permits": permitted, "accepted": "need not be" if accepted == "-" else accepted,
    }  # fmt: skip


def _installation(model: InstalledModel) -> dict[str, str]:
    distance = "not measured" if model.distance_nats is None else f"{model.distance_nats:+.4f} nats a token"
    return {
        "engine": model.engine, "architecture": model.architecture, "folder": model.folder, "sha256": model.sha256,
        "size": size_text(model.size_bytes), "distance": f"{distance} (prepared weights against their source)",
    }  # fmt: skip


@models.command()
@click.argument("name")
@click.option("--accept-licence", is_flag=True, help="Record that you accept the model's licence for the organisation.")
@click.pass_obj
def pull(application: Application, name: str, accept_licence: bool) -> None:
    """Fetch a model of the catalogue, check it and prepare it. An interrupted pull goes on where it stopped."""
    with application.shelf() as shelf:
        _install(shelf, shelf.find(name)[0], accept_licence)


@models.command()
@click.argument("place")
@click.option("--name", default="", help="What requests will call it; from the file's name otherwise.")
@click.option("--licence", default=None, help="Id of its licence, for the records.")
@click.option("--accept-licence", is_flag=True, help="Record that you accept that licence for the organisation.")
@click.option("--key-variable", default="", help="The variable that holds another server's key.")
@click.option("--sees-images", is_flag=True, help="Another server's model reads images; people may then attach them.")
@click.pass_obj
def add(application: Application, place: str, name: str, licence: str | None, accept_licence: bool,
        key_variable: str, sees_images: bool) -> None:  # fmt: skip
    """Add PLACE: a GGUF file, a folder with safetensors, an exported bundle (.tar), hub:OWNER/NAME, or a model of another
    OpenAI-compatible server written http://HOST:PORT/v1#MODEL."""
    with application.shelf() as shelf:
        _install(shelf, shelf.draft(place, name, licence, key_variable, sees_images), accept_licence)


@models.command()
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def export(application: Application, name: str, target: Path) -> None:
    """Write an installed model to the bundle TARGET, for a machine without a network."""
    with application.shelf(looking=True) as shelf, shown_progress() as report:
        shelf.export(name, target, report)


@models.command("rm")
@click.argument("name")
@click.pass_obj
def remove(application: Application, name: str) -> None:
    """Remove a model from this machine, or what an unfinished pull of it has left."""
    with application.shelf() as shelf:
        freed = shelf.remove(name)
    click.echo(f"removed {name}, {size_text(freed)} given back", err=True)


@models.command()
@click.argument("alias")
@click.argument("target", required=False)
@click.option("--remove", "drop", is_flag=True, help="Forget the alias.")
@click.pass_obj
def alias(application: Application, alias: str, target: str | None, drop: bool) -> None:
    """Let ALIAS (say mistral-small-latest) mean the model TARGET."""
    if bool(target) == drop:
        raise click.UsageError("give a TARGET, or --remove")
    with application.shelf() as shelf:
        if target:
            shelf.set_alias(alias, target, getpass.getuser())
        else:
            shelf.drop_alias(alias)


@models.command()
@click.argument("name", required=False)
@click.pass_obj
def fit(application: Application, name: str | None) -> None:
    """Say what this machine can hold, and why not, before anything is fetched or loaded."""
    with application.shelf(looking=True) as shelf:
        if name is not None:
            answer = shelf.fit(name)
            click.echo("\n".join((f"{name}: {'fits' if answer.fits else 'does not fit'}", *answer.lines)))
            return
        answers = [(entry.name, shelf.fit(entry.name)) for entry in shelf.known()]
    print_table(
        ("name", "fits", "because"), [(name, "yes" if one.fits else "no", one.lines[0]) for name, one in answers]
    )


@models.command()
@click.argument("name")
@click.pass_obj
def verify(application: Application, name: str) -> None:
    """Read every file of an installed model again and compare its checksums."""
    with application.shelf(looking=True) as shelf:
        shelf.verify(name)
    click.echo(f"{name}: every file is what it was on arrival", err=True)


def _install(shelf: ModelShelf, entry: ModelEntry, accept_licence: bool) -> None:
    if accept_licence:
        shelf.accept_licence(entry, getpass.getuser())
    with shown_progress() as report:
        model = shelf.add(entry, report)
    click.echo(
        f"{model.name} is ready: engine {model.engine}, {size_text(model.size_bytes)}, {model.context_tokens} tokens of context"
    )
    if model.distance_nats is not None:
        click.echo(f"prepared weights are {model.distance_nats:+.4f} nats a token from their source on held text")
        if model.distance_nats > MOST_DISTANCE_NATS:
            click.echo(f"that is more than {MOST_DISTANCE_NATS}: compare its answers before relying on it", err=True)
