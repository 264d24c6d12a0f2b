/** The lines of a stream as they come. */

/** What comes without an end of line is passed on in pieces of this length. */
export const LINE_LENGTH_MAX = 64 * 1024;

/** Calls `onLine` for each line without its end, the last one also where it has none. Settles at the end of the stream. */
export async function eachLine(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    lines.forEach(onLine);
    if (rest.length < LINE_LENGTH_MAX) continue;
    onLine(rest);
    rest = "";
  }
  rest += decoder.decode();
  if (rest !== "") onLine(rest);
}
