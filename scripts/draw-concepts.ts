/**
 * Draws the pictures of docs/concepts.md into docs/images: `bun scripts/draw-concepts.ts`. `test/docs/concepts.test.ts` holds them fresh.
 *
 * What can be computed is: the ring is a layout of `src/ring`, the quorum counts are those of the level QUORUM, the cart is merged by `src/causality`, the trees are
 * compared by `src/merkle`, and the sizes of the LSM tree are the defaults. So a picture that is no longer true makes the test fail.
 */
import { join } from "node:path";
import { utf8 } from "../src/base/bytes.ts";
import { joinActor } from "../src/causality/actor.ts";
import { append, contextOf, discard, merge, type Siblings } from "../src/causality/siblings.ts";
import { EntryHasher } from "../src/merkle/entry-hash.ts";
import { MerkleExchange } from "../src/merkle/merkle-exchange.ts";
import { BRANCH_COUNT, LEAF_COUNT_MAX, MerkleTree } from "../src/merkle/merkle-tree.ts";
import { levelConsistency } from "../src/quorum/parse-consistency.ts";
import { assignLayout } from "../src/ring/assignment.ts";
import { addressOf, bucketPrefix, partitionBitsOf } from "../src/ring/partition.ts";
import { preferenceList } from "../src/ring/preference-list.ts";
import { DEFAULT_STORE_OPTIONS } from "../src/storage/options.ts";
import { Svg } from "./svg.ts";

export const IMAGES = join(import.meta.dir, "..", "docs", "images");
const WIDTH = 720;
const COLOURS = ["a", "b", "c", "d", "e"];
const COPIES = 3;

/** The pictures by the names of their files. */
export function drawings(): ReadonlyMap<string, string> {
  const all = { ring, quorum, siblings, hints, merkle, lsm };
  return new Map(Object.entries(all).map(([name, draw]) => [`${name}.svg`, draw().toString()]));
}

/** 16 partitions of five nodes, three copies of each, and where one key goes. */
function ring(): Svg {
  const q = 16;
  const members = COLOURS.map((_, index) => ({
    id: `${index + 1}`.padStart(16, "0"),
    name: `n${index + 1}`,
    zone: { dc: "dc1", rack: `rack${index + 1}`, host: `host${index + 1}` },
    weight: 1,
    peerAddress: "",
  }));
  const layout = assignLayout({ version: 1, q, n: COPIES, members });
  const nameOf = (id: string): string => members.find((member) => member.id === id)!.name;
  const { partition } = addressOf(bucketPrefix("cart"), utf8("7"), partitionBitsOf(q));
  const list = preferenceList(layout, partition).map(nameOf);
  const svg = new Svg(
    WIDTH,
    330,
    `A ring of ${q} partitions, each with three of five nodes as its owners`,
  );
  const [x, y] = [190, 165];
  for (let p = 0; p < q; p++)
    for (let copy = 0; copy < COPIES; copy++) {
      const owner = layout.owners[p * COPIES + copy]!;
      const outer = 140 - copy * 26;
      const isKey = p === partition ? "" : "faded";
      svg.arc(
        x,
        y,
        outer - 22,
        outer,
        (p + 0.03) / q,
        (p + 0.97) / q,
        `${COLOURS[owner]} ${isKey}`,
      );
    }
  const turn = (2 * Math.PI * (partition + 0.5)) / q - Math.PI / 2;
  const at = (radius: number): [number, number] => [
    x + radius * Math.cos(turn),
    y + radius * Math.sin(turn),
  ];
  svg.text(x, y - 4, "cart/7", "mid mono bold").text(x, y + 14, "hashed", "mid small quiet");
  svg.arrow(...at(26), ...at(58), "line");
  svg.text(...at(155), String(partition), "mid bold");
  const left = 400;
  svg.text(left, 70, `cart/7 is in partition ${partition} of ${q}`, "bold");
  for (const [index, name] of list.entries()) {
    const role = index < COPIES ? "keeps a copy" : "stands in when one of them is down";
    svg.box(left, 90 + index * 30, 22, 22, COLOURS[Number(name.slice(1)) - 1]!, 4);
    svg
      .text(left + 34, 106 + index * 30, name, "bold")
      .text(left + 64, 106 + index * 30, role, "quiet");
  }
  svg.text(left, 270, "Outside the first copy, inside the third.", "small quiet");
  return svg.text(
    left,
    288,
    `Each node has ${(q * COPIES) / 5} copies, give or take one.`,
    "small quiet",
  );
}

/** A write that two of three have, and a read that asks two of three. */
function quorum(): Svg {
  const { n, r, w } = levelConsistency("QUORUM", COPIES, false);
  const svg = new Svg(
    WIDTH,
    270,
    `${w} of ${n} acknowledge the write, ${r} of ${n} answer the read: one has both`,
  );
  const rows = [50, 130, 210];
  svg
    .box(20, 105, 120, 50)
    .text(80, 127, "PUT", "mid bold")
    .text(80, 145, '"two apples"', "mid small");
  svg
    .box(580, 105, 120, 50)
    .text(640, 127, "GET", "mid bold")
    .text(640, 145, '"two apples"', "mid small");
  for (const [index, row] of rows.entries()) {
    const hasWrite = index < w;
    const isRead = index >= n - r;
    svg.box(290, row - 26, 140, 52).text(306, row - 4, `n${index + 1}`, "bold");
    svg.text(
      306,
      row + 14,
      hasWrite ? "two apples" : "one apple",
      hasWrite ? "small good" : "small quiet",
    );
    const write = `line ${hasWrite ? "goodline" : "dash"}`;
    svg.arrow(144, 130 + (index - 1) * 12, 284, row, write);
    const middle = (130 + (index - 1) * 12 + row) / 2;
    svg.text(
      215,
      middle + [-18, -8, 24][index]!,
      hasWrite ? "on disk" : "later",
      "mid small quiet",
    );
    if (isRead) svg.arrow(436, row, 576, 130 + (index - 1) * 12, "line goodline");
  }
  svg.text(
    360,
    264,
    `W + R > N:  ${w} + ${r} > ${n}, so one of those who answer has the write`,
    "mid small quiet",
  );
  return svg;
}

const CARTS = { start: "tea", ann: "tea, honey", bob: "tea, sugar", both: "tea, honey, sugar" };

/** The cart of the README, by the code that merges it. */
function cart(): { readonly merged: readonly string[]; readonly resolved: readonly string[] } {
  const [one, two] = [joinActor("00000000000000a1", 1), joinActor("00000000000000a2", 1)];
  const start: Siblings<string> = append([], one, 1, CARTS.start);
  const seen = contextOf(start);
  const ann = append(discard(start, seen), one, 2, CARTS.ann);
  const bob = append(discard(start, seen), two, 3, CARTS.bob);
  const merged = merge(ann, bob);
  const resolved = append(discard(merged, contextOf(merged)), one, 4, CARTS.both);
  return { merged: valuesOf(merged), resolved: valuesOf(merge(resolved, bob)) };
}

function valuesOf(state: Siblings<string>): string[] {
  return state.flatMap(({ values }) => values.map(({ payload }) => payload));
}

function siblings(): Svg {
  const { merged, resolved } = cart();
  const svg = new Svg(
    WIDTH,
    230,
    "Two writes that follow the same read are both kept, until one follows both",
  );
  const card = (x: number, y: number, words: string, who: string): void => {
    svg
      .box(x, y - 24, 150, 48)
      .text(x + 75, y - 4, words, "mid bold")
      .text(x + 75, y + 14, who, "mid small quiet");
  };
  card(20, 110, CARTS.start, "both read it");
  for (const [index, words] of merged.entries()) {
    const y = index === 0 ? 55 : 165;
    card(270, y, words, index === 0 ? "Ann writes" : "Bob writes");
    svg.arrow(172, 110 + (index - 0.5) * 16, 266, y).arrow(422, y, 516, 110 + (index - 0.5) * 16);
  }
  svg
    .path("M258 20H432V200H258Z", "faint dash")
    .text(345, 218, `${merged.length} siblings: a GET shows both`, "mid small quiet");
  svg.box(520, 86, 180, 48).text(610, 106, resolved.join(" | "), "mid bold");
  svg.text(610, 124, "follows both", "mid small quiet");
  return svg
    .text(610, 160, "its context covers what it has seen,", "mid small quiet")
    .text(610, 176, "and replaces exactly that", "mid small quiet");
}

/** Three moments of a node that is away. */
function hints(): Svg {
  const svg = new Svg(
    WIDTH,
    250,
    "A write for a node that is down is kept by another one and delivered when it is back",
  );
  const moments = ["n2 is down", "n2 is back", "all are equal"];
  for (const [index, title] of moments.entries()) {
    const left = 20 + index * 237;
    svg.box(left, 20, 206, 190, "box", 10).text(left + 103, 44, title, "mid bold");
    for (const [row, name] of ["n1", "n2", "n3"].entries()) {
      const y = 66 + row * 46;
      const isDown = index === 0 && name === "n2";
      const isOld = index < 2 && name === "n2";
      svg
        .circle(left + 30, y + 10, 9, isDown ? "bad" : "good")
        .text(left + 48, y + 15, name, "bold");
      svg.text(
        left + 78,
        y + 15,
        isDown ? "away" : isOld ? "catching up" : "new value",
        "small quiet",
      );
    }
    if (index < 2) {
      svg.box(left + 142, 62, 54, 26, "b", 4).text(left + 169, 80, "hint", "mid small on");
      if (index === 1) svg.arrow(left + 169, 92, left + 169, 112, "line goodline");
      svg.arrow(left + 212, 115, left + 231, 115);
    }
  }
  return svg.text(
    360,
    236,
    "A hint is the write itself with the name of its owner, on disk, and for three hours.",
    "mid small quiet",
  );
}

/** Two nodes with the same keys but one; what they ask each other, counted. */
function merkle(): Svg {
  const hasher = new EntryHasher(utf8("a secret of many"), LEAF_COUNT_MAX);
  const [own, theirs] = [new MerkleTree(LEAF_COUNT_MAX), new MerkleTree(LEAF_COUNT_MAX)];
  for (let key = 0; key < 10_000; key++) {
    const name = utf8(`key-${key}`);
    for (const tree of [own, theirs]) {
      hasher.hash(name, utf8(key === 4711 && tree === theirs ? "old" : "new"));
      tree.toggle(hasher.leafOf(name), hasher.low, hasher.high);
    }
  }
  const exchange = new MerkleExchange({ leafCount: LEAF_COUNT_MAX, isBulk: false });
  exchange.rootSeen(own.root().join() === theirs.root().join() ? "equal" : "differs");
  exchange.branchesSeen(own.branches(), theirs.branches());
  if (exchange.step.kind !== "leaves") throw new Error("the trees do not differ");
  const [branch] = exchange.step.branches as [number];
  const [ownLeaves, theirLeaves] = [own.leaves(branch), theirs.leaves(branch)];
  const leaf = ownLeaves.findIndex((word, at) => word !== theirLeaves[at]) >> 1;
  const svg = new Svg(
    WIDTH,
    280,
    "Two trees differ in one leaf; the way there is three short questions",
  );
  const row = (y: number, cells: number, marked: number): number => {
    const wide = 680 / cells;
    for (let cell = 0; cell < cells; cell++)
      svg.box(20 + cell * wide, y, wide - 2, 20, cell === marked ? "bad" : "none", 2);
    return 20 + (marked + 0.5) * wide;
  };
  const half = 30;
  svg.box(360 - half, 36, 2 * half, 24, "bad", 4).text(360, 53, "root", "mid small on");
  const branchX = row(114, BRANCH_COUNT, branch);
  const leafX = row(192, LEAF_COUNT_MAX / BRANCH_COUNT, leaf);
  svg
    .line(360, 60, branchX, 112, "line")
    .line(branchX, 134, 20, 190, "faint")
    .line(branchX, 134, 698, 190, "faint");
  svg.arrow(leafX, 214, leafX, 240, "line");
  svg.text(
    20,
    24,
    "Are the roots equal? 8 bytes. Nearly always they are, and that was all.",
    "small quiet",
  );
  svg.text(20, 104, `which of ${BRANCH_COUNT} branches? 512 bytes`, "small quiet");
  svg.text(
    20,
    182,
    `which of its ${LEAF_COUNT_MAX / BRANCH_COUNT} leaves? 512 bytes`,
    "small quiet",
  );
  return svg.text(
    Math.max(150, Math.min(570, leafX)),
    258,
    "the two or three keys of that leaf are compared one by one",
    "mid small quiet",
  );
}

/** What a write goes through on one node, with the default sizes. */
function lsm(): Svg {
  const { memtableBytes, level0Trigger, levelBaseBytes } = DEFAULT_STORE_OPTIONS;
  const mib = (bytes: number): string =>
    bytes >= 2 ** 30 ? `${Math.round((bytes / 2 ** 30) * 10) / 10} GiB` : `${bytes / 2 ** 20} MiB`;
  const svg = new Svg(
    WIDTH,
    330,
    "A write goes to the log and to memory; memory becomes tables, and tables are merged",
  );
  svg.box(20, 40, 70, 40).text(55, 65, "write", "mid bold");
  svg.arrow(92, 52, 158, 38).arrow(92, 68, 158, 96);
  svg.box(162, 16, 170, 40).text(247, 41, "log: synced to disk", "mid small");
  svg.box(162, 76, 170, 40, "a").text(247, 101, `memtable, ${mib(memtableBytes)}`, "mid small on");
  svg
    .line(20, 134, 560, 134, "faint dash")
    .text(20, 128, "memory", "small quiet")
    .text(20, 151, "disk", "small quiet");
  svg.arrow(247, 118, 247, 166).text(256, 153, "flush: sorted, written once", "small quiet");
  const rows = [
    {
      count: level0Trigger,
      width: 60,
      size: `${level0Trigger} tables, then merged down`,
      colour: "b",
    },
    { count: 6, width: 60, size: mib(levelBaseBytes), colour: "c" },
    { count: 9, width: 40, size: mib(levelBaseBytes * 10), colour: "e" },
  ];
  for (const [level, { count, width, size, colour }] of rows.entries()) {
    const y = 170 + level * 54;
    svg.text(20, y + 18, `level ${level}`, "small bold");
    for (let table = 0; table < count; table++)
      svg.box(90 + table * (width + 6), y, width, 26, colour, 4);
    svg.text(96 + count * (width + 6), y + 18, size, "small quiet");
    if (level < rows.length - 1) svg.arrow(247, y + 29, 247, y + 51);
  }
  svg.box(610, 40, 90, 40).text(655, 65, "read", "mid bold");
  svg.arrow(608, 60, 338, 92, "line dash").arrow(655, 82, 655, 300, "line dash");
  return svg
    .text(648, 132, "newest first;", "end small quiet")
    .text(648, 148, "a filter skips most tables", "end small quiet");
}

if (import.meta.main)
  for (const [name, text] of drawings()) await Bun.write(join(IMAGES, name), text);
