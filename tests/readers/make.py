"""Files that readers are known to stumble over, one for each kind of lie. Run in this folder; it needs nothing but Python.

`cargo test --release --test readers` reads each of them beside its random damage: an error, in little memory.
"""

import io
import json
import struct
import zipfile
import zlib
from pathlib import Path


def write(name, data):
    Path(name).write_bytes(data if isinstance(data, bytes) else data.encode())


def safetensors(header, numbers=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def npy(header, numbers=b"", version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header.encode() + numbers


def archive(entries, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as zipped:
        for name, data in entries.items():
            zipped.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}

# Lengths that no file has.
write("header-of-an-exabyte.safetensors", struct.pack("<Q", 1 << 60) + b"{}")
write("shape-beyond-memory.safetensors", safetensors({"a": {**F32, "shape": [1 << 40, 1 << 40]}}, bytes(8)))
write("shape-that-wraps-to-two.safetensors", safetensors({"a": {**F32, "shape": [(1 << 63) + 1, 2]}}, bytes(8)))
write("offsets-the-other-way.safetensors", safetensors({"a": {**F32, "data_offsets": [8, 0]}}, bytes(8)))
write("two-tensors-in-one-place.safetensors", safetensors({"a": F32, "b": F32}, bytes(8)))
write("deep-header.safetensors", safetensors(b'{"a":' * 5000 + b"1" + b"}" * 5000))
write("shape-beyond-memory.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776, 1099511627776), }\n"))
write("header-of-four-gigabytes.npy", b"\x93NUMPY\x02\x00" + b"\xff" * 4 + b"{'descr': '<f4'")
write("objects.npy", npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"cos\nsystem\n(S'true'\ntR."))
write("no-numbers.npy", npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 4), }\n"))

# Archives that are larger inside.
zeros = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (16777216,), }\n", bytes(1 << 26))
write("sixty-four-megabytes-of-zeros.npz", archive({"arr_0.npy": zeros}, zipfile.ZIP_DEFLATED))
write("path-out-of-the-archive.npz", archive({"../../arr_0.npy": npy("{}\n")}))
write("no-array.npz", archive({"readme.txt": b"text"}))

# Pickles that hold themselves, share without end, or ask to be run.
laughs = b"\x80\x02]q\x00" + b"".join(b"]q%c(h%ch%ch%ch%ch%ch%ch%ch%ce" % ((i + 1,) + (i,) * 8) for i in range(60)) + b"."
write("shared-without-end.pt", archive({"archive/data.pkl": laughs}))
write("holds-itself.pt", archive({"archive/data.pkl": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."}))
write("asks-to-be-run.pt", archive({"archive/data.pkl": b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R."}))
write("ten-thousand-marks.pt", archive({"archive/data.pkl": b"\x80\x02" + b"(" * 10000 + b"t" * 10000 + b"."}))
write("text-of-four-gigabytes.pt", archive({"archive/data.pkl": b"\x80\x02X\xff\xff\xff\xffa."}))
storage = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x02tQ"
tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(%s%s%s%s\x89NtR"
far = tensor % (storage, b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"K\x02\x85", b"K\x01\x85")
wide = tensor % (storage, b"K\x00", b"\x8a\x06" + b"\xff" * 5 + b"\x7f\x85", b"K\x00\x85")
for name, body in [("offset-beyond-its-storage", far), ("a-number-that-fills-a-disk", wide)]:
    pickle = b"\x80\x02}X\x01\x00\x00\x00a" + body + b"s."
    write(name + ".pt", archive({"archive/data.pkl": pickle, "archive/data/0": bytes(8)}))

# Pictures that claim more than they have.
SIGNATURE = b"\x89PNG\r\n\x1a\n"
for name, (width, height) in {"two-thousand-million-wide": (2**31 - 1, 1), "of-no-height": (8, 0)}.items():
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    write(name + ".png", SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""))
frame = struct.pack(">HBHHB", 17, 8, 65535, 65535, 3) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0])
write("four-gigapixels.jpg", b"\xff\xd8\xff\xc0" + frame + b"\xff\xd9")
write("nothing-but-a-beginning.jpg", b"\xff\xd8")
write("cut-off.webp", b"RIFF\xff\xff\xff\xffWEBPVP8 ")

# Configurations that are no JSON, or too much of it.
write("deep.json", "[" * 100_000)
write("utf-16.json", '{"data": 1}'.encode("utf-16"))
write("number-without-end.json", '{"data": {"kind": "photos", "train": 1' + "0" * 10_000 + "}}")
write("a-key-twice.json", '{"data": {"kind": "photos"}, "data": {"kind": "digits"}}')

# A set of tensors of ours that ends in its header.
write("header-of-two-gigabytes.bpk", b"NRUB" + struct.pack("<HI", 1, 2**31 - 1))
