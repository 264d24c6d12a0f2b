/**
 * The ports to other nodes as the configuration wants them: plain, or sealed with the keys of `cluster-key-file`, with the certificates of
 * `peer-cert` or without.
 *
 * SIGHUP reads the files again. One that cannot be used leaves things as they were: a node with the wrong keys would be alone, one with the old ones is not.
 */
import { messageOf } from "../base/errors.ts";
import { bunCipher } from "../bun/cipher.ts";
import { BunClock } from "../bun/clock.ts";
import { BunRandom } from "../bun/random.ts";
import type { PeerTls } from "../bun/peer-tls.ts";
import { bindPeerPorts, type BunTransport } from "../bun/transport.ts";
import { KeyRing } from "../cluster/key-ring.ts";
import { sealPeers } from "../cluster/sealed-peers.ts";
import type { Config } from "../config.ts";
import { formatAddress } from "../config/knob-kinds.ts";
import type { Logger } from "../ports/logger.ts";
import type { PeerPorts } from "../ports/transport.ts";
import { readKeyFile, readSecretFile, readTextFile } from "./key-file.ts";

/** Throws `bad-config` before anything is bound where the keys cannot be had. */
export async function bindPeers(config: Config, logger: Logger): Promise<PeerPorts> {
  const { clusterKeyFile, peer } = config;
  const ring =
    clusterKeyFile === "" ? undefined : new KeyRing(bunCipher, readKeyFile(clusterKeyFile));
  const tls = peerTlsOf(config);
  const bound = await bindPeerPorts({ hostname: peer.host, port: peer.port, logger, tls });
  if (tls !== undefined || ring !== undefined)
    process.on("SIGHUP", () => readAgain(config, bound.transport, ring, logger));
  if (ring === undefined) return bound;
  tellKeys(ring, logger);
  return sealPeers(bound, {
    cipher: bunCipher,
    ring,
    clock: new BunClock(),
    random: new BunRandom(),
    logger,
    clusterName: config.cluster,
    addresses: [config.advertise, formatAddress(peer)],
  });
}

/** The texts of the three files; undefined where none is wanted. */
function peerTlsOf({ peerCert, peerKey, peerCa }: Config): PeerTls | undefined {
  if (peerCert === "") return undefined;
  return {
    cert: readTextFile(peerCert),
    key: readSecretFile(peerKey),
    ca: readTextFile(peerCa),
  };
}

function readAgain(
  config: Config,
  transport: BunTransport,
  ring: KeyRing | undefined,
  logger: Logger,
): void {
  try {
    const tls = peerTlsOf(config);
    if (tls !== undefined) transport.setTls(tls);
    ring?.set(readKeyFile(config.clusterKeyFile));
    if (tls !== undefined) logger.info("peer_certificate_loaded");
    if (ring !== undefined) tellKeys(ring, logger);
  } catch (error) {
    logger.error("peer_secrets_kept", { reason: messageOf(error) });
  }
}

function tellKeys(ring: KeyRing, logger: Logger): void {
  logger.info("cluster_keys_loaded", { keys: ring.names.join(", ") });
}
