/** The manifests, as `kubectl apply -k` would send them: their fields by the types of the API, and what they say of hutch by hutch itself. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { YAML } from "bun";
import { knobValues } from "../support/serve-arguments.ts";

/** The type checker and a child process run here, on a machine that may be busy. */
setDefaultTimeout(60_000);

const repository = join(import.meta.dir, "..", "..");
const folder = join(repository, "ops", "kubernetes");

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  // What is looked into is checked by the types of the API first.
  readonly spec?: any;
  readonly [field: string]: unknown;
}

/** Where `kubernetes-types` has the type of a kind. */
const MODULES: Readonly<Record<string, string>> = {
  v1: "core/v1",
  "apps/v1": "apps/v1",
  "policy/v1": "policy/v1",
  "rbac.authorization.k8s.io/v1": "rbac/v1",
};

const manifests = readdirSync(folder)
  .filter((file) => file.endsWith(".yaml") && file !== "kustomization.yaml")
  .flatMap((file) => YAML.parse(readFileSync(join(folder, file), "utf8")) as Manifest | Manifest[]);
const kustomization = YAML.parse(readFileSync(join(folder, "kustomization.yaml"), "utf8")) as {
  resources: string[];
  configMapGenerator: { name: string; files: string[] }[];
  images: { name: string; newTag: string }[];
};

const one = (kind: string, name = "hutch"): Manifest =>
  manifests.find((each) => each.kind === kind && each.metadata.name === name)!;

let pod: any;
let container: any;
beforeAll(() => {
  pod = one("StatefulSet").spec.template.spec;
  container = pod.containers[0];
});

/** Compiles each manifest as a literal of its type, so that a field that does not exist is an error, too. */
function typeErrors(list: readonly Manifest[]): string {
  const directory = mkdtempSync(join(tmpdir(), "hutch-manifests-"));
  try {
    symlinkSync(join(repository, "node_modules"), join(directory, "node_modules"));
    const lines = list.map(
      (manifest, index) =>
        `export const m${index}: import("kubernetes-types/${MODULES[manifest.apiVersion]}").${manifest.kind} = ${JSON.stringify(manifest)};`,
    );
    writeFileSync(join(directory, "manifests.ts"), lines.join("\n"));
    const compilerOptions = { strict: true, noEmit: true, module: "preserve", types: [] };
    writeFileSync(
      join(directory, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["manifests.ts"] }),
    );
    const check = [process.execPath, "check", "-p", join(directory, "tsconfig.json")];
    const { stdout, stderr, exitCode } = Bun.spawnSync(check, {
      env: { ...process.env, BUN_BE_BUN: "1" },
      cwd: directory,
    });
    return exitCode === 0 ? "" : stdout.toString() + stderr.toString();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("the Kubernetes manifests", () => {
  test("have the fields that the API has, with values of their types", () => {
    expect(manifests.length).toBe(8);
    expect(typeErrors(manifests)).toBe("");
    const misspelt = structuredClone(one("PodDisruptionBudget"));
    misspelt.spec.maxUnavaliable = 1;
    expect(typeErrors([misspelt])).toContain("maxUnavaliable");
  });

  test("are all applied, in one namespace, with the image and the script that they use", () => {
    const files = readdirSync(folder).filter(
      (file) => file.endsWith(".yaml") && file !== "kustomization.yaml",
    );
    expect([...kustomization.resources].sort()).toEqual(files.sort());
    expect(kustomization.images.map(({ name }) => name)).toEqual([container.image]);
    const manifest = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
    expect(kustomization.images[0]!.newTag).toBe(manifest.version);
    expect(pod.initContainers[0].image).toBe(container.image);
    for (const { name, files } of kustomization.configMapGenerator) {
      expect(pod.volumes.map(({ configMap }: any) => configMap?.name)).toContain(name);
      for (const file of files) expect(statSync(join(folder, file)).isFile()).toBe(true);
    }
  });

  test("names, ports and labels fit together", () => {
    const label = { "app.kubernetes.io/name": "hutch" };
    const set = one("StatefulSet").spec;
    expect(set.selector.matchLabels).toEqual(label);
    expect(set.template.metadata.labels).toEqual(label);
    expect(one("PodDisruptionBudget").spec.selector.matchLabels).toEqual(label);
    expect(one("PodDisruptionBudget").spec.maxUnavailable).toBe(1);
    const headless = one("Service", "hutch-nodes").spec;
    expect(set.serviceName).toBe("hutch-nodes");
    expect([headless.clusterIP, headless.publishNotReadyAddresses]).toEqual(["None", true]);
    const open = new Map(container.ports.map((port: any) => [port.name, port]));
    for (const service of [headless, one("Service").spec]) {
      expect(service.selector).toEqual(label);
      for (const { targetPort, port, protocol } of service.ports)
        expect(open.get(targetPort)).toEqual({ name: targetPort, containerPort: port, protocol });
    }
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"])
      expect(open.has(container[probe].httpGet.port)).toBe(true);
    expect(container.readinessProbe.httpGet.path).toBe("/readyz");
    expect(container.livenessProbe.httpGet.path).toBe("/healthz");
    const volumes = pod.volumes.map(({ name }: any) => name);
    const claims = set.volumeClaimTemplates.map(({ metadata }: any) => metadata.name);
    for (const { volumeMounts } of [...pod.initContainers, ...pod.containers])
      for (const { name } of volumeMounts) expect([...volumes, ...claims]).toContain(name);
  });

  test("the program takes their arguments, and each node is a seed as it is advertised", () => {
    const own = { POD_NAME: "hutch-1", NAMESPACE: "hutch" };
    const args = container.args.map((arg: string) =>
      arg.replaceAll(/\$\((\w+)\)/g, (_, name: keyof typeof own) => own[name]),
    );
    expect(args.join(" ")).not.toContain("$(");
    const config = knobValues(args);
    const seeds = config.seeds.map(({ host, port }) => `${host}:${port}`);
    expect(seeds).toHaveLength(one("StatefulSet").spec.replicas);
    expect(seeds[1]).toBe(config.advertise);
    expect([config.listen.port, config.peer.port]).toEqual([7001, 7101]);
    expect(config.insecureBindPublic).toBe(false);
    const preStopSeconds = container.lifecycle.preStop.sleep.seconds;
    const graceMs = (pod.terminationGracePeriodSeconds - preStopSeconds) * 1000;
    expect(graceMs).toBeGreaterThanOrEqual(2 * config.shutdownTimeoutMs);
    const mounts = container.volumeMounts.map(({ mountPath }: any) => mountPath);
    for (const file of [config.dataDir, config.authTokens, config.clusterKeyFile])
      expect(mounts.some((path: string) => file.startsWith(`${path}/`))).toBe(true);
  });

  test("nothing runs as root or may become more than it is", () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 10_001 });
    for (const { securityContext } of [...pod.initContainers, ...pod.containers])
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
    const [rule] = one("ClusterRole", "hutch-place")["rules"] as { verbs: string[] }[];
    expect(rule).toEqual({ apiGroups: [""], resources: ["nodes"], verbs: ["get"] } as never);
  });

  test("a pod finds its zone in the labels of its Kubernetes node, and copies secrets for itself only", async () => {
    const directory = mkdtempSync(join(tmpdir(), "hutch-place-"));
    const labels = {
      "topology.kubernetes.io/region": "eu west",
      "topology.kubernetes.io/zone": "eu-west-1b",
    };
    const asked: string[] = [];
    using api = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        asked.push(`${new URL(request.url).pathname} ${request.headers.get("Authorization")}`);
        return Response.json({ metadata: { labels } });
      },
    });
    try {
      for (const name of ["secrets", "account"]) mkdirSync(join(directory, name));
      writeFileSync(join(directory, "secrets", "tokens"), "{}", { mode: 0o440 });
      writeFileSync(join(directory, "account", "token"), "t0ken\n");
      writeFileSync(join(directory, "account", "ca.crt"), "");
      const child = Bun.spawn([process.execPath, join(folder, "place.mjs")], {
        env: {
          ...process.env,
          BUN_BE_BUN: "1",
          NODE_NAME: "worker-7.example",
          POD_NAME: "hutch-2",
          API: `http://127.0.0.1:${api.port}`,
          ACCOUNT: join(directory, "account"),
          SECRETS: join(directory, "secrets"),
          TARGET: join(directory, "run"),
        },
        stdio: ["ignore", "ignore", "pipe"],
      });
      expect([await child.exited, await child.stderr.text()]).toEqual([0, ""]);
      expect(asked).toEqual(["/api/v1/nodes/worker-7.example Bearer t0ken"]);
      expect(statSync(join(directory, "run", "tokens")).mode & 0o777).toBe(0o600);
      const config = knobValues(["serve", "--config", join(directory, "run", "hutch.toml")]);
      expect(config).toMatchObject({
        nodeId: "hutch-2",
        dc: "eu-west",
        rack: "eu-west-1b",
        host: "worker-7.example",
      });
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  test("kubectl builds the same, where it is installed", () => {
    const kubectl = Bun.which("kubectl");
    const built =
      kubectl === null
        ? manifests
        : (YAML.parse(
            Bun.spawnSync([kubectl, "kustomize", folder]).stdout.toString(),
          ) as Manifest[]);
    const kinds = (list: readonly Manifest[]) =>
      list
        .map(({ kind }) => kind)
        .filter((kind) => kind !== "ConfigMap")
        .sort();
    expect(kinds(built)).toEqual(kinds(manifests));
  });
});
