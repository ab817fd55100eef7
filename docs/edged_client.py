#!/usr/bin/env python3
"""Without libraries, after protocol.md: edged_client.py SOCKET COMMAND, one of
  ask QUESTION [SCENE]    watch [SCENE [FROM]]    log [REGEXP [HOURS]]    snapshots [SCENE]    scenes    status
  admin ACTION [SCENE]"""
import socket, struct, sys

SHOW = {"event": "{seq} {scene} {text}\n", "alert": "{seq} {scene} !! {text}\n", "piece": "{text}", "answer": "\n[frame {frame}, {ms[total]:.0f} ms]\n",
        "done": "done\n", "error": "{message} ({code})"}
REQUESTS = {"ask": ("ask", "question", "scene"), "watch": ("watch", "scene", "from"), "log": ("search", "match", "within"),
            "snapshots": ("get_snapshots", "scene"), "scenes": ("get_scenes",), "status": ("get_status",), "admin": ("admin", "action", "scene")}
LAST = ("welcome", "answer", "end", "snapshots", "scenes", "status", "done", "error")


def pack(v):  # maps of up to 15 pairs, integers from 0, floats, strings
    if isinstance(v, dict):
        return bytes([0x80 | len(v)]) + b"".join(pack(x) for pair in v.items() for x in pair)
    if isinstance(v, (int, float)):
        return b"\xcf" + struct.pack(">Q", v) if isinstance(v, int) else b"\xcb" + struct.pack(">d", v)
    return struct.pack(">BI", 0xDB, len(v.encode())) + v.encode()


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


class Client:
    def __init__(self, path):
        self.id, self.sock = 0, socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.stream = self.sock.makefile("rb")
        self.welcome, = self.request("hello", protocol=1)

    def request(self, kind, **fields):
        """Yields the messages that belong to a request, one request at a time; the last one ends it."""
        self.id += 1
        payload = pack({"type": kind, "id": self.id, **fields})
        self.sock.sendall(struct.pack(">I", len(payload)) + payload)
        m = {"type": ""}
        while m["type"] not in LAST:
            if len(self.stream.read(4)) < 4:  # a frame is one value, which knows where it ends
                sys.exit("the server closed the connection")
            m = unpack(self.stream)
            if m["type"] == "error":
                sys.exit(SHOW["error"].format(**m))
            yield m


def main(path, command, *words):
    kind, *names = REQUESTS[command]
    fields = {n: w for n, w in zip(names, words) if w}
    fields.update({n: f(fields[n]) for n, f in (("from", int), ("within", lambda h: float(h) * 3600e3)) if n in fields})
    client, more = Client(path), True
    while more:
        for m in client.request(kind, **fields):
            show = "alert" if m.get("event") == "alert" else m["type"]
            print(SHOW[show].format(**m) if show in SHOW else "" if show == "end" else f"{m}\n", end="", flush=True)
        more = fields["from"] = m.get("next", 0)


if __name__ == "__main__":
    main(*sys.argv[1:]) if len(sys.argv) > 2 and sys.argv[2] in REQUESTS else sys.exit(__doc__)
