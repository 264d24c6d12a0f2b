/**
 * What happens at the nodes of a simulated cluster, by name, so that a fault can strike at the n-th time that it does (FAULTS.md 2.8):
 *
 *   log EVENT                        a line of the log
 *   KIND, repair TOPIC, exchange TOPIC   a message of another node arrives
 *   answer KIND                      a reply arrives
 *
 * The node dies, is cut off or gets another time in an event of its own right after: what the line or the message belongs to is under way.
 */
import type { LogFields, Logger } from "../ports/logger.ts";

export interface Happening {
  /** Of the node. */
  readonly index: number;
  readonly event: string;
}

/** `logger`, and somebody who hears the names of the events. */
export function tellingLogger(logger: Logger, tell: (event: string) => void): Logger {
  const telling =
    (level: keyof Logger) =>
    (event: string, fields?: LogFields): void => {
      logger[level](event, fields);
      tell(`log ${event}`);
    };
  return {
    debug: telling("debug"),
    info: telling("info"),
    warn: telling("warn"),
    error: telling("error"),
  };
}
