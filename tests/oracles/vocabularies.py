"""The small vocabularies in `tests/golden/tokenizers`, unpacked as users have them, and MiniLM's, of a package."""

import base64
import lzma
import pathlib

from tests.oracles.bert import minilm_folder

FOLDER = pathlib.Path(__file__).parents[1] / "golden" / "tokenizers"
CASES = ("minilm", "wordpiece", "bpe", "unigram")


def unpack(case: str, folder: pathlib.Path) -> pathlib.Path:
    """Writes a vocabulary's files to a folder, or returns MiniLM's own; returns the folder."""
    if case == "minilm":
        return minilm_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((FOLDER / case).iterdir()):
        packed = path.suffix == ".xz"
        content = lzma.decompress(path.read_bytes()) if packed else path.read_bytes()
        (folder / (path.stem if packed else path.name)).write_bytes(content)
    if case == "unigram":
        _insert_table(folder)
    return folder


def _insert_table(folder: pathlib.Path) -> None:
    """Puts the normaliser's table, which the SentencePiece model holds, into the tokenizer.json that points to it."""
    path = folder / "tokenizer.json"
    content = path.read_text(encoding="utf-8")
    before, after = content.split('"spiece.model ')
    place, after = after.split('"', 1)
    start, stop = map(int, place.split())
    table = base64.b64encode((folder / "spiece.model").read_bytes()[start:stop]).decode()
    path.write_text(f'{before}"{table}"{after}', encoding="utf-8")
