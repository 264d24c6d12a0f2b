/**
 * A driver for unstorage (unjs.io): `createStorage({ driver: hutchDriver({ client, bucket: "app" }) })`. A driver is a plain object,
 * so this file needs nothing of unstorage. Its keys have colons where others have slashes; here they stay as they are.
 */

import { type HutchClient, text } from "hutch/client";

export interface DriverOptions {
  readonly client: HutchClient;
  readonly bucket: string;
}

export function hutchDriver({ client, bucket: name }: DriverOptions) {
  const newest = (
    siblings: readonly { readonly hlc: string; readonly value?: string | undefined }[],
  ) => siblings.reduce((a, b) => (b.hlc > a.hlc ? b : a)).value;
  const bucket = client.bucket(name, { codec: text(), resolve: newest });
  return {
    name: "hutch",
    hasItem: (key: string) => bucket.has(key),
    getItem: async (key: string) => (await bucket.get(key)) ?? null,
    async setItem(key: string, value: string, options: { readonly ttl?: number } = {}) {
      await bucket.put(key, value, { context: "", ttl: options.ttl });
    },
    async removeItem(key: string) {
      await bucket.delete(key, { context: "" });
    },
    async getKeys(base = "") {
      const keys: string[] = [];
      for await (const key of bucket.keys({ prefix: base })) keys.push(key);
      return keys;
    },
    async clear(base = "") {
      for await (const key of bucket.keys({ prefix: base }))
        await bucket.delete(key, { context: "" });
    },
  };
}
