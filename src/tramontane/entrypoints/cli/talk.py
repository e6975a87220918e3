"""`tramontane chat` and `tramontane complete`: talk to a model in the terminal, with an engine of one's own and no server."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import click
import msgspec

from tramontane.engine.facade import EngineRoom
from tramontane.entrypoints.cli.ports import Application
from tramontane.entrypoints.cli.progress import shown_progress
from tramontane.foundation.errors import EngineFailed, TramontaneError
from tramontane.foundation.events import Failed, Finished, TextDelta, ThinkingDelta
from tramontane.foundation.ids import new_id
from tramontane.foundation.nouns import Ask, Caller, Limits, Message, Sampling, Spend, TextChunk

model_option = click.option("--model", default=None, help="Name or alias; the default model otherwise.")
system_option = click.option("--system", default=None, help="A system prompt.")
length_option = click.option("--max-tokens", type=click.IntRange(min=1), default=None, help="Longest answer.")
temperature_option = click.option("--temperature", type=click.FloatRange(0, 2), default=None)


@click.command()
@model_option
@system_option
@length_option
@temperature_option
@click.pass_obj
def chat(application: Application, model: str | None, system: str | None, max_tokens: int | None,
         temperature: float | None) -> None:  # fmt: skip
    """Talk to a model. It remembers the conversation; /new forgets it, /quit or Ctrl-D ends, Ctrl-C stops an answer."""
    template = _template(application, model, max_tokens, temperature)
    asyncio.run(_converse(application, template, system))


@click.command()
@click.argument("prompt", required=False)
@model_option
@system_option
@length_option
@temperature_option
@click.option("--count", is_flag=True, help="Print how many tokens the prompt has, and answer nothing.")
@click.pass_obj
def complete(application: Application, prompt: str | None, model: str | None, system: str | None,
             max_tokens: int | None, temperature: float | None, count: bool) -> None:  # fmt: skip
    """Answer PROMPT (or standard input) once and print the answer alone on standard output."""
    text = prompt if prompt is not None else sys.stdin.read()
    template = _template(application, model, max_tokens, temperature)
    asyncio.run(_complete(application, template, [*_system(system), _turn("user", text)], count))


def _template(application: Application, model: str | None, max_tokens: int | None, temperature: float | None) -> Ask:
    return Ask(
        id="", model=model or application.settings.default_model, limits=Limits(max_tokens=max_tokens),
        sampling=Sampling(temperature=temperature),
    )  # fmt: skip


@asynccontextmanager
async def _opened(application: Application, model: str) -> AsyncIterator[tuple[EngineRoom, Caller]]:
    """The engine, its progress shown until it answers and no longer."""
    async with AsyncExitStack() as stack:
        with shown_progress() as report:
            opened = await stack.enter_async_context(application.engine(model, report))
        yield opened


async def _complete(application: Application, template: Ask, messages: list[Message], count: bool) -> None:
    async with _opened(application, template.model) as (engine, caller):
        if count:
            click.echo(await engine.count(caller, _ask(template, messages)))
            return
        _, spend, seconds = await _answer(engine, caller, template, messages)
        click.echo()
        click.echo(_speed(spend, seconds), err=True)


async def _converse(application: Application, template: Ask, system: str | None) -> None:
    async with _opened(application, template.model) as (engine, caller):
        click.echo(f"{template.model}. /new starts over, /quit ends, Ctrl-C stops an answer.", err=True)
        messages = _system(system)
        while (line := await _line()) is not None:
            if line == "/new":
                messages = _system(system)
            elif line:
                messages = await _turn_taken(engine, caller, template, [*messages, _turn("user", line)])


async def _turn_taken(engine: EngineRoom, caller: Caller, template: Ask, messages: list[Message]) -> list[Message]:
    """The history after this turn; a refused or stopped turn is taken back so that the next one is sound."""
    turn = asyncio.ensure_future(_answer(engine, caller, template, messages))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(2, turn.cancel)
    try:
        text, spend, seconds = await turn
    except asyncio.CancelledError:
        click.echo("\n(stopped)", err=True)
        return messages[:-1]
    except TramontaneError as error:
        click.echo(f"tramontane: {error.message}", err=True)
        return messages[:-1]
    finally:
        loop.remove_signal_handler(2)
    click.echo()
    click.echo(_speed(spend, seconds), err=True)
    return [*messages, _turn("assistant", text)]


async def _line() -> str | None:
    """One line from the person; None at the end of input or /quit. On a terminal Ctrl-C ends the wait at once."""
    click.echo("> ", nl=False)
    if not sys.stdin.isatty():
        line = await asyncio.to_thread(sys.stdin.readline)
    else:
        # A thread in `readline` could not be interrupted, and the end of the program would wait for it.
        loop, typed = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(sys.stdin, typed.set)
        try:
            await typed.wait()
        finally:
            loop.remove_reader(sys.stdin)
        line = sys.stdin.readline()
    text = line.strip()
    return None if not line or text in ("/quit", "/exit") else text


async def _answer(
    engine: EngineRoom, caller: Caller, template: Ask, messages: list[Message]
) -> tuple[str, Spend, float]:
    """Stream one answer to the terminal. Raises EngineFailed when it broke off."""
    opened = await engine.open(caller, _ask(template, messages), dialect="terminal")
    pieces: list[str] = []
    began = time.monotonic()
    spend = Spend()
    async with aclosing(opened.events()) as events:
        async for batch in events:
            for event in batch:
                if isinstance(event, TextDelta):
                    pieces.append(event.text)
                    click.echo(event.text, nl=False)
                elif isinstance(event, ThinkingDelta):
                    click.echo(click.style(event.text, dim=True), nl=False, err=True)
                elif isinstance(event, Finished):
                    spend = event.spend
                elif isinstance(event, Failed):
                    raise EngineFailed(event.message, code=event.code)
    return "".join(pieces), spend, time.monotonic() - began


def _ask(template: Ask, messages: list[Message]) -> Ask:
    return msgspec.structs.replace(template, id=new_id("cmpl"), messages=tuple(messages))


def _speed(spend: Spend, seconds: float) -> str:
    rate = spend.generated_tokens / seconds if seconds > 0 else 0.0
    return (
        f"[{spend.prompt_tokens} prompt tokens, {spend.cached_tokens} of them cached; "
        f"{spend.generated_tokens} generated, {rate:.0f} tokens/s]"
    )


def _system(text: str | None) -> list[Message]:
    return [_turn("system", text)] if text else []


def _turn(role: str, text: str) -> Message:
    return Message(role=role, content=(TextChunk(text),))  # type: ignore[arg-type]
