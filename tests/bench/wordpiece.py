#!/usr/bin/env python3
"""The published uncased WordPiece algorithm, step by step in Python, as a measure for tokenizer_bench.

    wordpiece.py VOCABULARY TEXT [LINES]

tokenizes the first LINES (2,000) lines and prints tokens a second of processor time.
    wordpiece.py VOCABULARY TEXT --ids
prints one JSON array of ids a line, as `sbm data tokenize` does.
"""
import itertools
import json
import sys
import time
import unicodedata

MAX_WORD = 200
IDEOGRAPHS = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
              (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F))


def clean(text):
    kept = []
    for c in text:
        if c in "\t\n\r":
            kept.append(" ")
            continue
        category = unicodedata.category(c)
        if c in "\0\ufffd" or category in ("Cc", "Cf"):
            continue
        kept.append(" " if category == "Zs" else c)
    return "".join(kept)


def space_ideographs(text):
    kept = []
    for c in text:
        code = ord(c)
        if any(first <= code <= last for first, last in IDEOGRAPHS):
            kept += (" ", c, " ")
        else:
            kept.append(c)
    return "".join(kept)


def lower(word):
    decomposed = unicodedata.normalize("NFD", word.lower())
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn")


def is_punctuation(c):
    code = ord(c)
    if 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126:
        return True
    return unicodedata.category(c).startswith("P")


def words(text):
    for token in space_ideographs(clean(text)).split():
        word = []
        for c in lower(token):
            if is_punctuation(c):
                if word:
                    yield "".join(word)
                word = []
                yield c
            else:
                word.append(c)
        if word:
            yield "".join(word)


def pieces(word, vocabulary):
    unknown = [vocabulary["[UNK]"]]
    if len(word) > MAX_WORD:
        return unknown
    found = []
    begin = 0
    while begin < len(word):
        for end in range(len(word), begin, -1):
            piece = word[begin:end] if begin == 0 else "##" + word[begin:end]
            if piece in vocabulary:
                found.append(vocabulary[piece])
                break
        else:
            return unknown
        begin = end
    return found


def ids(text, vocabulary):
    return [i for word in words(text) for i in pieces(word, vocabulary)]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        vocabulary = {line.rstrip("\n"): i for i, line in enumerate(file)}
    option = sys.argv[3] if len(sys.argv) > 3 else "2000"
    with open(sys.argv[2], "rb") as file:
        lines = (line.rstrip(b"\n").decode("utf-8", "ignore") for line in file)
        if option == "--ids":
            for line in lines:
                print(json.dumps(ids(line, vocabulary), separators=(",", ":")))
            return
        texts = list(itertools.islice(lines, int(option)))
    begin = time.process_time()
    tokens = sum(len(ids(text, vocabulary)) for text in texts)
    seconds = time.process_time() - begin
    print(f"{tokens} tokens: {seconds:.3f} s, {tokens / seconds / 1e6:.3f} million tokens/s")


if __name__ == "__main__":
    main()
