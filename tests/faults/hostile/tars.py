"""Tars that lead out, lie, or end early."""

import gzip
import io
import tarfile

from tests.faults.hostile.contents import Content, encode, flip, noise

_ESCAPE = "escaped-from-a-tar"


def _tar(draw, members, format=None):
    stream = io.BytesIO()
    format = format or draw.choice((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))
    with tarfile.open(fileobj=stream, mode="w", format=format) as tar:
        for name, data, more in members:
            member = tarfile.TarInfo(name)
            member.size = 0 if "linkname" in more or "devmajor" in more else len(data)
            for attribute, value in more.items():
                setattr(member, attribute, value)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def _samples(draw, count=6):
    for number in range(count):
        yield f"{number:03d}.png", encode(noise(draw), "PNG"), {}
        yield f"{number:03d}.txt", b"a caption", {}


def names(draw):
    """Members with absolute names, names that lead out, and names that no file system has."""
    hostile = (
        f"/{_ESCAPE}.png",
        f"../../{_ESCAPE}.png",
        f"a/../../../{_ESCAPE}.png",
        f"./../{_ESCAPE}.png",
        f"~/{_ESCAPE}.png",
        f"C:\\{_ESCAPE}.png",
        f"a//b/./{_ESCAPE}.png",
        "x" * 3000 + ".png",
        "\u202egnp.exe.png",
        "a\nb.png",
        "\x1b[31mred.png",
        "CON.png",
        " .png",
    )
    chosen = draw.sample(hostile, draw.randint(1, 5))
    members = [*_samples(draw, 3), *((name, encode(noise(draw), "PNG"), {}) for name in chosen)]
    draw.shuffle(members)
    return Content(".tar", _tar(draw, members, tarfile.PAX_FORMAT), 3 + len(chosen))


def links(draw):
    """Links that lead out or in circles, devices and pipes beside samples."""
    hostile = (
        {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.SYMTYPE, "linkname": "../../../../etc/hostname"},
        {"type": tarfile.SYMTYPE, "linkname": "itself.png"},
        {"type": tarfile.SYMTYPE, "linkname": ""},
        {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
        {"type": tarfile.LNKTYPE, "linkname": "nowhere.png"},
        {"type": tarfile.LNKTYPE, "linkname": "002.png"},
        {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5},
        {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0},
        {"type": tarfile.FIFOTYPE, "devmajor": 0, "devminor": 0},
    )
    chosen = draw.sample(hostile, draw.randint(1, 6))
    is_row = [more["type"] in (tarfile.SYMTYPE, tarfile.LNKTYPE) for more in chosen]
    members = [*_samples(draw, 3), *((f"h{number}.png", b"", more) for number, more in enumerate(chosen))]
    return Content(".tar", _tar(draw, members), 3 + sum(is_row))


def cut(draw):
    """A tar that ends early."""
    data = _tar(draw, _samples(draw))
    return Content(".tar", data[: draw.randrange(1, len(data) - 1024)])


def damaged(draw):
    """Headers with other bytes: sizes, types and checksums that are wrong."""
    data = bytearray(_tar(draw, _samples(draw)))
    headers = [at for at in range(0, len(data) - 512, 512) if data[at + 257 : at + 262] == b"ustar"]
    at = draw.choice(headers)
    field, length = draw.choice(((0, 100), (124, 12), (148, 8), (156, 1), (257, 6), (345, 155)))
    value = draw.choice((draw.randbytes(length), b"9" * length, b"\xff" * length, b"7" * length))
    data[at + field : at + field + length] = value
    if draw.random() < 0.5:  # with a checksum that fits
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return Content(".tar", bytes(data))


def compressed(draw):
    """Compressed tars that are cut off, damaged, followed by something, or enormous inside."""
    kind = draw.choice(("cut", "flipped", "followed", "bomb"))
    members = list(_samples(draw))
    if kind == "bomb":
        members.insert(6, ("big.png", bytes(300 << 20), {}))
    data = gzip.compress(_tar(draw, members), 9 if kind != "bomb" else 1, mtime=0)
    if kind == "cut":
        data = data[: draw.randrange(20, len(data))]
    elif kind == "flipped":
        data = flip(draw, data, draw.randint(1, 3), start=12)
    elif kind == "followed":
        data += draw.randbytes(draw.randint(1, 600))
    return Content(".tar.gz", data)
