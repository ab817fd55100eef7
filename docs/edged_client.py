#!/usr/bin/env python3
"""Without libraries, after protocol.md: edged_client.py SOCKET ask QUESTION [SCENE], or SOCKET watch [SCENE]"""
import socket, struct, sys

SHOW = {"event": "{seq} {scene} {text}\n", "piece": "{text}", "error": "{message} ({code})",
        "answer": "\n[frame {frame}, {ms[total]:.0f} ms]\n"}

def pack(v):  # maps of up to 15 pairs, integers, strings
    if isinstance(v, dict):
        return bytes([0x80 | len(v)]) + b"".join(pack(x) for pair in v.items() for x in pair)
    return b"\xcf" + struct.pack(">Q", v) if isinstance(v, int) else struct.pack(">BI", 0xDB, len(v.encode())) + v.encode()

def unpack(f):
    c = f.read(1)[0]
    if c <= 0x7F or c >= 0xE0:
        return c if c <= 0x7F else c - 256
    if 0xC0 <= c <= 0xC3:
        return (None, None, False, True)[c - 0xC0]
    n = c & (15 if c <= 0x9F else 31)
    if c >= 0xCA:  # a number follows: the value itself or a count
        form = ">" + "fdBHIQbhiq-----BHIHIHI"[c - 0xCA]
        n, = struct.unpack(form, f.read(struct.calcsize(form)))
    if c <= 0x8F or c >= 0xDE:
        return {unpack(f): unpack(f) for _ in range(n)}
    if c <= 0x9F or c in (0xDC, 0xDD):
        return [unpack(f) for _ in range(n)]
    return n if 0xCA <= c <= 0xD3 else f.read(n).decode()

path, command, *words = sys.argv[1:] if len(sys.argv) > 2 else sys.exit(__doc__)
sock = socket.socket(socket.AF_UNIX)
sock.connect(path)
fields = dict(zip(["scene"] if command == "watch" else ["question", "scene"], words))
for m in {"type": "hello", "id": 1, "protocol": 1}, {"type": command, "id": 2, **fields}:
    sock.sendall(struct.pack(">I", len(pack(m))) + pack(m))
stream, m = sock.makefile("rb"), {"type": ""}
while m["type"] not in ("answer", "end") and stream.read(4):  # a frame is one value, which knows where it ends
    m = unpack(stream)
    if m["type"] == "error":
        sys.exit(SHOW["error"].format(**m))
    print(SHOW.get(m["type"], "").format(**m), end="", flush=True)
