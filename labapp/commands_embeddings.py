"""The commands of `llmlab` around embeddings: nearest words, analogies, and pictures as files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from core.problems import LabError
from labapp.commands import SHIPPED, JsonOption, app, run_stage, say_result

if TYPE_CHECKING:
    from core.embeddings.neighbors import By, Neighbor, Space
    from core.embeddings.vectors import Vectors

embeddings_app = typer.Typer(help="Words as points: neighbors, analogies, pictures.", no_args_is_help=True)
app.add_typer(embeddings_app, name="embeddings")

FromOption = Annotated[
    str,
    typer.Option(
        "--model", help="smollm2, base, a GGUF file, a model's folder; or a .npy, vectors.tsv or GloVe file."
    ),
]
MetadataOption = Annotated[Path | None, typer.Option(help="File of names, where it is not found beside.")]
RawOption = Annotated[bool, typer.Option("--raw", help="Measure from the origin, not from the words' mean.")]


@embeddings_app.command("neighbors")
def neighbors_command(
    word: Annotated[str, typer.Argument(help="The word.")],
    model: FromOption = "smollm2",
    by: Annotated[str, typer.Option(help="cosine, dot or distance.")] = "cosine",
    count: Annotated[int, typer.Option(help="How many.")] = 10,
    every: Annotated[bool, typer.Option("--all", help="Parts of words, numbers and signs too.")] = False,
    raw: RawOption = False,
    metadata: MetadataOption = None,
    as_json: JsonOption = False,
) -> None:
    """The words nearest to one, over the whole vocabulary."""
    space = _space(model, metadata, raw, as_json)
    vectors = space.vectors
    row = vectors.row(word)
    found = space.neighbors(row, cast("By", by), count, among=None if every else vectors.words)
    _say(
        {"word": vectors.names[row], "by": by, "space": space.centered_on, "source": vectors.source}, found,
        as_json, f"by {by}; {space.centered_on}",
    )  # fmt: skip


@embeddings_app.command("analogy")
def analogy_command(
    a: Annotated[str, typer.Argument(help="king")],
    b: Annotated[str, typer.Argument(help="less man")],
    c: Annotated[str, typer.Argument(help="and woman")],
    model: FromOption = "smollm2",
    count: Annotated[int, typer.Option(help="How many.")] = 10,
    raw: RawOption = False,
    lengths: Annotated[bool, typer.Option("--lengths", help="Add the words as long as they are.")] = False,
    metadata: MetadataOption = None,
    as_json: JsonOption = False,
) -> None:
    """a − b + c: the nearest words; `analogy king man woman`."""
    from core.embeddings.analogies import analogy

    space = _space(model, metadata, raw, as_json)
    solved = analogy(space, a, b, c, count, unit=not lengths)
    names = [space.vectors.names[row] for row in solved.inputs]
    nearest = space.vectors.names[int(solved.rows[0])]
    how = "as long as they are" if lengths else "each of length 1"
    _say(
        {"a": names[0], "b": names[1], "c": names[2], "space": space.centered_on, "unit": not lengths,
         "nearest_with_inputs": nearest, "source": space.vectors.source},
        solved.ranked, as_json,
        f"cosine among {solved.among}; {space.centered_on}; words {how}; with a, b and c allowed, "
        f"{nearest.strip()} would be first",
    )  # fmt: skip


@embeddings_app.command("project")
def project_command(
    out: Annotated[Path, typer.Option(help="New TSV file: a name and its place, a line each.")],
    model: FromOption = "smollm2",
    way: Annotated[str, typer.Option(help="pca or tsne.")] = "pca",
    dimensions: Annotated[int, typer.Option(help="How many; t-SNE draws in 2.")] = 2,
    first: Annotated[int, typer.Option(help="Only so many words, the most frequent first; 0: all.")] = 0,
    perplexity: Annotated[float, typer.Option(help="Of t-SNE.")] = 30.0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same picture.")] = 0,
    metadata: MetadataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the words in a few dimensions, as a TSV file; says which share of neighbors survives."""
    from core.embeddings.distortion import distortion
    from core.embeddings.projection import pca
    from core.embeddings.tsne import TsneSettings, tsne
    from core.embeddings.vectors import select
    from core.formats.files import write_new

    if way not in ("pca", "tsne"):
        raise LabError(f"There is no way {way!r}.", "The ways are pca and tsne.")
    if out.exists():
        raise LabError(f"{out} exists already.", "Choose another name.")
    vectors = _vectors(model, metadata, as_json)
    words = select(vectors, vectors.words[: first or None])
    if way == "pca":
        made = pca(words.values, dimensions, seed)
    else:
        made = run_stage(tsne(words.values, TsneSettings(perplexity=perplexity, seed=seed)), as_json)
    kept = run_stage(distortion(words.values, made.points, rows=2000, seed=seed), as_json)
    signs = str.maketrans({"\t": "␉", "\n": "␊", "\r": "␍"})
    lines = ["\t".join(["name", *made.labels])]
    lines += [
        "\t".join([name.translate(signs), *(f"{value:.6g}" for value in point)])
        for name, point in zip(words.names, made.points.tolist(), strict=True)
    ]
    write_new(out, "\n".join(lines) + "\n")
    explained = None if made.explained is None else [float(share) for share in made.explained]
    shown = "" if explained is None else f"; {sum(explained):.1%} of the variance"
    say_result(
        {"file": str(out), "n": len(words), "solver": made.solver, "explained": explained,
         "neighbors_kept": kept.overall, "neighbors_of": kept.n, "by_chance": kept.by_chance},
        as_json,
        f"{len(words):,} words in {out}: {made.title}, {made.solver}{shown}; {kept.overall:.1%} of the "
        f"{kept.k} nearest neighbors survive ({kept.n:,} words measured).",
    )  # fmt: skip


def _space(model: str, metadata: Path | None, raw: bool, as_json: bool) -> Space:
    from core.embeddings.neighbors import Space

    return Space(_vectors(model, metadata, as_json), not raw)


def _vectors(name: str, metadata: Path | None, as_json: bool) -> Vectors:
    """The token embeddings of a model by name or path, or vectors of a file."""
    from core.embeddings.files import read_vectors
    from core.embeddings.vectors import read_token_vectors
    from core.tokenizer.known import known_path
    from labapp.app import shipped_folder

    path, stage = Path(name), None
    if name == "smollm2":
        stage = read_token_vectors(known_path(name), "SmolLM2-135M")
    elif name in SHIPPED and not path.exists():
        stage = read_token_vectors(shipped_folder() / name, SHIPPED[name])
    elif path.suffix in (".gguf", ".safetensors") or (path / "config.json").exists():
        stage = read_token_vectors(path)
    else:
        stage = read_vectors(path, metadata)
    made: Vectors = run_stage(stage, as_json)
    return made


def _say(facts: dict[str, Any], found: Any, as_json: bool, head: str) -> None:
    neighbors: list[Neighbor] = list(found)
    lines = [head, *(f"{one.value:8.4f}  {one.name.strip()}" for one in neighbors)]
    say_result(
        facts | {"neighbors": [dataclasses.asdict(one) for one in neighbors]}, as_json, "\n".join(lines)
    )
