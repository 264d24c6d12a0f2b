/**
 * `hutch tour`: what a cluster does, on one that is started for it and removed afterwards. Each step says in a sentence what to see, prints its curl line
 * and the real answer. A step whose answer is not what the sentence says ends the tour with an error, so that it is also a test.
 */

import { createInterface } from "node:readline/promises";
import { HutchError } from "../base/errors.ts";
import { EXIT } from "./exit-codes.ts";
import { note, print, styled } from "./terminal.ts";
import { TourCluster } from "./tour-cluster.ts";
import { type TourRequest, curlLine, sendRequest, show, tell } from "./tour-request.ts";

type Options = Readonly<Record<string, unknown>>;

/** What happens in the background is over in a second or two; a busy machine may take longer. */
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 100;
const CONTEXT = "X-Causal-Context";

export async function tour(options: Options): Promise<void> {
  const isPaused = options["yes"] !== true && process.stdin.isTTY === true;
  const cluster = new TourCluster();
  const quit = (): void => {
    cluster.removeNow();
    process.exit(EXIT.ok);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, quit);
  try {
    note("starting three nodes for the tour ...");
    await cluster.start();
    for (const [index, { title, words, act }] of STEPS.entries()) {
      print();
      print(styled("bold", `${index + 1}. ${title}`));
      for (const line of words) print(line);
      print();
      await act(cluster);
      if (isPaused && index < STEPS.length - 1) await pause();
    }
  } finally {
    await cluster.remove();
  }
  print();
  print("That was the tour; its cluster is gone. Start one that stays: hutch cluster");
}

async function pause(): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // Ctrl-C belongs to the tour here, too.
  terminal.on("SIGINT", () => process.emit("SIGINT"));
  await terminal.question(styled("dim", "\nEnter goes on ", process.stderr));
  terminal.close();
}

interface Step {
  readonly title: string;
  readonly words: readonly string[];
  act(cluster: TourCluster): Promise<void>;
}

const key = (cluster: TourCluster, node: number, name: string): string =>
  `${cluster.url(node)}/v1/kv/tour/${name}`;

const STEPS: readonly Step[] = [
  {
    title: "Write a key",
    words: [
      "Any node takes any request. The answer comes once two of the three copies have it: a quorum.",
    ],
    async act(cluster) {
      const url = key(cluster, 0, "hello");
      await tell({ method: "PUT", url, body: "world", shown: ["X-Acks"], status: 204 });
    },
  },
  {
    title: "Read it from all",
    words: ["Another node answers, and is told to ask all three copies before it does."],
    async act(cluster) {
      const headers = { "X-Consistency": "ALL" };
      const url = key(cluster, 1, "hello");
      await tell({ url, headers, shown: ["X-Replies"], status: 200 });
    },
  },
  {
    title: "Kill a node",
    words: [
      "The second node is killed without a warning. Writes and reads go on: two of three are left.",
    ],
    async act(cluster) {
      print(styled("cyan", `  $ kill -9 ${cluster.pid(1)}`));
      await cluster.kill(1);
      const put: TourRequest = {
        method: "PUT",
        url: key(cluster, 0, "while-away"),
        body: "written without n2",
        shown: ["X-Acks"],
        status: 204,
      };
      await tell(put);
      await tell({ url: key(cluster, 2, "while-away"), status: 200 });
    },
  },
  {
    title: "See the hint",
    words: ["What n2 has missed is kept for it as a hint, on disk."],
    async act(cluster) {
      const request = { url: `${cluster.url(0)}/v1/admin/hints`, status: 200 };
      await tellOnce(request, (body) => hintsIn(body) > 0);
    },
  },
  {
    title: "Bring it back",
    words: [
      "It starts again on its data; the hints are delivered, and all three copies are equal.",
    ],
    async act(cluster) {
      await cluster.restart(1);
      const hints = { url: `${cluster.url(0)}/v1/admin/hints`, status: 200 };
      await tellOnce(hints, (body) => hintsIn(body) === 0);
      const explain = { url: `${key(cluster, 1, "while-away")}?explain=1`, status: 200 };
      await tellOnce(explain, (body) => body.includes('"equal":true'));
    },
  },
  {
    title: "Write at the same time",
    words: [
      "Two clients read the same cart, and both write it. Neither has seen the other's write, so both are",
      "kept as siblings: nothing is lost, and the next reader sees both.",
    ],
    async act(cluster) {
      const first = await sendRequest({
        method: "PUT",
        url: key(cluster, 0, "cart"),
        body: "milk",
        status: 204,
      });
      const headers = { [CONTEXT]: contextOf(first.headers) };
      const put = { method: "PUT", headers, status: 204 } as const;
      await tell({ ...put, url: key(cluster, 0, "cart"), body: "milk, eggs" });
      await tell({ ...put, url: key(cluster, 2, "cart"), body: "milk, bread" });
      const both = await tell({ url: key(cluster, 1, "cart"), status: 300 });
      print();
      print("A write with the context of that read resolves them:");
      print();
      await tell({
        method: "PUT",
        url: key(cluster, 1, "cart"),
        headers: { [CONTEXT]: contextOf(both.headers) },
        body: "milk, eggs, bread",
        status: 204,
      });
      await tell({ url: key(cluster, 0, "cart"), status: 200 });
    },
  },
  {
    title: "Repair",
    words: ["Nodes compare their copies all the time, by hash trees; this asks one to do it now."],
    async act(cluster) {
      const url = `${cluster.url(0)}/v1/admin/repair`;
      const { body } = await tell({ method: "POST", url, status: 202 });
      const { id } = JSON.parse(body) as { id: string };
      const job = { url: `${cluster.url(0)}/v1/admin/jobs/${id}`, status: 200 };
      await tellOnce(job, (text) => text.includes('"state":"done"'));
    },
  },
];

function contextOf(headers: Headers): string {
  return headers.get(CONTEXT) ?? "";
}

function hintsIn(body: string): number {
  const { targets } = JSON.parse(body) as {
    readonly targets: readonly { readonly count: number }[];
  };
  return targets.reduce((sum, { count }) => sum + count, 0);
}

/** Shows the line and, once it is what it should be, the answer. */
async function tellOnce(request: TourRequest, isSo: (body: string) => boolean): Promise<void> {
  print(styled("cyan", `  $ ${curlLine(request)}`));
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await sendRequest(request);
    if (isSo(answer.body)) return show(request, answer);
    if (performance.now() > deadlineMs)
      throw new HutchError("internal", `The tour waited in vain; the last answer: ${answer.body}`);
    await Bun.sleep(LOOK_EVERY_MS);
  }
}
