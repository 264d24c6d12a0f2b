/** The dashboard: one page, drawn here. */
import { render } from "preact";
import { live } from "./live/live.ts";
import { Shell } from "./shell/shell.tsx";

const root = document.getElementById("app");
if (root !== null) {
  root.replaceChildren();
  render(<Shell />, root);
  live.start();
}
