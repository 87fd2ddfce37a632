"""The stages that make a base model from nothing: its tokenizer, its packed text and its weights."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

from samosa import home
from samosa.chat.conversation import parse_row
from samosa.chat.tokenizer import Tokenizer, load_tokenizer, save_tokenizer, train_tokenizer
from samosa.config import Recipe
from samosa.data import generate, shards
from samosa.data.packing import Doc, pack_to, row_dtype
from samosa.data.tokens.register import validation_names
from samosa.data.tokens.shard import docs_of_shards
from samosa.errors import BadInput, NotReady
from samosa.model.config import ModelConfig
from samosa.phases.data_stages import generated
from samosa.phases.doctor import Check, missing
from samosa.phases.fit import Machine, describe, fitted, refuse_other_run, tell_account, that_matter
from samosa.phases.horizon import Horizon
from samosa.phases.init import sampled, still_there
from samosa.phases.settings import STDLIB, Corpus, TokenizerText
from samosa.phases.sizes import Context, DataSize, Size, cpu_size, train_size
from samosa.phases.stage import Facts, Named, Shelf, Stage, Work
from samosa.train.job import Job
from samosa.train.scaling import Dial
from samosa.train.settings import Train

TEXT = "1"  # raise it when the same corpus gives other documents


def tokenizer_stage(text: TokenizerText, corpus: Corpus, config: ModelConfig, *, prefix: str = "") -> Stage | Named:
    """tokenizer: train one on the corpus and on generated chat.

    A home has one tokenizer. Where it was not made by this very stage it is taken as it is, and the answer is Named.
    """
    chats = sum(text.chats.rows.values())
    what = f"{config.vocab_size:,} tokens from {text.characters:,} characters and {chats:,} chats"

    def run(work: Work) -> Facts:
        from samosa.model.checkpoint import save_token_bytes

        words = [*_first_characters(training_text(corpus), text.characters), *_chat_text(text)]
        tokenizer = train_tokenizer(words, config.vocab_size)
        save_tokenizer(tokenizer, home.tokenizer_dir())
        save_token_bytes(tokenizer, home.tokenizer_dir())
        return {"said": f"{tokenizer.vocab_size:,} tokens, in {home.tokenizer_dir().name}/", "hash": tokenizer.hash}

    stage = Stage(
        f"{prefix}tokenizer",
        what,
        run,
        inputs=_files(corpus),
        settings={"text": text.model_dump(), "vocab_size": config.vocab_size, "corpus": _whence(corpus)},
        version=f"{generate.VERSION}.{TEXT}",
        size=lambda ctx: cpu_size("tokenizer", what, ctx),
        still_true=lambda facts: _tokenizer_hash() == facts["hash"],
    )
    there = _tokenizer_hash()
    return Named("tokenizer", there) if there is not None and Shelf().find(stage) is None else stage


def pack_stage(corpus: Corpus, train: Train, tokenizer: Stage | Named, *, prefix: str = "") -> Stage:
    """pack: the corpus as rows of tokens, with the held-out text beside it."""
    what = f"{corpus.tokens:,} tokens from {corpus.source}, {corpus.validation_tokens:,} held out"

    def run(work: Work) -> Facts:
        words = load_tokenizer(home.tokenizer_dir())
        said, tokens = {}, {}
        for part, every, limit in (
            ("training", training_docs(corpus, words), corpus.tokens),
            ("validation", held_out_docs(corpus, words), corpus.validation_tokens),
        ):
            docs = _first_tokens(every, limit)
            rows = pack_to(
                work.out / part,
                docs,
                length=train.length,
                overlong=train.overlong,
                seed=train.seed,
                pad=words.bos,
                dtype=row_dtype(words.vocab_size, train.length),
            )
            if not len(rows):
                raise BadInput(f"{corpus.source} has no {part} text", hint="name another corpus.source")
            tell_account(f"  packed {part}: {describe(rows)}", rows)
            said[part], tokens[part] = describe(rows), (len(rows), rows.tokens)
        return {"said": said["training"], "held_out": said["validation"], "rows": tokens["training"]}

    return Stage(
        f"{prefix}pack",
        what,
        run,
        inputs={"tokenizer": tokenizer, **_files(corpus)},
        settings={
            **_whence(corpus),
            "tokens": [corpus.tokens, corpus.validation_tokens],
            "rows": train.model_dump(include={"length", "overlong", "seed"}),
        },
        version=TEXT,
        size=lambda ctx: cpu_size("pack", what, ctx),
    )


def pretrain_stage(
    *,
    recipe: Recipe,
    tag: str,
    train: Train,
    config: ModelConfig,
    corpus: Corpus,
    rows: Stage,
    machine: Machine,
    dial: Dial | None = None,
    prefix: str = "",
) -> Stage:
    """pretrain: a base model under `tag`, from fresh weights."""

    def run(work: Work) -> Facts:
        horizon = Horizon(train, work.reprint)
        refuse_other_run(tag, "base", work.fingerprint, group=prefix, horizon=horizon)
        model_config, explicit = config.to_meta()
        packed = work.made["rows"].directory
        job = Job(
            tag=tag,
            kind="base",
            stage="pretrain",
            run_dir=str(home.run_dir(tag)),
            out_dir=str(home.checkpoint_dir("base", tag)),
            init=None,
            model_config={"model_config": model_config, "samosa": explicit},
            rows_dir=str(packed / "training"),
            val_dir=str(packed / "validation"),
            tokenizer_dir=str(home.tokenizer_dir()),
            train=train.model_dump(mode="json"),
            fingerprint=work.fingerprint,
            lengthened=horizon.past("base", tag),
            price_per_hour=machine.price_per_hour or None,
        )
        return fitted(job, recipe, config, machine, work)

    def size(ctx: Context) -> Size:
        data = packed_text(ctx, rows, corpus, train)
        return train_size(ctx, f"{tag} from nothing", config, "recipe (shape)", train, data, dial=dial)

    return Stage(
        f"{prefix}pretrain",
        f"train {tag} from nothing",
        run,
        inputs={"rows": rows},
        settings={"tag": tag, "shape": config.to_meta(), **that_matter(train)},
        size=size,
        still_true=still_there,
    )


def packed_text(ctx: Context, rows: Stage, corpus: Corpus, train: Train) -> DataSize:
    """How much text there is to train on: what was packed, or what the recipe asks for."""
    done = ctx.shelf.find(rows)
    if done is None:
        return DataSize(-(-corpus.tokens // train.length), corpus.tokens, "estimated: the recipe's corpus.tokens")
    packed, tokens = done.facts["rows"]
    return DataSize(packed, tokens, "packed rows")


def training_text(corpus: Corpus) -> Iterator[str]:
    """The corpus's documents without those held out."""
    if corpus.source == STDLIB:
        return (text for text in _stdlib(corpus) if not _is_held_out(text, corpus))
    return shards.documents(training_files(corpus))


def held_out_text(corpus: Corpus) -> Iterator[str]:
    """The documents that are never trained on."""
    if corpus.source == STDLIB:
        return (text for text in _stdlib(corpus) if _is_held_out(text, corpus))
    return shards.documents(_validation_files(corpus))


def training_docs(corpus: Corpus, tokenizer: Tokenizer) -> Iterator[Doc]:
    """The corpus's documents without those held out, tokenized: from token shards where there are some."""
    if corpus.source == STDLIB:
        return shards.pretraining_docs(training_text(corpus), tokenizer, source=corpus.source)
    return docs_of_shards(training_files(corpus), tokenizer, source=corpus.source)


def held_out_docs(corpus: Corpus, tokenizer: Tokenizer) -> Iterator[Doc]:
    """The documents that are never trained on, tokenized likewise."""
    if corpus.source == STDLIB:
        return shards.pretraining_docs(held_out_text(corpus), tokenizer, source=corpus.source)
    return docs_of_shards(_validation_files(corpus), tokenizer, source=corpus.source)


def shard_files(corpus: Corpus) -> list[Path]:
    """The corpus's parquet files, by name; none for the standard library."""
    return [] if corpus.source == STDLIB else sorted(_folder(corpus).glob("*.parquet"))


def training_files(corpus: Corpus) -> list[Path]:
    """The parquet files that are trained on: from corpus.first on, without any that was made to be held out."""
    held = {corpus.validation, *validation_names(_folder(corpus))}
    files = [path for path in shard_files(corpus) if path.name not in held]
    return [path for path in files if corpus.first is None or path.name >= corpus.first]


def check_corpus(corpus: Corpus) -> Check:
    """Whether the text is on this machine, and the file that is held out among it."""
    if corpus.source == STDLIB:
        return Check("corpus", "the standard library's sources and documentation")
    files, folder = training_files(corpus), _folder(corpus)
    held = [path for path in shard_files(corpus) if path.name == corpus.validation]
    if not held:
        error = NotReady(
            f"the validation file {corpus.validation} is not in {folder}",
            hint="copy it there, or name another that is never trained on: --set corpus.validation=NAME.parquet",
        )
        return missing("corpus", error)
    if not files:
        begin = "" if corpus.first is None else f" from {corpus.first} on"
        error = NotReady(f"there are no parquet files{begin} to train on in {folder}", hint="copy the shards there")
        return missing("corpus", error)
    shards.require_column([*held, *files])
    named = f"{files[0].name} to {files[-1].name}"
    return Check("corpus", f"{len(files)} shards in {folder} ({named}), {corpus.validation} held out")


def _validation_files(corpus: Corpus) -> list[Path]:
    return [path for path in shard_files(corpus) if path.name == corpus.validation]


def _folder(corpus: Corpus) -> Path:
    return home.root() / Path(corpus.source).expanduser()


def _files(corpus: Corpus) -> dict[str, Named]:
    """The shards as inputs of a stage, by stretches of their content: all of them are many gigabytes."""
    if corpus.source == STDLIB:
        return {}
    used = [*training_files(corpus), *(path for path in shard_files(corpus) if path.name == corpus.validation)]
    return {path.name: Named(path.name, sampled(path)) for path in used} or {corpus.source: Named(corpus.source, None)}


def _whence(corpus: Corpus) -> dict[str, object]:
    python = {"python": platform.python_version()} if corpus.source == STDLIB else {}
    first = {} if corpus.first is None else {"first": corpus.first}
    return corpus.model_dump(include={"source", "validation", "hold_out", "seed"}) | first | python


def _stdlib(corpus: Corpus) -> Iterator[str]:
    return shards.stdlib_documents(limit_chars=None, seed=corpus.seed)


def _is_held_out(text: str, corpus: Corpus) -> bool:
    assert corpus.hold_out is not None
    return shards.held_out(text, corpus.hold_out)


def _first_characters(texts: Iterable[str], limit: int) -> Iterator[str]:
    for text in texts:
        if limit <= 0:
            return
        yield text[:limit]
        limit -= len(text)


def _first_tokens(docs: Iterable[Doc], limit: int) -> Iterator[Doc]:
    for doc in docs:
        if limit <= 0:
            return
        yield doc
        limit -= len(doc.ids)


def _chat_text(text: TokenizerText) -> Iterator[str]:
    """The words, calls and results of generated chats."""
    for kind, rows in text.chats.rows.items():
        for row in generated(text.chats, kind, rows):
            for turn in parse_row(row, source=kind).turns:
                yield from (part.text for part in turn.parts)


def the_tokenizer() -> Named:
    """The home's tokenizer as an input of a stage."""
    return Named("tokenizer", _tokenizer_hash())


def _tokenizer_hash() -> str | None:
    if not (home.tokenizer_dir() / "tokenizer.pkl").is_file():
        return None
    return load_tokenizer(home.tokenizer_dir()).hash
