// Numbers and keys as people read them.

const LONG = 120;

/** A key that is short enough to show and to remember: of a long one both ends, and what tells it from others. */
export function brief(key: string): string {
  if (key.length <= LONG) return key;
  let hash = 0;
  for (let i = 0; i < key.length; i += 1) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) >>> 0;
  return `${key.slice(0, 50)} … ${key.slice(-50)} #${hash.toString(16)}`;
}

const TIMES = [["s", 1e9], ["ms", 1e6], ["us", 1e3], ["ns", 1]] as const;

/** `16913`, `4096 KiB`, and `4.1 us` of nanoseconds. */
export function amount(value: number | bigint, unit: string): string {
  if (unit !== "ns") return unit ? `${value} ${unit}` : `${value}`;
  const [name, size] = TIMES.find(([, size]) => value >= size) ?? TIMES[3];
  return `${rounded(Number(value) / size)} ${name}`;
}

export function perSecond(rate: number, unit: string): string {
  return `${rounded(rate)}${unit ? ` ${unit}` : ""}/s`;
}

/** To three digits, or to a whole number. */
function rounded(value: number): string {
  return value < 100 ? String(Number(value.toPrecision(3))) : value.toFixed(0);
}

/** Rounded down, so that what is not all never prints as 100%. A sum is modulo 2^64, and may be less than its parts. */
export function percent(part: bigint, whole: bigint): string {
  if (whole === 0n) return "0.0%";
  if (part > whole) return "?%";
  const tenths = (part * 1000n) / whole;
  return `${tenths / 10n}.${tenths % 10n}%`;
}
