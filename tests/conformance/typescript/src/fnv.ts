const PRIME = 0x1b3; // and 2^40

/** FNV-1a of 64 bits, in two halves: a bigint for every byte would be slow. */
export class Fnv {
  #low = 0x84222325;
  #high = 0xcbf29ce4;

  add(bytes: Uint8Array): void {
    let low = this.#low;
    let high = this.#high;
    for (let i = 0; i < bytes.length; i += 1) {
      low = (low ^ bytes[i]!) >>> 0;
      const product = low * PRIME;
      high = (high * PRIME + Math.floor(product / 2 ** 32) + ((low << 8) >>> 0)) >>> 0;
      low = product >>> 0;
    }
    this.#low = low;
    this.#high = high;
  }

  toString(): string {
    return hex(this.#high) + hex(this.#low);
  }
}

export function hex(half: number): string {
  return half.toString(16).padStart(8, "0");
}
