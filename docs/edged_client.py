#!/usr/bin/env python3
"""Asks edged a question, or watches it, with the standard library alone (docs/protocol.md).

    edged_client.py SOCKET ask QUESTION [SCENE]
    edged_client.py SOCKET watch [SCENE]
"""
import io, socket, struct, sys

def pack(v):
    if isinstance(v, dict):  # up to 15 pairs
        return bytes([0x80 | len(v)]) + b"".join(pack(x) for pair in v.items() for x in pair)
    if isinstance(v, int):
        return b"\xcf" + struct.pack(">Q", v)
    return b"\xdb" + struct.pack(">I", len(v.encode())) + v.encode()

def unpack(f):
    def number(form):
        return struct.unpack(">" + form, f.read(struct.calcsize(form)))[0]
    c = f.read(1)[0]
    if c <= 0x7F or c >= 0xE0:
        return c if c <= 0x7F else c - 256
    if 0xC0 <= c <= 0xC3:
        return (None, None, False, True)[c - 0xC0]
    if 0xCA <= c <= 0xD3:
        return number("fdBHIQbhiq"[c - 0xCA])
    n = c & 15 if c <= 0x9F else c & 31 if c <= 0xBF else number("BHIHIHI"[c - 0xD9])
    if c <= 0x8F or c >= 0xDE:
        return {unpack(f): unpack(f) for _ in range(n)}
    if c <= 0x9F or c in (0xDC, 0xDD):
        return [unpack(f) for _ in range(n)]
    return f.read(n).decode()

def main(path, command, *words):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    fields = dict(zip(["scene"] if command == "watch" else ["question", "scene"], words))
    for m in {"type": "hello", "id": 1, "protocol": 1}, {"type": command, "id": 2, **fields}:
        sock.sendall(struct.pack(">I", len(pack(m))) + pack(m))
    stream = sock.makefile("rb")
    while head := stream.read(4):
        m = unpack(io.BytesIO(stream.read(*struct.unpack(">I", head))))
        if m["type"] == "error":
            sys.exit(f"{m['message']} ({m['code']})")
        elif m["type"] == "event":
            print(m["seq"], m["scene"], m["text"], flush=True)
        elif m["type"] == "piece":
            print(m["text"], end="", flush=True)
        elif m["type"] == "answer":
            return print(f"\n[frame {m['frame']}, {m['ms']['total']:.0f} ms]")
        elif m["type"] == "end":
            return

if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
