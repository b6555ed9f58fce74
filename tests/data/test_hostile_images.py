"""Files made to hurt: everything that looks at an image says the same of each, soon, and in little memory."""

import resource
import struct
import time
import zlib

import pytest
from pictures import encoded, photo, webp_chunk, webp_of
from test_damage import readers

IMAGE = photo(60, 80)
JPEG, PNG, GIF, BMP, WEBP = (encoded(IMAGE, kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP"))
LOSSLESS = encoded(IMAGE, "WEBP", lossless=True)
MOVING = encoded(IMAGE, "WEBP", save_all=True, append_images=[IMAGE.rotate(180)])
FRAME = JPEG.index(b"\xff\xc0")
NOTHING = zlib.compress(bytes(1000))


def chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    """A chunk of a PNG, with a wrong checksum if asked for."""
    checksum = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int, depth: int, colours: int, *before: bytes, pixels: bytes = NOTHING) -> bytes:
    """A PNG whose header says so, with chunks before its pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(height: int, width: int) -> bytes:
    """A JPEG of other sides than its pixels have."""
    return JPEG[: FRAME + 5] + struct.pack(">HH", height, width) + JPEG[FRAME + 9 :]


def canvas(width: int, height: int, flags: int) -> bytes:
    """The first chunk of an extended WebP."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp_chunk(b"VP8X", bytes([flags, 0, 0, 0]) + sides)


def bmp(compression: int, bits: int, pixels: bytes = bytes(256), masks: tuple[int, ...] = (0, 0, 0)) -> bytes:
    """A BMP of 8 x 8 pixels, which TensorFlow's operation reads whatever its compression says."""
    palette = bytes(1024 if bits == 8 else 12)
    start = 54 + len(palette)
    fields = start + 8 * bits, 0, 0, start, 40, 8, 8, 1, bits, compression, 0, 0, 0, 0, 0
    header = b"BM" + struct.pack("<IHHIIiiHHIIiiII", *fields)
    return header + struct.pack("<III", *masks) + palette[12:] + pixels[: 8 * bits]


FILES = {
    "PNG that inflates to 30 MB": png(8, 8, 8, 2, pixels=zlib.compress(bytes(30_000_000))),
    "PNG with 50 MB of text": png(8, 8, 8, 2, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000)))),
    "PNG with 50 MB of profile": png(8, 8, 8, 2, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(50_000_000)))),
    "PNG of 20,000 chunks": png(8, 8, 8, 2, *[chunk(b"tEXt", b"a\0b")] * 20_000),
    "PNG of 2**31 columns": png(2**31 - 1, 1, 8, 2),
    "PNG of 2**32 rows": png(8, 2**32 - 1, 8, 2),
    "PNG of 65,536 squared": png(2**16, 2**16, 1, 0),
    "PNG without rows": png(8, 0, 8, 2),
    "PNG of a depth that is none": png(8, 8, 3, 0),
    "PNG of colours that are none": png(8, 8, 8, 5),
    "PNG without its palette": png(8, 8, 8, 3),
    "PNG beyond its palette": png(8, 8, 8, 3, chunk(b"PLTE", bytes(9)), pixels=zlib.compress(b"\xff" * 72)),
    "PNG of more alpha than palette": png(8, 8, 8, 3, chunk(b"PLTE", bytes(9)), chunk(b"tRNS", bytes(300))),
    "PNG with alpha twice": png(8, 8, 8, 6, chunk(b"tRNS", bytes(6))),
    "PNG of damaged alpha": png(8, 8, 1, 0, chunk(b"tRNS", bytes(2), checksum=0)),
    "PNG of alpha behind the pixels": PNG[:-12] + chunk(b"tRNS", bytes(6)) + PNG[-12:],
    "PNG with an orientation nowhere": png(8, 8, 8, 2, chunk(b"eXIf", b"II*\0\xff\xff\xff\x7f")),
    "PNG with an empty orientation": png(8, 8, 8, 2, chunk(b"eXIf", b"")),
    "PNG of wrong filters": png(8, 8, 8, 2, pixels=zlib.compress(b"\x09" * 200)),
    "PNG without a header": PNG[:8] + PNG[33:],
    "PNG of two headers": PNG[:33] + PNG[8:],
    "PNG of an endless chunk": PNG[:8] + b"\x7f\xff\xff\xff" + PNG[12:],
    "two PNGs": PNG + PNG,
    "JPEG of 65,535 squared": jpeg(65_535, 65_535),
    "JPEG of 14,000 squared": jpeg(14_000, 14_000),
    "JPEG of 13,000 squared": jpeg(13_000, 13_000),
    "JPEG of no rows": jpeg(0, 80),
    "JPEG of no columns": jpeg(60, 0),
    "JPEG of 65,535 rows": jpeg(65_535, 1),
    "JPEG of 200,000 comments": JPEG[:2] + b"\xff\xfe\0\2" * 200_000 + JPEG[2:],
    "JPEG of a segment without length": JPEG[:2] + b"\xff\xe1\0\0" + JPEG[2:],
    "JPEG of an empty orientation": JPEG[:2] + b"\xff\xe1\0\x08Exif\0\0" + JPEG[2:],
    "JPEG by arithmetic coding": JPEG.replace(b"\xff\xc0", b"\xff\xc9", 1),
    "JPEG without loss": JPEG.replace(b"\xff\xc0", b"\xff\xc3", 1),
    "JPEG that says it is progressive": JPEG.replace(b"\xff\xc0", b"\xff\xc2", 1),
    "JPEG that ends before it begins": JPEG.replace(b"\xff\xdb", b"\xff\xd9", 1),
    "JPEG of 12 bits": JPEG[: FRAME + 4] + b"\x0c" + JPEG[FRAME + 5 :],
    "JPEG of 255 components": JPEG[: FRAME + 9] + b"\xff" + JPEG[FRAME + 10 :],
    "JPEG sampled at nothing": JPEG[: FRAME + 11] + b"\0" + JPEG[FRAME + 12 :],
    "two JPEGs": JPEG + JPEG,
    "fill bytes alone": b"\xff" * 5000,
    "animated WebP of 16,384 squared": webp_of(canvas(2**14, 2**14, 2)),
    "animated WebP of no frame": webp_of(canvas(80, 60, 2), webp_chunk(b"ANIM", bytes(6)), webp_chunk(b"ANMF", bytes(16))),
    "animated WebP of an endless frame": webp_of(canvas(80, 60, 2) + b"ANMF\xff\xff\xff\xff"),
    "WebP that says it is animated": webp_of(canvas(80, 60, 2), WEBP[12:]),
    "WebP of another canvas": webp_of(canvas(81, 60, 0), LOSSLESS[12:]),
    "WebP of damaged alpha": webp_of(canvas(80, 60, 16), webp_chunk(b"ALPH", b"\1" + bytes(9)), WEBP[12:]),
    "WebP of no length": WEBP[:4] + bytes(4) + WEBP[8:],
    "WebP of 16,383 squared": WEBP[:26] + b"\xff\x3f\xff\x3f" + WEBP[30:],
    "animated WebP of 50,000 chunks": webp_of(canvas(80, 60, 2), webp_chunk(b"JUNK", b"") * 50_000, MOVING[30:]),
    "GIF of 65,535 squared": GIF[:6] + b"\xff" * 4 + GIF[10:],
    "GIF of no frame": GIF[:13] + b";",
    "GIF of 300,000 comments": GIF[:13] + b"!\xfe\1a\0" * 300_000 + b";",
    "BMP of 8 bits in runs": bmp(1, 8, b"\4\1\4\2\0\0\0\0" * 8),
    "BMP that says it is a JPEG": bmp(4, 24),
    "BMP of bits elsewhere": bmp(3, 32, masks=(0xFF, 0xFF00, 0xFF0000)),
    "BMP of 2**31 rows": BMP[:18] + struct.pack("<ii", -(2**31), -(2**31)) + BMP[26:],
    "BMP of 40,000 squared": BMP[:18] + struct.pack("<ii", 40_000, 40_000) + BMP[26:],
    "BMP whose pixels are nowhere": BMP[:10] + b"\xff" * 4 + BMP[14:],
    "BMP of an endless palette": BMP[:28] + b"\x08\0" + BMP[30:46] + b"\xff\xff\xff\x7f" + BMP[50:],
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_all_say_the_same_of_it(name):
    begin, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = readers(FILES[name])
    assert len(set(found.values())) == 1, found
    assert time.process_time() - begin < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # kilobytes


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("BMP")])
def test_no_bmp_is_read_as_what_it_is_not(name):
    assert not any(readers(FILES[name]).values())


def test_masks_of_the_usual_order_are_read():
    assert all(readers(bmp(3, 32, masks=(0xFF0000, 0xFF00, 0xFF))).values())
