/** Texts as the kernel wrote them: bytes, most often UTF-8. */

import type { Texts as Page } from "weir:plugin/types@0.1.0";

// What this engine has of the web's globals; TypeScript knows them only with a browser's.
declare class TextDecoder {
  constructor(encoding: string, options: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes: Uint8Array): string;
}
declare class TextEncoder {
  encode(text: string): Uint8Array;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

export function encode(text: string): Uint8Array {
  return encoder.encode(text);
}

export function decode(bytes: Uint8Array): string {
  return lenient.decode(bytes);
}

/**
 * One text. It prints with its backslashes doubled and with `\xNN` for a NUL and for what is no UTF-8, so that two
 * different texts never print alike.
 */
export class Text {
  readonly bytes: Uint8Array;
  #printed: string | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  toString(): string {
    return (this.#printed ??= print(this.bytes));
  }

  toJSON(): string {
    return this.toString();
  }

  /** Whether the bytes are the same; a string has those of its UTF-8. */
  equals(other: Text | string): boolean {
    const bytes = typeof other === "string" ? encode(other) : other.bytes;
    return bytes.length === this.bytes.length && bytes.every((byte, i) => byte === this.bytes[i]);
  }
}

function print(bytes: Uint8Array): string {
  let text;
  try {
    text = strict.decode(bytes);
  } catch {
    return printBroken(bytes);
  }
  return escape(text);
}

function escape(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\0", "\\x00");
}

function printBroken(bytes: Uint8Array): string {
  let printed = "";
  let valid = 0; // Where the valid bytes before `i` begin.
  for (let i = 0; i < bytes.length; ) {
    const length = sequence(bytes, i);
    if (length === 0) {
      const hex = bytes[i]!.toString(16).padStart(2, "0");
      printed += `${escape(strict.decode(bytes.subarray(valid, i)))}\\x${hex}`;
      valid = i + 1;
    }
    i += length || 1;
  }
  return printed + escape(strict.decode(bytes.subarray(valid)));
}

/** How many bytes the character at `i` has; 0 if there is none. */
function sequence(bytes: Uint8Array, i: number): number {
  const lead = bytes[i]!;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  for (let k = 1; k < length; k++) {
    const byte = bytes[i + k] ?? 0;
    // The second byte has bounds of its own: no second form of a character, no surrogates, nothing above U+10FFFF.
    const low = k > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = k > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return 0;
  }
  return length;
}

/** A column of texts, by dictionary: rows with the same text most often share a code. */
export class Texts implements Iterable<Text> {
  /** A number below `words` for each row, so that work which is the same for the same text can be done once a code. */
  readonly codes: Uint32Array;
  readonly #words: (Text | undefined)[];
  readonly #offsets: Uint32Array;
  readonly #bytes: Uint8Array;

  constructor({ codes, offsets, bytes }: Page) {
    this.codes = codes;
    this.#offsets = offsets;
    this.#bytes = bytes;
    this.#words = new Array(Math.max(offsets.length - 1, 0));
  }

  get length(): number {
    return this.codes.length;
  }

  /** How many codes there are. (A column of several pages can have several for one text.) */
  get words(): number {
    return this.#words.length;
  }

  /** The text of a row. */
  at(row: number): Text {
    const code = this.codes[row];
    if (code === undefined) throw new RangeError(`there is no row ${row} of ${this.length}`);
    return this.word(code);
  }

  /** The text of a code. */
  word(code: number): Text {
    if (!(code >= 0 && code < this.words)) throw new RangeError(`there is no code ${code} of ${this.words}`);
    return (this.#words[code] ??= new Text(this.#bytes.subarray(this.#offsets[code], this.#offsets[code + 1])));
  }

  *[Symbol.iterator](): Generator<Text> {
    for (const code of this.codes) yield this.word(code);
  }
}

/** Pages as one: each page has codes of its own. */
export function joinTexts(pages: readonly Page[]): Page {
  const codes = new Uint32Array(total(pages, (page) => page.codes.length));
  const offsets = new Uint32Array(1 + total(pages, (page) => page.offsets.length - 1));
  const bytes = new Uint8Array(total(pages, (page) => page.bytes.length));
  let row = 0;
  let word = 0;
  let byte = 0;
  for (const page of pages) {
    codes.set(page.codes.map((code) => code + word), row);
    offsets.set(page.offsets.subarray(1).map((offset) => offset + byte), word + 1);
    bytes.set(page.bytes, byte);
    row += page.codes.length;
    word += page.offsets.length - 1;
    byte += page.bytes.length;
  }
  return { codes, offsets, bytes };
}

export function total<T>(parts: readonly T[], of: (part: T) => number): number {
  return parts.reduce((sum, part) => sum + of(part), 0);
}
