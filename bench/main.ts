/** All benches, one after the other, each in a process of its own: bun run bench [NAME ...] */
const ALL = ["kernels", "store", "http", "latency", "scale"] as const;
const wanted = process.argv.slice(2);
for (const name of ALL.filter((bench) => wanted.length === 0 || wanted.includes(bench))) {
  console.log(`\n=== ${name}`);
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/${name}.ts`], {
    stdout: "inherit",
    stderr: "inherit",
  });
  if ((await child.exited) !== 0) process.exitCode = 1;
}
