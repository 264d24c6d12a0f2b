/** Light or dark: as the system says, until the person says otherwise. The choice is remembered by the browser, on this machine only. */
import { useEffect, useState } from "preact/hooks";

export type Theme = "system" | "light" | "dark";

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const STORED_AS = "hutch-theme";

/** Storage may be switched off in the browser; then the choice lasts as long as the page. */
function stored(): Theme {
  try {
    const text = window.localStorage.getItem(STORED_AS);
    return THEMES.find((theme) => theme === text) ?? "system";
  } catch {
    return "system";
  }
}

function remember(theme: Theme): void {
  try {
    window.localStorage.setItem(STORED_AS, theme);
  } catch {
    return;
  }
}

function show(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  window.dispatchEvent(new Event("themechange"));
}

export function useTheme(): readonly [Theme, () => void] {
  const [theme, setTheme] = useState(stored);
  useEffect(() => show(theme), [theme]);
  const next = (): void => {
    const after = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]!;
    remember(after);
    setTheme(after);
  };
  return [theme, next];
}
