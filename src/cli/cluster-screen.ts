/** What `hutch cluster` shows once its nodes are up: where they are, and what to try. */
import type { NodePlan } from "./cluster-plan.ts";
import type { LocalNode } from "./local-node.ts";
import { nodeStyle, print, styled } from "./terminal.ts";

export function showScreen(nodes: readonly LocalNode[]): void {
  const count = nodes.length;
  print(
    styled("bold", `hutch: a cluster of ${count === 1 ? "one node" : `${count} nodes`} is running`),
  );
  print();
  for (const [index, { plan, pid }] of nodes.entries()) {
    const { id, url, peer, rack, dataDir } = plan;
    const name = styled(nodeStyle(index), id.padEnd(3));
    const place = count === 1 ? "" : `  peers ${peer}  ${rack}`;
    print(`  ${styled("green", "up")}  ${name}  ${url}${place}  data ${dataDir}  pid ${pid}`);
  }
  print();
  const plans = nodes.map(({ plan }) => plan);
  const { credentials, wantsToken } = plans[0]!; // there is at least one node
  if (credentials !== undefined) showSecured(plans, credentials);
  else if (wantsToken) showGuarded(plans);
  else showOpen(plans);
  print();
  print(
    `dashboard: ${styled("cyan", `${plans[0]!.url}/ui`)}${credentials ? signIn(credentials) : ""}`,
  );
  print();
  print(styled("dim", "Ctrl-C stops it; the data stay"));
}

function showOpen(plans: readonly NodePlan[]): void {
  print("try:");
  for (const line of linesToTry(plans)) print(styled("cyan", `  ${line}`));
}

/** Any node takes any request, so each line asks another one. */
function linesToTry(plans: readonly NodePlan[]): string[] {
  const isPlain = plans[0]!.url.startsWith("http:");
  const at = (index: number): string =>
    isPlain ? localAddress(plans, index) : `https://${localAddress(plans, index)}`;
  const last =
    plans.length === 1
      ? `curl '${at(0)}/v1/kv/demo?prefix=h'`
      : `curl -i ${at(2)}/v1/kv/demo/hello -H 'X-Consistency: ALL'`;
  return [
    `curl -X PUT ${at(0)}/v1/kv/demo/hello -d 'world'`,
    `curl ${at(1)}/v1/kv/demo/hello`,
    last,
  ];
}

function showSecured(
  plans: readonly NodePlan[],
  { tokenFile, appTokenFile, ca }: NonNullable<NodePlan["credentials"]>,
): void {
  print("only who has a token comes in; try, in this directory:");
  const lines = [
    `export HUTCH_URL=https://${localAddress(plans, 0)} HUTCH_CA=${ca} HUTCH_TOKEN="$(cat ${tokenFile})"`,
    "hutch put demo/hello world",
    // On the command line of curl every process of the machine could read the token.
    `sed 's/^/Authorization: Bearer /' ${appTokenFile} | curl --cacert ${ca} -H @- https://${localAddress(plans, 1)}/v1/kv/demo/hello`,
  ];
  for (const line of lines) print(styled("cyan", `  ${line}`));
}

/** A browser knows neither the authority nor the token. */
function signIn({ tokenFile, ca }: NonNullable<NodePlan["credentials"]>): string {
  return `  (sign in with what is in ${tokenFile}; the browser warns until it knows ${ca})`;
}

/** The user has the tokens, and with TLS the certificate: where they are is not known here. */
function showGuarded(plans: readonly NodePlan[]): void {
  print("only who has a token comes in (`hutch token create` makes one); try:");
  const isPlain = plans[0]!.url.startsWith("http:");
  const who = `--token-file TOKEN-FILE${isPlain ? "" : " --ca CERTIFICATE"}`;
  const at = (index: number): string =>
    `--url ${isPlain ? "http" : "https"}://${localAddress(plans, index)} ${who}`;
  for (const line of [
    `hutch put demo/hello world ${at(0)}`,
    `hutch get demo/hello ${at(1)}`,
    `hutch status ${at(2)}`,
  ])
    print(styled("cyan", `  ${line}`));
}

function localAddress(plans: readonly NodePlan[], index: number): string {
  return plans[index % plans.length]!.listen.replace("127.0.0.1", "localhost");
}
