/**
 * Writers of one real node that know what must be there after its end, whatever that was.
 *
 * Each writer owns some keys and writes a growing number into each, one request at a time for a key; every tenth is a delete. What the node
 * acknowledged is a floor, what was sent is a ceiling: later each key must hold a value from floor to ceiling, byte-exact, with status 200
 * (never 300: one writer a key, no siblings), or be absent where one of the operations from floor to ceiling is a delete. What a 503 refused
 * is not among them.
 */
import { Prng } from "../../src/base/prng.ts";
import type { NodeProcess } from "../e2e/node-process.ts";

/** What is known of one key at one moment. */
export interface KeyBounds {
  readonly name: string;
  /** Of the last acknowledged operation; 0 for none. */
  readonly floor: number;
  /** Of the last operation that was sent. */
  readonly ceiling: number;
  /** Operations of which a 503 said that they are nowhere. */
  readonly refused: ReadonlySet<number>;
}

interface KeyState extends KeyBounds {
  floor: number;
  ceiling: number;
  readonly refused: Set<number>;
}

const BUCKET = "torture";
const WRITERS = 24;
const KEYS_PER_WRITER = 12;
const DELETE_EVERY = 10;
const DELETE_REST = 7;
/** An answer that takes longer is none: a file system that stands still can hold a node for good. */
const ANSWER_TIMEOUT_MS = 20_000;
const REFUSED_PAUSE_MS = 20;

export class WriterKeys {
  acknowledged = 0;
  /** No answer, or 504. */
  unanswered = 0;
  refused = 0;
  checkedReads = 0;
  private readonly seed: number | string;
  private readonly keys: readonly (readonly KeyState[])[];
  private lives = 0;

  constructor(seed: number | string) {
    this.seed = seed;
    this.keys = Array.from({ length: WRITERS }, (_, writer) =>
      Array.from({ length: KEYS_PER_WRITER }, (_, i) => ({
        name: `w${writer}/k${i}`,
        floor: 0,
        ceiling: 0,
        refused: new Set<number>(),
      })),
    );
  }

  /** All writers at once, until each was left without a good answer. `isTroubled` says whether 504 is an answer to expect by now, and 503 the last one. */
  async write(node: NodeProcess, isTroubled: () => boolean = () => false): Promise<void> {
    const life = ++this.lives;
    const writing = this.keys.map((own, writer) =>
      this.writeOwn(node, own, new Prng(`writer/${this.seed}/${life}/${writer}`), isTroubled),
    );
    await Promise.all(writing);
  }

  private async writeOwn(
    node: NodeProcess,
    own: readonly KeyState[],
    prng: Prng,
    isTroubled: () => boolean,
  ): Promise<void> {
    for (;;) {
      const key = prng.pick(own);
      const number = ++key.ceiling;
      const status = await this.send(node, key.name, number);
      if (status === 204) {
        key.floor = number;
        this.acknowledged++;
        continue;
      }
      if (status === 503) {
        this.refused++;
        key.refused.add(number);
        if (isTroubled()) return;
        // A node that a busy machine has left without time looks after itself first.
        await Bun.sleep(REFUSED_PAUSE_MS);
        continue;
      }
      if (status !== 0 && !(isTroubled() && status === 504))
        throw new Error(`operation ${number} on ${key.name} was answered with ${status}`);
      this.unanswered++;
      return;
    }
  }

  private async send(node: NodeProcess, name: string, number: number): Promise<number> {
    const request = isDelete(number)
      ? { method: "DELETE" }
      : { method: "PUT", body: valueOf(name, number) };
    const signal = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
    return fetch(node.key(BUCKET, name), { ...request, signal }).then(
      (answer) => answer.status,
      () => 0,
    );
  }

  /** What is known now, to be held against an image of the disk that is made now. */
  bounds(): readonly KeyBounds[] {
    return this.keys.flat().map((key) => ({ ...key, refused: new Set(key.refused) }));
  }

  /** After a restart: what is there now was read, and has to stay. */
  async check(node: NodeProcess): Promise<void> {
    await Promise.all(
      this.keys.flat().map(async (key) => {
        const found = await this.checkKey(node, key);
        for (const number of possibleNumbers(key))
          if (textOf(key.name, number) === found) key.floor = number;
      }),
    );
  }

  /** On a node that lives on an image that was made between two moments. */
  async checkImage(
    node: NodeProcess,
    before: readonly KeyBounds[],
    after: readonly KeyBounds[],
  ): Promise<void> {
    await Promise.all(
      before.map(({ name, floor }, i) =>
        this.checkKey(node, {
          name,
          floor,
          ceiling: after[i]!.ceiling,
          refused: after[i]!.refused,
        }),
      ),
    );
  }

  /** The status and, but for 404, what came with it. */
  private async read(node: NodeProcess, name: string): Promise<string> {
    const deadlineMs = performance.now() + ANSWER_TIMEOUT_MS;
    for (;;) {
      const answer = await fetch(node.key(BUCKET, name));
      const text = await answer.text();
      this.checkedReads++;
      if (answer.status === 404) return "404";
      if (answer.status !== 503 || performance.now() > deadlineMs)
        return `${answer.status} ${text}`;
      await Bun.sleep(REFUSED_PAUSE_MS);
    }
  }

  private async checkKey(node: NodeProcess, key: KeyBounds): Promise<string> {
    const found = await this.read(node, key.name);
    const { name, floor, ceiling } = key;
    if (!possibleNumbers(key).some((number) => textOf(name, number) === found))
      throw new Error(
        `seed ${this.seed}: ${name} is "${found.slice(0, 80)}", acknowledged up to ${floor}, sent up to ${ceiling}`,
      );
    return found;
  }
}

function possibleNumbers({ floor, ceiling, refused }: KeyBounds): readonly number[] {
  const all = Array.from({ length: ceiling - floor + 1 }, (_, i) => floor + i);
  return all.filter((number) => !refused.has(number));
}

const isDelete = (number: number): boolean => number % DELETE_EVERY === DELETE_REST;

/** What a read says after this operation. */
function textOf(name: string, number: number): string {
  return number === 0 || isDelete(number) ? "404" : `200 ${valueOf(name, number)}`;
}

/** 20 to 1,500 bytes that say whose and which they are. */
function valueOf(name: string, number: number): string {
  return `${name}#${number}#`.padEnd(20 + ((number * 97) % 1480), `${number % 10}`);
}
