"""tiktoken's rank files: a token in base64 and its rank on each line, and nothing else.

Such a file holds no merges, no pattern and no special tokens. The merges follow from the ranks: BPE on the
bytes of a token, with the tokens of lower rank only, ends with two parts, and these are its merge. Running
BPE for each of 200,000 tokens takes seconds in Python; instead, each way to cut a token in two is looked up,
and a cut is right exactly when no merge of lower rank would have crossed it (the idea of
`is_valid_token_pair` of the Rust crate `bpe`).

Two kinds of tokens have no merge: the 256 bytes, and those that BPE never arrives at. tiktoken gives the
latter only where a whole word is one, which is what `ignore_merges` says. (In a file that no BPE made, it
may also join two parts into a token whose rank is below theirs; no list of merges can say that.)
"""

from __future__ import annotations

import binascii
import hashlib
import os
import zlib
from dataclasses import dataclass

from core.formats.files import quoted, read_bytes, shown
from core.problems import LabError
from core.tokenizer.patterns import PATTERNS
from core.tokenizer.patterns import pattern as find_pattern
from core.tokenizer.tokenizer import Tokenizer
from core.tokenizer.vocabulary import IDS_AT_MOST, REMEDY, TOKEN_AT_MOST, refuse

AT_MOST = 16 << 20  # bytes of a rank file, after inflating; o200k_base has 3.6 MB
LINES_AT_MOST = 1 << 19
_WORK = 6_000_000  # steps, about a second; o200k_base needs less than half of it
_BYTES = 256
# Rank files that tiktoken itself lists, by the sha256 of their plain content: pattern and special tokens.
KNOWN_FILES: dict[str, tuple[str, dict[str, int]]] = {
    "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7": (
        "cl100k",
        {
            "<|endoftext|>": 100257,
            "<|fim_prefix|>": 100258,
            "<|fim_middle|>": 100259,
            "<|fim_suffix|>": 100260,
            "<|endofprompt|>": 100276,
        },
    ),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": (
        "o200k",
        {"<|endoftext|>": 199999, "<|endofprompt|>": 200018},
    ),
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930": ("gpt2", {"<|endoftext|>": 50256}),
}


@dataclass(frozen=True)
class Ranks:
    """What a rank file says.

    Attributes:
        tokens: Bytes of each rank, which is the id.
        merges: Left, right and new id, in the order of the ranks.
        all_reached: Whether BPE arrives at every token.
    """

    tokens: tuple[bytes, ...]
    merges: tuple[tuple[int, int, int], ...]
    all_reached: bool


def read_plain(path: str | os.PathLike[str]) -> bytes:
    """The content of a rank file, inflated where it is compressed with gzip.

    Raises:
        LabError: It cannot be read, is too large, or its compression is damaged.
    """
    data = read_bytes(path, AT_MOST)
    return inflate(data, shown(path)) if data[:2] == b"\x1f\x8b" else data


def inflate(data: bytes, name: str, at_most: int = AT_MOST) -> bytes:
    """The content of one gzip stream, at most `at_most` bytes.

    Raises:
        LabError: It is damaged, holds more, or is followed by something else.
    """
    stream = zlib.decompressobj(wbits=31)
    try:
        plain = stream.decompress(data, at_most + 1)
    except zlib.error as error:
        raise LabError(f"{name}, byte 0: the gzip stream is damaged ({error}).", REMEDY) from None
    if len(plain) > at_most:
        refuse(name, "byte 0", f"the gzip stream holds more than {at_most:,} bytes")
    if not stream.eof:
        refuse(name, f"byte {len(data):,}", "the gzip stream is cut short")
    if stream.unused_data:
        refuse(name, f"byte {len(data) - len(stream.unused_data):,}", "something follows the gzip stream")
    return plain


def parse_ranks(data: bytes, name: str) -> Ranks:
    """Tokens and rebuilt merges of a rank file's content.

    Raises:
        LabError: A line is malformed, a token or rank stands there twice, ranks have a gap, or a byte has no
            token; file and line are named.
    """
    if data.count(b"\n") > LINES_AT_MOST:
        refuse(name, f"line {LINES_AT_MOST + 1:,}", f"it has more than {LINES_AT_MOST:,} lines")
    ranks = _well_formed(data)
    if ranks is None:
        ranks = _line_by_line(data, name)
    missing = next((byte for byte in range(_BYTES) if bytes([byte]) not in ranks), None)
    if missing is not None:
        refuse(name, f"line {len(ranks):,}", f"it ends, and no token is the byte 0x{missing:02X} alone")
    tokens = tuple(ranks)
    words, first, second = _parts(tokens, name)
    rank_of = [ranks[word] for word in words]
    made = zip(first[_BYTES:], second[_BYTES:], rank_of[_BYTES:], strict=True)
    merges = tuple([(rank_of[left], rank_of[right], new) for left, right, new in made])
    return Ranks(tokens, merges, all_reached=len(merges) == len(tokens) - _BYTES)


def _well_formed(data: bytes) -> dict[bytes, int] | None:
    """Ranks of a file that is as tiktoken writes it, in order from 0; None where anything is different."""
    fields = data.split()
    digits = fields[1::2]
    count = len(digits)
    if (
        len(fields) != 2 * count
        or data.count(b" ") != count
        or data.count(b"\n") != count
        or sum(map(len, fields)) + 2 * count != len(data)
        or b"".join(digits) != "".join(map(str, range(count))).encode()
    ):
        return None
    decode = binascii.a2b_base64
    try:
        ranks = {decode(spelled, strict_mode=True): rank for rank, spelled in enumerate(fields[::2])}
    except binascii.Error:
        return None
    wrong = len(ranks) < count or b"" in ranks or max(map(len, ranks), default=0) > TOKEN_AT_MOST
    return None if wrong else ranks


def _line_by_line(data: bytes, name: str) -> dict[bytes, int]:
    """Ranks in order, from any legal file; every fault is placed."""
    ranks: dict[bytes, int] = {}
    lines: dict[int, int] = {}  # of each rank, the line (from 1)
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), start=1):
        place = f"line {number:,}"
        spelled, _, digits = line.removesuffix(b"\r").partition(b" ")
        try:
            token = binascii.a2b_base64(spelled, strict_mode=True)
        except binascii.Error as error:
            refuse(name, place, f"{quoted(spelled)} is not base64 ({error})")
        if not digits.isdigit() or len(digits) > 10 or int(digits) >= IDS_AT_MOST:
            refuse(name, place, f"the rank {quoted(digits)} is no number below {IDS_AT_MOST:,}")
        if not 0 < len(token) <= TOKEN_AT_MOST:
            refuse(name, place, f"a token has {len(token):,} bytes; 1 to {TOKEN_AT_MOST:,} are allowed")
        rank = int(digits)
        if token in ranks:
            refuse(name, place, f"the token {quoted(token)} stands here a second time")
        if rank in lines:
            refuse(name, place, f"the rank {rank:,} stands in line {lines[rank]:,} too")
        ranks[token] = rank
        lines[rank] = number
    last = max(lines)
    if last >= len(lines):
        gap = next(rank for rank in range(last) if rank not in lines)
        refuse(name, f"line {lines[last]:,}", f"ranks go up to {last:,}, but none is {gap:,}")
    return dict(sorted(ranks.items(), key=lambda entry: entry[1]))


def rebuild_merges(tokens: tuple[bytes, ...], name: str) -> list[tuple[bytes, bytes]]:
    """The two parts of each token that BPE arrives at, in order of rank.

    Args:
        tokens: All tokens in order of rank; the 256 bytes among them, wherever they stand.
        name: Name of the file, for the message.

    Raises:
        LabError: This would take far longer than for any known vocabulary.

    >>> single = tuple(bytes([byte]) for byte in range(256))
    >>> rebuild_merges((*single, b"bc", b"ab", b"abc"), "x")
    [(b'b', b'c'), (b'a', b'b'), (b'a', b'bc')]
    """
    words, first, second = _parts(tokens, name)
    return [(words[left], words[right]) for left, right in zip(first[_BYTES:], second[_BYTES:], strict=True)]


def _parts(tokens: tuple[bytes, ...], name: str) -> tuple[list[bytes], list[int], list[int]]:
    """The bytes and every token that BPE arrives at, and the two parts of each as places in that list."""
    number_of = {bytes([byte]): byte for byte in range(_BYTES)}  # 0 to 255 the bytes, then in order of rank
    find = number_of.get
    words = [bytes([byte]) for byte in range(_BYTES)]
    first, second = list(range(_BYTES)), list(range(_BYTES))  # the parts of each word
    work = 0
    for token in tokens:
        size = len(token)
        if size == 1:
            continue
        work += size + size * size // 64  # looking up a cut takes time with its length
        if work > _WORK:
            refuse(name, f"token {quoted(token)}", "finding the merges of these tokens would take too long")
        for cut in range(1, size):
            whole_left = find(token[:cut])
            if whole_left is None:
                continue
            whole_right = find(token[cut:])
            if whole_right is None:
                continue
            # Does a merge made so far cross the cut? Back in time, the later of the two sides is taken apart,
            # and what then meets at the cut is looked up: merged before that, it would have come first.
            left, right, limit = whole_left, whole_right, len(words)
            while find(words[left] + words[right], limit) >= limit:
                work += 1
                if left > right:
                    if left < _BYTES:
                        limit = -1
                        break
                    limit, left = left, second[left]
                else:
                    if right < _BYTES:
                        limit = -1
                        break
                    # At the same rank the leftmost pair goes first, and that is the one that crosses.
                    limit, right = right + 1, first[right]
            if limit < 0:
                number_of[token] = len(words)
                words.append(token)
                first.append(whole_left)
                second.append(whole_right)
                break
    return words, first, second


def read_rank_file(path: str | os.PathLike[str], pattern: str = "") -> Tokenizer:
    """The tokenizer of a rank file; its pattern follows from its content where tiktoken lists it.

    Args:
        path: A .tiktoken file, plain or compressed with gzip.
        pattern: Name of the pattern where the file is not one of those.

    Raises:
        LabError: The file is refused, or it is not a known one and `pattern` is "".
    """
    name = shown(path)
    return tokenizer_of_ranks(read_plain(path), name, pattern)


def tokenizer_of_ranks(data: bytes, file: str, pattern: str = "", name: str = "") -> Tokenizer:
    """As `read_rank_file`, from the plain content of such a file; called `name` or else as the file is.

    Raises:
        LabError: As there.
    """
    known = KNOWN_FILES.get(hashlib.sha256(data).hexdigest())
    found = known[0] if known else pattern
    special = dict(known[1]) if known else {}
    if not found:
        parse_ranks(data, file)  # a damaged file is told first
        raise LabError(
            f"{file}, line 1: no rank file says how text is split, and this is none of tiktoken's own.",
            f"Say which pattern it was made for: {', '.join(PATTERNS)}.",
        )
    split = find_pattern(found)
    ranks = parse_ranks(data, file)
    return Tokenizer(
        name=name or file.partition(".")[0],
        pattern=split,
        tokens=ranks.tokens,
        merges=ranks.merges,
        special_tokens=special,
        ignore_merges=not ranks.all_reached,
        eos="<|endoftext|>" if "<|endoftext|>" in special else None,
    )
