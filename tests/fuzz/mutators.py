"""Damages files as accidents and ill will do: inside their containers, whose checksums and sizes are made right again.

Every mutator takes a file's bytes and a random generator and returns other bytes. :data:`MUTATORS` has them by format.
"""

from __future__ import annotations

import io
import json
import pickletools
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable

Mutator = Callable[[bytes, random.Random], bytes]

_POWERS = (8, 15, 16, 24, 31, 32, 40, 63)
NUMBERS = (0, 1, 2, 3, 127, 1000, *(2**power - 1 for power in _POWERS), *(2**power for power in _POWERS[:-1]))


def bent(content: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, cut, doubled, moved, overwritten by numbers: what any format can suffer."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at, length = rng.randrange(len(data) + 1), min(rng.choice((1, 2, 4, 8, 64, 1000)), len(data))
        match rng.randrange(8):
            case 0 | 1:
                if at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
            case 2:
                del data[at : at + length]
            case 3:
                data[at:at] = data[at : at + length]
            case 4:
                start = rng.randrange(len(data) + 1)
                data[at : at + length] = data[start : start + length]
            case 5:
                width, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
                number = rng.choice(NUMBERS) % 256**width
                data[at : at + width] = number.to_bytes(width, order)  # type: ignore[arg-type]
            case 6:
                data[at : at + length] = rng.randbytes(length)
            case _:
                del data[max(1, at) :]
        if not data:
            data = bytearray(b"\0")
    return bytes(data)


# ---- texts

_WORDS = (
    *(
        "null",
        "true",
        "-1",
        "0",
        "64",
        "4096",
        "1048576",
        "1000000000",
        "0.5",
        "1e5",
        "1" + "0" * 30,
        "9" * 5000,
    ),
    *("1e999", "-1e999", "NaN", "Infinity", '""', '"x"', '"auto"', '"../../x"', '"\\u0000"', '"\\ud800"'),
    *("[]", "{}", "[[1]]", '{"a": 1, "a": 2}', "[" * 100_000, '{"a":' * 50_000, '"' + "a" * 70_000 + '"'),
)


def bent_json(content: bytes, rng: random.Random) -> bytes:
    """A value replaced, dropped, doubled or renamed somewhere in the tree."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return bent(content, rng)
    text = json.dumps(_bent_tree(tree, rng))
    return re.sub(r'"@(\d+)@"', lambda m: _WORDS[int(m[1])], text).encode()


def _bent_tree(tree: object, rng: random.Random) -> object:
    if isinstance(tree, dict) and tree and rng.random() < 0.85:
        key = rng.choice(list(tree))
        match rng.randrange(8):
            case 0:
                return {k: v for k, v in tree.items() if k != key}
            case 1:
                return {(k if k != key else k + "x"): v for k, v in tree.items()}
            case 2:
                return {**tree, "odd": tree[key]}
        return {**tree, key: _bent_tree(tree[key], rng)}
    if isinstance(tree, list) and tree and rng.random() < 0.85:
        at = rng.randrange(len(tree))
        match rng.randrange(6):
            case 0:
                return tree[:at] + tree[at + 1 :]
            case 1:
                return tree[:at] + [tree[at]] * 3 + tree[at:]
        return [*tree[:at], _bent_tree(tree[at], rng), *tree[at + 1 :]]
    return f"@{rng.randrange(len(_WORDS))}@"


_CELLS = (
    *("", "nan", "inf", "-1", "1e999", "1e30", "x", '"', "9" * 400, "=1+1", "\0", "½", "1,5"),
    *("00:00:00:00.000", "99:99:99:99", "99999999999:00:00:00"),
)


def bent_csv(content: bytes, rng: random.Random) -> bytes:
    """Cells, rows and columns of a table."""
    rows = [line.split(",") for line in content.decode("utf-8", "replace").splitlines()]
    for _ in range(rng.choice((1, 2, 5))):
        row = rng.choice(rows) if rows else [""]
        match rng.randrange(6):
            case 0:
                rows = rows[: rng.randrange(len(rows) + 1)]
            case 1:
                rows.insert(rng.randrange(len(rows) + 1), list(row))
            case 2:
                row.insert(rng.randrange(len(row) + 1), rng.choice(_CELLS))
            case 3:
                row.pop(rng.randrange(len(row))) if row else None
            case _:
                if row:
                    row[rng.randrange(len(row))] = rng.choice(_CELLS)
    comma, end = rng.choice((",", ",", ";", "\t")), rng.choice(("\n", "\r\n", "\r", "\n\n"))
    text = end.join(comma.join(row) for row in rows)
    return text.encode("utf-8" if rng.random() < 0.9 else "utf-16", "replace")


# ---- containers of arrays


_SHAPES = (
    *("(0,)", "()", "(10**9,)", "(1000000000,)", "(1000000000000,)", "(0, 9999999999999999999)"),
    *("(-1,)", "(2, 3", "((1,),)", "(True,)", "(1.5,)"),
)
_DTYPES = (
    *("'|O'", "'<f8'", "'<f2'", "'<c16'", "'|b1'", "'<M8[s]'", "'S1'", "'<U0'", "'<U999999'", "'|V0'"),
    "[('a', '<f4')]",
)


def bent_npy(content: bytes, rng: random.Random) -> bytes:
    """The header's text, version and length."""
    if content[:6] != b"\x93NUMPY" or rng.random() < 0.2:
        return bent(content, rng)
    width = 2 if content[6] == 1 else 4
    length = int.from_bytes(content[8 : 8 + width], "little")
    head, rest = content[8 + width : 8 + width + length].decode("latin1"), content[8 + width + length :]
    match rng.randrange(6):
        case 0 | 1:
            head = re.sub(r"'shape': \([^)]*\)", f"'shape': {rng.choice(_SHAPES)}", head)
        case 2 | 3:
            head = re.sub(r"'descr': '[^']*'", f"'descr': {rng.choice(_DTYPES)}", head)
        case 4:
            cut = head[: rng.randrange(len(head))]
            head = rng.choice((cut, "{" * 9000, "(" * 200, head + " " * 70_000, head.replace("'", '"')))
        case _:
            return content[:6] + bytes([rng.randrange(5), rng.randrange(2)]) + content[8:]
    stated = len(head) if rng.random() < 0.8 else rng.choice(NUMBERS)
    return content[:8] + (stated % 256**width).to_bytes(width, "little") + head.encode("latin1") + rest


def bent_zip(inner: Mutator) -> Mutator:
    """Members changed by ``inner`` and packed again; or dropped, doubled, renamed, or of sizes that are not theirs."""

    def bend(content: bytes, rng: random.Random) -> bytes:
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                members = [(member.filename, archive.read(member)) for member in archive.infolist()]
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, EOFError, RuntimeError):
            return bent(content, rng)
        if not members:
            return bent(content, rng)
        at = rng.randrange(len(members))
        # a file of torch.save says all in one member
        at = next(
            (i for i, (name, _) in enumerate(members) if name.endswith(".pkl") and rng.random() < 0.7), at
        )
        what = rng.randrange(40)
        if what in (0, 10):
            members.pop(at)
        elif what in (1, 11):
            members.append(members[at])
        elif what in (2, 12):
            members[at] = (
                rng.choice(("x", "../x.npy", members[at][0].upper(), "values.npy", "a" * 300)),
                members[at][1],
            )
        elif what == 3:
            members[at] = (members[at][0], b"\0" * 30_000_000)
        else:
            members[at] = (members[at][0], inner(members[at][1], rng))
        made = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            how = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED if what == 3 else how) as archive:
                for name, member in members:
                    archive.writestr(zipfile.ZipInfo(name), member, archive.compression)
        return _other_sizes(made.getvalue(), rng) if what in (4, 14) else made.getvalue()

    return bend


def _other_sizes(content: bytes, rng: random.Random) -> bytes:
    """One entry of a zip's list of members claims another size."""
    places = [m.start() for m in re.finditer(b"PK\x01\x02", content)]
    if not places:
        return content
    at = rng.choice(places) + rng.choice((20, 24))
    return content[:at] + (rng.choice(NUMBERS) % 2**32).to_bytes(4, "little") + content[at + 4 :]


def bent_safetensors(content: bytes, rng: random.Random) -> bytes:
    """The header: kinds, shapes, places, and the JSON inside its notes."""
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + length])
    except ValueError:
        return bent(content, rng)
    notes, body = header.get("__metadata__", {}), content[8 + length :]
    what = rng.randrange(8)
    if what <= 3 and notes:
        key = "config" if "config" in notes and rng.random() < 0.7 else rng.choice(list(notes))
        notes[key] = (bent_json if notes[key][:1] in "{[" else bent)(notes[key].encode(), rng).decode(
            "utf-8", "replace"
        )
        text = json.dumps(header).encode()
    elif what <= 5:
        name = rng.choice([name for name in header if name != "__metadata__"])
        entry = header[name]
        kinds = (
            "F8_E4M3",
            "F8_E5M2",
            "C64",
            "U64",
            "I64",
            "BOOL",
            "BF16",
            "F16",
            "F64",
            "U8",
            "F4",
            "X",
            7,
            None,
        )
        match rng.randrange(4):
            case 0:
                entry["dtype"] = rng.choice(kinds)
            case 1:
                entry["shape"] = rng.choice(
                    (
                        [0],
                        [2**62, 4],
                        [-1],
                        [],
                        [1.5],
                        [0, 10**18],
                        "x",
                        [True],
                        [10**9],
                        entry["shape"][::-1],
                    )
                )
            case 2:
                entry["data_offsets"] = rng.choice(
                    ([0, 0], [0, 2**62], [-4, 0], [4, 0], [], "x", [0, len(body)])
                )
            case _:
                header[rng.choice((name + "x", "generator." + name, "a" * 300))] = header.pop(name)
        text = json.dumps(header).encode()
    elif what == 6:
        text = bent_json(json.dumps(header).encode(), rng)
    else:
        return bent(content, rng)
    stated = len(text) if rng.random() < 0.95 else rng.choice(NUMBERS)
    return stated.to_bytes(8, "little") + text + body


def bent_mat(content: bytes, rng: random.Random) -> bytes:
    """Elements of a MATLAB file, packed or not, and what they say of themselves."""
    head, at, elements = content[:128], 128, []
    while at + 8 <= len(content):
        kind, size = struct.unpack("<II", content[at : at + 8])
        if kind >> 16 or size > len(content):
            break
        elements.append((kind, content[at + 8 : at + 8 + size]))
        at += 8 + size
    if not elements or rng.random() < 0.2:
        return bent(content, rng)
    at = rng.randrange(len(elements))
    kind, inside = elements[at]
    if kind == 15:
        inside = bent_mat_array(zlib.decompress(inside), rng)
        elements[at] = (15, zlib.compress(inside)) if rng.random() < 0.8 else (14, inside[8:])
    else:
        elements[at] = (rng.choice((kind, kind, 14, 15, 1, 0)), bent_mat_array(inside, rng))
    if rng.random() < 0.01:
        elements[at] = (15, zlib.compress(b"\0" * 50_000_000))
    return head + b"".join(struct.pack("<II", kind, len(inside)) + inside for kind, inside in elements)


def bent_mat_array(content: bytes, rng: random.Random) -> bytes:
    """A number among the first of an array, where its kind and sizes are."""
    at = rng.randrange(0, min(len(content), 72), 4)
    number = rng.choice((*NUMBERS, *range(20)))
    return content[:at] + struct.pack("<I", number % 2**32) + content[at + 4 :]


# ---- pickles

_BOMBS = (
    b"(K\x01K\x02t" + b"2\x86" * 60,  # doubled tuples
    b"K\x01" + b"\x85" * 5000,  # nested tuples
    b"]" * 5000 + b"a" * 4999,
    b"Nr\xff\xff\xff\x7f",  # a memo that is large
    b"\x8b\xff\xff\xff\x7f\x01",  # a number that is long
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",  # bytes that are not there
    b"T\xff\xff\xff\x7fx",
    b"cos\nsystem\n(S'true'\ntR",
    b"cbuiltins\nlist\n",
    b"c__builtin__\nobject\n)\x81",
    b"(lp0\ng0\na",
    b"}q\x05h\x05h\x05s",
    b"ctorch\nFloatStorage\n)\x81",
    b"ccollections\nOrderedDict\n)RN}X\x05\x00\x00\x00itemsK\x01s\x86b",
    b"F1e999\n",
    b"I" + b"9" * 5000 + b"\n",
)


_NAMES = (
    *(f"torch {kind}Storage" for kind in ("Half", "Float", "Long", "BFloat16", "QInt8", "ComplexFloat")),
    *(f"torch._utils _rebuild_{kind}" for kind in ("sparse_tensor", "qtensor", "meta_tensor_no_storage")),
    *("torch Size", "os system", "numpy dtype", "collections OrderedDict"),
)


def bent_pickle(content: bytes, rng: random.Random) -> bytes:
    """Opcodes dropped, doubled, exchanged, given other arguments, or followed by a bomb."""
    head = b""
    if content[:6] == b"\x93NUMPY":
        length = 10 + int.from_bytes(content[8:10], "little")
        head, content = content[:length], content[length:]
    parts, rest = list[bytes](), content
    try:
        while rest and len(parts) < 20_000:  # the older files of torch.save are several, and then numbers
            file = io.BytesIO(rest)
            places = [place or 0 for _, _, place in pickletools.genops(file)]
            ends = [*places[1:], file.tell()]
            parts += [rest[a:b] for a, b in zip(places, ends, strict=True)]
            rest = rest[file.tell() :]
            if rest[:1] != b"\x80":
                break
    except (ValueError, KeyError, IndexError, UnicodeDecodeError):
        pass
    if not parts or rng.random() < 0.1:
        return head + bent(content, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(parts))
        match rng.randrange(8):
            case 0:
                del parts[at]
            case 1:
                parts.insert(at, parts[at])
            case 2:
                other = rng.randrange(len(parts))
                parts[at], parts[other] = parts[other], parts[at]
            case 3 | 4:
                parts[at] = _other_argument(parts[at], rng)
            case 5:
                parts.insert(
                    at,
                    rng.choice(
                        (b"N", b"K\x05", b"J\xff\xff\xff\xff", b"]", b"}", b")", b"(", b"0", b"2", b"\x88")
                    ),
                )
            case _:
                parts.insert(at, rng.choice(_BOMBS))
        if not parts:
            break
    return head + b"".join(parts) + rest


def _other_argument(part: bytes, rng: random.Random) -> bytes:
    code, argument = part[:1], part[1:]
    if code in b"KMJ":
        return b"\x8a\x08" + (rng.choice(NUMBERS) - rng.choice((0, 0, 2**20))).to_bytes(
            8, "little", signed=True
        )
    if code == b"c":
        return b"c" + rng.choice(_NAMES).replace(" ", "\n").encode() + b"\n"
    return code + (bent(argument, rng) if argument else b"")


# ---- pictures, films and sound


def bent_png(content: bytes, rng: random.Random) -> bytes:
    """A chunk changed, with its checksum made right."""
    chunks, at = [], 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    if not chunks or rng.random() < 0.2:
        return bent(content, rng)
    at = rng.randrange(len(chunks))
    kind, inside = chunks[at]
    match rng.randrange(6):
        case 0:
            del chunks[at]
        case 1:
            chunks.insert(at, chunks[at])
        case 2 if kind == b"IHDR":
            sides = [rng.choice((1, 2, 0, 40_000, 2**31 - 1, 12_000)) for _ in range(2)]
            chunks[at] = (
                kind,
                struct.pack(">IIBB", *sides, rng.choice((1, 8, 16)), rng.choice((0, 2, 3, 4, 6)))
                + inside[10:],
            )
        case 3:
            texts = (b"zTXt", b"tEXt", b"iTXt", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"tRNS", b"PLTE", b"gAMA")
            chunks.insert(
                at,
                (
                    rng.choice(texts),
                    rng.choice((b"a\0\0" + zlib.compress(b"x" * 3_000_000), rng.randbytes(30), b"")),
                ),
            )
        case _:
            chunks[at] = (kind, bent(inside or b"\0", rng))
    return content[:8] + b"".join(
        struct.pack(">I", len(inside)) + kind + inside + struct.pack(">I", zlib.crc32(kind + inside))
        for kind, inside in chunks
    )


def bent_jpeg(content: bytes, rng: random.Random) -> bytes:
    """A segment before the picture's data changed, with its length made right."""
    segments, at = [], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:
        size = int.from_bytes(content[at + 2 : at + 4], "big")
        segments.append((content[at + 1], content[at + 4 : at + 2 + size]))
        at += 2 + size
    if not segments or rng.random() < 0.2:
        return bent(content, rng)
    rest, at = content[at:], rng.randrange(len(segments))
    marker, inside = segments[at]
    match rng.randrange(5):
        case 0:
            del segments[at]
        case 1:
            exif = (
                b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0"
                + bytes([rng.randrange(256)])
                + rng.randbytes(6)
            )
            segments.insert(
                at,
                (
                    0xE1,
                    rng.choice(
                        (exif, b"Exif\0\0" + rng.randbytes(40), b"ICC_PROFILE\0\x01\x01" + rng.randbytes(150))
                    ),
                ),
            )
        case 2 if marker in (0xC0, 0xC2) and len(inside) > 5:
            segments[at] = (
                marker,
                inside[:1]
                + struct.pack(">HH", rng.choice((1, 0, 65_500)), rng.choice((1, 0, 65_500)))
                + inside[5:],
            )
        case _:
            segments[at] = (marker, bent(inside or b"\0", rng))
    head = b"".join(bytes([0xFF, m]) + struct.pack(">H", len(part) + 2) + part for m, part in segments)
    return content[:2] + head + rest


def bent_riff(content: bytes, rng: random.Random) -> bytes:
    """A chunk of a WAV or WebP, with sizes made right (or not)."""
    form, chunks, at = content[8:12], [], 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        chunks.append((content[at : at + 4], content[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    if not chunks or rng.random() < 0.2:
        return bent(content, rng)
    at = rng.randrange(len(chunks))
    kind, inside = chunks[at]
    if kind == b"fmt " and rng.random() < 0.7 and len(inside) >= 16:
        fields = list(struct.unpack("<HHIIHH", inside[:16]))
        which = rng.randrange(6)
        fields[which] = rng.choice((0, 1, 2, 3, 7, 255, 65_535, 1_000_000, 2**31)) % (
            2**16 if which in (0, 1, 4, 5) else 2**32
        )
        chunks[at] = (kind, struct.pack("<HHIIHH", *fields) + inside[16:])
    else:
        chunks[at] = (kind, bent(inside or b"\0", rng))
    body = form + b"".join(k + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for k, c in chunks)
    return (
        content[:4]
        + struct.pack("<I", len(body) if rng.random() < 0.8 else rng.choice(NUMBERS) % 2**32)
        + body
    )


_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf")


def bent_mp4(content: bytes, rng: random.Random) -> bytes:
    """A box somewhere in the tree: its numbers, its absence, its doubling; sizes around it are made right."""
    boxes = _boxes(content)
    return b"".join(_bent_boxes(boxes, rng)) if boxes and rng.random() < 0.85 else bent(content, rng)


def _boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    found, at = [], 0
    while at + 8 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        if size < 8 or at + size > len(content):
            return []
        found.append((content[at + 4 : at + 8], content[at + 8 : at + size]))
        at += size
    return found if at == len(content) else []


def _bent_boxes(boxes: list[tuple[bytes, bytes]], rng: random.Random) -> list[bytes]:
    inner = [i for i, (kind, inside) in enumerate(boxes) if kind in _BOXES and _boxes(inside)]
    at = rng.choice(inner) if inner and rng.random() < 0.95 else rng.randrange(len(boxes))
    kind, inside = boxes[at]
    if at in inner:
        boxes[at] = (kind, b"".join(_bent_boxes(_boxes(inside), rng)))
    else:
        match rng.randrange(6):
            case 0:
                del boxes[at]
            case 1:
                boxes.insert(at, boxes[at])
            case 2 | 3 if len(inside) >= 8:
                place = rng.randrange(0, min(len(inside) - 3, 120), 4)
                number = rng.choice((*NUMBERS, 1000, 90_000)) % 2**32
                boxes[at] = (kind, inside[:place] + struct.pack(">I", number) + inside[place + 4 :])
            case _:
                boxes[at] = (kind, bent(inside or b"\0", rng))
    return [struct.pack(">I", len(inside) + 8) + kind + inside for kind, inside in boxes]


def bent_matroska(content: bytes, rng: random.Random) -> bytes:
    """Values of elements that are known by their ids: scale of time, durations, sizes, rates, stamps."""
    ids = (
        b"\x2a\xd7\xb1",
        b"\x44\x89",
        b"\xb0",
        b"\xba",
        b"\x23\xe3\x83",
        b"\xe7",
        b"\xb5",
        b"\x9f",
        b"\xa3",
        b"\x54\xb0",
    )
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 3))):
        places = [m.start() for m in re.finditer(re.escape(rng.choice(ids)), content)]
        if not places:
            return bent(content, rng)
        at = rng.choice(places[:40]) + rng.choice((2, 3, 4, 5))
        width = rng.choice((1, 2, 4))
        data[at : at + width] = (rng.choice(NUMBERS) % 256**width).to_bytes(width, "big")
    return bytes(data)


def bent_gif(content: bytes, rng: random.Random) -> bytes:
    """Sizes, delays and the blocks of comments."""
    places = [m.start() for m in re.finditer(rb"\x21[\xf9\xfe\xff]|\x2c", content)] or [6]
    data = bytearray(content)
    at = rng.choice((6, *places)) + rng.randrange(9)
    data[at : at + 2] = (rng.choice(NUMBERS) % 2**16).to_bytes(2, "little")
    return bytes(data) if rng.random() < 0.7 else bent(bytes(data), rng)


MUTATORS: dict[str, Mutator] = {
    "bytes": bent,
    "json": bent_json,
    "csv": bent_csv,
    "npz": bent_zip(bent_npy),
    "torch": bent_zip(bent_pickle),
    "pickle": bent_pickle,
    "safetensors": bent_safetensors,
    "mat": bent_mat,
    "png": bent_png,
    "jpeg": bent_jpeg,
    "riff": bent_riff,
    "mp4": bent_mp4,
    "matroska": bent_matroska,
    "gif": bent_gif,
}


def damaged(kind: str, content: bytes, rng: random.Random) -> bytes:
    """A damaged copy: mostly inside the format's own structure, sometimes anyhow, sometimes both."""
    made = content
    for _ in range(rng.choice((1, 1, 1, 2))):
        if rng.random() >= 0.2:
            try:
                made = MUTATORS[kind](made, rng)
                continue
            except Exception:  # noqa: BLE001  its structure is lost already
                pass
        made = bent(made, rng)
    return made
