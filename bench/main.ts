/** All benches, one after the other, each in a process of its own: bun run bench [NAME ...] [--OPTION ...]; options go to every bench named. */
const FILES = {
  kernels: "kernels",
  store: "store",
  http: "http",
  latency: "latency",
  scale: "scale",
  cluster: "cluster",
  ycsb: "ycsb",
  kill: "cluster-kill",
  gossip: "gossip",
  exchange: "exchange",
  ring: "ring",
  merkle: "merkle",
  client: "client",
} as const;

const words = process.argv.slice(2);
const firstOption = words.findIndex((word) => word.startsWith("--"));
const wanted = firstOption < 0 ? words : words.slice(0, firstOption);
const options = firstOption < 0 ? [] : words.slice(firstOption);
const unknown = wanted.filter((name) => !(name in FILES));
if (unknown.length > 0) {
  console.log(`No bench "${unknown.join('", "')}": there are ${Object.keys(FILES).join(", ")}`);
  process.exit(64);
}

let current: Bun.Subprocess | undefined;
let isEnding = false;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    isEnding = true;
    current?.kill(signal);
  });

for (const [name, file] of Object.entries(FILES)) {
  if (isEnding || (wanted.length > 0 && !wanted.includes(name))) continue;
  console.log(`\n=== ${name}`);
  current = Bun.spawn([process.execPath, `${import.meta.dir}/${file}.ts`, ...options], {
    stdout: "inherit",
    stderr: "inherit",
  });
  if ((await current.exited) !== 0) process.exitCode = 1;
}
