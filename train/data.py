"""Training data: vocabulary, prompts, and the reader of the scene generator (train/simgen)."""
import ast
import json
import queue
import re
import struct
import subprocess
import threading

import numpy as np
import torch

import fused

CAPTION = "describe the room."
STOP = "\n\n"


class Vocabulary:
    """Greedy longest-match tokenizer over a file of lines `id literal byte_length`."""

    def __init__(self, path):
        self.ids = {}
        for line in open(path, encoding="utf-8"):
            first, last = line.index(" "), line.rindex(" ")
            self.ids[ast.literal_eval(line[first + 1 : last])] = int(line[:first])
        self.words = {i: w for w, i in self.ids.items()}
        longest_first = sorted(self.ids, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))
        self.stop = self.ids[STOP]
        self._cache = {}

    def encode(self, text):
        ids = self._cache.get(text)
        if ids is None:
            found = self._pattern.findall(text)
            if sum(map(len, found)) != len(text):
                raise ValueError(f"vocabulary does not cover {text!r}")
            ids = [self.ids[w] for w in found]
            if len(self._cache) < 50_000:
                self._cache[text] = ids
        return ids

    def decode(self, ids):
        return "".join(self.words.get(i, "\ufffd") for i in ids)

    def prompt(self, question):
        """Ids of everything after the last image: the question and the opening of the answer."""
        return self.encode("\n" + question + STOP) + self.encode("Assistant:")

    def answer(self, text):
        return self.encode(" " + text) + [self.stop]


class Segment:
    """T successive frame sets of B streams with K views each, stream-major.

    images uint8 [B,T,K,S,S,3]; patches int64 [B,T,K,grid,grid], 0 background;
    reset bool [B]; seen [B,T]: an earlier frame set exists; texts[b][t]: list of
    (kind, question, answer), the caption first. shape, colour, motion [B,T,M+1]
    and axes, prev [B,T,K,M+1,2] describe object m+1, entry 0 the background.
    left, came [B,T,2]: shape and colour of the newest departure and arrival,
    counted from 1, zeros before the first.
    """

    def __init__(self, header, images, patches):
        t, b, k = header["T"], header["B"], header["K"]
        self.T, self.B, self.K = t, b, k
        self.images = torch.from_numpy(np.ascontiguousarray(images.swapaxes(0, 1)))
        self.patches = torch.from_numpy(np.ascontiguousarray(patches.swapaxes(0, 1), np.int64))
        self.reset = torch.tensor(header["reset"])
        self.seen = torch.tensor(header["age"])[:, None] + torch.arange(t) > 0
        m = 1 + max(len(i["objects"]) for row in header["items"] for i in row)
        shape, colour, motion = (np.zeros((b, t, m), np.int64) for _ in range(3))
        axes, prev = (np.zeros((b, t, k, m, 2), np.float32) for _ in range(2))
        left, came = (np.zeros((b, t, 2), np.int64) for _ in range(2))
        self.texts = [[None] * t for _ in range(b)]
        for ti, row in enumerate(header["items"]):
            for bi, item in enumerate(row):
                for oi, o in enumerate(item["objects"], 1):
                    shape[bi, ti, oi] = o["shape"] + 1
                    colour[bi, ti, oi] = o["color"] + 1
                    motion[bi, ti, oi] = o["motion"]
                    axes[bi, ti, :, oi] = o["axes"]
                    prev[bi, ti, :, oi] = o["prev"]
                for to, event in ((left, item["left"]), (came, item["came"])):
                    if event:
                        to[bi, ti] = np.add(event, 1)
                self.texts[bi][ti] = [("caption", CAPTION, item["caption"])] + [tuple(q) for q in item["questions"]]
        self.shape, self.colour, self.motion, self.axes, self.prev, self.left, self.came = map(
            torch.from_numpy, (shape, colour, motion, axes, prev, left, came))


class Simulator:
    """A generator process. One segment is rendered ahead while the last one is used."""

    def __init__(self, command, seed, split, streams, views, size, grid, extra=()):
        args = [*command, "-seed", str(seed), "-split", split, "-streams", str(streams), "-views", str(views),
                "-size", str(size), "-grid", str(grid), *extra]
        self.size, self.grid = size, grid
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ready = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def request(self, frames):
        self.process.stdin.write(json.dumps({"T": frames}).encode() + b"\n")
        self.process.stdin.flush()

    def receive(self):
        got = self.ready.get()
        if isinstance(got, Exception):
            raise got
        return Segment(*got)

    def close(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()

    def _array(self, shape):
        out = np.empty(shape, np.uint8)
        view = memoryview(out).cast("B")
        done = 0
        while done < len(view):
            n = self.process.stdout.readinto(view[done:])
            if not n:
                raise EOFError("scene generator ended early")
            done += n
        return out

    def _read(self):
        try:
            while True:
                (n,) = struct.unpack("<I", self._array(4).tobytes())
                header = json.loads(self._array(n).tobytes())
                lead = (header["T"], header["B"], header["K"])
                images = self._array((*lead, self.size, self.size, 3))
                self.ready.put((header, images, self._array((*lead, self.grid, self.grid))))
        except Exception as e:  # handed to the consumer
            self.ready.put(e)


class Batch:
    """Decoder input for all texts of a segment: one prefix per frame set, then its texts.

    ids [tokens] with 0 at image tokens; at: positions of the image tokens, in the
    order [frame set, view, token]; layout: see fused.Layout, frame set b*T+t is
    image state b*T+t; where/target: hidden rows that predict answer tokens, and
    those tokens; text: index of the text of each target; kinds: per text.
    """

    def __init__(self, vocab, segment, decoder_tokens, answers=True):
        head, gap = vocab.encode("User: "), vocab.encode("\n")
        prefix, slots = list(head), []
        for k in range(segment.K):
            if k:
                prefix += gap
            slots += range(len(prefix), len(prefix) + decoder_tokens)
            prefix += [0] * decoder_tokens
        sets = segment.B * segment.T
        rows, lengths, parent, image = prefix * sets, [len(prefix)] * sets, [-1] * sets, list(range(sets))
        where, target, text = [], [], []
        self.kinds, self.truth = [], []
        for b in range(segment.B):
            for t in range(segment.T):
                for kind, question, truth in segment.texts[b][t]:
                    ids = vocab.prompt(question)
                    if answers:
                        answer = vocab.answer(truth)
                        first = len(rows) + len(ids) - 1
                        where += range(first, first + len(answer))
                        target += answer
                        text += [len(self.kinds)] * len(answer)
                        ids = ids + answer[:-1]
                    rows += ids
                    lengths.append(len(ids))
                    parent.append(b * segment.T + t)
                    image.append(b * segment.T + t)
                    self.kinds.append(kind)
                    self.truth.append(truth)
        self.sets = sets
        self.ids = torch.tensor(rows)
        self.at = (torch.arange(sets)[:, None] * len(prefix) + torch.tensor(slots)).flatten()
        self.layout = fused.Layout(lengths, parent, image)
        self.where, self.target, self.text = torch.tensor(where), torch.tensor(target), torch.tensor(text)
