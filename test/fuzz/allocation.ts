/**
 * How many bytes of arrays a piece of work asks for: while it runs, the constructors of typed arrays and lists are replaced by ones that count.
 *
 * What is asked for counts, not what is kept: a decoder that makes room for an announced length and then finds that the input is too short has done the
 * damage. A request above `REQUEST_BYTES_MAX` is refused, so that a broken decoder fails a test and not the machine.
 */

const REQUEST_BYTES_MAX = 256 * 1024 * 1024;
const LIST_ITEM_BYTES = 8;

export class AllocationError extends Error {
  override readonly name = "AllocationError";
}

let countedBytes = 0;

function count(bytes: number): void {
  countedBytes += bytes;
  if (countedBytes > REQUEST_BYTES_MAX)
    throw new AllocationError(`${countedBytes} bytes were asked for`);
}

/** `itemBytes` for each item of a length that is given as a number. */
function counting<Constructor extends object>(
  original: Constructor,
  itemBytes: number,
): Constructor {
  return new Proxy(original, {
    construct(target, args: unknown[], newTarget) {
      if (args.length === 1 && typeof args[0] === "number" && args[0] > 0)
        count(args[0] * itemBytes);
      // A proxy of a constructor: its arguments are those of the constructor.
      return Reflect.construct(
        target as never,
        args,
        newTarget === proxies.get(target) ? (target as never) : newTarget,
      );
    },
    get(target, name, receiver) {
      if (target === (Array as object) && name === "from") return countingFrom;
      return Reflect.get(target, name, receiver);
    },
  });
}

/** `Array.from({ length })` makes as much room as `new Array(length)`. */
function countingFrom(source: ArrayLike<unknown>, ...rest: []): unknown[] {
  if (typeof source === "object" && !(Symbol.iterator in source))
    count(source.length * LIST_ITEM_BYTES);
  return originalFrom(source, ...rest);
}

const originalFrom = Array.from.bind(Array) as typeof Array.from;
const COUNTED: readonly (readonly [name: string, itemBytes: number])[] = [
  ["ArrayBuffer", 1],
  ["Uint8Array", 1],
  ["Uint16Array", 2],
  ["Uint32Array", 4],
  ["Float64Array", 8],
  ["Array", LIST_ITEM_BYTES],
];
const globals = globalThis as unknown as Record<string, object>;
const originals = COUNTED.map(([name]) => globals[name]!);
const proxies = new Map<object, object>();
COUNTED.forEach(([, itemBytes], i) =>
  proxies.set(originals[i]!, counting(originals[i]!, itemBytes)),
);

/** The result of `work`, which is synchronous, and the bytes that it asked for; `onEnd` also hears of them where it throws. */
export function countingAllocations<T>(work: () => T, onEnd: (bytes: number) => void): T {
  countedBytes = 0;
  COUNTED.forEach(([name], i) => (globals[name] = proxies.get(originals[i]!)!));
  try {
    return work();
  } finally {
    COUNTED.forEach(([name], i) => (globals[name] = originals[i]!));
    onEnd(countedBytes);
  }
}
