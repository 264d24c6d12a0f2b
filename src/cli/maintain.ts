/** `hutch maintain`: long work of one node, started and followed to its end. */

import { confirm } from "./confirm.ts";
import { connect } from "./connect.ts";
import { askJob, followJob } from "./follow-job.ts";

const ANSWER_TIMEOUT_MS = 30_000;

export async function maintain(
  work: string,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const client = connect(options, ANSWER_TIMEOUT_MS);
  if (work === "drain") {
    const question = `Let ${await client.nodeName()} take no more requests until it is started again?`;
    if (!(await confirm(question, options))) return;
  }
  const { id } = (await client.post(`/v1/admin/${work}`)) as { id: string };
  await followJob(id, options, {
    ask: () => askJob(client, id),
    how: `\`curl\` of /v1/admin/jobs/${id}`,
    failure: "unavailable",
  });
}
