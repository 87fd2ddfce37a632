"""Small phases for the tests: the real recipes with fewer rows."""

import json

from samosa import home
from samosa.config import Options
from samosa.phases import phase_a

SMALL = (
    "gen.rows={joint=60,quoting=6,identity=12,creator=6,desserts=6,quality=6,think_only=6,tool_only=6}",
    "mix.validation=0.1",
    "gate.n=5",
    "gate.c=5",
)


def tiny(*sets, **options):
    """Run the tiny phase A with few rows."""
    return phase_a.run(Options(recipe="tiny", sets=(*SMALL, *sets), **options))


def printed_json(capsys):
    """The one JSON line on stdout."""
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def fake_checkpoint(kind, tag, step, *, model_config, manifest=True, samosa=None, content=b"weights"):
    """Files of a checkpoint that nobody will load: a zip archive, its meta, and what its manifest says of them."""
    import zipfile

    ref = home.CheckpointRef(kind, tag, step, home.checkpoint_dir(kind, tag))
    ref.directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(ref.model_path, "w") as archive:
        archive.writestr("data", content)
    home.write_atomic(ref.meta_path, json.dumps({"model_config": model_config, "samosa": samosa or {}}))
    if manifest:
        files = {path.name: {"bytes": path.stat().st_size} for path in (ref.model_path, ref.meta_path)}
        home.write_atomic(ref.manifest_path, json.dumps({"step": step, "files": files}))
    return ref
