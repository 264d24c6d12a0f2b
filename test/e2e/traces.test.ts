/** A request is followed through the cluster: its spans at a collector, its slowness in the log of the node that took it. */
import { expect, test } from "bun:test";
import { type ClusterProcess, NodeProcess, withCluster, withDirectory } from "./node-process.ts";

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly node: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER = "00f067aa0ba902b7";
const SERVER = 2;
const CLIENT = 3;

/** Takes OTLP over HTTP in JSON. */
function startCollector() {
  const spans: Span[] = [];
  const flat = (attributes: any[]): Record<string, unknown> =>
    Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const body = (await request.json()) as any;
      for (const { resource, scopeSpans } of body.resourceSpans)
        for (const span of scopeSpans[0].spans)
          spans.push({
            ...span,
            node: flat(resource.attributes)["service.instance.id"],
            attributes: flat(span.attributes),
          });
      return new Response("{}");
    },
  });
  const url = `http://127.0.0.1:${server.port}/v1/traces`;
  return { spans, url, stop: () => server.stop(true) };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(20);
}

const isOf = (trace: string) => (span: Span) => span.traceId === trace;
const traced = (trace: string, flags = "01") => ({
  traceparent: `00-${trace}-${CALLER}-${flags}`,
  tracestate: "vendor=opaque",
});

/** A write at ALL: the client's span, then a call and its answer for each other owner. */
async function checkTree(cluster: ClusterProcess, spans: readonly Span[]): Promise<void> {
  const headers = { "X-Consistency": "ALL", ...traced(TRACE) };
  const key = cluster.key(0, "demo", "secret-name");
  expect((await fetch(key, { method: "PUT", body: "v", headers })).status).toBe(204);
  await until(() => spans.filter(isOf(TRACE)).some(({ name }) => name === "kv write"));
  await until(
    () => spans.filter(isOf(TRACE)).filter(({ name }) => name === "answer merge").length === 2,
  );
  await until(
    () => spans.filter(isOf(TRACE)).filter(({ name }) => name === "peer merge").length === 2,
  );
  const own = spans.filter(isOf(TRACE));
  const parentOf = (span: Span) => own.find(({ spanId }) => spanId === span.parentSpanId);
  const root = own.find(({ name }) => name === "kv write")!;
  expect(root).toMatchObject({ node: "n1", kind: SERVER, parentSpanId: CALLER });
  expect(root.attributes).toMatchObject({ "db.system.name": "hutch", "db.namespace": "demo" });
  expect(root.attributes["hutch.key.hash"]).toMatch(/^[0-9a-f]{16}$/);
  const answers = own.filter(({ name }) => name === "answer merge");
  for (const answer of answers) {
    const call = parentOf(answer)!;
    expect(call).toMatchObject({ name: "peer merge", kind: CLIENT });
    expect(answer.node).not.toBe(call.node);
    expect(BigInt(call.endTimeUnixNano)).toBeGreaterThan(BigInt(call.startTimeUnixNano));
    // The client's node forwards to the first owner where it is not that itself.
    let above = parentOf(call);
    while (above !== undefined && above !== root) above = parentOf(above);
    expect(above).toBe(root);
  }
  expect(new Set([root.node, ...own.map(({ node }) => node)])).toEqual(new Set(["n1", "n2", "n3"]));
  expect(own.every(({ traceState }) => traceState === "vendor=opaque")).toBe(true);
  expect(JSON.stringify(own)).not.toContain("secret-name");
}

/** What is not to be traced is not: no flag, no traceparent, or something that is none. */
async function checkUntraced(cluster: ClusterProcess, spans: readonly Span[]): Promise<void> {
  const before = spans.length;
  const other = "a".repeat(32);
  const last = "b".repeat(32);
  const headers = [
    traced(other, "00"),
    { traceparent: `00-${"0".repeat(32)}-${CALLER}-01` },
    { traceparent: `ff-${other}-${CALLER}-01` },
    { traceparent: `00-${other}-${CALLER}-01-more` },
    { traceparent: "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01" },
    {},
  ];
  for (const each of headers)
    expect((await fetch(cluster.key(0, "demo", "a"), { headers: each })).status).toBe(404);
  await fetch(cluster.key(0, "demo", "a"), { headers: traced(last) });
  await until(() => spans.some(isOf(last)));
  const since = spans
    .slice(before)
    .filter((span) => span.traceId !== last && span.traceId !== TRACE);
  expect(since).toEqual([]);
}

/** One owner stands still: the line says whom the request waited for. */
async function checkSlow(cluster: ClusterProcess): Promise<void> {
  await cluster.kill(2, "SIGSTOP");
  const headers = { "X-Consistency": "ALL", "X-Timeout": "600ms" };
  const slow = await fetch(cluster.key(0, "demo", "secret-name"), { headers });
  expect(slow.status).toBeGreaterThanOrEqual(500);
  await slow.text();
  const metrics = await (await fetch(`${cluster.url(0)}/metrics`)).text();
  expect(metrics).toMatch(/^hutch_slow_requests_total [1-9]/m);
  const node = cluster.node(0);
  await cluster.kill(0);
  const lines = (await node.log()).split("\n").filter((line) => line.includes("slow_request"));
  const line = JSON.parse(lines.at(-1)!);
  expect(line).toMatchObject({ operation: "read", reason: "replicas", node: "n3" });
  expect(line.ms).toBeGreaterThanOrEqual(300);
  expect(line.replicasMs).toBeGreaterThanOrEqual(300);
  expect(lines.join("\n")).not.toContain("secret-name");
}

test("a traced request is one tree over three nodes, and a slow one is logged with whom it waited for", async () => {
  const collector = startCollector();
  const args = ["--traces-url", collector.url, "--slow-request", "300ms", "--log-format", "json"];
  try {
    await withCluster(
      3,
      async (cluster) => {
        await checkTree(cluster, collector.spans);
        await checkUntraced(cluster, collector.spans);
        await checkSlow(cluster);
      },
      { args: [...args, "--partitions", "16"] },
    );
  } finally {
    await collector.stop();
  }
}, 30_000);

test("a collector that is away costs nobody anything, and the spans that it lacks are counted", async () => {
  await withDirectory(async (directory) => {
    const args = ["--traces-url", "http://127.0.0.1:9/v1/traces", "--traces-ratio", "1"];
    const node = await NodeProcess.start(directory, { args });
    try {
      expect((await fetch(node.key("demo", "a"), { method: "PUT", body: "v" })).status).toBe(204);
      let page = "";
      while (!/^hutch_trace_spans_dropped_total [1-9]/m.test(page)) {
        await Bun.sleep(100);
        page = await (await fetch(`${node.url}/metrics`)).text();
      }
      expect(page).toContain("\nhutch_trace_spans_exported_total 0\n");
    } finally {
      await node.end("SIGKILL");
    }
  });
}, 15_000);
