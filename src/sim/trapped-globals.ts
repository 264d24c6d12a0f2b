/**
 * What a simulation must not touch, by where it lives: real time, chance, other threads, the machine and its files, what depends on the garbage collector, and
 * what depends on the machine's language and time zone (FAULTS.md 2.2).
 *
 * A place is a path from the global object, or from a module of the runtime ("node:fs.promises"). What a runtime does not have is skipped.
 *
 * Beyond the reach of any trap, and left to the rule of the source (test/tidy.test.ts):
 *
 *   - named imports and namespaces of `node:` modules: the runtime copies the functions when it links the program
 *   - functions that a module has kept in a constant before the simulation began
 *   - properties that the runtime has locked: `Bun.fetch`, `Bun.plugin`, `Bun.WebView`, the methods of `Bun.secrets`
 *   - plain values: `Bun.env`, `process.pid`, `performance.timeOrigin`
 */

/** Every function at that place. */
export const ALL = "all";

export type Members = readonly string[] | typeof ALL;

export const TRAPPED: readonly (readonly [place: string, members: Members])[] = [
  // Timers, and what else waits in real time.
  [
    "global",
    [
      "setTimeout",
      "setInterval",
      "setImmediate",
      "clearTimeout",
      "clearInterval",
      "clearImmediate",
      "fetch",
      "WebSocket",
      "Worker",
      "BroadcastChannel",
      "MessageChannel",
      "postMessage",
      "WeakRef",
      "FinalizationRegistry",
      "CompressionStream",
      "DecompressionStream",
      "ShadowRealm",
      "alert",
      "confirm",
      "prompt",
    ],
  ],
  ["AbortSignal", ["timeout"]],
  ["Atomics", ["wait", "waitAsync"]],
  ["node:timers", ["setTimeout", "setInterval", "setImmediate"]],
  ["node:timers/promises", ALL],
  // Compiled beside the loop; instances made at once are fine.
  ["WebAssembly", ["compile", "compileStreaming", "instantiate", "instantiateStreaming"]],

  // Clocks. `Date()` and `new Date()` are trapped in traps.ts.
  ["Date", ["now"]],
  ["performance", ["now"]],
  ["performance.__proto__", ALL],
  ["Temporal.Now", ALL],

  // Chance.
  ["Math", ["random"]],
  ["crypto.__proto__", ["getRandomValues", "randomUUID"]],
  ["crypto.subtle.__proto__", ALL],
  [
    "node:crypto",
    [
      "randomBytes",
      "randomFill",
      "randomFillSync",
      "randomInt",
      "randomUUID",
      "randomUUIDv7",
      "generateKey",
      "generateKeyPair",
      "generateKeyPairSync",
      "generateKeySync",
      "pbkdf2",
      "scrypt",
      "hkdf",
    ],
  ],

  // The machine, its files, its network.
  ["node:fs", ALL],
  ["node:fs.promises", ALL],
  ["node:os", ALL],
  ["node:child_process", ALL],
  ["node:worker_threads", ["Worker", "MessageChannel", "BroadcastChannel", "postMessageToThread"]],
  ["node:dns", ALL],
  ["node:net", ["connect", "createConnection", "createServer", "Server", "Socket"]],
  ["node:dgram", ["createSocket", "Socket"]],
  [
    "Bun",
    [
      "$",
      "RedisClient",
      "S3Client",
      "SQL",
      "Terminal",
      "build",
      "connect",
      "cron",
      "file",
      "gc",
      "generateHeapSnapshot",
      "listen",
      "mmap",
      "nanoseconds",
      "openInEditor",
      "postgres",
      "randomUUIDv7",
      "resolve",
      "resolveSync",
      "serve",
      "shrink",
      "sleep",
      "sleepSync",
      "spawn",
      "spawnSync",
      "sql",
      "udpSocket",
      "which",
      "write",
      "zstdCompress",
      "zstdDecompress",
    ],
  ],
  ["Bun.CSRF", ["generate"]],
  ["Bun.FileSystemRouter.prototype", ALL],
  ["Bun.Glob.prototype", ["scan", "scanSync"]],
  ["Bun.dns", ALL],
  ["Bun.password", ALL],
  [
    "process",
    [
      "abort",
      "availableMemory",
      "chdir",
      "constrainedMemory",
      "cpuUsage",
      "cwd",
      "emitWarning",
      "execve",
      "exit",
      "getActiveResourcesInfo",
      "hrtime",
      "kill",
      "loadEnvFile",
      "memoryUsage",
      "nextTick",
      "reallyExit",
      "resourceUsage",
      "threadCpuUsage",
      "umask",
      "uptime",
    ],
  ],
  ["process.hrtime", ["bigint"]],
  ["process.memoryUsage", ["rss"]],

  // The language and the time zone of the machine.
  ["Intl", ALL],
  ["String.prototype", ["localeCompare", "toLocaleLowerCase", "toLocaleUpperCase"]],
  ["Number.prototype", ["toLocaleString"]],
  ["BigInt.prototype", ["toLocaleString"]],
  ["Array.prototype", ["toLocaleString"]],
  ["Uint8Array.prototype.__proto__", ["toLocaleString"]],
  [
    "Date.prototype",
    [
      "getDate",
      "getDay",
      "getFullYear",
      "getHours",
      "getMinutes",
      "getMonth",
      "getTimezoneOffset",
      "toDateString",
      "toLocaleDateString",
      "toLocaleString",
      "toLocaleTimeString",
      "toString",
      "toTimeString",
    ],
  ],
];
