/**
 * Links that only nodes with the cluster's key can open, read or write (Q4, row 59): a `Transport` on another one, with the greetings of
 * `link-greeting.ts` around the hellos and a `SealedLink` around each link.
 *
 * A greeting that does not show the key is refused with 401 before the hello in it is looked at; the refusal says nothing that depends on it.
 * A refusal of a node that was shown the key vouches for its reason; of what anybody else answers, the status is all that is passed on.
 * Checked in this order: format, key, mac, time (30 s either way), nonce. After a restart the nonces of the 30 s before are not known any more: a
 * greeting that is repeated then opens a link on which nothing can be said.
 */
import { assert } from "../base/assert.ts";
import { concatBytes, EMPTY_BYTES, hex } from "../base/bytes.ts";
import type { Metrics } from "../base/metrics.ts";
import type {
  AcceptedLink,
  Link,
  LinkEvents,
  PeerAddress,
  RefusedLink,
  Transport,
} from "../ports/transport.ts";
import { HELLO_BYTES_MAX, LinkRefusedError } from "../ports/transport.ts";
import { MAC_BYTES } from "../ports/cipher.ts";
import type { ClusterKey } from "./key-ring.ts";
import {
  decodeAnswering,
  decodeOpening,
  encodeAnswering,
  encodeOpening,
  GREETING_BYTES,
  LinkGreeter,
  NONCE_BYTES,
  type Opening,
} from "./link-greeting.ts";
import { NonceCache } from "./nonce-cache.ts";
import { NOT_AUTHENTICATED, NOT_NOW, refusedLink } from "./peer-refusal.ts";
import { type SealParts, SECONDS_APART_MAX } from "./sealed-datagrams.ts";
import { type LinkKeys, SealedLink, UnopenedLink } from "./sealed-link.ts";

/** A stamp may be 30 s ahead of us, and is taken for 30 s. */
const NONCE_KEPT_MS = (2 * SECONDS_APART_MAX + 1) * 1000;

type Accept = Parameters<Transport["onConnect"]>[0];

export interface SealedTransportParts extends SealParts {
  /** Where this node is reached, in all the ways that others may have it from configuration or gossip. */
  readonly addresses: readonly PeerAddress[];
}

interface Met {
  readonly opening: Opening;
  readonly key: ClusterKey;
}

export class SealedTransport implements Transport {
  readonly #inner: Transport;
  readonly #parts: SealedTransportParts;
  readonly #nonces = new NonceCache(NONCE_KEPT_MS);
  /** Links that did not show the key, on either side. */
  refused = 0;

  constructor(inner: Transport, parts: SealedTransportParts) {
    this.#inner = inner;
    this.#parts = parts;
  }

  async connect(
    to: PeerAddress,
    hello: Uint8Array,
    timeoutMs: number,
    open: (link: Link) => LinkEvents,
  ): Promise<Uint8Array> {
    assert(hello.length + GREETING_BYTES <= HELLO_BYTES_MAX, "a hello has room for its greeting");
    const key = this.#parts.ring.first;
    const greeter = new LinkGreeter(this.#parts.cipher, key);
    const opening = this.#openingTo(to, hello, key, greeter);
    let unopened = undefined as UnopenedLink | undefined; // set by a callback
    const answer = await this.#inner
      .connect(to, encodeOpening(opening), timeoutMs, (link) => (unopened = new UnopenedLink(link)))
      .catch((thrown: unknown) => {
        throw thrown instanceof LinkRefusedError
          ? this.#believed(thrown, opening, greeter)
          : thrown;
      });
    const answering = decodeAnswering(answer);
    const { cipher } = this.#parts;
    const mac = greeter.macOfAnswer(
      opening.mac,
      answering?.nonce ?? opening.nonce,
      answering?.hello ?? hello,
    );
    if (answering === undefined || !cipher.areEqual(mac, answering.mac)) {
      this.refused++;
      unopened?.close();
      const { body } = refusedLink(NOT_AUTHENTICATED);
      throw new LinkRefusedError(NOT_AUTHENTICATED.status, body);
    }
    const session = greeter.sessionKeys(opening.mac, answering.mac);
    const { toAnswerer: outgoing, toOpener: incoming } = session;
    unopened?.open({ cipher, clusterKey: key, outgoing, incoming }, open);
    return answering.hello;
  }

  /** A refusal with its reason where who refuses has the key; what strangers say may be anything. */
  #believed(
    { status, body }: LinkRefusedError,
    opening: Opening,
    greeter: LinkGreeter,
  ): LinkRefusedError {
    const [mac, reason] = [body.subarray(0, MAC_BYTES), body.subarray(MAC_BYTES)];
    const expected = greeter.macOfRefusal(opening.mac, status, reason);
    if (this.#parts.cipher.areEqual(expected, mac)) return new LinkRefusedError(status, reason);
    const isUnknown = status === NOT_AUTHENTICATED.status;
    const said = isUnknown ? refusedLink(NOT_AUTHENTICATED).body : EMPTY_BYTES;
    return new LinkRefusedError(status, said);
  }

  onConnect(accept: Accept): void {
    this.#inner.onConnect((bytes, from, certified) => {
      const met = this.#meet(bytes, from);
      return "kind" in met ? met : this.#answer(met, accept(met.opening.hello, from, certified));
    });
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  defineMetrics(metrics: Metrics): void {
    const help = "Links that were refused because the other side did not show the cluster's key";
    metrics.count("hutch_peer_links_unauthenticated", help, () => this.refused);
  }

  #openingTo(
    to: PeerAddress,
    hello: Uint8Array,
    { id: keyId }: ClusterKey,
    greeter: LinkGreeter,
  ): Opening {
    const { clock, random, clusterName } = this.#parts;
    const sentMs = Math.floor(clock.wallMs());
    const unsigned = { keyId, sentMs, nonce: random.bytes(NONCE_BYTES), hello };
    const mac = greeter.macOfOpening(unsigned, { clusterName, address: canonical(to) });
    return { ...unsigned, mac };
  }

  #meet(bytes: Uint8Array, from: PeerAddress): Met | RefusedLink {
    const { ring, clock, logger } = this.#parts;
    const opening = decodeOpening(bytes);
    const key = opening === undefined ? undefined : ring.find(opening.keyId);
    const fault =
      opening === undefined
        ? "plain"
        : key === undefined
          ? "unknown-key"
          : this.#faultOf(opening, key);
    if (opening !== undefined && key !== undefined && fault === undefined) {
      const noted = this.#nonces.note(hex(opening.nonce), clock.monoMs());
      if (noted === "new") return { opening, key };
      if (noted === "full") return refusedLink(NOT_NOW);
    }
    this.refused++;
    logger.debug("peer_not_authenticated", { from, reason: fault ?? "replayed" });
    return refusedLink(NOT_AUTHENTICATED);
  }

  #faultOf(opening: Opening, key: ClusterKey): "forged" | "expired" | undefined {
    const { cipher, clock, clusterName, addresses } = this.#parts;
    const greeter = new LinkGreeter(cipher, key);
    const isOurs = (address: PeerAddress): boolean => {
      const meant = { clusterName, address: canonical(address) };
      return cipher.areEqual(greeter.macOfOpening(opening, meant), opening.mac);
    };
    if (!addresses.some(isOurs)) return "forged";
    const apartMs = Math.abs(opening.sentMs - clock.wallMs());
    return apartMs > SECONDS_APART_MAX * 1000 ? "expired" : undefined;
  }

  #answer({ opening, key }: Met, answer: AcceptedLink | RefusedLink): AcceptedLink | RefusedLink {
    const { cipher, random } = this.#parts;
    const greeter = new LinkGreeter(cipher, key);
    if (answer.kind === "refused") {
      const mac = greeter.macOfRefusal(opening.mac, answer.status, answer.body);
      return { ...answer, body: concatBytes(mac, answer.body) };
    }
    const nonce = random.bytes(NONCE_BYTES);
    const mac = greeter.macOfAnswer(opening.mac, nonce, answer.hello);
    const session = greeter.sessionKeys(opening.mac, mac);
    const { toOpener: outgoing, toAnswerer: incoming } = session;
    const keys: LinkKeys = { cipher, clusterKey: key, outgoing, incoming };
    const open = (link: Link): LinkEvents =>
      new SealedLink(link, keys).begin((sealed) => answer.open(sealed));
    return { kind: "accepted", hello: encodeAnswering({ nonce, mac, hello: answer.hello }), open };
  }
}

/** `localhost` and its number are one address. */
function canonical(address: PeerAddress): PeerAddress {
  return address.replace(/^localhost:/, "127.0.0.1:");
}
