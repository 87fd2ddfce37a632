"""The command line's flags: the same name, letter and meaning everywhere."""

from typing import Annotated

import typer

Recipe = Annotated[
    str | None, typer.Option("--recipe", "-r", metavar="NAME|PATH", help="Read configs/NAME/, or a TOML file")
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", "-s", metavar="KEY=VALUE", help="Overrule a key of the recipe")
]
Tag = Annotated[str | None, typer.Option("--tag", metavar="TAG", help="Name what is made")]
Checkpoint = Annotated[str, typer.Option("--tag", metavar="TAG[@STEP]", help="Choose the checkpoint")]
Nproc = Annotated[int | None, typer.Option("--nproc", min=1, metavar="N", help="Train in N processes, one per GPU")]
Plan = Annotated[bool, typer.Option("--plan", help="Show what would run, how long and for how much, and stop")]
Until = Annotated[str | None, typer.Option("--until", metavar="STAGE", help="Stop after this stage")]
From = Annotated[str | None, typer.Option("--from", metavar="STAGE", help="Begin at this stage")]
Redo = Annotated[bool, typer.Option("--redo", help="Run again what has run already, paid stages too")]
Json = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON on stdout")]
Detach = Annotated[bool, typer.Option("--detach", help="Go on without this terminal; attach shows it again")]
MaxRestarts = Annotated[
    int, typer.Option("--max-restarts", min=0, metavar="N", help="Start again N times when a process dies")
]
Nnodes = Annotated[int, typer.Option("--nnodes", min=1, metavar="N", help="Train on N machines that share a home")]
NodeRank = Annotated[int, typer.Option("--node-rank", min=0, metavar="R", help="Say which of them this is, from 0")]
Rdzv = Annotated[str | None, typer.Option("--rdzv", metavar="HOST:PORT", help="Meet the others at machine 0")]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, show_default=False, help="Show where an error came from")
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="N", help="Draw with this seed")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, metavar="N", help="Work in N processes")]
Rank = Annotated[int, typer.Option("--rank", min=0, metavar="I", help="Do this share of the work, from 0")]
Of = Annotated[int, typer.Option("--of", min=1, metavar="N", help="Share the work among N machines")]
