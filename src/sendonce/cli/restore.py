"""`sendonce backup`, `restore`, `restored` and `resume-after-restore`: copies of the store, and going on from one.

They open the store themselves, so they work whether a server runs or not.
"""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from sendonce.cli import options
from sendonce.domain.clock import SystemClock
from sendonce.domain.rewind import FrozenContract, Rewind, Witness
from sendonce.domain.state import ContractState
from sendonce.settings import Settings

_WITNESSES = {
    Witness.COPY: "The store is a copy made by `sendonce backup`.",
    Witness.JOURNAL: "The journals in the state directory know of later commits than the store.",
    Witness.PERSON: "Somebody said that the store was put back.",
}


def backup(
    file: Annotated[Path, typer.Argument(help="File to make; must not exist.", show_default=False)],
    config: options.Config = None,
    store: options.Store = None,
) -> None:
    """Copy the store, consistently and while sending goes on. The copy knows that it is one."""
    uvloop.run(_backup(options.settings_of(config, store=store), file))
    typer.echo(f"{file} is a copy of the store. Put back, it stands still until `sendonce resume-after-restore`.")


def restore(
    file: Annotated[Path, typer.Argument(help="Copy to put back, or an older file of the store.", show_default=False)],
    config: options.Config = None,
    store: options.Store = None,
) -> None:
    """Put a copy in place of the store, while no process runs on it. What it replaces is kept beside it."""
    from sendonce.store.open import restore_store

    aside = restore_store(options.settings_of(config, store=store).store, file, SystemClock().wall())
    if aside is not None:
        typer.echo(f"The replaced store is {aside.name} now, in the same folder.")
    typer.echo("The copy is in place. It stands still; see `sendonce resume-after-restore --dry-run`.")


def restored(config: options.Config = None, store: options.Store = None, state_dir: options.StateDir = None) -> None:
    """Say that the store was put back to an earlier state by other means, as by a snapshot of the disk: everything
    stands still until `sendonce resume-after-restore`."""
    frozen = uvloop.run(_restored(options.settings_of(config, store=store, state_dir=state_dir)))
    typer.echo(f"{frozen} contracts stand still; see `sendonce resume-after-restore --dry-run`.")


def resume_after_restore(
    contract: Annotated[str | None, typer.Argument(help="Contract; all of them when left out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Explain, and let nothing go on.")] = False,
    config: options.Config = None,
    store: options.Store = None,
    state_dir: options.StateDir = None,
    as_json: options.AsJson = False,
) -> None:
    """Let contracts go on that stand still because the store lost history. What may have been sent since is unknown,
    and never sent again by itself."""
    settings = options.settings_of(config, store=store, state_dir=state_dir)
    found, released = uvloop.run(_resume(settings, contract, dry_run))
    if as_json:
        typer.echo(msgspec.json.encode({"rewind": found, "released": released}).decode())
        return
    for line in explain(found, contract):
        typer.echo(line)
    if released is not None:
        typer.echo(f"{released} contracts go on. Unknown messages: `sendonce unknowns --cause rewound`.")


def explain(found: Rewind, contract: str | None = None) -> list[str]:
    """What was noticed and what going on means, a sentence a line; of one contract, if one is given."""
    chosen = [one for one in found.contracts if contract in (None, one.id)]
    if not chosen and not found.missing:
        return ["Nothing stands still because of lost history."]
    lines = [_WITNESSES[found.witness]] if found.witness is not None else []
    lines += [_explain(one) for one in chosen]
    lines += [
        f"Contract {id_} is not in the store any more: {number} of its messages were handed over after the copy. "
        "Ordered again, it would send them twice."
        for id_, number in sorted(found.missing.items())
    ]
    return lines


def _explain(one: FrozenContract) -> str:
    name = f"Contract {one.id} ({one.name})" if one.name else f"Contract {one.id}"
    if one.state is ContractState.DRAFT:
        return f"{name} is a draft here and may have been sent since: started, it stands still like the others."
    if one.state is not ContractState.PAUSED:
        return f"{name} is over. What failed in it may have been sent again since: a retry has to be forced."
    if one.known:
        return (
            f"{name}: the journals know what was started since. {one.unknown} messages are unknown and wait for their "
            "receipts; going on sends the rest."
        )
    return (
        f"{name}: nobody knows what was sent since. Going on makes {one.doubtful} messages unknown "
        f"({one.unknown} are already); receipts settle them, or `sendonce unknowns --resolve`."
    )


async def _backup(settings: Settings, file: Path) -> None:
    from sendonce import compose

    async with compose.opened(settings, create=False) as store:
        await store.backup(file)


async def _restored(settings: Settings) -> int:
    from sendonce import compose

    async with compose.opened(settings, create=False) as store:
        return await store.restored()


async def _resume(settings: Settings, contract: str | None, dry_run: bool) -> tuple[Rewind, int | None]:
    from sendonce import compose

    async with compose.opened(settings, create=False) as store:
        await store.notice()
        found = await store.rewind()
        if dry_run:
            return found, None
        released = await store.resume_after_restore(contract)
        while await store.work_off():
            pass
        return found, released
