import assert from "node:assert/strict";
import test from "node:test";
import { joinTexts, Text, Texts } from "../sdk/text.ts";

/** How a text of these bytes, and the bytes of these strings, prints. */
function print(...parts) {
  const bytes = parts.flatMap((part) => (typeof part === "string" ? [...Buffer.from(part)] : part));
  return String(new Text(Uint8Array.from(bytes)));
}

test("a text prints so that no other prints alike", () => {
  assert.equal(print("cat"), "cat");
  assert.equal(print(), "");
  assert.equal(print("a\\b"), "a\\\\b");
  assert.equal(print("Zürich 日本 😀"), "Zürich 日本 😀");
  assert.equal(print("\ufeffx\0"), "\ufeffx\\x00");
  assert.equal(print("x\\x00"), "x\\\\x00");
});

test("what is no UTF-8 prints byte by byte", () => {
  assert.equal(print("a", 0xff, "\\", 0xfe, "b"), "a\\xff\\\\\\xfeb");
  assert.equal(print(0xc0, 0xaf), "\\xc0\\xaf"); // A second form of a character.
  assert.equal(print(0xe0, 0x9f, 0xbf), "\\xe0\\x9f\\xbf");
  assert.equal(print(0xf0, 0x8f, 0xbf, 0xbf), "\\xf0\\x8f\\xbf\\xbf");
  assert.equal(print(0xed, 0xa0, 0x80), "\\xed\\xa0\\x80"); // A surrogate.
  assert.equal(print(0xf4, 0x90, 0x80, 0x80), "\\xf4\\x90\\x80\\x80"); // Above U+10FFFF.
  assert.equal(print(0xe2, 0x82, "A"), "\\xe2\\x82A"); // Cut short, and read on from what ended it.
  assert.equal(print(0xf0, 0x9f, 0xc3, 0xa9), "\\xf0\\x9fé");
  assert.equal(print(0xf4, 0x8f, 0xbf, 0xbf, 0x80), "\u{10ffff}\\x80");
  assert.equal(print(0xed, 0x9f, 0xbf, 0xee, 0x80, 0x80, 0xc3), "\ud7ff\ue000\\xc3");
});

test("texts are equal if their bytes are", () => {
  const text = new Text(Uint8Array.of(0x61, 0x5c));
  assert.ok(text.equals("a\\"));
  assert.ok(text.equals(new Text(Uint8Array.of(0x61, 0x5c))));
  assert.ok(!text.equals("a"));
  assert.ok(!text.equals(String(text)));
});

test("pages are joined, each with codes of its own", () => {
  const page = (codes, ...words) => ({
    codes: Uint32Array.from(codes),
    offsets: Uint32Array.from(words.reduce((ends, word) => [...ends, ends.at(-1) + word.length], [0])),
    bytes: new Uint8Array(Buffer.from(words.join(""))),
  });
  const joined = new Texts(joinTexts([page([0, 1, 0], "sh", "cat"), page([]), page([0], "cat")]));
  assert.deepEqual([...joined].map(String), ["sh", "cat", "sh", "cat"]);
  assert.equal(joined.words, 3);
  assert.throws(() => joined.at(4), RangeError);
  assert.throws(() => joined.word(3), RangeError);
});
